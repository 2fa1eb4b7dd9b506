package sim

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// stream is one reply of a Provider.
type stream struct {
	reply   gateway.Reply
	script  *script
	player  *player
	p       *Provider
	x       *gateway.Exchange
	attempt *gateway.Attempt
	start   time.Time // not an Instant: tests have their own time
	timer   *time.Timer

	due  time.Time // when what is to happen
	what act
	next event

	event    gateway.Event
	pending  bool   // event is there and not yet given
	given    bool   // an event was given
	finished bool   // the terminal event has passed, or been made
	ends     int    // terminal events
	finishes uint64 // choices that have finished, a bit for each index
	usage    chat.Usage
	said     chat.Said
	err      error // what Next says once nothing is left
	closed   bool
}

var _ gateway.Stream = (*stream)(nil)

// begin waits for the first event, so that forward may still change its mind.
func (st *stream) begin() error {
	s := st.script
	st.plan()
	if err := st.sleep(); err != nil {
		return err
	}
	if !s.mute() {
		st.attempt.Status, st.attempt.RequestID = s.status, s.requestID
	}
	st.reply = gateway.Reply{Status: s.status, ContentType: s.contentType(), Stream: st}
	switch {
	case s.events():
		st.reply.Kind = gateway.Events
	case st.x.Request.Endpoint.Bytes && s.status < 300 && st.reply.ContentType != applicationJSON:
		st.reply.Kind = gateway.Bytes
	}
	if v := s.retry(); v != "" {
		st.reply.Header = []gateway.Field{{Name: "retry-after", Value: v}}
	}
	if e := st.x.Request.Endpoint; !e.Bytes && e.Method == "POST" && s.status < 300 && !s.mute() && st.x.Request.Stream() != s.events() {
		return errNoStream
	}
	switch st.pending = st.advance(); {
	case st.pending:
		return nil
	case errors.Is(st.err, io.EOF) && st.reply.Kind == gateway.Bytes:
		return nil // an empty file
	case errors.Is(st.err, io.EOF):
		return errCut // a success without a body
	default:
		return st.err
	}
}

// Next implements gateway.Stream.
func (st *stream) Next() (gateway.Event, error) {
	if !st.pending && !st.advance() {
		return gateway.Event{}, st.err
	}
	st.pending, st.given = false, true
	return st.event, nil
}

// Ready implements gateway.Stream.
func (st *stream) Ready() bool {
	return st.pending || st.err != nil || st.finished || st.what != stall && !time.Now().Before(st.due)
}

// plan looks at what comes next. The event before stays valid.
func (st *stream) plan() {
	var after time.Duration
	after, st.what, st.next = st.player.next()
	st.due = st.due.Add(after)
}

// advance puts the next event into st.event; false with st.err set when there is none.
func (st *stream) advance() bool {
	for st.err == nil {
		switch err := st.sleep(); {
		case err != nil:
			st.err = err
		case st.finished:
			st.err = io.EOF
		case st.what == stall:
			st.due = st.due.Add(forever)
		case st.what == emit:
			if st.look(st.next) {
				st.plan()
				return true
			}
		default:
			return st.over()
		}
	}
	return false
}

// over says what it means that nothing more comes.
func (st *stream) over() bool {
	switch {
	case st.what == end && st.reply.Kind != gateway.Events:
		st.err = io.EOF
	case st.reply.Kind == gateway.Events && st.script.dialect == wire.OpenAI &&
		wire.Complete(st.finishes, st.x.Request.Fields().N):
		// Every choice has finished: what is missing is only the word for it. Anthropic never leaves it out.
		if st.what == end {
			st.report()
		}
		st.finished = true
		st.event = gateway.Event(st.script.dialect.Terminal)
		return true
	default:
		st.err = errCut
	}
	return false
}

// look judges an event as a gateway does; false if it is no good, and st.err says why.
func (st *stream) look(e event) bool {
	d := st.script.dialect
	var signs chat.Signs
	switch {
	case st.reply.Kind == gateway.Events:
		var said int
		signs, said = d.Look(e.name, e.data, &st.usage)
		st.attempt.Said = st.said.Tokens(said, &st.usage)
	case st.reply.Kind == gateway.Whole && st.reply.Status < 300:
		signs = d.LookWhole(e.data, &st.usage)
		if signs.Has(chat.Answer | chat.UsageSeen) {
			st.attempt.Said = d.SaidWhole(e.data, &st.usage)
		}
	}
	switch {
	case signs.Has(chat.Malformed):
		st.err = errMalformed
		return false
	case signs.Has(chat.Failed):
		st.err = inBand(d, e.data)
		return false
	}
	if signs.Has(chat.Finish) {
		st.finishes |= d.Finished(e.data)
	}
	if signs.Has(chat.End) {
		st.ends++
		images := strings.HasPrefix(st.x.Request.Endpoint.Name, "images.") // which end one by one
		if st.finished = !images || st.ends >= st.x.Request.Fields().N; st.finished {
			st.report()
		}
	}
	st.event = gateway.Event{Name: e.name, Data: e.data}
	return true
}

// report takes the usage that the caller's own stream does not carry unless it asked.
func (st *stream) report() {
	if st.usage.Provenance == chat.Unknown && !st.script.noFinish {
		st.usage = st.script.reply.Usage
	}
}

// inBand is the error that a provider reports inside a reply which began as a success.
func inBand(d *wire.Dialect, data []byte) error {
	said, _ := d.DecodeError(data)
	return &gateway.Error{
		Status: 502, Type: said.Type, Code: said.Code, Param: said.Param, Message: said.Message,
		Err: errors.New(said.Message), Origin: gateway.OriginUpstream, Sent: true,
	}
}

// forever is longer than any exchange.
const forever = 100 * 365 * 24 * time.Hour

// sleep waits until what comes next is due, and calls Idle at each beat.
func (st *stream) sleep() error {
	beat := time.Now().Add(st.p.engine.o.Beat)
	for {
		if st.x.Err() != nil {
			return st.x.Cause()
		}
		now := time.Now()
		if st.finished || !now.Before(st.due) {
			return nil
		}
		wake, beating := st.due, st.x.Idle != nil && st.p.engine.o.Beat > 0
		if beating && beat.Before(wake) {
			wake = beat
		}
		if err := st.until(wake); err != nil {
			return err
		}
		if now = time.Now(); beating && !now.Before(beat) {
			if err := st.x.Idle(); err != nil {
				return err
			}
			beat = now.Add(st.p.engine.o.Beat)
		}
	}
}

// until waits for a moment, or for the end of the exchange.
func (st *stream) until(t time.Time) error {
	if st.timer == nil {
		st.timer = time.NewTimer(time.Until(t))
	} else {
		st.timer.Reset(time.Until(t))
	}
	select {
	case <-st.timer.C:
		return nil
	case <-st.x.Context().Done():
		return st.x.Cause()
	}
}

func (st *stream) stop() {
	if st.timer != nil {
		st.timer.Stop()
	}
}

// short says that the usage of a success which was cut short is missing, or only that of its beginning: Anthropic's streams
// begin with some.
func (st *stream) short() bool {
	switch p := st.usage.Provenance; {
	case st.finished || errors.Is(st.err, io.EOF):
	case p == chat.Unknown:
		return st.given
	case p == chat.Reported:
		return st.reply.Kind == gateway.Events && !wire.Complete(st.finishes, st.x.Request.Fields().N)
	}
	return false
}

// Close implements gateway.Stream.
func (st *stream) Close() error {
	if st.closed {
		return nil
	}
	st.closed = true
	st.stop()
	if st.reply.Status < 300 {
		if st.short() {
			st.usage.Provenance = chat.Aborted
		}
		st.x.Usage = st.usage
	}
	a := st.attempt
	a.Total, a.Usage = time.Since(st.start), st.usage
	if a.Err == nil && st.err != nil && !errors.Is(st.err, io.EOF) {
		a.Err = st.err
	}
	return nil
}
