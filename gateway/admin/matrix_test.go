package admin_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

var update = flag.Bool("update", false, "write testdata anew")

func sha(s string) string {
	d := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(d[:])
}

// request is a request that a route takes, for a tenant: it makes what is needed before. A route that is not here, or is no GET,
// fails the test.
func (o *office) request(r admin.Route, id tenant.ID, n int) (path, body string) {
	o.t.Helper()
	name := fmt.Sprintf("x-%d", n)
	path = strings.NewReplacer("{tenant}", string(id), "{key}", name, "{family}", name, "{exchange}", "req_1", "{$}", "", "{path...}", "chat/completions").Replace(r.Path)
	if r.About == "some" {
		path += "?tenant=" + string(id)
	}
	key := func() {
		_, err := o.store.PutKeys(o.t.Context(), id, []store.Key{{Name: name, Digest: sha("canary-digest" + name), Created: noon}}, o.entry())
		o.must(err)
	}
	family := func() {
		var token [32]byte
		copy(token[:], name)
		o.must(o.store.Grant(o.t.Context(), id, store.Family{ID: name, Key: name, Created: noon, Expires: noon.AddDate(99, 0, 0)}, token))
	}
	switch r.Method + " " + strings.TrimPrefix(r.Path, "/admin/v1/") {
	case "POST targets/drain", "POST targets/disable", "POST targets/enable":
		return path + "?provider=a", `{"reason":"test"}`
	case "POST session":
		return path, `{"token":"` + secretOf("viewer") + `"}`
	case "DELETE session", "POST tenants/{tenant}/api/v1/{path...}":
		return path, ""
	case "POST tenants":
		return path, `{"id":"` + name + `"}`
	case "PUT tenants/{tenant}":
		return path, `{"name":"New"}`
	case "DELETE tenants/{tenant}":
		return path, ""
	case "PUT tenants/{tenant}/disabled":
		return path, "true"
	case "PUT tenants/{tenant}/limits":
		return path, `{"concurrent":5}`
	case "PUT tenants/{tenant}/budgets":
		return path, `[{"usd":"1","per":"day"}]`
	case "POST tenants/{tenant}/keys":
		return path, `{"name":"` + name + `"}`
	case "POST tenants/{tenant}/keys/{key}/rotate", "POST tenants/{tenant}/keys/{key}/revoke":
		key()
		return path, ""
	case "DELETE tenants/{tenant}/keys/{key}/families", "DELETE tenants/{tenant}/families/{family}":
		family()
		return path, ""
	case "POST tenants/{tenant}/cache/decisions/{exchange}/reject":
		return path, ""
	case "POST tenants/{tenant}/cache/warm":
		return path, `{"request":{},"answer":"yes"}`
	case "POST tenants/{tenant}/cache/purge":
		return path, `{"model":"m"}`
	case "GET ledger/{id}":
		list, _, err := o.store.Rows(o.t.Context(), store.Only(id), store.RowQuery{Limit: 1})
		o.must(err)
		return strings.Replace(path, "{id}", list[0].ID.String(), 1), ""
	}
	if r.Method != http.MethodGet {
		o.t.Fatalf("the matrix has no request for %s %s", r.Method, r.Path)
	}
	return path, ""
}

// want is the status that the table gives to who asks for a route, for a tenant; 200 stands for any success.
func want(r admin.Route, who string, id tenant.ID) int {
	role, err := admin.ParseRole(strings.TrimSuffix(who, "-acme"))
	mine := id == "acme" || !strings.HasSuffix(who, "-acme")
	switch {
	case r.Role == admin.Anyone:
		return 200
	case err != nil:
		return 401
	case role < r.Role:
		return 403
	case strings.HasSuffix(who, "-acme") && (r.About == "gateway" || r.Action == "tenant.create"):
		return 403
	case (r.About == "one" || r.About == "some") && !mine:
		return 404
	}
	return 200
}

// TestMatrix asks for every route with every kind of token and for two tenants, and for each of these makes sure of the answer,
// of its members, that no secret is in it, and of what the audit has of it.
func TestMatrix(t *testing.T) {
	o := open(t)
	n, allowed := 0, 0
	for _, r := range o.server.Routes() {
		for _, id := range []tenant.ID{"acme", "bolt"} {
			for _, who := range []string{"", "wrong", "expired", "viewer", "operator", "admin", "viewer-acme", "operator-acme", "admin-acme"} {
				n++
				path, body := o.request(r, id, n)
				before := len(o.entries())
				address := fmt.Sprintf("198.51.%d.%d", n/250, n%250) // each its own, so that none fails too often
				a := o.from(who, r.Method, path, body, "From", address+":9", "If-Match", "*")
				where := fmt.Sprintf("%s %s by %q", r.Method, path, who)
				if wanted := want(r, who, id); a.status/100*100 != wanted/100*100 || wanted != 200 && a.status != wanted {
					t.Errorf("%s: %d %s, want %d", where, a.status, a.body, wanted)
					continue
				}
				if secrets := strings.Count(a.body, "canary"); secrets > 0 && !strings.HasPrefix(r.Path, "/debug/") {
					t.Errorf("%s: a secret: %s", where, a.body)
				}
				written := o.entries()[before:]
				if r.Action == "" || a.status >= 300 {
					if len(written) != 0 {
						t.Errorf("%s is in the audit: %+v", where, written)
					}
				} else if len(written) != 1 || written[0].Action != r.Action || written[0].Who != who || !strings.HasPrefix(who, written[0].Role) ||
					written[0].Address != address || time.Since(written[0].At) > time.Minute || written[0].Object == "" {
					t.Errorf("%s: the audit has %+v", where, written)
				}
				if a.status < 300 {
					allowed++
					o.strict(where, r, a)
				} else if strings.HasPrefix(a.code(), "no error") {
					t.Errorf("%s: %s", where, a.body)
				}
				if r.Action == "tenant.delete" && a.status == 200 { // its id is gone for good
					o = open(t)
				}
			}
		}
	}
	if allowed == 0 || n != len(o.server.Routes())*2*9 {
		t.Errorf("%d of %d", allowed, n)
	}
}

// strict makes sure that an answer is what its route says.
func (o *office) strict(where string, r admin.Route, a reply) {
	o.t.Helper()
	if r.Answer == nil {
		return
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(reflect.New(reflect.TypeOf(r.Answer)).Interface()); err != nil {
		o.t.Errorf("%s: %v: %s", where, err, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		o.t.Errorf("%s may be cached", where)
	}
}

// TestWithoutTokens asks for every route from the same machine, from elsewhere, and through a proxy, where there are no tokens.
func TestWithoutTokens(t *testing.T) {
	n := 0
	f := func(role admin.Role, header ...string) {
		t.Helper()
		o := open(t, func(o *admin.Options) { o.Tokens = nil })
		for _, r := range o.server.Routes() {
			n++
			path, body := o.request(r, "acme", n)
			a := o.from("", r.Method, path, body, append(header, "If-Match", "*")...)
			if ok := a.status < 300; ok != (r.Role <= role && (role > admin.Anyone || r.Method+" "+r.Path != "POST /admin/v1/session")) || !ok && a.status != 403 {
				t.Errorf("%v: %s %s: %d %s", header, r.Method, path, a.status, a.body)
			}
			if r.Action == "tenant.delete" && a.status == 200 {
				o = open(t, func(o *admin.Options) { o.Tokens = nil })
			}
		}
	}
	f(admin.Admin, "From", "127.0.0.1:5")
	f(admin.Admin, "From", "[::1]:5")
	f(admin.Admin, "From", "[::ffff:127.0.0.1]:5")
	f(admin.Anyone, "From", "192.0.2.9:5")
	f(admin.Anyone, "From", "127.0.0.1:5", "X-Forwarded-For", "127.0.0.1")
	f(admin.Anyone, "From", "127.0.0.1:5", "X-Forwarded-For", "")
	f(admin.Anyone, "From", "127.0.0.1:5", "Forwarded", "for=127.0.0.1")
}

// TestOtherSites asks for every route that changes something as the pages of other sites would, with an operator's own rights.
func TestOtherSites(t *testing.T) {
	for _, tokens := range [][]admin.Token{nil, tokensOf()} {
		o := open(t, func(o *admin.Options) { o.Tokens = tokens })
		f := func(code string, header ...string) {
			t.Helper()
			for n, r := range o.server.Routes() {
				if r.Method == http.MethodGet || code == "unknown_host" && r.Role == admin.Anyone {
					continue
				}
				path, body := o.request(r, "acme", n+1000*len(o.entries()))
				before := len(o.entries())
				a := o.from("admin", r.Method, path, body, append(header, "From", "127.0.0.1:5")...)
				if a.status != 403 || a.code() != code || len(o.entries()) != before {
					t.Errorf("%v: %s %s: %d %s", header, r.Method, path, a.status, a.body)
				}
			}
		}
		f("cross_origin", "Sec-Fetch-Site", "cross-site")
		f("cross_origin", "Sec-Fetch-Site", "same-site")
		f("cross_origin", "Origin", "https://evil.example")
		f("cross_origin", "Origin", "null")
		if len(tokens) == 0 {
			f("unknown_host", "Origin", "http://evil.example:9090", "Host", "evil.example:9090")
			f("unknown_host", "Sec-Fetch-Site", "same-origin", "Host", "127.0.0.1.evil.example")
		}
	}
	// Without tokens there is nothing that a page under a name that leads here now would lack to read.
	o := open(t, func(o *admin.Options) { o.Tokens = nil })
	for _, r := range o.server.Routes() {
		if r.Method != http.MethodGet || r.Role == admin.Anyone {
			continue
		}
		path, _ := o.request(r, "acme", 1)
		if a := o.from("", "GET", path, "", "From", "127.0.0.1:5", "Host", "evil.example:9090", "User-Agent", "Mozilla/5.0"); a.status != 403 || a.code() != "unknown_host" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if a := o.from("", "GET", path, "", "From", "127.0.0.1:5", "Host", "gateway:9090", "User-Agent", "curl/8"); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// TestMethods asks each path for what it does not have.
func TestMethods(t *testing.T) {
	o := open(t)
	has := map[string][]string{}
	for _, r := range o.server.Routes() {
		path, _ := o.request(r, "acme", len(has)+1)
		path, _, _ = strings.Cut(path, "?")
		has[path] = append(has[path], r.Method)
	}
	for path, methods := range has {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if slices.Contains(methods, method) || method == "HEAD" && slices.Contains(methods, "GET") {
				continue
			}
			a := o.from("admin", method, path, "")
			if a.status != 405 || a.code() != "method_not_allowed" || a.header.Get("Allow") == "" || strings.Contains(a.header.Get("Allow"), method) {
				t.Errorf("%s %s: %d %s, Allow %q", method, path, a.status, a.body, a.header.Get("Allow"))
			}
		}
	}
	if a := o.from("admin", "HEAD", "/admin/v1/tenants", ""); a.status != 200 {
		t.Errorf("%d", a.status)
	}
	for _, path := range []string{"/admin", "/admin/", "/admin/v1", "/admin/v2/tenants", "/admin/v1/tenants/", "/admin/v1/tenants/acme/secrets", "/admin/v1/targets/mend"} {
		if a := o.from("", "GET", path, ""); a.status != 404 && a.status != 307 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// TestMembers holds every member of every answer against a list: who adds one has it in front of him that operators will see it.
// What could hold anything is not among the types.
func TestMembers(t *testing.T) {
	o := open(t)
	var text bytes.Buffer
	for _, r := range o.server.Routes() {
		if r.Answer == nil {
			continue
		}
		fmt.Fprintf(&text, "%s %s\n", r.Method, r.Path)
		list(t, &text, reflect.TypeOf(r.Answer), "  ")
	}
	const golden = "testdata/members.txt"
	if *update {
		o.must(os.WriteFile(golden, text.Bytes(), 0o644))
	}
	known, err := os.ReadFile(golden)
	o.must(err)
	if !bytes.Equal(known, text.Bytes()) {
		t.Errorf("answers have other members than %s says; see what is new, and run the test with -update:\n%s", golden, text.String())
	}
	if n := strings.Count(text.String(), "secret"); n != 2 {
		t.Errorf("%d answers have a secret", n)
	}
}

func list(t *testing.T, text *bytes.Buffer, typ reflect.Type, indent string) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Array {
		typ = typ.Elem()
	}
	switch typ.Kind() {
	case reflect.Map, reflect.Interface, reflect.Uint8:
		if typ.Kind() != reflect.Uint8 || typ.PkgPath() == "" { // a byte of anything; states have names
			t.Errorf("%s%s could hold anything", indent, typ)
		}
		return
	case reflect.Struct:
	default:
		return
	}
	if typ == reflect.TypeFor[time.Time]() {
		return
	}
	for _, f := range reflect.VisibleFields(typ) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		fmt.Fprintf(text, "%s%s\n", indent, name)
		list(t, text, f.Type, indent+"  ")
	}
}

// TestTwoTenants gives two tenants the same names of everything, and asks one for what the other has.
func TestTwoTenants(t *testing.T) {
	o := open(t)
	same := ledger.NewID(noon.Add(30 * time.Minute))
	for n, id := range []tenant.ID{"acme", "bolt"} {
		r := rowOf(id, noon)
		r.ID, r.Charge = same, int64(n+1)*1e12
		_, err := o.store.Insert(t.Context(), []ledger.Row{r})
		o.must(err)
		var token [32]byte
		token[0] = byte(n + 1)
		o.must(o.store.Grant(t.Context(), id, store.Family{ID: "f", Key: "ci", Created: noon, Expires: noon.AddDate(9, 0, 0)}, token))
	}
	for _, path := range []string{"ledger?key=ci", "usage?by=all,tenant", "audit", "ledger.csv?key=ci"} {
		if a := o.from("viewer-acme", "GET", "/admin/v1/"+path, ""); strings.Contains(a.body, "bolt") || path != "audit" && !strings.Contains(a.body, "acme") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	a := o.from("viewer-acme", "GET", "/admin/v1/ledger/"+same.String(), "")
	if row := data[ledger.Line](t, a); row.Tenant != "acme" || row.Charge != "1.00" {
		t.Errorf("%+v", row)
	}
	o.fails(400, "missing_tenant", "GET", "ledger/"+same.String(), "")
	if row := data[ledger.Line](t, o.ask(200, "GET", "ledger/"+same.String()+"?tenant=bolt", "")); row.Charge != "2.00" {
		t.Errorf("%+v", row)
	}
	if a := o.from("two", "GET", "/admin/v1/usage", ""); a.status != 400 || a.code() != "missing_tenant" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := o.from("two", "GET", "/admin/v1/usage?tenant=filed", ""); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}

	// What is done to one is not done to the other.
	secret := data[admin.NewKey](t, o.ask(200, "POST", "tenants/acme/keys/ci/rotate", `{"grace":"0s"}`)).Secret
	o.ask(200, "DELETE", "tenants/acme/families/f", "")
	o.ask(200, "PUT", "tenants/acme/limits", `{"concurrent":1}`)
	bolt, err := o.store.Tenant(t.Context(), "bolt")
	o.must(err)
	acme, err := o.store.Tenant(t.Context(), "acme")
	o.must(err)
	if bolt.Keys[0].Digest != sha("canary-digest bolt") || acme.Keys[0].Digest != sha(secret) || strings.Contains(string(bolt.Spec), "concurrent") {
		t.Errorf("%+v %+v", acme, bolt)
	}
	if f, err := o.store.Family(t.Context(), "bolt", "f"); err != nil || !f.Revoked.IsZero() {
		t.Errorf("%+v %v", f, err)
	}
	o.ask(200, "POST", "tenants/acme/keys/ci/revoke", "")
	o.ask(200, "DELETE", "tenants/acme", "")
	if keys := data[[]admin.Key](t, o.ask(200, "GET", "tenants/bolt/keys", "")); len(keys) != 1 || keys[0].Name != "ci" {
		t.Errorf("%+v", keys)
	}
}
