package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/store/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tamper(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestStore(t *testing.T) {
	paths := map[store.Store]string{}
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Store {
			path := filepath.Join(t.TempDir(), "data", "ledger.db")
			s := open(t, path)
			paths[s] = path
			return s
		},
		Exec: func(t *testing.T, s store.Store, statement string) { tamper(t, paths[s], statement) },
	})
}
