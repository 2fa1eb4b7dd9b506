//go:build !race

package health_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

func TestAllocations(t *testing.T) {
	now := clock.Instant(time.Hour)
	r := health.New(health.Options{})
	target := r.Target(health.ID{Provider: "p", Model: "gpt-*"}, health.Settings{}).Of("gpt-5")
	one(target, now)
	none := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	none("an exchange", func() {
		now += 1000
		one(target, now)
	})
	none("questions", func() {
		target.State(now)
		target.Share(now)
		target.First(now, false)
		target.P95(false)
		target.Outstanding()
		target.Limits()
		target.Of("gpt-5")
	})
	none("headers", func() {
		target.Limited(now, health.Limits{Requests: health.Limit{Max: 500, Remaining: 3, Reset: now + 1}})
	})
	target.Report(now, health.Outcome{Verdict: health.Failed})
	none("an exchange under suspicion", func() { one(target, now) })
	target.Report(now, health.Outcome{Verdict: health.Limited, After: time.Second})
	none("a target that cools down", func() {
		if one(target, now) {
			t.Error("it was asked")
		}
	})
}
