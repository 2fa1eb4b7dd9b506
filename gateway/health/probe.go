package health

import "github.com/sluice-ai/sluice/gateway/internal/clock"

// Probing says whether an active probe may be sent now: not if an operator has disabled the target, nor in a cool-down, nor
// before what was refused may be tried, because who asks with a wrong key too often is locked out.
func (t *Target) Probing(now clock.Instant) bool {
	return t != nil && t.operator.Load() != disable && t.gate.wait(now) == 0 && t.key.wait(now) == 0
}

// Probed says what became of an active probe. One that had a first event (Outcome.First is its time) asked what callers
// ask, and counts as a trial. A cheaper one, such as a list of models, proves only that somebody is there and takes the
// key: it lets the next trial come at once, until such a trial has failed.
//
// Failures of probes count as failures in a row, together with those of requests; they are not in the window. Those of cheap
// probes (Outcome.Cheap) count only as long as no request has succeeded within the window, and are no trials: a list of models
// may be broken where answers are not.
func (t *Target) Probed(now clock.Instant, o Outcome) {
	if t == nil {
		return
	}
	began := o.began(now)
	switch {
	case o.Verdict != OK:
		t.heed(now, began, o)
	case o.First > 0:
		t.passed(now, began)
	case t.key.accepted(now, began):
		t.tell(now, 0, Event{ID: t.keyID(), From: Disabled, To: Healthy, Reason: "a probe was accepted"})
	}
	t.mu.Lock()
	defer t.unlock()
	if t.machine.epoch != 0 && began < t.machine.epoch {
		return
	}
	switch o.Verdict {
	case OK:
		if t.machine.failed == 0 || began >= t.machine.failed { // what was so before is no news: another node may have asked
			t.probeSucceeded(now, o)
		}
	case Failed:
		if !o.Cheap || t.current() <= Suspect && !t.succeeds(now) {
			t.probeFailed(now, o)
		}
	default: // says nothing of illness
	}
}

func (t *Target) probeSucceeded(now clock.Instant, o Outcome) {
	m := &t.machine
	t.streak.Add(-min(int32(m.missed), t.streak.Load())) //nolint:gosec // few
	m.missed = 0
	switch real := o.First > 0; {
	case t.current() <= Suspect && real:
		t.streak.Store(0)
		t.calm(now)
	case t.current() <= Suspect:
		t.calm(now)
	case real:
		t.recover(now, 0, o, "a probe succeeded")
	case t.current() == Open && !m.distrust && left(&t.until, now) > 0:
		m.probed = true
		t.until.Store(instant(now))
	}
}

// succeeds says whether requests did of late, be it a trial that began a new window.
func (t *Target) succeeds(now clock.Instant) bool {
	total, failed := t.window.sum(now)
	recovered := clock.Instant(t.recovered.Load())
	return total > failed || recovered != 0 && now.Sub(recovered) < t.settings.Load().Window
}

func (t *Target) probeFailed(now clock.Instant, o Outcome) {
	m := &t.machine
	switch {
	case t.current() <= Suspect:
		t.failed(now)
		m.missed++
		t.doubt(now, because("probe", o.Reason))
	case t.current() == Open && left(&t.until, now) == 0: // it would be tried now, and this was the trial
		t.open(now, because("a probe failed", o.Reason))
	}
}
