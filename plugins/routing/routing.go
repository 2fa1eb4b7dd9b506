// Package routing plans where an exchange may go: it turns the name in "model" into the targets to try, in the order of the
// model's strategy, finds who holds the files, batches and responses that a request is about, and answers the questions about
// models itself. Lists and hints name only what the tenant may use, and so does a plan, however a target came into it.
package routing

import (
	"slices"

	"github.com/sluice-ai/sluice/gateway"
)

// Config has no settings: models, strategies, weights and fallbacks are configured where they are defined.
type Config struct{}

// Spec describes the plugin "routing".
func Spec() gateway.Spec {
	return gateway.Define("routing", Config{}, func(gateway.Host, Config) (gateway.Plugin, error) { return &Plugin{}, nil })
}

// Plugin plans exchanges that are forwarded, and answers models.list and models.retrieve. It stands behind the plugin
// that sets Exchange.Caller.
type Plugin struct {
	memories memories
}

var _ gateway.Plugin = (*Plugin)(nil)

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
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
		if err := p.plan(x); err != nil {
			return err
		}
		return next.Serve(x)
	})
}

// plan fills x.Plan.
func (p *Plugin) plan(x *gateway.Exchange) error {
	o, err := overridden(x)
	if err != nil {
		return err
	}
	if x.Request.Endpoint.Model == gateway.NoModel {
		err = planAccount(x)
	} else {
		err = p.planByModel(x, o)
	}
	if err != nil {
		return err
	}
	o.apply(&x.Plan)
	return nil
}

func (p *Plugin) planByModel(x *gateway.Exchange, o *override) error {
	if err := x.Request.Open(); err != nil {
		return err
	}
	name, e := x.Asked(), x.Request.Endpoint
	switch {
	case name != "":
	case e.Default == "":
		return planAccount(x)
	default:
		if name = e.Default; !known(x, name) {
			return noDefault(name)
		}
	}
	return p.planModel(x, name, o)
}

func known(x *gateway.Exchange, name string) bool {
	m, _, _ := x.Directory.Model(name)
	return m != nil
}

// planModel plans for a model. Without a choice, without fallback and if all targets have the endpoint, that allocates
// nothing: the plan shares the model's targets.
func (p *Plugin) planModel(x *gateway.Exchange, name string, o *override) error {
	m, canonical, matched := x.Directory.Model(name)
	switch {
	case m == nil:
		return notFound(x, name)
	case !x.Caller.Allows(canonical):
		return notAllowed(name)
	case o != nil && o.provider != "" && x.Caller.Tenant.Overrides&gateway.OverrideProvider == 0:
		return notOverridable(providerHeader)
	}
	x.Plan = gateway.Plan{Model: canonical, Matched: matched, Targets: m.Fixed(), Hedge: m.Hedge}
	own := len(x.Plan.Targets)
	var among []*gateway.Target
	if x.Plan.Targets == nil || len(m.Fallback) > 0 || o.steers() || !allCan(x.Plan.Targets, x.Request.Endpoint) {
		w := walk{p: p, x: x, o: o, asked: m, seen: make([]*gateway.Model, 0, 8), targets: make([]*gateway.Target, 0, 8)}
		w.add(m)
		if x.Plan.Targets, own = w.targets, w.own; len(w.targets) == 0 {
			if err := w.nothing(name); err != nil {
				return err
			}
			return pin(x)
		}
		if w.sooner {
			among = w.targets[:own]
		}
	}
	if o.strategyOf(m) == gateway.Ordered {
		x.Plan.Targets = eased(x, x.Plan.Targets, own)
	}
	x.Plan.Targets = fitting(x, x.Plan.Targets)
	if err := pin(x); err != nil {
		return err
	}
	p.chosen(x, among)
	return nil
}

func allCan(targets []*gateway.Target, e *gateway.Endpoint) bool {
	return !slices.ContainsFunc(targets, func(t *gateway.Target) bool { return !t.Can(e) })
}
