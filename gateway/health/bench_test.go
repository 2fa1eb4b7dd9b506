package health_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

var exchange = health.ID{Provider: "openai", Key: "main", Model: "gpt-5"}

// An exchange as forward makes it: may the target be asked, an attempt, a verdict, the end.
func one(t *health.Target, now clock.Instant) bool {
	if t.Wait(now) > 0 || !t.Begin(now, 1000) {
		return false
	}
	t.Report(now, health.Outcome{Verdict: health.OK, Began: now, First: 300 * time.Millisecond})
	t.End(1000)
	return true
}

func BenchmarkExchange(b *testing.B) {
	t := health.New(health.Options{}).Target(exchange, health.Settings{})
	now := clock.Now()
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		if !one(t, now) {
			b.Fatal("not usable")
		}
	}
}

func BenchmarkExchangeParallel(b *testing.B) {
	t := health.New(health.Options{}).Target(exchange, health.Settings{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := clock.Now()
		for pb.Next() {
			now += 1000
			if !one(t, now) {
				b.Error("not usable")
				return
			}
		}
	})
}

func BenchmarkWait(b *testing.B) {
	t := health.New(health.Options{}).Target(exchange, health.Settings{})
	now := clock.Now()
	b.ReportAllocs()
	for b.Loop() {
		if t.Wait(now) > 0 {
			b.Fatal("not usable")
		}
	}
}

func BenchmarkOf(b *testing.B) {
	t := health.New(health.Options{}).Target(health.ID{Provider: "openai", Key: "main", Model: "gpt-*"}, health.Settings{})
	for _, model := range []string{"gpt-4o", "gpt-5", "gpt-5-mini"} {
		t.Of(model)
	}
	b.ReportAllocs()
	for b.Loop() {
		if t.Of("gpt-5").ID().Model != "gpt-5" {
			b.Fatal("wrong child")
		}
	}
}

func BenchmarkFirst(b *testing.B) {
	t := health.New(health.Options{}).Target(exchange, health.Settings{})
	now := clock.Now()
	one(t, now)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		if t.First(now, false) <= 0 {
			b.Fatal("nothing known")
		}
	}
}

func BenchmarkP95(b *testing.B) {
	t := health.New(health.Options{}).Target(exchange, health.Settings{})
	now := clock.Now()
	for range 100 {
		one(t, now)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := t.P95(false); !ok {
			b.Fatal("nothing known")
		}
	}
}

func BenchmarkLimits(b *testing.B) {
	t := health.New(health.Options{}).Target(exchange, health.Settings{})
	now := clock.Now()
	l := health.Limits{Requests: health.Limit{Max: 500, Remaining: 499, Reset: now.Add(time.Second)}, Tokens: health.Limit{Max: 200000, Remaining: 190000, Reset: now.Add(time.Second)}}
	b.ReportAllocs()
	for b.Loop() {
		t.Limited(now, l)
	}
}
