package forward

import (
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// walk goes over the targets of a plan: each once, then round again for the retries, leaving out the dismissed.
type walk struct {
	targets   []*gateway.Target
	retries   int    // left
	at        int    // of the next attempt, counted over all rounds
	dismissed uint64 // bit set of targets; plans longer than 64 are cut to 64
	current   int    // index of the target tried last
	retry     int    // how many retries were made

	notBefore map[int]gateway.Instant // of targets that asked to be left alone for a while
}

// next is the target to try now; more has said that there is one.
func (w *walk) next() *gateway.Target {
	w.current = w.at % w.size()
	w.at++
	return w.targets[w.current]
}

func (w *walk) size() int { return min(len(w.targets), 64) }

// dismiss takes the target tried last out of the walk.
func (w *walk) dismiss() { w.dismissed |= 1 << w.current }

// leave notes that the target tried last wants to be left alone until then.
func (w *walk) leave(until gateway.Instant) {
	if w.notBefore == nil {
		w.notBefore = map[int]gateway.Instant{}
	}
	w.notBefore[w.current] = until
}

// left is for how long the target that comes next still wants to be left alone.
func (w *walk) left() time.Duration {
	until := w.notBefore[w.at%w.size()]
	if until == 0 {
		return 0
	}
	return max(until.Sub(gateway.Now()), 0)
}

// more moves on to the next target that may be tried. retry is 0 for one not tried yet, else the retry's number.
func (w *walk) more() (retry int, ok bool) {
	for range w.size() {
		if w.dismissed&(1<<(w.at%w.size())) == 0 {
			break
		}
		w.at++
	}
	if w.dismissed&(1<<(w.at%w.size())) != 0 {
		return 0, false
	}
	if w.at < w.size() {
		return 0, true
	}
	if w.retries == 0 {
		return 0, false
	}
	w.retries--
	w.retry++
	return w.retry, true
}

// budget bounds retries to a share of the exchanges, with a floor of ten a second (Finagle's and Linkerd's rule). It
// holds at most ten seconds' worth of the floor.
type budget struct {
	share  float64
	tokens atomic.Int64 // in thousandths of a retry
	last   atomic.Int64 // the gateway.Instant up to which the floor was credited; 0: never
}

const (
	retryCost      = 1000
	floorPerSecond = 10 * retryCost
	mostTokens     = 10 * floorPerSecond
)

// deposit credits one exchange.
func (b *budget) deposit() {
	if b.share > 0 && b.tokens.Load() < mostTokens {
		b.tokens.Add(int64(b.share * retryCost))
	}
}

// withdraw pays for one retry; false if there is nothing left to pay with.
func (b *budget) withdraw() bool {
	if b.share <= 0 { // no budget: retries are bounded by Options.Max alone
		return true
	}
	b.creditFloor()
	if b.tokens.Add(-retryCost) >= 0 {
		return true
	}
	b.tokens.Add(retryCost)
	return false
}

// creditFloor adds what the floor has earned since the last time; a second's worth the first time.
func (b *budget) creditFloor() {
	now, last := gateway.Now(), b.last.Load()
	earned := int64(floorPerSecond)
	if last != 0 {
		earned = int64(now.Sub(gateway.Instant(last)).Seconds() * floorPerSecond)
	}
	if earned > 0 && b.last.CompareAndSwap(last, int64(now)) {
		b.tokens.Add(min(earned, max(mostTokens-b.tokens.Load(), 0)))
	}
}
