package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

func TestBucketsCoverAllTimes(t *testing.T) {
	for i := range buckets - 1 {
		from, to := least(i), least(i+1)
		if bucket(from) != i || bucket(to-1) != i || to <= from {
			t.Fatalf("bucket %d is [%d, %d), whose ends are in %d and %d", i, from, to, bucket(from), bucket(to-1))
		}
		if width := to - from; from >= steps && width*steps > from {
			t.Fatalf("bucket %d is %d wide at %d", i, width, from)
		}
	}
	for ns, want := range map[int64]int{-5: 0, math.MinInt64: 0, math.MaxInt64: buckets - 1} {
		if got := bucket(ns); got != want {
			t.Errorf("%d: bucket %d, want %d", ns, got, want)
		}
	}
	if last := time.Duration(least(buckets - 1)); last < 24*time.Hour {
		t.Errorf("the last bucket begins at %v", last)
	}
}

// TestQuantiles compares with the sorted times themselves.
func TestQuantiles(t *testing.T) {
	f := func(draw func() float64) {
		t.Helper()
		h := &histogram{}
		times := make([]float64, 10001)
		for i := range times {
			d := time.Duration(draw())
			h.add(d)
			times[i] = float64(d) / 1000
		}
		slices.Sort(times)
		d := h.distribution()
		near := func(name string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > want/100 {
				t.Errorf("%s: got %g µs, want %g", name, got, want)
			}
		}
		if d.Count != 10001 || d.Max != times[10000] {
			t.Errorf("count %d, max %g, want %g", d.Count, d.Max, times[10000])
		}
		near("p50", d.P50, times[5000])
		near("p90", d.P90, times[9000])
		near("p95", d.P95, times[9500])
		near("p99", d.P99, times[9900])
		near("p999", d.P999, times[9990])
	}
	r := rand.New(rand.NewPCG(1, 2))
	f(func() float64 { return 20e6 })
	f(func() float64 { return 1000 + r.Float64()*1e9 })
	f(func() float64 { return 1e5 * math.Exp(r.NormFloat64()) })
}

func TestNothingAdded(t *testing.T) {
	if d := new(histogram).distribution(); d != (report.Distribution{}) {
		t.Errorf("%+v", d)
	}
	h := &histogram{}
	h.add(3 * time.Microsecond)
	if d := h.distribution(); d.Mean != 3 || d.Max != 3 || math.Abs(d.P999-3) > 0.03 {
		t.Errorf("of one: %+v", d)
	}
}
