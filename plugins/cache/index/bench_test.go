package index_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/plugins/cache/index"
)

func filled(b *testing.B, n int, partitions uint64) *index.Arena {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	a := index.New(index.Config{MaxBytes: 1 << 30})
	for i := range uint64(n) {
		e := index.Entry{ID: i, Answer: i, Text: "how do I change the delivery address of order number " + strconv.FormatUint(i, 10), Tenant: "t"}
		if _, err := a.Put(key(i%partitions), e, direction(r, dim)); err != nil {
			b.Fatal(err)
		}
	}
	return a
}

func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			a := filled(b, n, 1)
			r := rand.New(rand.NewPCG(2, 2))
			probes := make([][]float32, 64)
			for i := range probes {
				probes[i] = direction(r, dim)
			}
			var took []time.Duration
			var dst []index.Match
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				start := time.Now()
				dst = a.Search(key(0), probes[i%64], 16, dst[:0])
				took = append(took, time.Since(start))
				i++
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

func BenchmarkPut(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	a := index.New(index.Config{MaxBytes: 64 << 20})
	v := direction(r, dim)
	id := uint64(0)
	for b.Loop() {
		id++
		if _, err := a.Put(key(id%100), index.Entry{ID: id, Saved: r.Float64()}, v); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory is a million entries: the metric is bytes of heap for each, which must stay below 1,073.
func BenchmarkMemory(b *testing.B) {
	for _, partitions := range []uint64{1, 20_000} {
		b.Run(strconv.FormatUint(partitions, 10), func(b *testing.B) {
			const n = 1_000_000
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				a := filled(b, n, partitions)
				runtime.GC()
				runtime.ReadMemStats(&after)
				s := a.Stats()
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/entry")
				b.ReportMetric(float64(s.Bytes)/n, "counted-B/entry")
				if s.Entries != n {
					b.Fatalf("%d entries are left", s.Entries)
				}
			}
		})
	}
}
