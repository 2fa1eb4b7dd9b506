package upstream

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// sender is a provider called with one key.
type sender struct {
	p    *Provider
	auth string // the whole header line

	merger merger // of requests for embeddings
}

var _ gateway.Sender = (*sender)(nil)

const (
	maxHead  = 64 << 10 // bytes of a reply's head
	copyBody = 64 << 10 // bodies up to this go out in one buffer with their head, larger ones behind it
)

// Send makes one attempt.
func (s *sender) Send(x *gateway.Exchange, at *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	r, ok := s.p.routes[x.Request.Endpoint.Name]
	switch {
	case !ok:
		return nil, s.impossible(errEndpoint)
	case r.id && isDots(x.Request.Param), s.p.c.Kind.Quirks.Deployments && a.Model != "" && isDots(a.Model):
		return nil, errDots
	case r.native && x.Caller.Restricted() && s.p.namesModels(x):
		return nil, errOtherModels
	case r.kept:
		return s.p.kept(x)
	case r.native && r.merges:
		if reply, together, err := s.merger.embed(x, r, a); together {
			return reply, err
		}
		return s.send(x, a, r, nil)
	case r.native:
		if err := s.p.mayAsk(x, r); err != nil {
			return nil, err
		}
		if x.Request.Begun() != nil && !s.p.prefills(r, a, x.Request.Body()) {
			return nil, s.impossible(errPrefill)
		}
		reply, err := s.send(x, a, r, nil)
		if err == nil {
			s.p.mark(reply, r, at)
		}
		return reply, err
	}
	var t translation
	defer t.free(&x.Request)
	if err := s.translate(&t, x, r, a); err != nil {
		return nil, err
	}
	return s.send(x, a, t.r, &t)
}

// isDots says whether an id, or the name of a deployment, would lead out of its place in a path (RFC 3986, section 5.2.4).
func isDots(held string) bool {
	id, _ := gateway.SplitID(held)
	return strings.Trim(id, ".") == ""
}

var errDots = &gateway.Error{
	Status: 404, Type: gateway.TypeInvalidRequest, Code: "not_found", Origin: gateway.OriginClient, Message: "There is nothing with this id.",
}

// namesModels says whether a request names models beside the one that was allowed.
func (p *Provider) namesModels(x *gateway.Exchange) bool {
	return slices.ContainsFunc(p.c.Kind.Quirks.Models, func(name string) bool {
		return peek.Find(x.Request.Body(), []byte(`"`+name+`"`)) != nil
	})
}

var errOtherModels = &gateway.Error{
	Status: 403, Type: gateway.TypePermission, Code: "model_not_allowed", Param: "models", Origin: gateway.OriginClient,
	Message: "The request names models beside \"model\", and you may use only some. Name one model.",
}

// send repeats the attempt only on a reused connection that the provider closed before a single byte came back: then the
// request met a connection that was closing, and was not begun. t is nil if the provider speaks the caller's dialect.
func (s *sender) send(x *gateway.Exchange, a *gateway.Attempt, r *route, t *translation) (*gateway.Reply, error) {
	for fresh := false; ; {
		st := &stream{x: x, p: s.p, r: r, attempt: a}
		var edits []peek.Edit
		if t == nil {
			var err error
			if edits, err = st.prepare(); err != nil {
				return nil, s.impossible(err)
			}
		}
		c, err := s.connection(x, fresh)
		if err != nil {
			return nil, s.fault(x, err, false)
		}
		if !x.Attach(c) {
			c.close()
			return nil, s.fault(x, errCanceled, false)
		}
		st.c = c
		err = st.begin(s, t, edits)
		if err == nil {
			return &st.reply, nil
		}
		if errors.Is(err, errStale) { // nothing was sent
			x.Detach(c)
			c.close()
			continue
		}
		stale := c.reused && c.got == 0 && isClosed(err) && x.Err() == nil && !x.Request.Spent()
		if !stale {
			a.Status, a.Usage, a.RequestID = st.reply.Status, st.usage, st.requestID
		}
		x.Detach(c)
		c.close()
		if !stale {
			return nil, s.fault(x, err, true)
		}
		a.Resent, fresh = true, true
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

// begin writes the request, of which edits are what changes in the caller's body, and waits for the reply to begin.
func (st *stream) begin(s *sender, t *translation, edits []peek.Edit) error {
	st.setDeadlines()
	st.attempt.Sent = true
	body := st.x.Request.Body()
	if t != nil {
		body = *t.body
	}
	err := st.write(s, body, edits)
	if err != nil && (!isClosed(err) || st.c.reused) {
		return err
	}
	// If the provider closed while it was written to, it may have answered (413, 401) before it read everything.
	if headErr := st.readHead(); headErr != nil {
		return cmp.Or(err, headErr)
	}
	if err := st.prime(); err != nil {
		return err
	}
	st.recordFirst()
	st.reply.Header = append(st.reply.Header, dropped(st.dropped)...)
	if t != nil {
		return t.wrap(st)
	}
	if st.reply.Kind == gateway.Events && st.r.dialect != wire.OpenAI {
		st.reply.Failure = st.failNative
	}
	switch {
	case st.r.asksFiles(st.x):
		return st.asFiles()
	case st.mended():
		ev, _ := st.Next() // it is there
		return st.render(ev.Data)
	case st.r.noted && st.reply.Status < 300:
		st.p.note(st.x, st.event)
	}
	return nil
}

// asksUsage says whether the usage of a stream must be asked for on the caller's behalf; the event that carries it is
// then taken out again.
func (st *stream) asksUsage() bool {
	f := st.x.Request.Fields()
	return st.r.asks && f.Stream && !f.IncludeUsage
}

func (st *stream) setDeadlines() {
	if d := st.p.c.Timeouts.Total; d > 0 {
		st.total = gateway.Now().Add(d)
	}
	if d := st.x.Deadline(); d != 0 && (st.total == 0 || d < st.total) {
		st.total = d
	}
}

// writeError names the phase when the provider does not take the request.
func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSending
	}
	return err
}

// fault makes the error that forward decides on and a caller may see.
func (s *sender) fault(x *gateway.Exchange, err error, sent bool) error {
	if x.Err() != nil {
		return x.Cause()
	}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		return known
	}
	if from, ok := errors.AsType[callerError](err); ok {
		return from.error
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
