package upstream

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// sender is a provider called with one key.
type sender struct {
	p    *Provider
	auth string // the whole header line
}

var _ gateway.Sender = (*sender)(nil)

// forwarded are the request headers that pass to the provider when the caller sent them; everything else stays here.
var forwarded = [...]string{"Openai-Beta", "X-Client-Request-Id"}

const (
	maxForwarded = 512      // bytes of a forwarded header's value
	maxHead      = 64 << 10 // bytes of a reply's head
	copyBody     = 64 << 10 // bodies up to this go out in one buffer with their head, larger ones behind it
)

// Send makes one attempt. It repeats it only on a reused connection that the provider closed before a single byte came
// back: then the request met a connection that was closing, and was not begun.
func (s *sender) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	for fresh := false; ; fresh = true {
		c, err := s.connection(x, fresh)
		if err != nil {
			return nil, s.fault(x, err, false)
		}
		if !x.Attach(c) {
			c.close()
			return nil, s.fault(x, errCanceled, false)
		}
		st := &stream{c: c, x: x, p: s.p, attempt: a}
		err = st.begin(s, a.Model)
		if err == nil {
			st.recordFirst()
			return &st.reply, nil
		}
		stale := c.reused && c.got == 0 && isClosed(err) && x.Err() == nil
		if !stale {
			a.Status, a.Usage, a.RequestID = st.reply.Status, st.usage, st.requestID
		}
		x.Detach(c)
		c.close()
		if !stale {
			return nil, s.fault(x, err, true)
		}
		a.Resent = true
	}
}

func (s *sender) connection(x *gateway.Exchange, fresh bool) (*conn, error) {
	if !fresh {
		if c := s.p.take(); c != nil {
			return c, nil
		}
	}
	return s.p.connect(x.Context())
}

// isClosed says whether an error means that the provider ended the connection.
func isClosed(err error) bool {
	return errors.Is(err, errClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// begin writes the request and waits for the reply to begin.
func (st *stream) begin(s *sender, model string) error {
	st.strip = st.asksUsage()
	edits := st.x.Request.Fields().Edits(st.edits[:0], model, st.strip)
	st.setDeadlines()
	err := st.write(s, edits)
	if err != nil && (!isClosed(err) || st.c.reused) {
		return err
	}
	// If the provider closed while it was written to, it may have answered (413, 401) before it read everything.
	if headErr := st.readHead(); headErr != nil {
		return cmp.Or(err, headErr)
	}
	return st.prime()
}

// asksUsage says whether the usage of a stream must be asked for on the caller's behalf; the event that carries it is
// then taken out again.
func (st *stream) asksUsage() bool {
	f := st.x.Request.Fields()
	return st.p.c.AskUsage && f.Stream && !f.IncludeUsage
}

func (st *stream) setDeadlines() {
	now, t := gateway.Now(), &st.p.c.Timeouts
	if t.Total > 0 {
		st.total = now.Add(t.Total)
	}
	if d := st.x.Deadline(); d != 0 && (st.total == 0 || d < st.total) {
		st.total = d
	}
}

// write sends the request: the caller's bytes with the edits spliced in. Up to copyBody in one system call.
func (st *stream) write(s *sender, edits []peek.Edit) error {
	c, x, p := st.c, st.x, s.p
	body := x.Request.Body()
	size := peek.Size(body, edits)
	room := 1024 + len(p.target) + len(p.head) + len(s.auth)
	if size <= copyBody {
		room += size
	}
	lent := buf.Get(room)
	defer buf.Put(lent)
	b := append((*lent)[:0], "POST "...)
	b = append(append(b, p.target...), x.Request.Endpoint.Forward...)
	b = append(append(b, p.head...), s.auth...)
	b = appendForwarded(b, x, st.attempt)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(b, "\r\n\r\n"...)
	if headers := p.c.Timeouts.Headers; headers > 0 {
		c.armWrite(gateway.Now().Add(headers), headers)
	}
	if size <= copyBody {
		b = peek.Append(b, body, edits)
		_, err := c.c.Write(b)
		return writeError(err)
	}
	// A large body is not copied: the pieces between the edits go out as they are.
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

// writeError names the phase when the provider does not take the request.
func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSending
	}
	return err
}

func appendForwarded(b []byte, x *gateway.Exchange, a *gateway.Attempt) []byte {
	identified := false
	for _, name := range forwarded {
		v := x.Request.Header.Get(name)
		if len(v) == 0 || len(v) > maxForwarded || bytes.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			continue
		}
		b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		identified = identified || name == "X-Client-Request-Id"
	}
	if key := x.Request.Header.Get("Idempotency-Key"); len(key) > 0 {
		b = append(append(append(b, "Idempotency-Key: "...), idempotencyKey(x, a, key)...), "\r\n"...)
	}
	if !identified { // the provider's support can then find the request by the id that our caller has
		b = append(append(append(b, "X-Client-Request-Id: "...), x.ID...), "\r\n"...)
	}
	return b
}

// idempotencyKey is the caller's key as the provider sees it. Tenants share the account, so two of them with the same key
// must not get one answer; and neither must two targets, whose requests differ.
func idempotencyKey(x *gateway.Exchange, a *gateway.Attempt, key []byte) string {
	h := sha256.New()
	for _, part := range []string{x.Caller.Tenant.ID, a.Provider, a.Model, string(key)} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// fault makes the error that forward decides on and a caller may see.
func (s *sender) fault(x *gateway.Exchange, err error, sent bool) error {
	if x.Err() != nil {
		return x.Cause()
	}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		return known
	}
	e := &gateway.Error{
		Status: 502, Type: gateway.TypeServer, Err: err, Origin: gateway.OriginUpstream, Sent: sent,
	}
	var timeout *timeoutError
	switch {
	case !sent:
		e.Code, e.Message = gateway.CodeUnreachable, "The provider \""+s.p.c.Name+"\" could not be reached."
		if errors.As(err, &timeout) {
			e.Status = 504
		}
	case errors.As(err, &timeout):
		e.Status, e.Code = 504, gateway.CodeTimeout
		e.Message = "The provider \"" + s.p.c.Name + "\" did not answer in time: " + timeout.phase + " took too long."
	case isClosed(err) || errors.Is(err, errCut):
		e.Code, e.Message = gateway.CodeCut, "The provider \""+s.p.c.Name+"\" broke off before its answer was complete."
	default:
		e.Code, e.Message = gateway.CodeBadResponse, "The provider \""+s.p.c.Name+"\" gave an answer that is not valid."
	}
	return e
}
