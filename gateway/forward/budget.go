package forward

import (
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// budget bounds further attempts to a share of the exchanges, with a floor of so many a second (Finagle's and Linkerd's rule).
type budget struct {
	floor, most int64        // earned in a second; held at most
	tokens      atomic.Int64 // in thousandths of an attempt
	last        atomic.Int64 // the gateway.Instant up to which the floor was credited; 0: never
}

const attemptCost = 1000

// retryBudget has a floor of ten a second, of which it holds ten seconds' worth.
func retryBudget() *budget { return &budget{floor: 10 * attemptCost, most: 100 * attemptCost} }

// hedgeBudget begins with one, and holds ten.
func hedgeBudget() *budget {
	b := &budget{most: 10 * attemptCost}
	b.tokens.Store(attemptCost)
	return b
}

// deposit credits the share of one exchange.
func (b *budget) deposit(share float64) {
	if share > 0 && b.tokens.Load() < b.most {
		b.tokens.Add(int64(share * attemptCost))
	}
}

// withdraw pays for one attempt; false if there is nothing left to pay with.
func (b *budget) withdraw() bool {
	if b.floor > 0 {
		b.creditFloor()
	}
	if b.tokens.Add(-attemptCost) >= 0 {
		return true
	}
	b.tokens.Add(attemptCost)
	return false
}

// refund gives back what an attempt was to cost that was not made.
func (b *budget) refund() { b.tokens.Add(attemptCost) }

// creditFloor adds what the floor has earned since the last time; a second's worth the first time. The time of what is less
// than a thousandth is left for the next time: in an outage that is asked for every few microseconds.
func (b *budget) creditFloor() {
	now, last := gateway.Now(), b.last.Load()
	since := now.Sub(gateway.Instant(last))
	if last == 0 {
		since = time.Second
	}
	each := time.Second / time.Duration(b.floor)
	earned := int64(since / each)
	if earned > 0 && b.last.CompareAndSwap(last, int64(now.Add(-(since%each)))) {
		b.tokens.Add(min(earned, max(b.most-b.tokens.Load(), 0)))
	}
}
