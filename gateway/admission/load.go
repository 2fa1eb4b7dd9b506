package admission

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// A cohort has large members; if these take longer than patient to find, small ones will do, and half as many in four
// times as long.
const (
	large, small = 32, 8
	patient      = 8 * time.Second
)

// load measures how long the first event takes, by cohorts: of the streams that were sent in some interval, how long did
// the quicker fifth take? Who simply measured what comes in would see the quick ones first and the slow ones late or never,
// and most so when it matters. Of a cohort a fifth is enough to know, and if it does not come, that is known soon as well.
// While one cohort is waited for, the next one fills.
type load struct {
	awaited, answered atomic.Int64
	filling           atomic.Int32
	cohorts           [2]cohort
}

// cohort is what was sent from from on and before to.
type cohort struct {
	from, to atomic.Int64 // Instants; from is none while it is not in use, to while it fills
	gone     atomic.Int64 // that failed without a first event
	latency  histogram
	sent     int64 // how many; less load.awaited while it fills
	underWay int   // requests under way while it was sent
	waiting  int   // those of them that waited for their first event
}

// sight is what a cohort has shown.
type sight struct {
	n        int           // its size
	low      time.Duration // the quicker fifth ends here, or has not been answered for so long
	stuck    bool          // and not even a tenth has been answered
	underWay int           // requests under way while it was sent
	waiting  int           // those of them that waited for their first event
}

// await and answer are called by everybody without a lock, the rest under the Limiter's.
func (l *load) await() { l.awaited.Add(1) }

func (l *load) answer(s Signal) {
	l.answered.Add(1)
	if s.First <= 0 { // when it was sent is not known: lately
		l.cohorts[l.filling.Load()].gone.Add(1)
		return
	}
	sent := int64(s.At.Add(-s.First))
	for i := range l.cohorts {
		c := &l.cohorts[i]
		switch {
		case sent < c.from.Load() || sent >= c.to.Load():
		case s.Overloaded:
			c.gone.Add(1)
		default:
			c.latency.add(s.First)
		}
	}
}

// begin begins anew.
func (l *load) begin(now clock.Instant, underWay int) {
	l.stop()
	l.fill(0, now+1, underWay)
}

// stop looks at nothing until begin.
func (l *load) stop() {
	for i := range l.cohorts {
		l.cohorts[i].from.Store(none)
		l.cohorts[i].to.Store(int64(past))
	}
}

func (l *load) fill(i int32, now clock.Instant, underWay int) {
	c := &l.cohorts[i]
	c.sent = -l.awaited.Load()
	c.gone.Store(0)
	c.latency.clear()
	c.underWay, c.waiting = underWay, l.waiting()
	c.from.Store(int64(now))
	c.to.Store(none)
	l.filling.Store(i)
}

// see tells what a cohort has shown, if one has shown anything. The one that fills shall have want members; the upstream is
// slow if the quicker fifth of n takes slow(n).
func (l *load) see(now clock.Instant, underWay, want int, slow func(n int) time.Duration) (s sight, ok bool) {
	i := l.filling.Load()
	filling, other := &l.cohorts[i], &l.cohorts[1-i]
	if awaited := l.awaited.Load(); filling.to.Load() == none && filling.full(now, awaited, want) {
		filling.to.Store(int64(now) + 1) // who comes now has been counted
		filling.sent += awaited
		filling.underWay = (filling.underWay + underWay) / 2
		filling.waiting = (filling.waiting + l.waiting()) / 2
	}
	if other.from.Load() != none {
		var done bool
		if s, done = other.see(now, slow); done {
			other.from.Store(none)
			ok = s.n >= small/2
		}
	}
	if filling.to.Load() != none && other.from.Load() == none {
		l.fill(1-i, now+1, underWay)
	}
	return s, ok
}

// waiting is how many streams wait for their first event.
func (l *load) waiting() int { return int(max(l.awaited.Load()-l.answered.Load(), 0)) }

func (c *cohort) full(now clock.Instant, awaited int64, want int) bool {
	n, took := int(c.sent+awaited-c.gone.Load()), now.Sub(clock.Instant(c.from.Load()))
	return n >= want || n >= small && took >= patient || n >= small/2 && took >= 4*patient
}

// see tells what a cohort that is full has shown, and whether that is all there is to know.
func (c *cohort) see(now clock.Instant, slow func(n int) time.Duration) (s sight, done bool) {
	s = sight{n: int(c.sent - c.gone.Load()), underWay: c.underWay, waiting: c.waiting}
	if s.n < small/2 {
		return s, true
	}
	waited := now.Sub(clock.Instant(c.to.Load()))
	if s.low, done = c.latency.quickest((s.n + 4) / 5); done && s.low <= waited {
		return s, true // who has not been answered takes longer
	}
	s.low = max(s.low, waited)
	_, some := c.latency.quickest(s.n/10 + 1)
	s.stuck = !some
	return s, waited > slow(s.n)
}

// The histogram counts first events by their latency in microseconds, four buckets to each power of two: a bucket is 25 %
// wide at most. Everything below 128 µs is one bucket, everything above half an hour another.
const (
	shortest = 7 // log2 µs
	octaves  = 24
	buckets  = 4 * octaves
)

type histogram [buckets]atomic.Uint32

func (h *histogram) add(d time.Duration) {
	us := uint64(max(d.Microseconds(), 1<<shortest))
	octave := bits.Len64(us) - 1
	h[min((octave-shortest)<<2|int(us>>(octave-2)&3), buckets-1)].Add(1)
}

// quickest tells how long the quickest n took, if there are so many.
func (h *histogram) quickest(n int) (time.Duration, bool) {
	below := 0
	for i := range h {
		if below += int(h[i].Load()); below >= n {
			return time.Duration(9+i&3*2) << (i>>2 + shortest - 3) * time.Microsecond, true
		}
	}
	return 0, false
}

func (h *histogram) clear() {
	for i := range h {
		h[i].Store(0)
	}
}
