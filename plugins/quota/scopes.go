package quota

import (
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// find sets the model that is asked for, as policies speak of it, and what it is among the models that are each counted by
// themselves. There is neither if there is no such model: nobody counts what strangers think up.
func (r *record) find() {
	x := r.x
	name := x.Asked()
	if name == "" {
		name = x.Request.Endpoint.Default
	}
	r.each = name
	if name != "" && x.Directory != nil {
		m, canonical, matched := x.Directory.Model(name)
		name, r.each = canonical, canonical
		if m != nil && m.Name.Wild() && !isListed(x.Directory, m, canonical, matched) {
			r.each = string(m.Name)
		}
	}
	r.purse.Whose.Model = name
}

// model is the name of the model that is asked for, "" if there is none.
func (r *record) model() string { return r.purse.Whose.Model }

// isListed says of a name behind a wildcard whether the catalogue has it. Of others there are as many as callers make up.
func isListed(d *gateway.Directory, m *gateway.Model, name, matched string) bool {
	for _, step := range m.Steps {
		for _, t := range step {
			there := strings.Replace(t.Model, "*", matched, 1)
			switch there {
			case "":
				there = name
			case t.Model: // to which all names lead
				continue
			}
			known := t.Known
			if known == nil {
				known = d.Known(t.Provider, there)
			}
			if known != nil && (known.Name == there || slices.Contains(known.Aliases, there)) {
				return true
			}
		}
	}
	return false
}

// asks are the scopes of the exchange that have limits.
func (r *record) asks(to []meter.Ask) []meter.Ask {
	c := &r.x.Caller
	t := c.Tenant
	add := func(kind tenant.ScopeKind, name string, l tenant.Limits) {
		if !l.None() && (name != "" || kind == tenant.OfTenant) {
			to = append(to, meter.Ask{Scope: tenant.Scope{Kind: kind, Name: name}, Limits: l})
		}
	}
	ofKey, ofUser := t.EachKey, t.EachUser
	if c.Key == tenant.Token && c.User != "" {
		ofUser = ofUser.Within(c.Limits)
	} else { // also of tokens that came from a key, whatever user they name
		ofKey = ofKey.Within(c.Limits)
	}
	add(tenant.OfTenant, "", t.Limits)
	add(tenant.OfKey, tenant.KeyName(c.Key), ofKey)
	add(tenant.OfUser, r.user, ofUser)
	if i := slices.IndexFunc(t.EachModel, func(m gateway.ModelLimits) bool { return m.Models.Match(r.model()) }); i >= 0 {
		name := r.model()
		if name != r.each {
			name = string(t.EachModel[i].Models)
		}
		add(tenant.OfModel, name, t.EachModel[i].Limits)
	}
	return to
}

// budgets are those of the tenant that the exchange counts in, with the names of their scopes. Models that a pattern describes
// count together, under the pattern's name.
func (r *record) budgets() []tenant.Budget {
	w := &r.purse.Whose
	var list []tenant.Budget
	for _, b := range r.x.Caller.Tenant.Budgets {
		name, each := "", ""
		switch b.Scope.Kind {
		case tenant.OfKey:
			name, each = w.Key, w.Key
		case tenant.OfUser:
			name, each = w.User, r.user
		case tenant.OfModel:
			name, each = w.Model, r.each
		}
		switch {
		case b.Scope.Name == tenant.Each && name != "":
			b.Scope.Name = each
		case b.Scope.Name == name:
		case b.Scope.Kind != tenant.OfModel || !tenant.Pattern(b.Scope.Name).Match(name) || name == "":
			continue
		}
		list = append(list, b)
	}
	return list
}

func strictest(budgets []tenant.Budget) tenant.Mode {
	mode := tenant.Warn
	for i := range budgets {
		mode = min(mode, budgets[i].Mode)
	}
	return mode
}

// downgrade asks a cheaper model instead, if a budget says so and has passed its last mark. Then the budgets are that model's, and
// these may say so again.
func (r *record) downgrade(counts *meter.Tenant, budgets []tenant.Budget) []tenant.Budget {
	for range r.x.Caller.Tenant.Budgets {
		to := r.cheaper(budgets)
		if to == "" {
			break
		}
		r.x.Instead = to
		r.find()
		budgets = r.budgets()
		counts.Purse(&r.purse, budgets)
	}
	return budgets
}

// cheaper is the model that is to be asked instead; "" if there is none.
func (r *record) cheaper(budgets []tenant.Budget) string {
	x := r.x
	for i := range budgets {
		b := &budgets[i]
		if b.Downgrade == "" || len(b.WarnAt) == 0 || r.model() == "" || x.Request.Endpoint.Decode == nil {
			continue
		}
		m, name, _ := x.Directory.Model(b.Downgrade)
		if m == nil || name == r.model() || !x.Caller.Allows(name) {
			continue
		}
		mark := b.WarnAt[len(b.WarnAt)-1]
		if r.purse.Spent(x.Context(), b.Scope, b.Per) >= int64(b.Amount)/10_000*int64(mark) {
			return b.Downgrade
		}
	}
	return ""
}

// listener watches exchanges of which nothing is limited: what they cost counts in budgets that come to be meanwhile, and in those
// that were taken away and may come back.
type listener struct{ meters *meter.Meters }

var _ gateway.Witness = (*listener)(nil)

// Begin implements gateway.Witness.
func (l *listener) Begin(*gateway.Exchange, *gateway.Attempt) error { return nil }

// Settle implements gateway.Witness.
func (l *listener) Settle(x *gateway.Exchange, a *gateway.Attempt) {
	if a.Charge > 0 {
		l.meters.Tenant(x.Caller.Tenant.ID).Charged(&meter.Whose{Key: tenant.KeyName(x.Caller.Key), User: x.Caller.User, Model: x.Plan.Model}, a.Start, a.Charge)
	}
}

// End implements gateway.Witness.
func (l *listener) End(*gateway.Exchange, error) {}
