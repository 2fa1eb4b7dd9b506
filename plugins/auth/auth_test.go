package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

const (
	pepper   = "0123456789abcdef0123456789abcdef"
	plain    = "sluice_3fKq0Zt8VbXn5LwR1mYc7HsD2pJg9e14qzIp"
	peppered = "sluice_demo_3fKq0Zt8VbXn5LwR1mYc7HsD2pJg9e1J6pTA"
	imported = "sk-litellm-of-another-form"
	old      = "sluice-old"
	nobodys  = "sluice_demo_0123456789ABCDEFGHIJKLMNOPQRST2NvhTz"
)

// directory has a key of each kind, and anonymous callers if tenant is not nil.
func directory(anonymous *gateway.Tenant) *gateway.Directory {
	acme := &gateway.Tenant{ID: "acme"}
	return gateway.NewDirectory(gateway.Entries{
		Anonymous: anonymous,
		Keys: map[gateway.Digest]*gateway.Key{
			key.Digest([]byte(plain)):                            {Name: "plain", Tenant: acme},
			key.NewPepper(pepper).Digest([]byte(peppered)):       {Name: "peppered", Tenant: acme},
			key.Digest([]byte(imported)):                         {Name: "imported", Tenant: acme},
			key.Digest([]byte(old)):                              {Name: "old", Tenant: acme, Expires: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)},
			key.Digest([]byte(strings.Repeat("k", 4<<10))):       {Name: "longest", Tenant: acme},
			key.Digest([]byte(strings.Repeat("k", 4<<10) + "k")): {Name: "too long", Tenant: acme},
		},
	})
}

func settings() *auth.Config {
	c := auth.Spec(auth.Lent{}).Defaults().(*auth.Config)
	c.Pepper = config.NewSecret(pepper)
	return c
}

func TestConformance(t *testing.T) {
	gatewaytest.Conformance(t, gatewaytest.Subject{
		Spec: auth.Spec(auth.Lent{}), Config: settings(),
		Request: gatewaytest.Request{Header: gatewaytest.Fields("Authorization", "Bearer "+peppered), Directory: directory(nil)},
	})
}

const how = ` Send it as "Authorization: Bearer KEY", or in the header x-api-key.`

func TestAuth(t *testing.T) {
	p, host := gatewaytest.Build(t, auth.Spec(auth.Lent{}), settings())
	script := &gatewaytest.Script{}
	h := p.Wrap(script)
	guests := &gateway.Tenant{ID: "guests"}

	ask := func(d *gateway.Directory, headers []string) (gateway.Caller, *gateway.Error) {
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields(headers...), Directory: d})
		before := script.Served()
		a := gatewaytest.Serve(x, h)
		if passed := script.Served() > before; passed != (a.Err == nil) {
			t.Errorf("%q: passed on: %v, error: %v", headers, passed, a.Err)
		}
		return x.Caller, a.Error()
	}

	known := func(name string, headers ...string) {
		t.Helper()
		c, err := ask(directory(guests), headers)
		if err != nil || c.Tenant == nil || c.Tenant.ID != "acme" || c.Key != name || c.User != "" {
			t.Errorf("%q: %+v, %v", headers, c, err)
		}
	}
	known("plain", "Authorization", "Bearer "+plain)
	known("plain", "Authorization", "bearer "+plain)
	known("plain", "Authorization", "BEARER    "+plain)
	known("plain", "Authorization", "\t Bearer "+plain+" \t")
	known("peppered", "Authorization", "Bearer "+peppered)
	known("imported", "Authorization", "Bearer "+imported)
	known("plain", "x-api-key", plain)
	known("plain", "x-api-key", " "+plain+"\t")
	known("peppered", "api-key", peppered)
	known("plain", "Authorization", "", "api-key", plain)
	known("plain", "Authorization", "Bearer "+plain, "x-api-key", "")
	known("plain", "Authorization", "Bearer "+plain, "x-api-key", plain, "api-key", plain)
	known("old", "x-api-key", old)
	known("longest", "x-api-key", strings.Repeat("k", 4<<10))

	// Wrong keys are refused with the same words whether or not anonymous callers are let in.
	refused := func(status int, code, message string, headers ...string) {
		t.Helper()
		for _, d := range []*gateway.Directory{directory(nil), directory(guests)} {
			c, err := ask(d, headers)
			if err == nil || c.Tenant != nil {
				t.Errorf("%q: passed as %+v", headers, c)
				continue
			}
			if err.Status != status || err.Code != code || err.Message != message || err.Type != "invalid_request_error" || err.Origin != gateway.OriginClient {
				t.Errorf("%q: %v, type %s, origin %s", headers, err, err.Type, err.Origin)
			}
		}
	}
	invalid := func(message string, headers ...string) {
		t.Helper()
		refused(401, "invalid_api_key", message, headers...)
	}
	const unknown = "The API key is not valid here. It may have been revoked, or belong to another gateway. The gateway's operator issues keys."
	invalid(unknown, "Authorization", "Bearer "+nobodys)
	invalid(unknown, "Authorization", "Bearer sk-proj-whatever")
	invalid(unknown, "x-api-key", "Bearer")
	invalid(unknown, "x-api-key", strings.ToLower(imported[:10]))
	const mistyped = "The API key was mistyped or cut short: its checksum does not fit. Copy all of it again."
	invalid(mistyped, "Authorization", "Bearer "+plain[:len(plain)-1])
	invalid(mistyped, "Authorization", "Bearer "+strings.Replace(plain, "3f", "f3", 1))
	invalid(mistyped, "x-api-key", "sluice_")
	const scheme = "The Authorization header has another scheme than Bearer." + how
	invalid(scheme, "Authorization", "Basic dXNlcjpwYXNz")
	invalid(scheme, "Authorization", plain)
	invalid(scheme, "Authorization", "Bearer\t"+plain)
	invalid(scheme, "Authorization", "Bearer:"+plain)
	const empty = "The Authorization header says Bearer, but no key follows. Is the variable that holds it set?" + how
	invalid(empty, "Authorization", "Bearer")
	invalid(empty, "Authorization", "bearer   ")
	const malformed = "The API key contains characters that no key has." + how
	invalid(malformed, "Authorization", "Bearer "+plain+", Bearer "+imported)
	invalid(malformed, "Authorization", "Bearer Bearer "+plain)
	invalid(malformed, "Authorization", "Bearer "+plain+"\x00")
	invalid(malformed, "x-api-key", "schlüssel")
	invalid(malformed, "x-api-key", "a\x7fb")
	invalid("The API key is longer than 4096 bytes. No key is.", "Authorization", "Bearer "+strings.Repeat("k", 4<<10)+"k")

	several := func(headers ...string) {
		t.Helper()
		refused(400, "several_credentials",
			"The request has several different credentials. Send one, in Authorization, x-api-key or api-key.", headers...)
	}
	several("Authorization", "Bearer "+plain, "x-api-key", peppered)
	several("Authorization", "Bearer "+plain, "api-key", imported)
	several("x-api-key", plain, "api-key", imported)
	several("Authorization", "Basic dXNlcjpwYXNz", "x-api-key", plain)
	several("Authorization", "Bearer", "x-api-key", plain)

	host.SetNow(time.Date(2026, 1, 30, 23, 59, 59, 0, time.UTC))
	known("old", "x-api-key", old)
	host.SetNow(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC))
	invalid("The API key expired at 2026-01-31T00:00:00Z. The gateway's operator issues new ones.", "x-api-key", old)
	known("plain", "x-api-key", plain)

	// Without a key.
	for _, headers := range [][]string{nil, {"Authorization", ""}, {"Authorization", "  ", "x-api-key", ""}} {
		c, err := ask(directory(guests), headers)
		if err != nil || c.Tenant != guests || c.Key != tenant.Anonymous {
			t.Errorf("%q: %+v, %v", headers, c, err)
		}
		c, err = ask(directory(nil), headers)
		if c.Tenant != nil || err == nil || err.Status != 401 || err.Code != "invalid_api_key" ||
			err.Message != "The request has no API key."+how+" The gateway's operator issues keys." {
			t.Errorf("%q: %+v, %v", headers, c, err)
		}
	}
	if n := host.Logs.Len(); n != 0 {
		t.Errorf("%d lines in the log", n)
	}
}

// TestPolicy asks endpoints of each policy, with and without a key.
func TestPolicy(t *testing.T) {
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), settings())
	f := func(policy gateway.Policy, header gatewaytest.Header, status int, code, tenant string) {
		t.Helper()
		e := gatewaytest.Chat()
		e.Policy = policy
		x := gatewaytest.New(t, gatewaytest.Request{Endpoint: e, Header: header, Directory: directory(nil)})
		a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
		switch {
		case status != 200 && (a.Err == nil || a.Error().Status != status || a.Error().Code != code):
			t.Errorf("policy %d: %v", policy, a.Err)
		case status == 200 && a.Err != nil:
			t.Errorf("policy %d: %v", policy, a.Err)
		case (x.Caller.Tenant != nil) != (tenant != ""):
			t.Errorf("policy %d: the caller is %+v", policy, x.Caller)
		}
	}
	good, wrong := gatewaytest.Fields("x-api-key", plain), gatewaytest.Fields("x-api-key", nobodys)
	f(gateway.Public, nil, 200, "", "")
	f(gateway.Public, good, 200, "", "")
	f(gateway.Public, wrong, 200, "", "")
	f(gateway.Callers, nil, 401, "invalid_api_key", "")
	f(gateway.Callers, good, 200, "", "acme")
	f(gateway.Closed, nil, 404, "unknown_endpoint", "")
	f(gateway.Closed, good, 404, "unknown_endpoint", "")
	f(gateway.Public+1, good, 404, "unknown_endpoint", "")
}

// TestPartial: who may be known to a store that was not read yet is not told that he is wrong, and his address is not blamed.
func TestPartial(t *testing.T) {
	c := settings()
	c.Failures.Burst = 2
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), c)
	f := func(k string, partial bool, status int) {
		t.Helper()
		d := gateway.NewDirectory(gateway.Entries{
			Partial: partial, Keys: map[gateway.Digest]*gateway.Key{key.Digest([]byte(plain)): {Name: "plain", Tenant: &gateway.Tenant{ID: "acme"}}},
		})
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-key", k), Directory: d})
		a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
		if got := a.Error(); (got == nil) != (status == 200) || got != nil && (got.Status != status || (got.RetryAfter > 0) != (status == 503)) {
			t.Errorf("%s: %v", k, got)
		}
	}
	for range 9 {
		f(nobodys, true, 503)
	}
	f(plain, true, 200)
	f(nobodys+"x", true, 401) // its checksum is wrong
	f(nobodys, false, 401)
	o := p.(*auth.Plugin).OAuth()
	r := &auth.Request{Directory: gateway.NewDirectory(gateway.Entries{Partial: true})}
	_, _, token := o.Token(t.Context(), r)
	for _, err := range []error{token, o.Revoke(t.Context(), r)} {
		if e, ok := errors.AsType[*gateway.Error](err); !ok || e.Status != 503 {
			t.Errorf("%v", err)
		}
	}
}

// TestBodyUnread makes sure that strangers are refused from the headers alone.
func TestBodyUnread(t *testing.T) {
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), nil)
	x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(nil)})
	if err := p.Wrap(&gatewaytest.Script{}).Serve(x); err == nil || x.Request.Body() != nil {
		t.Errorf("%v, and the body was read: %v", err, x.Request.Body() != nil)
	}
}

// TestWithoutPepper refuses keys that need one, and says so once for each generation.
func TestWithoutPepper(t *testing.T) {
	p, host := gatewaytest.Build(t, auth.Spec(auth.Lent{}), nil)
	f := func(h gateway.Handler, k string, status, warnings int) {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-key", k), Directory: directory(nil)})
		a := gatewaytest.Serve(x, h)
		if got := a.Error(); (got == nil) != (status == 200) || got != nil && got.Status != status {
			t.Errorf("%s: %v", k, got)
		}
		const text = "keys whose digest is an hmac-sha256 are refused: plugins.auth.pepper is not set"
		if n := host.Logs.FilterMessage(text).Len(); n != warnings {
			t.Errorf("%d warnings, not %d", n, warnings)
		}
	}
	first, second := p.Wrap(&gatewaytest.Script{}), p.Wrap(&gatewaytest.Script{})
	f(first, peppered, 401, 1)
	f(first, plain, 200, 1)
	f(second, plain, 200, 2)
}

func digestOf(k string) gateway.Digest { return key.Digest([]byte(k)) }

func configSecret(s string) config.Secret { return config.NewSecret(s) }

// The process asks for tenants by passes that nobody else has.
func TestPasses(t *testing.T) {
	acme, bolt := &gateway.Tenant{ID: "acme"}, &gateway.Tenant{ID: "bolt"}
	d := gateway.NewDirectory(gateway.Entries{Tenants: []*gateway.Tenant{acme, bolt}})
	var passes auth.Passes
	f := func(l auth.Lent, credential string, want *gateway.Tenant) {
		t.Helper()
		p, _ := gatewaytest.Build(t, auth.Spec(l), settings())
		script := &gatewaytest.Script{}
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("Authorization", "Bearer "+credential), Directory: d})
		a := gatewaytest.Serve(x, p.Wrap(script))
		if x.Caller.Tenant != want || (a.Err == nil) != (want != nil) || want != nil && x.Caller.Key != tenant.Operator {
			t.Errorf("%+v, %v", x.Caller, a.Err)
		}
	}
	pass := passes.Of("acme")
	if again := passes.Of("acme"); again != pass {
		t.Error("each time another")
	}
	f(auth.Lent{Passes: &passes}, pass, acme)
	f(auth.Lent{Passes: &passes}, passes.Of("bolt"), bolt)
	f(auth.Lent{Passes: &passes}, passes.Of("gone"), nil)
	f(auth.Lent{Passes: &passes}, pass+"x", nil)
	f(auth.Lent{Passes: &auth.Passes{}}, pass, nil) // another process
	f(auth.Lent{}, pass, nil)
}
