package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func row() ledger.Row {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return ledger.Row{ID: ledger.NewID(at), At: at, Tenant: "acme", Node: "n1", Key: "ci", Model: "m", Provider: "p", Charge: 1}
}

func rows(n int) []ledger.Row {
	list := make([]ledger.Row, n)
	for i := range list {
		list[i] = row()
		list[i].Key = fmt.Sprint("k", i%20)
	}
	return list
}

// TestFaults is about a server that fails.
func TestFaults(t *testing.T) {
	c := start(t)
	for name, test := range map[string]func(*testing.T, *cluster, *postgres.Store, string){
		"Killed": testKilled, "Locked": testLocked, "Restarted": testRestarted, "Paused": testPaused, "Deadlock": testDeadlock, "Passing": testPassing,
	} {
		t.Run(name, func(t *testing.T) {
			s, database := c.empty(t)
			test(t, c, s, database)
		})
	}
}

// adds says that each row was added once.
func adds(t *testing.T, s *postgres.Store, want int64) {
	t.Helper()
	r, err := s.Verify(t.Context(), store.Everybody(), time.Time{}, time.Time{})
	if err != nil || len(r.Wrong) > 0 || r.Rows != want || int64(r.Charge) != want {
		t.Errorf("%d rows: %+v, %v", want, r, err)
	}
}

// insertAgain inserts as the journal's shipper does: the same rows until it is told that they are there.
func insertAgain(t *testing.T, s *postgres.Store, rows []ledger.Row) {
	t.Helper()
	servers.Await(t, "rows are inserted", func(ctx context.Context) error {
		_, err := s.Insert(ctx, rows)
		return err
	})
}

// hold locks a table until the end of the transaction.
func hold(t *testing.T, c *cluster, database, table string) pgx.Tx {
	t.Helper()
	conn := c.connect(t, "postgres", database)
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) //nolint:usetesting // the test's is over
	return tx
}

// waiting awaits that a transaction of the store waits for a lock, and returns who serves it.
func waiting(t *testing.T, c *cluster, database string) (pid int) {
	t.Helper()
	conn := c.connect(t, "postgres", database)
	defer conn.Close(t.Context())
	servers.Await(t, "somebody waits for the lock", func(ctx context.Context) error {
		return conn.QueryRow(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'sluice' AND wait_event_type = 'Lock'", database).Scan(&pid)
	})
	return pid
}

// testKilled kills, as hard as can be, who serves a transaction that has copied and inserted its rows but not committed.
func testKilled(t *testing.T, c *cluster, s *postgres.Store, database string) {
	insertAgain(t, s, rows(5))
	for _, table := range []string{"ledger", "usage_hours", "spends"} {
		list := rows(20)
		tx := hold(t, c, database, table)
		failed := make(chan error, 1)
		go func() {
			_, err := s.Insert(t.Context(), list)
			failed <- err
		}()
		if err := syscall.Kill(waiting(t, c, database), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; err == nil {
			t.Error("inserted by nobody")
		}
		_ = tx.Rollback(t.Context()) // gone as well: the server has ended all connections
		insertAgain(t, s, list)
		insertAgain(t, s, list)
	}
	adds(t, s, 65)
}

func testLocked(t *testing.T, c *cluster, s *postgres.Store, database string) {
	insertAgain(t, s, rows(5))
	tx := hold(t, c, database, "ledger")
	// More than there are connections: each gives its own back when its time is over.
	for range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		if n, err := s.Insert(ctx, rows(1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
			t.Errorf("after %s: %d, %v", time.Since(began), n, err)
		}
		cancel()
	}
	if _, err := s.Revision(t.Context()); err != nil { // what is not locked answers
		t.Error(err)
	}
	list := rows(20)
	var all sync.WaitGroup
	all.Go(func() {
		if n, err := s.Insert(t.Context(), list); n != 20 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	waiting(t, c, database)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	adds(t, s, 25)
}

func testRestarted(t *testing.T, c *cluster, s *postgres.Store, _ string) {
	insertAgain(t, s, rows(5))
	for _, stop := range []bool{true, false} {
		if stop {
			c.Stop()
		} else {
			c.Kill() // those that serve its connections may go on for a moment
		}
		list := rows(10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		began := time.Now()
		if _, err := s.Insert(ctx, list); stop && err == nil || time.Since(began) > 2*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		cancel()
		c.Restart()
		began = time.Now()
		insertAgain(t, s, list)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("back after %s", took)
		}
	}
	adds(t, s, 25)
}

func testPaused(t *testing.T, c *cluster, s *postgres.Store, _ string) {
	insertAgain(t, s, rows(5))
	c.Pause()
	list := rows(10)
	for range 3 { // on an open connection, and on new ones
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		if _, err := s.Insert(ctx, list); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		cancel()
	}
	c.Resume()
	insertAgain(t, s, list)
	adds(t, s, 15)
}

// testDeadlock has two transactions wait for each other. The database ends one of them, which is run again.
func testDeadlock(t *testing.T, c *cluster, s *postgres.Store, database string) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	e := store.Entry{At: at, Who: "ops", Action: "x"}
	_, err := s.PutTenant(t.Context(), store.Tenant{ID: "acme", Spec: []byte(`{}`)}, e)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.PutKeys(t.Context(), "acme", []store.Key{{Name: "a", Digest: "1", Spec: []byte(`{}`), Created: at}, {Name: "b", Digest: "2", Spec: []byte(`{}`), Created: at}}, e)
	if err != nil {
		t.Fatal(err)
	}
	conn := c.connect(t, "postgres", database)
	defer conn.Close(t.Context())
	exec := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("SET deadlock_timeout = '1min'") // it is the other one that looks for deadlocks, and ends
	exec("BEGIN")
	exec("UPDATE keys SET spec = '[1]' WHERE name = 'b'")
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.TouchKeys(t.Context(), map[tenant.ID]map[string]time.Time{"acme": {"a": at, "b": at}}); err != nil {
			t.Error(err)
		}
	})
	waiting(t, c, database)
	exec("UPDATE keys SET spec = '[1]' WHERE name = 'a'")
	exec("COMMIT")
	all.Wait()
	x, err := s.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range x.Keys {
		if !k.Used.Equal(at) || string(k.Spec) != "[1]" {
			t.Errorf("key %+v", k)
		}
	}
}

// testPassing has somebody look at rows that are to be pruned: the others are pruned meanwhile.
func testPassing(t *testing.T, c *cluster, s *postgres.Store, database string) {
	insertAgain(t, s, rows(30))
	conn := c.connect(t, "postgres", database)
	defer conn.Close(t.Context())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM ledger ORDER BY id LIMIT 10 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	past := store.Past{Rows: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	f := func(want int) {
		t.Helper()
		if n, err := s.Prune(t.Context(), past, 15); n != want || err != nil {
			t.Errorf("pruned %d, want %d: %v", n, want, err)
		}
	}
	f(15)
	f(5)
	f(0)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	f(10)
}
