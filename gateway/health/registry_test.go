package health_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

func TestOperators(t *testing.T) {
	p := start(t, health.Settings{})
	running := p.begin()
	p.Drain(p.now, "anna")
	p.is(health.Disabled)
	if p.Wait(p.now) != health.Never {
		t.Errorf("it waits for %v", p.Wait(p.now))
	}
	if !p.Probing(p.now) {
		t.Error("no probes of what is drained")
	}
	p.report(running, health.OK)
	p.End(10)
	if got := p.Snapshot(p.now); got.Operator != "drain" || got.Reason != "drained by an operator: anna" || got.Outstanding != 0 || got.Window.Requests != 1 {
		t.Errorf("%+v", got)
	}
	p.Disable(p.now, "")
	if p.Probing(p.now) {
		t.Error("probes of what is disabled")
	}
	if got := p.Snapshot(p.now); got.Operator != "disable" || got.Reason != "disabled by an operator" {
		t.Errorf("%+v", got)
	}
	p.Disable(p.now, "") // is nothing new
	since := p.now
	p.pass(time.Second)
	for range 5 {
		p.report(p.now, health.Failed)
	}
	p.report(p.now, health.Refused)
	if got := p.Snapshot(p.now); got.Since != since.Time() || got.Reason != "disabled by an operator" || !got.NextProbe.IsZero() {
		t.Errorf("what happens meanwhile hides who disabled it: %+v", got)
	}
	p.Enable(p.now, "")
	p.is(health.Healthy)
	p.waits(0)
	if got, want := p.trail(), "healthy disabled disabled disabled healthy healthy"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
}

func TestEnableClearsEverything(t *testing.T) {
	p := start(t, health.Settings{})
	sameKey, _, _ := family(p)
	f := func(what string, do func()) {
		t.Helper()
		do()
		if p.Wait(p.now) == 0 {
			t.Errorf("%s: it can be used", what)
		}
		p.pass(time.Millisecond)
		p.Enable(p.now, "")
		p.is(health.Healthy)
		p.waits(0)
		if p.Share(p.now) != 1 {
			t.Errorf("%s: share %v", what, p.Share(p.now))
		}
		if got := p.Snapshot(p.now); got.Window.Consecutive != 0 || !got.NextProbe.IsZero() || !got.CoolUntil.IsZero() {
			t.Errorf("%s: %+v", what, got)
		}
	}
	f("slow start", func() { p.try(5, health.Failed); p.due(); p.try(1, health.OK); p.said(health.Limited, time.Second) })
	f("open", func() { p.try(5, health.Failed) })
	f("half open", func() { p.try(5, health.Failed); p.due(); p.begin() })
	f("cooling", func() { p.said(health.Limited, time.Hour) })
	f("spent", func() { p.said(health.Spent, time.Hour) })
	f("refused", func() { p.try(1, health.Refused) })
	f("denied", func() { p.try(1, health.Denied) })
	f("all of it", func() {
		p.try(5, health.Failed)
		p.said(health.Limited, time.Hour)
		p.said(health.Refused, 0)
		p.said(health.Denied, 0)
		p.Disable(p.now, "")
	})
	if sameKey.Wait(p.now) != 0 {
		t.Error("the key of another target is still refused")
	}
	failed := p.begin()
	p.pass(time.Second)
	p.Enable(p.now, "")
	for range 5 {
		p.report(failed, health.Failed)
	}
	p.is(health.Healthy) // those were under way
}

func TestAWordForAWildcardHoldsForAllItStandsFor(t *testing.T) {
	p := start(t, health.Settings{})
	wild := p.r.Target(health.ID{Provider: "groq", Model: "*"}, health.Settings{})
	before := wild.Of("llama")
	wild.Drain(p.now, "")
	after := wild.Of("qwen")
	if before.Wait(p.now) != health.Never || after.Wait(p.now) != health.Never || wild.Wait(p.now) != health.Never {
		t.Error("some are still used")
	}
	wild.Enable(p.now, "")
	if before.Wait(p.now)+after.Wait(p.now)+wild.Wait(p.now) != 0 {
		t.Error("some are not used again")
	}
}

func TestAChangedConfigurationForgives(t *testing.T) {
	synctest.Test(t, testAChangedConfigurationForgives)
}

func testAChangedConfigurationForgives(t *testing.T) {
	p := start(t, health.Settings{Version: 1})
	p.now = clock.Now() // which the registry reads
	pass := func(d time.Duration) {
		<-time.After(d)
		p.now = clock.Now()
	}
	sameKey, _, _ := family(p)
	again := func(version uint64) { p.r.Target(p.ID(), health.Settings{Version: version, SlowStart: time.Second}) }
	running := p.begin()
	p.try(5, health.Failed)
	again(1)
	p.is(health.Open)
	pass(time.Second)
	again(2)
	p.is(health.Healthy)
	p.waits(0)

	p.try(1, health.Refused)
	again(2)
	p.is(health.Disabled)
	pass(time.Second)
	again(3)
	p.is(health.Healthy)
	if sameKey.State(p.now) != health.Healthy {
		t.Error("the key is still refused for another target")
	}
	p.report(running, health.Refused)
	p.is(health.Healthy) // with the old secret

	pass(time.Second)
	p.try(1, health.Refused)
	p.r.Keep(slices.Values([]health.ID{p.ID()}))
	other := p.r.Target(health.ID{Provider: "openai", Key: "main", Model: "o3"}, health.Settings{Version: 4})
	if other.State(p.now) != health.Healthy {
		t.Error("a new target with a new secret has the refusal of the old one")
	}

	p.try(1, health.OK)
	p.Disable(p.now, "")
	again(5)
	p.is(health.Disabled) // an operator's word outlasts it
}

func TestWildcards(t *testing.T) {
	p := start(t, health.Settings{})
	if p.Of("gpt-5-mini") != p.Target {
		t.Error("a target without a * stands for something else")
	}
	wild := p.r.Target(health.ID{Provider: "openai", Key: "main", Model: "gpt-*"}, health.Settings{Consecutive: 2})
	mini, nano := wild.Of("gpt-5-mini"), wild.Of("gpt-5-nano")
	if mini == nano || mini == wild || wild.Of("gpt-5-mini") != mini {
		t.Fatal("two names are not two targets")
	}
	if got := mini.ID(); got != (health.ID{Provider: "openai", Key: "main", Model: "gpt-5-mini"}) || p.r.Find(got) != mini {
		t.Errorf("%+v cannot be found", got)
	}
	if wild.Of("gpt-5") != p.Target {
		t.Error("what is configured by its name has two healths")
	}
	if p.r.Target(mini.ID(), health.Settings{Consecutive: 3}) != mini {
		t.Error("what is configured by its name later has two healths")
	}
	p.r.Target(wild.ID(), health.Settings{Consecutive: 1})
	fail := func(target *health.Target, n int) {
		for range n {
			target.Report(p.now, health.Outcome{Verdict: health.Failed})
		}
	}
	fail(mini, 2)
	fail(nano, 1)
	if mini.State(p.now) == health.Open || nano.State(p.now) != health.Open {
		t.Error("settings of a wildcard hold for what it stands for, and for nothing else")
	}

	p.r.Keep(slices.Values([]health.ID{wild.ID(), mini.ID()}))
	if wild.Of("gpt-5-nano") != nano || wild.Of("gpt-5-mini") != mini || wild.Of("gpt-5") == p.Target {
		t.Error("Keep keeps a wildcard, but not what it stands for; or it keeps something else")
	}
	p.r.Keep(slices.Values([]health.ID{mini.ID()}))
	if p.r.Find(nano.ID()) != nil || p.r.Find(wild.ID()) != nil || len(p.r.All(p.now)) != 1 {
		t.Errorf("left: %+v", p.r.All(p.now))
	}
	mini.Report(p.now, health.Outcome{Verdict: health.Refused})
	p.r.Keep(slices.Values([]health.ID{}))
	if got := p.r.Target(mini.ID(), health.Settings{}); got == mini || got.State(p.now) != health.Healthy {
		t.Error("what nobody names any more is remembered")
	}
}

func TestInventedNamesFillNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := health.New(health.Options{})
		wild := r.Target(health.ID{Provider: "p", Model: "*"}, health.Settings{})
		name := func(i int) string { return "m" + strconv.Itoa(i) }
		use := func(target *health.Target) {
			if target.Begin(clock.Now(), 1) {
				target.End(1)
			}
		}
		ill, busy := wild.Of(name(0)), wild.Of(name(1))
		for range 5 {
			ill.Report(clock.Now(), health.Outcome{Verdict: health.Failed})
		}
		busy.Begin(clock.Now(), 1)
		for i := range 1000 {
			use(wild.Of(name(i)))
		}
		if got := len(r.All(clock.Now())); got != 257 {
			t.Errorf("%d targets, want the wildcard and 256", got)
		}
		if wild.Of(name(256)) != wild || wild.Of(name(255)) == wild {
			t.Error("the first 256 are known by name, others are not")
		}
		<-time.After(4 * time.Minute)
		use(wild.Of(name(2)))
		<-time.After(2 * time.Minute)
		if wild.Of("late") == wild {
			t.Error("those that nobody uses any more keep the place")
		}
		if got := len(r.All(clock.Now())); got != 5 || wild.Of(name(0)) != ill || wild.Of(name(1)) != busy {
			t.Errorf("%d targets are left, want the wildcard, one that is ill, one that is busy, one of late, and a new one", got)
		}
	})
}

func TestEvents(t *testing.T) {
	var p *patient
	var seen []uint64
	r := health.New(health.Options{OnEvent: func(e health.Event) {
		seen = append(seen, e.Seq)
		if e.To == health.Open {
			p.Enable(p.now, "at once") // in the middle of it
		}
	}})
	p = &patient{T: t, r: r, now: clock.Instant(time.Hour), Target: r.Target(health.ID{Provider: "p", Model: "m"}, health.Settings{})}
	for range 150 {
		p.try(5, health.Failed)
	}
	for i, seq := range seen {
		if seq != uint64(i+1) {
			t.Fatalf("event %d comes as number %d", seq, i+1)
		}
	}
	all := r.Events(0)
	if len(seen) != 450 || len(all) != 256 || all[0].Seq != 450-255 || all[255].Seq != 450 {
		t.Errorf("%d events seen, %d kept", len(seen), len(all))
	}
	if got := r.Events(448); len(got) != 2 || got[0].Seq != 449 || len(r.Events(450)) != 0 || len(r.Events(1<<63)) != 0 {
		t.Errorf("since 448: %+v", got)
	}
}

func TestSnapshotsAsJSON(t *testing.T) {
	p := start(t, health.Settings{})
	p.took(250 * time.Millisecond)
	p.Begin(p.now, 1234)
	p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 500, Remaining: 0, Reset: p.now.Add(time.Minute)}})
	p.said(health.Failed, 0)
	family(p)
	all := p.r.All(p.now)
	var order string
	for _, s := range all {
		order += s.Provider + "/" + s.Key + "/" + s.Model + " "
	}
	if order != "azure/main/gpt-5 openai/main/gpt-5 openai/main/gpt-5-mini openai/spare/gpt-5 " {
		t.Errorf("order %s", order)
	}
	text, err := json.Marshal(all[1])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) string { return p.now.Add(d).Time().Format(time.RFC3339Nano) }
	want := map[string]any{
		"provider": "openai", "key": "main", "model": "gpt-5", "state": "suspect", "since": at(0), "reason": "it fails: scripted",
		"cool_until": at(time.Minute), "cool_reason": "no requests left in the rate limit", "share": 1.0,
		"window":      map[string]any{"seconds": 30.0, "requests": 2.0, "failed": 1.0, "rate": 0.5, "consecutive": 1.0},
		"outstanding": 1.0, "outstanding_tokens": 1234.0, "first_ms": 1000.0, "whole_ms": 1000.0, "last_used": at(0),
		"limits": map[string]any{"requests": map[string]any{"limit": 500.0, "remaining": 0.0, "reset": at(time.Minute)}},
	}
	if g, w := canonical(t, got), canonical(t, want); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
	var back health.Snapshot
	if err := json.Unmarshal(text, &back); err != nil || back.State != health.Suspect {
		t.Errorf("read back: %v, %v", back.State, err)
	}
	event, err := json.Marshal(p.events[1])
	if err != nil || string(event) != `{"seq":2,"at":"`+at(0)+`","provider":"openai","key":"main","model":"gpt-5","from":"healthy","to":"suspect","reason":"it fails: scripted"}` {
		t.Errorf("event %s, %v", event, err)
	}
	if err := json.Unmarshal([]byte(`{"state":"well"}`), &back); err == nil {
		t.Error("a state that there is not")
	}
}

func canonical(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOutstanding(t *testing.T) {
	p := start(t, health.Settings{})
	given := []int64{0, 1, 128_000, 1 << 60, -5}
	for _, tokens := range given {
		p.Begin(p.now, tokens)
	}
	if requests, tokens := p.Outstanding(); requests != 5 || tokens != 0+1+128_000+1<<24+0 {
		t.Errorf("%d requests, %d tokens", requests, tokens)
	}
	for _, tokens := range given {
		p.End(tokens)
	}
	if requests, tokens := p.Outstanding(); requests != 0 || tokens != 0 {
		t.Errorf("%d requests, %d tokens left", requests, tokens)
	}
}

func TestAnEventThatPanics(t *testing.T) {
	var told []string
	r := health.New(health.Options{OnEvent: func(e health.Event) {
		told = append(told, e.Reason)
		if len(told) == 1 {
			panic("scripted")
		}
	}})
	target := r.Target(health.ID{Provider: "openai", Model: "gpt-5"}, health.Settings{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nobody hears of it")
			}
		}()
		target.Drain(clock.Now(), "")
	}()
	target.Enable(clock.Now(), "")
	if len(told) != 2 {
		t.Errorf("%q: who panicked once is told of nothing any more", told)
	}
}
