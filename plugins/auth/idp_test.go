package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/auth"
)

const issuerURL = "https://login.acme.example/"

// start is when gatewaytest's clock stands.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type idpKeys struct {
	rsa  *rsa.PrivateKey
	ec   *ecdsa.PrivateKey
	ed   ed25519.PrivateKey
	next *rsa.PrivateKey // not in the key set at first
}

// madeKeys are the same for all tests: to make them takes longer than most.
var madeKeys = sync.OnceValues(func() (k idpKeys, err error) {
	var errs [4]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.next, errs[1] = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, errs[3] = ed25519.GenerateKey(rand.Reader)
	return k, errors.Join(errs[:]...)
})

// idp is an identity provider with a key of each kind, on a real HTTPS server.
type idp struct {
	*httptest.Server
	idpKeys

	mu     sync.Mutex
	handle http.HandlerFunc
	hits   int
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	keys, err := madeKeys()
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{idpKeys: keys}
	p.serve(p.standard()...)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.hits++
		h := p.handle
		p.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) standard() []jwkset.JWKMarshal {
	return []jwkset.JWKMarshal{public(p.rsa.Public(), "rsa", "RS256"), public(p.ec.Public(), "ec", ""), public(p.ed.Public(), "ed", "")}
}

// serve makes the key set what is given.
func (p *idp) serve(keys ...jwkset.JWKMarshal) {
	body, _ := json.Marshal(jwkset.JWKSMarshal{Keys: append([]jwkset.JWKMarshal{}, keys...)})
	p.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

// fail makes the server answer with a status.
func (p *idp) fail(status int) {
	p.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

func (p *idp) answer(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handle = h
}

// fetches says how often the key set was asked for.
func (p *idp) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

func (p *idp) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	return pool
}

// issuer is the provider as a tenant's file has it.
func (p *idp) issuer() gateway.Issuer {
	return gateway.Issuer{
		URL: issuerURL, Audiences: []string{"llm"}, Algorithms: []string{"RS256", "ES256", "EdDSA"}, JWKS: p.URL, Private: true,
		Claims: gateway.ClaimNames{User: "sub", Models: "models", Limits: "limits"},
	}
}

// public is a key as key sets have it.
func public(k crypto.PublicKey, kid, alg string) jwkset.JWKMarshal {
	j, err := jwkset.NewJWKFromKey(k, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid, ALG: jwkset.ALG(alg)}})
	if err != nil {
		panic(err)
	}
	return j.Marshal()
}

// with changes one member; nil takes it out.
func with(m map[string]any, pairs ...any) map[string]any {
	out := maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		if name := pairs[i].(string); pairs[i+1] == nil {
			delete(out, name)
		} else {
			out[name] = pairs[i+1]
		}
	}
	return out
}

// good are claims that are accepted.
func good() map[string]any {
	return map[string]any{
		"iss": issuerURL, "aud": "llm", "sub": "ann", "exp": start.Add(time.Hour).Unix(), "iat": start.Unix(), "nbf": start.Unix(),
		"models": []string{"gpt-*", "claude-3"}, "limits": map[string]any{"rpm": 5, "tpm": 700, "concurrent": 2},
	}
}

func header(alg, kid string) map[string]any {
	h := map[string]any{"alg": alg, "typ": "JWT"}
	if kid != "" {
		h["kid"] = kid
	}
	return h
}

// raw signs a header and claims as they are written. The algorithm is the method's, whatever the header says.
func raw(t testing.TB, m jwt.SigningMethod, k any, head, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sig, err := m.Sign(text, k)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func sign(t testing.TB, m jwt.SigningMethod, k any, head, claims map[string]any) string {
	t.Helper()
	h, err1 := json.Marshal(head)
	c, err2 := json.Marshal(claims)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return raw(t, m, k, string(h), string(c))
}

// bench is a plugin with an identity provider.
type bench struct {
	t       testing.TB
	idp     *idp
	host    *gatewaytest.Host
	plugin  *auth.Plugin
	handler gateway.Handler
	acme    *gateway.Tenant
	dir     *gateway.Directory
}

// newBench has a tenant whose identity provider it is. change may change that, or the settings.
func newBench(t testing.TB, change func(*auth.Config, *gateway.Issuer)) *bench {
	t.Helper()
	b := &bench{t: t, idp: newIDP(t), host: gatewaytest.NewHost()}
	t.Cleanup(b.host.Close)
	i, c := b.idp.issuer(), settings()
	if change != nil {
		change(c, &i)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.plugin, err = auth.New(b.host, *c, auth.Lent{Roots: b.idp.roots()}); err != nil {
		t.Fatal(err)
	}
	b.handler = b.plugin.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	b.acme = &gateway.Tenant{ID: "acme", JWT: &i}
	i.Tenant = b.acme
	b.dir = tenants(b.acme)
	return b
}

// tenants is a directory of tenants without keys.
func tenants(list ...*gateway.Tenant) *gateway.Directory {
	return gateway.NewDirectory(gateway.Entries{Tenants: list})
}

func (b *bench) rs256(claims map[string]any) string {
	return sign(b.t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", "rsa"), claims)
}

// ask comes with a credential.
func (b *bench) ask(credential string) (gateway.Caller, *gateway.Error) {
	x := gatewaytest.New(b.t, gatewaytest.Request{Header: gatewaytest.Fields("Authorization", "Bearer "+credential), Directory: b.dir})
	if err := b.handler.Serve(x); err != nil {
		return x.Caller, gateway.AsError(err)
	}
	return x.Caller, nil
}

// accepted comes with a token that is good.
func (b *bench) accepted(token string) gateway.Caller {
	b.t.Helper()
	c, err := b.ask(token)
	if err != nil || c.Tenant == nil {
		b.t.Errorf("refused: %v", err)
		return gateway.Caller{Tenant: &gateway.Tenant{}}
	}
	return c
}

// refused comes with a token that is not, and gives the message.
func (b *bench) refused(token string) string {
	b.t.Helper()
	c, err := b.ask(token)
	if err == nil || c.Tenant != nil {
		b.t.Errorf("taken for %+v", c)
		return ""
	}
	if err.Status != 401 || err.Code != "invalid_token" && err.Code != "invalid_api_key" {
		b.t.Errorf("%v", err)
	}
	return err.Message
}

func (b *bench) out(token string) {
	b.t.Helper()
	if _, err := b.ask(token); err == nil || err.Status != 503 || err.Code != "identity_provider_unavailable" || err.RetryAfter <= 0 {
		b.t.Errorf("%v", err)
	}
}

// eventually waits for what another goroutine does.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}
