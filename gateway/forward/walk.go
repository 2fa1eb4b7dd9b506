package forward

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// walk goes over the targets of one exchange's plan: each once, those first that can be asked at once, and then round again
// for the retries. Sets of targets are sets of bits; a plan has no more than 64.
type walk struct {
	h       *Handler
	x       *gateway.Exchange
	targets []*gateway.Target
	tokens  int64 // of the prompt, by an estimate

	current   int    // index of the target that was asked last; -1: none
	tried     uint64 // asked at least once
	made      [mostTargets]uint8
	dismissed uint64          // will not answer differently
	crowded   uint64          // do not let this exchange queue (any longer)
	afforded  uint64          // have been failing, and are paid for
	retries   int             // left
	retry     int             // made
	paid      bool            // the budget has paid for the next retry
	rest      gateway.Instant // before which there is no retry
	asked     askedFor        // before which there is none at a target
	tooSmall  int64           // window of the largest model that found the prompt too long
	refused   error           // by the queue of a target that is crowded
	prevented error           // by a witness
}

const mostTargets = 64

// askedFor is until when targets, by their index, asked to be left alone with this request. What health knows of is not in it.
type askedFor map[int]gateway.Instant

func newWalk(h *Handler, x *gateway.Exchange) walk {
	w := walk{h: h, x: x, targets: distinct(x), tokens: x.Request.PromptTokens(), current: -1, retries: h.o.Max}
	if n := x.Plan.Retries; n != nil {
		w.retries = min(w.retries, *n)
	}
	if len(w.targets) > mostTargets {
		w.targets = w.targets[:mostTargets]
	}
	return w
}

// distinct is the plan's targets. A tenant's own key replaces each of the operator's, so that targets which differ only in
// their key are one: the tenant's account is not asked again for each of them.
func distinct(x *gateway.Exchange) []*gateway.Target {
	own := x.Caller.Tenant.Own
	if len(own) == 0 || len(x.Plan.Targets) == 1 {
		return x.Plan.Targets
	}
	var targets []*gateway.Target
	for _, t := range x.Plan.Targets {
		same := func(u *gateway.Target) bool { return u.Provider == t.Provider && u.Model == t.Model }
		if own[t.Provider] == nil || !slices.ContainsFunc(targets, same) {
			targets = append(targets, t)
		}
	}
	return targets
}

// place is where one attempt can be made.
type place struct {
	target  *gateway.Target
	via     gateway.Sender
	key     string
	health  *health.Target
	limiter *admission.Limiter
	own     bool // the tenant's account
	index   int
	tokens  int64
	waited  time.Duration
}

// place is the target of that index, or the tenant's own account there.
func (w *walk) place(i int) place {
	t := w.targets[i]
	p := place{target: t, via: t.Via, key: t.Key, health: t.Health, limiter: t.Limiter, index: i, tokens: w.tokens}
	if own := w.x.Caller.Tenant.Own[t.Provider]; own != nil {
		p.via, p.key, p.health, p.limiter, p.own = own.Via, "tenant", own.Health, own.Limiter, true
	}
	if p.health != nil {
		p.health = p.health.Of(w.x.ModelFor(t))
	}
	return p
}

// has says whether a target is in a set.
func has(set uint64, i int) bool { return set&(1<<i) != 0 }

// may says whether a target is worth being asked, now or later.
func (w *walk) may(i int) bool {
	if has(w.dismissed|w.crowded, i) {
		return false
	}
	if w.tooSmall > 0 {
		if n := w.window(i); n > 0 && n <= w.tooSmall {
			return false
		}
	}
	return true
}

// window is how many tokens a target's model takes; 0 if that is not known.
func (w *walk) window(i int) int64 {
	if m := w.known(w.targets[i]); m != nil {
		return m.Context
	}
	return 0
}

// known is what the catalogue knows of a target's model; nil if nothing.
func (w *walk) known(t *gateway.Target) *catalog.Model {
	if t.Known != nil {
		return t.Known
	}
	return w.x.Directory.Known(t.Provider, w.x.ModelFor(t))
}

// next takes a place at the target that comes next, and waits for it if it must. The error says why there is none.
func (w *walk) next() (place, error) {
	began := gateway.Now()
	for now, naps := began, 0; ; now = gateway.Now() {
		p, full, ok := w.fresh(now)
		if ok {
			w.move(&p, now.Sub(began))
			return p, nil
		}
		var err error
		if full == 0 {
			if full, err = w.await(now, w.patience(began, now), naps); err != nil {
				return p, err
			}
			if full == 0 {
				naps++
				continue
			}
		}
		p, ok, err = w.enter(full)
		if err != nil {
			return p, err
		}
		if ok {
			w.move(&p, gateway.Since(began))
			return p, nil
		}
	}
}

// await gives whom to ask, as a set, or waits until it is worth looking again: then the set is empty. naps is how often it did.
func (w *walk) await(now gateway.Instant, most time.Duration, naps int) (set uint64, err error) {
	i, wait, ok := w.soonest(now, most)
	switch {
	case !ok:
		return 0, w.nobody(now)
	case wait <= 0:
		return 1 << i, nil
	case naps > 0: // the last was in vain: somebody else tries it
		wait = max(wait, min(nap<<min(naps, 8), longestNap, most))
	}
	return 0, pause(w.x, wait)
}

// Between two looks at whether a trial of somebody else's is over.
const (
	nap        = 25 * time.Millisecond
	longestNap = 400 * time.Millisecond
)

// move goes to a place that was taken after so long a wait.
func (w *walk) move(p *place, waited time.Duration) {
	if has(w.tried, p.index) {
		w.retries--
		w.retry++
		w.paid = false
	}
	w.tried |= 1 << p.index
	w.made[p.index]++
	w.current, p.waited = p.index, waited
}

// fresh takes a place at the first target that was not tried yet and can be asked at once. Without one it gives the set of those
// that only have no room.
func (w *walk) fresh(now gateway.Instant) (p place, full uint64, ok bool) {
	for i := range w.targets {
		if has(w.tried, i) || !w.may(i) {
			continue
		}
		p = w.place(i)
		switch {
		case p.health.Wait(now) > 0:
		case w.tried != 0 && !w.afford(&p, now):
			w.dismissed |= 1 << i
		case !p.limiter.TryEnter():
			full |= 1 << i
		case w.start(&p, now):
			return p, 0, true
		}
	}
	return place{}, full, false
}

// afford pays for a failover to a target that has been failing itself: in an outage of all targets each would multiply the
// load. To one that is well it is free.
func (w *walk) afford(p *place, now gateway.Instant) bool {
	if has(w.afforded, p.index) || p.health.State(now) == health.Healthy {
		return true
	}
	if !w.h.budget.withdraw() {
		return false
	}
	w.afforded |= 1 << p.index
	return true
}

// start begins an attempt at a place where there is room; false if the target must not be asked any more.
func (w *walk) start(p *place, now gateway.Instant) bool {
	if p.health.Begin(now, p.tokens) {
		return true
	}
	p.limiter.Leave(admission.Signal{})
	return false
}

// patience is for how long the exchange may still wait, having begun at an instant, when none of its targets may be asked: until
// its caller's deadline, and without one for BackoffMax. Where that is 0 nobody waits.
func (w *walk) patience(began, now gateway.Instant) time.Duration {
	most := w.h.o.BackoffMax
	if most <= 0 {
		return 0 // who can be asked at once still is
	}
	most -= now.Sub(began)
	if d := w.x.Deadline(); d != 0 {
		most = d.Sub(now)
	}
	return max(most, 0)
}

// soonest is whom to wait for, and how long, if that is not too long: the target that can be asked soonest, of several the one
// whose turn it is. Those that were tried come again after a pause, as long as there are retries; each time that one was asked
// in vain counts like half of BackoffMax, lest all retries go where it fails while another only wants to be left alone for
// a second.
func (w *walk) soonest(now gateway.Instant, most time.Duration) (index int, wait time.Duration, ok bool) {
	for {
		index, wait, ok = w.earliest(now, most)
		if !ok || !has(w.tried, index) || w.paid {
			return index, wait, ok
		}
		if w.h.budget.withdraw() {
			w.paid = true
			return index, wait, ok
		}
		w.retries = 0
	}
}

// earliest is soonest, whoever pays for it.
func (w *walk) earliest(now gateway.Instant, most time.Duration) (index int, wait time.Duration, ok bool) {
	var least time.Duration
	for k := range w.targets {
		i := (w.current + 1 + k) % len(w.targets)
		if !w.may(i) || has(w.tried, i) && w.retries <= 0 {
			continue
		}
		p := w.place(i)
		d := p.health.Wait(now)
		if has(w.tried, i) {
			d = max(d, w.rest.Sub(now))
		}
		if until, ok := w.asked[i]; ok {
			d = max(d, until.Sub(now))
		}
		if d > most || !w.inTime(&p, now, d) {
			continue
		}
		if badness := max(d, 0) + time.Duration(w.made[i])*w.h.o.BackoffMax/2; !ok || badness < least {
			index, wait, least, ok = i, d, badness, true
		}
	}
	return index, wait, ok
}

// inTime says whether an attempt that is made after a wait can still answer before the caller's deadline. What failures add to
// the time that a target is expected to take counts for a quarter of what is left at most.
func (w *walk) inTime(p *place, now gateway.Instant, wait time.Duration) bool {
	d := w.x.Deadline()
	if d == 0 {
		return true
	}
	left := d.Sub(now)
	return wait+min(p.health.First(now, !w.x.Request.Stream()), left/4) < left
}

// enter takes a place at one of a set of targets, in their queues if need be. It is not ok without an error if another should
// be looked for.
func (w *walk) enter(set uint64) (p place, ok bool, err error) {
	now := gateway.Now()
	var places []place
	var at []*admission.Limiter
	for i := range w.targets {
		if p := w.place(i); has(set, i) && p.health.Wait(now) <= 0 && !slices.Contains(at, p.limiter) {
			places, at = append(places, p), append(at, p.limiter)
		}
	}
	if len(at) == 0 {
		return p, false, nil
	}
	k, err := admission.EnterAny(w.x.Context(), w.ticket(), at...)
	switch {
	case err == nil:
		p = places[k]
		return p, w.start(&p, gateway.Now()), nil
	case w.x.Err() != nil:
		return p, false, w.x.Cause()
	default:
		w.crowded |= set
		w.refused = crowd(places[k].target.Provider, err)
		return p, false, nil
	}
}

// ticket is what the exchange has to show in a queue.
func (w *walk) ticket() admission.Ticket {
	t := w.x.Caller.Tenant
	p := t.Priority
	switch string(chat.ServedTier([]byte(w.x.Request.Member(`"service_tier"`)))) {
	case "flex", "batch":
		p = min(p, admission.Low)
	}
	return admission.Ticket{Tenant: string(t.ID), Priority: p, Deadline: w.x.Deadline()}
}

// backoff is the wait before the n-th retry, n from 1: exponential, with up to half of it taken off at random so that
// callers which failed together do not come back together.
func (h *Handler) backoff(n int) time.Duration {
	d := h.o.BackoffMin << min(n-1, 16)
	if d > h.o.BackoffMax || d <= 0 {
		d = h.o.BackoffMax
	}
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2) //nolint:gosec // jitter
}

func pause(x *gateway.Exchange, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-x.Context().Done():
		return x.Cause()
	}
}
