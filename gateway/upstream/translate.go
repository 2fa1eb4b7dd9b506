package upstream

import (
	"errors"
	"io"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// translation is an exchange whose provider speaks another dialect than the caller does: the request goes through the
// neutral form to the provider's dialect, the reply back to the caller's.
type translation struct {
	from, to *wire.Dialect // the caller's and the provider's
	r        *route        // to the provider
	q        *chat.Request // what was asked, with the conversation that it continues
	own      *chat.Request // without that conversation
	body     *[]byte       // of the request to the provider; lent
	held     int64         // bytes of it, and of own, that are counted
	dropped  []string      // parameters that the provider has no place for
}

// translate encodes the caller's request for the provider. The error is an *Error: the request is wrong, or asks for what
// this provider does not have, or there is no room for another copy of it at the moment. Whatever it is, free is called.
func (s *sender) translate(t *translation, x *gateway.Exchange, r *route, a *gateway.Attempt) error {
	q, err := s.p.read(x)
	if err != nil {
		return err
	}
	if t.r = r; r.calls != nil && s.p.c.Kind.callsInResponses(q, a.Model) {
		t.r = r.calls
	}
	t.from, t.to, t.own = wire.ByName(x.Request.Endpoint.Dialect), t.r.dialect, q
	// It is there already: many small things hold several times what they took in the body. But no more requests are read at
	// a time than there are processors, and the rest of the way is long.
	if err := t.take(&x.Request, q.Size()); err != nil {
		return err
	}
	if t.q, err = s.p.continued(x, q); err != nil {
		return err
	}
	target := s.p.describe(a)
	target.NoSampling = refusesSampling(a.Known, &t.q.Reasoning)
	target.AskUsage = true // the ledger needs it, and the caller's encoder leaves it out where nobody asked
	asked := t.q
	if n := a.MaxTokens; n > 0 {
		if asked, err = clamped(t.q, n, t.to); err != nil {
			return s.impossible(err)
		}
	}
	t.body = buf.Get(len(x.Request.Body()) + 256)
	*t.body, t.dropped, err = t.to.AppendRequest((*t.body)[:0], asked, &target)
	if err != nil {
		return s.impossible(err)
	}
	if err := t.leaveOut(&s.p.c.Kind.Quirks, target.Refuse); err != nil {
		return s.impossible(err)
	}
	if x.Request.Begun() != nil {
		if !s.p.prefills(t.r, a, *t.body) {
			return s.impossible(errPrefill)
		}
		t.begun(&s.p.c.Kind)
	}
	return t.take(&x.Request, int64(cap(*t.body))) // it may have got larger than what was lent
}

// take counts more bytes of the request.
func (t *translation) take(r *gateway.Request, n int64) error {
	err := r.Take(n)
	if err == nil {
		t.held += n
	}
	return err
}

// leaveOut takes out of the body what its dialect knows and this provider refuses.
func (t *translation) leaveOut(q *Quirks, refuse bool) error {
	if t.to != wire.OpenAI {
		return nil
	}
	m := members{body: *t.body, quirks: q}
	if e := m.edits(nil); len(e) > 0 {
		*t.body = append((*t.body)[:0], peek.Append(nil, *t.body, e)...)
	}
	if refuse && len(m.dropped) > 0 {
		return refuseDropped(m.dropped)
	}
	t.dropped = append(t.dropped, m.dropped...)
	return nil
}

// free gives the body back. It may be called again.
func (t *translation) free(r *gateway.Request) {
	if t.held > 0 {
		r.Give(t.held)
	}
	buf.Put(t.body)
	t.body, t.held = nil, 0
}

// impossible is the error for a request that cannot be said in the provider's dialect. Another target may be able to.
func (s *sender) impossible(err error) error {
	e := &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: gateway.CodeUnsupported, Origin: gateway.OriginClient, NoRetry: true,
		Message: "The provider \"" + s.p.c.Name + "\" cannot do what the request asks for: " + err.Error(),
	}
	if c, ok := errors.AsType[*chat.Error](err); ok {
		e.Param = c.Param
	}
	return e
}

// wrap makes the reply into one in the caller's dialect.
func (t *translation) wrap(st *stream) error {
	r := &st.reply
	r.Header = append(r.Header, dropped(t.dropped)...)
	switch {
	case r.Status >= 300:
		return t.wrapError(st)
	case r.Kind == gateway.Events:
		w := &translated{st: st, decoder: t.to.NewDecoder(), encoder: t.from.NewEncoder(t.own), repeats: t.from == wire.Responses}
		if st.p.keeps(st.x, t.q) {
			w.kept = &conversation{asked: t.q, own: t.own}
			if begun := st.x.Request.Begun(); begun != nil {
				w.kept.whole = &wholeAnswer{begun: begun, encoder: t.from.NewEncoder(t.own)}
			}
		}
		r.Stream, r.Failure = w, w.fail
		if w.pull(); w.err != nil { // nobody has heard of it yet, so another provider may be asked
			w.release()
			return w.err
		}
		return nil
	}
	ev, err := st.Next()
	if err != nil {
		return err
	}
	reply, err := t.to.DecodeReply(ev.Data)
	if err != nil {
		st.err = st.unreadable(err)
		return st.err
	}
	name(st.x, &reply.Head)
	r.ContentType = "application/json"
	out := t.from.AppendReply(make([]byte, 0, len(ev.Data)+512), t.own, reply)
	if st.p.keeps(st.x, t.q) {
		st.p.remember(st.x, &conversation{asked: t.q, own: t.own}, reply, out)
	}
	return st.render(out)
}

// name gives a reply what its dialect does not: when it was made, and for a response, which may be asked for again, an id
// that no other has. Providers' own need not be unique.
func name(x *gateway.Exchange, h *chat.Head) {
	if h.Created == 0 {
		h.Created = x.Start.Time().Unix()
	}
	if x.Request.Endpoint.Name == createResponse {
		h.ID = gateway.ResponseID(x.ID)
	}
}

// wrapError renders an error reply in the caller's dialect. What the provider says in no dialect stays as it is; forward
// replaces it.
func (t *translation) wrapError(st *stream) error {
	ev, err := st.Next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	r := &st.reply
	said, ok := t.to.DecodeError(ev.Data)
	said.Status = r.Status
	if r.Status == statusOverloaded && t.from.Name != "anthropic" {
		r.Status = 503
	}
	if !ok {
		r.Stream = &rendered{stream: st, data: ev.Data}
		return nil
	}
	r.ContentType = "application/json"
	return st.render(t.from.AppendError(nil, said))
}

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

// dropped is the header that names the parameters which the provider did not get. The codecs bound the names, see
// [chat.Dropped].
func dropped(names []string) []gateway.Field {
	if len(names) == 0 {
		return nil
	}
	return []gateway.Field{{Name: "x-sluice-dropped", Value: strings.Join(names, ", ")}}
}

// rendered is a whole reply with another body: that of the stream was read.
type rendered struct {
	*stream
	data  []byte
	held  int64 // bytes of it that are counted
	given bool
}

// render makes data the body of a whole reply. It is counted in the place of what it was made of, which nobody needs any
// more. The error says that there is no room for it.
func (st *stream) render(data []byte) error {
	if st.state == bodyOver && st.next == len(*st.c.buf) { // more would be nobody's, and the connection's end
		st.c.dropBuffer()
	}
	r := &rendered{stream: st, data: data}
	if n := int64(cap(data)); n > uncounted {
		if err := st.p.c.Budget.take(n); err != nil {
			return err
		}
		r.held = n
	}
	st.reply.Stream = r
	return nil
}

// Next implements gateway.Stream.
func (r *rendered) Next() (gateway.Event, error) {
	if !r.given && len(r.data) > 0 {
		r.given = true
		return gateway.Event{Data: r.data}, nil
	}
	return r.stream.Next()
}

// Ready implements gateway.Stream.
func (r *rendered) Ready() bool { return !r.given || r.stream.Ready() }

// Close implements gateway.Stream.
func (r *rendered) Close() error {
	r.p.c.Budget.give(r.held)
	r.held = 0
	return r.stream.Close()
}

// translated is a stream whose events are made of the provider's.
type translated struct {
	st      *stream
	decoder chat.Decoder
	encoder chat.Encoder
	head    chat.Head
	pieces  []chat.Piece
	batch   chat.Batch
	err     error         // behind what is in the batch
	kept    *conversation // what the answer belongs to, if it is to be stored; nil: it is not
	said    chat.Collector

	length  int64 // bytes of all that has been said
	repeats bool  // the encoder keeps it, to repeat it at the end
	held    int64 // bytes of it that are counted in the budget, twice where they are also gathered to be stored
	waiting int64 // bytes of events that are counted: they were made, and not all are given
}

var _ gateway.Stream = (*translated)(nil)

// Next implements gateway.Stream.
func (w *translated) Next() (gateway.Event, error) {
	for {
		if name, data, ok := w.batch.Next(); ok {
			return gateway.Event{Name: name, Data: data}, nil
		}
		if w.err != nil {
			return gateway.Event{}, w.err
		}
		w.batch.Reset()
		if cap(w.batch.Buf) > mostKept {
			w.batch.Buf = nil
			w.st.p.c.Budget.give(w.waiting)
			w.waiting = 0
		}
		w.pull()
	}
}

// mostKept is how large the buffer for translated events may be while a stream waits. Few events need more: those with which
// the Responses API begins, which repeat the request's instructions and tools twice.
const mostKept = 8 << 10

// Ready implements gateway.Stream. What it gathers is added behind the last event, which stays as it is.
func (w *translated) Ready() bool {
	for w.batch.Empty() && w.err == nil && w.st.Ready() {
		w.pull()
	}
	return !w.batch.Empty() || w.err != nil
}

// pull translates one event of the provider's.
func (w *translated) pull() {
	ev, err := w.st.Next()
	if err != nil {
		w.err = err
		return
	}
	w.pieces, err = w.decoder.Decode(w.pieces[:0], ev.Name, ev.Data)
	for i := range w.pieces {
		p := &w.pieces[i]
		if tooMuch := w.gather(p); tooMuch != nil {
			w.err, w.st.err = tooMuch, tooMuch
			return
		}
		if p.Kind == chat.PieceBegin && p.Head != nil {
			w.head = *p.Head
			name(w.st.x, &w.head)
			p.Head = &w.head
		}
		w.encoder.Encode(&w.batch, p)
		if w.kept == nil {
			continue
		}
		last := w.batch.Last()
		w.said.Add(p)
		if all := w.kept.whole; all != nil {
			last = all.add(p, &w.said)
		}
		if p.Kind == chat.PieceEnd {
			w.st.p.remember(w.st.x, w.kept, w.said.Reply(), peek.Find(last, []byte(`"response"`)))
		}
	}
	// Large events are there already, and may be the last ones: refusing them would save nothing.
	if n := int64(cap(w.batch.Buf)); n > max(w.waiting, mostKept) {
		w.st.p.c.Budget.add(n - w.waiting)
		w.waiting = n
	}
	if err == nil {
		return
	}
	w.err = w.st.unreadable(err)
	w.st.err = w.err
}

// gather counts what a piece adds to the answer. It may have no more than a whole reply, because encoders keep parts of it,
// that of the Responses API all.
func (w *translated) gather(p *chat.Piece) error {
	w.length += int64(len(p.Text) + len(p.Logprobs))
	if w.length > int64(w.st.p.c.MaxBody) {
		return errTooLarge
	}
	all := int64(0)
	if w.repeats {
		all += w.length
	}
	if w.kept != nil {
		all += w.length
	}
	const step = 16 << 10 // most answers have less, and what all replies share is not touched for each event
	if more := all - w.held; more >= step {
		if err := w.st.p.c.Budget.take(more); err != nil {
			return err
		}
		w.held += more
	}
	return nil
}

// release takes back what was counted.
func (w *translated) release() {
	w.st.p.c.Budget.give(w.held + w.waiting)
	w.held, w.waiting = 0, 0
}

// unreadable is what it means that a reply or an event could not be decoded: the provider reports a failure, or is at fault.
func (st *stream) unreadable(err error) error {
	if said, ok := errors.AsType[*chat.Error](err); ok {
		return st.failure(*said)
	}
	return errors.Join(errMalformed, err)
}

// fail writes the event that ends the stream in the caller's dialect: some dialects number their events, or repeat in the
// last one what came before.
func (w *translated) fail(dst []byte, e chat.Error) []byte {
	w.batch.Reset()
	w.encoder.Fail(&w.batch, &e)
	for {
		name, data, ok := w.batch.Next()
		if !ok {
			return dst
		}
		dst = sse.Append(dst, name, data)
	}
}

// Close implements gateway.Stream.
func (w *translated) Close() error {
	w.release()
	return w.st.Close()
}
