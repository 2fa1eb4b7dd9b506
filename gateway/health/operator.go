package health

import (
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Order is an operator's word for the targets of a provider, also for those that a later configuration brings, or a name
// behind a "*". Of several that a target matches the last holds.
type Order struct {
	Provider string    `json:"provider"`
	Key      *string   `json:"key,omitempty"`   // nil: all
	Model    *string   `json:"model,omitempty"` // nil: all; one with a "*" means all that stands for
	Word     Word      `json:"order"`
	Reason   string    `json:"reason,omitempty"` // for the record: who wants it, and why
	At       time.Time `json:"at"`
}

// Word is what an operator can say.
type Word string

// The words.
const (
	// Drain lets no new exchange come; those that run go on, and probes too.
	Drain Word = "drain"
	// Disable is Drain without probes.
	Disable Word = "disable"
	// Enable takes back Drain and Disable, and clears what is held against the targets: an illness, a cool-down, and a
	// refusal of the key, for all of its targets.
	Enable Word = "enable"
)

// word is w as a target has it, and what it says of that.
func (w Word) word() (word, string) {
	switch w {
	case Drain:
		return drain, "drained by an operator"
	case Disable:
		return disable, "disabled by an operator"
	default:
		return use, "enabled by an operator"
	}
}

func (o *Order) matches(id ID) bool {
	return o.Provider == id.Provider && (o.Key == nil || *o.Key == id.Key) && (o.Model == nil || *o.Model == id.Model)
}

// covers says whether an order is for everything that another is for.
func (o *Order) covers(p *Order) bool {
	fits := func(mine, other *string) bool { return mine == nil || other != nil && *mine == *other }
	return o.Provider == p.Provider && fits(o.Key, p.Key) && fits(o.Model, p.Model)
}

// isFor says whether an order matches a target, or the "*" that stands for it. The registry's mutex is held.
func (o *Order) isFor(t *Target) bool {
	return o.matches(t.id) || t.parent != nil && o.matches(t.parent.id)
}

// Order gives an operator's word to all targets that it matches, and keeps it until another takes it back. It says whether
// there was such a target, or such an order to take back; if not, nothing is kept.
func (r *Registry) Order(now clock.Instant, o Order) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	var targets []*Target
	for _, t := range r.targets {
		if o.isFor(t) {
			targets = append(targets, t)
		}
	}
	before := len(r.orders)
	r.orders = slices.DeleteFunc(r.orders, func(old Order) bool { return o.covers(&old) })
	heard := len(targets) > 0 || len(r.orders) < before
	exception := slices.ContainsFunc(r.orders, func(old Order) bool { return old.Provider == o.Provider })
	if heard && (o.Word != Enable || exception) {
		o.At = now.Time()
		r.orders = append(r.orders, o)
	}
	r.mu.Unlock()
	slices.SortFunc(targets, byID)
	for _, t := range targets {
		t.obey(now, &o)
	}
	r.deliver()
	return heard
}

// Orders are those that hold, in the order in which they came.
func (r *Registry) Orders() []Order {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.orders)
}

// brief tells a new target what operators have said of it. The registry's mutex is held.
func (r *Registry) brief(t *Target) {
	for i := len(r.orders) - 1; i >= 0; i-- {
		if o := &r.orders[i]; o.isFor(t) {
			w, what := o.Word.word()
			if w != use {
				t.operator.Store(w)
				t.machine.why = because(what, o.Reason)
			}
			return
		}
	}
}

// Drain gives the order [Drain] for this target and those that its "*" stands for.
func (t *Target) Drain(now clock.Instant, why string) { t.order(now, Drain, why) }

// Disable is likewise for [Disable].
func (t *Target) Disable(now clock.Instant, why string) { t.order(now, Disable, why) }

// Enable is likewise for [Enable].
func (t *Target) Enable(now clock.Instant, why string) { t.order(now, Enable, why) }

func (t *Target) order(now clock.Instant, w Word, why string) {
	if t != nil {
		t.registry.Order(now, Order{Provider: t.id.Provider, Key: &t.id.Key, Model: &t.id.Model, Word: w, Reason: why})
	}
}

// obey does as an order says. One that is repeated changes the reason, if it has one.
func (t *Target) obey(now clock.Instant, o *Order) {
	w, what := o.Word.word()
	what = because(what, o.Reason)
	from := t.standing()
	t.mu.Lock()
	changed := t.operator.Swap(w) != w
	if changed {
		t.machine.since = now
	}
	if changed || w != use && o.Reason != "" {
		t.machine.why = what
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
