// Package quota holds callers to what their tenant may use. Requests, tokens and places are taken where it stands in the chain, for
// the tenant, the key, the user and the model at once, or from none of them. Money is reserved where target and price are
// known: directly before each attempt is sent.
package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Spec describes the plugin "quota". meters outlive it, so that nothing is forgotten when its settings change; whoever only asks
// for the settings gives nil.
func Spec(meters *meter.Meters) gateway.Spec {
	return gateway.Define("quota", Defaults(), func(h gateway.Host, c Config) (gateway.Plugin, error) {
		if meters == nil {
			return nil, errors.New("quota: there are no meters")
		}
		return newPlugin(h, meters, c)
	})
}

// Plugin is the limits and budgets of a generation.
type Plugin struct {
	c       Config
	meters  *meter.Meters
	refused *prometheus.CounterVec // by what was missing, and in what scope

	listener *listener // watches who is not limited
}

var _ gateway.Plugin = (*Plugin)(nil)

func newPlugin(h gateway.Host, meters *meter.Meters, c Config) (*Plugin, error) {
	p := &Plugin{c: c, meters: meters, listener: &listener{meters}, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_limit_rejections_total", Help: "Requests refused because a limit or a budget was reached, by what was missing and whose it was.",
	}, []string{"what", "scope"})}
	marks := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sluice_budget_alerts_total", Help: "Marks of budgets that were passed.",
	})
	untold := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sluice_budget_alerts_undelivered_total", Help: "Marks of budgets that the receiver of alerts did not take.",
	})
	for _, collector := range []prometheus.Collector{p.refused, marks, untold} {
		if err := h.Metrics().Register(collector); err != nil {
			return nil, fmt.Errorf("quota: %w", err)
		}
	}
	var receiver *hook
	if c.Alerts.URL != "" {
		var err error
		if receiver, err = newHook(&c.Alerts, h.Now); err != nil {
			return nil, fmt.Errorf("quota: alerts.secret %w", err)
		}
	}
	t := teller{log: h.Log(), marks: marks, untold: untold, receiver: receiver, now: h.Now}
	h.Go(func(ctx context.Context) { t.run(ctx, meters.Alerts()) })
	return p, nil
}

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		switch t := x.Caller.Tenant; {
		case t == nil || x.Request.Endpoint.Policy != gateway.Callers:
			return next.Serve(x)
		case !limits(&x.Caller):
			x.Watch(p.listener)
			return next.Serve(x)
		}
		if err := x.Request.Open(); err != nil {
			return err
		}
		return p.serve(x, next)
	})
}

// limits says whether anything of a caller is limited.
func limits(c *gateway.Caller) bool {
	t := c.Tenant
	return !t.Limits.None() || !t.EachKey.None() || !t.EachUser.None() || !c.Limits.None() || len(t.EachModel) > 0 || len(t.Budgets) > 0
}

func (p *Plugin) serve(x *gateway.Exchange, next gateway.Handler) error {
	t := x.Caller.Tenant
	r := &record{p: p, x: x}
	r.hold.Outage, r.purse.Outage = p.outage()
	r.purse.Whose = meter.Whose{Key: tenant.KeyName(x.Caller.Key), User: x.Caller.User}
	counts := p.meters.Tenant(t.ID)
	r.user = counts.Counts(x.Caller.User)
	r.find()
	budgets := r.budgets()
	counts.Purse(&r.purse, budgets)
	budgets = r.downgrade(counts, budgets)
	r.pays, r.mode = len(budgets) > 0, strictest(budgets)
	var room [4]meter.Ask
	asks := r.asks(room[:0])
	if len(asks) > 0 {
		if no, ok := counts.Admit(x.Context(), &r.hold, estimate(x, asks), asks); !ok {
			x.Rates = shown(&no)
			return p.refuse(&no)
		}
		requests, tokens := r.hold.Rates()
		x.Rates = gateway.Rates{Requests: gateway.Rate(requests), Tokens: gateway.Rate(tokens)}
	}
	x.Watch(r)
	if err := next.Serve(x); err != nil {
		return err
	}
	if r.pays && r.mode == tenant.Metered && x.Reply.Kind == gateway.Events && len(x.Attempts()) > 0 {
		x.Reply.Stream = newMetered(r)
	}
	return nil
}

// outage is what holds without the pool.
func (p *Plugin) outage() (rates, money meter.Outage) {
	if p.c.OnOutage == share {
		return meter.Share, meter.Share
	}
	return meter.ShareRates, meter.Deny
}

// refuse counts a refusal and makes an error of it.
func (p *Plugin) refuse(r *meter.Refusal) *gateway.Error {
	p.counter(r).Inc()
	return refused(r)
}

func (p *Plugin) counter(r *meter.Refusal) prometheus.Counter {
	return p.refused.WithLabelValues(r.What.String(), r.Scope.Kind.String())
}

// shown is what the headers of a refusal say.
func shown(r *meter.Refusal) (rates gateway.Rates) {
	rate := gateway.Rate{Limit: r.Limit, Remaining: r.Remaining, Reset: r.After}
	switch r.What {
	case meter.Requests:
		rates.Requests = rate
	case meter.Tokens:
		rates.Tokens = rate
	}
	return rates
}

// estimate is how many tokens the exchange will take, if anybody counts them.
func estimate(x *gateway.Exchange, asks []meter.Ask) int64 {
	e := x.Request.Endpoint
	counted := slices.ContainsFunc(asks, func(a meter.Ask) bool { return a.Limits.Tokens > 0 })
	if !counted || e.Free {
		return 0
	}
	n := x.Request.PromptTokens()
	if answer := x.Request.LikelyAnswer(); answer > 0 {
		n += answer * choices(&x.Request)
	}
	return n
}
