package health_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
)

func (p *patient) probe(v health.Verdict, first time.Duration) {
	p.Probed(p.now, health.Outcome{Verdict: v, Began: p.now, First: first, Reason: "probed"})
}

func TestProbesFindWhatNobodyAsksFor(t *testing.T) {
	p := start(t, health.Settings{})
	for range 5 {
		p.pass(time.Minute)
		p.probe(health.Failed, 0)
	}
	p.is(health.Open)
	if got := p.Snapshot(p.now); got.Reason != "5 failures in a row: probe: probed" || got.Window.Requests != 0 {
		t.Errorf("%+v", got)
	}
}

func TestProbesAndRequestsAgree(t *testing.T) {
	p := start(t, health.Settings{})
	p.probe(health.Failed, 0)
	p.probe(health.Failed, 0)
	p.try(1, health.OK)
	p.probe(health.Failed, 0)
	p.probe(health.Failed, 0)
	p.probe(health.OK, 0)
	p.try(2, health.Failed)
	p.probe(health.Failed, 0)
	p.probe(health.OK, 0) // takes the probe's failure back, but proves nothing of requests
	p.try(2, health.Failed)
	p.is(health.Suspect)
	p.probe(health.OK, time.Second) // asked what callers ask
	p.try(4, health.Failed)
	p.is(health.Suspect)
	p.probe(health.Failed, 0)
	p.is(health.Open)
}

// Of what another node has found out one may hear late: that it was well before it failed says nothing.
func TestASuccessFromBeforeIsNoNews(t *testing.T) {
	p := start(t, health.Settings{})
	before := p.now
	p.pass(time.Second)
	p.try(4, health.Failed)
	p.is(health.Suspect)
	p.Probed(p.now, health.Outcome{Verdict: health.OK, Began: before, First: time.Second})
	p.is(health.Suspect)
	p.try(1, health.Failed)
	p.is(health.Open)
}

func TestACheapProbeTakesBackItsOwnFailuresOnly(t *testing.T) {
	p := start(t, health.Settings{})
	p.probe(health.Failed, 0)
	p.probe(health.Failed, 0)
	p.try(1, health.OK)
	p.try(2, health.Failed)
	p.probe(health.OK, 0)
	p.probe(health.Failed, 0)
	p.probe(health.OK, 0)
	p.probe(health.OK, 0)
	p.try(2, health.Failed)
	p.is(health.Suspect)
	p.try(1, health.Failed)
	p.is(health.Open)
}

func TestAProbeEndsASuspicion(t *testing.T) {
	p := start(t, health.Settings{})
	p.probe(health.Failed, 0)
	p.probe(health.Failed, 0)
	p.probe(health.Failed, 0)
	p.is(health.Suspect)
	p.probe(health.OK, 0)
	p.is(health.Healthy)
}

func TestACheapProbeBringsTheTrialForward(t *testing.T) {
	p := start(t, health.Settings{OpenFor: time.Minute})
	p.try(5, health.Failed)
	p.pass(time.Second)
	p.probe(health.OK, 0)
	p.is(health.Open)
	trial := p.begin()
	p.is(health.HalfOpen)
	p.probe(health.OK, 0)
	p.is(health.HalfOpen) // the trial decides
	p.pass(time.Second)
	p.report(trial, health.Failed)
	p.is(health.Open)
	wait := p.Wait(p.now)
	p.probe(health.OK, 0)
	if got := p.Wait(p.now); got != wait {
		t.Errorf("it waits for %v instead of %v, because of a probe that was wrong before", got, wait)
	}
	p.due()
	p.try(1, health.OK)
	p.try(5, health.Failed)
	p.probe(health.OK, 0) // another illness
	p.waits(0)
}

func TestARealProbeIsATrial(t *testing.T) {
	p := start(t, health.Settings{})
	p.try(5, health.Failed)
	p.pass(time.Millisecond)
	p.probe(health.OK, 50*time.Millisecond)
	p.is(health.Healthy)
	if got := p.Share(p.now); got != 0.1 {
		t.Errorf("share %v", got)
	}
	p.near(50)
	if got, want := p.trail(), "healthy suspect open healthy"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
	p.Probed(p.now, health.Outcome{Verdict: health.Failed, Began: p.now.Add(-time.Second)})
	if got := p.Snapshot(p.now); got.Window.Consecutive != 0 {
		t.Errorf("a probe that was under way before: %+v", got)
	}

	p.try(5, health.Failed)
	p.probe(health.Failed, 0)
	p.due()
	wait := p.Wait(p.now)
	p.probe(health.Failed, 0) // in the place of the trial that is due
	if p.Wait(p.now) < time.Second || wait != 0 {
		t.Errorf("it waits for %v after a probe failed", p.Wait(p.now))
	}
}

func TestProbesHeedTheProvider(t *testing.T) {
	p := start(t, health.Settings{})
	sameKey, _, _ := family(p)
	if !p.Probing(p.now) {
		t.Error("no probes of what is healthy")
	}
	p.Probed(p.now, health.Outcome{Verdict: health.Limited, After: time.Minute})
	p.waits(time.Minute)
	if p.Probing(p.now) || !sameKey.Probing(p.now) {
		t.Error("probes inside a cool-down, or none of other targets")
	}
	p.pass(time.Minute)
	p.probe(health.Spent, 0)
	if sameKey.Probing(p.now) {
		t.Error("probes with a key that cools down")
	}
	p.due()
	p.probe(health.Refused, 0)
	p.is(health.Disabled)
	p.Drain(p.now, "")
	if p.Probing(p.now) || sameKey.Probing(p.now) {
		t.Error("probes with a key that was refused a moment ago")
	}
	p.pass(5 * time.Minute)
	p.Enable(p.now, "")
	p.probe(health.Refused, 0)
	p.pass(5 * time.Minute)
	if !p.Probing(p.now) {
		t.Error("no probe that could find out that a key is accepted again")
	}
	p.probe(health.Neutral, 0)
	p.is(health.Disabled)
	p.probe(health.OK, 0)
	p.is(health.Healthy)
	p.probe(health.Denied, 0)
	p.probe(health.OK, 0) // says nothing of the model
	p.is(health.Disabled)
	p.probe(health.OK, time.Second)
	p.is(health.Healthy)
}

// TestACheapProbeThatFails says little of a target that requests succeed at, and must not be its trial.
func TestACheapProbeThatFails(t *testing.T) {
	p := start(t, health.Settings{})
	cheap := func(n int) {
		for range n {
			p.Probed(p.now, health.Outcome{Verdict: health.Failed, Began: p.now, Reason: "http 500", Cheap: true})
		}
	}
	p.try(1, health.OK)
	cheap(20)
	p.is(health.Healthy)
	p.try(4, health.Failed)
	p.is(health.Suspect)
	p.pass(time.Minute)
	cheap(1) // nobody asks any more
	p.is(health.Open)
	p.due()
	cheap(1)
	p.waits(0)
	p.is(health.Open)
	p.try(1, health.OK)
	cheap(20)
	p.is(health.Healthy)
}
