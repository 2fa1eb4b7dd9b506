package runtime

import (
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// limit gives a tenant the limits and budgets of its configuration, which is validated, and what else is copied from there.
func limit(t *gateway.Tenant, c *config.Tenant) {
	l := &c.Limits
	t.Limits = tenant.Limits{Requests: l.RequestsPerMinute, Tokens: l.TokensPerMinute, Concurrent: l.Concurrent}
	t.EachKey, t.EachUser = limits(&l.EachKey), limits(&l.EachUser)
	for _, m := range l.Models {
		t.EachModel = append(t.EachModel, gateway.ModelLimits{
			Models: gateway.Pattern(m.Model),
			Limits: tenant.Limits{Requests: m.RequestsPerMinute, Tokens: m.TokensPerMinute, Concurrent: m.Concurrent},
		})
	}
	if j := c.JWT; j != nil {
		t.JWT = &gateway.Issuer{
			URL: j.Issuer, Audiences: j.Audience, Algorithms: j.Algorithms, JWKS: j.JWKSURL, Tenant: t,
			Claims: gateway.ClaimNames{Tenant: j.Claims.Tenant, User: j.Claims.User, Models: j.Claims.Models, Limits: j.Claims.Limits},
		}
	}
	t.Origin = c.File
	for i := range c.Budgets {
		t.Budgets = append(t.Budgets, budget(&c.Budgets[i]))
	}
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
