package gatewaytest

import (
	"errors"
	"io"
	"sync"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Script is an innermost handler in place of the providers: it answers every exchange as it is written. Its zero value
// answers 200 with an empty body. Any number of exchanges may use it at the same time.
type Script struct {
	Attempts []gateway.Attempt // recorded before anything else; Start and Span are filled in
	Err      error             // returned instead of a reply
	Panic    any               // thrown instead of a reply

	Status      int // 0: 200
	ContentType string
	Header      []gateway.Field
	Kind        gateway.Kind
	Events      []gateway.Event
	End         error      // behind the events; nil: io.EOF
	Usage       chat.Usage // of the exchange, known once the stream is closed

	mu     sync.Mutex
	served int
	open   int
	faults []error
}

var _ gateway.Handler = (*Script)(nil)

// Serve implements gateway.Handler.
func (s *Script) Serve(x *gateway.Exchange) error {
	s.mu.Lock()
	s.served++
	s.mu.Unlock()
	for i := range s.Attempts {
		from := &s.Attempts[i]
		a := x.Attempting(&gateway.Target{Provider: from.Provider, Key: from.Key, Model: from.Model})
		start, span := a.Start, a.Span
		*a = *from
		a.Start, a.Span = start, span
	}
	if s.Panic != nil {
		panic(s.Panic)
	}
	if s.Err != nil {
		return s.Err
	}
	status := s.Status
	if status == 0 {
		status = 200
	}
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	x.Reply = &gateway.Reply{
		Status: status, ContentType: s.ContentType, Kind: s.Kind, Header: s.Header, Stream: &stream{s: s, x: x},
	}
	x.Commit()
	return nil
}

// Served counts the exchanges that came through.
func (s *Script) Served() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served
}

// Check says how the replies were used against the contract, and whether one was left open; nil if all is well.
func (s *Script) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open > 0 {
		return errors.Join(append(s.faults, errLeftOpen)...)
	}
	return errors.Join(s.faults...)
}

func (s *Script) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, err)
}

var (
	errLeftOpen    = errors.New("a reply was not closed")
	errClosedTwice = errors.New("a reply was closed twice")
	errAfterClose  = errors.New("a reply was used after its Close")
	errGoneOn      = errors.New("Next was called again after the stream's end")
)

// stream lends one buffer for all events and spoils it when the contract allows.
type stream struct {
	s      *Script
	x      *gateway.Exchange
	next   int
	lent   []byte
	ended  bool
	closed bool
}

// Next implements gateway.Stream.
func (st *stream) Next() (gateway.Event, error) {
	switch {
	case st.closed:
		st.s.fault(errAfterClose)
		return gateway.Event{}, errAfterClose
	case st.ended:
		st.s.fault(errGoneOn)
		return gateway.Event{}, errGoneOn
	case st.x.Err() != nil:
		st.ended = true
		return gateway.Event{}, st.x.Cause()
	case st.next == len(st.s.Events):
		st.ended = true
		if st.s.End != nil {
			return gateway.Event{}, st.s.End
		}
		return gateway.Event{}, io.EOF
	}
	ev := st.s.Events[st.next]
	st.next++
	st.spoil()
	st.lent = append([]byte(nil), ev.Data...)
	return gateway.Event{Name: ev.Name, Data: st.lent}, nil
}

// Ready implements gateway.Stream.
func (st *stream) Ready() bool {
	if st.closed {
		st.s.fault(errAfterClose)
	}
	return true
}

// Close implements gateway.Stream.
func (st *stream) Close() error {
	if st.closed {
		st.s.fault(errClosedTwice)
		return nil
	}
	st.closed = true
	st.spoil()
	st.x.Usage = st.s.Usage
	st.s.mu.Lock()
	st.s.open--
	st.s.mu.Unlock()
	return nil
}

func (st *stream) spoil() {
	for i := range st.lent {
		st.lent[i] = spoilt
	}
}
