package admin_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
)

// TestPostgres goes once through everything with a real server, from the day when it has no schema yet.
func TestPostgres(t *testing.T) {
	server := servers.StartPostgres(t)
	conn, err := pgx.Connect(t.Context(), server.URL("sluice", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = conn.Exec(t.Context(), "CREATE DATABASE office"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(server.URL("sluice", "office"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	o := open(t, func(o *admin.Options) { o.Store = s })
	if a := o.fails(503, "store_unavailable", "GET", "tenants", ""); !strings.Contains(a.body, "run sluice migrate") {
		t.Errorf("%s", a.body)
	}
	if n := data[admin.Stores](t, o.ask(200, "GET", "stores", "")); n.Store.Ready || n.Store.Schema != 0 || n.Store.Wanted == 0 {
		t.Errorf("%+v", n.Store)
	}
	o.must(s.Migrate(t.Context(), 0))
	o.ask(201, "POST", "tenants", `{"id":"acme","budgets":[{"usd":"5","per":"total"}]}`)
	o.ask(201, "POST", "tenants", `{"id":"bolt"}`)
	made := data[admin.NewKey](t, o.ask(201, "POST", "tenants/acme/keys", `{"name":"ci"}`))
	if fresh := data[admin.NewKey](t, o.ask(200, "POST", "tenants/acme/keys/ci/rotate", "")); fresh.Secret == made.Secret || fresh.Old == nil {
		t.Errorf("%+v", fresh)
	}
	if keys := data[[]admin.Key](t, o.ask(200, "GET", "tenants/acme/keys", "")); len(keys) != 2 {
		t.Errorf("%+v", keys)
	}
	o.ask(200, "PUT", "tenants/acme/limits", `{"concurrent":5}`)
	o.fails(412, "changed_meanwhile", "PUT", "tenants/acme", `{}`, "If-Match", `"1"`)
	o.fails(409, "conflict", "POST", "tenants", `{"id":"bolt"}`)
	_, err = s.Insert(t.Context(), []ledger.Row{rowOf("acme", noon), rowOf("bolt", noon)})
	o.must(err)
	if list := data[[]ledger.Line](t, o.from("viewer-acme", "GET", "/admin/v1/ledger", "")); len(list) != 1 || list[0].Tenant != "acme" || list[0].Charge != "0.002" {
		t.Errorf("%+v", list)
	}
	if list := data[[]admin.Usage](t, o.ask(200, "GET", "usage?by=all,tenant", "")); len(list) != 2 || list[1].Tenant != "bolt" {
		t.Errorf("%+v", list)
	}
	if a := o.ask(200, "GET", "ledger.csv", ""); strings.Count(a.body, "\n") != 3 {
		t.Errorf("%s", a.body)
	}
	o.ask(200, "POST", "targets/drain?provider=a", "")
	o.ask(200, "POST", "tenants/acme/keys/ci/revoke", "")
	o.ask(200, "DELETE", "tenants/bolt", "")
	if r := data[admin.Report](t, o.ask(200, "GET", "ledger/verify", "")); len(r.Wrong) != 0 || r.Rows != 2 || r.Entries != 9 {
		t.Errorf("%+v", r)
	}
	if list := data[[]admin.Change](t, o.ask(200, "GET", "audit?limit=4", "")); len(list) != 4 || list[3].Action != "target.drain" || list[3].Tenant != "*" {
		t.Errorf("%+v", list)
	}

	server.Stop()
	if a := o.fails(503, "store_unavailable", "GET", "ledger", ""); strings.Contains(a.body, "127.0.0.1") || strings.Contains(a.body, "sluice:") {
		t.Errorf("%s", a.body)
	}
	o.ask(200, "POST", "targets/enable?provider=a", "")
}
