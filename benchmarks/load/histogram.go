package main

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

const (
	steps   = 64 // buckets for each power of two: a quantile is within 1/128 of the truth
	buckets = steps * 42
)

// histogram counts times in buckets that grow with the time. It is safe for many at once.
type histogram struct {
	sum, longest atomic.Int64
	counts       [buckets]atomic.Int64
}

// bucket is where ns belongs. The first 64 buckets are one ns wide, the next 64 too, then each 64 are twice as wide as
// those before. Times below zero are in the first, those above 38 hours in the last.
func bucket(ns int64) int {
	if ns < steps {
		return int(max(ns, 0))
	}
	shift := bits.Len64(uint64(ns)) - bits.Len(steps) // that leaves 64 to 127
	return min(shift*steps+int(ns>>shift), buckets-1)
}

// least is the shortest time, in ns, of a bucket.
func least(bucket int) int64 {
	if bucket < 2*steps {
		return int64(bucket)
	}
	shift := bucket/steps - 1
	return int64(bucket%steps+steps) << shift
}

func (h *histogram) add(d time.Duration) {
	ns := int64(d)
	h.sum.Add(ns)
	h.counts[bucket(ns)].Add(1)
	for m := h.longest.Load(); ns > m && !h.longest.CompareAndSwap(m, ns); m = h.longest.Load() {
	}
}

// distribution sums up what was added.
func (h *histogram) distribution() report.Distribution {
	var counts [buckets]int64
	var n int64
	for i := range h.counts {
		counts[i] = h.counts[i].Load()
		n += counts[i]
	}
	if n == 0 {
		return report.Distribution{}
	}
	at := func(q float64) float64 { return quantile(&counts, n, q) }
	return report.Distribution{
		Count: n,
		Mean:  float64(h.sum.Load()) / float64(n) / 1000,
		P50:   at(0.5),
		P90:   at(0.9),
		P95:   at(0.95),
		P99:   at(0.99),
		P999:  at(0.999),
		Max:   float64(h.longest.Load()) / 1000,
	}
}

// quantile is the middle, in µs, of the bucket that holds the q-th of n times.
func quantile(counts *[buckets]int64, n int64, q float64) float64 {
	want := min(int64(q*float64(n)), n-1)
	for i, c := range counts {
		if want -= c; want < 0 {
			return float64(least(i)+least(i+1)) / 2000
		}
	}
	return float64(least(buckets)) / 1000
}
