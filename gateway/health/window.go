package health

import (
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// A bucket is one word: the low bits of its slot (the time in units of the bucket's width), failures, and all outcomes.
// So an outcome is counted by one atomic addition, and a bucket of the past is taken over by one exchange.
const (
	buckets    = 16
	countBits  = 20
	countMask  = 1<<countBits - 1
	slotShift  = 2 * countBits
	slotMask   = 1<<(64-slotShift) - 1
	oneOutcome = 1
	oneFailure = 1 << countBits
	// fullBucket is where counts are halved, well before they overflow; the rate stays what it was.
	fullBucket = countMask - 1<<16
)

// window counts outcomes of the last while: between 15/16 and all of it.
type window struct {
	width atomic.Int64 // of a bucket
	ring  [buckets]atomic.Uint64
}

func (w *window) setSpan(d time.Duration) {
	w.width.Store(max(int64(d)/buckets, 1)) // buckets of another width are in no slot of this one
}

func (w *window) reset() {
	for i := range w.ring {
		w.ring[i].Store(0)
	}
}

// slot is where now belongs. Instants can be negative; slots are not, and 0 is none.
func (w *window) slot(now clock.Instant) uint64 {
	return (uint64(now) + 1<<63) / uint64(w.width.Load()) //nolint:gosec // keeps the order
}

// add counts oneOutcome, or oneFailure, or both.
func (w *window) add(now clock.Instant, n uint64) {
	slot := w.slot(now)
	b := &w.ring[slot%buckets]
	for {
		old := b.Load()
		if old>>slotShift == slot&slotMask {
			if old&countMask < fullBucket && old>>countBits&countMask < fullBucket {
				b.Add(n)
				return
			}
			half := old>>slotShift<<slotShift | old>>countBits&countMask/2<<countBits | old&countMask/2
			b.CompareAndSwap(old, half)
			continue
		}
		if b.CompareAndSwap(old, slot&slotMask<<slotShift|n) {
			return
		}
	}
}

// sum is the outcomes in the window, and how many of them were failures.
func (w *window) sum(now clock.Instant) (total, failed int64) {
	slot := w.slot(now)
	for i := range w.ring {
		b := w.ring[i].Load()
		if (slot-b>>slotShift)&slotMask >= buckets {
			continue
		}
		total += int64(b & countMask)
		failed += int64(b >> countBits & countMask)
	}
	return max(total, failed), failed // a stream that broke may have begun before the window
}
