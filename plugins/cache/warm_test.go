package cache_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// What is given to the cache is answered from then on, in any dialect and in other words, to its tenant alone; what may not be kept is
// refused with the reason.
func TestWarm(t *testing.T) {
	r := newRig(t, func(c *cache.Config) { c.Semantic.Mode, c.Semantic.MaxWrong = "verified", 0.05 })
	f := func(q ask, said, want string) {
		t.Helper()
		x := r.exchange(q)
		err := r.plugin.Warm(x, text(said))
		x.End(err)
		switch {
		case err == nil && want != "", err != nil && (want == "" || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", q.body, err, want)
		}
	}
	f(ask{body: chatBody(asked), header: []string{"x-sluice-cache-tags", "red"}}, "Paris", "")
	r.expect(ask{body: chatBody(asked)}, "exact: Paris")
	r.expect(ask{body: chatBody(asked, `"stream":true`)}, "exact: Paris")
	r.expect(ask{endpoint: "responses.create", body: `{"model":"fast","input":"` + asked + `"}`}, "exact: Paris")
	r.expect(ask{body: chatBody(reworded)}, "semantic: Paris")
	r.expect(ask{body: chatBody(asked), tenant: &gateway.Tenant{ID: "bolt"}}, "miss: answer 1")
	f(ask{body: chatBody(asked)}, "Paris, France", "")
	r.expect(ask{body: chatBody(asked)}, "exact: Paris, France")
	r.expect(ask{body: chatBody(reworded + "!")}, "semantic: Paris, France")
	if n := r.plugin.Purge(gateway.CachePurge{Tenant: "acme", Tag: "red"}); n != 0 {
		t.Errorf("%d have the tag of the first one", n)
	}
	f(ask{body: chatBody("Which?", `"n":2`)}, "x", "choices")
	f(ask{body: chatBody("Which?"), header: []string{"Cache-Control", "no-store"}}, "x", "request")
	f(ask{body: strings.Replace(chatBody("Which?"), `"m"`, `"unknown"`, 1)}, "x", "no such model")
	f(ask{body: chatBody("Which?"), tenant: &gateway.Tenant{ID: "acme", Cache: gateway.CacheRules{Scope: gateway.CacheOff}}}, "x", "off")
	f(ask{body: chatBody("Which?")}, "", "does not end by itself")
	f(ask{body: chatBody("Which?")}, strings.Repeat("x", 2<<20), "too large")
	f(ask{body: "{"}, "x", "invalid_json")
}
