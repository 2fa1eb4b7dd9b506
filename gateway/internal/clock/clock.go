// Package clock is the monotonic clock of the hot path, and what the time of day is by it.
package clock

import (
	"math"
	"time"
)

// Instant is a moment in nanoseconds since the process started. It is monotonic, takes eight bytes and one vDSO call;
// the hot path reads the clock often and needs no wall time. 0 means "never". It can be negative: the clock of a test
// (testing/synctest) is in the past.
type Instant int64

var epoch = time.Now()

// Now is the present moment, never 0.
func Now() Instant { return nonzero(time.Since(epoch)) }

// At turns a time into an Instant; 0 for the zero time.
func At(t time.Time) Instant { return system.At(t) }

func nonzero(d time.Duration) Instant {
	if d == 0 {
		return 1
	}
	return Instant(d)
}

// Time is the moment as wall clock time with a monotonic reading; the zero time for 0.
func (i Instant) Time() time.Time { return system.Time(i) }

// Add is the moment d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub is the time that passed from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Forever is longer than any wait.
const Forever = time.Duration(math.MaxInt64)

// Since is the time that has passed since i.
func Since(i Instant) time.Duration { return Now().Sub(i) }
