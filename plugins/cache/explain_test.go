package cache_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// named is an exchange with an id of its own.
func (r *rig) named(id string, a ask) string {
	r.t.Helper()
	x := r.exchange(a)
	x.ID = id
	return told(x, r.handler)
}

// What was decided about an exchange can be asked for, by who it was for.
func TestExplain(t *testing.T) {
	r := meaning(t, "verified")
	r.named("x1", ask{body: chatBody(asked)})
	r.named("x2", ask{body: chatBody(reworded)})
	r.named("x3", ask{body: chatBody("What is the capital of Spain?")})
	r.named("x4", ask{body: chatBody(asked, `"n":2`)})
	r.named("x5", ask{body: chatBody(asked, `"stream":true`)})
	f := func(exchange, result, reason string, candidates int) gateway.CacheDecision {
		t.Helper()
		d, ok := r.plugin.Explain("acme", exchange)
		if !ok || d.Exchange != exchange || d.Result != result || d.Reason != reason || len(d.Candidates) != candidates {
			t.Errorf("%s: %t, %+v", exchange, ok, d)
		}
		return d
	}
	f("x1", "miss", "empty", 0)
	hit := f("x2", "semantic", "", 1)
	if c := hit.Candidates[0]; c.Answer != hit.Answer || c.Cosine < 0.9 || c.Refused != "" || c.Verified < 0.5 || hit.Score < 0.5 || hit.Threshold == 0 {
		t.Errorf("%+v", hit)
	}
	d, _ := r.plugin.Explain("acme", "x3")
	if d.Result != "miss" || len(d.Candidates) != 1 || d.Candidates[0].Refused == "" && d.Reason != "score" {
		t.Errorf("%+v", d)
	}
	f("x4", "bypass", "choices", 0)
	f("x5", "exact", "", 0)
	if _, ok := r.plugin.Explain("umbrella", "x1"); ok {
		t.Error("another tenant's")
	}
	if _, ok := r.plugin.Explain("acme", "x9"); ok {
		t.Error("there is no such exchange")
	}
}

// An answer that a user has rejected is not given to that question again.
func TestReject(t *testing.T) {
	r := meaning(t, "verified")
	r.named("x1", ask{body: chatBody(asked)})
	if got := r.named("x2", ask{body: chatBody(reworded)}); got != "semantic: answer 1" {
		t.Fatal(got)
	}
	f := func(whose tenant.ID, exchange string, want bool) {
		t.Helper()
		if got := r.plugin.Reject(whose, exchange); got != want {
			t.Errorf("%s: %t", exchange, got)
		}
	}
	f("umbrella", "x2", false)
	f("acme", "x1", false)
	f("acme", "x2", true)
	r.expect(ask{body: chatBody(reworded)}, "miss: answer 2")
	r.expect(ask{body: chatBody(asked)}, "exact: answer 1")
	r.named("x3", ask{body: chatBody(asked, `"stream":true`)})
	f("acme", "x3", true)
	if got := r.serve(ask{body: chatBody(asked)}); got == "exact: answer 1" {
		t.Error(got)
	}
}
