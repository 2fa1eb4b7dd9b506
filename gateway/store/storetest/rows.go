package storetest

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// fill gives every field a value of its own, so that one that a store forgets is noticed.
func fill(v reflect.Value, n *int64) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(noon.Add(time.Duration(*n) * time.Microsecond)))
	case v.Type() == reflect.TypeFor[time.Duration]():
		v.SetInt(*n * int64(time.Microsecond))
	case v.Kind() == reflect.Struct:
		for _, f := range v.Fields() {
			fill(f, n)
		}
	case v.Kind() == reflect.Array:
		v.Index(v.Len() - 1).SetUint(uint64(*n)) //nolint:gosec // positive
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text %d ü", *n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(*n)
	default:
		v.SetUint(uint64(*n)) //nolint:gosec // positive
	}
}

func testRoundTrip(t *testing.T, s store.Store, _ Harness) {
	var full ledger.Row
	n := int64(0)
	fill(reflect.ValueOf(&full).Elem(), &n)
	full.ID, full.Kind, full.Outcome, full.Usage.Provenance = ledger.NewID(noon), ledger.Semantic, ledger.Timeout, 2
	full.Price = math.MaxUint64 - 1
	bare := ledger.Row{ID: ledger.NewID(noon.Add(time.Second)), At: noon, Tenant: "acme", Cost: catalog.Cost{Why: catalog.NoRate, Class: 3}}
	insert(t, s, full, bare)
	got, next, err := s.Rows(t.Context(), store.Everybody(), store.RowQuery{Oldest: true})
	must(t, err)
	same(t, "next", next, "")
	same(t, "rows", got, []ledger.Row{full, bare})

	for k := ledger.Attempt; k.String() != "unknown"; k++ {
		for o := ledger.Unknown; o == 0 || o.String() != "unknown"; o++ {
			r := row(noon.Add(time.Hour), 0)
			r.Kind, r.Outcome = k, o
			insert(t, s, r)
			got, _, err := s.Rows(t.Context(), store.Only("acme"), store.RowQuery{ID: r.ID})
			must(t, err)
			same(t, "row", got, []ledger.Row{r})
		}
	}
}

// testFoul has what databases do not take: it must not hold up the rows that come after it.
func testFoul(t *testing.T, s store.Store, _ Harness) {
	foul := row(noon, 7)
	foul.Asked, foul.User, foul.Model = "gpt\x00-5\xff", "a\xc3", "\x00"
	long := row(noon, 1)
	long.Model, long.Key, long.Provider = strings.Repeat("ü", 5_000), strings.Repeat("k", 5_000), strings.Repeat("p", 5_000)
	credit, early, much := row(noon, -5), row(noon, 1), row(noon, 1)
	early.At = time.Time{}
	much.Usage.Input, much.Usage.InputAudio, much.Usage.Output, much.Usage.Reasoning = math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MinInt64
	more := much
	more.ID = ledger.NewID(noon)
	insert(t, s, foul, credit, early, long, much)
	insert(t, s, more, row(noon, 1))
	got, _, err := s.Rows(t.Context(), store.Only("acme"), store.RowQuery{ID: foul.ID})
	must(t, err)
	foul.Asked, foul.User, foul.Model = "gpt\uFFFD-5\uFFFD", "a\uFFFD", "\uFFFD"
	same(t, "row", got, []ledger.Row{foul})
	got, _, err = s.Rows(t.Context(), store.Only("acme"), store.RowQuery{ID: early.ID})
	must(t, err)
	same(t, "time", got[0].At, noon)
	same(t, "charge", sound(t, s, 7).Charge, tenant.USD(12))
	usage, err := s.Usage(t.Context(), store.Only("acme"), store.UsageQuery{By: store.All})
	must(t, err)
	if u := usage[0]; u.Input < 2e12 || u.Output < 2e12 || u.Reasoning != 0 {
		t.Errorf("usage: %+v", u)
	}
}

func testInsertTwice(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	var rows []ledger.Row
	for i := range 50 {
		rows = append(rows, row(noon.Add(time.Duration(i)*time.Hour), int64(i)))
	}
	n, err := s.Insert(ctx, nil)
	must(t, err)
	same(t, "nothing", n, 0)
	insert(t, s, rows[:30]...)
	n, err = s.Insert(ctx, rows[:30])
	must(t, err)
	same(t, "inserted again", n, 0)
	changed := rows[20]
	changed.Charge = 1_000_000 // the first word counts
	n, err = s.Insert(ctx, append([]ledger.Row{changed, rows[40], rows[40]}, rows[25:]...))
	must(t, err)
	same(t, "inserted in part", n, 20)
	same(t, "charge", sound(t, s, 50).Charge, tenant.USD(49*50/2))
}

func testInsertAtOnce(t *testing.T, s store.Store, _ Harness) {
	const nodes, batches, each = 4, 6, 25
	var all sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	for node := range nodes {
		all.Go(func() {
			for b := range batches {
				rows := make([]ledger.Row, each)
				for i := range rows {
					rows[i] = row(noon.Add(time.Duration(b)*time.Minute), 3)
					rows[i].Node, rows[i].Key = fmt.Sprint("n", node), fmt.Sprint("k", (i+node)%5)
				}
				var twice sync.WaitGroup
				for range 2 { // a shipper that was restarted while its last batch was still under way
					twice.Go(func() {
						n, err := s.Insert(t.Context(), rows)
						if err != nil {
							t.Error(err)
						}
						mu.Lock()
						sum += n
						mu.Unlock()
					})
				}
				twice.Wait()
			}
		})
	}
	all.Wait()
	same(t, "inserted", sum, nodes*batches*each)
	same(t, "charge", sound(t, s, nodes*batches*each).Charge, tenant.USD(nodes*batches*each*3))
}

func testPrices(t *testing.T, s store.Store, h Harness) {
	sink := s.(ledger.PriceSink)
	prices := []ledger.Price{{Version: 1, Provider: "openai", Model: "gpt-5", Rates: []byte(`[]`)}, {Version: math.MaxUint64, Provider: "p", Model: "m", Rates: []byte(`{}`)}}
	must(t, sink.InsertPrices(t.Context(), prices))
	must(t, sink.InsertPrices(t.Context(), prices[:1]))
	must(t, sink.InsertPrices(t.Context(), nil))
	h.Exec(t, s, "INSERT INTO prices (version, provider, model, rates) SELECT 2, provider, model, rates FROM prices WHERE version = -1 AND model = 'm'")
	h.Exec(t, s, "INSERT INTO prices (version, provider, model, rates) SELECT 3, provider, model, rates FROM prices WHERE version = 1") // fails if there were two
}

func testRows(t *testing.T, s store.Store, _ Harness) {
	a, b, c := row(noon, 1), row(noon.Add(time.Minute), 2), row(noon.Add(2*time.Minute), 3)
	b.Key, b.User, b.Model, b.Provider, b.Request, b.Outcome = "app", "bob", "o3", "azure", "req_2", ledger.Gone
	insert(t, s, c, a, b)
	f := func(q store.RowQuery, want ...ledger.Row) {
		t.Helper()
		got, next, err := s.Rows(t.Context(), store.Only("acme"), q)
		must(t, err)
		same(t, "next", next, "")
		same(t, fmt.Sprintf("%+v", q), ids(got), ids(want))
	}
	gone, cut := ledger.Gone, ledger.Cut
	f(store.RowQuery{}, c, b, a)
	f(store.RowQuery{Oldest: true}, a, b, c)
	f(store.RowQuery{ID: b.ID}, b)
	f(store.RowQuery{ID: ledger.NewID(noon)})
	f(store.RowQuery{From: noon, To: noon.Add(time.Minute)}, a)
	f(store.RowQuery{From: noon.Add(1), To: noon.Add(time.Minute + 1)}, b)
	f(store.RowQuery{From: b.At}, c, b)
	f(store.RowQuery{Key: "app"}, b)
	f(store.RowQuery{User: "ann"}, c, a)
	f(store.RowQuery{Model: "o3", Provider: "azure"}, b)
	f(store.RowQuery{Model: "o3", Provider: "openai"})
	f(store.RowQuery{Request: "req_1"}, c, a)
	f(store.RowQuery{Outcome: &gone}, b)
	f(store.RowQuery{Outcome: &cut})
	f(store.RowQuery{Key: "' OR '1'='1"})
	for _, place := range []string{"zz", "00", "0123456789abcdef0123456789abcdef"} {
		_, _, err := s.Rows(t.Context(), store.Only("acme"), store.RowQuery{After: place})
		is(t, err, store.ErrInvalid)
	}
}

func testPaging(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	var first []ledger.Row
	for i := range 60 {
		first = append(first, rowOf([]tenant.ID{"acme", "bolt"}[i%2], noon.Add(time.Duration(i/4)*time.Second), 1))
	}
	insert(t, s, first...)
	for _, w := range []store.Whose{store.Only("acme"), store.Everybody()} {
		for _, oldest := range []bool{false, true} {
			stop := inserting(t, s)
			got, err := pages(ctx, s, w, store.RowQuery{Oldest: oldest, Limit: 7})
			stop()
			must(t, err)
			complete(t, first, got, w)
			if oldest {
				slices.Reverse(got)
			}
			for i := 1; i < len(got); i++ {
				if string(got[i].ID[:]) > string(got[i-1].ID[:]) {
					t.Errorf("row %d is out of order", i)
				}
			}
		}
	}
}

// inserting inserts other rows, in between and at both ends, until it is stopped.
func inserting(t *testing.T, s store.Store) (stop func()) {
	t.Helper()
	ask, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for i := 0; ; i++ {
			select {
			case <-ask:
				return
			default:
			}
			if _, err := s.Insert(t.Context(), []ledger.Row{row(noon.Add(time.Duration(i%30-5)*time.Second), 1)}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return func() { close(ask); <-over }
}

// complete says that each of the first rows has been read once, and none twice.
func complete(t *testing.T, first, got []ledger.Row, w store.Whose) {
	t.Helper()
	seen := map[ledger.ID]int{}
	for _, r := range got {
		seen[r.ID]++
		if seen[r.ID] > 1 {
			t.Errorf("row %s came twice", r.ID)
		}
	}
	id, all, _ := w.Tenant()
	for _, r := range first {
		want := 0
		if all || r.Tenant == id {
			want = 1
		}
		if seen[r.ID] != want {
			t.Errorf("row %s of %s came %d times", r.ID, r.Tenant, seen[r.ID])
		}
	}
}

func testExport(t *testing.T, s store.Store, _ Harness) {
	var rows []ledger.Row
	for i := range 25 {
		rows = append(rows, row(noon.Add(time.Duration(i)*time.Second), 1))
	}
	insert(t, s, rows...)
	for _, limit := range []int{0, 5, 7, 25} {
		var got []ledger.ID
		q := store.RowQuery{Limit: limit, Oldest: true, From: rows[3].At}
		for more := true; more; more = q.After != "" {
			page, next, err := s.Rows(t.Context(), store.Only("acme"), q)
			must(t, err)
			got, q.After = append(got, ids(page)...), next
		}
		same(t, "exported", got, ids(rows[3:]))
	}
}

func testTwoTenants(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	ids := []tenant.ID{"acme", "bolt"}
	shared := row(noon, 5)
	for i, id := range ids {
		makeTenant(t, s, id, fmt.Sprint("d", i))
		f := family("f1", "ci")
		f.User = string(id)
		must(t, s.Grant(ctx, id, f, token(1)))
		r := shared
		r.Tenant, r.Charge = id, int64(i+1)
		insert(t, s, r) // the same id, and not a double
	}
	for i, id := range ids {
		w := store.Only(id)
		charge := tenant.USD(i + 1)
		x, err := s.Tenant(ctx, id)
		must(t, err)
		same(t, "digest", x.Keys[0].Digest, fmt.Sprint("d", i))
		rows, next, err := s.Rows(ctx, w, store.RowQuery{Limit: 1})
		must(t, err)
		if len(rows) != 1 || rows[0].Tenant != id || rows[0].Charge != int64(charge) {
			t.Errorf("rows of %s: %+v", id, rows)
		}
		rows, _, err = s.Rows(ctx, w, store.RowQuery{After: next})
		must(t, err)
		same(t, "rows after the last", len(rows), 0)
		usage, err := s.Usage(ctx, w, store.UsageQuery{By: store.Day, Tenant: true})
		must(t, err)
		if len(usage) != 1 || usage[0].Tenant != id || usage[0].Charge != charge {
			t.Errorf("usage of %s: %+v", id, usage)
		}
		spent, err := s.Spent(ctx, id, []store.Window{{}, {Scope: tenant.Scope{Kind: tenant.OfKey, Name: "ci"}}})
		must(t, err)
		same(t, "spent", spent, []map[string]tenant.USD{{"n1": charge}, {"n1": charge}})
		entries, _, err := s.Entries(ctx, w, store.EntryQuery{})
		must(t, err)
		same(t, "entries", len(entries), 2)
		report, err := s.Verify(ctx, w, time.Time{}, time.Time{})
		must(t, err)
		same(t, "verified", []any{report.Rows, report.Charge, report.Entries, len(report.Wrong)}, []any{int64(1), charge, int64(0), 0})
		f, err := s.Family(ctx, id, "f1")
		must(t, err)
		same(t, "family", f.User, string(id))
	}
	rows, err := pages(ctx, s, store.Everybody(), store.RowQuery{Limit: 1})
	must(t, err)
	same(t, "everybody's rows", len(rows), 2)

	// What one does, the other does not notice.
	must(t, s.RevokeFamily(ctx, "acme", "f1", entry("family.revoke")))
	turn(t, s, "bolt", swap{1, 2}, store.Rotated)
	turn(t, s, "acme", swap{2, 3}, store.Unknown)
	must(t, s.DeleteTenant(ctx, "acme", entry("tenant.delete")))
	x, err := s.Tenant(ctx, "bolt")
	must(t, err)
	same(t, "keys", len(x.Keys), 1)
	turn(t, s, "bolt", swap{2, 3}, store.Rotated)
	sound(t, s, 2)
}

// testNobody has every call refuse who is nobody.
func testNobody(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	makeTenant(t, s, "acme", "d1")
	insert(t, s, row(noon, 1))
	for _, id := range []tenant.ID{"", store.Operator} {
		w, e := store.Only(id), entry("x")
		f := func(call string, err error) {
			t.Helper()
			if !errors.Is(err, store.ErrNoTenant) {
				t.Errorf("%s of %q: %v", call, id, err)
			}
		}
		_, err := s.Tenant(ctx, id)
		f("Tenant", err)
		_, err = s.PutTenant(ctx, store.Tenant{ID: id, Spec: []byte(`{}`)}, e)
		f("PutTenant", err)
		f("DeleteTenant", s.DeleteTenant(ctx, id, e))
		_, err = s.PutKeys(ctx, id, []store.Key{{Name: "k", Digest: "d", Spec: []byte(`{}`), Created: noon}}, e)
		f("PutKeys", err)
		f("RevokeKey", s.RevokeKey(ctx, id, "ci", e))
		f("TouchKeys", s.TouchKeys(ctx, map[tenant.ID]map[string]time.Time{id: {"ci": noon}}))
		f("Grant", s.Grant(ctx, id, family("f", "ci"), token(1)))
		_, err = s.Rotate(ctx, id, store.Turn{Now: noon})
		f("Rotate", err)
		f("RevokeFamily", s.RevokeFamily(ctx, id, "f", e))
		_, err = s.RevokeFamilies(ctx, id, "ci", e)
		f("RevokeFamilies", err)
		_, err = s.Family(ctx, id, "f")
		f("Family", err)
		_, err = s.Insert(ctx, []ledger.Row{row(noon, 1), rowOf(id, noon, 1)})
		f("Insert", err)
		_, err = s.Spent(ctx, id, []store.Window{{}})
		f("Spent", err)
		_, err = s.Usage(ctx, w, store.UsageQuery{})
		f("Usage", err)
		_, _, err = s.Rows(ctx, w, store.RowQuery{})
		f("Rows", err)
		_, err = s.Verify(ctx, w, time.Time{}, time.Time{})
		f("Verify", err)
		_, _, err = s.Entries(ctx, w, store.EntryQuery{})
		f("Entries", err)
	}
	is(t, s.Note(ctx, entry("x")), store.ErrNoTenant) // whose it is must be said, if only that it is nobody's
	sound(t, s, 1)
}
