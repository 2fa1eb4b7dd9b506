package forward

import (
	"sync"

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
	share float64

	mu     sync.Mutex
	tokens float64
	last   gateway.Instant
}

const (
	floorPerSecond = 10
	mostTokens     = 10 * floorPerSecond
)

func (b *budget) deposit() {
	if b.share <= 0 {
		return
	}
	b.mu.Lock()
	b.tokens = min(b.tokens+b.share, mostTokens)
	b.mu.Unlock()
}

func (b *budget) withdraw() bool {
	if b.share <= 0 { // no budget: retries are bounded by Options.Max alone
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := gateway.Now()
	if b.last == 0 {
		b.tokens = max(b.tokens, floorPerSecond)
	} else {
		b.tokens = min(b.tokens+now.Sub(b.last).Seconds()*floorPerSecond, mostTokens)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
