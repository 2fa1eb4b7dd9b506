package main

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// mostKinds bounds the errors that are told apart.
const mostKinds = 20

// tally collects what all connections see. It is safe for many at once.
type tally struct {
	from, to time.Time // the measured window

	asked            atomic.Int64 // requests that were sent
	requests, chunks atomic.Int64 // of the whole run
	alive            atomic.Int64 // streams that have begun and not ended

	latency, latencyLess       histogram // of requests due inside the window
	again                      histogram // latencyLess of those that took more than one attempt
	refused                    atomic.Int64
	firstEvent, firstEventLess histogram
	chunkDelay, chunkGap       histogram // of chunks that came inside the window
	sendLag                    histogram

	stopped atomic.Bool // what goes wrong from now on is our own doing
	mu      sync.Mutex
	errors  int64
	kinds   map[string]int64
}

func newTally(from, to time.Time) *tally {
	return &tally{from: from, to: to, kinds: map[string]int64{}}
}

// counts says whether t is inside the measured window.
func (t *tally) counts(at time.Time) bool { return !at.Before(t.from) && at.Before(t.to) }

// fault notes an error, unless the run is over.
func (t *tally) fault(kind string) {
	if t.stopped.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors++
	if len(t.kinds) < mostKinds || t.kinds[kind] > 0 {
		t.kinds[kind]++
	}
}

// faults returns the number of errors, and how many of each kind.
func (t *tally) faults() (int64, map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.errors, maps.Clone(t.kinds)
}

// unary notes a good reply that is no stream, and whether it took more than one attempt.
func (t *tally) unary(due, end time.Time, inMock time.Duration, again bool) {
	t.requests.Add(1)
	if !t.counts(due) {
		return
	}
	t.latency.add(end.Sub(due))
	t.latencyLess.add(end.Sub(due) - inMock)
	if again {
		t.again.add(end.Sub(due) - inMock)
	}
}

// refusal notes a reply that says no, as it may.
func (t *tally) refusal(due time.Time) {
	if t.counts(due) {
		t.refused.Add(1)
	}
}

// begun notes the first event of a stream.
func (t *tally) begun(due, now time.Time, inMock time.Duration) {
	if t.counts(due) {
		t.firstEvent.add(now.Sub(due))
		t.firstEventLess.add(now.Sub(due) - inMock)
	}
}

// chunk notes a content chunk that was written at wall clock time written (ns), and came at now, after one at last.
func (t *tally) chunk(written int64, now, last time.Time) {
	t.chunks.Add(1)
	if !t.counts(now) {
		return
	}
	t.chunkDelay.add(time.Duration(now.UnixNano() - written))
	if !last.IsZero() {
		t.chunkGap.add(now.Sub(last))
	}
}
