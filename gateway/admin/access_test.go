package admin_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestTokens(t *testing.T) {
	o := open(t)
	f := func(who, path string, status int, code string, header ...string) {
		t.Helper()
		if a := o.from(who, "GET", path, "", header...); a.status != status || code != "" && a.code() != code {
			t.Errorf("%s as %q: %d %s, want %d", path, who, a.status, a.body, status)
		}
	}
	const page = "/admin/v1/tenants"
	f("admin", page, 200, "")
	f("peppered", page, 200, "")
	f("expired", page, 401, "invalid_token")
	f("", page, 401, "no_token")
	f("", page, 401, "no_token", "Authorization", "Basic "+secretOf("admin"))
	f("", page, 401, "no_token", "Authorization", "Bearer")
	f("", page, 200, "", "Authorization", "bearer "+secretOf("admin"))
	f("", page, 401, "", "From", "127.0.0.1:5") // being here is worth nothing any more
	f("", "/metrics", 401, "no_token")
	f("viewer", "/metrics", 200, "")
	f("", "/livez", 200, "")
	if lines := o.log.FilterMessage("admin login failed").All(); len(lines) != 1 || lines[0].ContextMap()["expired"] != true || lines[0].ContextMap()["remote_addr"] != "192.0.2.1:1234" {
		t.Errorf("%v", lines)
	}
	if a := o.from("", "GET", page, ""); a.header.Get("WWW-Authenticate") != `Bearer realm="sluice"` {
		t.Errorf("%v", a.header)
	}

	// Other tokens hold at once, for those who were known as well.
	o.server.Use([]admin.Token{{Name: "new", Digest: plain(secretOf("new")), Role: admin.Viewer}})
	f("admin", page, 401, "invalid_token")
	f("new", page, 200, "")
	o.server.Use(nil)
	f("", page, 200, "", "From", "127.0.0.1:5")

	open := open(t, func(o *admin.Options) { o.GuardMetrics = false })
	if a := open.from("", "GET", "/metrics", ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRoles(t *testing.T) {
	for _, r := range []admin.Role{admin.Viewer, admin.Operator, admin.Admin} {
		if got, err := admin.ParseRole(r.String()); got != r || err != nil {
			t.Errorf("%s: %s, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "anyone", "root", "Admin"} {
		if r, err := admin.ParseRole(s); err == nil || r != admin.Anyone {
			t.Errorf("%q is taken for %s", s, r)
		}
	}
	if s := admin.Role(9).String(); s != "Role(9)" {
		t.Error(s)
	}
}

// TestFailedLogins has addresses guess.
func TestFailedLogins(t *testing.T) {
	o := open(t)
	o.options.Store = nil // of another bubble
	synctest.Test(t, func(t *testing.T) {
		s := admin.New(o.options)
		o := &office{t: t, server: s}
		ask := func(who, from string) reply {
			t.Helper()
			return o.from(who, "GET", "/admin/v1/targets", "", "From", from)
		}
		f := func(who, from string, status int) {
			t.Helper()
			if a := ask(who, from); a.status != status {
				t.Errorf("%s from %s: %d %s, want %d", who, from, a.status, a.body, status)
			}
		}
		const guesser = "192.0.2.7:1"
		f("admin", guesser, 200) // an operator behind the same address
		for n := range 10 {
			f("guess"+strconv.Itoa(n), guesser, 401)
		}
		f("guess", guesser, 429)
		f("viewer", guesser, 429) // even if it is right: that would tell
		f("admin", guesser, 200)  // it was right there before
		f("guess", "192.0.2.8:1", 401)
		if a := ask("guess", guesser); a.header.Get("Retry-After") != "6" || a.code() != "too_many_failed_logins" {
			t.Errorf("%v %s", a.header, a.body)
		}
		<-time.After(6 * time.Second)
		f("guess", guesser, 401)
		f("guess", guesser, 429)
		<-time.After(time.Hour)
		f("viewer", guesser, 200)

		// Of IPv6, whoever has one address has them all.
		for n := range 10 {
			f("guess", fmt.Sprintf("[2001:db8:0:1::%d]:1", n), 401)
		}
		f("guess", "[2001:db8:0:1:ffff::]:1", 429)
		f("guess", "[2001:db8:0:2::]:1", 401)

		// More addresses than are kept share what is left; when theirs are forgiven, there is room again.
		for n := range 5000 {
			ask("guess", fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255))
		}
		f("guess", "10.9.9.9:1", 429)
		<-time.After(time.Hour)
		f("guess", "10.9.9.9:1", 401)
	})
}

// TestTokensOfTenants makes sure that a token for tenants is for no other things.
func TestTokensOfTenants(t *testing.T) {
	o := open(t)
	f := func(method, path, body string, status int) {
		t.Helper()
		if a := o.from("admin-acme", method, "/admin/v1/"+path, body); a.status != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
		}
	}
	f("GET", "tenants/acme", "", 200)
	f("GET", "tenants/bolt", "", 404)
	f("GET", "tenants/nobody", "", 404)
	f("POST", "tenants", `{"id":"mine"}`, 403)
	f("GET", "stores", "", 403)
	f("GET", "usage", "", 200)
	var ids []tenant.ID
	for _, l := range data[[]admin.TenantLine](t, o.from("admin-acme", "GET", "/admin/v1/tenants", "")) {
		ids = append(ids, l.ID)
	}
	if len(ids) != 1 || ids[0] != "acme" {
		t.Error(ids)
	}
}
