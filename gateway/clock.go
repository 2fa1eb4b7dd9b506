package gateway

import (
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Instant is a moment in nanoseconds since the process started. It is monotonic, takes eight bytes and one vDSO call;
// the hot path reads the clock often and needs no wall time. 0 means "never". It can be negative: the clock of a test
// (testing/synctest) is in the past.
type Instant = clock.Instant

// Now is the present moment, never 0.
func Now() Instant { return clock.Now() }

// At turns a time into an Instant; 0 for the zero time.
func At(t time.Time) Instant { return clock.At(t) }

// Since is the time that has passed since i.
func Since(i Instant) time.Duration { return clock.Since(i) }
