package admin_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestTenants(t *testing.T) {
	o := open(t)
	made := o.ask(201, "POST", "tenants", `{"id":"new","name":"New","budgets":[{"usd":0.1,"per":"day"}],"member_of_tomorrow":7}`)
	x := data[admin.Tenant](t, made)
	if x.ID != "new" || x.Origin != admin.FromStore || x.Spec.Name != "New" || x.Spec.Budgets[0].USD != "0.1" || made.header.Get("ETag") == "" || o.applied != 1 {
		t.Errorf("%+v %v", x, made.header)
	}
	kept, err := o.store.Tenant(t.Context(), "new")
	o.must(err)
	if want := `{"budgets":[{"usd":0.1,"per":"day"}],"id":"new","member_of_tomorrow":7,"name":"New","version":1}`; string(kept.Spec) != want {
		t.Errorf("%s", kept.Spec)
	}
	if a := o.fails(409, "conflict", "POST", "tenants", `{"id":"new"}`); !strings.Contains(a.body, "already; change that one") {
		t.Errorf("%s", a.body)
	}

	// Only who has seen the last change may make the next.
	changed := o.ask(200, "PUT", "tenants/new", `{"name":"Newer"}`, "If-Match", made.header.Get("ETag"))
	o.fails(412, "changed_meanwhile", "PUT", "tenants/new", `{"name":"Lost"}`, "If-Match", made.header.Get("ETag"))
	o.ask(200, "PUT", "tenants/new", `{"id":"new","version":1,"name":"Newest"}`, "If-Match", "*")
	if a := o.ask(200, "GET", "tenants/new", ""); a.header.Get("ETag") == changed.header.Get("ETag") || data[admin.Tenant](t, a).Spec.Name != "Newest" {
		t.Errorf("%v %s", a.header, a.body)
	}

	// A part is replaced, and the rest stays, what is not known here as well.
	o.ask(200, "PUT", "tenants/acme/limits", `{"tokens_per_minute":9,"models":[{"model":"gpt-*","concurrent":2}]}`)
	y := data[admin.Tenant](t, o.ask(200, "PUT", "tenants/acme/budgets", `[]`))
	acme, err := o.store.Tenant(t.Context(), "acme")
	o.must(err)
	if l := y.Spec.Limits; l.RequestsPerMinute != 0 || l.TokensPerMinute != 9 || l.Models[0].Concurrent != 2 || len(y.Spec.Budgets) != 0 || y.Spec.Name != "The acme" ||
		!strings.Contains(string(acme.Spec), "canary-unknown") {
		t.Errorf("%+v %s", y, acme.Spec)
	}

	o.ask(200, "DELETE", "tenants/new", "")
	o.fails(404, "not_found", "GET", "tenants/new", "")
	o.fails(404, "not_found", "DELETE", "tenants/new", "")
	if a := o.fails(409, "deleted", "POST", "tenants", `{"id":"new"}`); !strings.Contains(a.body, "was deleted") { // whose rows would it have?
		t.Errorf("%s", a.body)
	}
	if e := o.entries(); e[len(e)-1].Action != "tenant.delete" || e[len(e)-1].After != "" || !strings.HasPrefix(e[len(e)-1].Before, "sha256:") {
		t.Errorf("%+v", e)
	}
}

// Nobody loses a budget that he has not seen, or enables by the way what another has disabled.
func TestWholeTenants(t *testing.T) {
	o := open(t)
	tag := o.ask(200, "GET", "tenants/acme", "").header.Get("ETag")
	before, err := o.store.Tenant(t.Context(), "acme")
	o.must(err)
	a := o.fails(428, "if_match_required", "PUT", "tenants/acme", `{"name":"Without budgets"}`)
	if !strings.Contains(a.body, strings.ReplaceAll(tag, `"`, `\"`)) || !strings.Contains(a.body, "If-Match: *") {
		t.Errorf("%s", a.body)
	}
	after, err := o.store.Tenant(t.Context(), "acme")
	o.must(err)
	if !bytes.Equal(after.Spec, before.Spec) || after.Revision != before.Revision {
		t.Errorf("%s", after.Spec)
	}
	f := func(disabled bool, method, path, body string) {
		t.Helper()
		x := data[admin.Tenant](t, o.ask(200, method, path, body, "If-Match", "*"))
		if x.Disabled != disabled {
			t.Errorf("%s %s: %+v", path, body, x)
		}
	}
	f(true, "PUT", "tenants/acme/disabled", "true")
	f(true, "PUT", "tenants/acme", `{"name":"By a tool"}`)
	f(false, "PUT", "tenants/acme", `{"disabled":false}`)
	f(false, "PUT", "tenants/acme", `{"name":"By a tool"}`)
	f(true, "PUT", "tenants/acme", `{"disabled":true}`)
	for _, body := range []string{"", "null", "[]", "7"} {
		o.fails(400, "invalid_json", "PUT", "tenants/acme", body, "If-Match", "*")
	}
	o.fails(404, "not_found", "PUT", "tenants/nobody", `{}`)
	o.fails(409, "file_owned", "PUT", "tenants/filed", `{}`)
}

// What the store has of a tenant that a file defines can be taken away, and does not come back without the file.
func TestDeleteWhatIsThereTwice(t *testing.T) {
	present := files{}
	o := open(t, func(o *admin.Options) { o.Files = present })
	o.must(o.store.Grant(t.Context(), "acme", store.Family{ID: "f", Key: "ci", Created: noon, Expires: noon.AddDate(99, 0, 0)}, [32]byte{1}))
	present["acme"] = admin.FileTenant{Tenant: store.Tenant{ID: "acme", Spec: []byte(`{"name":"Of the file"}`)}, File: "tenants/acme.yaml"}
	if x := data[admin.Tenant](t, o.ask(200, "GET", "tenants/acme", "")); !x.Twice {
		t.Errorf("%+v", x)
	}
	o.ask(200, "DELETE", "tenants/acme", "")
	if e := o.entries(); e[len(e)-1].Action != "tenant.delete" || e[len(e)-1].Object != "acme" {
		t.Errorf("%+v", e)
	}
	if x := data[admin.Tenant](t, o.ask(200, "GET", "tenants/acme", "")); x.Twice || x.Spec.Name != "Of the file" {
		t.Errorf("%+v", x)
	}
	o.fails(409, "file_owned", "DELETE", "tenants/acme", "")
	delete(present, "acme")
	o.fails(404, "not_found", "GET", "tenants/acme", "")
	o.fails(404, "not_found", "DELETE", "tenants/acme", "")
	if n, err := o.store.RevokeFamilies(t.Context(), "acme", "ci", o.entry()); err != nil || n != 0 {
		t.Errorf("%d families are left: %v", n, err)
	}
	if a := o.ask(200, "GET", "tenants/bolt/keys", ""); !strings.Contains(a.body, `"ci"`) {
		t.Errorf("%s", a.body)
	}
}

// TestChangesAtOnce has many change a tenant and a key that all have seen the same.
func TestChangesAtOnce(t *testing.T) {
	o := open(t)
	tag := o.ask(200, "GET", "tenants/acme", "").header.Get("ETag")
	before := len(o.entries())
	f := func(method, path string, header ...string) {
		t.Helper()
		statuses := make(chan int, 8)
		for range cap(statuses) {
			go func() { statuses <- o.from("admin", method, "/admin/v1/tenants/acme"+path, `{}`, header...).status }()
		}
		count := map[int]int{}
		for range cap(statuses) {
			count[<-statuses]++
		}
		if count[200] != 1 || count[409]+count[412]+count[404] != cap(statuses)-1 {
			t.Errorf("%s %s: %v", method, path, count)
		}
	}
	f("PUT", "", "If-Match", tag)
	f("POST", "/keys/ci/revoke")
	if n := len(o.entries()) - before; n != 2 {
		t.Errorf("%d entries", n)
	}
}

func TestTenantsThatAreRefused(t *testing.T) {
	o := open(t)
	f := func(status int, code, body string) {
		t.Helper()
		before := len(o.entries())
		o.fails(status, code, "POST", "tenants", body)
		if len(o.entries()) != before {
			t.Errorf("%s is in the audit", body)
		}
	}
	f(400, "invalid_json", "")
	f(400, "invalid_json", "[]")
	f(400, "invalid_json", `{"id":"x"} {}`)
	f(400, "invalid_tenant", `{}`)
	f(400, "invalid_tenant", `null`)
	f(400, "invalid_tenant", `{"id":7}`)
	f(400, "invalid_tenant", `{"id":"*"}`)
	f(400, "invalid_tenant", `{"id":"../etc"}`)
	f(400, "invalid_tenant", `{"id":"X"}`)
	f(400, "invalid_tenant", `{"id":"x","nonsense":1}`)
	f(400, "invalid_tenant", `{"id":"x","keys":[]}`)
	f(400, "invalid_tenant", `{"id":"x","credentials":[{"provider":"a","key":"k"}]}`)
	f(400, "invalid_tenant", `{"id":"x","name":"${env:HOME}"}`)
	f(400, "invalid_tenant", `{"id":"x","name":"\u0024{file:/etc/passwd}"}`)
	f(400, "invalid_tenant", `{"id":"x","cors":{"origins":["https://${env:HOME}"]}}`)
	f(413, "too_large", `{"id":"x","name":"`+strings.Repeat("x", 300<<10)+`"}`)
	o.fails(400, "invalid_tenant", "PUT", "tenants/acme", `{"id":"bolt"}`, "If-Match", "*")
	o.fails(400, "invalid_query", "GET", "tenants?lmit=1", "")
	o.fails(400, "invalid_query", "GET", "tenants?limit=0", "")
	o.fails(404, "not_found", "PUT", "tenants/nobody", `{}`)
	if a := o.ask(400, "POST", "tenants", `{"id":"x","nonsense":1}`); !strings.Contains(a.body, `acme.json:1:2: unknown field \"nonsense\"`) {
		t.Errorf("%s", a.body)
	}
}

// TestFilesOwnTheirTenants tries to change a tenant of a file, also where the store has one of the same name.
func TestFilesOwnTheirTenants(t *testing.T) {
	o := open(t)
	check := func(twice bool) {
		t.Helper()
		x := data[admin.Tenant](t, o.ask(200, "GET", "tenants/filed", ""))
		if x.Origin != admin.FromFile || x.File != "tenants/filed.yaml" || x.Line != 3 || x.Spec.Name != "Filed" || x.Spec.Credentials[0].Provider != "a" ||
			len(x.Keys) != 1 || x.Keys[0].Name != "ci" || x.Keys[0].Models[0] != "m" || x.Twice != twice {
			t.Errorf("%+v", x)
		}
		for _, r := range o.server.Routes() {
			if r.Action == "" || r.About != "one" || strings.Contains(r.Path, "families") || ofCache(r) || twice && r.Action == "tenant.delete" {
				continue
			}
			path := strings.NewReplacer("{tenant}", "filed", "{key}", "ci").Replace(strings.TrimPrefix(r.Path, "/admin/v1/"))
			a := o.fails(409, "file_owned", r.Method, path, `{}`)
			var e struct {
				Error struct {
					File string
					Line int
				}
			}
			if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error.File != "tenants/filed.yaml" || e.Error.Line != 3 || !strings.Contains(a.body, "tenants/filed.yaml:3.") {
				t.Errorf("%s", a.body)
			}
		}
		o.fails(409, "file_owned", "POST", "tenants", `{"id":"filed"}`)
	}
	check(false)
	_, err := o.store.PutTenant(t.Context(), store.Tenant{ID: "filed", Spec: []byte(`{"name":"Of the store"}`)}, o.entry())
	o.must(err)
	check(true)

	// Refresh tokens are the store's, whoever they are for.
	o.must(o.store.Grant(t.Context(), "filed", store.Family{ID: "f", Key: "ci", Created: noon, Expires: noon.AddDate(9, 0, 0)}, [32]byte{1}))
	if d := data[admin.Done](t, o.ask(200, "DELETE", "tenants/filed/keys/ci/families", "")); d.Count != 1 {
		t.Errorf("%+v", d)
	}
	o.fails(404, "not_found", "DELETE", "tenants/filed/families/f", "")
	before := len(o.entries())
	if d := data[admin.Done](t, o.ask(200, "DELETE", "tenants/filed/keys/ci/families", "")); d.Done || len(o.entries()) != before {
		t.Errorf("%+v", d)
	}
}

// TestDemonstration has a tenant that is in no file.
func TestDemonstration(t *testing.T) {
	o := open(t, func(o *admin.Options) { o.Files = files{"demo": {Tenant: store.Tenant{ID: "demo"}}} })
	if a := o.fails(409, "file_owned", "DELETE", "tenants/demo", ""); !strings.Contains(a.body, "part of the demonstration") {
		t.Errorf("%s", a.body)
	}
}

func TestListOfTenants(t *testing.T) {
	o := open(t)
	f := func(query, want string) (next string) {
		t.Helper()
		a := o.ask(200, "GET", "tenants"+query, "")
		var ids []string
		for _, l := range data[[]admin.TenantLine](t, a) {
			ids = append(ids, string(l.ID)+":"+l.Origin)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		var page struct{ Next string }
		o.must(json.Unmarshal([]byte(a.body), &page))
		return page.Next
	}
	if next := f("", "acme:store bolt:store filed:file"); next != "" {
		t.Error(next)
	}
	next := f("?limit=2", "acme:store bolt:store")
	if next = f("?limit=2&after="+next, "filed:file"); next != "" {
		t.Error(next)
	}
}

func TestKeys(t *testing.T) {
	o := open(t)
	made := o.ask(201, "POST", "tenants/acme/keys", `{"name":"web","expires":"2999-01-31T00:00:00Z","models":["gpt-*"],"limits":{"concurrent":3}}`)
	k := data[admin.NewKey](t, made)
	if k.Name != "web" || k.Secret == "" || k.Models[0] != "gpt-*" || k.Limits.Concurrent != 3 || k.Expires.Year() != 2999 || o.applied != 1 {
		t.Errorf("%+v", k)
	}
	for _, path := range []string{"tenants/acme", "tenants/acme/keys", "audit"} {
		if a := o.ask(200, "GET", path, ""); strings.Contains(a.body, k.Secret) {
			t.Errorf("%s has the key", path)
		}
	}
	for _, e := range o.log.All() {
		if text, err := json.Marshal(e.ContextMap()); err != nil || strings.Contains(string(text), k.Secret) {
			t.Errorf("the log has the key: %s", text)
		}
	}
	if k := data[admin.NewKey](t, o.ask(201, "POST", "tenants/acme/keys", "")); k.Name != "key-3" {
		t.Errorf("%+v", k)
	}
	o.fails(409, "conflict", "POST", "tenants/acme/keys", `{"name":"web"}`)
	o.fails(400, "invalid_key", "POST", "tenants/acme/keys", `{"name":"a~b"}`)
	o.fails(400, "invalid_key", "POST", "tenants/acme/keys", `{"expires":"2001-01-31T00:00:00Z"}`)
	o.fails(400, "invalid_key", "POST", "tenants/acme/keys", `{"models":["${env:HOME}"]}`)
	o.fails(400, "invalid_json", "POST", "tenants/acme/keys", `{"nmae":"x"}`)
	o.fails(404, "not_found", "POST", "tenants/nobody/keys", "")

	// The old key goes on for a while, under another name.
	fresh := data[admin.NewKey](t, o.ask(200, "POST", "tenants/acme/keys/web/rotate", `{"grace":"2h"}`))
	left := time.Until(*fresh.Old.Expires)
	if fresh.Name != "web" || fresh.Secret == k.Secret || fresh.Expires.Year() != 2999 || fresh.Limits.Concurrent != 3 ||
		!strings.HasPrefix(fresh.Old.Name, "web~") || left > 2*time.Hour || left < 119*time.Minute {
		t.Errorf("%+v %+v", fresh, fresh.Old)
	}
	acme, err := o.store.Tenant(t.Context(), "acme")
	o.must(err)
	digests := map[string]string{}
	for _, k := range acme.Keys {
		digests[k.Digest] = k.Name
	}
	if digests[sha(fresh.Secret)] != "web" || digests[sha(k.Secret)] != fresh.Old.Name {
		t.Errorf("%v", digests)
	}
	o.fails(409, "conflict", "POST", "tenants/acme/keys/"+fresh.Old.Name+"/rotate", "")
	o.fails(400, "invalid_key", "POST", "tenants/acme/keys/web/rotate", `{"grace":"soon"}`)
	o.fails(400, "invalid_key", "POST", "tenants/acme/keys/web/rotate", `{"grace":"721h"}`)
	o.fails(404, "not_found", "POST", "tenants/acme/keys/nobody/rotate", "")

	o.ask(200, "POST", "tenants/acme/keys/"+fresh.Old.Name+"/revoke", "")
	o.ask(200, "POST", "tenants/acme/keys/web/rotate", `{"grace":"2h"}`)
	o.ask(200, "POST", "tenants/acme/keys/web/rotate", `{"grace":"1h"}`)
	if d := data[admin.Done](t, o.ask(200, "POST", "tenants/acme/keys/web/revoke", "")); d.Count != 3 { // with those that it has replaced
		t.Errorf("%+v", d)
	}
	o.fails(404, "not_found", "POST", "tenants/acme/keys/web/revoke", "")
	if a := o.ask(200, "GET", "tenants/acme/keys", ""); strings.Contains(a.body, "web") {
		t.Errorf("%s", a.body)
	}

	without := open(t, func(o *admin.Options) { o.Mint = nil })
	without.fails(503, "no_keys", "POST", "tenants/acme/keys", "")
	// A change that does not come into effect here is made all the same, and the answer and the log say so.
	slow := open(t, func(o *admin.Options) { o.Apply = func(context.Context) error { return errors.New("busy") } })
	if a := slow.ask(202, "POST", "tenants/acme/keys", ""); !strings.Contains(a.body, `"pending": "The change is in the store`) || !strings.Contains(a.body, `"secret"`) {
		t.Errorf("%s", a.body)
	}
	slow.ask(202, "PUT", "tenants/acme/limits", `{}`)
	if a := slow.ask(200, "GET", "tenants/acme/keys", ""); !strings.Contains(a.body, `"key-2"`) || strings.Contains(a.body, "pending") {
		t.Errorf("%s", a.body)
	}
	if slow.log.FilterMessageSnippet("not yet in effect").Len() != 2 {
		t.Errorf("%v", slow.log.All())
	}
}

// A key that is rotated twice within a moment leaves two that still work.
func TestRotationsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.ask(200, "POST", "tenants/acme/keys/ci/rotate", "")
		o.ask(200, "POST", "tenants/acme/keys/ci/rotate", "")
		if list := data[[]admin.Key](t, o.ask(200, "GET", "tenants/acme/keys", "")); len(list) != 3 {
			t.Errorf("%+v", list)
		}
	})
}

// Disabling a tenant leaves everything else as it is.
func TestDisabled(t *testing.T) {
	o := open(t)
	before := data[admin.Tenant](t, o.ask(200, "GET", "tenants/acme", ""))
	if a := data[admin.Tenant](t, o.ask(200, "PUT", "tenants/acme/disabled", "true")); !a.Disabled || !a.Spec.Disabled || len(a.Spec.Budgets) != len(before.Spec.Budgets) {
		t.Errorf("%+v", a)
	}
	if a := data[admin.Tenant](t, o.ask(200, "PUT", "tenants/acme/disabled", "false")); a.Disabled || len(a.Keys) != len(before.Keys) {
		t.Errorf("%+v", a)
	}
	o.fails(409, "file_owned", "PUT", "tenants/filed/disabled", "true")
}

func TestLimitsAndBudgets(t *testing.T) {
	o := open(t)
	l := data[admin.LimitsNow](t, o.ask(200, "GET", "tenants/acme/limits", ""))
	if l.Limits.RequestsPerMinute != 60 || len(l.Now) != 1 || l.Now[0] != (admin.LimitNow{Of: "key:ci", What: "tokens", Limit: 1000, Remaining: 600, Held: 50, Shared: true}) {
		t.Errorf("%+v", l)
	}
	b := data[admin.BudgetsNow](t, o.ask(200, "GET", "tenants/acme/budgets", ""))
	if len(b.Budgets) != 2 || b.Budgets[0].USD != "250" || len(b.Now) != 2 {
		t.Fatalf("%+v", b)
	}
	if n := b.Now[0]; n.Of != "tenant" || n.Per != "month" || n.Spent != "1.50" || n.Reserved != "0.20" || n.Held != "1.00" || n.Remaining != "248.00" ||
		n.USD != "250.00" || n.From.Month() != 11 || n.Until.Month() != 12 || n.Source != "meter" {
		t.Errorf("%+v", n)
	}
	// What this node has not met is worked out from the ledger.
	row := rowOf("bolt", time.Now())
	row.Charge = 4e12
	_, err := o.store.Insert(t.Context(), []ledger.Row{row})
	o.must(err)
	b = data[admin.BudgetsNow](t, o.ask(200, "GET", "tenants/bolt/budgets", ""))
	if len(b.Now) != 2 {
		t.Fatalf("%+v", b)
	}
	if n := b.Now[1]; n.Of != "key:ci" || n.Per != "day" || n.Spent != "4.00" || n.Remaining != "1.00" || !n.Warns || n.Source != "ledger" {
		t.Errorf("%+v", n)
	}
}

func TestUsage(t *testing.T) {
	o := open(t)
	all := data[[]admin.Usage](t, o.ask(200, "GET", "usage?by=all&tenant=acme", ""))
	if len(all) != 1 || all[0].Attempts != 3 || all[0].Input != 30 || all[0].Cost != "0.003" || all[0].Charge != "0.006" || all[0].At != nil {
		t.Errorf("%+v", all)
	}
	hours := data[[]admin.Usage](t, o.ask(200, "GET", "usage?by=hour,tenant,model&from=2026-10-05T13:00:00Z&to=2026-10-06", ""))
	if len(hours) != 4 || hours[0].At.Hour() != 13 || hours[0].Tenant != "acme" || hours[1].Tenant != "bolt" || hours[0].Model != "m" || hours[0].Key != "" {
		t.Errorf("%+v", hours)
	}
	a := o.ask(200, "GET", "usage?by=day,key&tenant=acme", "", "Accept", "text/csv, */*;q=0.1")
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") ||
		a.body != "at,tenant,key,model,provider,attempts,cached,failed,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,reasoning_tokens,cost_usd,charge_usd,unpriced\n"+
			"2026-10-05T00:00:00Z,,ci,,,3,0,0,30,0,0,15,0,0.003,0.006,0\n" {
		t.Errorf("%v %s", a.header, a.body)
	}
	o.fails(400, "invalid_query", "GET", "usage?by=hour,day", "")
	o.fails(400, "invalid_query", "GET", "usage?by=user", "")
	o.fails(400, "invalid_query", "GET", "usage?from=yesterday", "")
	o.fails(400, "invalid_query", "GET", "usage?format=xml", "")
	o.fails(400, "invalid_query", "GET", "usage?by=hour&limit=1", "")
	o.fails(400, "invalid_query", "GET", "usage?tenant=acme&tenant=bolt", "")
}

func TestLedger(t *testing.T) {
	o := open(t)
	var ids []string
	next := ""
	for range 10 {
		a := o.ask(200, "GET", "ledger?limit=2&after="+next, "")
		for _, r := range data[[]ledger.Line](t, a) {
			ids = append(ids, r.ID)
		}
		var page struct{ Next string }
		o.must(json.Unmarshal([]byte(a.body), &page))
		if next = page.Next; next == "" {
			break
		}
	}
	if len(ids) != 6 || ids[0] < ids[5] {
		t.Errorf("%v", ids)
	}
	r := data[ledger.Line](t, o.ask(200, "GET", "ledger/"+ids[0], ""))
	if r.ID != ids[0] || r.First != 250 || r.Total != 1000 || r.Cost != "0.001" || r.Charge != "0.002" || r.Reserved != "0.003" || r.Price != "ff" ||
		r.Outcome != "complete" || strings.Join(r.Flags, " ") != "stream delivered" || r.Provenance != "reported" {
		t.Errorf("%+v", r)
	}
	count := func(query string, want int) {
		t.Helper()
		if rows := data[[]ledger.Line](t, o.ask(200, "GET", "ledger?"+query, "")); len(rows) != want {
			t.Errorf("%s: %d rows, want %d", query, len(rows), want)
		}
	}
	count("tenant=acme", 3)
	count("tenant=filed", 0)
	count("from=2026-10-05T13:00:00Z&to=2026-10-05T14:00:00Z", 2)
	count("key=ci&user=ann&model=m&provider=a&request=req_1&outcome=complete&order=oldest", 6)
	count("outcome=failed", 0)
	o.fails(400, "invalid_query", "GET", "ledger?outcome=none", "")
	o.fails(400, "invalid_query", "GET", "ledger?order=up", "")
	o.fails(400, "invalid_query", "GET", "ledger?after=here", "")
	o.fails(404, "not_found", "GET", "ledger/chg_x", "")
	o.fails(404, "not_found", "GET", "ledger/"+ledger.NewID(noon).String(), "")

	report := data[admin.Report](t, o.ask(200, "GET", "ledger/verify", ""))
	if len(report.Wrong) != 0 || report.Rows != 6 || report.Charge != "0.012" || report.Entries != 4 || report.From.Hour() != 0 {
		t.Errorf("%+v", report)
	}
	log := data[[]admin.Change](t, o.ask(200, "GET", "audit?action=test&limit=2&tenant=acme", ""))
	if len(log) != 2 || log[0].Seq < log[1].Seq || log[0].Tenant != "acme" {
		t.Errorf("%+v", log)
	}
	s := data[admin.Stores](t, o.ask(200, "GET", "stores", ""))
	if !s.Store.Ready || s.Store.Schema != s.Store.Wanted || s.Journal.Waiting != 3 || s.Journal.Oldest == nil || s.Nodes != 3 {
		t.Errorf("%+v", s)
	}
}

// TestExport reads a ledger of several pages, with names that would be formulas.
func TestExport(t *testing.T) {
	o := open(t)
	var rows []ledger.Row
	for n := range 2500 {
		r := rowOf("acme", noon.Add(time.Duration(n)*time.Second))
		r.Key, r.User, r.Asked, r.Model, r.Request = `=HYPERLINK("http://evil")`, "@SUM(A1)", "+1", "-1,\"quoted\"\nline", "\treq"
		rows = append(rows, r)
	}
	_, err := o.store.Insert(t.Context(), rows)
	o.must(err)
	a := o.ask(200, "GET", "ledger.csv?tenant=acme&outcome=complete", "")
	if !strings.Contains(a.header.Get("Content-Disposition"), "ledger.csv") || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", a.header)
	}
	lines, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	o.must(err)
	if len(lines) != 2504 {
		t.Fatalf("%d lines", len(lines))
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	for i, line := range lines[2:] {
		if line[0] <= lines[i+1][0] {
			t.Errorf("%s comes after %s", line[0], lines[i+1][0])
		}
		for _, cell := range line {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Errorf("a formula: %q", cell)
			}
		}
	}
	line := lines[len(lines)-3]
	if line[column["model"]] != "'-1,\"quoted\"\nline" || line[column["charge_usd"]] != "0.002" || line[column["flags"]] != "stream delivered" || line[column["first_ms"]] != "250" {
		t.Errorf("%q", line)
	}
}

// lame is a store that fails, with the words of a database.
type lame struct {
	store.Store
	err error
}

func (l lame) Tenants(context.Context, int64) (int64, []store.Tenant, error) { return 0, nil, l.err }

func (l lame) Tenant(context.Context, tenant.ID) (store.Tenant, error) { return store.Tenant{}, l.err }

func (l lame) Rows(context.Context, store.Whose, store.RowQuery) ([]ledger.Row, string, error) {
	return nil, "", l.err
}

func (l lame) Version(context.Context) (int, int, error) { return 0, 0, l.err }

func (l lame) Note(context.Context, store.Entry) error { return l.err }

// ofCache says whether a route is about what is kept of a tenant's answers, which is in no store, whosever the tenant is.
func ofCache(r admin.Route) bool { return strings.Contains(r.Path, "/cache/") }

func TestCache(t *testing.T) {
	o := open(t)
	d := data[gateway.CacheDecision](t, o.ask(200, "GET", "tenants/filed/cache/decisions/req_1", ""))
	if d.Result != "semantic" || len(d.Candidates) != 2 || d.Candidates[1].Refused != "guard:numbers" || !d.At.Equal(noon) {
		t.Errorf("%+v", d)
	}
	o.fails(404, "not_found", "GET", "tenants/acme/cache/decisions/req_2", "")
	o.fails(404, "not_found", "POST", "tenants/acme/cache/decisions/req_2/reject", "")
	o.ask(200, "POST", "tenants/acme/cache/decisions/req_1/reject", "")
	f := func(body string, answers int, object string) {
		t.Helper()
		if p := data[admin.Purged](t, o.ask(200, "POST", "tenants/acme/cache/purge", body)); p.Answers != answers {
			t.Errorf("%s: %+v", body, p)
		}
		if all := o.entries(); all[len(all)-1].Object != object || all[len(all)-1].Tenant != "acme" {
			t.Errorf("%s: %+v", body, all[len(all)-1])
		}
	}
	f("", 2, "all")
	f(`{"model":"m","tag":"t","id":"ans_1"}`, 2, "model=m tag=t id=ans_1")
	f(`{"model":"none"}`, 0, "model=none")
	o.fails(400, "invalid_json", "POST", "tenants/acme/cache/purge", `{"modal":"m"}`)
	none := open(t, func(o *admin.Options) { o.Cache, o.Store = nil, nil })
	none.fails(503, "cache_unavailable", "POST", "tenants/acme/cache/purge", "")
	alone := open(t, func(o *admin.Options) { o.Store = nil })
	alone.ask(200, "POST", "tenants/acme/cache/purge", "")
}

func TestWithoutAStore(t *testing.T) {
	none := open(t, func(o *admin.Options) {
		o.Store, o.Files, o.Meters, o.Journal, o.Nodes, o.Apply = nil, nil, nil, nil, nil, nil
	})
	for _, r := range none.server.Routes() {
		if r.About != "one" && r.About != "some" || ofCache(r) || strings.Contains(r.Path, "/api/") {
			continue
		}
		path := strings.NewReplacer("{tenant}", "acme", "{key}", "ci", "{family}", "f", "{id}", ledger.NewID(noon).String()).Replace(strings.TrimPrefix(r.Path, "/admin/v1/"))
		if a := none.fails(503, "store_unavailable", r.Method, path, `{}`); !strings.Contains(a.body, "stores.ledger") {
			t.Errorf("%s", a.body)
		}
	}
	if s := data[admin.Stores](t, none.ask(200, "GET", "stores", "")); s.Store != nil || s.Journal != nil || s.Nodes != 1 {
		t.Errorf("%+v", s)
	}
	none.ask(200, "POST", "targets/drain?provider=a", "")
	if list := data[[]admin.TenantLine](t, none.ask(200, "GET", "tenants", "")); len(list) != 0 {
		t.Errorf("%+v", list)
	}

	away := open(t, func(o *admin.Options) { o.Store = lame{o.Store, errors.New("dial canary-host: refused")} })
	for _, path := range []string{"tenants", "tenants/acme", "tenants/acme/budgets", "ledger", "ledger.csv"} {
		if a := away.fails(503, "store_unavailable", "GET", path, ""); strings.Contains(a.body, "canary") {
			t.Errorf("%s", a.body)
		}
	}
	away.ask(200, "GET", "tenants/filed/limits", "") // files and meters are still there
	if s := data[admin.Stores](t, away.ask(200, "GET", "stores", "")); s.Store.Ready {
		t.Errorf("%+v", s)
	}
	away.ask(200, "POST", "targets/drain?provider=a", "") // in an outage above all
	if away.log.FilterMessage("an order is not in the audit").Len() != 1 || away.log.FilterMessage("admin request failed").Len() != 5 {
		t.Errorf("%v", away.log.All())
	}
	old := open(t, func(o *admin.Options) { o.Store = lame{o.Store, store.ErrOld} })
	if a := old.fails(503, "store_unavailable", "GET", "ledger", ""); !strings.Contains(a.body, "sluice migrate") {
		t.Errorf("%s", a.body)
	}
}
