package admission_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// What a request costs that finds room.
func BenchmarkEnterLeave(b *testing.B) {
	f := func(name string, l *admission.Limiter) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.TryEnter()
				l.Leave(admission.Signal{})
			}
		})
		b.Run(name+" parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.TryEnter()
					l.Leave(admission.Signal{})
				}
			})
		})
	}
	f("no limit", admission.New(admission.Settings{}))
	f("room", admission.New(admission.Settings{Max: 1 << 20}))
}

// A stream tells when it is sent and when its first event is there; the moments are the caller's.
func BenchmarkStream(b *testing.B) {
	l := admission.New(admission.Settings{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			now := clock.Now()
			l.TryEnter()
			l.Await(now)
			l.Observe(admission.Signal{First: time.Millisecond, At: now})
			l.Leave(admission.Signal{})
		}
	})
}

func BenchmarkGuard(b *testing.B) {
	g := admission.NewGuard(nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Allow(admission.Normal)
		}
	})
}

// TestAllocations: whoever finds room allocates nothing.
func TestAllocations(t *testing.T) {
	l, g := admission.New(admission.Settings{}), admission.NewGuard(nil)
	allocs := testing.AllocsPerRun(10_000, func() {
		now := clock.Now()
		if !g.Allow(admission.Normal) || !l.TryEnter() {
			t.Fatal("refused")
		}
		l.Await(now)
		l.Observe(admission.Signal{First: time.Millisecond, At: now})
		l.Leave(admission.Signal{})
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
