package storetest

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Fill puts something of everything into an empty store. Dumps of it, one of each version of the schema, are kept beside the
// stores: see Filled.
func Fill(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	for i, id := range []tenant.ID{"acme", "bolt"} {
		makeTenant(t, s, id, []string{"d1", "d2"}[i])
		must(t, s.Grant(ctx, id, family("f1", "ci"), token(1)))
		must(t, s.Grant(ctx, id, family("f2", "ci"), token(3)))
		for n := range 5 {
			insert(t, s, rowOf(id, noon.Add(time.Duration(n)*time.Hour), int64(n+i)))
		}
	}
	turned(t, s, "acme", store.Turn{Old: token(1), Next: token(2), Sealed: []byte("two")}, store.Rotated)
	must(t, s.RevokeFamily(ctx, "bolt", "f2", entry("family.revoke")))
	must(t, s.TouchKeys(ctx, map[tenant.ID]map[string]time.Time{"acme": {"ci": noon}}))
	must(t, s.(ledger.PriceSink).InsertPrices(ctx, []ledger.Price{{Version: 1, Provider: "openai", Model: "gpt-5", Rates: []byte(`[]`)}}))
}

// Filled says that a store, whatever version of the program made it, has what Fill put in, and goes on from there.
func Filled(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	report := sound(t, s, 10)
	same(t, "charge", report.Charge, tenant.USD(0+1+2+3+4+1+2+3+4+5))
	same(t, "entries", report.Entries, int64(5))
	x, err := s.Tenant(ctx, "acme")
	must(t, err)
	if len(x.Keys) != 1 || x.Keys[0].Digest != "d1" || !x.Keys[0].Used.Equal(noon) {
		t.Errorf("tenant: %+v", x)
	}
	got := turned(t, s, "acme", store.Turn{Old: token(1), Next: token(5), Now: noon.Add(time.Second)}, store.Repeated)
	same(t, "sealed", string(got.Sealed), "two")
	turn(t, s, "acme", swap{2, 5}, store.Rotated)
	turn(t, s, "bolt", swap{3, 5}, store.Revoked)
	spent, err := s.Spent(ctx, "bolt", []store.Window{{Scope: tenant.Scope{Kind: tenant.OfModel, Name: "gpt-*"}}})
	must(t, err)
	same(t, "spent", spent[0]["n1"], tenant.USD(15))

	insert(t, s, row(noon, 100), row(noon.Add(48*time.Hour), 1000))
	_, err = s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: []byte(`{}`), Revision: x.Revision}, entry("tenant.change"))
	must(t, err)
	must(t, s.DeleteTenant(ctx, "bolt", entry("tenant.delete")))
	sound(t, s, 12)
	n, err := s.Prune(ctx, store.Past{Rows: noon.Add(time.Minute)}, 10)
	must(t, err)
	same(t, "pruned", n, 3)
	sound(t, s, 1) // of the days of which nothing was pruned
}
