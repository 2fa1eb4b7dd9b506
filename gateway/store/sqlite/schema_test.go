package sqlite_test

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/store/storetest"
)

var update = flag.Bool("update", false, "write the dump of the present version of the schema")

// TestVersions opens what every version of the schema has left: testdata/v1.sql and so on.
func TestVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	s := open(t, path)
	have, want, err := s.Version(t.Context())
	if err != nil || have != want {
		t.Fatalf("version %d, want %d: %v", have, want, err)
	}
	if *update {
		storetest.Fill(t, s)
		if err := os.WriteFile(fmt.Sprintf("testdata/v%d.sql", want), []byte(dump(t, path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for v := 1; v <= want; v++ {
		t.Run(fmt.Sprint("v", v), func(t *testing.T) {
			script, err := os.ReadFile(fmt.Sprintf("testdata/v%d.sql", v))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "old.db")
			tamper(t, path, string(script))
			s := open(t, path)
			if have, _, err := s.Version(t.Context()); err != nil || have != want {
				t.Errorf("version %d, want %d: %v", have, want, err)
			}
			storetest.Filled(t, s)
		})
	}
}

// dump is a database as statements.
func dump(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list := func(query string, args ...any) (answer []string) {
		rows, err := db.QueryContext(t.Context(), query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			answer = append(answer, s)
		}
		return answer
	}
	out := list("SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name")
	for _, table := range list("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name") {
		columns := list("SELECT 'quote(' || name || ')' FROM pragma_table_info(?)", table)
		out = append(out, list("SELECT 'INSERT INTO "+table+" VALUES (' || "+strings.Join(columns, " || ', ' || ")+" || ');' FROM "+table)...)
	}
	return strings.Join(out, "\n") + "\n"
}

// newer makes the schema look like that of a later version, with what that may have added.
func newer(t *testing.T, path string) {
	t.Helper()
	tamper(t, path, `ALTER TABLE ledger ADD COLUMN later TEXT; ALTER TABLE spends ADD COLUMN later TEXT; ALTER TABLE usage_days ADD COLUMN later TEXT;
		ALTER TABLE tenants ADD COLUMN later TEXT; ALTER TABLE keys ADD COLUMN later TEXT; ALTER TABLE tokens ADD COLUMN later TEXT;
		ALTER TABLE audit ADD COLUMN later TEXT; ALTER TABLE meta ADD COLUMN later TEXT; CREATE TABLE later (a TEXT);
		INSERT INTO sluice_schema (version_id, is_applied) VALUES (99, 1)`)
}

// TestNewer runs everything on a schema that a later program has made.
func TestNewer(t *testing.T) {
	paths := map[store.Store]string{}
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Store {
			path := filepath.Join(t.TempDir(), "ledger.db")
			if err := open(t, path).Migrate(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			newer(t, path)
			s := open(t, path)
			if have, want, err := s.Version(t.Context()); have != 99 || want == 99 || err != nil {
				t.Errorf("version %d of %d, %v", have, want, err)
			}
			paths[s] = path
			return s
		},
		Exec: func(t *testing.T, s store.Store, statement string) { tamper(t, paths[s], statement) },
	})
}

// TestCopy has an older schema, which is kept in a file beside it.
func TestCopy(t *testing.T) {
	first, err := os.ReadFile("migrations/00001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	schema := fstest.MapFS{"00001_first.sql": {Data: first}}
	migrate := func() error {
		s, err := sqlite.OpenAs(t.Context(), path, schema)
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := migrate(); err != nil {
		t.Fatal(err)
	}
	if found, err := filepath.Glob(path + "*bak*"); err != nil || len(found) > 0 {
		t.Errorf("copies of nothing: %q, %v", found, err)
	}
	storetest.Fill(t, open(t, path))

	schema["00002_second.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE ledger ADD COLUMN later TEXT;\nCREATE TABLE keys (a TEXT);\n")}
	for range 2 { // which overwrites its copy
		if err := migrate(); err == nil || !strings.Contains(err.Error(), "table keys already exists") || !strings.Contains(err.Error(), path) {
			t.Fatalf("a migration that fails: %v", err)
		}
	}
	schema["00002_second.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE ledger ADD COLUMN later TEXT;\n")}
	for range 2 {
		if err := migrate(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{path: 2, path + ".v1.bak": 1} {
		s := open(t, name)
		if have, _, err := s.Version(t.Context()); err != nil || have != want {
			t.Errorf("%s has version %d, want %d: %v", name, have, want, err)
		}
		storetest.Filled(t, s)
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if found, err := filepath.Glob(path + "*.part"); err != nil || len(found) > 0 {
		t.Errorf("%q, %v", found, err)
	}
}

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "with space?#%41.db")
	s := open(t, path)
	storetest.Fill(t, s)
	for name, want := range map[string]os.FileMode{path: 0o600, dir: os.ModeDir | 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	again := open(t, path) // another process, such as sluice usage
	if r, err := again.Revision(t.Context()); err != nil || r != 4 {
		t.Errorf("revision %d, %v", r, err)
	}
	if err := s.Migrate(t.Context(), 99); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("to a version that is not known: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "none.db"), []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, "none.db")); err == nil || !strings.Contains(err.Error(), "none.db") {
		t.Errorf("what is no database: %v", err)
	}
}
