package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// route is how one endpoint is served: immutable, shared by all exchanges.
type route struct {
	native   bool          // the provider has the endpoint; otherwise the conversation is translated
	kept     bool          // the answer is stored here, and the provider not asked
	dialect  *wire.Dialect // that is spoken with the provider
	endpoint string        // of the provider's that is asked
	method   string
	path     string // below the base URL, up to the id
	behind   string // the id
	id       bool   // there is one
	asks     bool   // a stream's usage must be asked for
	ids      bool   // the reply has ids that must lead back to this provider
	answer   bool   // the reply is a response, whose id must lead back to the provider's key if there are several
	images   bool   // a stream ends with the last of the images that were asked for
	embeds   bool   // the answer has embeddings
	merges   bool   // small requests may go together
	file     bool   // a successful reply is somebody's file, whatever is in it
	response bool   // it is about a response that the provider keeps, or goes on from one
	terminal bool   // the provider never leaves out its dialect's terminal event
	noted    bool   // the provider keeps the answer, and only its id is remembered

	converses bool // the answer is a conversation's, whose least is known

	calls *route // of a translation to chat completions: where functions are called, see Kind.CallsInResponses; or nil

	// forwarded are the request headers that pass to the provider when the caller sent them, with what is sent otherwise.
	// Everything else stays here.
	forwarded []gateway.Field
}

// escapedMark is for clients that escape in a query what needs no escape.
var escapedMark = strings.NewReplacer("%7E", "~", "%7e", "~")

const maxForwarded = 512 // bytes of a forwarded header's value

// routes is the table of what a provider serves.
func (k *Kind) routes(c *Config) map[string]*route {
	endpoints := c.Endpoints
	table := map[string]*route{}
	serves := k.Serves()
	speaks := slices.IndexFunc(endpoints, func(e gateway.Endpoint) bool { return e.Name == k.speaks() })
	for i := range endpoints {
		e := &endpoints[i]
		if _, ok := serves[e.Name]; e.Forward == "" || !ok || table[e.Name] != nil { // where callers speak two dialects, providers speak the first
			continue
		}
		r := &route{native: serves[e.Name], method: e.Method}
		at := e
		if !r.native {
			if speaks < 0 {
				continue
			}
			at = &endpoints[speaks]
			r.kept = strings.HasPrefix(e.Name, "responses.") && e.Name != createResponse
		}
		r.dialect, r.endpoint = wire.ByName(at.Dialect), at.Name
		r.path, r.behind, r.id = strings.Cut(at.Forward, "{id}")
		r.asks = c.AskUsage && !k.Quirks.NoStreamOptions && (e.Name == "chat.completions" || e.Name == "completions")
		r.ids = strings.HasPrefix(e.Name, "files.") && !e.Bytes || strings.HasPrefix(e.Name, "batches.")
		r.converses = at.Name == chatCompletions || at.Name == messages || at.Name == createResponse
		r.images = strings.HasPrefix(e.Name, "images.")
		r.file = e.Bytes && e.Method == "GET"
		r.embeds = r.native && e.Name == "embeddings"
		r.merges = r.embeds && c.Merge.Window > 0
		r.response = r.native && at.Dialect == "responses"
		r.terminal = k.Name == "anthropic" // its documents and SDKs know no other end than message_stop
		r.noted = r.native && e.Name == createResponse
		r.answer = slices.Contains(stored[:4], e.Name)
		r.forwarded = forwarded(at.Dialect)
		r.calls = k.calls(r, endpoints)
		table[e.Name] = r
	}
	return table
}

// calls is the route of a translation to chat completions that goes to Responses instead; nil if there is none.
func (k *Kind) calls(r *route, endpoints []gateway.Endpoint) *route {
	i := slices.IndexFunc(endpoints, func(e gateway.Endpoint) bool { return e.Name == createResponse })
	if i < 0 || r.native || r.endpoint != chatCompletions || !slices.Contains(k.Native, createResponse) {
		return nil
	}
	c := *r
	c.dialect, c.endpoint, c.path = wire.ByName(endpoints[i].Dialect), createResponse, endpoints[i].Forward
	return &c
}

// callsInResponses says whether the provider's chat completions refuse a request that Responses take. Tools that another
// provider runs are left out there, and refused here.
func (k *Kind) callsInResponses(q *chat.Request, model string) bool {
	return len(q.Tools) > 0 && !slices.ContainsFunc(q.Tools, func(t chat.Tool) bool { return t.Kind == chat.Hosted }) &&
		slices.ContainsFunc(k.CallsInResponses, func(name string) bool { return strings.HasPrefix(model, name) })
}

func forwarded(dialect string) []gateway.Field {
	if dialect == "anthropic" {
		return []gateway.Field{{Name: "Anthropic-Version", Value: "2023-06-01"}, {Name: "Anthropic-Beta"}, {Name: "X-Client-Request-Id"}}
	}
	return []gateway.Field{{Name: "Openai-Beta"}, {Name: "X-Client-Request-Id"}}
}

// appendTarget adds the method and the request target. Paths come from the table alone: of the caller's there is only an
// id, escaped, and the query, which the transport has checked.
func (r *route) appendTarget(b []byte, p *Provider, x *gateway.Exchange, model string) []byte {
	b = append(append(append(b, r.method...), ' '), p.target...)
	if p.c.Kind.Quirks.Deployments && model != "" {
		b = append(append(b, "/deployments/"...), url.PathEscape(model)...)
	}
	b = append(b, r.path...)
	if r.id {
		id, _ := gateway.SplitID(x.Request.Param)
		b = append(append(b, url.PathEscape(id)...), r.behind...)
	}
	mark := byte('?')
	for _, q := range [...]string{p.c.Query, r.query(x)} {
		if q != "" {
			b = append(append(b, mark), q...)
			mark = '&'
		}
	}
	return b
}

// query is the caller's, without the part of ids that says who holds them.
func (r *route) query(x *gateway.Exchange) string {
	if !r.native || !r.ids {
		if !r.native {
			return ""
		}
		return x.Request.Query
	}
	query := x.Request.Query
	if r.asksFiles(x) {
		query = page(query)
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		if strings.HasPrefix(p, "after=") || strings.HasPrefix(p, "before=") {
			parts[i], _ = gateway.SplitID(escapedMark.Replace(p))
		}
	}
	return strings.Join(parts, "&")
}

// write sends the request: body with the edits spliced in, and behind it the rest of a form. Up to copyBody in one system
// call, after which the first bytes of the answer may have been read, too.
func (st *stream) write(s *sender, body []byte, edits []peek.Edit) error {
	c, x, p := st.c, st.x, s.p
	size := peek.Size(body, edits)
	room := 1024 + len(p.target) + len(p.head) + len(s.auth) + len(x.Request.Query)
	if size <= copyBody {
		room += size
	}
	lent := buf.Get(room)
	defer buf.Put(lent)
	b := st.r.appendTarget((*lent)[:0], p, x, st.attempt.Model)
	b = append(append(b, p.head...), s.auth...)
	b = st.r.appendForwarded(b, x, st.attempt)
	if st.r.method == "POST" {
		b = st.appendLength(b, int64(size), int64(size-len(body)))
	}
	b = append(b, "\r\n"...)
	if c.reused && c.raw != nil && size <= copyBody && x.Request.Rest() == nil {
		st.expectHead()
		return c.exchange(peek.Append(b, body, edits), st.headWithin, st.total)
	}
	if c.reused && !c.quiet() {
		return errStale
	}
	c.armSend()
	if rest := x.Request.Rest(); rest != nil && st.r.native {
		return st.writeForm(b, body, edits, rest)
	}
	if size <= copyBody {
		b = peek.Append(b, body, edits)
		_, err := c.c.Write(b)
		return writeError(err)
	}
	return writeLarge(c, b, body, edits)
}

// appendLength adds the header lines that say what the body is: size bytes, of which edits added some, and the rest of a
// form.
func (st *stream) appendLength(b []byte, size, edited int64) []byte {
	r, kind := &st.x.Request, "application/json"
	if form := r.ContentType(); form != "" && st.r.native {
		if kind = form; r.Rest() != nil {
			if size = r.Size(); size >= 0 {
				size += edited
			}
		}
	}
	b = append(append(append(b, "Content-Type: "...), kind...), "\r\n"...)
	if size < 0 {
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(strconv.AppendInt(append(b, "Content-Length: "...), size, 10), "\r\n"...)
}

// writeLarge does not copy the body: the pieces between the edits go out as they are. b is what is to be written before.
func writeLarge(c *conn, b, body []byte, edits []peek.Edit) error {
	at := 0
	for _, e := range edits {
		if len(b) > 0 && e.At-at > copyBody {
			if _, err := c.c.Write(b); err != nil {
				return writeError(err)
			}
			b = b[:0]
			if _, err := c.c.Write(body[at:e.At]); err != nil {
				return writeError(err)
			}
		} else {
			b = append(b, body[at:e.At]...)
		}
		b = append(b, e.Text...)
		at = e.End
	}
	if _, err := c.c.Write(b); err != nil {
		return writeError(err)
	}
	_, err := c.c.Write(body[at:])
	return writeError(err)
}

// writeForm sends a form of which only the beginning is held, as its rest comes from the caller. The caller's pace bounds
// it, so each write gets its own deadline.
func (st *stream) writeForm(head, body []byte, edits []peek.Edit, rest io.Reader) error {
	chunked := st.x.Request.Size() < 0
	if _, err := st.c.c.Write(head); err != nil {
		return writeError(err)
	}
	lent := buf.Get(copyBody)
	defer buf.Put(lent)
	if err := st.writeEdited(*lent, body, edits, chunked); err != nil {
		return err
	}
	for {
		n, err := rest.Read((*lent)[:cap(*lent)])
		over := errors.Is(err, io.EOF)
		if err != nil && !over {
			return callerError{err}
		}
		if err := st.writePiece((*lent)[:n], chunked); err != nil {
			return err
		}
		if over && chunked {
			_, err = st.c.c.Write([]byte("0\r\n\r\n"))
			return writeError(err)
		}
		if over {
			return nil
		}
	}
}

// writeEdited sends a body with the edits spliced in by way of b: no other copy of it is made.
func (st *stream) writeEdited(b, body []byte, edits []peek.Edit, chunked bool) error {
	b = b[:0]
	for part := range spliced(body, edits) {
		for len(part) > 0 {
			n := min(len(part), cap(b)-len(b))
			b, part = append(b, part[:n]...), part[n:]
			if len(b) < cap(b) {
				continue
			}
			if err := st.writePiece(b, chunked); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	return st.writePiece(b, chunked)
}

// spliced is a body with the edits spliced in, part by part.
func spliced(body []byte, edits []peek.Edit) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		at := 0
		for _, e := range edits {
			if !yield(body[at:e.At]) || !yield([]byte(e.Text)) {
				return
			}
			at = e.End
		}
		yield(body[at:])
	}
}

func (st *stream) writePiece(piece []byte, chunked bool) error {
	if len(piece) == 0 {
		return nil
	}
	if headers := st.p.c.Timeouts.Headers; headers > 0 {
		st.c.armWrite(gateway.Now().Add(headers), headers)
	}
	if chunked {
		piece = append(append(append(strconv.AppendInt(nil, int64(len(piece)), 16), "\r\n"...), piece...), "\r\n"...)
	}
	_, err := st.c.c.Write(piece)
	return writeError(err)
}

// callerError is a failure to read what the caller still sends: not the provider's fault.
type callerError struct{ error }

// Unwrap gives the error, an *gateway.Error or the cause of the cancellation.
func (e callerError) Unwrap() error { return e.error }

func (r *route) appendForwarded(b []byte, x *gateway.Exchange, a *gateway.Attempt) []byte {
	identified := false
	for _, f := range r.forwarded {
		name, v := f.Name, x.Request.Header.Get(f.Name)
		if !r.native && f.Value != "" || len(v) == 0 || len(v) > maxForwarded || hasControl(v) {
			v = []byte(f.Value)
		}
		if len(v) == 0 {
			continue
		}
		b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		identified = identified || name == "X-Client-Request-Id"
	}
	b = appendTrace(b, x, a)
	if key := x.Request.Header.Get("Idempotency-Key"); len(key) > 0 {
		b = append(append(append(b, "Idempotency-Key: "...), idempotencyKey(x, a, key)...), "\r\n"...)
	}
	if !identified { // the provider's support can then find the request by the id that our caller has
		b = append(append(append(b, "X-Client-Request-Id: "...), x.ID...), "\r\n"...)
	}
	return b
}

// appendTrace tells the provider of the trace that the exchange is in (W3C Trace Context). The caller's baggage stays here: it may
// be about anything.
func appendTrace(b []byte, x *gateway.Exchange, a *gateway.Attempt) []byte {
	if x.Trace.IsZero() {
		return b
	}
	b = append(x.AppendTraceparent(append(b, "Traceparent: "...), a), "\r\n"...)
	if x.Trace.Parent.IsZero() {
		return b
	}
	if state := x.Request.Header.Get("Tracestate"); len(state) > 0 && len(state) <= maxForwarded && !hasControl(state) {
		b = append(append(append(b, "Tracestate: "...), state...), "\r\n"...)
	}
	return b
}

// hasControl says whether there is a control character, which would end the field or could be taken for its end.
func hasControl(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

// idempotencyKey is the caller's key as the provider sees it. Tenants share the account, so two of them with the same key
// must not get one answer; and neither must two targets, whose requests differ.
func idempotencyKey(x *gateway.Exchange, a *gateway.Attempt, key []byte) string {
	h := sha256.New()
	parts := []string{string(x.Caller.Tenant.ID), a.Provider, a.Model, string(key)}
	if begun := x.Request.Begun(); begun != nil { // the rest of an answer is not the answer
		parts = append(parts, string(begun))
	}
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
