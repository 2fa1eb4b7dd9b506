package health

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

const (
	// lookAgain is how soon it is worth asking whether a trial is over.
	lookAgain = 50 * time.Millisecond
	// A trial without a verdict does not keep others waiting for longer than its lease. It doubles, so that a provider
	// that answers nothing holds few of them.
	minLease, maxLease = 2 * time.Second, 30 * time.Second
)

// machine is what Target.state stands on. The target's mutex guards it.
type machine struct {
	since    clock.Instant // of the state
	why      string        // of the state
	epoch    clock.Instant // when it opened, recovered or was enabled last: what began before is no news
	trial    clock.Instant // but this: when the trial began with which it recovered, and which may yet break off; 0: none
	openings int           // in a row, without a full recovery in between
	failed   clock.Instant // when a failure was counted last
	missed   int           // how many of the failures in a row were probes
	trials   int           // that run, HalfOpen
	lease    time.Duration // of a trial, HalfOpen
	probed   bool          // Open, but a cheap probe succeeded: the next trial comes early
	distrust bool          // that trial failed: cheap probes prove nothing
}

// slowly is the share of a target that is used.
func (t *Target) slowly(now clock.Instant) float64 {
	r, slow := clock.Instant(t.recovered.Load()), t.settings.Load().SlowStart
	if r == 0 || slow <= 0 || now.Sub(r) >= slow {
		return 1
	}
	return minShare + (1-minShare)*max(float64(now.Sub(r)), 0)/float64(slow)
}

// try takes the trials that an attempt needs: of the target, if it is ill, and of what was refused.
func (t *Target) try(now clock.Instant) bool {
	t.mu.Lock()
	defer t.unlock()
	ill := t.current() >= HalfOpen
	if ill && left(&t.until, now) > 0 || t.gate.wait(now) > 0 || !t.key.try(now) || !t.gate.try(now) {
		return false
	}
	if !ill {
		return true
	}
	m, s := &t.machine, t.settings.Load()
	if t.current() == Open {
		m.trials, m.lease = 0, minLease
		t.become(now, HalfOpen, "its time has come")
	} else if m.trials >= s.Trials {
		m.trials, m.lease = 0, min(2*m.lease, maxLease) // none of them had a verdict in time
	}
	m.trials++
	if m.trials >= s.Trials {
		t.until.Store(instant(now.Add(m.lease)))
	}
	return true
}

// judge takes an outcome that may change something.
func (t *Target) judge(now clock.Instant, o Outcome) {
	began := o.began(now)
	if o.Verdict == OK {
		t.passed(now, began)
	} else {
		t.heed(now, began, o)
	}
	switch o.Verdict {
	case Neutral:
		if !t.onTrial() {
			return
		}
		t.untried(now, began, 0)
	case Limited:
		t.untried(now, began, 0)
	case Failed:
		t.untried(now, began, barPause)
	default: // says what becomes of a trial, or of the key
	}
	t.mu.Lock()
	t.step(now, began, o)
	t.unlock()
}

// untried gives back trials that an attempt took of what was refused.
func (t *Target) untried(now, began clock.Instant, pause time.Duration) {
	t.gate.untried(now, began, pause)
	t.key.untried(now, began, pause)
}

func (o Outcome) began(now clock.Instant) clock.Instant {
	if o.Began == 0 {
		return now
	}
	return o.Began
}

// heed does what an outcome other than OK asks for, whoever saw it.
func (t *Target) heed(now, began clock.Instant, o Outcome) {
	if o.After > 0 && o.Verdict == Failed && t.gate.coolDown(now, o.After, 0, o.Reason) {
		t.cooling(now, o.Reason)
	}
	switch o.Verdict {
	case Limited:
		news, tell := t.gate.limit(now, began, o, minCool, maxCool)
		if news {
			t.penalise(now)
		}
		if tell {
			t.cooling(now, o.Reason)
		}
	case Spent:
		if _, tell := t.key.limit(now, began, o, minSpent, maxSpent); tell {
			t.tell(now, clock.Instant(t.key.cool.Load()), Event{ID: t.keyID(), From: Healthy, To: Healthy, Reason: o.Reason})
		}
	case Refused:
		t.refused(now, began, t.key, t.keyID(), o.Reason)
	case Denied:
		if t.children.Load() != nil {
			return // the names that share it have too little in common
		}
		t.refused(now, began, &t.gate, t.id, o.Reason)
	default: // of illness the machine knows more
	}
}

// passed tells the gates of a success.
func (t *Target) passed(now, began clock.Instant) {
	if t.key.passed(now, began) {
		t.tell(now, 0, Event{ID: t.keyID(), From: Disabled, To: Healthy, Reason: "the key is accepted again"})
	}
	if t.gate.passed(now, began) {
		t.tell(now, 0, Event{ID: t.id, From: Disabled, To: t.standing(), Reason: "the model is there again"})
	}
}

func (t *Target) refused(now, began clock.Instant, g *gate, id ID, why string) {
	from := Healthy
	if g.bar.Load() != 0 {
		from = Disabled
	} else if id == t.id {
		from = t.standing()
	}
	if g.refuse(now, began, why) {
		t.tell(now, clock.Instant(g.bar.Load()), Event{ID: id, From: from, To: Disabled, Reason: why})
	}
}

// step moves the machine.
func (t *Target) step(now, began clock.Instant, o Outcome) {
	m := &t.machine
	if m.epoch != 0 && began < m.epoch && (o.Verdict != Broken || began != m.trial) {
		return
	}
	switch t.current() {
	case Healthy, Suspect:
		t.weigh(now, o)
	case HalfOpen:
		switch o.Verdict {
		case OK:
			t.recover(now, began, o, "a trial succeeded")
		case Failed:
			m.distrust = m.distrust || m.probed
			t.open(now, because("a trial failed", o.Reason))
		default:
			t.nextTrial(now)
		}
	default: // Open: attempts that began before it opened have been told apart, others were not allowed
	}
}

func (t *Target) nextTrial(now clock.Instant) {
	t.machine.trials = max(t.machine.trials-1, 0)
	t.until.Store(instant(now))
}

// weigh counts an outcome of a target that is used.
func (t *Target) weigh(now clock.Instant, o Outcome) {
	switch o.Verdict {
	case OK:
		t.calm(now)
		return
	case Failed:
		t.window.add(now, oneOutcome|oneFailure)
	case Broken:
		t.window.add(now, oneFailure)
		t.cuts.Add(1)
	default:
		return
	}
	t.penalise(now)
	t.failed(now)
	t.doubt(now, o.Reason)
}

// failed adds to the failures in a row.
func (t *Target) failed(now clock.Instant) {
	if t.streak.Add(1) == 1 {
		t.machine.missed = 0
	}
	t.machine.failed = now
}

// doubt opens the target, or suspects it, if it has failed too often.
func (t *Target) doubt(now clock.Instant, why string) {
	s := t.settings.Load()
	total, failed := t.window.sum(now)
	rate := float64(failed) / float64(max(total, 1))
	streak, cuts := int(t.streak.Load()), int(t.cuts.Load())
	switch {
	case s.Consecutive > 0 && streak >= s.Consecutive:
		t.open(now, because(strconv.Itoa(streak)+" failures in a row", why))
	case s.Consecutive > 0 && cuts >= s.Consecutive:
		t.open(now, because(strconv.Itoa(cuts)+" streams in a row broke off", why))
	case total >= int64(s.MinRequests) && rate >= s.FailureRate:
		t.open(now, because(fmt.Sprintf("%d of %d requests failed", failed, total), why))
	case t.current() == Healthy && (rate >= s.FailureRate/2 || s.Consecutive > 0 && 2*max(streak, cuts) > s.Consecutive):
		t.become(now, Suspect, because("it fails", why))
	}
}

// calm ends a suspicion when few enough failures are left in the window.
func (t *Target) calm(now clock.Instant) {
	if t.current() != Suspect || t.streak.Load() != 0 {
		return
	}
	total, failed := t.window.sum(now)
	if float64(failed) < float64(max(total, 1))*t.settings.Load().FailureRate/4 {
		t.become(now, Healthy, "it succeeds")
	}
}

// settle ends a suspicion of which the reasons have left the window.
func (t *Target) settle(now clock.Instant) {
	t.mu.Lock()
	if t.current() == Suspect && now.Sub(t.machine.failed) > t.settings.Load().Window {
		t.become(now, Healthy, "it has not failed for a while")
	}
	t.unlock()
}

// open leaves the target alone: for longer each time, unless it was well in between.
func (t *Target) open(now clock.Instant, why string) {
	m, s := &t.machine, t.settings.Load()
	if t.current() <= Suspect && t.slowly(now) == 1 {
		m.openings = 0
	}
	d := doubled(s.OpenFor, s.MaxOpen, m.openings)
	m.openings++
	t.until.Store(instant(now.Add(d - rand.N(d/4+1)))) //nolint:gosec // jitter
	m.epoch, m.trial, m.probed = now, 0, false
	t.become(now, Open, why)
}

// recover ends an illness, because of a success: of a trial that began at that instant, or of a probe (0).
func (t *Target) recover(now, trial clock.Instant, o Outcome, why string) {
	m := &t.machine
	t.window.reset()
	t.streak.Store(0)
	t.latency[kind(o.Whole)].first.set(now, o.First)
	t.latency[kind(!o.Whole)].first.set(now, 0)
	m.epoch, m.trial, m.missed, m.trials, m.probed, m.distrust = now, trial, 0, 0, false, false
	t.recovered.Store(instant(now))
	t.become(now, Healthy, why)
}

// current is the state of the machine alone.
func (t *Target) current() State { return State(t.state.Load()) } //nolint:gosec // a State

// become changes the state. The mutex is held. Of what is disabled anyway there is nothing to tell.
func (t *Target) become(now clock.Instant, to State, why string) {
	from, shown := t.current(), t.standing() != Disabled
	if t.operator.Load() == use {
		t.machine.since, t.machine.why = now, why
	}
	t.state.Store(uint32(to))
	if !shown {
		return
	}
	var until clock.Instant
	if to == Open {
		until = clock.Instant(t.until.Load())
	}
	t.tell(now, until, Event{ID: t.id, From: from, To: to, Reason: why})
}

// unlock ends a change and lets others know of it.
func (t *Target) unlock() {
	t.mu.Unlock()
	t.registry.deliver()
}

func (t *Target) cooling(now clock.Instant, why string) {
	s := t.standing()
	t.tell(now, clock.Instant(t.gate.cool.Load()), Event{ID: t.id, From: s, To: s, Reason: why})
	t.registry.deliver()
}

func (t *Target) keyID() ID { return ID{Provider: t.id.Provider, Key: t.id.Key} }

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// tell takes an event down, which is delivered when no lock is held.
func (t *Target) tell(now, until clock.Instant, e Event) {
	e.At, e.Until = now.Time(), until.Time()
	t.registry.record(e)
}
