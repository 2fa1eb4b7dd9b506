package runtime

import (
	"cmp"
	"fmt"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// tenant builds a tenant of its configuration, which is validated. Only what has connections of its own is carried over.
func (r *Runtime) tenant(c *config.Tenant, all *config.Config, b *builder, old *Generation) (*gateway.Tenant, error) {
	t := &gateway.Tenant{
		ID: tenant.ID(c.ID), Name: cmp.Or(c.Name, c.ID), Origin: c.File, Origins: c.CORS.Origins,
		Allow: patterns(c.Models.Allow), Deny: patterns(c.Models.Deny),
		Limits:  tenant.Limits{Requests: c.Limits.RequestsPerMinute, Tokens: c.Limits.TokensPerMinute, Concurrent: c.Limits.Concurrent},
		EachKey: limits(&c.Limits.EachKey), EachUser: limits(&c.Limits.EachUser),
	}
	t.TraceContent = c.TraceContent
	t.Priority, _ = admission.ParsePriority(c.Priority)
	t.Cache.Scope, _ = gateway.ParseCacheScope(c.Cache.Scope)
	t.Cache.Exact, t.Cache.Fresh = !c.Cache.Semantic, !c.Cache.Stale
	for _, name := range c.Overrides {
		o, _ := gateway.ParseOverride(name)
		t.Overrides |= o
	}
	for _, m := range c.Limits.Models {
		t.EachModel = append(t.EachModel, gateway.ModelLimits{
			Models: gateway.Pattern(m.Model),
			Limits: tenant.Limits{Requests: m.RequestsPerMinute, Tokens: m.TokensPerMinute, Concurrent: m.Concurrent},
		})
	}
	for i := range c.Budgets {
		t.Budgets = append(t.Budgets, budget(&c.Budgets[i]))
	}
	if j := c.JWT; j != nil {
		t.JWT = &gateway.Issuer{
			URL: j.Issuer, Audiences: j.Audience, Algorithms: j.Algorithms, JWKS: j.JWKSURL, Tenant: t,
			Claims: gateway.ClaimNames{Tenant: j.Claims.Tenant, User: j.Claims.User, Models: j.Claims.Models, Limits: j.Claims.Limits},
		}
	}
	return t, r.ownAccounts(t, c, all, b, old)
}

// ownAccounts gives a tenant what it is called with at providers where it has an account.
func (r *Runtime) ownAccounts(t *gateway.Tenant, c *config.Tenant, all *config.Config, b *builder, old *Generation) error {
	for _, own := range c.Credentials {
		if b.g.providers[own.Provider] == nil {
			// The provider is gone from the gateway file, and this tenant file stayed as it was: no model leads there.
			r.o.Log.Warn("a tenant has a credential for a provider that does not exist",
				zap.String("tenant", c.ID), zap.String("provider", own.Provider))
			continue
		}
		via, err := r.ownSender(c, own, all, b.g, old)
		if err != nil {
			return err
		}
		if t.Own == nil {
			t.Own = map[string]*gateway.Own{}
		}
		name, entry := "tenant "+c.ID, &b.g.providers[own.Provider].config
		t.Own[own.Provider] = &gateway.Own{
			Via:     via,
			Health:  b.target(entry, health.ID{Provider: own.Provider, Key: name, Model: "*"}, own.BaseURL+" "+own.Key.Reveal()),
			Limiter: b.limiter(name+" "+own.Provider, entry),
		}
	}
	return nil
}

// ownSender is a provider called with a tenant's key. With a base_url of its own the tenant gets its own connections,
// and they lead to public addresses only.
func (r *Runtime) ownSender(t *config.Tenant, own config.Credential, c *config.Config, g, old *Generation) (gateway.Sender, error) {
	if own.BaseURL == "" {
		return g.providers[own.Provider].key(own.Key.Reveal()), nil
	}
	name := "tenant " + t.ID + " " + own.Provider
	entry := g.providers[own.Provider].config
	entry.BaseURL, entry.Keys, entry.Headers = own.BaseURL, nil, nil // what belongs to the operator's account stays there
	entry.Organization, entry.Project = "", ""
	if old != nil {
		if p := old.providers[name]; p != nil && same(p.config, entry) && p.beat == c.Server.Heartbeat {
			p.retain()
			g.providers[name] = p
			return p.key(own.Key.Reveal()), nil
		}
	}
	u, err := r.newUpstream(&entry, c.Server.Heartbeat, own.BaseURL, gateway.PublicOnly)
	if err != nil {
		return nil, fmt.Errorf("credentials for %s: %w", own.Provider, err)
	}
	p := &provider{config: entry, beat: c.Server.Heartbeat, key: u.WithKey}
	p.users, p.closer = 1, u.Close
	g.providers[name] = p
	return p.key(own.Key.Reveal()), nil
}

func patterns(list []string) []gateway.Pattern {
	out := make([]gateway.Pattern, len(list))
	for i, s := range list {
		out[i] = gateway.Pattern(s)
	}
	return out
}

func limits(l *config.Limits) tenant.Limits {
	return tenant.Limits{Requests: l.RequestsPerMinute, Tokens: l.TokensPerMinute, Concurrent: l.Concurrent}
}

func budget(c *config.Budget) tenant.Budget {
	scope, _ := tenant.ParseScope(c.Of)
	per, _ := tenant.ParsePeriod(c.Per)
	mode, _ := tenant.ParseMode(c.Mode)
	b := tenant.Budget{Scope: scope, Per: per, Mode: mode, Amount: c.USD, Downgrade: c.Downgrade}
	for _, share := range c.WarnAt {
		b.WarnAt = append(b.WarnAt, int(share*10_000+0.5))
	}
	return b
}
