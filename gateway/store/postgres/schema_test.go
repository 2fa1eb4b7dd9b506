package postgres_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
	"github.com/sluice-ai/sluice/gateway/store/storetest"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

var update = flag.Bool("update", false, "write the dump of the present version of the schema")

// TestSchema is about schemas that are not as the program wants them.
func TestSchema(t *testing.T) {
	c := start(t)
	t.Run("Versions", func(t *testing.T) { testVersions(t, c) })
	t.Run("Old", func(t *testing.T) { testOld(t, c) })
	t.Run("Migrate", func(t *testing.T) { testMigrate(t, c) })
	t.Run("Walls", func(t *testing.T) { testWalls(t, c) })
	t.Run("Plans", func(t *testing.T) { testPlans(t, c) })
	t.Run("Newer", func(t *testing.T) {
		later := newer(t, c)
		names := map[store.Store]string{}
		storetest.Run(t, storetest.Harness{
			Open: func(t *testing.T) store.Store {
				name := c.database(t, later)
				s := c.open(t, name)
				if have, want, err := s.Version(t.Context()); have != 99 || want == 99 || err != nil {
					t.Errorf("version %d of %d, %v", have, want, err)
				}
				names[s] = name
				return s
			},
			Exec: func(t *testing.T, s store.Store, statement string) { c.as(t, "postgres", names[s], statement) },
		})
	})
}

// newer makes a database whose schema looks like that of a later version, with what that may have added.
func newer(t *testing.T, c *cluster) (database string) {
	t.Helper()
	database = c.database(t, "migrated")
	for _, table := range []string{"ledger", "spends", "usage_days", "tenants", "keys", "tokens", "families", "audit", "meta"} {
		c.as(t, "sluice", database, "ALTER TABLE "+table+" ADD COLUMN later TEXT")
	}
	c.as(t, "sluice", database, "CREATE TABLE later (a TEXT); INSERT INTO sluice_schema (version_id, is_applied) VALUES (99, TRUE)")
	s, err := postgres.Open(c.URL("sluice", database))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Migrate(t.Context(), 0), s.Close()); err != nil { // which goes nowhere
		t.Error(err)
	}
	return database
}

// testVersions goes on from what every version of the schema has left: testdata/v1.sql and so on.
func testVersions(t *testing.T, c *cluster) {
	s, name := c.empty(t)
	have, want, err := s.Version(t.Context())
	if err != nil || have != want {
		t.Fatalf("version %d, want %d: %v", have, want, err)
	}
	if *update {
		storetest.Fill(t, s)
		out, err := exec.CommandContext(t.Context(), "pg_dump", "--inserts", "--no-owner", c.URL("postgres", name)).Output()
		if err != nil {
			t.Fatal(err)
		}
		var kept []byte
		for l := range bytes.Lines(out) {
			if !bytes.HasPrefix(l, []byte(`\`)) && !bytes.HasPrefix(l, []byte("--")) && len(bytes.TrimSpace(l)) > 0 { // psql's own, and comments
				kept = append(kept, l...)
			}
		}
		if err := os.WriteFile(fmt.Sprintf("testdata/v%d.sql", want), kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for v := 1; v <= want; v++ {
		script, err := os.ReadFile(fmt.Sprintf("testdata/v%d.sql", v))
		if err != nil {
			t.Fatal(err)
		}
		name := c.database(t, "template1")
		c.as(t, "sluice", name, "SET sluice.tenant = '*'; "+string(script))
		s := c.open(t, name)
		if have, _, err := s.Version(t.Context()); err != nil || have != v {
			t.Errorf("version %d, want %d: %v", have, v, err)
		}
		if err := s.Migrate(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		storetest.Filled(t, s)
	}
}

// testOld has a schema that is too old: everything says so, and what to do.
func testOld(t *testing.T, c *cluster) {
	name := c.database(t, "template1")
	s := c.open(t, name)
	have, want, err := s.Version(t.Context())
	if have != 0 || want < 1 || err != nil {
		t.Errorf("version %d of %d, %v", have, want, err)
	}
	_, err = s.Revision(t.Context())
	old := func(err error) {
		t.Helper()
		if !errors.Is(err, store.ErrOld) || !strings.Contains(err.Error(), "run sluice migrate") || !strings.Contains(err.Error(), "version 0") {
			t.Errorf("got %v", err)
		}
	}
	old(err)
	_, err = s.Insert(t.Context(), []ledger.Row{row()})
	old(err)
	if err := s.Migrate(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Insert(t.Context(), []ledger.Row{row()}); n != 1 || err != nil { // without being opened again
		t.Errorf("%d, %v", n, err)
	}
}

func testMigrate(t *testing.T, c *cluster) {
	name := c.database(t, "template1")
	first, err := os.ReadFile("migrations/00001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	schema := fstest.MapFS{
		"00001_first.sql":  {Data: first},
		"00002_second.sql": {Data: []byte("-- +goose Up\nALTER TABLE ledger ADD COLUMN later TEXT;\n")},
		"00003_third.sql":  {Data: []byte("-- +goose Up\nALTER TABLE ledger ADD COLUMN later TEXT;\n")}, // which fails
	}
	var all sync.WaitGroup
	for range 4 { // nodes that an operator starts at once
		s, err := postgres.OpenAs(c.URL("sluice", name), schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		all.Go(func() {
			if err := s.Migrate(t.Context(), 2); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := postgres.OpenAs(c.URL("sluice", name), schema)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	version := func(want int) {
		t.Helper()
		if have, newest, err := s.Version(t.Context()); have != want || newest != 3 || err != nil {
			t.Errorf("version %d of %d, want %d: %v", have, newest, want, err)
		}
	}
	version(2)
	if err := s.Migrate(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a migration that fails: %v", err)
	}
	version(2)
	for _, to := range []int{-1, 4} {
		if err := s.Migrate(t.Context(), to); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("to %d: %v", to, err)
		}
	}
	if err := s.Migrate(t.Context(), 1); err != nil { // never back
		t.Error(err)
	}
	version(2)
}

// testWalls has somebody ask the database itself, without the conditions that the store would have added.
func testWalls(t *testing.T, c *cluster) {
	s, name := c.empty(t)
	storetest.Fill(t, s)
	conn := c.connect(t, "sluice", name) // the tables' owner
	defer conn.Close(t.Context())

	// Whatever a migration adds: what belongs to a tenant is behind the wall.
	var open []string
	rows, err := conn.Query(t.Context(), `SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
		AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' OR c.relname = 'tenants')
		AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))`)
	if err == nil {
		open, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil || len(open) > 0 {
		t.Errorf("without a wall: %q, %v", open, err)
	}
	seen := func(tenant, want string) {
		t.Helper()
		for _, table := range []string{"tenants", "keys", "families", "tokens", "ledger", "usage_hours", "usage_days", "spends", "audit"} {
			column := "tenant"
			if table == "tenants" {
				column = "id"
			}
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if tenant != "" {
				_, err = tx.Exec(t.Context(), "SELECT set_config('sluice.tenant', $1, true)", tenant)
			}
			if err == nil {
				err = tx.QueryRow(t.Context(), "SELECT COALESCE(string_agg(DISTINCT "+column+", ' ' ORDER BY "+column+"), '') FROM "+table).Scan(&got)
			}
			if err = errors.Join(err, tx.Rollback(t.Context())); err != nil || got != want {
				t.Errorf("%s sees %q in %s, want %q: %v", tenant, got, table, want, err)
			}
		}
	}
	seen("", "")
	seen("acme", "acme")
	seen("none", "")
	seen("*", "acme bolt")
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "SET LOCAL sluice.tenant = 'acme'; UPDATE tenants SET id = 'bolt2' WHERE id = 'acme'")
	if err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("a row was given to another tenant: %v", err)
	}
}

// testPlans has the first rows found by an index, whatever the wall looks like: not by sorting all of a ledger.
func testPlans(t *testing.T, c *cluster) {
	s, name := c.empty(t)
	for i := range 5 {
		list := rows(1000)
		for j := range list {
			list[j].Tenant = tenant.ID(fmt.Sprint("t", (i+j)%7))
		}
		insertAgain(t, s, list)
	}
	c.as(t, "sluice", name, "ANALYZE")
	conn := c.connect(t, "sluice", name)
	defer conn.Close(t.Context())
	f := func(whose, query, index string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "SELECT set_config('sluice.tenant', $1, false)", whose); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(t.Context(), "EXPLAIN "+query)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan := strings.Join(lines, "\n")
		if err != nil || !strings.Contains(plan, "using "+index) || strings.Contains(plan, "Sort") {
			t.Errorf("%s: %v\n%s", query, err, plan)
		}
	}
	f("*", "SELECT id FROM ledger WHERE id < 'ffffffff-0000-7000-8000-000000000000' ORDER BY id LIMIT 100 FOR UPDATE OF ledger SKIP LOCKED", "ledger_id")
	f("*", "SELECT * FROM ledger ORDER BY id DESC, tenant DESC LIMIT 10", "ledger_id")
	f("t1", "SELECT * FROM ledger WHERE tenant = 't1' ORDER BY id DESC, tenant DESC LIMIT 10", "ledger_pkey")
}

func TestOpen(t *testing.T) {
	if _, err := postgres.Open("postgres://sluice:s3cret@localhost:port/db"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	// That nobody is there is found out when somebody is asked.
	s, err := postgres.Open("postgres://sluice:s3cret@" + servers.Local(servers.FreePort(t)) + "/db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	began := time.Now()
	if _, err := s.Revision(t.Context()); err == nil || errors.Is(err, store.ErrOld) || strings.Contains(err.Error(), "s3cret") || time.Since(began) > 2*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}
