package clock

import (
	"sync/atomic"
	"time"
)

// Wall tells what the time of day is at an Instant. Systems set their clocks, and computers are put to sleep, in which no Instant
// passes: a Wall knows of it once Follow is called.
type Wall struct {
	now  func() time.Time
	last atomic.Pointer[reading]
}

// reading is one moment by both clocks.
type reading struct {
	at   Instant
	time time.Time
}

// NewWall is a Wall by a clock such as time.Now.
func NewWall(now func() time.Time) *Wall {
	w := &Wall{now: now}
	w.last.Store(&reading{time: epoch})
	w.Follow()
	return w
}

var system = NewWall(time.Now)

// System is the computer's: [Instant.Time] and [At] go by it. Whoever runs a gateway calls its Follow every now and then.
func System() *Wall { return system }

// Time is an Instant as wall clock time, with a monotonic reading if the clock has one; the zero time for 0.
func (w *Wall) Time(i Instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	last := w.last.Load()
	return last.time.Add(i.Sub(last.at))
}

// At turns a time into an Instant: by its monotonic reading, or if it has none, by the time of day; 0 for the zero time.
func (w *Wall) At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	last := w.last.Load()
	return nonzero(t.Sub(last.time) + time.Duration(last.at))
}

const (
	// drift is how far a clock may be off. Both are kept at the same pace, so that more means that one was set, or stood.
	drift = time.Second
	// exact is how far apart the two may be read.
	exact = time.Millisecond
)

// Follow reads the clock, and says whether it is another time of day than was thought, by more than a second. From then on Time and
// At go by what it says.
func (w *Wall) Follow() (set bool) {
	at := Now()
	t := w.now()
	if Since(at) > exact { // it was interrupted in between: the next time will do
		return false
	}
	if off := t.Round(0).Sub(w.Time(at).Round(0)); off.Abs() <= drift {
		return false
	}
	w.last.Store(&reading{at, t})
	return true
}
