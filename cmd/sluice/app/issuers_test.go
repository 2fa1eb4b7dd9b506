package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth"
)

// No tenant gets at the tokens of a provider that are another's.
func TestIssuersOfTheStore(t *testing.T) {
	jwt := func(issuer, claim string, audience ...string) *config.JWT {
		return &config.JWT{Issuer: issuer, Audience: audience, Claims: config.JWTClaims{Tenant: claim}}
	}
	// f merges a file's tenant "file" and tenants a, b and c of the store, and names those that keep their providers.
	f := func(file, a, b, c *config.JWT, want string) {
		t.Helper()
		cfg := &config.Config{Plugins: map[string]any{"auth": &auth.Config{
			Issuers: []auth.IssuerConfig{{Issuer: "operator", Audience: []string{"x", "y"}}}, Tokens: auth.TokenConfig{Issuer: "sluice"},
		}}}
		cfg.Tenants.List = []*config.Tenant{{ID: "file", File: "t/file.yaml", JWT: file}}
		m := newMade(nil, zap.NewNop())
		m.revision = 1
		for id, j := range map[tenant.ID]*config.JWT{"a": a, "b": b, "c": c} {
			m.tenants[id] = &config.Tenant{ID: string(id), JWT: j}
		}
		merged, faults, _ := m.merge(cfg)
		var kept []string
		had := 0
		for _, o := range merged.Tenants.List {
			if o.JWT != nil {
				kept = append(kept, o.ID)
			}
		}
		for _, j := range []*config.JWT{file, a, b, c} {
			if j != nil {
				had++
			}
		}
		if got := strings.Join(kept, " "); got != want || len(faults) != had-len(kept) {
			t.Errorf("%q keep theirs, want %q; faults %q", got, want, faults)
		}
		if cfg.Tenants.List[0].JWT != file || m.tenants["a"].JWT != a {
			t.Error("what was merged has changed")
		}
	}
	f(nil, nil, nil, nil, "")
	f(jwt("i", "", "x"), jwt("i", "", "y"), jwt("j", "", "x"), jwt("k", "", "x", "x"), "a b c file")
	// The operator's, and the gateway's own.
	f(jwt("operator", "", "y"), jwt("operator", "", "x"), jwt("operator", "org", "w", "x"), jwt("operator", "", "z"), "c")
	f(jwt("sluice", "", "y"), jwt("sluice", "", "x"), nil, nil, "")
	// A file's goes before the store's, of which none goes before another.
	f(jwt("i", "", "x"), jwt("i", "", "y", "x"), jwt("i", "org", "x"), nil, "file")
	f(nil, jwt("i", "", "x"), jwt("i", "", "x", "y"), jwt("i", "", "z"), "c")
	// Tokens that say in the same claim whose they are can be of one tenant only.
	f(jwt("i", "org", "x"), jwt("i", "org", "x"), jwt("i", "org", "x"), jwt("i", "org", "y"), "a b c file")
	f(jwt("i", "org", "x"), jwt("i", "team", "x"), nil, nil, "file")
}

func TestIssuerAtTheAdminAPI(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up)+`chain: [telemetry, ledger, auth, routing]
plugins: {auth: {issuers: [{issuer: "https://operator.example", audience: [llm], algorithms: [RS256], jwks_url: "https://operator.example/keys", claims: {tenant: org}}]}}
`)
	defer s.stop()
	c := client(t)
	f := func(id, issuer string, want int) {
		t.Helper()
		a := s.manage(c, http.MethodPost, "tenants", `{"id":"`+id+`","jwt":{"issuer":"`+issuer+`","audience":["llm"],"jwks_url":"https://id.example/keys"}}`)
		if a.status != want || want == 400 && !strings.Contains(a.body, "jwt: its issuer") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	f("beta", "https://operator.example", 400)
	f("beta", "https://beta.example", 201)
	f("gamma", "https://beta.example", 400)
	f("gamma", "sluice", 400)
	f("gamma", "https://gamma.example", 201)

	// A file takes beta's. Its keys can be made and revoked as ever.
	s.write("tenants/acme.yaml", tenantFile("acme", testKey, `jwt: {issuer: "https://beta.example", audience: [llm], jwks_url: "https://id.example/keys"}`+"\n"))
	s.reload()
	if h := s.health(); !slices.ContainsFunc(h.Faults, func(f string) bool { return strings.HasPrefix(f, "tenant beta of the store: jwt: ") }) {
		t.Errorf("%q", h.Faults)
	}
	if a := s.askAs(c, s.mint(c, "beta", "ci"), unary("sim-fast")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := s.check(store.Tenant{ID: "delta", Spec: []byte(`{"jwt":{}}`)}); err == nil || strings.Contains(err.Error(), "its issuer") {
		t.Errorf("%v", err)
	}
}
