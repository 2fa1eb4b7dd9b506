package auth_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth"
)

func TestToken(t *testing.T) {
	b := newBench(t, nil)
	want := gateway.Caller{
		Tenant: b.acme, User: "ann", Allow: []gateway.Pattern{"gpt-*", "claude-3"},
		Limits: tenant.Limits{Requests: 5, Tokens: 700, Concurrent: 2}, Expires: start.Add(time.Hour),
	}
	f := func(token string) {
		t.Helper()
		for range 2 { // the second time it is remembered
			c := b.accepted(token)
			if c.Tenant != want.Tenant || c.Key != tenant.Token || c.User != want.User || !slices.Equal(c.Allow, want.Allow) || c.Limits != want.Limits || !c.Expires.Equal(want.Expires) {
				t.Errorf("%+v", c)
			}
		}
	}
	f(b.rs256(good()))
	f(sign(t, jwt.SigningMethodES256, b.idp.ec, header("ES256", "ec"), good()))
	f(sign(t, jwt.SigningMethodEdDSA, b.idp.ed, header("EdDSA", "ed"), good()))
	f(b.rs256(with(good(), "aud", []string{"other", "llm"})))
	f(b.rs256(with(good(), "models", "gpt-* claude-3")))
	f(b.rs256(with(good(), "nbf", start.Add(29*time.Second).Unix(), "iat", start.Add(29*time.Second).Unix()))) // its clock is ahead
	f(b.rs256(with(good(), "nbf", nil, "iat", nil)))
	f(b.rs256(with(good(), "realm_access", map[string]any{"roles": []string{"a"}})))

	want.Limits = tenant.Limits{}
	f(b.rs256(with(good(), "limits", nil)))
	f(b.rs256(with(good(), "limits", map[string]any{"other": true})))
	want.Allow = []gateway.Pattern{""}
	f(b.rs256(with(good(), "limits", nil, "models", []string{})))
	if c := b.accepted(b.rs256(with(good(), "models", ""))); c.Allows("gpt-4") || !c.Restricted() {
		t.Errorf("an empty list of models allows some: %+v", c)
	}
	if n := b.idp.fetches(); n != 1 {
		t.Errorf("the key set was fetched %d times", n)
	}
	want = gateway.Caller{Tenant: b.acme, User: "ann", Expires: start.Add(-20 * time.Second)} // within the leeway
	b.acme.JWT.Claims.Models, b.acme.JWT.Claims.Limits = "", ""
	f(b.rs256(with(good(), "exp", start.Add(-20*time.Second).Unix())))
}

// The suite of attacks. Every token is made by whoever has none of the provider's private keys, or has one of its tokens.
func TestAttacks(t *testing.T) {
	b := newBench(t, nil)
	valid := b.rs256(good())
	b.accepted(valid)
	refused := func(name, token, message string) {
		t.Helper()
		if got := b.refused(token); !strings.Contains(got, message) {
			t.Errorf("%s: %q does not say %q", name, got, message)
		}
	}
	const (
		form, algorithm, signature = "not a JSON Web Token", "an algorithm that", "signature is wrong"
		issuer, key, lifetime      = "issuer is not known", "a key that its issuer", "not valid at present"
		claims                     = "do not say who calls"
	)
	parts := strings.Split(valid, ".")
	forge := func(head, body map[string]any) string { // with the signature of another token
		h, _ := json.Marshal(head)
		c, _ := json.Marshal(body)
		return base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c) + "." + parts[2]
	}
	rsaPublic, _ := x509.MarshalPKIXPublicKey(b.idp.rsa.Public())
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaPublic})
	jwk, _ := json.Marshal(public(b.idp.rsa.Public(), "rsa", "RS256"))

	// No signature, in all letter cases that there are.
	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		for _, sig := range []string{"", parts[2]} {
			h, _ := json.Marshal(header(none, "rsa"))
			refused("alg "+none, base64.RawURLEncoding.EncodeToString(h)+"."+parts[1]+"."+sig, algorithm)
		}
	}
	refused("signature left out", parts[0]+"."+parts[1]+".", signature)

	// The public key as a shared secret, in every form in which it can be had.
	for _, secret := range [][]byte{publicPEM, bytes.TrimSpace(publicPEM), rsaPublic, jwk, b.idp.rsa.N.Bytes(), {}} {
		for _, m := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			refused("confusion", sign(t, m, secret, header(m.Alg(), "rsa"), good()), algorithm)
			refused("confusion", sign(t, m, secret, header("RS256", "rsa"), good()), signature)
		}
	}
	// One key, another algorithm: of its kind, and of another.
	refused("RS512", sign(t, jwt.SigningMethodRS512, b.idp.rsa, header("RS512", "rsa"), good()), algorithm)
	refused("PS256", sign(t, jwt.SigningMethodPS256, b.idp.rsa, header("PS256", "rsa"), good()), algorithm)
	refused("PS256 as RS256", sign(t, jwt.SigningMethodPS256, b.idp.rsa, header("RS256", "rsa"), good()), signature)
	refused("ES256 with the RSA key's name", sign(t, jwt.SigningMethodES256, b.idp.ec, header("ES256", "rsa"), good()), key)
	refused("RS256 with the EC key's name", sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", "ec"), good()), key)
	refused("no kid, several keys", sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", ""), good()), key)

	// ES256 with r = 0, s = 0 (CVE-2022-21449) and its neighbours.
	n := b.idp.ec.Params().N.Bytes()
	for _, sig := range [][]byte{make([]byte, 64), append(make([]byte, 32), n...), append(slices.Clone(n), make([]byte, 32)...), append(slices.Clone(n), n...), make([]byte, 63), make([]byte, 128)} {
		h, _ := json.Marshal(header("ES256", "ec"))
		refused("r = 0", base64.RawURLEncoding.EncodeToString(h)+"."+parts[1]+"."+base64.RawURLEncoding.EncodeToString(sig), signature)
	}

	// A kid is a name and nothing else.
	for _, kid := range []string{
		"../../../../../../dev/null", "/dev/null", "file:///dev/null", "' OR '1'='1", "rsa'; DROP TABLE keys;--", "rsa\x00", "rsa|/bin/true",
		"RSA", " rsa", "https://evil.example/jwks.json", "$(id)", strings.Repeat("k", 4000), "",
	} {
		refused("kid "+kid, sign(t, jwt.SigningMethodRS256, b.idp.next, with(header("RS256", ""), "kid", kid), good()), key)
		refused("kid "+kid, sign(t, jwt.SigningMethodHS256, []byte{}, with(header("HS256", ""), "kid", kid), good()), algorithm)
	}
	for _, kid := range []any{1, true, []string{"rsa"}, map[string]any{"a": 1}} {
		refused("kid of another kind", sign(t, jwt.SigningMethodRS256, b.idp.rsa, with(header("RS256", ""), "kid", kid), good()), form)
	}

	// Keys that a token brings along, or says where to find.
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody followed a token's URL") }))
	defer evil.Close()
	var own map[string]any
	if err := json.Unmarshal(jwk, &own); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"jku": evil.URL, "x5u": evil.URL, "jwk": own, "crit": []string{"exp"}} {
		refused(name, sign(t, jwt.SigningMethodRS256, b.idp.next, with(header("RS256", "rsa"), name, value), good()), form)
		refused(name+" signed well", sign(t, jwt.SigningMethodRS256, b.idp.rsa, with(header("RS256", "rsa"), name, value), good()), form)
	}
	refused("x5c", sign(t, jwt.SigningMethodRS256, b.idp.next, with(header("RS256", "rsa"), "x5c", []string{base64.StdEncoding.EncodeToString(rsaPublic)}), good()), signature)

	// Names that stand twice: readers differ on which counts.
	g, _ := json.Marshal(good())
	twice := func(name, value string) string {
		return strings.TrimSuffix(string(g), "}") + `,"` + name + `":` + value + `}`
	}
	refused("two algs", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"none","alg":"RS256","kid":"rsa"}`, string(g)), form)
	refused("two kids", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"x","kid":"rsa"}`, string(g)), form)
	refused("two subs", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, twice("sub", `"root"`)), form)
	refused("two subs, one escaped", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, twice(`s\u0075b`, `"root"`)), form)
	refused("two members deep inside", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, twice("x", `[{"a":1,"a":2}]`)), form)
	if c := b.accepted(raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa","ALG":"none"}`, twice("SUB", `"root"`))); c.User != "ann" {
		t.Errorf("a claim in other letters counts: %+v", c)
	}

	// Sizes and shapes.
	refused("long", sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", "rsa"), with(good(), "pad", strings.Repeat("x", 8<<10))), "longer than 8192 bytes")
	if _, err := b.ask(strings.Repeat(".", 1<<20)); err == nil || err.Status != 401 {
		t.Errorf("1 MiB of dots: %v", err)
	}
	refused("dots and a beginning", "ey"+strings.Repeat(".", 4000), "not valid here")
	refused("deep", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, twice("x", strings.Repeat("[", 2000)+strings.Repeat("]", 2000))), form)
	refused("deep header", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa","x":`+strings.Repeat(`{"a":`, 30)+"1"+strings.Repeat("}", 31), string(g)), form)
	for _, c := range []string{"", "null", "[]", `"text"`, "1", string(g) + "{}", string(g)[:len(g)-1], `{"iss":"\xff"}`, "{}x"} {
		refused("claims "+c, raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, c), form)
	}
	refused("no claims", raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, "{}"), issuer)
	refused("padding", parts[0]+"=."+parts[1]+"."+parts[2], form)
	refused("other base64", strings.Join([]string{parts[0], parts[1], base64.StdEncoding.EncodeToString([]byte("\xff\xfe\xfd"))}, "."), form)
	last := parts[2][len(parts[2])-1] // its low bits are in no byte: another text, the same signature
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if byte(c) != last {
			b.refused(valid[:len(valid)-1] + string(c))
		}
	}

	// Somebody else's claims under a signature.
	refused("other claims", forge(header("RS256", "rsa"), with(good(), "sub", "root")), signature)
	refused("other issuer", b.rs256(with(good(), "iss", "https://login.evil.example/")), issuer)
	refused("issuer without its slash", b.rs256(with(good(), "iss", strings.TrimSuffix(issuerURL, "/"))), issuer)
	refused("issuer in capitals", b.rs256(with(good(), "iss", strings.ToUpper(issuerURL))), issuer)
	refused("no issuer", b.rs256(with(good(), "iss", nil)), issuer)
	refused("issuers", b.rs256(with(good(), "iss", []string{issuerURL})), issuer)
	refused("the gateway as issuer", b.rs256(with(good(), "iss", "sluice", "aud", "sluice")), algorithm)
	refused("other audience", b.rs256(with(good(), "aud", "mail")), issuer)
	refused("no audience", b.rs256(with(good(), "aud", nil)), issuer)
	refused("empty audience", b.rs256(with(good(), "aud", "")), issuer)
	refused("audience of another kind", b.rs256(with(good(), "aud", map[string]any{"llm": true})), issuer)

	// Times.
	refused("expired", b.rs256(with(good(), "exp", start.Add(-31*time.Second).Unix())), lifetime)
	refused("no expiry", b.rs256(with(good(), "exp", nil)), claims)
	for _, exp := range []any{"2030-01-01", -1, 0, []int{1}} {
		b.refused(b.rs256(with(good(), "exp", exp)))
	}
	refused("for later", b.rs256(with(good(), "nbf", start.Add(31*time.Second).Unix())), lifetime)
	refused("made later", b.rs256(with(good(), "iat", start.Add(31*time.Second).Unix())), lifetime)
	refused("made never", b.rs256(with(good(), "iat", "now")), claims)
	b.refused(raw(t, jwt.SigningMethodRS256, b.idp.rsa, `{"alg":"RS256","kid":"rsa"}`, strings.Replace(string(g), `"exp":`, `"exp":-1e308,"e":`, 1)))

	// What the claims must say.
	for name, values := range map[string][]any{
		"sub":    {nil, "", 7, []string{"ann"}, "a\nb", "a\x1b[2J", "\u2028", strings.Repeat("u", 257)},
		"models": {nil, 1, map[string]any{}, []any{"gpt-4", 1}, []any{nil}},
		"limits": {"5", []int{1}, map[string]any{"rpm": 0}, map[string]any{"rpm": -1}, map[string]any{"tpm": 1.5}, map[string]any{"concurrent": "2"}, map[string]any{"tpm": 1e30}},
	} {
		for _, v := range values {
			refused(name, b.rs256(with(good(), name, v)), claims)
		}
	}
	if got := b.accepted(valid); got.User != "ann" {
		t.Error("the good token was lost")
	}
}

// A provider of the operator speaks for tenants by a claim, a tenant's own only for that one.
func TestTenantClaim(t *testing.T) {
	b := newBench(t, func(c *auth.Config, i *gateway.Issuer) {
		c.Issuers = []auth.IssuerConfig{{
			Issuer: "https://sso.example", Audience: []string{"gw"}, Algorithms: []string{"RS256"}, JWKSURL: i.JWKS, Private: true,
			Claims: auth.ClaimConfig{Tenant: "tid", User: "sub"},
		}}
	})
	beta := &gateway.Tenant{ID: "beta", JWT: &gateway.Issuer{}}
	*beta.JWT = *b.acme.JWT
	beta.JWT.Tenant = beta
	beta.JWT.Claims.Tenant, b.acme.JWT.Claims.Tenant = "org", "org"
	b.dir = tenants(b.acme, beta)

	f := func(want tenant.ID, pairs ...any) {
		t.Helper()
		token := b.rs256(with(good(), pairs...))
		if want == "" {
			b.refused(token)
		} else if c := b.accepted(token); c.Tenant.ID != want {
			t.Errorf("%v: %s", pairs, c.Tenant.ID)
		}
	}
	f("acme", "org", "acme")
	f("beta", "org", "beta") // one provider, one audience, two tenants
	f("", "org", "gamma")
	f("", "org", "")
	f("", "org", []string{"acme"})
	f("")
	sso := []any{"iss", "https://sso.example", "aud", "gw"}
	f("acme", append(sso, "tid", "acme")...)
	f("beta", append(sso, "tid", "beta")...)
	f("", append(sso, "tid", "gamma")...)
	f("", append(sso, "tid", "ACME")...)
	f("", append(sso, "tid", "")...)
	f("", append(sso, "tid", nil)...)
	f("", append(sso, "tid", 1)...)
	f("", append(sso, "tid", "acme", "aud", "llm")...)

	// A tenant that is gone is so at once, and so is its provider, whatever is remembered.
	remembered, shared := b.rs256(with(good(), "org", "beta")), b.rs256(with(good(), append(sso, "tid", "beta")...))
	b.accepted(remembered)
	b.accepted(shared)
	b.dir = tenants(b.acme)
	b.refused(remembered)
	b.refused(shared)
	without := &gateway.Tenant{ID: "beta"}
	b.dir = tenants(b.acme, without)
	b.refused(remembered)
	if c := b.accepted(shared); c.Tenant != without {
		t.Error("the tenant is the one of before")
	}
	// A tenant that names another's provider gets none of the other's callers.
	thief := &gateway.Tenant{ID: "thief", JWT: &gateway.Issuer{}}
	*thief.JWT = *b.acme.JWT
	thief.JWT.Tenant, thief.JWT.Claims.Tenant = thief, ""
	b.dir = tenants(thief)
	if c := b.accepted(b.rs256(good())); c.Tenant != thief {
		t.Errorf("%+v", c)
	}
	// If it cannot be told whose callers they are, they are nobody's.
	unclear := *b.acme.JWT
	other := &gateway.Tenant{ID: "other", JWT: &unclear}
	unclear.Tenant, unclear.Claims.Tenant = other, ""
	b.dir = tenants(thief, other)
	b.refused(b.rs256(with(good(), "jti", "1")))
	// Stricter audiences count at once.
	strict := *thief
	strict.JWT = &gateway.Issuer{}
	*strict.JWT = *thief.JWT
	strict.JWT.Tenant, strict.JWT.Audiences = &strict, []string{"other"}
	b.dir = tenants(&strict)
	b.refused(b.rs256(good()))
}

// What is remembered of a token ends with the token.
func TestRememberedExpiry(t *testing.T) {
	b := newBench(t, nil)
	token := b.rs256(with(good(), "exp", start.Add(time.Minute).Unix()))
	b.accepted(token)
	b.host.SetNow(start.Add(89 * time.Second))
	b.accepted(token)
	b.host.SetNow(start.Add(90 * time.Second))
	b.refused(token)
}

// Every token that some change of a good one makes is refused.
func FuzzToken(f *testing.F) {
	b := newBench(f, nil)
	valid := b.rs256(good())
	b.accepted(valid)
	h, _ := json.Marshal(header("none", "rsa"))
	for _, s := range []string{
		valid, valid + ".", "." + valid, valid[:40], "ey..", "eyJ.eyJ.", base64.RawURLEncoding.EncodeToString(h) + valid[strings.IndexByte(valid, '.'):],
		strings.Replace(valid, ".", "..", 1), strings.ToUpper(valid),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Header{"X-Api-Key": []byte(s)}, Directory: b.dir})
		err := b.handler.Serve(x)
		if trimmed := strings.Trim(s, " \t"); (err == nil) != (trimmed == valid) {
			t.Fatalf("%q: %v", s, err)
		}
		if err != nil && gateway.AsError(err).Status != 401 {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
