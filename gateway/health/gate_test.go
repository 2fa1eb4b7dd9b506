package health_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

func (p *patient) said(v health.Verdict, after time.Duration) {
	p.Report(p.now, health.Outcome{Verdict: v, After: after, Reason: "scripted"})
}

// waits fails unless the target must be left alone for d; the last nanosecond of it is tried.
func (p *patient) waits(d time.Duration) {
	p.Helper()
	if got := p.Wait(p.now); got != d {
		p.Fatalf("it waits for %v, want %v", got, d)
	}
	if d > 0 {
		p.pass(d - 1)
		p.refused("before its time")
		p.pass(1 - d)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, v := range []health.Verdict{health.Limited, health.Failed} {
		p := start(t, health.Settings{})
		p.said(v, 20*time.Second)
		p.waits(20 * time.Second)
		p.pass(5 * time.Second)
		p.said(v, 10*time.Second) // a shorter one does not shorten it
		p.waits(15 * time.Second)
		p.said(v, 30*time.Second) // a longer one holds
		p.waits(30 * time.Second)
		p.try(0, health.OK)
		p.Report(p.now, health.Outcome{Verdict: health.OK, Began: p.now.Add(-time.Minute), First: time.Second})
		p.waits(30 * time.Second) // neither does a success
		p.pass(30 * time.Second)
		p.try(1, health.OK)
	}
}

func TestALimitIsNoIllness(t *testing.T) {
	p := start(t, health.Settings{})
	for range 20 {
		p.said(health.Limited, time.Second)
		p.pass(time.Second)
	}
	p.is(health.Healthy)
	if got := p.Snapshot(p.now); got.Window.Requests != 0 || got.Window.Consecutive != 0 || !got.CoolUntil.IsZero() {
		t.Errorf("%+v", got)
	}
	p.said(health.Limited, 3*time.Second)
	if got := p.Snapshot(p.now); got.CoolUntil != p.now.Add(3*time.Second).Time() || got.CoolReason != "scripted" || got.State != health.Healthy {
		t.Errorf("%+v", got)
	}
	last := p.events[len(p.events)-1]
	if len(p.events) != 21 || last.From != last.To || last.Until != p.now.Add(3*time.Second).Time() {
		t.Errorf("%d events, the last %+v", len(p.events), last)
	}
}

func TestNonsenseInRetryAfter(t *testing.T) {
	p := start(t, health.Settings{})
	p.said(health.Limited, 1<<62)
	p.waits(24 * time.Hour)
	p.said(health.Limited, -1)
	p.waits(24 * time.Hour)
}

func TestLimitsWithoutADeadline(t *testing.T) {
	p := start(t, health.Settings{})
	for _, seconds := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		p.said(health.Limited, 0)
		want, wait := seconds*time.Second, p.Wait(p.now)
		if wait < want || wait > want*5/4+1 {
			t.Errorf("it waits for %v, want %v and up to a quarter more", wait, want)
		}
		p.said(health.Limited, 0) // one of those that were under way as well
		p.waits(wait)
		p.due()
	}
	p.try(1, health.OK)
	p.said(health.Limited, 0)
	if wait := p.Wait(p.now); wait > 2*time.Second {
		t.Errorf("it waits for %v although it had succeeded", wait)
	}
}

// family is four targets: two models with one key, one of them with another key, and one of another provider.
func family(p *patient) (sameKey, otherKey, otherProvider *health.Target) {
	at := func(provider, key, model string) *health.Target {
		return p.r.Target(health.ID{Provider: provider, Key: key, Model: model}, health.Settings{})
	}
	return at("openai", "main", "gpt-5-mini"), at("openai", "spare", "gpt-5"), at("azure", "main", "gpt-5")
}

func TestASpentQuotaCoolsAllTargetsOfTheKey(t *testing.T) {
	p := start(t, health.Settings{})
	sameKey, otherKey, otherProvider := family(p)
	p.said(health.Spent, 0)
	wait := p.Wait(p.now)
	if wait < 5*time.Minute || wait > 7*time.Minute || sameKey.Wait(p.now) != wait {
		t.Errorf("it waits for %v, another target of the key for %v", wait, sameKey.Wait(p.now))
	}
	if otherKey.Wait(p.now) != 0 || otherProvider.Wait(p.now) != 0 {
		t.Error("other keys cool down too")
	}
	p.is(health.Healthy)
	p.waits(wait)
	p.due()
	p.said(health.Spent, 0)
	if wait = p.Wait(p.now); wait < 10*time.Minute {
		t.Errorf("it waits for only %v the second time", wait)
	}
	p.said(health.Spent, 3*time.Hour)
	p.waits(3 * time.Hour)
	if e := p.events[0]; e.ID != (health.ID{Provider: "openai", Key: "main"}) || e.From != e.To {
		t.Errorf("event %+v, want one of the key", e)
	}
}

func TestARefusedKey(t *testing.T) {
	p := start(t, health.Settings{})
	sameKey, otherKey, otherProvider := family(p)
	p.try(1, health.Refused)
	p.is(health.Disabled)
	refused := p.now
	p.report(p.now, health.Neutral) // an attempt that overtook it
	p.waits(5 * time.Minute)
	if got := p.Snapshot(p.now); got.NextProbe != p.now.Add(5*time.Minute).Time() || got.Since != refused.Time() || got.Reason != "scripted" {
		t.Errorf("%+v", got)
	}
	if sameKey.State(p.now) != health.Disabled || sameKey.Wait(p.now) != 5*time.Minute {
		t.Error("another target of the key is used")
	}
	if otherKey.Wait(p.now) != 0 || otherProvider.Wait(p.now) != 0 {
		t.Error("other keys are not used")
	}
	for _, minutes := range []time.Duration{10, 20, 40, 60, 60} {
		p.due()
		began := p.begin()
		if sameKey.Begin(p.now, 10) {
			t.Error("two trials of one key")
		}
		p.report(began, health.Refused)
		p.waits(minutes * time.Minute)
	}
	if got := p.Snapshot(p.now); got.Since != refused.Time() {
		t.Errorf("refused since %v, want %v", got.Since, refused.Time())
	}
	p.due()
	began := p.begin()
	p.pass(time.Second)
	p.report(began, health.OK)
	p.is(health.Healthy)
	if sameKey.Wait(p.now) != 0 || sameKey.State(p.now) != health.Healthy {
		t.Error("another target of the key is not used again")
	}
	if got := sameKey.Snapshot(p.now); got.Since != p.now.Time() || got.Reason != "it is accepted again" || !got.NextProbe.IsZero() {
		t.Errorf("%+v", got)
	}
	if got, want := p.trail(), "healthy disabled disabled disabled disabled disabled disabled healthy"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
	for _, e := range p.events {
		if e.ID != (health.ID{Provider: "openai", Key: "main"}) {
			t.Errorf("event of %+v", e.ID)
		}
	}
	p.try(1, health.Refused)
	p.waits(5 * time.Minute) // from the beginning
}

func TestRefusalsThatWereUnderWay(t *testing.T) {
	p := start(t, health.Settings{})
	a, b, c := p.begin(), p.begin(), p.begin()
	p.pass(time.Second)
	p.report(a, health.Refused)
	p.pass(time.Second)
	p.report(b, health.Refused)
	p.waits(5*time.Minute - time.Second) // not doubled
	p.report(c, health.OK)
	p.is(health.Disabled) // it began before the key was revoked

	p.Enable(p.now, "")
	d := p.begin()
	p.pass(time.Second)
	p.Enable(p.now, "") // there is nothing to clear
	p.report(d, health.Refused)
	p.is(health.Healthy) // it was sent before the operator looked
}

func TestTrialsOfARefusedKeyWithoutAVerdict(t *testing.T) {
	p := start(t, health.Settings{})
	p.try(1, health.Refused)
	p.due()
	p.try(1, health.Neutral)
	p.waits(0)
	p.begin() // nothing is heard of it
	p.waits(30 * time.Second)
	p.due()
	p.try(1, health.Failed) // says nothing of the key
	p.is(health.Disabled)
	p.waits(time.Second)
	p.pass(time.Minute)
	p.try(1, health.OK)
	p.is(health.Healthy)
}

func TestADeniedModel(t *testing.T) {
	p := start(t, health.Settings{})
	sameKey, _, _ := family(p)
	p.try(1, health.Denied)
	p.is(health.Disabled)
	p.waits(5 * time.Minute)
	if sameKey.Wait(p.now) != 0 {
		t.Error("another model of the key is not used")
	}
	p.due()
	p.try(1, health.Neutral)
	p.try(1, health.OK)
	p.is(health.Healthy)
	if e := p.events[0]; len(p.events) != 2 || e.ID != p.ID() || e.To != health.Disabled || e.Until.IsZero() {
		t.Errorf("events %+v", p.events)
	}

	wild := p.r.Target(health.ID{Provider: "openai", Key: "main", Model: "*"}, health.Settings{})
	wild.Report(p.now, health.Outcome{Verdict: health.Denied})
	if wild.Wait(p.now) != 0 {
		t.Error("one unknown name switches off all")
	}
}

func TestRateLimitHeaders(t *testing.T) {
	p := start(t, health.Settings{})
	in := func(d time.Duration) clock.Instant { return p.now.Add(d) }
	said := health.Limits{
		Requests: health.Limit{Max: 500, Remaining: 1, Reset: in(time.Minute)},
		Tokens:   health.Limit{Max: 30000, Remaining: 100, Reset: in(time.Second)},
	}
	p.Limited(p.now, said)
	p.waits(0)
	if got := p.Limits(); got != said {
		t.Errorf("limits %+v, want %+v", got, said)
	}
	p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 500, Reset: in(20 * time.Second)}})
	p.waits(20 * time.Second)
	if got := p.Limits(); got.Tokens != said.Tokens || got.Requests.Remaining != 0 {
		t.Errorf("limits %+v: what is not said any more stays", got)
	}
	if e := p.events[0]; e.Reason != "no requests left in the rate limit" || e.To != health.Healthy {
		t.Errorf("event %+v", e)
	}
	p.pass(20 * time.Second)
	p.waits(0)

	unsaid := func(l health.Limit) {
		t.Helper()
		p.Limited(p.now, health.Limits{Requests: l, Tokens: l})
		p.waits(0)
	}
	unsaid(health.Limit{})
	unsaid(health.Limit{Max: 500, Remaining: -1, Reset: in(time.Minute)})
	unsaid(health.Limit{Max: 500})
	unsaid(health.Limit{Reset: in(-time.Second)})

	// A bucket that refills in a minute has a request again after 60/500 s, and a hundredth of its tokens after 0.6 s.
	p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 500, Reset: in(time.Minute), Refills: true}})
	p.waits(120 * time.Millisecond)
	p.Limited(p.now, health.Limits{Tokens: health.Limit{Max: 30000, Reset: in(time.Minute), Refills: true}})
	p.waits(600 * time.Millisecond)
}

// refuse429 makes an attempt that is refused at once by a reply whose head says that nothing is left, which is read first, and
// not for how long.
func (p *patient) refuse429(l health.Limit) {
	p.Helper()
	began := p.begin()
	p.Limited(p.now, health.Limits{Requests: l})
	p.report(began, health.Limited)
	p.End(10)
}

func TestARefusalWithRateLimitHeaders(t *testing.T) {
	p := start(t, health.Settings{})
	asked := 0
	for range 10_000 {
		p.pass(time.Millisecond)
		if p.Wait(p.now) == 0 {
			asked++
			p.refuse429(health.Limit{Max: 1000, Reset: p.now.Add(time.Second), Refills: true})
		}
	}
	if asked > 5 {
		t.Errorf("asked %d times in ten seconds", asked)
	}
	if first := p.First(p.now, false); first < time.Second {
		t.Errorf("expected to answer in %v", first)
	}
	if last := p.events[len(p.events)-1]; len(p.events) != asked || last.Reason != "scripted" {
		t.Errorf("%d events for %d refusals, the last %+v", len(p.events), asked, last)
	}
}

func TestABurstOfRefusalsIsOne(t *testing.T) {
	p := start(t, health.Settings{})
	began := p.begin()
	for range 9 {
		p.begin()
	}
	p.pass(5 * time.Millisecond)
	for range 10 {
		p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 1000, Reset: p.now.Add(time.Second), Refills: true}})
		p.report(began, health.Limited)
	}
	if wait := p.Wait(p.now); wait < time.Second || wait > 1250*time.Millisecond {
		t.Errorf("it waits for %v", wait)
	}
	if first := p.First(p.now, false); first > 1100*time.Millisecond {
		t.Errorf("expected to answer in %v: each of the ten has raised it", first)
	}
}

func TestAtExactlyTheRateLimit(t *testing.T) {
	p := start(t, health.Settings{})
	for range 100 {
		p.pass(100 * time.Millisecond)
		began := p.begin()
		p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 600, Reset: p.now.Add(time.Minute), Refills: true}})
		p.report(began, health.OK)
		p.End(10)
	}
	if len(p.events) != 0 {
		t.Errorf("%d events, and nobody was refused: %+v", len(p.events), p.events[0])
	}
	p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 600, Reset: p.now.Add(time.Minute)}})
	p.Limited(p.now, health.Limits{Requests: health.Limit{Max: 600, Reset: p.now.Add(2 * time.Minute)}})
	if len(p.events) != 1 {
		t.Errorf("%d events of a minute without anything", len(p.events))
	}
}

func TestALimitOfWhichTheSizeIsNotKnown(t *testing.T) {
	p := start(t, health.Settings{})
	p.Limited(p.now, health.Limits{Requests: health.Limit{Reset: p.now.Add(20 * time.Hour), Refills: true}})
	p.waits(time.Minute)
}

func TestTrialsOfARefusedKeyThatSayNothingOfIt(t *testing.T) {
	f := func(v health.Verdict, after, want time.Duration) {
		t.Helper()
		p := start(t, health.Settings{})
		other := p.r.Target(health.ID{Provider: "openai", Key: "main", Model: "gpt-5-mini"}, health.Settings{})
		p.said(health.Refused, 0)
		p.pass(7 * time.Minute)
		began := p.begin()
		p.Report(p.now, health.Outcome{Verdict: v, Began: began, After: after})
		p.End(10)
		if got := other.Wait(p.now); got != want {
			t.Errorf("after a trial with verdict %d the other target waits for %v, want %v", v, got, want)
		}
	}
	f(health.Neutral, 0, 0)
	f(health.Limited, time.Minute, 0)
	f(health.Failed, 0, time.Second)
}

// Who answers some of what is sent at once and refuses the rest is not shut, but full: it is not left alone for ever longer.
func TestAFullTargetIsNotShut(t *testing.T) {
	p := start(t, health.Settings{})
	for range 5 {
		served, refused := p.begin(), p.begin()
		p.pass(10 * time.Millisecond)
		p.report(refused, health.Limited)
		p.pass(100 * time.Millisecond)
		p.report(served, health.OK)
		if wait := p.Wait(p.now); wait > 1250*time.Millisecond {
			t.Fatalf("it waits for %v", wait)
		}
		p.due()
	}
}
