package gatewaytest

import (
	"bytes"
	"errors"
	"io"

	"github.com/sluice-ai/sluice/gateway"
)

// Answer is what a caller got, and how the exchange ended.
type Answer struct {
	Reply  *gateway.Reply  // nil if none began; its stream is closed
	Events []gateway.Event // copies
	Err    error           // nil after a complete reply
	Panic  any             // what came through the handler or the stream
	Ends   []error         // panics of OnEnd functions
}

// Error is the error in the form in which a caller gets it; nil after a complete reply.
func (a *Answer) Error() *gateway.Error {
	if a.Err == nil {
		return nil
	}
	return gateway.AsError(a.Err)
}

// Body is the data of all events, joined.
func (a *Answer) Body() string {
	var b []byte
	for _, ev := range a.Events {
		b = append(b, ev.Data...)
	}
	return string(b)
}

// ErrReady says that Ready has changed the event before it.
var ErrReady = errors.New("Ready invalidated the last event")

// Serve drives an exchange through a handler to its end as a transport does, to the last event.
func Serve(x *gateway.Exchange, h gateway.Handler) Answer { return ServeSome(x, h, -1) }

// ServeSome is Serve for a caller who leaves after n events. -1 stays.
func ServeSome(x *gateway.Exchange, h gateway.Handler, n int) Answer {
	var a Answer
	a.Err = a.pull(x, h, n)
	a.Ends = x.End(a.Err)
	return a
}

func (a *Answer) pull(x *gateway.Exchange, h gateway.Handler, n int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			a.Panic, err = r, errPanic
		}
	}()
	defer func() { // also for a reply that a handler set and then gave up
		if x.Reply != nil {
			if e := x.Reply.Stream.Close(); err == nil {
				err = e
			}
		}
	}()
	if err := h.Serve(x); err != nil {
		return err
	}
	if x.Reply == nil {
		return errNoReply
	}
	a.Reply = x.Reply
	return a.events(x, x.Reply.Stream, n)
}

var (
	errPanic   = errors.New("panic")
	errNoReply = errors.New("the handler set no reply and returned no error")
)

// events pulls what there is, asking Ready behind each event as a transport does that writes several in one flush.
func (a *Answer) events(x *gateway.Exchange, st gateway.Stream, n int) error {
	for len(a.Events) != n {
		ev, err := st.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kept := gateway.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)}
		a.Events = append(a.Events, kept)
		st.Ready()
		if !bytes.Equal(ev.Data, kept.Data) {
			return ErrReady
		}
	}
	x.Cancel(gateway.ErrGone)
	return gateway.ErrGone
}
