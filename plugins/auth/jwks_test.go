package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/auth"
)

// fetched waits until so many fetches have ended, well or not.
func (b *bench) fetched(ok, failed float64) {
	b.t.Helper()
	eventually(b.t, "fetches have ended", func() bool {
		values, err := b.host.Values()
		if err != nil {
			b.t.Fatal(err)
		}
		return values[`sluice_jwks_refresh_total{result="ok"}`] == ok && values[`sluice_jwks_refresh_total{result="error"}`] == failed
	})
}

func (b *bench) pass(d time.Duration) { b.host.SetNow(b.host.Now().Add(d)) }

// A provider replaces its key: the old one is gone from here, too, also for tokens that are remembered.
func TestRotation(t *testing.T) {
	b := newBench(t, nil)
	long := with(good(), "exp", start.Add(100*time.Hour).Unix())
	before := b.rs256(long)
	after := sign(t, jwt.SigningMethodRS256, b.idp.next, header("RS256", "next"), long)
	b.accepted(before)
	b.refused(after)
	if n := b.idp.fetches(); n != 1 {
		t.Errorf("%d fetches: one was made a moment before", n)
	}
	// The new key is there. It is asked for at once, but for a minute after the last time.
	b.idp.serve(append(b.idp.standard(), public(b.idp.next.Public(), "next", "RS256"))...)
	b.pass(59 * time.Second)
	b.refused(after)
	b.pass(time.Second)
	b.accepted(after)
	b.accepted(before)
	if n := b.idp.fetches(); n != 2 {
		t.Errorf("%d fetches", n)
	}
	// Names that nobody has cause one fetch a minute, however many come.
	for range 3 {
		for range 5 {
			b.refused(sign(t, jwt.SigningMethodRS256, b.idp.next, header("RS256", "nobody"), long))
		}
		b.pass(time.Minute)
	}
	if n := b.idp.fetches(); n != 4 {
		t.Errorf("%d fetches", n)
	}
	// The old key is withdrawn. It is good until the set is fetched again: in the background, after a quarter of an hour.
	b.idp.serve(public(b.idp.next.Public(), "next", "RS256"))
	b.pass(10 * time.Minute)
	b.accepted(before)
	b.pass(5 * time.Minute)
	b.accepted(before)
	b.fetched(5, 0)
	if got := b.refused(before); !strings.Contains(got, "a key that its issuer does not have") {
		t.Error(got)
	}
	b.accepted(after)
	// The same name for another key.
	b.idp.serve(public(b.idp.rsa.Public(), "next", "RS256"))
	b.pass(16 * time.Minute)
	b.accepted(after)
	b.fetched(6, 0)
	b.refused(after)
	// All keys are withdrawn.
	b.idp.serve()
	b.pass(16 * time.Minute)
	_, _ = b.ask(before)
	b.fetched(7, 0)
	b.refused(sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", "next"), long))
	b.refused(sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", ""), long))
}

// After an hour without anybody asking, the first waits for what is true now.
func TestIdle(t *testing.T) {
	b := newBench(t, nil)
	long := with(good(), "exp", start.Add(100*time.Hour).Unix())
	before := b.rs256(long)
	b.accepted(before)
	b.idp.serve(public(b.idp.next.Public(), "next", "RS256"))
	b.pass(time.Hour)
	b.refused(before)
	if n := b.idp.fetches(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// A provider that is out: what was known is good for a day.
func TestProviderOut(t *testing.T) {
	b := newBench(t, nil)
	long := with(good(), "exp", start.Add(100*time.Hour).Unix())
	token := b.rs256(long)
	b.idp.fail(500)
	b.out(token)
	b.idp.serve(b.idp.standard()...)
	b.pass(4 * time.Second)
	b.out(token) // not asked again yet
	if n := b.idp.fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	b.pass(time.Second)
	b.accepted(token)

	known := b.host.Now()
	failed := 1.0
	for _, status := range []int{500, 404, 204, 301, 302, 401} {
		b.idp.fail(status)
		b.pass(3 * time.Hour)
		b.accepted(token)
		failed++
		b.fetched(1, failed)
		b.accepted(token)
	}
	for _, body := range []string{"", "<html>", "[]", "{}", `{"keys":null}`, `{"keys":7}`, `{"keys":[` + strings.Repeat("{},", 256) + `{}]}`, strings.Repeat(" ", 1<<20) + `{"keys":[]}`} {
		b.idp.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		b.pass(6 * time.Second)
		b.accepted(token)
		failed++
		b.fetched(1, failed)
		b.accepted(token)
	}
	b.idp.fail(503)
	b.host.SetNow(known.Add(24*time.Hour - time.Second))
	b.accepted(token)
	b.fetched(1, failed+1)
	b.host.SetNow(known.Add(24 * time.Hour))
	b.out(token)
	b.idp.serve(b.idp.standard()...)
	b.pass(5 * time.Second)
	b.accepted(token)
	// A key that is not known may be a new one, as long as nobody can be asked.
	b.idp.fail(503)
	b.pass(time.Minute)
	later := sign(t, jwt.SigningMethodRS256, b.idp.next, header("RS256", "next"), long)
	b.out(later)
	b.out(later)
	b.accepted(token)
	// It was nobody's fault.
	if v, err := b.host.Values(); err != nil || v[`sluice_auth_failures_total{reason="token"}`] != 0 {
		t.Errorf("%v, %v", v, err)
	}
}

// Only one fetch is made for all that wait, and who leaves does not wait.
func TestWaiting(t *testing.T) {
	b := newBench(t, nil)
	release := make(chan struct{})
	keys := b.idp.handle
	b.idp.answer(func(w http.ResponseWriter, r *http.Request) { <-release; keys(w, r) })
	token := b.rs256(good())
	const n = 20
	errs := make(chan error, n)
	exchanges := make([]*gateway.Exchange, n)
	for i := range n {
		exchanges[i] = gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-key", token), Directory: b.dir})
		go func() { errs <- b.handler.Serve(exchanges[i]) }()
	}
	eventually(t, "the provider is asked", func() bool { return b.idp.fetches() == 1 })
	exchanges[0].Cancel(gateway.ErrGone)
	if err := <-errs; gateway.AsError(err).Status != gateway.StatusClientGone {
		t.Error(err)
	}
	close(release)
	for range n - 1 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if b.idp.fetches() != 1 {
		t.Errorf("%d fetches", b.idp.fetches())
	}
}

// The key set itself leads nowhere else, and weak or foreign keys in it are none.
func TestKeySets(t *testing.T) {
	b := newBench(t, func(_ *auth.Config, i *gateway.Issuer) { i.Algorithms = append(i.Algorithms, "HS256") })
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody followed a key set's URL") }))
	defer elsewhere.Close()
	ours := public(b.idp.rsa.Public(), "x5u", "RS256")
	ours.X5U, ours.X5C, ours.X5T = elsewhere.URL, []string{"bm9uc2Vuc2U="}, "bm9uc2Vuc2U"
	use, ops, alg := public(b.idp.next.Public(), "enc", "RS256"), public(b.idp.next.Public(), "ops", "RS256"), public(b.idp.next.Public(), "alg", "ES256")
	use.USE, ops.KEYOPS = "enc", append(ops.KEYOPS, "wrapKey")
	hmac := public(b.idp.next.Public(), "rs-as-hs", "HS256")
	b.idp.serve(ours, use, ops, alg, hmac)
	b.accepted(sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", "x5u"), good()))
	for _, kid := range []string{"enc", "ops", "alg", "rs-as-hs"} {
		b.refused(sign(t, jwt.SigningMethodRS256, b.idp.next, header("RS256", kid), good()))
	}
	b.pass(time.Minute)
	b.idp.answer(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"kty":"oct","kid":"oct","alg":"HS256","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},{"kty":"new"},{}]}`))
	})
	b.refused(sign(t, jwt.SigningMethodHS256, []byte("secretsecretsecretsecret"), header("HS256", "oct"), good()))
	// A set of one key needs no name.
	b.idp.serve(public(b.idp.rsa.Public(), "", ""))
	b.pass(16 * time.Minute)
	_, _ = b.ask(b.rs256(good()))
	b.fetched(2, 0)
	b.accepted(sign(t, jwt.SigningMethodRS256, b.idp.rsa, header("RS256", ""), good()))
}

// A URL that a tenant gave leads to public addresses only, in whatever way they are written, and no redirect is followed.
func TestPrivateURL(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	f := func(url string, private bool) {
		t.Helper()
		b := newBench(t, func(_ *auth.Config, i *gateway.Issuer) {
			i.Private = private
			if url != "" {
				i.JWKS = url
			}
		})
		if private {
			b.idp.answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
		}
		b.out(b.rs256(good()))
		if n := b.idp.fetches(); n != 0 && !private {
			t.Errorf("%s: fetched", url)
		}
		eventually(t, "the fault is logged, for "+url, func() bool {
			return b.host.Logs.FilterMessage("no key set from an identity provider").Len() == 1
		})
	}
	f("", true) // a redirect
	f("", false)
	f("http://192.0.2.1/", false)
	f(elsewhere.URL, false) // no https
	f("file:///etc/passwd", true)
	for _, host := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "169.254.169.254", "0.0.0.0:1", "[::]:1", "10.0.0.1", "[fd00::1]:1", "100.64.0.1", "localhost:1", "[64:ff9b::7f00:1]:1"} {
		f("https://"+host+"/jwks.json", false)
	}
}

// Closing the plugin ends a fetch that hangs.
func TestCloseEndsFetch(t *testing.T) {
	b := newBench(t, nil)
	gone := make(chan struct{})
	b.idp.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })
	x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-key", b.rs256(good())), Directory: b.dir})
	done := make(chan error)
	go func() { done <- b.handler.Serve(x) }()
	eventually(t, "the provider is asked", func() bool { return b.idp.fetches() == 1 })
	b.host.Close()
	if err := <-done; gateway.AsError(err).Code != "identity_provider_unavailable" {
		t.Error(err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the fetch goes on")
	}
}
