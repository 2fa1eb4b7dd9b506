package health_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

func TestFailuresInARowOpenATarget(t *testing.T) {
	r := health.New(health.Options{})
	target := r.Target(health.ID{Provider: "p", Key: "k", Model: "m"}, health.Settings{})
	now := clock.Instant(1)
	for range 5 {
		if !target.Begin(now, 0) {
			t.Fatal("not usable before five failures")
		}
		target.Report(now, health.Outcome{Verdict: health.Failed, Began: now, Reason: "connection refused"})
		target.End(0)
		now = now.Add(time.Millisecond)
	}
	if got := target.State(now); got != health.Open || target.Begin(now, 0) || target.Wait(now) <= 0 {
		t.Fatalf("%v after five failures", got)
	}
	now = now.Add(time.Second)
	if !target.Begin(now, 0) || target.State(now) != health.HalfOpen || target.Begin(now, 0) {
		t.Fatalf("%v when it is due, want one trial", target.State(now))
	}
	target.Report(now, health.Outcome{Verdict: health.OK, Began: now, First: time.Second})
	if got := target.State(now); got != health.Healthy || target.Share(now) > 0.11 {
		t.Errorf("%v, share %v after a trial that succeeded", got, target.Share(now))
	}
}
