package forward

import (
	"bytes"
	"errors"
	"io"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// lasting is a stream that another attempt goes on with if it breaks off: the target is asked with what was delivered as the
// beginning of its answer, and says the rest. Until then events pass as they are, and are read beside: their text is kept, and
// an encoder goes through all that the caller was told, so that it can go on in the caller's dialect at any point.
type lasting struct {
	w    *walk // nil before the first break
	h    *Handler
	x    *gateway.Exchange
	d    *wire.Dialect
	q    *chat.Request
	now  gateway.Stream
	fail func(dst []byte, e chat.Error) []byte // of the reply at its beginning; nil: the dialect's

	decoder chat.Decoder
	encoder chat.Encoder
	pieces  []chat.Piece
	batch   chat.Batch // of the encoder, for the caller once the stream is mended
	last    []byte     // the data of the last event that the caller was given, before
	ahead   *gateway.Event
	err     error // behind what is in the batch, or ahead

	said   said
	usage  chat.Usage // of what the attempts that broke off have delivered; without a prompt if no provider has counted it
	white  []byte     // at the end of what was delivered; the rest may begin with it again
	mended bool       // the encoder speaks
	over   bool       // nothing is left of the request: this stream will not be mended (any more)
	closed bool       // there is no stream
}

// said is what the caller was told.
type said struct {
	text    []byte // the inside of a JSON string
	pieces  int64  // of text
	begun   bool
	unable  bool // something else than text: no target can be told to go on from that
	events  int64
	written int64 // events of the encoder's
	started bool  // an Anthropic block has begun that the encoder has not written yet
}

// longestSaid is how much text, in bytes, a target is given to go on from.
const longestSaid = 1 << 20

// lasts makes the stream of an outcome one that lasts, if the handler is to do so and the dialect allows it.
func (w *walk) lasts(o *outcome) *outcome {
	x := w.x
	if !w.h.o.Recover || w.h.o.Max <= 0 || !o.good() || o.reply.Kind != gateway.Events || x.Request.Body() == nil {
		return o
	}
	d := wire.ByName(x.Request.Endpoint.Dialect)
	q, err := x.Request.Chat()
	if err != nil || q == nil || q.N > 1 || q.Logprobs != nil && *q.Logprobs || d.NewDecoder == nil {
		return o
	}
	x.Retain()
	l := &lasting{
		h: w.h, x: x, d: d, q: q, now: o.reply.Stream, fail: o.reply.Failure,
		decoder: d.NewDecoder(), encoder: d.NewEncoder(q),
	}
	o.reply.Stream, o.reply.Failure = l, l.failure
	return o
}

// Next implements gateway.Stream.
func (l *lasting) Next() (gateway.Event, error) {
	for {
		if l.mended {
			if name, data, ok := l.batch.Next(); ok {
				return gateway.Event{Name: name, Data: data}, nil
			}
			l.batch.Reset()
		}
		if ev := l.ahead; ev != nil {
			l.ahead = nil
			return l.keep(*ev), nil
		}
		if l.err == nil {
			if ev, ok := l.pull(); ok {
				return l.keep(ev), nil
			}
			continue
		}
		if errors.Is(l.err, io.EOF) || !l.goOn(l.err) {
			return gateway.Event{}, l.err
		}
		l.err = nil
	}
}

// pull takes one event; ok says that it is for the caller as it is.
func (l *lasting) pull() (ev gateway.Event, ok bool) {
	ev, err := l.now.Next()
	if err != nil {
		l.err = err
		return ev, false
	}
	if !l.mended {
		l.follow(ev)
		return ev, true
	}
	l.pieces, err = l.decoder.Decode(l.pieces[:0], ev.Name, ev.Data)
	for i := range l.pieces {
		if p := &l.pieces[i]; l.joins(p) {
			l.said.add(p)
			l.encoder.Encode(&l.batch, p)
		}
	}
	if l.err = err; l.said.started { // the caller has this event
		l.skipStart()
	}
	return ev, false
}

// keep makes an event outlast a look at the next one.
func (l *lasting) keep(ev gateway.Event) gateway.Event {
	if !l.over {
		l.last = append(l.last[:0], ev.Data...)
		ev.Data = l.last
	}
	return ev
}

// Ready implements gateway.Stream. Where the stream has broken off and is to be mended it is not ready: what the caller has not
// been sent yet must not wait for another target's answer.
func (l *lasting) Ready() bool {
	if l.over && !l.mended && l.ahead == nil && l.err == nil {
		return l.now.Ready()
	}
	for l.batch.Empty() && l.ahead == nil && l.err == nil && l.now.Ready() {
		if ev, ok := l.pull(); ok {
			l.ahead = &ev
		}
	}
	return l.mended && !l.batch.Empty() || l.ahead != nil || l.err != nil && (errors.Is(l.err, io.EOF) || !l.mendable(l.err))
}

// Close implements gateway.Stream.
func (l *lasting) Close() error {
	var err error
	if !l.closed {
		l.closed = true
		err = l.now.Close()
	}
	if l.mended {
		l.x.Usage = l.total(l.x.Usage)
		l.usage = chat.Usage{}
	}
	l.giveUp()
	return err
}

// giveUp lets go of what is needed to mend the stream.
func (l *lasting) giveUp() {
	if l.over {
		return
	}
	l.over = true
	l.x.Release()
	if !l.mended {
		l.decoder, l.encoder, l.said.text = nil, nil, nil
	}
}

// follow goes with what the caller is told.
func (l *lasting) follow(ev gateway.Event) {
	if l.over {
		return
	}
	var err error
	l.pieces, err = l.decoder.Decode(l.pieces[:0], ev.Name, ev.Data)
	l.said.events++
	for i := range l.pieces {
		p := &l.pieces[i]
		l.said.add(p)
		l.encoder.Encode(&l.batch, p)
	}
	l.compare(ev)
	l.batch.Reset()
	if err != nil || l.said.unable {
		l.giveUp()
	}
}

// compare holds what the caller is told against what the encoder writes: where they differ, it could not go on.
func (l *lasting) compare(ev gateway.Event) {
	starts := false
	for {
		name, _, ok := l.batch.Next()
		if !ok {
			break
		}
		l.said.written++
		starts = starts || name == "content_block_start"
	}
	switch ev.Name {
	case "content_block_start":
		l.said.started = !starts
		l.said.unable = l.said.unable || string(peek.Find(peek.Find(ev.Data, []byte(`"content_block"`)), []byte(`"type"`))) != `"text"`
	case "content_block_delta":
		l.said.started = l.said.started && !starts
	case "content_block_stop":
		l.said.unable = true
	case "response.output_text.delta":
		l.said.unable = l.said.unable || !sameItem(ev.Data, l.batch.Last())
	}
}

// add goes with a piece.
func (s *said) add(p *chat.Piece) {
	switch p.Kind {
	case chat.PieceBegin:
		s.begun = true
	case chat.PieceText:
		if s.text = append(s.text, p.Text...); len(p.Text) > 0 {
			s.pieces++
		}
		s.unable = s.unable || p.Choice != 0 || p.Logprobs != nil || len(s.text) > longestSaid
	case chat.PieceReasoning, chat.PieceRefusal:
		s.unable = s.unable || len(p.Text) > 0
	case chat.PieceUsage, chat.PieceEnd:
	default: // PieceFinish, too: all was said then
		s.unable = true
	}
}

// skipStart takes out the beginning of a block that the caller has been told already.
func (l *lasting) skipStart() {
	var rest chat.Batch
	for {
		name, data, ok := l.batch.Next()
		if !ok {
			break
		}
		if l.said.started && name == "content_block_start" {
			l.said.started = false
			continue
		}
		rest.Event(name)
		rest.Buf = append(rest.Buf, data...)
	}
	l.batch = rest
}

// joins fits a piece of the rest to what came before; false if it was said already.
func (l *lasting) joins(p *chat.Piece) bool {
	if p.Usage != nil && l.usage.Provenance != chat.Unknown {
		all := l.total(*p.Usage)
		p.Usage = &all
	}
	switch p.Kind {
	case chat.PieceBegin:
		return !l.said.begun
	case chat.PieceText:
		n := l.repeated(p.Text)
		p.Text = p.Text[n:]
		return len(p.Text) > 0 || n == 0
	}
	return true
}

// repeated is how much of the text is white space that the caller has got already.
func (l *lasting) repeated(text []byte) (n int) {
	for len(l.white) > 0 && n < len(text) {
		size := whiteSpace(text[n:])
		if size == 0 || !bytes.Equal(text[n:n+size], l.white[:min(size, len(l.white))]) {
			l.white = nil
			break
		}
		n, l.white = n+size, l.white[size:]
	}
	return n
}

// goOn asks another attempt for the rest; false if there is none, and the stream ends with the error.
func (l *lasting) goOn(broke error) bool {
	x := l.x
	if !l.mendable(broke) {
		return false
	}
	if l.w == nil {
		w := newWalk(l.h, x)
		l.w = &w
	}
	if l.spent() {
		l.finish()
		return true
	}
	body, begun, ok := l.rest()
	if !ok || l.w.retries <= 0 || !l.h.budget.withdraw() {
		return false
	}
	l.end()
	if x.Request.Take(int64(len(body))) != nil {
		return false
	}
	defer x.Request.Give(int64(len(body)))
	l.said.unable = true
	was, err := x.Request.Continue(body, begun)
	if err != nil {
		return false
	}
	reply := l.ask()
	x.Request = was
	if reply == nil {
		return false
	}
	l.said.unable = false
	l.now, l.closed, l.decoder = reply.Stream, false, l.d.NewDecoder()
	return true
}

// mendable says whether another attempt may go on with the stream that broke off.
func (l *lasting) mendable(broke error) bool { return !l.over && !l.said.unable && l.may(broke) }

// finish ends a stream that broke off when all was said that the answer was limited to.
func (l *lasting) finish() {
	l.end()
	all := l.total(chat.Usage{})
	for _, p := range [...]chat.Piece{
		{Kind: chat.PieceFinish, Finish: chat.FinishLength}, {Kind: chat.PieceUsage, Usage: &all}, {Kind: chat.PieceEnd},
	} {
		l.encoder.Encode(&l.batch, &p)
	}
	if l.said.started {
		l.skipStart()
	}
	l.now = ended{}
}

// ended is a stream of which nothing is left.
type ended struct{}

// Next implements gateway.Stream.
func (ended) Next() (gateway.Event, error) { return gateway.Event{}, io.EOF }

// Ready implements gateway.Stream.
func (ended) Ready() bool { return true }

// Close implements gateway.Stream.
func (ended) Close() error { return nil }

// may says whether the stream broke off by what another attempt may do better.
func (l *lasting) may(broke error) bool {
	x := l.x
	if x.Err() != nil || x.Late() || errors.Is(broke, gateway.ErrGone) || errors.Is(broke, gateway.ErrTooLarge) {
		return false
	}
	if _, ok := errors.AsType[*gateway.Error](broke); !ok {
		return true
	}
	o := judgeError(x, broke)
	return o.cause != 0 && (!o.final || o.verdict == health.Spent)
}

// end closes the stream that broke off, and records it. What its provider did not count is estimated.
func (l *lasting) end() {
	x, w := l.x, l.w
	a := x.Attempts()[len(x.Attempts())-1]
	l.mended, l.closed = true, true
	_ = l.now.Close()
	x.Usage = chat.Usage{} // it is in the sum
	u := &a.Usage
	if u.Provenance != chat.Reported {
		u.Output = max(u.Output, l.said.tokens()-l.usage.Completion())
		u.Provenance = chat.Estimated
	}
	l.usage = together(l.usage, *u)
	if u.Prompt() == 0 {
		u.Input = w.tokens
	}
	x.Over(a)
	for i := range w.targets {
		if p := w.place(i); p.target.Provider == a.Provider && p.key == a.Key && x.ModelFor(p.target) == a.Model {
			w.tried |= 1 << i
			w.current = i
		}
	}
	w.paid = true
	w.rest = gateway.Now().Add(l.h.backoff(w.retry + 1))
}

// ask makes attempts until one begins to answer; nil if none does.
func (l *lasting) ask() *gateway.Reply {
	w, x := l.w, l.x
	left := w.retries
	for {
		p, err := w.next()
		if err != nil {
			return nil
		}
		o := w.attempt(&p)
		if o.good() && o.reply.Kind == gateway.Events {
			x.Attempts()[len(x.Attempts())-1].Delivered = true
			w.retries = min(w.retries, left-1) // each break costs one, wherever it is mended
			return o.reply
		}
		if o.good() {
			_ = o.reply.Stream.Close()
		}
		if x.Err() != nil || x.Late() {
			return nil
		}
		if !w.goesOn(&o) { // it may be what was added that this target does not like
			w.dismissed |= 1 << w.current
		}
	}
}

// failure writes the event that ends the stream with an error.
func (l *lasting) failure(dst []byte, e chat.Error) []byte {
	switch {
	case l.mended:
		l.batch.Reset()
		l.encoder.Fail(&l.batch, &e)
		for {
			name, data, ok := l.batch.Next()
			if !ok {
				return dst
			}
			dst = sse.Append(dst, name, data)
		}
	case l.fail != nil:
		return l.fail(dst, e)
	default:
		return l.d.AppendFailure(dst, e)
	}
}

// total is the usage of the whole answer as the caller sees it.
func (l *lasting) total(rest chat.Usage) chat.Usage {
	u := together(l.usage, rest)
	if u.Prompt() == 0 {
		u.Input = l.w.tokens
	}
	return u
}

// together is the usage of an answer that one attempt began and another went on with, as the caller sees it: his prompt once, and
// all that was delivered. That the second was asked with what the first had said as a part of its prompt is the gateway's
// affair: it is in the records of the attempts, which are what is priced and charged for. It is an estimate if one of them is.
func together(begun, rest chat.Usage) chat.Usage {
	switch chat.Unknown {
	case begun.Provenance:
		return rest
	case rest.Provenance:
		return begun
	}
	u := begun
	if begun.Prompt() == 0 && rest.Prompt() > 0 { // the rest's has what was said at its end
		u = rest
		u.Input = max(rest.Input-begun.Completion(), 0)
	}
	u.Output, u.Reasoning = begun.Output+rest.Output, begun.Reasoning+rest.Reasoning
	u.OutputAudio, u.OutputImage = begun.OutputAudio+rest.OutputAudio, begun.OutputImage+rest.OutputImage
	u.Provenance = chat.Reported
	if rest.Provenance != chat.Reported || begun.Provenance != chat.Reported {
		u.Provenance = chat.Estimated
	}
	if rest.Tier != "" {
		u.Tier = rest.Tier
	}
	return u
}
