package app

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestStoreThatCannotBeOpened(t *testing.T) {
	// f opens a ledger whose store cannot be.
	f := func(address, want string) {
		t.Helper()
		c := &config.Config{Chain: []string{"ledger"}}
		c.Stores.SetDefaults()
		c.Stores.WAL.Dir, c.Stores.Ledger = t.TempDir(), address
		if _, err := openStores(c, zap.NewNop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	f("sqlite:"+t.TempDir(), "stores.ledger: ") // a folder
	f("postgres://user@localhost:none/books", "stores.ledger: ")
}

// An address that cannot be used does not show its password in the log.
func TestStorePasswords(t *testing.T) {
	f := func(ledger, shared string) {
		t.Helper()
		c := &config.Config{Chain: []string{"ledger"}}
		c.Stores.SetDefaults()
		c.Stores.WAL.Dir, c.Stores.Ledger, c.Stores.Shared = t.TempDir(), ledger, shared
		_, err := openStores(c, zap.NewNop())
		if err == nil || !strings.Contains(err.Error(), "stores.") || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%v", err)
		}
	}
	sqlite := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	f("postgres://u:hunter2@h/d?sslmode=none", config.None)
	f("postgres://u@h/d?password=hunter2&sslmode=none", config.None)
	f("postgres://u:hunter/2@h/d", config.None)
	f(sqlite, "redis://u:hunter2@h/none")
	f(sqlite, "redis://u:hunter2@hunter2/none")
	f(sqlite, "redis://:hunter/2@h")
	f(sqlite, "redis://hunter2@h")
}

// Others are told of all rows: of those that an earlier process left, too, and of the last ones.
func TestPublishing(t *testing.T) {
	dir := t.TempDir()
	earlier, _, err := ledger.Open(dir, ledger.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	put := func(j *ledger.Journal, user string) {
		t.Helper()
		if err := j.Put(&ledger.Row{ID: ledger.NewID(time.Now()), Tenant: "acme", User: user}); err != nil {
			t.Fatal(err)
		}
	}
	put(earlier, "left behind")
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	journal, _, err := ledger.Open(dir, ledger.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	s := newStores(zap.NewNop())
	s.journal, s.store, s.pool = journal, kept, meter.NewLocal()
	s.publish = func(_ context.Context, rows []ledger.Row) error {
		for i := range rows {
			told = append(told, rows[i].User)
		}
		return nil
	}
	s.begin(t.Context())
	put(journal, "last")
	if err := s.close(); err != nil || !slices.Equal(told, []string{"left behind", "last"}) {
		t.Errorf("%q, %v", told, err)
	}
}

// inserts is a store that counts how often rows come.
type inserts struct {
	store.Store
	n atomic.Int64
}

func (i *inserts) Insert(ctx context.Context, rows []ledger.Row) (int, error) {
	i.n.Add(1)
	return i.Store.Insert(ctx, rows)
}

// What was spent is what the store knows, and what was written down and not shipped yet. Many who ask at once have it shipped once.
func TestSpent(t *testing.T) {
	journal, _, err := ledger.Open(t.TempDir(), ledger.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	in := &inserts{Store: kept}
	s := newStores(zap.NewNop())
	s.journal, s.store = journal, in
	spend := func(model string, pd int64) {
		t.Helper()
		r := ledger.Row{ID: ledger.NewID(time.Now()), At: time.Now().UTC(), Tenant: "acme", Model: model, Charge: pd}
		if err := journal.Put(&r); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(name string, want int64) {
		t.Helper()
		got, err := s.askSpent(t.Context(), "acme", []meter.Account{{Kind: meter.Money, Per: tenant.Total, Scope: tenant.Scope{Kind: tenant.OfModel, Name: name}}}, time.Now())
		if err != nil || len(got) != 1 || got[0][journal.Node()] != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	spend("gpt-a", 3e9)
	ask("gpt-*", 3e9)
	spend("gpt-b", 2e9)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { ask("gpt-*", 5e9) })
	}
	all.Wait()
	ask("gpt-a", 3e9)
	if n := in.n.Load(); n > 3 {
		t.Errorf("shipped %d times", n)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// leases are a pool that only gives leases, to one node at a time.
type leases struct {
	meter.Pool
	until time.Time
	given int
}

func (l *leases) Lease(_ context.Context, _ string, d time.Duration) (bool, error) {
	if time.Now().Before(l.until) {
		return false, nil
	}
	l.until = time.Now().Add(d)
	l.given++
	return true, nil
}

// old is a store in which much is past. Deleting some of it takes a time.
type old struct {
	store.Store
	rows int
	took time.Duration
}

func (o *old) Prune(_ context.Context, _ store.Past, limit int) (int, error) {
	<-time.After(o.took) // in the time of synctest
	n := min(o.rows, limit)
	o.rows -= n
	return n, nil
}

// Whoever has the lease deletes all that is past in one go, if slowly, and goes on afterwards if that was not enough.
func TestPruneGoesOn(t *testing.T) {
	// f says how much is left after a time, of many rows, and how often there was a lease.
	f := func(rows int, took, after time.Duration, left, given int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			o, l := &old{rows: rows, took: took}, &leases{}
			s := &stores{store: o, pool: l, log: zap.NewNop()}
			ctx, stop := context.WithTimeout(t.Context(), after)
			defer stop()
			s.prune(ctx)
			if o.rows != left || l.given != given {
				t.Errorf("%d left, %d leases", o.rows, l.given)
			}
		})
	}
	f(200_500, 10*time.Millisecond, 2*time.Minute, 0, 1)
	f(100_000, time.Second, 11*time.Minute-time.Second, 40_000, 1) // ten seconds for each thousand, at most a tenth of it work
	f(100_000, time.Second, 19*time.Minute, 0, 2)
}

// What ends while the ledger is asked is counted by who asks, and is no part of the answer, even if it is in the store by then.
func TestSpentWhenAsked(t *testing.T) {
	journal, _, err := ledger.Open(t.TempDir(), ledger.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := newStores(zap.NewNop())
	s.journal, s.store = journal, kept
	put := func(pd int64) {
		t.Helper()
		r := ledger.Row{ID: ledger.NewID(time.Now()), At: time.Now().UTC(), Tenant: "acme", User: "ann", Charge: pd}
		if err := journal.Put(&r); err != nil {
			t.Fatal(err)
		}
	}
	put(7)
	asked := time.Now()
	for range 10 {
		put(5)
	}
	before, err := s.askSpent(t.Context(), "acme", []meter.Account{
		{Kind: meter.Money, Per: tenant.Total, Scope: tenant.Scope{Kind: tenant.OfUser, Name: "ann"}},
		{Kind: meter.Money, Per: tenant.Total, Scope: tenant.Scope{Kind: tenant.OfUser, Name: "bob"}},
	}, asked)
	if err != nil || before[0][journal.Node()] != 7 || before[1][journal.Node()] != 0 {
		t.Errorf("%v, %v", before, err)
	}
	got, err := s.askSpent(t.Context(), "acme", []meter.Account{{Kind: meter.Money, Per: tenant.Total}}, time.Now())
	if err != nil || got[0][journal.Node()] != 57 {
		t.Errorf("%v, %v", got, err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// touches is a store that counts how often it is told when keys were used.
type touches struct {
	store.Store
	told []map[tenant.ID]map[string]time.Time
}

func (k *touches) TouchKeys(_ context.Context, used map[tenant.ID]map[string]time.Time) error {
	k.told = append(k.told, used)
	return nil
}

// When keys were last used is told for all of them at once, and once a minute for each.
func TestLastUsed(t *testing.T) {
	k, l := &touches{}, &lastUsed{}
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tell := func(after time.Duration, told int) {
		t.Helper()
		at := noon.Add(after)
		rows := []ledger.Row{{Tenant: "acme", Key: "ci", At: at}, {Tenant: "acme", Key: "ci", At: at.Add(-time.Second)}, {Tenant: "bolt", Key: "ci", At: at}, {Tenant: "bolt", At: at}}
		if err := l.tell(t.Context(), k, rows); err != nil || len(k.told) != told {
			t.Fatalf("told %d times, %v", len(k.told), err)
		}
		if last := k.told[told-1]; len(last) != 2 || len(last["bolt"]) != 1 || noon.Add(after).Sub(last["acme"]["ci"]) >= time.Minute {
			t.Errorf("%v", last)
		}
	}
	tell(0, 1)
	tell(59*time.Second, 1)
	tell(time.Minute, 2)
	tell(time.Hour, 3)
}

// hung is a store that takes no rows and does not say so.
type hung struct{ store.Store }

func (h hung) Insert(ctx context.Context, _ []ledger.Row) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (h hung) Close() error { return nil }

// A store that does not answer holds up a shutdown no longer than it may take.
func TestShutdownBehindHungStore(t *testing.T) {
	journal, _, err := ledger.Open(t.TempDir(), ledger.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	s := newStores(zap.NewNop())
	ctx, stop := context.WithCancel(t.Context())
	s.journal, s.store, s.pool, s.stop = journal, hung{}, meter.NewLocal(), stop
	s.meters = meter.New(meter.Options{Pool: s.pool, Node: journal.Node(), Spent: s.spent()})
	if err := journal.Put(&ledger.Row{ID: ledger.NewID(time.Now()), Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	s.work.Go(func() { s.journal.Ship(ctx, s.sink()) })
	var p meter.Purse
	s.meters.Tenant("acme").Purse(&p, []tenant.Budget{{Amount: tenant.Dollar}})
	if _, ok := p.Reserve(t.Context(), 1); ok {
		t.Error("nobody knows what was spent")
	}
	began := time.Now()
	if err := s.close(); err != nil || time.Since(began) > closing+time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}
