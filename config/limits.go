package config

import (
	"fmt"
	"slices"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Limits bound what is asked for.
type Limits struct {
	// RequestsPerMinute bounds the requests. 0: no limit.
	RequestsPerMinute int64 `yaml:"requests_per_minute,omitempty" jsonschema:"minimum=0"`
	// TokensPerMinute bounds the tokens of prompts and answers together. 0: no limit.
	TokensPerMinute int64 `yaml:"tokens_per_minute,omitempty" jsonschema:"minimum=0"`
	// Concurrent bounds the requests that run at once. 0: no limit.
	Concurrent int64 `yaml:"concurrent,omitempty" jsonschema:"minimum=0"`
}

// TenantLimits bound what a tenant asks for, all in all and in parts. A request must fit into all that concern it, and takes from
// none if it does not.
type TenantLimits struct {
	// RequestsPerMinute bounds the tenant's requests. 0: no limit.
	RequestsPerMinute int64 `yaml:"requests_per_minute,omitempty" jsonschema:"minimum=0"`
	// TokensPerMinute bounds the tokens of the tenant's prompts and answers together. 0: no limit.
	TokensPerMinute int64 `yaml:"tokens_per_minute,omitempty" jsonschema:"minimum=0"`
	// Concurrent bounds the tenant's requests that run at once. 0: no limit.
	Concurrent int64 `yaml:"concurrent,omitempty" jsonschema:"minimum=0"`
	// EachKey bounds what is asked for with each key by itself.
	EachKey Limits `yaml:"each_key,omitempty"`
	// EachUser bounds what each end user asks for, as the credential names them.
	EachUser Limits `yaml:"each_user,omitempty"`
	// Models bounds what is asked of each model by itself. The first entry that describes a model counts.
	Models []ModelLimits `yaml:"models,omitempty"`
}

// ModelLimits bound what is asked of each model that a pattern describes, by itself.
type ModelLimits struct {
	// Model is a name, in which * stands for any text.
	Model string `yaml:"model" jsonschema:"required"`
	// RequestsPerMinute bounds the requests. 0: no limit.
	RequestsPerMinute int64 `yaml:"requests_per_minute,omitempty" jsonschema:"minimum=0"`
	// TokensPerMinute bounds the tokens of prompts and answers together. 0: no limit.
	TokensPerMinute int64 `yaml:"tokens_per_minute,omitempty" jsonschema:"minimum=0"`
	// Concurrent bounds the requests that run at once. 0: no limit.
	Concurrent int64 `yaml:"concurrent,omitempty" jsonschema:"minimum=0"`
}

// Modes of a budget.
const (
	// StrictMode reserves what a request may cost at worst before it is made, and limits its answer to what is left.
	StrictMode = "strict"
	// MeteredMode reserves piece by piece while the answer comes, and ends it when nothing is left.
	MeteredMode = "metered"
	// WarnMode only tells.
	WarnMode = "warn"
)

// Budget is money that may be spent.
type Budget struct {
	// USD is how much, in US dollars, such as 250 or 0.50.
	USD tenant.USD `yaml:"usd" jsonschema:"required"`
	// Per is the time for which it is, in UTC: a day, a week from Monday, a month, or for ever.
	Per string `yaml:"per" jsonschema:"required,enum=day,enum=week,enum=month,enum=total"`
	// Mode is strict (never exceeded: what a request may cost at worst is reserved before), metered (reserved piece by piece
	// while the answer comes) or warn (only told of).
	Mode string `yaml:"mode" jsonschema:"enum=strict,enum=metered,enum=warn"`
	// Of says whose spending counts: tenant, key:NAME, each_key, user:NAME, each_user, model:NAME.
	Of string `yaml:"of"`
	// WarnAt lists the shares of the budget, rising, at which it is told: in the log, in a metric, and to alerts.url.
	WarnAt []Percent `yaml:"warn_at,omitempty"`
	// Downgrade is the model that is asked instead once the last of warn_at is passed. The tenant must be allowed to use it.
	Downgrade string `yaml:"downgrade,omitempty"`
}

// SetDefaults fills in what a file may leave out.
func (b *Budget) SetDefaults() { b.Mode, b.Of = MeteredMode, tenant.OfTenant.String() }

// mostBudgets is how many budgets a tenant may have: each request is counted in all that concern it.
const mostBudgets = 16

func (c *tenantChecker) limits() {
	for i, m := range c.tenant.Limits.Models {
		if at := fmt.Sprintf("limits.models[%d].model", i); m.Model == "" || !printable(m.Model) {
			c.fail(at, nameHint, "%s: %q is not the pattern of a name", at, m.Model)
		}
	}
	if n := len(c.tenant.Budgets); n > mostBudgets {
		c.fail("budgets", "", "budgets: %d are more than %d", n, mostBudgets)
	}
	for i := range c.tenant.Budgets {
		c.budget(fmt.Sprintf("budgets[%d]", i), &c.tenant.Budgets[i])
	}
}

func (c *tenantChecker) budget(at string, b *Budget) {
	scope, err := tenant.ParseScope(b.Of)
	switch {
	case err != nil:
		c.fail(at+".of", "", "%s.of: %s", at, err)
	case scope.Kind == tenant.OfModel && scope.Name == tenant.Each:
		c.fail(at+".of", "write tenant, for all models together, or a budget of model:NAME for each one; model:gpt-* is for all of those together",
			"%s.of: no budget is for each model by itself", at)
	case scope.Kind == tenant.OfModel && !printable(scope.Name):
		c.fail(at+".of", nameHint, "%s.of: %q is not the name of a model, or a pattern", at, b.Of)
	case scope.Kind == tenant.OfKey && !c.hasKey(scope.Name):
		c.fail(at+".of", "", "%s.of: the tenant has no key %q", at, scope.Name)
	}
	for i, share := range b.WarnAt {
		if path := fmt.Sprintf("%s.warn_at[%d]", at, i); share == 0 || i > 0 && share <= b.WarnAt[i-1] {
			c.fail(path, "write rising shares, such as [50%, 80%]", "%s: %s is not more than what is before it", path, share)
		}
	}
	if b.Downgrade != "" && len(b.WarnAt) == 0 {
		c.fail(at+".downgrade", "add warn_at: its last share is where the downgrade begins", "%s.downgrade has no effect without warn_at", at)
	}
	if d := b.Downgrade; d != "" && !allowed(&c.tenant.Models, d) {
		c.fail(at+".downgrade", "", "%s.downgrade: the tenant may not use %q", at, d)
	}
}

// hasKey says whether a budget of keys can be of that name. Which keys a tenant of the store has is not known here.
func (c *tenantChecker) hasKey(name string) bool {
	switch name {
	case tenant.Each, tenant.Token, tenant.Anonymous:
		return true
	}
	return c.stored != "" || slices.ContainsFunc(c.tenant.Keys, func(k TenantKey) bool { return k.Name == name })
}

// allowed says whether rules allow a model.
func allowed(r *ModelRules, model string) bool {
	matches := func(p string) bool { return tenant.Pattern(p).Match(model) }
	return !slices.ContainsFunc(r.Deny, matches) && (len(r.Allow) == 0 || slices.ContainsFunc(r.Allow, matches))
}

// needs reports tenants' limits and budgets that nothing in the chain would hold them to.
func (t *tenantSet) needs() {
	has := func(plugin string) bool { return slices.Contains(t.cfg.Chain, plugin) }
	for i, f := range t.files {
		if f.tenant == nil {
			continue
		}
		lacks := func(path, plugin string) {
			t.blame(conflict{file: i, path: path, message: path + " has no effect: the chain lacks " + plugin, hint: "add " + plugin + " to chain"})
		}
		if !f.tenant.Limits.none() && !has("quota") {
			lacks("limits", "quota")
		}
		switch {
		case len(f.tenant.Budgets) == 0:
		case !has("quota"):
			lacks("budgets", "quota")
		case !has("ledger"):
			lacks("budgets", "ledger")
		}
	}
}

func (l *TenantLimits) none() bool {
	return l.RequestsPerMinute == 0 && l.TokensPerMinute == 0 && l.Concurrent == 0 && l.EachKey == Limits{} && l.EachUser == Limits{} && len(l.Models) == 0
}

// inner says whether a plugin stands inside of another in the chain; true if one of them is not there.
func inner(chain []string, plugin, outside string) bool {
	i, j := slices.Index(chain, plugin), slices.Index(chain, outside)
	return i < 0 || j < 0 || i > j
}

// money reports a chain in which what is spent could not be counted: quota must know the tenant and stand around routing, and the
// ledger's intent must hold what quota has reserved.
func (c *checker) money() {
	wrong := func(plugin, outside, why string) {
		if !inner(c.cfg.Chain, plugin, outside) {
			c.fail(fmt.Sprintf("chain[%d]", slices.Index(c.cfg.Chain, plugin)), "write "+outside+" before "+plugin, "%s stands before %s, but %s", plugin, outside, why)
		}
	}
	wrong("quota", "auth", "needs the tenant that auth finds")
	wrong("quota", "ledger", "the ledger writes down what quota has reserved")
	wrong("routing", "quota", "quota says what may be asked for")
	if slices.Contains(c.cfg.Chain, "ledger") && c.cfg.Stores.Ledger == None {
		c.fail("stores.ledger", "take ledger out of the chain, or write sqlite:PATH or postgres://…", "stores.ledger: the chain has the ledger, which needs a store")
	}
}
