package health_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Goroutines do everything at once with a clock that runs a thousand times as fast.
func TestAllAtOnce(t *testing.T) {
	var ticks atomic.Int64
	now := func() clock.Instant { return clock.Instant(ticks.Add(int64(time.Millisecond))) }
	var last atomic.Uint64
	r := health.New(health.Options{OnEvent: func(e health.Event) {
		if !last.CompareAndSwap(e.Seq-1, e.Seq) {
			t.Errorf("event %d after %d", e.Seq, last.Load())
		}
	}})
	wild := r.Target(health.ID{Provider: "p", Key: "k", Model: "*"}, health.Settings{OpenFor: 10 * time.Millisecond, SlowStart: time.Second})
	targets := []*health.Target{
		wild, r.Target(health.ID{Provider: "p", Key: "k", Model: "m"}, health.Settings{}), wild.Of("x"), wild.Of("y"),
	}
	look := func(i int) {
		target := targets[i%len(targets)]
		switch i % 9 {
		case 0:
			r.All(now())
			r.Events(last.Load() - min(last.Load(), 10))
		case 1:
			target.Probed(now(), health.Outcome{Verdict: health.Verdict(i % 3), First: time.Duration(i % 2)})
		case 2:
			target.Limited(now(), health.Limits{Tokens: health.Limit{Max: 1, Reset: now().Add(time.Millisecond)}})
		case 3:
			target.Drain(now(), "")
		case 4:
			r.Target(target.ID(), health.Settings{Version: uint64(i), Window: time.Duration(1+i%2) * time.Second})
		case 5:
			r.Keep(func(yield func(health.ID) bool) { _ = yield(wild.ID()) && yield(targets[1].ID()) })
		default:
			target.P95(true)
			target.First(now(), true)
			target.Share(now())
			target.Limits()
			target.Enable(now(), "")
		}
	}
	var attempts atomic.Int64
	work := func(seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		for i := range 5000 {
			if i%10 == 0 {
				look(i/10 + int(seed))
			}
			target := targets[random.IntN(len(targets))]
			if random.IntN(10) == 0 {
				target = wild.Of(strconv.Itoa(random.IntN(300)))
			}
			began, tokens := now(), random.Int64N(1000)
			if !target.Begin(began, tokens) {
				continue
			}
			attempts.Add(1)
			o := health.Outcome{Verdict: health.OK, Began: began, First: time.Duration(random.IntN(1e9)), Whole: seed%2 == 0}
			if random.IntN(3) == 0 {
				o.Verdict, o.After = health.Verdict(random.IntN(8)), time.Duration(random.IntN(1e7))
			}
			target.Report(now(), o)
			target.End(tokens)
		}
	}
	var group sync.WaitGroup
	for seed := range uint64(8) {
		group.Go(func() { work(seed) })
	}
	group.Wait()
	if attempts.Load() < 1000 {
		t.Errorf("only %d attempts were allowed", attempts.Load())
	}
	for _, s := range r.All(now()) {
		if s.Outstanding != 0 || s.Tokens != 0 {
			t.Errorf("outstanding at the end: %+v", s)
		}
	}
}

// When a target opens, one of all those that wait for it is its trial.
func TestOneTrial(t *testing.T) {
	p := start(t, health.Settings{})
	for range 50 {
		p.try(5, health.Failed)
		p.due()
		var allowed atomic.Int64
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if p.Begin(p.now, 1) {
					allowed.Add(1)
					p.End(1)
				}
			})
		}
		group.Wait()
		if allowed.Load() != 1 {
			t.Fatalf("%d trials", allowed.Load())
		}
		p.report(p.now, health.OK)
	}
}
