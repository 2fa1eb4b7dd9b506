package health

import "github.com/sluice-ai/sluice/gateway/internal/clock"

// Drain lets no new exchange come; those that run go on, and probes too. why is for the record: who wanted it.
func (t *Target) Drain(now clock.Instant, why string) {
	t.order(now, drain, "drained by an operator", why)
}

// Disable is Drain without probes.
func (t *Target) Disable(now clock.Instant, why string) {
	t.order(now, disable, "disabled by an operator", why)
}

// Enable takes back Drain and Disable, and clears what is held against the target: an illness, a cool-down, and a refusal
// of the key, for all of its targets.
func (t *Target) Enable(now clock.Instant, why string) {
	t.order(now, use, "enabled by an operator", why)
}

// order gives an operator's word to a target and those that its "*" stands for.
func (t *Target) order(now clock.Instant, w word, what, why string) {
	if t == nil {
		return
	}
	what = because(what, why)
	r := t.registry
	r.mu.Lock()
	for _, t := range t.family() { // under the mutex: a name that comes meanwhile has the old word or the new one, and is told
		from := t.standing()
		t.mu.Lock()
		changed := t.operator.Swap(w) != w
		if changed {
			t.machine.since, t.machine.why = now, what
		}
		t.mu.Unlock()
		if w == use {
			changed = t.forgiveKey(now, what) || changed
			changed = t.forgive(now, what) || changed
		}
		if changed {
			t.tell(now, 0, Event{ID: t.id, From: from, To: t.standing(), Reason: what})
		}
	}
	r.mu.Unlock()
	r.deliver()
}

// forgiveKey clears what is held against the key of a target. It says whether there was anything.
func (t *Target) forgiveKey(now clock.Instant, why string) bool {
	barred := t.key.bar.Load() != 0
	shut := t.key.open(now, why)
	if shut && barred {
		t.tell(now, 0, Event{ID: t.keyID(), From: Disabled, To: Healthy, Reason: why})
	}
	return shut
}

// forgive clears what is held against a target. It says whether there was anything.
func (t *Target) forgive(now clock.Instant, why string) bool {
	shut := t.gate.open(now, why)
	t.mu.Lock()
	defer t.mu.Unlock()
	ill := t.current() != Healthy
	t.window.reset()
	t.streak.Store(0)
	t.cuts.Store(0)
	t.recovered.Store(0)
	m := &t.machine
	*m = machine{since: m.since, why: m.why, epoch: now}
	if ill {
		for k := range t.latency {
			t.latency[k].first.set(now, 0)
		}
		t.state.Store(uint32(Healthy))
		m.since, m.why = now, why
	}
	return ill || shut
}
