package quota_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/quota"
)

// named is a request for a model.
func named(model string) string { return strings.Replace(whole, `"m"`, `"`+model+`"`, 1) }

// Callers without a key count together as one, in limits and in budgets, whatever users an identity provider names.
func TestWithoutAKey(t *testing.T) {
	eachKey := []tenant.Budget{{Scope: tenant.Scope{Kind: tenant.OfKey, Name: tenant.Each}, Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.USD(price(100, 200))}}
	f := func(t *testing.T, who *gateway.Tenant, refusal string) {
		s := newSite(t, who, nil, map[string]gateway.Sender{"m": &model{says: 100, prompt: 5}})
		g := func(key string, allowed int, users ...string) {
			t.Helper()
			for i, user := range users {
				x := s.ask(whole, key, user)
				a := gatewaytest.Serve(x, s.handler)
				e := a.Error()
				if i < allowed && e != nil || i >= allowed && (e == nil || e.Code != refusal) {
					t.Errorf("%d of %s %q: %v", i, key, user, e)
				} else if e != nil && key == tenant.Token && !strings.Contains(e.Message, "all tokens of your identity provider") {
					t.Error(e.Message)
				}
			}
		}
		g("a", 2, "", "", "", "")
		g(tenant.Token, 2, "ann", "", "bob", "ann", "zoe", "")
		g(tenant.Anonymous, 2, "", "", "")
		g("b", 2, "", "", "")
	}
	synctest.Test(t, func(t *testing.T) { f(t, &gateway.Tenant{EachKey: tenant.Limits{Requests: 2}}, "rate_limit_exceeded") })
	synctest.Test(t, func(t *testing.T) { f(t, &gateway.Tenant{Budgets: eachKey}, "insufficient_quota") })
}

// What a batch costs nobody knows: strict budgets refuse it, and others as models without a price.
func TestBatches(t *testing.T) {
	f := func(mode tenant.Mode, unpriced, want string) {
		t.Helper()
		c := quota.Defaults()
		c.Unpriced = unpriced
		s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: mode, Amount: tenant.Dollar}}}, &c,
			map[string]gateway.Sender{"unpriced": &model{says: 5}})
		x := s.ask(named("unpriced"), "a", "")
		x.Request.Endpoint.Name, x.Request.Endpoint.Decode = "batches.create", nil
		if got := s.outcome(x); got != want {
			t.Errorf("%s, unpriced %s: %s, want %s", mode, unpriced, got, want)
		}
	}
	f(tenant.Strict, "allow", "not_in_strict_budgets")
	f(tenant.Metered, "allow", "ok")
	f(tenant.Metered, "deny", "model_has_no_price")
	f(tenant.Warn, "deny", "ok")
}

// Models that a budget's pattern describes are paid for from one amount.
func TestBudgetOfAPattern(t *testing.T) {
	f := func(pattern string, want map[string]string) {
		t.Helper()
		said := func() gateway.Sender { return &model{says: 100, prompt: 5} }
		s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{
			Scope: tenant.Scope{Kind: tenant.OfModel, Name: pattern}, Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.USD(price(0, 155)),
		}}}, nil, map[string]gateway.Sender{"gpt-a": said(), "gpt-b": said(), "o": said()})
		if got := s.outcome(s.ask(named("gpt-a"), "a", "")); got != "ok" {
			t.Error(got)
		}
		for name, want := range want {
			if got := s.outcome(s.ask(named(name), "a", "")); got != want {
				t.Errorf("%s: %s after gpt-a: %s, want %s", pattern, name, got, want)
			}
		}
	}
	const spent = "insufficient_quota"
	f("gpt-*", map[string]string{"gpt-a": spent, "gpt-b": spent, "o": "ok"})
	f("*-a", map[string]string{"gpt-a": spent, "gpt-b": "ok", "o": "ok"})
	f("gpt-a", map[string]string{"gpt-a": spent, "gpt-b": "ok", "o": "ok"})
	f(tenant.Each, map[string]string{"gpt-a": spent, "gpt-b": "ok", "o": "ok"})
}

// Users that are too many to be counted each by itself share the limits and the budget of one; who is named in a rule does not.
func TestTooManyUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		user := func(name string) tenant.Scope { return tenant.Scope{Kind: tenant.OfUser, Name: name} }
		s := newSite(t, &gateway.Tenant{
			EachUser: tenant.Limits{Requests: 2},
			Budgets:  []tenant.Budget{{Scope: user(tenant.Each), Amount: tenant.Dollar}, {Scope: user("vip"), Per: tenant.Day, Amount: tenant.Dollar}},
		}, nil, map[string]gateway.Sender{"m": &model{says: 5, prompt: 5}})
		for i := range meter.MostUsers {
			s.meters.Tenant("acme").Purse(new(meter.Purse), []tenant.Budget{{Scope: user(fmt.Sprint(i)), Amount: tenant.Dollar}})
		}
		for i, want := range []string{"ok", "ok", "rate_limit_exceeded"} {
			if got := s.outcome(s.ask(named("m"), "a", []string{"new", "vip", "other"}[i])); got != want {
				t.Errorf("%d: %s, want %s", i, got, want)
			}
		}
		counted := map[string]int{}
		for _, st := range s.meters.Status("acme") {
			counted[st.Account.Scope.Name]++
		}
		if counted["new"] != 0 || counted["other"] != 0 || counted["vip"] != 1 || counted[meter.Others] != 2 {
			t.Errorf("%d, %d, %d, %d", counted["new"], counted["other"], counted["vip"], counted[meter.Others])
		}
	})
}

// Names behind a wildcard that nobody has heard of count together, so that callers who make them up fill no memory and get no
// limits of their own. Those that the catalogue knows count each by itself.
func TestMadeUpNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &gateway.Tenant{
			EachModel: []gateway.ModelLimits{{Models: "p/*", Limits: tenant.Limits{Requests: 10}}},
			Budgets:   []tenant.Budget{{Scope: tenant.Scope{Kind: tenant.OfModel, Name: tenant.Each}, Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.Dollar}},
		}, nil, map[string]gateway.Sender{"p/*": &model{says: 5, prompt: 5}})
		for i := range 10 {
			if got := s.outcome(s.ask(named(fmt.Sprintf("p/%d", i)), "a", "")); got != "ok" {
				t.Error(got)
			}
		}
		if got := s.outcome(s.ask(named("p/none"), "a", "")); got != "rate_limit_exceeded" {
			t.Error(got)
		}
		for range 10 {
			if got := s.outcome(s.ask(named("p/listed"), "a", "")); got != "ok" {
				t.Error(got)
			}
		}
		if got := s.outcome(s.ask(named("p/listed"), "a", "")); got != "rate_limit_exceeded" {
			t.Error(got)
		}
		scopes := map[tenant.Scope]bool{}
		for _, st := range s.meters.Status("acme") {
			scopes[st.Account.Scope] = true
		}
		if len(scopes) != 2 {
			t.Errorf("counted are %v", scopes)
		}
	})
}

// Who is sent to a cheaper model is held to that one's limits and budgets, and no more to those of the one that was asked for.
func TestDowngradedScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ofModel := func(name string) tenant.Scope { return tenant.Scope{Kind: tenant.OfModel, Name: name} }
		big, mid, small := &model{says: 100, prompt: 5}, &model{says: 100, prompt: 5}, &model{says: 100, prompt: 5}
		s := newSite(t, &gateway.Tenant{
			EachModel: []gateway.ModelLimits{{Models: "m", Limits: tenant.Limits{Requests: 3}}, {Models: "small", Limits: tenant.Limits{Requests: 2}}},
			Budgets: []tenant.Budget{
				{Scope: ofModel("m"), Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.USD(price(0, 1000)), WarnAt: []int{2000}, Downgrade: "mid"},
				{Scope: ofModel("mid"), Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.USD(price(0, 1000)), WarnAt: []int{2000}, Downgrade: "small"},
			},
		}, nil, map[string]gateway.Sender{"m": big, "mid": mid, "small": small})
		got := ""
		for range 7 {
			got += s.outcome(s.ask(whole, "a", "")) + " "
		}
		if want := strings.Repeat("ok ", 6) + "rate_limit_exceeded "; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if b, m, n := big.asked.Load(), mid.asked.Load(), small.asked.Load(); b != 2 || m != 2 || n != 2 {
			t.Errorf("asked are %d, %d, %d times", b, m, n)
		}
		for _, st := range s.meters.Status("acme") {
			if st.Account.Kind == meter.Money && st.Spent != price(10, 200) {
				t.Errorf("%s USD are spent of %s", tenant.USD(st.Spent), st.Account.Scope)
			}
		}
	})
}

// A budget that is taken out of a tenant's file and comes back knows what was spent meanwhile, whatever else the tenant was held to.
func TestBudgetComesBack(t *testing.T) {
	s := newSite(t, &gateway.Tenant{}, nil, map[string]gateway.Sender{"m": &model{says: 100, prompt: 5}})
	budgets := []tenant.Budget{{Per: tenant.Month, Mode: tenant.Metered, Amount: tenant.USD(price(0, 450))}}
	with := func(b []tenant.Budget, l tenant.Limits) {
		t.Helper()
		s.tenant = &gateway.Tenant{ID: "acme", Budgets: b, Limits: l}
		if got := s.outcome(s.ask(whole, "a", "")); got != "ok" {
			t.Error(got)
		}
	}
	with(budgets, tenant.Limits{})
	with(nil, tenant.Limits{})
	with(nil, tenant.Limits{Requests: 100})
	with(budgets, tenant.Limits{})
	if got := s.outcome(s.ask(whole, "a", "")); got != "insufficient_quota" {
		t.Error(got)
	}
}
