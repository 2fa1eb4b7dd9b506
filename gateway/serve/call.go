package serve

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
)

// call is one HTTP request: exchange, body and reply in one allocation. It lives until its last byte is written, which
// is after the handler has returned; RequestCtx is touched only before that.
type call struct {
	gateway.Exchange
	s          *Server
	generation Generation
	dialect    *wire.Dialect
	ctx        *fasthttp.RequestCtx // valid until the handler returns
	c          *conn

	body     *[]byte // lent
	held     int64   // bytes counted in Server.inFlight
	first    gateway.Event
	w        io.Writer // where the stream is being written, for heartbeats
	err      error     // how writing the reply ended
	complete bool      // the request's body has arrived whole
	closed   bool      // the reply's stream is closed

	// delivering says that the event that ends the stream, the dialect's terminal event or an error, is being written, and
	// delivered that it was. Clients hang up as soon as they read it, which then is not leaving.
	delivered  bool
	delivering atomic.Bool
}

// header shows a request's headers to plugins.
type header struct{ h *fasthttp.RequestHeader }

// Get implements gateway.Header. Nearly every header that is asked for is missing, and fasthttp's Peek would first bring
// each name that it is asked for into its normal form.
func (h header) Get(name string) []byte {
	for key, value := range h.h.All() {
		if len(key) == len(name) && asciiFold(key, name) {
			return value
		}
	}
	return nil
}

// asciiFold says whether two field names of one length are the same in any case; a name has only ASCII (RFC 9110, 5.6.2).
func asciiFold(key []byte, name string) bool {
	for i, c := range key {
		if d := name[i]; c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// handle is fasthttp's handler: one request from its head to a reply that is ready to be written.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
	// With a write deadline of the handler's, fasthttp flushes each reply, also when a pipelined request is waiting behind
	// it: a finished answer must not wait for the next one. Our conn sets its own deadlines and ignores this one.
	_ = ctx.SetWriteDeadline(time.Time{})
	if e := s.suspicious(ctx); e != nil {
		ctx.SetConnectionClose()
		s.refuse(ctx, e)
		return
	}
	if s.preflight(ctx) {
		return
	}
	path, query := splitTarget(ctx.Request.Header.RequestURI())
	endpoints, param := s.router.find(path)
	if wantsSocket(ctx, path, endpoints) {
		s.upgrade(ctx, query, endpoints)
		return
	}
	endpoint := pick(endpoints, &ctx.Request.Header)
	if endpoint == nil || endpoint.Policy == gateway.Closed {
		s.refuse(ctx, s.noEndpoint(ctx, endpoints))
		return
	}
	if endpoint.Bytes && !ctx.Request.Header.IsHTTP11() { // before anything is paid for
		ctx.SetConnectionClose()
		s.refuse(ctx, errLength)
		return
	}
	k := &call{s: s, ctx: ctx, c: below(ctx.Conn()), generation: s.generations.Acquire(), dialect: wire.ByName(endpoint.Dialect)}
	var body gateway.Body
	if endpoint.Body != gateway.NoBody {
		body = k
	}
	k.Init(NewID(), endpoint, header{&ctx.Request.Header}, body)
	k.Directory, k.Client = k.generation.Directory(), k.c.ip
	if !ctx.Request.Header.IsHTTP11() {
		k.Request.NoStream = errHTTP10
	}
	k.c.begin(k)
	err := k.run(param, query)
	k.c.linger = (err != nil || endpoint.Body == gateway.Form) && k.unreadBody()
	if err != nil {
		k.abandon()
		k.refuse(err)
		return
	}
	k.reply()
}

// run sends the exchange through the chain; for a whole reply it also waits for its body, so that a failure can still
// be an error. fasthttp does not recover panics of handlers: one exchange must not cost the others.
func (k *call) run(param, query []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = k.panicked(r)
		}
	}()
	if e := k.target(param, query); e != nil {
		return e
	}
	err = k.generation.Serve(&k.Exchange)
	switch {
	case k.dialect == wire.OAuth && k.Reply == nil && (err == nil || gateway.AsError(err).Code == codeNoCaller):
		return errNoTokens
	case err != nil:
		return err
	case k.Reply == nil:
		return errNoReply
	}
	if k.Reply.Kind == gateway.Whole {
		if k.first, err = k.Reply.Stream.Next(); err == io.EOF { //nolint:errorlint // the contract gives it bare
			k.first, err = gateway.Event{}, nil
		}
	}
	return err
}

// codeNoCaller is what the end of the chain says of what no plugin has answered.
const codeNoCaller = "no_caller"

// target takes what steers from the request target.
func (k *call) target(param, query []byte) (e *gateway.Error) {
	if len(param) > 0 {
		if k.Request.Param, e = decodeParam(k.Request.Endpoint, param); e != nil {
			return e
		}
	}
	if len(query) > 0 {
		k.Request.Query = string(query)
		return checkQuery(k.Request.Query)
	}
	return nil
}

// reply hands the reply to fasthttp. What follows runs after the handler has returned, on the same goroutine: fasthttp
// writes the head and calls WriteTo, then Close, then flushes; and that last conn.Write, or conn.Close if the client is
// gone, ends the exchange.
func (k *call) reply() {
	r, response := k.Reply, &k.ctx.Response
	h := &response.Header
	h.SetStatusCode(r.Status)
	h.SetContentType(r.ContentType)
	setID(h, k.dialect, k.ID)
	limited := k.Rates != gateway.Rates{}
	for i := range r.Header { // names as the provider wrote them: to normalize them would cost more than to copy them
		if limited && concernsUs(r.Header[i].Name) { // or who reads them would take the gateway's limits for its own
			continue
		}
		var b [128]byte
		name := append(b[:0], r.Header[i].Name...)
		h.SetCanonical(name, append(name[len(name):], r.Header[i].Value...))
	}
	k.tellAttempts(h)
	k.tellRates(h)
	if k.dialect == wire.OAuth {
		secret(h)
	}
	k.cors()
	if r.Kind == gateway.Whole {
		k.tellCost(h)
		k.c.corked = len(k.first.Data) > 0
		response.SetBodyStream(k, len(k.first.Data))
	} else {
		if r.Kind == gateway.Events {
			h.SetCanonical(hCacheControl, noCache)
			h.SetCanonical(hAccelBuffering, noBuffering) // nginx in between must not collect events
		}
		k.c.corked = true
		response.SetBodyStream(k, -1)
	}
	if k.c.background != nil {
		k.c.background.start()
	}
	k.ctx = nil
}

// refuse hands an error to fasthttp in the place of a reply.
func (k *call) refuse(err error) {
	body := render(k.ctx, k.ID, k.dialect, gateway.AsError(err))
	k.tellAttempts(&k.ctx.Response.Header)
	k.tellRates(&k.ctx.Response.Header)
	k.cors()
	if k.c.linger && k.ctx.Request.Header.ContentLength() > drained {
		k.ctx.SetConnectionClose()
	}
	k.c.corked = true
	k.ctx.Response.SetBodyStream(&refusal{k, body, err}, len(body))
	k.ctx = nil
}

// drained is how many bytes of a body that nobody wanted fasthttp reads to use the connection again.
const drained = 256 << 10

// tellAttempts says which target answered, or failed last, how many were tried if there were several, and what the answer was
// limited to if it was.
func (k *call) tellAttempts(h *fasthttp.ResponseHeader) {
	n := len(k.Attempts())
	if n == 0 {
		return
	}
	a := k.Attempts()[n-1]
	h.SetCanonical(hProvider, []byte(a.Provider))
	if a.Model != "" { // files and batches have none
		h.SetCanonical(hModel, []byte(a.Model))
	}
	if n > 1 {
		h.SetCanonical(hAttempts, strconv.AppendInt(nil, int64(n), 10))
	}
	if a.MaxTokens > 0 {
		h.SetCanonical(hMaxTokens, strconv.AppendInt(nil, a.MaxTokens, 10))
	}
}

// tellCost says what a whole reply cost, if that is known. The head of a stream is written before its usage comes.
func (k *call) tellCost(h *fasthttp.ResponseHeader) {
	if len(k.Attempts()) == 0 {
		return
	}
	if c := k.Cost(); c.Known {
		var b [24]byte
		h.SetCanonical(hCost, c.AppendUSD(b[:0]))
	}
}

// abandon closes a reply that is not delivered.
func (k *call) abandon() {
	if k.Reply == nil || k.closed {
		return
	}
	k.closed = true
	defer func() {
		if r := recover(); r != nil {
			_ = k.panicked(r)
		}
	}()
	if err := k.Reply.Stream.Close(); err != nil {
		k.s.o.Log.Debug("closing a reply", zap.String("id", k.ID), zap.Error(err))
	}
}

// end is called once, by conn, after the last byte.
func (k *call) end(err error) {
	for _, p := range k.End(err) {
		k.s.o.Log.Error("a plugin failed at the end of an exchange", zap.String("id", k.ID), zap.Error(p))
	}
	k.generation.Release()
}

func (k *call) panicked(r any) error {
	k.s.o.Log.Error("panic in an exchange", zap.String("id", k.ID), zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
	return fmt.Errorf("panic: %v", r)
}

// NewID mints a request id: 96 random bits, so that it is unique among all processes. Nobody needs it to be hard to guess.
// It is no counter, because all cores would wait for each other's turn at it.
func NewID() string {
	var b [28]byte
	copy(b[:], "req_")
	hexDigits(b[4:12], uint64(rand.Uint32())) //nolint:gosec // see above
	hexDigits(b[12:], rand.Uint64())          //nolint:gosec // see above
	return string(b[:])
}

func hexDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[v&15]
		v >>= 4
	}
}
