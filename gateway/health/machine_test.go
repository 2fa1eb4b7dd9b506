package health_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// patient is a target with a clock of its own. What its methods do happens at now.
type patient struct {
	*testing.T
	*health.Target
	r      *health.Registry
	now    clock.Instant
	events []health.Event
}

func start(t *testing.T, s health.Settings) *patient {
	p := &patient{T: t, now: clock.Instant(time.Hour)}
	p.r = health.New(health.Options{OnEvent: func(e health.Event) { p.events = append(p.events, e) }})
	p.Target = p.r.Target(health.ID{Provider: "openai", Key: "main", Model: "gpt-5"}, s)
	return p
}

func (p *patient) pass(d time.Duration) { p.now = p.now.Add(d) }

// try makes n attempts that end in the same way, one after another, and fails if one of them was not allowed.
func (p *patient) try(n int, v health.Verdict) {
	p.Helper()
	for range n {
		began := p.begin()
		p.pass(time.Millisecond)
		p.report(began, v)
		p.End(10)
	}
}

func (p *patient) begin() clock.Instant {
	p.Helper()
	if !p.Begin(p.now, 10) {
		p.Fatalf("an attempt was not allowed: %+v", p.Snapshot(p.now))
	}
	return p.now
}

func (p *patient) report(began clock.Instant, v health.Verdict) {
	o := health.Outcome{Verdict: v, Began: began}
	switch v {
	case health.OK:
		o.First = 100 * time.Millisecond
	case health.Neutral:
	default:
		o.Reason = "scripted"
	}
	p.Report(p.now, o)
}

func (p *patient) refused(why string) {
	p.Helper()
	if p.Wait(p.now) <= 0 || p.Begin(p.now, 10) {
		p.Errorf("an attempt was allowed %s: %+v", why, p.Snapshot(p.now))
	}
}

func (p *patient) is(want health.State) {
	p.Helper()
	if got := p.State(p.now); got != want {
		p.Fatalf("it is %v, want %v: %+v", got, want, p.Snapshot(p.now))
	}
}

// trail is the states that it went through, as events told.
func (p *patient) trail() string {
	words := []string{"healthy"}
	for _, e := range p.events {
		words = append(words, e.To.String())
	}
	return strings.Join(words, " ")
}

// due goes to when the target may be asked again.
func (p *patient) due() { p.pass(p.Wait(p.now)) }

func TestFailuresInARow(t *testing.T) {
	p := start(t, health.Settings{})
	p.try(2, health.Failed)
	p.is(health.Suspect)
	p.try(1, health.OK)
	p.try(4, health.Failed)
	p.try(1, health.Neutral) // neither interrupts a row nor belongs to it
	p.is(health.Suspect)
	p.try(1, health.Failed)
	p.is(health.Open)
	p.refused("while open")
	if got, want := p.trail(), "healthy suspect open"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
	if last := p.events[len(p.events)-1]; last.Reason != "5 failures in a row: scripted" || last.Until != p.now.Add(p.Wait(p.now)).Time() {
		t.Errorf("event %+v", last)
	}
}

func TestAnIdleTargetOpensToo(t *testing.T) {
	p := start(t, health.Settings{})
	for range 5 {
		p.is(health.Healthy) // also because the last failure was long ago
		p.try(1, health.Failed)
		p.pass(10 * time.Minute)
	}
	if got := p.Snapshot(p.now); got.State != health.Open {
		t.Errorf("one failure in ten minutes, and nothing else: %+v", got)
	}
}

func TestFailureRate(t *testing.T) {
	p := start(t, health.Settings{MinRequests: 10})
	for range 4 {
		p.try(1, health.Failed)
		p.try(1, health.OK)
	}
	p.is(health.Suspect) // half of eight
	p.try(1, health.OK)
	p.try(1, health.Failed)
	p.is(health.Open) // half of ten
	if got := p.Snapshot(p.now); got.Window.Requests != 10 || got.Window.Failed != 5 || got.Reason != "5 of 10 requests failed: scripted" {
		t.Errorf("%+v", got)
	}

	p = start(t, health.Settings{FailureRate: 1.1, Consecutive: -1})
	p.try(100, health.Failed)
	p.is(health.Suspect)
}

func TestFewFailuresAmongManyAreNothing(t *testing.T) {
	p := start(t, health.Settings{})
	for range 50 {
		p.try(20, health.OK)
		p.try(1, health.Failed)
	}
	p.is(health.Healthy)
	if len(p.events) != 0 {
		t.Errorf("events %+v", p.events)
	}
}

func TestTheWindowForgets(t *testing.T) {
	p := start(t, health.Settings{Window: 16 * time.Second, Consecutive: -1})
	p.try(19, health.Failed)
	p.pass(17 * time.Second)
	p.try(19, health.Failed)
	if got := p.Snapshot(p.now).Window; got.Failed != 19 || got.Requests != 19 || got.Rate != 1 || got.Seconds != 16 {
		t.Errorf("window %+v, want the last 19", got)
	}
	p.try(1, health.Failed)
	p.is(health.Open)
}

func TestTheWindowHoldsMillions(t *testing.T) {
	p := start(t, health.Settings{Consecutive: -1})
	failed := health.Outcome{Verdict: health.Failed}
	for range 300_000 {
		for range 4 {
			p.Report(p.now, health.Outcome{Verdict: health.OK})
		}
		p.Report(p.now, failed)
	}
	if got := p.Snapshot(p.now).Window; got.Rate < 0.19 || got.Rate > 0.21 || got.Requests < 100_000 {
		t.Errorf("a fifth of millions failed in two seconds: %+v", got)
	}
}

func TestASuspicionEnds(t *testing.T) {
	p := start(t, health.Settings{})
	p.try(1, health.Failed)
	p.is(health.Suspect)
	p.try(7, health.OK)
	p.is(health.Suspect) // one of eight is no less than an eighth
	p.try(1, health.OK)
	p.is(health.Healthy)

	p.pass(time.Minute)
	p.try(1, health.Failed)
	p.is(health.Suspect)
	p.pass(30*time.Second + 1)
	p.is(health.Healthy) // nobody had to ask it
	if got, want := p.trail(), "healthy suspect healthy suspect healthy"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
}

func TestRecovery(t *testing.T) {
	p := start(t, health.Settings{SlowStart: 10 * time.Second})
	p.try(5, health.Failed)
	p.due()
	trial := p.begin()
	p.is(health.HalfOpen)
	p.refused("beside a trial")
	if wait := p.Wait(p.now); wait > 100*time.Millisecond {
		t.Errorf("look again in %v", wait)
	}
	if got := p.Share(p.now); got != 0.1 {
		t.Errorf("share %v in a trial", got)
	}
	p.report(trial, health.OK)
	p.is(health.Healthy)
	if got := p.Snapshot(p.now); got.Window.Requests != 0 || got.Window.Consecutive != 0 {
		t.Errorf("its past is held against it: %+v", got)
	}
	for _, want := range []float64{0.1, 0.55, 1, 1} {
		if got := p.Share(p.now); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("share %v, want %v", got, want)
		}
		p.pass(5 * time.Second)
	}
	if got, want := p.trail(), "healthy suspect open half_open healthy"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
	if p = start(t, health.Settings{SlowStart: -1}); p.Share(p.now) != 1 {
		t.Error("slow start where there is none")
	}
	p.try(5, health.Failed)
	p.due()
	p.try(1, health.OK)
	if p.Share(p.now) != 1 {
		t.Error("slow start that was switched off")
	}
}

func TestOpenTimesDouble(t *testing.T) {
	p := start(t, health.Settings{OpenFor: time.Second, MaxOpen: 10 * time.Second, SlowStart: 20 * time.Second})
	opens := func(want time.Duration) {
		t.Helper()
		if got := p.Wait(p.now); got > want || got < want*3/4-1 {
			t.Errorf("left alone for %v, want %v and up to a quarter less", got, want)
		}
		p.due()
	}
	p.try(5, health.Failed)
	for _, seconds := range []time.Duration{1, 2, 4, 8, 10, 10} {
		opens(seconds * time.Second)
		p.try(1, health.Failed)
	}
	opens(10 * time.Second)
	p.try(1, health.OK)
	p.pass(time.Second)
	p.try(5, health.Failed) // a relapse
	opens(10 * time.Second)
	p.try(1, health.OK)
	p.pass(20 * time.Second)
	p.try(5, health.Failed) // a new illness
	opens(time.Second)
}

func TestTrialsWithoutAVerdict(t *testing.T) {
	for _, v := range []health.Verdict{health.Neutral, health.Limited, health.Spent, health.Refused, health.Denied} {
		p := start(t, health.Settings{})
		p.try(5, health.Failed)
		p.due()
		p.try(1, v)
		p.due()
		p.pass(time.Millisecond)
		p.try(1, health.OK)
		p.is(health.Healthy)
	}

	p := start(t, health.Settings{})
	p.try(5, health.Failed)
	p.due()
	for lease := 2 * time.Second; lease <= 16*time.Second; lease *= 2 {
		p.begin() // and nothing is heard of it
		p.pass(lease - 1)
		p.refused("while a trial may still succeed")
		p.pass(1)
	}
	hung := p.begin()
	p.report(hung, health.OK)
	p.is(health.Healthy)
}

func TestSeveralTrials(t *testing.T) {
	p := start(t, health.Settings{Trials: 2})
	p.try(5, health.Failed)
	p.due()
	first, second := p.begin(), p.begin()
	p.refused("as a third trial")
	p.report(first, health.Neutral)
	third := p.begin()
	p.refused("as a third trial")
	p.pass(time.Millisecond)
	p.report(third, health.OK)
	p.is(health.Healthy)
	for range 5 {
		p.report(second, health.Failed)
	}
	p.is(health.Healthy) // it began when the target was still ill
}

func TestLateFailuresAreNoNews(t *testing.T) {
	p := start(t, health.Settings{})
	var hung []clock.Instant
	for range 100 {
		hung = append(hung, p.begin())
	}
	p.pass(time.Second)
	for _, began := range hung[:5] {
		p.report(began, health.Failed)
	}
	p.is(health.Open)
	wait := p.Wait(p.now)
	for _, began := range hung[5:50] {
		p.report(began, health.Failed)
	}
	if got := p.Wait(p.now); got != wait {
		t.Errorf("those that fail with it make it wait for %v instead of %v", got, wait)
	}
	p.due()
	trial := p.begin()
	p.report(hung[50], health.Failed)
	p.report(hung[51], health.OK)
	p.is(health.HalfOpen) // neither was the trial
	p.report(trial, health.OK)
	first := p.First(p.now, false)
	p.pass(time.Second)
	for _, began := range hung[52:] {
		p.report(began, health.Failed)
	}
	p.is(health.Healthy)
	if got := p.First(p.now, false); got > first {
		t.Errorf("late timeouts raise the estimate from %v to %v", first, got)
	}
}

func TestStreamsThatBreakOff(t *testing.T) {
	p := start(t, health.Settings{MinRequests: 10, Consecutive: 11})
	for range 10 {
		p.is(p.State(p.now))
		began := p.begin()
		p.report(began, health.OK)
		p.pass(time.Second)
		p.report(began, health.Broken)
		p.End(10)
	}
	p.is(health.Open)
	if got := p.Snapshot(p.now).Window; got.Requests != 10 || got.Failed != 10 {
		t.Errorf("each stream counts once: %+v", got)
	}
}

func TestSettingsCanChange(t *testing.T) {
	p := start(t, health.Settings{Consecutive: 5})
	p.try(2, health.Failed)
	if p.r.Target(p.ID(), health.Settings{Consecutive: 3}) != p.Target {
		t.Fatal("another target")
	}
	p.try(1, health.Failed)
	p.is(health.Open)
}

func TestNil(t *testing.T) {
	var target *health.Target
	now := clock.Now()
	if target.Wait(now) != 0 || !target.Begin(now, 1) || target.State(now) != health.Healthy || target.Share(now) != 1 {
		t.Error("a nil target cannot be used")
	}
	target.Report(now, health.Outcome{Verdict: health.Failed})
	target.Probed(now, health.Outcome{Verdict: health.Failed})
	target.Limited(now, health.Limits{})
	target.End(1)
	target.Drain(now, "")
	target.Disable(now, "")
	target.Enable(now, "")
	requests, tokens := target.Outstanding()
	_, known := target.P95(true)
	if requests != 0 || tokens != 0 || known || target.First(now, true) != 0 || target.Limits() != (health.Limits{}) || target.Probing(now) {
		t.Error("something is known of a nil target")
	}
	if target.Of("gpt-5") != nil || target.ID() != (health.ID{}) || target.Snapshot(now).State != health.Healthy {
		t.Error("a nil target is somebody")
	}
	var none *health.Registry
	if none.Target(health.ID{Provider: "p"}, health.Settings{}) != nil || none.Find(health.ID{}) != nil || none.All(now) != nil || none.Events(0) != nil {
		t.Error("a nil registry has targets")
	}
	none.Keep(nil)
}

func TestTrusted(t *testing.T) {
	target := health.New(health.Options{}).Target(health.ID{Provider: "sim", Model: "m"}, health.Settings{Trusted: true})
	now := clock.Now()
	for _, v := range []health.Verdict{health.Failed, health.Limited, health.Spent, health.Refused, health.Denied} {
		for range 20 {
			if target.Wait(now) != 0 || !target.Begin(now, 0) {
				t.Fatalf("not used after %v", v)
			}
			target.Report(now, health.Outcome{Verdict: v, Began: now, After: time.Minute})
			target.End(0)
		}
	}
	target.Drain(now, "")
	if target.Wait(now) != health.Never {
		t.Error("an operator's word does not hold")
	}
}

// stream makes an attempt that begins to answer; then its stream breaks off, or ends.
func (p *patient) stream(breaks bool) {
	p.Helper()
	began := p.begin()
	p.report(began, health.OK)
	p.pass(time.Second)
	if breaks {
		p.report(began, health.Broken)
	} else {
		p.Ended()
	}
	p.End(10)
}

func TestStreamsInARowThatBreakOff(t *testing.T) {
	p := start(t, health.Settings{Window: time.Minute, MinRequests: 20, Consecutive: 5})
	p.try(20, health.OK) // whole conversations, so that the rate says nothing
	for range 4 {
		p.stream(true)
	}
	p.is(health.Suspect)
	p.stream(false) // one that ends well ends the row
	for range 4 {
		p.stream(true)
	}
	p.is(health.Suspect)
	p.stream(true)
	p.is(health.Open)
	if why := p.Snapshot(p.now).Reason; !strings.HasPrefix(why, "5 streams in a row broke off") {
		t.Error(why)
	}
	p.pass(2 * time.Second)
	p.stream(true) // the trial itself: its first event was no end of the row
	p.is(health.Open)
	p.pass(2 * time.Second)
	p.stream(false)
	p.is(health.Healthy)
	p.stream(true)
	p.is(health.Suspect)
}

func TestWholeRepliesEndWell(t *testing.T) {
	p := start(t, health.Settings{Consecutive: 5})
	p.try(40, health.OK)
	for range 10 {
		p.stream(true)
		p.Report(p.now, health.Outcome{Verdict: health.OK, Whole: true, First: time.Second, Began: p.now})
	}
	p.is(health.Healthy)
}

func TestATrialThatBreaksOffIsNews(t *testing.T) {
	p := start(t, health.Settings{Consecutive: 5})
	late := p.begin()
	p.try(5, health.Failed)
	p.pass(2 * time.Second)
	p.stream(true)
	if got := p.Snapshot(p.now).Window; got.Failed != 1 {
		t.Errorf("%+v", got)
	}
	p.report(late, health.Failed) // from before all that
	if got := p.Snapshot(p.now).Window; got.Failed != 1 {
		t.Errorf("%+v", got)
	}
}
