package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/auth"
)

// from comes with a key from an address, and perhaps through proxies that have noted others.
func from(t *testing.T, h gateway.Handler, d *gateway.Directory, address, forwarded, credential string) *gateway.Error {
	t.Helper()
	x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-key", credential, "X-Forwarded-For", forwarded), Directory: d})
	x.Client = netip.MustParseAddr(address)
	if err := h.Serve(x); err != nil {
		return gateway.AsError(err)
	}
	return nil
}

func pass(*gateway.Exchange) error { return nil }

func TestFailures(t *testing.T) {
	p, host := gatewaytest.Build(t, auth.Spec(auth.Lent{}), settings())
	h, d := p.Wrap(gateway.HandlerFunc(pass)), directory(nil)
	ok := func(address, credential string) {
		t.Helper()
		if err := from(t, h, d, address, "", credential); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	wrong := func(address string) {
		t.Helper()
		if err := from(t, h, d, address, "", nobodys); err == nil || err.Status != 401 {
			t.Errorf("%s: %v", address, err)
		}
	}
	locked := func(address, credential string, wait time.Duration) {
		t.Helper()
		err := from(t, h, d, address, "", credential)
		if err == nil || err.Status != 429 || err.Code != "too_many_failed_authentications" || err.Type != "rate_limit_error" || err.RetryAfter != wait {
			t.Errorf("%s: %+v", address, err)
		}
	}
	const home, away = "198.51.100.7", "198.51.100.8"
	ok(home, plain)
	for range 20 {
		wrong(home)
	}
	ok(home, plain) // was good from here before
	locked(home, nobodys, 6*time.Second)
	locked(home, peppered, 6*time.Second) // good, but not from here: whoever guesses is told nothing
	locked("::ffff:"+home, peppered, 6*time.Second)
	ok(away, peppered)
	wrong(away)
	host.SetNow(start.Add(5999 * time.Millisecond))
	locked(home, peppered, time.Millisecond)
	host.SetNow(start.Add(6 * time.Second))
	ok(home, peppered) // one try, which is not used up by success
	ok(home, imported)
	wrong(home)
	locked(home, nobodys, 6*time.Second)
	ok(home, peppered)
	for range 20 { // refusals without a look take nothing
		locked(home, nobodys, 6*time.Second)
	}
	host.SetNow(start.Add(6*time.Second + 20*6*time.Second))
	for range 20 {
		wrong(home)
	}
	locked(home, nobodys, 6*time.Second)

	// Any failure counts, of any kind: unknown, mistyped, expired, no token at all.
	host.SetNow(start.AddDate(0, 1, 0))
	for i, bad := range []string{nobodys, plain[:len(plain)-1], old, "sk-whatever", "eyJhbGciOiJub25lIn0.e30."} {
		address := fmt.Sprintf("192.0.2.%d", i)
		for range 20 {
			if err := from(t, h, d, address, "", bad); err == nil || err.Status != 401 {
				t.Errorf("%s: %v", bad, err)
			}
		}
		locked(address, bad, 6*time.Second)
	}
	// Without a credential nobody fails, and nobody is locked out.
	for range 50 {
		if err := from(t, h, d, away, "", ""); err == nil || err.Status != 401 {
			t.Error(err)
		}
	}
	ok(away, plain)
	if err := from(t, h, directory(&gateway.Tenant{ID: "guests"}), home, "", ""); err != nil {
		t.Error(err)
	}

	// All addresses of an IPv6 network are one.
	for i := range 20 {
		wrong(fmt.Sprintf("2001:db8:0:1::%x", i+1))
	}
	locked("2001:db8:0:1:ffff::1", plain, 6*time.Second)
	ok("2001:db8:0:2::1", plain)

	// A clock that is set back locks nobody out for longer than from the beginning.
	host.SetNow(start.Add(-24 * time.Hour))
	locked("2001:db8:0:1::1", plain, 6*time.Second)
	host.SetNow(start.Add(-24*time.Hour + 6*time.Second))
	ok("2001:db8:0:1::1", plain)

	values, err := host.Values()
	if err != nil {
		t.Fatal(err)
	}
	if values[`sluice_auth_failures_total{reason="address"}`] < 20 || values[`sluice_auth_failures_total{reason="key"}`] < 100 || values[`sluice_auth_failures_total{reason="token"}`] != 20 {
		t.Errorf("%v", values)
	}
}

// More than eight keys from one address: the ones that were used last are known.
func TestManyKeys(t *testing.T) {
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), settings())
	h := p.Wrap(gateway.HandlerFunc(pass))
	keys := map[gateway.Digest]*gateway.Key{}
	acme := &gateway.Tenant{ID: "acme"}
	name := func(i int) string { return fmt.Sprintf("sk-imported-%d", i) }
	for i := range 9 {
		keys[digestOf(name(i))] = &gateway.Key{Name: name(i), Tenant: acme}
	}
	d := gateway.NewDirectory(gateway.Entries{Tenants: []*gateway.Tenant{acme}, Keys: keys})
	for i := range 9 {
		if err := from(t, h, d, "192.0.2.1", "", name(i)); err != nil {
			t.Error(err)
		}
	}
	for range 20 {
		_ = from(t, h, d, "192.0.2.1", "", nobodys)
	}
	for i := range 9 {
		if err := from(t, h, d, "192.0.2.1", "", name(i)); (err == nil) != (i > 0) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// lines are headers with several fields of one name.
type lines struct {
	gatewaytest.Header
	forwarded []string
}

func (l lines) Join(string) []byte { return []byte(strings.Join(l.forwarded, ", ")) }

// A proxy may note the address in a line of its own, behind one that the caller has thought up.
func TestForwardedInLines(t *testing.T) {
	c := settings()
	c.TrustedProxies = []string{"10.0.0.0/8"}
	c.Failures.Burst = 3
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), c)
	h := p.Wrap(gateway.HandlerFunc(pass))
	for i := range 5 {
		x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(nil)})
		own := fmt.Sprintf("192.0.2.%d", i)
		x.Request.Header = lines{gatewaytest.Fields("x-api-key", nobodys, "X-Forwarded-For", own), []string{own, "198.51.100.7", "10.0.0.2"}}
		x.Client = netip.MustParseAddr("10.0.0.1")
		want := 401
		if i >= 3 {
			want = 429
		}
		if err := h.Serve(x); err == nil || gateway.AsError(err).Status != want {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	c := settings()
	c.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), c)
	h, d := p.Wrap(gateway.HandlerFunc(pass)), directory(nil)
	n := 0
	f := func(same bool, address, forwarded string) { // whether it is the caller who is locked out
		t.Helper()
		n++
		// Who is locked out is a different one each time, behind the same proxy.
		caller := fmt.Sprintf("198.51.100.%d", n)
		for range 20 {
			_ = from(t, h, d, "10.0.0.1", caller, nobodys)
		}
		forwarded = fmt.Sprintf(forwarded, caller)
		if err := from(t, h, d, address, forwarded, nobodys); (err.Status == 429) != same {
			t.Errorf("%s, %q: %v", address, forwarded, err)
		}
	}
	f(true, "10.0.0.1", "%s")
	f(true, "10.9.9.9", "%s")
	f(true, "192.0.2.1", "%s")
	f(true, "2001:db8::1", "%s")
	f(true, "::ffff:10.0.0.1", "%s")
	f(true, "10.0.0.1", "203.0.113.9, %s")
	f(true, "10.0.0.1", "203.0.113.9,%s , 10.0.0.2, 192.0.2.1")
	f(true, "10.0.0.1", "%s:4711")
	f(true, "10.0.0.1", "::ffff:%s")
	f(false, "10.0.0.1", "%s, 203.0.113.9") // what the caller wrote itself
	f(false, "203.0.113.1", "%s")           // nobody's proxy
	f(false, "10.0.0.1", "%s, unknown")
	f(false, "10.0.0.1", "%s,")
	f(false, "10.0.0.1", "x%s")
}

func TestValidate(t *testing.T) {
	f := func(change func(*auth.Config), want string) {
		t.Helper()
		c := settings()
		change(c)
		err := c.Validate()
		var field *config.FieldError
		if (err == nil) != (want == "") || err != nil && (err.Error() != want || !errors.As(err, &field)) {
			t.Errorf("%q, not %q", err, want)
		}
	}
	peppers := func(s string) func(*auth.Config) { return func(c *auth.Config) { c.Pepper = config.NewSecret(s) } }
	f(peppers(""), "")
	f(peppers("123456789012345"), "pepper: the pepper is shorter than 16 bytes")
	f(peppers("1234567890123456"), "")
	f(func(c *auth.Config) { c.Failures.Burst = 0 }, "failures.burst: failures.burst must be from 1 to 100000")
	f(func(c *auth.Config) { c.Failures.Every = 0 }, "failures.every: failures.every must be from 1ms to 1h")
	f(func(c *auth.Config) { c.TrustedProxies = []string{"10.0.0.1", "::1", "10.0.0.0/8"} }, "")
	f(func(c *auth.Config) { c.TrustedProxies = []string{"10.0.0.1", "proxy"} }, `trusted_proxies[1]: "proxy" is neither an address nor a network`)
	f(func(c *auth.Config) { c.Tokens.Access = 0 }, "tokens.access: tokens.access must be from 1s to 24h")
	f(func(c *auth.Config) { c.Tokens.Refresh = time.Minute }, "tokens.refresh: tokens.refresh must be from tokens.access to ten years")
	f(func(c *auth.Config) { c.Tokens.Grace = time.Hour }, "tokens.grace: tokens.grace must be from 0s to 1m")
	f(func(c *auth.Config) { c.Tokens.Issuer = "" }, "tokens.issuer: tokens.issuer is empty")

	issuer := func(change func(*auth.IssuerConfig)) func(*auth.Config) {
		return func(c *auth.Config) {
			i := auth.IssuerConfig{Issuer: "https://sso", Audience: []string{"llm"}, Algorithms: []string{"RS256"}, JWKSURL: "https://sso/jwks", Claims: auth.ClaimConfig{Tenant: "tid"}}
			change(&i)
			c.Issuers = []auth.IssuerConfig{i}
		}
	}
	f(issuer(func(*auth.IssuerConfig) {}), "")
	f(issuer(func(i *auth.IssuerConfig) { i.Issuer = "" }), "issuers[0].issuer: issuer is empty")
	f(issuer(func(i *auth.IssuerConfig) { i.Issuer = "sluice" }), "issuers[0].issuer: that is the gateway's own name")
	f(issuer(func(i *auth.IssuerConfig) { i.Audience = nil }), "issuers[0].audience: audience is empty")
	f(issuer(func(i *auth.IssuerConfig) { i.Audience = []string{""} }), "issuers[0].audience: audience is empty")
	f(issuer(func(i *auth.IssuerConfig) { i.Algorithms = nil }), "issuers[0].algorithms: algorithms is empty")
	for _, alg := range []string{"none", "HS256", "HS512", "rs256", ""} {
		f(issuer(func(i *auth.IssuerConfig) { i.Algorithms = []string{"RS256", alg} }),
			fmt.Sprintf("issuers[0].algorithms[1]: %q is no algorithm of an identity provider", alg))
	}
	for _, u := range []string{"", "http://sso/jwks", "sso/jwks", "file:///jwks", "https://", "https://user:pass@sso/"} {
		f(issuer(func(i *auth.IssuerConfig) { i.JWKSURL = u }), "issuers[0].jwks_url: jwks_url is not an https URL")
	}
	f(issuer(func(i *auth.IssuerConfig) { i.JWKSURL, i.Private = "http://sso/jwks", true }), "")
	f(issuer(func(i *auth.IssuerConfig) { i.Claims.Tenant = "" }), "issuers[0].claims.tenant: claims.tenant is empty")
	f(func(c *auth.Config) {
		issuer(func(*auth.IssuerConfig) {})(c)
		c.Issuers = append(c.Issuers, c.Issuers[0])
	}, "issuers[1]: an issuer before it has the same name and audience")
}
