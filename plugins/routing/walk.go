package routing

import (
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// most is how many targets a plan has at most. More would never be tried.
const most = 64

// walk collects the targets of a model and of its fallbacks, depth first: those of each model in the order of its strategy.
type walk struct {
	p       *Plugin
	x       *gateway.Exchange
	o       *override
	asked   *gateway.Model
	seen    []*gateway.Model
	targets []*gateway.Target
	own     int  // of targets, those of the model that was asked for
	sooner  bool // those were chosen by latency
	unable  bool // a target was left out, because its provider does not have the endpoint
}

func (w *walk) add(m *gateway.Model) {
	w.seen = append(w.seen, m)
	d := draw{p: w.p, x: w.x, strategy: w.o.strategyOf(m)}
	d.session, d.bound = session(w.x, m.Affinity)
	var room [8]candidate
	pool := room[:0]
	for _, step := range m.Steps {
		from := len(pool)
		for _, t := range step {
			switch {
			case !t.Can(w.x.Request.Endpoint):
				w.unable = true
			case w.o.excludes(t):
			case len(w.targets)+len(pool) < most && !w.has(t, pool):
				pool = append(pool, candidate{t: t})
			}
		}
		d.weigh(pool[from:])
		if d.strategy == gateway.Ordered {
			pool = w.take(&d, pool)
		}
	}
	w.take(&d, pool)
	if m == w.asked {
		w.own, w.sooner = len(w.targets), d.strategy == gateway.LeastLatency && !d.bound
	}
	if w.o != nil && w.o.alone {
		return
	}
	for _, f := range m.Fallback {
		if !slices.Contains(w.seen, f) && w.allowed(f) {
			w.add(f)
		}
	}
}

// take puts candidates into the plan, in the order in which they are drawn, and gives back their room.
func (w *walk) take(d *draw, pool []candidate) []candidate {
	d.order(pool)
	for i := range pool {
		w.targets = append(w.targets, pool[i].t)
	}
	return pool[:0]
}

// has says whether the same attempt is planned already, perhaps for another model.
func (w *walk) has(t *gateway.Target, pool []candidate) bool {
	same := func(u *gateway.Target) bool {
		return u == t || u.Provider == t.Provider && u.Key == t.Key && w.x.ModelFor(u) == w.x.ModelFor(t)
	}
	return slices.ContainsFunc(w.targets, same) || slices.ContainsFunc(pool, func(c candidate) bool { return same(c.t) })
}

// allowed says whether the tenant may use a fallback. One with a wildcard means the same text as in the name that was
// asked for, so it has a name only if that came by a wildcard too.
func (w *walk) allowed(f *gateway.Model) bool {
	before, after, wild := strings.Cut(string(f.Name), "*")
	switch {
	case !wild:
		return w.x.Caller.Allows(string(f.Name))
	case !w.asked.Name.Wild():
		return false
	default:
		return w.x.Caller.Allows(before + w.x.Plan.Matched + after)
	}
}

// nothing says why there is no target.
func (w *walk) nothing(name string) error {
	if w.o != nil && w.o.provider != "" {
		anywhere := walk{p: w.p, x: w.x, o: &override{alone: w.o.alone}, asked: w.asked}
		if anywhere.add(w.asked); len(anywhere.targets) > 0 {
			return notAmong(w.o.provider, name, anywhere.targets)
		}
		w = &anywhere
	}
	if w.unable {
		return unsupported(w.x, w.asked, name)
	}
	return nil
}
