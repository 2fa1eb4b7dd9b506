package upstream

import (
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// Budget bounds the memory of the replies of all providers that share it: the bytes of whole replies and of long events
// that wait in the gateway. The few KiB with which each reply begins are not counted. Safe for concurrent use.
type Budget struct {
	most int64
	held atomic.Int64
}

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

// give takes bytes back that were counted.
func (b *Budget) give(n int64) {
	if n > 0 {
		b.held.Add(-n)
	}
}

// errBusy is the gateway's own fault, so no other target is asked. The provider's work is lost.
var errBusy = &gateway.Error{
	Status: 503, Type: gateway.TypeServer, Code: "gateway_busy", RetryAfter: time.Second, Sent: true,
	Message: "The gateway holds too many bytes of replies at the moment. Try again shortly.",
}
