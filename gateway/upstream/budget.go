package upstream

import (
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// Budget bounds the memory of the replies of all providers that share it: the bytes of whole replies and of long events
// that wait in the gateway, as the provider sent them and as they were made anew. The few KiB with which each reply begins
// are not counted. Safe for concurrent use.
type Budget struct {
	most int64
	held atomic.Int64
}

// uncounted is how many bytes of a reply are lent without asking.
const uncounted = 4 << 10

// NewBudget makes a budget of so many bytes; 0 is no bound.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

// Held counts the bytes that are held.
func (b *Budget) Held() int64 { return b.held.Load() }

// take counts bytes unless they are too many.
func (b *Budget) take(n int64) error {
	if b.held.Add(n) > b.most && b.most > 0 {
		b.held.Add(-n)
		return errBusy
	}
	return nil
}

// add counts bytes even if they are too many: those who come later are refused.
func (b *Budget) add(n int64) { b.held.Add(n) }

// give takes bytes back that were counted.
func (b *Budget) give(n int64) {
	if n > 0 {
		b.held.Add(-n)
	}
}

// once is the body of a whole reply that was made here. It is counted until it is closed; the error says that there is no
// room for it.
func (b *Budget) once(data []byte) (gateway.Stream, error) {
	n := int64(cap(data))
	if err := b.take(n); err != nil {
		return nil, err
	}
	return &made{gateway.Once(data), b, n}, nil
}

type made struct {
	gateway.Stream
	budget *Budget
	held   int64
}

// Close implements gateway.Stream.
func (m *made) Close() error {
	m.budget.give(m.held)
	m.held = 0
	return m.Stream.Close()
}

// errBusy is the gateway's own fault, so no other target is asked. The provider's work is lost.
var errBusy = &gateway.Error{
	Status: 503, Type: gateway.TypeServer, Code: gateway.CodeBusy, RetryAfter: time.Second, Sent: true,
	Message: "The gateway holds too many bytes of replies at the moment. Try again shortly.",
}
