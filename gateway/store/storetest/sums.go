package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func testUsage(t *testing.T, s store.Store, _ Harness) {
	a, b, c, d := row(noon, 100), row(noon.Add(90*time.Minute), 7), row(noon.Add(13*time.Hour), 5), rowOf("bolt", noon, 1000)
	a.Usage = chat.Usage{Input: 1, CacheRead: 2, CacheWrite: 4, CacheWriteHour: 8, InputAudio: 16, InputImage: 32, Output: 64, Reasoning: 128, OutputAudio: 256, OutputImage: 512}
	b.Model, b.Key, b.Outcome, b.Flags = "o3", "app", ledger.Cut, ledger.Own
	c.Kind, c.Cost, c.Provider = ledger.Exact, catalog.Cost{}, ""
	insert(t, s, a, b, c, d)
	sumA := store.Sums{Attempts: 1, Input: 49, CacheRead: 2, CacheWrite: 12, Output: 832, Reasoning: 128, Cost: 200, Charge: 100}
	sumB := store.Sums{Attempts: 1, Failed: 1, Input: 10, Output: 5, Charge: 7} // the cost is not the operator's
	sumC := store.Sums{Cached: 1, Input: 10, Output: 5, Charge: 5, Unpriced: 1}
	sumAB := store.Sums{Attempts: 2, Failed: 1, Input: 59, CacheRead: 2, CacheWrite: 12, Output: 837, Reasoning: 128, Cost: 200, Charge: 107}
	sumD := store.Sums{Attempts: 1, Input: 10, Output: 5, Cost: 2000, Charge: 1000}
	today, tomorrow := noon.Truncate(24*time.Hour), noon.Add(12*time.Hour)

	f := func(w store.Whose, q store.UsageQuery, want ...store.Usage) {
		t.Helper()
		got, err := s.Usage(t.Context(), w, q)
		must(t, err)
		same(t, "usage", got, want)
	}
	acme := store.Only("acme")
	f(acme, store.UsageQuery{By: store.Day}, store.Usage{At: today, Sums: sumAB}, store.Usage{At: tomorrow, Sums: sumC})
	f(acme, store.UsageQuery{By: store.Hour}, store.Usage{At: noon, Sums: sumA}, store.Usage{At: noon.Add(time.Hour), Sums: sumB}, store.Usage{At: noon.Add(13 * time.Hour), Sums: sumC})
	f(acme, store.UsageQuery{By: store.Day, Model: true, Key: true, To: tomorrow}, store.Usage{At: today, Key: "app", Model: "o3", Sums: sumB}, store.Usage{At: today, Key: "ci", Model: "gpt-5", Sums: sumA})
	f(acme, store.UsageQuery{By: store.All, Where: store.UsageFilter{Provider: "openai"}}, store.Usage{Sums: sumAB})
	f(acme, store.UsageQuery{By: store.All, Provider: true, Where: store.UsageFilter{Key: "ci", Model: "gpt-5"}}, store.Usage{Sums: sumC}, store.Usage{Provider: "openai", Sums: sumA})
	f(acme, store.UsageQuery{From: tomorrow, By: store.Hour}, store.Usage{At: noon.Add(13 * time.Hour), Sums: sumC})
	f(acme, store.UsageQuery{From: tomorrow.Add(24 * time.Hour), By: store.All})
	f(store.Everybody(), store.UsageQuery{By: store.Day, Tenant: true, To: tomorrow}, store.Usage{At: today, Tenant: "acme", Sums: sumAB}, store.Usage{At: today, Tenant: "bolt", Sums: sumD})

	_, err := s.Usage(t.Context(), acme, store.UsageQuery{By: store.Hour, Limit: 2})
	is(t, err, store.ErrInvalid)
	f(store.Only("none"), store.UsageQuery{By: store.Day})
	sound(t, s, 4)
}

func testSpent(t *testing.T, s store.Store, h Harness) {
	other := row(noon.Add(24*time.Hour), 10)
	other.Node, other.Key, other.User, other.Model = "n2", "app", "", "gpt-4o-mini"
	own := row(noon, 0) // which costs nothing is in no spend
	old := row(noon.Add(time.Minute), 2)
	old.Key = tenant.Replaced(old.Key, noon)
	insert(t, s, row(noon, 1), old, other, own, rowOf("bolt", noon, 1000))
	today := noon.Truncate(24 * time.Hour)
	f := func(kind tenant.ScopeKind, name string, from, to time.Time, want map[string]tenant.USD) {
		t.Helper()
		got, err := s.Spent(t.Context(), "acme", []store.Window{{Scope: tenant.Scope{Kind: kind, Name: name}, From: from, To: to}})
		must(t, err)
		same(t, "spent by "+name, got, []map[string]tenant.USD{want})
	}
	type money = map[string]tenant.USD
	f(tenant.OfTenant, "", time.Time{}, time.Time{}, money{"n1": 3, "n2": 10})
	f(tenant.OfTenant, "", today, today.Add(24*time.Hour), money{"n1": 3})
	f(tenant.OfTenant, "", today.Add(24*time.Hour), time.Time{}, money{"n2": 10})
	f(tenant.OfKey, "app", time.Time{}, time.Time{}, money{"n2": 10})
	f(tenant.OfKey, "ci", time.Time{}, time.Time{}, money{"n1": 3})
	f(tenant.OfKey, old.Key, time.Time{}, time.Time{}, money{})
	f(tenant.OfKey, "none", time.Time{}, time.Time{}, money{})
	f(tenant.OfUser, "ann", time.Time{}, time.Time{}, money{"n1": 3})
	f(tenant.OfUser, "", time.Time{}, time.Time{}, money{})
	f(tenant.OfModel, "gpt-5", time.Time{}, time.Time{}, money{"n1": 3})
	f(tenant.OfModel, "gpt-*", time.Time{}, time.Time{}, money{"n1": 3, "n2": 10})
	f(tenant.OfModel, "*", time.Time{}, time.Time{}, money{"n1": 3, "n2": 10})
	f(tenant.OfModel, "gpt-*-*i", time.Time{}, time.Time{}, money{"n2": 10})
	f(tenant.OfModel, "gpt-*-", time.Time{}, time.Time{}, money{})
	f(tenant.OfModel, "%", time.Time{}, time.Time{}, money{})

	got, err := s.Spent(t.Context(), "acme", nil)
	must(t, err)
	same(t, "no windows", len(got), 0)

	// An earlier version wrote down a key that was replaced apart from its successor: nothing is wrong with that.
	sound(t, s, 5)
	h.Exec(t, s, "UPDATE spends SET charge = 1 WHERE tenant = 'acme' AND kind = 1 AND name = 'ci'")
	h.Exec(t, s, "INSERT INTO spends (tenant, kind, name, day, node, charge) SELECT tenant, kind, '"+old.Key+"', day, node, 2 FROM spends WHERE tenant = 'acme' AND kind = 1 AND name = 'ci'")
	sound(t, s, 5)
}

// testMostMoney has more money than there is: sums stop at the most that they hold, and nothing is held up.
func testMostMoney(t *testing.T, s store.Store, _ Harness) {
	for range 3 {
		r := row(noon, math.MaxInt64-3)
		r.Cost.Picodollars = math.MaxInt64
		insert(t, s, r, row(noon.Add(24*time.Hour), math.MaxInt64/2))
	}
	sound(t, s, 6)
	got, err := s.Usage(t.Context(), store.Only("acme"), store.UsageQuery{By: store.All})
	must(t, err)
	same(t, "usage", []tenant.USD{got[0].Cost, got[0].Charge}, []tenant.USD{math.MaxInt64, math.MaxInt64})
	spent, err := s.Spent(t.Context(), "acme", []store.Window{{}})
	must(t, err)
	same(t, "spent", spent[0]["n1"], tenant.USD(math.MaxInt64))
}

func testPrune(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	days := func(n int) time.Time { return noon.Add(time.Duration(n) * 24 * time.Hour) }
	var rows []ledger.Row
	for i := range 40 {
		rows = append(rows, rowOf([]tenant.ID{"acme", "bolt"}[i%2], days(i/8), 1))
	}
	insert(t, s, rows...)
	prune := func(p store.Past, limit, want int) {
		t.Helper()
		n, err := s.Prune(ctx, p, limit)
		must(t, err)
		same(t, "pruned", n, want)
	}
	prune(store.Past{}, 100, 0)
	past := store.Past{Rows: days(2)}
	prune(past, 10, 10)
	left, err := pages(ctx, s, store.Everybody(), store.RowQuery{Oldest: true})
	must(t, err)
	same(t, "the oldest are gone", []any{len(left), left[0].ID.Time().UTC()}, []any{30, days(1)})
	prune(past, 10, 6)
	prune(past, 10, 0)

	// Sums outlive their rows, and what is left still adds up: from the day after the last of which rows are gone.
	usage, err := s.Usage(ctx, store.Everybody(), store.UsageQuery{By: store.All})
	must(t, err)
	same(t, "usage", usage[0].Charge, tenant.USD(40))
	spent, err := s.Spent(ctx, "acme", []store.Window{{}})
	must(t, err)
	same(t, "spent", spent[0]["n1"], tenant.USD(20))
	midnight := days(3).Truncate(24 * time.Hour)
	same(t, "verified from", sound(t, s, 16).From, midnight)

	prune(store.Past{Hours: days(1)}, 100, 2)
	prune(store.Past{Days: days(1).Truncate(24 * time.Hour)}, 100, 2)
	usage, err = s.Usage(ctx, store.Everybody(), store.UsageQuery{By: store.All})
	must(t, err)
	same(t, "usage", usage[0].Charge, tenant.USD(32))
	spent, err = s.Spent(ctx, "acme", []store.Window{{}})
	must(t, err)
	same(t, "spent", spent[0]["n1"], tenant.USD(20))
	sound(t, s, 16)
	n, err := store.Sweep(ctx, s, store.Past{Rows: days(9), Hours: days(9), Days: days(9)})
	must(t, err)
	same(t, "swept", n, 24+8+8)
	same(t, "nothing to verify", sound(t, s, 0).From, time.Time{})
}

// testFold has days of spends become one line: all that was ever spent is known as before, and what of later days is, too.
func testFold(t *testing.T, s store.Store, h Harness) {
	ctx := t.Context()
	days := func(n int) time.Time { return noon.Add(time.Duration(n) * 24 * time.Hour) }
	var rows []ledger.Row
	for i := range 40 { // four users, on two nodes, over ten days
		r := row(days(i/4), int64(1+i))
		r.User, r.Node = fmt.Sprint("u", i%4), fmt.Sprint("n", i%2)
		rows = append(rows, r)
	}
	insert(t, s, rows...)
	windows := []store.Window{{}, {From: days(6).Truncate(24 * time.Hour)}}
	for i := range 4 {
		user := tenant.Scope{Kind: tenant.OfUser, Name: fmt.Sprint("u", i)}
		windows = append(windows, store.Window{Scope: user}, store.Window{Scope: user, From: days(6).Truncate(24 * time.Hour)})
	}
	spent := func() []map[string]tenant.USD {
		t.Helper()
		sums, err := s.Spent(ctx, "acme", windows)
		must(t, err)
		return sums
	}
	before := spent()
	past := store.Past{Spends: days(6)}
	lines := 0
	for {
		n, err := s.Prune(ctx, past, 7)
		must(t, err)
		if n == 0 {
			break
		}
		lines += n
		same(t, "spent", spent(), before)
		sound(t, s, 16)
	}
	same(t, "folded", lines, 6*(2+2+4+2)) // of the tenant, the key and the model on each node, and of users
	same(t, "verified from", sound(t, s, 16).From, days(6).Truncate(24*time.Hour))
	insert(t, s, func() ledger.Row { r := row(days(1), 1000); r.User, r.Node = "u0", "n0"; return r }()) // after a long way
	n, err := store.Sweep(ctx, s, past)
	must(t, err)
	same(t, "folded later", n, 4)
	for _, i := range []int{0, 2} {
		before[i]["n0"] += 1000
	}
	same(t, "spent", spent(), before)
	h.Exec(t, s, "INSERT INTO meta (one, revision, entry, head, pruned) SELECT 1, 0, 0, head, pruned FROM meta WHERE (SELECT COUNT(*) FROM spends) <> 10 + 4 * 10") // fails if there are others
}

func testPruneEntries(t *testing.T, s store.Store, _ Harness) {
	for i := range 10 {
		e := entry("target.drain")
		e.Tenant, e.At = store.Operator, noon.Add(time.Duration(i)*time.Hour)
		if i == 5 {
			e.At = noon.Add(-time.Hour) // of a node whose clock is slow
		}
		must(t, s.Note(t.Context(), e))
	}
	for _, want := range []int{3, 0} {
		n, err := s.Prune(t.Context(), store.Past{Entries: noon.Add(3 * time.Hour)}, 5)
		must(t, err)
		same(t, "pruned", n, want)
		same(t, "entries left", sound(t, s, 0).Entries, int64(7))
	}
	n, err := s.Prune(t.Context(), store.Past{Entries: noon.Add(99 * time.Hour)}, 100)
	must(t, err)
	same(t, "pruned", n, 7)
	e := entry("target.drain")
	e.Tenant = store.Operator
	must(t, s.Note(t.Context(), e))
	same(t, "entries", sound(t, s, 0).Entries, int64(1))
}

func testPruneFamilies(t *testing.T, s store.Store, h Harness) {
	ctx := t.Context()
	for i := range byte(4) {
		f := family(string(rune('a'+i)), "ci")
		f.Expires = noon.Add(time.Duration(i) * time.Hour)
		must(t, s.Grant(ctx, "acme", f, token(i)))
	}
	turned(t, s, "acme", store.Turn{Old: token(1), Next: token(11)}, store.Rotated)
	for _, want := range []int{1, 1, 0} {
		n, err := s.Prune(ctx, store.Past{Families: noon.Add(90 * time.Minute)}, 1)
		must(t, err)
		same(t, "pruned", n, want)
	}
	for _, n := range []byte{0, 1, 11} {
		turn(t, s, "acme", swap{n, 20}, store.Unknown)
	}
	turn(t, s, "acme", swap{2, 20}, store.Rotated)
	turn(t, s, "acme", swap{3, 30}, store.Rotated)
	h.Exec(t, s, "INSERT INTO meta (one, revision, entry, head, pruned) SELECT 1, 0, 0, head, pruned FROM meta WHERE (SELECT COUNT(*) FROM tokens) <> 4") // fails if there are others
}

// testTampering has somebody change the tables: Verify must notice.
func testTampering(t *testing.T, s store.Store, h Harness) {
	insert(t, s, row(noon, 1), row(noon.Add(24*time.Hour), 2))
	makeTenant(t, s, "acme", "d1")
	must(t, s.RevokeKey(t.Context(), "acme", "ci", entry("key.revoke")))
	sound(t, s, 2)
	f := func(do, undo, want string) {
		t.Helper()
		h.Exec(t, s, do)
		r, err := s.Verify(t.Context(), store.Everybody(), time.Time{}, time.Time{})
		must(t, err)
		if len(r.Wrong) == 0 || !strings.Contains(strings.Join(r.Wrong, "\n"), want) {
			t.Errorf("after %s: %q", do, r.Wrong)
		}
		h.Exec(t, s, undo)
		sound(t, s, 2)
	}
	f("UPDATE spends SET charge = charge + 1 WHERE kind = 1", "UPDATE spends SET charge = charge - 1 WHERE kind = 1", `spends: 2026-11-23, tenant acme, key:ci, node "n1"`)
	f("UPDATE spends SET node = 'n7' WHERE charge = 2", "UPDATE spends SET node = 'n1' WHERE charge = 2", `node "n7": 0.000000000002`)
	f("UPDATE usage_days SET cost = cost + 1 WHERE charge = 2", "UPDATE usage_days SET cost = cost - 1 WHERE charge = 2", "usage_days: 2026-11-24T00:00:00Z")
	f("UPDATE usage_hours SET input = 0", "UPDATE usage_hours SET input = 10", "usage_hours: 2026-11-24T12:00:00Z")
	f("UPDATE ledger SET charge = 4 WHERE charge = 2", "UPDATE ledger SET charge = 2 WHERE charge = 4", "usage_days")
	f("UPDATE ledger SET model = 'x'", "UPDATE ledger SET model = 'gpt-5'", `model "x"`)
	f("UPDATE audit SET who = 'me' WHERE seq = 2", "UPDATE audit SET who = 'ops' WHERE seq = 2", "audit: the entry 2")
	f("UPDATE audit SET seq = 9 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 9", "audit: the entries 2 to 2 are missing")
	f("UPDATE meta SET entry = 4", "UPDATE meta SET entry = 3", "audit: the last entry is 3, not 4")

	// Only the days that were asked for are looked at.
	h.Exec(t, s, "UPDATE usage_days SET cost = cost + 1 WHERE charge = 2")
	r, err := s.Verify(t.Context(), store.Only("acme"), noon, noon)
	must(t, err)
	same(t, "verified", []any{len(r.Wrong), r.Rows, r.From, r.To}, []any{0, int64(1), noon.Truncate(24 * time.Hour), noon.Add(12 * time.Hour)})
	r, err = s.Verify(t.Context(), store.Only("bolt"), time.Time{}, time.Time{})
	must(t, err)
	same(t, "of another", r, store.Report{})
}

func testAudit(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	makeTenant(t, s, "acme", "d1")
	_, err := s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: []byte(`{}`)}, entry("tenant.create"))
	is(t, err, store.ErrConflict)
	drain := entry("target.drain")
	drain.Tenant, drain.At = store.Operator, noon.Add(time.Hour)
	must(t, s.Note(ctx, drain))
	must(t, s.DeleteTenant(ctx, "acme", entry("tenant.delete")))
	if err := s.Note(ctx, store.Entry{Tenant: store.Operator}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an entry without a time: %v", err)
	}

	all := []store.Entry{entry("tenant.delete"), drain, entry("key.create"), entry("tenant.create")}
	for i, revision := range []int64{3, 2, 2, 1} {
		all[i].Seq, all[i].Revision = int64(4-i), revision
		if i != 1 {
			all[i].Tenant = "acme"
		}
	}
	f := func(w store.Whose, q store.EntryQuery, wantNext string, want ...store.Entry) {
		t.Helper()
		got, next, err := s.Entries(ctx, w, q)
		must(t, err)
		same(t, "entries", got, want)
		same(t, "next", next, wantNext)
	}
	f(store.Everybody(), store.EntryQuery{}, "", all...)
	f(store.Everybody(), store.EntryQuery{Limit: 2}, "3", all[:2]...)
	f(store.Everybody(), store.EntryQuery{Limit: 3, After: "3"}, "", all[2:]...)
	f(store.Only("acme"), store.EntryQuery{}, "", all[0], all[2], all[3])
	f(store.Everybody(), store.EntryQuery{From: noon.Add(time.Hour)}, "", drain2(drain, 3, 2))
	f(store.Everybody(), store.EntryQuery{To: noon.Add(time.Hour), Action: "key.create"}, "", all[2])
	_, _, err = s.Entries(ctx, store.Everybody(), store.EntryQuery{After: "x"})
	is(t, err, store.ErrInvalid)
	same(t, "entries verified", sound(t, s, 0).Entries, int64(4))
}

func drain2(e store.Entry, seq, revision int64) store.Entry {
	e.Seq, e.Revision = seq, revision
	return e
}

func testCanceled(t *testing.T, s store.Store, _ Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Insert(ctx, []ledger.Row{row(noon, 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("Insert: %v", err)
	}
	if _, _, err := s.Rows(ctx, store.Only("acme"), store.RowQuery{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Rows: %v", err)
	}
	sound(t, s, 0)
}
