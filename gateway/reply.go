package gateway

import (
	"io"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Kind says how a reply's events are framed.
type Kind uint8

// Kinds of reply.
const (
	Whole  Kind = iota // one event holds the body
	Events             // a stream of events: SSE, or frames of a WebSocket
	Bytes              // pieces of a body without meaning of their own: audio, files
)

// Field is one header field; Name in any letter case.
type Field struct{ Name, Value string }

// Reply is what goes back to the caller.
type Reply struct {
	Status      int
	ContentType string
	Kind        Kind
	Header      []Field // those that may pass to the caller; the transport adds its own
	Stream      Stream

	// Failure writes the event that ends Events with an error, framed; nil: as the caller's dialect does it. An encoder
	// that numbers events, or repeats in the last what came before, sets it. It is called at most once, after Next has
	// failed and before Close.
	Failure func(dst []byte, e chat.Error) []byte
}

// Stream is the body of a reply. One goroutine uses it. The transport pulls it on the connection's own goroutine: no extra goroutine, no
// queue, and back pressure for free. A plugin that wants to see or change a reply wraps it.
type Stream interface {
	// Next is the next event. io.EOF comes only after a complete reply (also for Whole); any other error says that it
	// was cut short. Next blocks, and ends when the exchange's context does.
	Next() (Event, error)
	// Ready says that Next would not wait: the transport then writes several events in one flush. It must not
	// invalidate the last event.
	Ready() bool
	// Close gives everything back, and abandons what has not arrived. It is called exactly once.
	Close() error
}

// Event is one piece of a reply. Name and Data are borrowed: valid until the next call of Next or Close.
type Event struct {
	Name string // SSE event name, or ""
	Data []byte
}

// Once is a Stream of one event, for a Whole reply made by a plugin. Data belongs to the stream from then on.
func Once(data []byte) Stream { return &once{data: data} }

type once struct {
	data  []byte
	given bool
}

func (o *once) Next() (Event, error) {
	if o.given {
		return Event{}, io.EOF
	}
	o.given = true
	return Event{Data: o.data}, nil
}

func (o *once) Ready() bool  { return true }
func (o *once) Close() error { return nil }
