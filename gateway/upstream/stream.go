package upstream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var (
	errCut       = errors.New("upstream: the answer broke off")
	errMalformed = errors.New("upstream: the answer is not what its dialect prescribes")
	errTooLarge  = fmt.Errorf("upstream: %w", gateway.ErrTooLarge)
	errNoStream  = errors.New("upstream: a stream was asked for and something else came, or the other way round")
)

var byteOrderMark = []byte("\xef\xbb\xbf") // some frameworks begin every text with it (WHATWG HTML, section 9.2.6)

// stream is one reply. It takes chunked framing off in place, in the connection's buffer, and yields events that
// borrow its bytes: [start:end] is decoded and not yet yielded, [next:len] still framed. end <= next always, so
// decoding never moves what was yielded last.
type stream struct {
	reply     gateway.Reply
	fields    [3]gateway.Field // room for what most replies pass on
	edits     [3]peek.Edit
	requestID string
	c         *conn // nil once closed
	x         *gateway.Exchange
	p         *Provider
	r         *route
	attempt   *gateway.Attempt

	state            bodyState
	left             int64 // bytes of the chunk, or of the body
	start, end, next int
	searched         int // of [start:end], known to hold no end of an event

	event  gateway.Event
	err    error // what Next says once nothing is left
	broken error // the framing's error, behind what is still to be parsed

	mender     mender
	usage      chat.Usage
	said       chat.Said
	total      gateway.Instant
	progress   gateway.Instant // when the last event that means something came
	headWithin limit
	firstEvent limit
	beat       gateway.Instant // when the next heartbeat is due; 0: not waiting since the last event
	finishes   uint64          // choices that have finished, a bit for each index

	begun    bool     // past the place of a byte order mark
	pending  bool     // event is parsed and not yet given
	given    bool     // an event was given
	reported bool     // a failed stream's last event has said what it cost
	finished bool     // the dialect's terminal event has passed, or been made
	keep     bool     // the connection may be used again
	passed   int64    // events that were given
	ends     int      // events that end something: each of several images ends with one
	dropped  []string // parameters that were left out
	holder   string   // what ids of responses are to end with
	failed   []byte   // the provider's event that ended the stream with an error, framed
	strip    bool     // usage was asked for on the caller's behalf
}

var _ gateway.Stream = (*stream)(nil)

// Next implements gateway.Stream.
func (st *stream) Next() (gateway.Event, error) {
	if !st.pending && !st.advance() {
		return gateway.Event{}, st.err
	}
	st.pending, st.given, st.beat = false, true, 0
	st.passed++
	return st.event, nil
}

// Ready implements gateway.Stream.
func (st *stream) Ready() bool {
	if !st.pending && st.err == nil {
		st.pending = st.parse()
	}
	return st.pending || st.err != nil || st.state == bodyOver
}

// prime waits for the first event, so that forward may still change its mind.
func (st *stream) prime() error {
	if st.reply.Status < 300 && !st.isAsked() {
		return errNoStream
	}
	if !st.advance() {
		if errors.Is(st.err, io.EOF) && (st.reply.Status >= 300 || st.reply.Kind == gateway.Bytes) {
			return nil // an error without a body is a reply all the same, and so is an empty file
		}
		if errors.Is(st.err, io.EOF) {
			return errCut
		}
		return st.err
	}
	st.pending = true
	return nil
}

// isAsked says whether a stream came if, and only if, one was asked for. A GET says so in its query, which is between the
// caller and the provider: a response that is made in the background is followed by GET /responses/{id}?stream=true.
func (st *stream) isAsked() bool {
	q := &st.x.Request
	return q.Endpoint.Bytes || st.r.response && st.r.method == "GET" || q.Stream() == (st.reply.Kind == gateway.Events)
}

// advance puts the next event into st.event; false with st.err set when there is none.
func (st *stream) advance() bool {
	for {
		if st.parse() {
			return true
		}
		if st.err != nil {
			return false
		}
		if st.state == bodyOver {
			return st.over()
		}
		if err := st.more(); err != nil {
			st.fail(err)
		}
	}
}

// fail decides what the end of the connection, or of our patience, means.
func (st *stream) fail(err error) {
	var timeout *timeoutError
	switch {
	case errors.Is(err, gateway.ErrGone): // from a heartbeat: its broken pipe is the client's, not the provider's
		st.err = err
	case errors.Is(err, errClosed) && st.state == bodyToEOF:
		st.state = bodyOver
	case st.finished:
		st.err, st.keep = io.EOF, false // all was said; only the framing's end did not come
	case st.mayEnd() && errors.As(err, &timeout) && !errors.Is(err, errTotal):
		st.state, st.keep = bodyOver, false // some providers never send the terminal event, and keep the connection open
	case isClosed(err):
		st.err = errCut
	default:
		st.err = err
	}
}

// over says what it means that the body's framing ended here.
func (st *stream) over() bool {
	switch {
	case st.reply.Kind != gateway.Events || st.finished:
		st.err = io.EOF
	case st.mayEnd() && len(st.r.dialect.Terminal.Data) > 0: // what is missing is only the word for the end
		st.finished = true
		st.event = gateway.Event(st.r.dialect.Terminal)
		return true
	default:
		st.err = errCut
	}
	return false
}

// complete says whether every choice that was asked for has finished.
func (st *stream) complete() bool {
	return wire.Complete(st.finishes, st.x.Request.Fields().N)
}

// mayEnd says whether the stream is complete as it is, without a terminal event.
func (st *stream) mayEnd() bool { return !st.r.terminal && st.complete() }

// parse puts the next complete event of what is buffered into st.event. It never writes over the event before.
func (st *stream) parse() bool {
	if st.c == nil || st.c.buf == nil || st.err != nil {
		return false
	}
	if st.broken == nil {
		st.broken = st.decode()
	}
	found := false
	switch st.reply.Kind {
	case gateway.Events:
		found = st.parseEvent()
	case gateway.Bytes:
		found = st.parseBytes()
	default:
		found = st.parseWhole()
	}
	if !found && st.err == nil && st.broken != nil {
		st.fail(st.broken) // what came before it was given first
	}
	return found
}

func (st *stream) parseEvent() bool {
	for !st.finished {
		block, n, searched := sse.Split((*st.c.buf)[st.start:st.end], st.searched)
		if n == 0 {
			st.searched = searched
			return false
		}
		st.start, st.searched = st.start+n, 0
		if !st.begun {
			st.begun, block = true, bytes.TrimPrefix(block, byteOrderMark)
		}
		if ev, ok := sse.Parse(block); ok && st.look(ev) {
			return true
		}
		if st.err != nil {
			return false
		}
	}
	st.start = st.end // whatever follows the terminal event is nobody's
	return false
}

// look judges an event; false if it is not for the caller.
func (st *stream) look(ev sse.Event) bool {
	d := st.r.dialect
	signs, said := d.Look(ev.Name, ev.Data, &st.usage)
	switch {
	case signs.Has(chat.Malformed):
		st.err = errMalformed
		return false
	case signs.Has(chat.Failed):
		st.err = st.inBand(ev.Data)
		st.keepFailure(ev, signs)
		return false
	}
	if signs.Has(chat.Progress | chat.End) {
		st.progress = gateway.Now()
	}
	st.attempt.Said = st.said.Tokens(said, &st.usage)
	if signs.Has(chat.Finish) {
		st.finishes |= d.Finished(ev.Data)
	}
	if signs.Has(chat.End) {
		st.ends++
		st.finished = !st.r.images || st.ends >= st.x.Request.Fields().N
	}
	if st.strip && signs.Has(chat.UsageOnly) {
		return false
	}
	st.event = gateway.Event{Name: ev.Name, Data: d.Clean(ev.Data)}
	return st.mend(signs.Has(chat.Finish))
}

// keepFailure keeps an event that ends a failed stream, for a caller who has got events already and speaks the dialect. Not
// so for chat completions: those who imitate OpenAI have many shapes for it, and its clients know one.
func (st *stream) keepFailure(ev sse.Event, signs chat.Signs) {
	d := st.r.dialect
	if e, ok := errors.AsType[*gateway.Error](st.err); ok && st.r.native && st.given && d != wire.OpenAI && d.Ends(ev.Name, ev.Data) {
		e.Ends, st.reported = true, signs.Has(chat.UsageSeen)
		st.failed = sse.Append(nil, ev.Name, st.held(ev.Data))
	}
}

// parseBytes gives what has come.
func (st *stream) parseBytes() bool {
	data := (*st.c.buf)[st.start:st.end]
	st.start = st.end
	st.event = gateway.Event{Data: data}
	return len(data) > 0
}

func (st *stream) parseWhole() bool {
	if st.given || st.pending || st.state != bodyOver {
		return false
	}
	data := (*st.c.buf)[st.start:st.end]
	if len(data) == 0 {
		return false
	}
	if len(data) > st.p.c.MaxBody {
		st.err = errTooLarge
		return false
	}
	var signs chat.Signs
	if st.reply.Status < 300 {
		signs = st.r.dialect.LookWhole(data, &st.usage)
		switch {
		case signs.Has(chat.Malformed):
			st.err = errMalformed
			return false
		case signs.Has(chat.Failed) && !st.foundFailed(data):
			st.err = st.inBand(data)
			return false
		case !signs.Has(chat.Answer) && st.r.converses:
			st.err = errMalformed
			return false
		}
	}
	st.event = gateway.Event{Data: data}
	if st.reply.Status >= 300 {
		st.event.Data = st.errorBody(data)
		return true
	}
	if signs.Has(chat.Answer | chat.UsageSeen) {
		st.attempt.Said = st.r.dialect.SaidWhole(data, &st.usage)
	}
	if st.r.embeds {
		st.event.Data = st.vectors(data)
		return st.err == nil
	}
	return !signs.Has(chat.Odd) || st.mend(true)
}

// foundFailed says whether the data is an object that was asked for by its id, and that says how it failed, earlier: a
// response that was made in the background. The answer to that question is complete.
func (st *stream) foundFailed(data []byte) bool {
	return st.x.Request.Param != "" && peek.Find(data, []byte(`"id"`)) != nil
}

// mend puts the event right; false if it says that the answer has failed.
func (st *stream) mend(finish bool) bool {
	if !st.mends() {
		return true
	}
	broken := ""
	if st.event.Data, broken = st.mender.mend(st.event.Data, finish); broken != "" {
		st.err = st.failure(chat.Error{Message: "The provider \"" + st.p.c.Name + "\" broke off its answer: " + broken + ".", Code: broken})
	}
	return broken == ""
}

// inBand is the error that a provider reports inside a reply which began as a success.
func (st *stream) inBand(data []byte) error {
	said, _ := st.r.dialect.DecodeError(data)
	return st.failure(said)
}

// failure is inBand for what has been read already.
func (st *stream) failure(said chat.Error) error {
	e := &gateway.Error{
		Status: 502, Type: cmp.Or(said.Type, gateway.TypeServer), Code: cmp.Or(said.Code, gateway.CodeInBand), Param: said.Param,
		Origin: gateway.OriginUpstream, Sent: true,
		Message: cmp.Or(said.Message, "The provider \""+st.p.c.Name+"\" reported an error."),
	}
	overloaded := isOverload(said.Code)
	switch {
	case said.Code == "429" || said.Code == "rate_limit_exceeded" || said.Type == gateway.TypeRateLimit:
		e.Status = 429
	case overloaded || said.Type == "overloaded_error": // Anthropic's type, which its dialect puts back
		e.Status, e.Type = 503, "service_unavailable_error"
		if !overloaded {
			e.Code = "server_is_overloaded"
		}
		if st.x.Request.Endpoint.Dialect == wire.Anthropic.Name {
			e.Status = statusOverloaded
		}
	}
	return e
}

// isOverload knows the codes, OpenAI's and those of others, which say that the provider has too much to do.
func isOverload(code string) bool {
	switch code {
	case "server_is_overloaded", "slow_down", "overloaded", "529":
		return true
	}
	return false
}

// more makes room and reads on.
func (st *stream) more() error {
	c := st.c
	if c.buf != nil {
		b := *c.buf
		switch {
		case st.start == st.end && st.next == len(b): // nothing is left: wait without a buffer if that is possible
			*c.buf = b[:0]
			st.start, st.end, st.next = 0, 0, 0
			if c.raw != nil || c.held > 0 {
				c.dropBuffer()
			}
		case len(b) == cap(b):
			if err := st.makeRoom(); err != nil {
				return err
			}
		}
	}
	return c.fill(st.patience(), st.total, st)
}

// nextBeat is when the caller wants to hear that the stream lives; never if nobody listens. What the provider sends
// meanwhile that is not for the caller, such as its own comments, does not put it off.
func (st *stream) nextBeat() gateway.Instant {
	every := st.p.c.Beat
	if st.x.Idle == nil || every <= 0 {
		return never
	}
	if st.beat == 0 {
		st.beat = gateway.Now().Add(every)
	}
	return st.beat
}

func (st *stream) giveBeat() error {
	st.beat = gateway.Now().Add(st.p.c.Beat)
	return st.x.Idle()
}

// makeRoom moves what is unread to the front, and gets a larger buffer if that did not help enough.
func (st *stream) makeRoom() error {
	c := st.c
	b := *c.buf
	n := copy(b, b[st.start:st.end])
	m := copy(b[n:], b[st.next:])
	st.start, st.end, st.next = 0, n, n
	*c.buf = b[:n+m]
	allowed := st.p.c.MaxBody
	if st.reply.Kind == gateway.Events {
		allowed = st.p.c.MaxEvent
	}
	if n+m >= allowed || int64(n)+st.left > int64(allowed) && st.state == bodyFixed {
		return errTooLarge
	}
	if n+m > cap(b)/2 {
		return c.grow(allowed)
	}
	return nil
}

// patience is how long the next read may wait.
func (st *stream) patience() limit {
	t := &st.p.c.Timeouts
	switch {
	case st.finished: // the caller has everything; this is only to keep the connection
		return within(st.progress, lingerEnd, errEnd)
	case st.reply.Kind != gateway.Events:
		return within(gateway.Now(), t.Idle, errRest)
	case !st.given && !st.pending:
		return st.firstEvent
	case st.mayEnd():
		return within(st.progress, min(t.Idle, lingerTerminal), errEnd)
	default:
		return within(st.progress, t.Idle, errIdle)
	}
}

// Close implements gateway.Stream: the connection is kept only if the reply was read to its very end.
func (st *stream) Close() error {
	c := st.c
	if c == nil {
		return nil
	}
	st.x.Detach(c) // afterwards no cancellation of this exchange can reach the connection
	st.c = nil
	whole := st.finished || st.reported || errors.Is(st.err, io.EOF)
	switch p := st.usage.Provenance; {
	case whole || st.reply.Status >= 300:
	case p == chat.Unknown && st.given, p == chat.Reported && st.reply.Kind == gateway.Events && !st.complete():
		st.usage.Provenance = chat.Aborted // of what was said so far: Anthropic's streams begin with some
	}
	if st.reply.Status < 300 {
		st.x.Usage = st.usage
	}
	now := gateway.Now()
	st.recordEnd(now)
	if st.state == bodyOver && st.keep && (c.buf == nil || st.next == len(*c.buf)) && !c.interrupted.Load() {
		c.p.put(c, now)
	} else {
		c.close()
	}
	return nil
}

func (st *stream) recordFirst() {
	now, a := gateway.Now(), st.attempt
	st.progress = now
	a.Status, a.First, a.Reused, a.RequestID = st.reply.Status, now.Sub(a.Start), st.c.reused, st.requestID
	if st.reply.Kind == gateway.Whole {
		a.Usage = st.usage // all of it: the caller may be told what it cost
	}
}

func (st *stream) recordEnd(now gateway.Instant) {
	a := st.attempt
	a.Total, a.Usage = now.Sub(a.Start), st.usage
	if a.Err == nil && st.err != nil && !errors.Is(st.err, io.EOF) {
		a.Err = st.err
	}
}
