// Package routing plans where an exchange may go: it turns the name in "model" into the targets to try, finds who holds the
// files, batches and responses that a request is about, and answers the questions about models itself. Lists and hints name
// only what the tenant may use.
package routing

import (
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// Config has no settings: models, aliases, weights and fallbacks are configured where they are defined.
type Config struct{}

// Spec describes the plugin "routing".
func Spec() gateway.Spec {
	return gateway.Define("routing", Config{}, func(gateway.Host, Config) (gateway.Plugin, error) { return Plugin{}, nil })
}

// Plugin plans exchanges that are forwarded, and answers models.list and models.retrieve. It stands behind the plugin
// that sets Exchange.Caller.
type Plugin struct{}

var _ gateway.Plugin = Plugin{}

// Wrap implements gateway.Plugin.
func (Plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		e := x.Request.Endpoint
		list, retrieve := e.Name == "models.list", e.Name == "models.retrieve"
		switch {
		case e.Forward == "" && !list && !retrieve:
			return next.Serve(x)
		case x.Caller.Tenant == nil:
			return errNobody
		case list:
			return answerList(x)
		case retrieve:
			return answerModel(x)
		}
		if err := plan(x); err != nil {
			return err
		}
		return next.Serve(x)
	})
}

// plan fills x.Plan.
func plan(x *gateway.Exchange) error {
	e := x.Request.Endpoint
	if e.Model == gateway.NoModel {
		return planAccount(x)
	}
	if err := x.Request.Open(); err != nil {
		return err
	}
	name := x.Request.Model()
	switch {
	case name != "":
	case e.Default == "":
		return planAccount(x)
	default:
		if name = e.Default; !known(x, name) {
			return noDefault(name)
		}
	}
	if err := planModel(x, name); err != nil {
		return err
	}
	return pin(x)
}

func known(x *gateway.Exchange, name string) bool {
	m, _, _ := x.Directory.Model(name)
	return m != nil
}

// planModel plans for a model. Without a choice, without fallback and if all targets have the endpoint, that allocates
// nothing: the plan shares the model's targets.
func planModel(x *gateway.Exchange, name string) error {
	m, canonical, matched := x.Directory.Model(name)
	switch {
	case m == nil:
		return notFound(x, name)
	case !x.Caller.Tenant.Allows(canonical):
		return notAllowed(name)
	}
	x.Plan = gateway.Plan{Model: canonical, Matched: matched, Targets: m.Fixed()}
	if x.Plan.Targets == nil || len(m.Fallback) > 0 || !allCan(x.Plan.Targets, x.Request.Endpoint) {
		w := walk{x: x, asked: m, seen: make([]*gateway.Model, 0, 8), targets: make([]*gateway.Target, 0, 8)}
		w.add(m)
		if x.Plan.Targets = w.targets; len(w.targets) == 0 && w.unable {
			return unsupported(x, m, name)
		}
	}
	return nil
}

func allCan(targets []*gateway.Target, e *gateway.Endpoint) bool {
	for _, t := range targets {
		if !t.Can(e) {
			return false
		}
	}
	return true
}

// most is how many targets a plan has at most. More would never be tried.
const most = 64

// walk collects the targets of a model and of its fallbacks, depth first.
type walk struct {
	x       *gateway.Exchange
	asked   *gateway.Model
	seen    []*gateway.Model
	targets []*gateway.Target
	unable  bool // a target was left out, because its provider does not have the endpoint
}

func (w *walk) add(m *gateway.Model) {
	w.seen = append(w.seen, m)
	for _, step := range m.Steps {
		from := len(w.targets)
		for _, t := range step {
			switch {
			case !t.Can(w.x.Request.Endpoint):
				w.unable = true
			case len(w.targets) < most && !w.has(t):
				w.targets = append(w.targets, t)
			}
		}
		shuffle(w.targets[from:])
	}
	for _, f := range m.Fallback {
		if !slices.Contains(w.seen, f) && w.allowed(f) {
			w.add(f)
		}
	}
}

// has says whether the same attempt is planned already, perhaps for another model.
func (w *walk) has(t *gateway.Target) bool {
	return slices.ContainsFunc(w.targets, func(u *gateway.Target) bool {
		return u == t || u.Provider == t.Provider && u.Key == t.Key && w.x.ModelFor(u) == w.x.ModelFor(t)
	})
}

// allowed says whether the tenant may use a fallback. One with a wildcard means the same text as in the name that was
// asked for, so it has a name only if that came by a wildcard too.
func (w *walk) allowed(f *gateway.Model) bool {
	before, after, wild := strings.Cut(string(f.Name), "*")
	switch {
	case !wild:
		return w.x.Caller.Tenant.Allows(string(f.Name))
	case !w.asked.Name.Wild():
		return false
	default:
		return w.x.Caller.Tenant.Allows(before + w.x.Plan.Matched + after)
	}
}
