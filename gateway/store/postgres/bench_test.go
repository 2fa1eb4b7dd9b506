package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
)

func BenchmarkInsert(b *testing.B) {
	s, _ := start(b).empty(b)
	for b.Loop() {
		if _, err := s.Insert(b.Context(), rows(1000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkPrune inserts while a full ledger is swept: what it costs those who insert.
func BenchmarkPrune(b *testing.B) {
	s, _ := start(b).empty(b)
	const full = 200_000
	for range full / 1000 {
		if _, err := s.Insert(b.Context(), rows(1000)); err != nil {
			b.Fatal(err)
		}
	}
	f := func(name string) {
		var took []time.Duration
		for range 200 {
			list := rows(200)
			for i := range list { // which is not past
				list[i].ID[0]++
			}
			began := time.Now()
			if _, err := s.Insert(b.Context(), list); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[100].Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64(took[198].Microseconds()), name+"-p99-µs")
	}
	for b.Loop() {
		f("alone")
		over := make(chan int)
		go func() {
			n, err := store.Sweep(b.Context(), s, store.Past{Rows: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)})
			if err != nil {
				b.Error(err)
			}
			over <- n
		}()
		f("swept")
		b.ReportMetric(float64(<-over), "rows")
	}
}
