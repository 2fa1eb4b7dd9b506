package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admin"
)

// signIn is what a browser then sends along.
func (o *office) signIn(token string, header ...string) (cookie string, a reply) {
	o.t.Helper()
	a = o.from("", "POST", "/admin/v1/session", `{"token":"`+token+`"}`, header...)
	c, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if err != nil {
		return "", a
	}
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || strings.Contains(c.Value, token) {
		o.t.Errorf("%s", c)
	}
	return c.Name + "=" + c.Value, a
}

func TestSession(t *testing.T) {
	o := open(t)
	f := func(cookie, method, path string, status int, header ...string) reply {
		t.Helper()
		a := o.from("", method, "/admin/v1/"+path, "{}", append(header, "Cookie", cookie)...)
		if a.status != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
		}
		return a
	}
	f("", "GET", "targets", 401)
	if a := f("", "GET", "session", 200); !strings.Contains(a.body, `"login": true`) || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%s", a.body)
	}
	if cookie, a := o.signIn("nonsense"); cookie != "" || a.status != 401 || a.code() != "invalid_token" {
		t.Errorf("%d %s %q", a.status, a.body, cookie)
	}
	if cookie, a := o.signIn(secretOf("expired")); cookie != "" || a.status != 401 {
		t.Errorf("%d %s", a.status, a.body)
	}
	cookie, a := o.signIn(secretOf("operator-acme"), "Origin", "https://example.com")
	if a.status != 204 || !strings.Contains(a.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	if a := f(cookie, "GET", "session", 200); !strings.Contains(a.body, `"operator-acme"`) || !strings.Contains(a.body, `"acme"`) || !strings.Contains(a.body, `"login": false`) {
		t.Errorf("%s", a.body)
	}

	// It is worth what the token is, and no more.
	f(cookie, "GET", "tenants/acme", 200)
	f(cookie, "GET", "tenants/bolt", 404)
	f(cookie, "GET", "targets", 403)
	f(cookie, "POST", "tenants/acme/keys/ci/revoke", 200, "Origin", "http://example.com")
	f(cookie+"x", "GET", "tenants/acme", 401)
	if a := o.from("viewer", "GET", "/admin/v1/session", "", "Cookie", cookie); !strings.Contains(a.body, `"viewer"`) {
		t.Errorf("a token of its own does not come first: %s", a.body)
	}

	// Another origin may not use it, also if it is of the same site, and to read.
	for _, header := range [][]string{{"Origin", "http://example.com:81"}, {"Origin", "null"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site"}} {
		f(cookie, "GET", "tenants/acme", 403, header...)
	}
	f(cookie, "GET", "tenants/acme", 200, "Sec-Fetch-Site", "same-origin")
	f(cookie, "GET", "tenants/acme", 200, "Sec-Fetch-Site", "none") // its address was typed

	f(cookie, "DELETE", "session", 204)
	f(cookie, "GET", "tenants/acme", 401)

	// It ends with the token.
	cookie, _ = o.signIn(secretOf("admin"))
	f(cookie, "GET", "targets", 200)
	o.server.Use([]admin.Token{{Name: "new", Digest: plain(secretOf("new")), Role: admin.Admin}})
	f(cookie, "GET", "targets", 401)
}

func TestSessionsEnd(t *testing.T) {
	o := open(t)
	o.options.Store = nil // of another bubble
	synctest.Test(t, func(t *testing.T) {
		o.options.Tokens = append(tokensOf(), admin.Token{Name: "short", Digest: plain(secretOf("short")), Role: admin.Admin, Expires: time.Now().Add(time.Hour)})
		o := &office{t: t, server: admin.New(o.options)}
		f := func(cookie string, status int) {
			t.Helper()
			if a := o.from("", "GET", "/admin/v1/targets", "", "Cookie", cookie); a.status != status {
				t.Errorf("%d %s, want %d", a.status, a.body, status)
			}
		}
		short, _ := o.signIn(secretOf("short"))
		first, _ := o.signIn(secretOf("admin"))
		<-time.After(2 * time.Hour)
		f(short, 401)
		f(first, 200)
		<-time.After(10 * time.Hour)
		f(first, 401)

		// Of too many, the oldest end.
		first, _ = o.signIn(secretOf("admin"))
		<-time.After(time.Second)
		second, _ := o.signIn(secretOf("admin"))
		for range 999 {
			<-time.After(time.Second)
			o.signIn(secretOf("admin"))
		}
		f(first, 401)
		f(second, 200)
	})
}

// TestPrinted has a gateway without tokens asked from elsewhere.
func TestPrinted(t *testing.T) {
	printed := admin.Token{Name: "printed", Digest: plain("said-once"), Role: admin.Admin}
	o := open(t, func(o *admin.Options) { o.Tokens, o.Printed = nil, &printed })
	f := func(status int, header ...string) {
		t.Helper()
		if a := o.from("", "GET", "/admin/v1/targets", "", header...); a.status != status {
			t.Errorf("%v: %d %s, want %d", header, a.status, a.body, status)
		}
	}
	f(401)
	f(200, "From", "127.0.0.1:5")
	f(401, "From", "127.0.0.1:5", "X-Forwarded-For", "127.0.0.1")
	f(200, "Authorization", "Bearer said-once")
	f(401, "Authorization", "Bearer said-twice")
	cookie, _ := o.signIn("said-once")
	f(200, "Cookie", cookie)
	o.server.Use(tokensOf()) // now there are some
	f(401, "Authorization", "Bearer said-once")
	f(401, "Cookie", cookie)
	f(401, "From", "127.0.0.1:5")
}

// TestPassedOn asks the API as a tenant, and has pages of other origins try to open a WebSocket there.
func TestPassedOn(t *testing.T) {
	const path = "/admin/v1/tenants/acme/api/v1/chat/completions"
	for _, tokens := range [][]admin.Token{nil, tokensOf()} {
		o := open(t, func(o *admin.Options) { o.Tokens = tokens })
		cookie := ""
		if tokens != nil {
			cookie, _ = o.signIn(secretOf("operator-acme"))
		}
		f := func(status int, header ...string) {
			t.Helper()
			a := o.from("", "GET", path, "", append(header, "From", "127.0.0.1:5", "Host", "localhost:9090", "Cookie", cookie)...)
			if a.status != status || status == 200 && a.body != "GET /v1/chat/completions as acme\n" {
				t.Errorf("%v: %d %s, want %d", header, a.status, a.body, status)
			}
		}
		f(200)
		f(200, "Upgrade", "websocket", "Origin", "http://localhost:9090")
		f(403, "Upgrade", "websocket", "Origin", "http://localhost:9091")
		f(403, "Upgrade", "websocket", "Origin", "https://evil.example")
		f(403, "Upgrade", "websocket", "Origin", "null")
	}
	o := open(t, func(o *admin.Options) { o.API = nil })
	o.fails(404, "not_found", "GET", strings.TrimPrefix(path, "/admin/v1/"), "")
}
