// Package storetest holds what every store must do, as tests that are run by each of them.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Harness is how the tests get at a store.
type Harness struct {
	// Open makes an empty store, which is closed at the test's end.
	Open func(t *testing.T) store.Store
	// Exec runs a statement beside the store, as somebody who tampers with it.
	Exec func(t *testing.T, s store.Store, statement string)
}

// Run runs all tests.
func Run(t *testing.T, h Harness) {
	f := func(name string, test func(t *testing.T, s store.Store, h Harness)) {
		t.Run(name, func(t *testing.T) { test(t, h.Open(t), h) })
	}
	f("Tenants", testTenants)
	f("Changed", testChanged)
	f("Keys", testKeys)
	f("Touch", testTouch)
	f("RevokeKey", testRevokeKey)
	f("ConcurrentChanges", testConcurrentChanges)
	f("Rotate", testRotate)
	f("RotateAtOnce", testRotateAtOnce)
	f("StolenAtOnce", testStolenAtOnce)
	f("Families", testFamilies)
	f("RoundTrip", testRoundTrip)
	f("Foul", testFoul)
	f("InsertTwice", testInsertTwice)
	f("InsertAtOnce", testInsertAtOnce)
	f("Prices", testPrices)
	f("Rows", testRows)
	f("Paging", testPaging)
	f("Export", testExport)
	f("Usage", testUsage)
	f("Spent", testSpent)
	f("MostMoney", testMostMoney)
	f("TwoTenants", testTwoTenants)
	f("Nobody", testNobody)
	f("Prune", testPrune)
	f("Fold", testFold)
	f("PruneEntries", testPruneEntries)
	f("PruneFamilies", testPruneFamilies)
	f("Tampering", testTampering)
	f("Audit", testAudit)
	f("Canceled", testCanceled)
}

// noon is when the tests' rows are from.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// entry is an entry of the audit.
func entry(action string) store.Entry {
	return store.Entry{At: noon, Who: "ops", Role: "admin", Address: "127.0.0.1", Action: action, Object: "it", Before: "a", After: "b"}
}

// row is a row of tenant acme.
func row(at time.Time, charge int64) ledger.Row {
	return ledger.Row{
		ID: ledger.NewID(at), At: at.Truncate(time.Microsecond), Node: "n1", Tenant: "acme", Key: "ci", User: "ann", Request: "req_1",
		Endpoint: "chat.completions", Dialect: "openai", Asked: "fast", Model: "gpt-5", Provider: "openai", Account: "main", Target: "gpt-5-2026",
		Attempt: 1, Flags: ledger.Delivered, Outcome: ledger.Complete, Status: 200, Total: time.Second,
		Usage: chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported}, Cost: catalog.Cost{Picodollars: 2 * charge, Known: true}, Charge: charge,
	}
}

// rowOf is row for another tenant.
func rowOf(id tenant.ID, at time.Time, charge int64) ledger.Row {
	r := row(at, charge)
	r.Tenant = id
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

// insert inserts rows, all of which must be new.
func insert(t *testing.T, s store.Store, rows ...ledger.Row) {
	t.Helper()
	n, err := s.Insert(t.Context(), rows)
	must(t, err)
	same(t, "rows inserted", n, len(rows))
}

// sound says that rollups, spends and audit are what they must be, and how many rows there are.
func sound(t *testing.T, s store.Store, rows int64) store.Report {
	t.Helper()
	r, err := s.Verify(t.Context(), store.Everybody(), time.Time{}, time.Time{})
	must(t, err)
	for _, w := range r.Wrong {
		t.Error(w)
	}
	same(t, "rows verified", r.Rows, rows)
	return r
}

// pages reads all pages of a query.
func pages(ctx context.Context, s store.Store, w store.Whose, q store.RowQuery) ([]ledger.Row, error) {
	var all []ledger.Row
	for {
		rows, next, err := s.Rows(ctx, w, q)
		all = append(all, rows...)
		if err != nil || next == "" {
			return all, err
		}
		if len(rows) == 0 || next == q.After {
			return all, fmt.Errorf("the page after %q is empty", q.After)
		}
		q.After = next
	}
}

func ids(rows []ledger.Row) []ledger.ID {
	list := make([]ledger.ID, len(rows))
	for i := range rows {
		list[i] = rows[i].ID
	}
	return list
}

// makeTenant makes a tenant with a key.
func makeTenant(t *testing.T, s store.Store, id tenant.ID, digest string) {
	t.Helper()
	_, err := s.PutTenant(t.Context(), store.Tenant{ID: id, Spec: []byte(`{}`)}, entry("tenant.create"))
	must(t, err)
	_, err = s.PutKeys(t.Context(), id, []store.Key{{Name: "ci", Digest: digest, Spec: []byte(`{}`), Created: noon}}, entry("key.create"))
	must(t, err)
}
