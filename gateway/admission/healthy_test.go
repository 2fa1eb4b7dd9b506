package admission_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// around is a latency that is mostly near median, and with a large sigma often far from it: log-normal.
func around(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*rand.NormFloat64()))
}

// within says whether it is one of the first so many seconds of a period.
func within(at, length, period time.Duration) bool { return at%period < length }

// TestHealthy: an upstream that can do as much as is asked of it is not limited, however its latency varies: with the
// prompts, with the hour of the day, with bursts, or for reasons of its own while no more is asked of it. Where it cannot be
// told from overload (an upstream that gets ten times slower while twenty times as much is under way), the limit soon
// shows that it does not help, and goes.
func TestHealthy(t *testing.T) {
	f := func(name string, span time.Duration, tolerated float64, rate func(at time.Duration) float64, first func(at time.Duration) time.Duration) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := admission.New(admission.Settings{})
				start := time.Now()
				asked, limited := 0, 0
				var all sync.WaitGroup
				for time.Since(start) < span {
					<-time.After(time.Duration(rand.ExpFloat64() / rate(time.Since(start)) * float64(time.Second)))
					asked++
					all.Go(func() {
						if !l.TryEnter() && l.Enter(t.Context(), admission.Ticket{}) != nil {
							return
						}
						d, sent := first(time.Since(start)), clock.Now()
						l.Await(sent)
						<-time.After(d)
						l.Observe(admission.Signal{First: d})
						<-time.After(time.Duration(rand.ExpFloat64() * float64(5*time.Second)))
						l.Leave(admission.Signal{})
					})
					if l.Snapshot().Limit > 0 {
						limited++
					}
				}
				all.Wait()
				s := l.Snapshot()
				refused := float64(s.Full+s.Late) / float64(asked)
				if refused > tolerated || tolerated == 0 && limited > 0 {
					t.Errorf("%.3f of %d requests were refused, %.3f of the time there was a limit", refused, asked, float64(limited)/float64(asked))
				}
				if s.Limit > 0 || s.InUse != 0 {
					t.Errorf("in the end %+v", s)
				}
			})
		})
	}
	steady := func(rate float64) func(time.Duration) float64 { return func(time.Duration) float64 { return rate } }
	day := func(at time.Duration) float64 { return 2.5 - 1.5*math.Cos(2*math.Pi*at.Minutes()/60) } // 1 to 4 and back in an hour

	f("prompts of any length", 10*time.Minute, 0, steady(20),
		func(time.Duration) time.Duration { return around(500*time.Millisecond, 1) })
	f("all hours", 2*time.Hour, 0, func(at time.Duration) float64 { return 5 * day(at) },
		func(at time.Duration) time.Duration {
			return around(time.Duration(day(at)*float64(400*time.Millisecond)), 0.7)
		})
	f("bursts", 20*time.Minute, 0, func(at time.Duration) float64 {
		if within(at, 5*time.Second, time.Minute) {
			return 100
		}
		return 5
	}, func(time.Duration) time.Duration { return around(500*time.Millisecond, 1) })
	f("hardly ever, then many", 2*time.Hour, 0, func(at time.Duration) float64 {
		if within(at, 20*time.Second, 10*time.Minute) {
			return 50
		}
		return 0.05
	}, func(time.Duration) time.Duration { return around(400*time.Millisecond, 0.5) })
	f("models that think", 20*time.Minute, 0.15, steady(10), func(time.Duration) time.Duration {
		if rand.Float64() < 0.7 {
			return around(time.Minute, 0.5)
		}
		return around(400*time.Millisecond, 0.5)
	})
	f("more and longer prompts", 30*time.Minute, 0.2, func(at time.Duration) float64 {
		if within(at, 2*time.Minute, 10*time.Minute) {
			return 20
		}
		return 10
	}, func(at time.Duration) time.Duration {
		long := 0.2
		if within(at, 2*time.Minute, 10*time.Minute) {
			long = 0.7
		}
		if rand.Float64() < long {
			return around(5*time.Second, 0.5)
		}
		return around(400*time.Millisecond, 0.5)
	})
	slow := func(at time.Duration) time.Duration {
		if within(at, 2*time.Minute, 10*time.Minute) {
			return around(5*time.Second, 0.5)
		}
		return around(400*time.Millisecond, 0.5)
	}
	f("slow for itself", 28*time.Minute, 0.2, steady(20), slow)
	f("slow for itself when much is asked", 28*time.Minute, 0.4, func(at time.Duration) float64 {
		if within(at, 2*time.Minute, 10*time.Minute) {
			return 50
		}
		return 5
	}, slow)
}
