package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// TestOverrides sends headers by which a request decides for itself: they count for tenants that may, and no provider ever
// sees one.
func TestOverrides(t *testing.T) {
	first, one := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	second, two := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	s := start(t, gatewayFile("ordered", one, two))
	defer s.stop()
	c := client(t)
	s.write("tenants/other.yaml", tenantFile("other", "sk-other", "overrides: [provider, timeout, retries]\n"))
	until(t, "the tenant is there", func() bool { return s.askAs(c, "sk-other", unary("sim-chat")).status == http.StatusOK })

	f := func(key, headers, provider string, status int, says string) {
		t.Helper()
		q, err := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(unary("sim-chat")))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+key)
		for h := range strings.FieldsSeq(headers) {
			name, value, _ := strings.Cut(h, ":")
			q.Header.Set(name, value)
		}
		a := do(c, q)
		if a.err != nil || a.status != status || a.header.Get("X-Sluice-Provider") != provider || !strings.Contains(a.body, says) {
			t.Errorf("%s: %d by %q, %v: %s", headers, a.status, a.header.Get("X-Sluice-Provider"), a.err, a.body)
		}
		for _, p := range []*sim.Server{first, second} {
			if head, _ := p.Last(); strings.Contains(strings.ToLower(string(head)), "x-sluice") {
				t.Errorf("%s: a provider sees\n%s", headers, head)
			}
		}
	}
	f("sk-other", "", "p0", 200, "finish_reason")
	f("sk-other", "x-sluice-provider:p1 x-sluice-timeout:10 x-sluice-retries:0", "p1", 200, "finish_reason")
	f("sk-other", "x-sluice-provider:p2", "", 400, `"param":"x-sluice-provider"`)
	f("sk-other", "x-sluice-timeout:soon", "", 400, `"param":"x-sluice-timeout"`)
	f("sk-other", "x-sluice-hedge:on", "", 403, `"param":"x-sluice-hedge"`)
	f(testKey, "x-sluice-provider:p1 x-sluice-timeout:soon x-sluice-hedge:on", "p0", 200, "finish_reason") // may nothing
}
