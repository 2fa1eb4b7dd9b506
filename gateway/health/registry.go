package health

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

const (
	maxChildren = 256
	// childIdle is for how long a child must not have been used to make room for another.
	childIdle = 5 * time.Minute
	// childPause is for how long nobody looks for room after there was none.
	childPause = time.Second
	// keptEvents is how many events a registry remembers.
	keptEvents = 256

	reconfigured = "its configuration has changed"
)

// Options are what a Registry is made with.
type Options struct {
	// OnEvent is called for each event, one after another and in order, by a goroutine that reports or asks about a
	// target. It must not block. nil is allowed.
	OnEvent func(Event)
}

// Registry holds what is known of all targets. It outlasts generations, so that a reload forgets nothing.
type Registry struct {
	onEvent func(Event)

	mu      sync.Mutex
	targets map[ID]*Target
	keys    map[ID]*gate // by ID without a model
	orders  []Order

	events struct {
		sync.Mutex
		seq        uint64
		kept       []Event // the last keptEvents
		pending    []Event // not delivered yet
		delivering bool
		waiting    atomic.Bool // whether there is something to deliver, for those who need not lock
	}
}

// New makes an empty registry.
func New(o Options) *Registry {
	return &Registry{onEvent: o.OnEvent, targets: map[ID]*Target{}, keys: map[ID]*gate{}}
}

// Target makes or finds a target and gives it settings.
func (r *Registry) Target(id ID, s Settings) *Target {
	if r == nil {
		return nil
	}
	s = s.withDefaults()
	defer r.deliver()
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[id]
	if t == nil {
		t = r.add(id, s, nil)
	}
	t.parent = nil
	if strings.Contains(id.Model, "*") && t.children.Load() == nil {
		t.children.Store(&map[string]*Target{})
	}
	if t.key.version != s.Version {
		t.key.version = s.Version
		t.forgiveKey(clock.Now(), reconfigured)
	}
	for _, c := range t.family() {
		r.apply(c, s)
	}
	return t
}

// Reserve finds a target, or makes one with settings, without a change of what is known of others, such as of its key: for
// a configuration that may still fail. Target completes it.
func (r *Registry) Reserve(id ID, s Settings) *Target {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[id]
	if t == nil {
		t = r.add(id, s.withDefaults(), nil)
	}
	if strings.Contains(id.Model, "*") && t.children.Load() == nil {
		t.children.Store(&map[string]*Target{})
	}
	return t
}

// family is a target and those that were made for its "*". The registry's mutex is held.
func (t *Target) family() []*Target {
	all := []*Target{t}
	if m := t.children.Load(); m != nil {
		for _, c := range *m {
			if c.parent == t {
				all = append(all, c)
			}
		}
	}
	return all
}

// add makes a target; parent is whose "*" stands for it, or nil.
func (r *Registry) add(id ID, s Settings, parent *Target) *Target {
	keyID := ID{Provider: id.Provider, Key: id.Key}
	if r.keys[keyID] == nil {
		r.keys[keyID] = &gate{version: s.Version}
	}
	t := &Target{id: id, registry: r, key: r.keys[keyID], parent: parent}
	t.window.setSpan(s.Window)
	t.settings.Store(&s)
	t.machine.since = clock.Now()
	r.brief(t)
	r.targets[id] = t
	return t
}

func (r *Registry) apply(t *Target, s Settings) {
	old := t.settings.Load()
	if *old == s {
		return
	}
	t.settings.Store(&s)
	t.window.setSpan(s.Window)
	if old.Version != s.Version {
		from, now := t.standing(), clock.Now()
		if t.forgive(now, reconfigured) {
			t.tell(now, 0, Event{ID: t.id, From: from, To: t.standing(), Reason: reconfigured})
		}
	}
}

// Of is the target for one real name of a model where the target's own has a "*"; without one it is the target itself.
// So it is when 256 names are in use, lest a caller fills the memory with invented ones.
func (t *Target) Of(model string) *Target {
	if t == nil {
		return nil
	}
	m := t.children.Load()
	if m == nil || model == t.id.Model {
		return t
	}
	if c := (*m)[model]; c != nil {
		return c
	}
	return t.registry.child(t, model)
}

func (r *Registry) child(t *Target, model string) *Target {
	now := clock.Now()
	if left(&t.full, now) > 0 {
		return t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	children := maps.Clone(*t.children.Load())
	if c := children[model]; c != nil {
		return c
	}
	if len(children) >= maxChildren && !t.makeRoom(children, now) {
		t.full.Store(instant(now.Add(childPause)))
		return t
	}
	id := ID{Provider: t.id.Provider, Key: t.id.Key, Model: model}
	c := r.targets[id]
	if c == nil {
		c = r.add(id, *t.settings.Load(), t)
		c.used.Store(instant(now)) // not idle before its first attempt
	}
	children[c.id.Model] = c
	t.children.Store(&children)
	return c
}

// makeRoom forgets children of which nothing is known that matters. It says whether there were any.
func (t *Target) makeRoom(children map[string]*Target, now clock.Instant) bool {
	n := len(children)
	for model, c := range children {
		idle := now.Sub(clock.Instant(c.used.Load())) >= childIdle
		requests, _ := c.Outstanding()
		known := c.current() > Suspect || c.gate.wait(now) > 0 || c.operator.Load() != t.operator.Load()
		if idle && requests == 0 && !known {
			delete(children, model)
			if c.parent == t {
				delete(t.registry.targets, c.id)
			}
		}
	}
	return len(children) < n
}

// Keep forgets the targets that are not among ids. Exchanges that still have one go on with it.
func (r *Registry) Keep(ids iter.Seq[ID]) {
	if r == nil {
		return
	}
	keep := map[ID]bool{}
	for id := range ids {
		keep[id] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.targets, func(id ID, t *Target) bool {
		return !keep[id] && (t.parent == nil || !keep[t.parent.id])
	})
	keys := map[ID]bool{}
	for id, t := range r.targets {
		keys[ID{Provider: id.Provider, Key: id.Key}] = true
		if m := t.children.Load(); m != nil {
			children := maps.Clone(*m)
			maps.DeleteFunc(children, func(_ string, c *Target) bool { return r.targets[c.id] != c })
			t.children.Store(&children)
		}
	}
	maps.DeleteFunc(r.keys, func(id ID, _ *gate) bool { return !keys[id] })
}

// Find is a target that exists, or nil.
func (r *Registry) Find(id ID) *Target {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.targets[id]
}

// OfKey are the targets of one of a provider's keys.
func (r *Registry) OfKey(provider, key string) (targets []*Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, t := range r.targets {
		if id.Provider == provider && id.Key == key {
			targets = append(targets, t)
		}
	}
	return targets
}

// All is what is known of all targets, by provider, key and model.
func (r *Registry) All(now clock.Instant) []Snapshot {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	targets := slices.Collect(maps.Values(r.targets))
	r.mu.Unlock()
	slices.SortFunc(targets, byID)
	all := make([]Snapshot, len(targets))
	for i, t := range targets {
		all[i] = t.Snapshot(now)
	}
	return all
}

func byID(a, b *Target) int {
	return cmp.Or(strings.Compare(a.id.Provider, b.id.Provider), strings.Compare(a.id.Key, b.id.Key), strings.Compare(a.id.Model, b.id.Model))
}

// Events are the latest events after the one with number seq, oldest first; at most 256.
func (r *Registry) Events(seq uint64) []Event {
	if r == nil {
		return nil
	}
	e := &r.events
	e.Lock()
	defer e.Unlock()
	i, _ := slices.BinarySearchFunc(e.kept, seq+1, func(ev Event, n uint64) int { return cmp.Compare(ev.Seq, n) })
	return slices.Clone(e.kept[i:])
}

// record takes an event down; whoever did so calls deliver when it holds no locks.
func (r *Registry) record(ev Event) {
	e := &r.events
	e.Lock()
	defer e.Unlock()
	e.seq++
	ev.Seq = e.seq
	if len(e.kept) == keptEvents {
		e.kept = append(e.kept[:0], e.kept[1:]...)
	}
	e.kept = append(e.kept, ev)
	if r.onEvent != nil {
		e.pending = append(e.pending, ev)
		e.waiting.Store(true)
	}
}

// deliver hands events over, unless another goroutine does.
func (r *Registry) deliver() {
	e := &r.events
	if !e.waiting.Load() {
		return
	}
	e.Lock()
	defer e.Unlock()
	if e.delivering {
		return
	}
	e.delivering = true
	defer func() { // deferred: who is told may panic, and what is left is for the next to deliver
		e.delivering = false
		e.waiting.Store(len(e.pending) > 0)
	}()
	for len(e.pending) > 0 {
		ev := e.pending[0]
		e.pending = e.pending[1:]
		r.hand(ev)
	}
}

// hand hands an event over, without the lock that is held.
func (r *Registry) hand(ev Event) {
	r.events.Unlock()
	defer r.events.Lock()
	r.onEvent(ev)
}
