package postgres_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
	"github.com/sluice-ai/sluice/gateway/store/storetest"
)

// cluster is a server, and the databases that tests have made in it.
type cluster struct {
	*servers.Postgres
	made atomic.Int64
}

// start starts a server with a database "migrated", from which others are copied.
func start(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{Postgres: servers.StartPostgres(t, "-c", "max_connections=100", "-c", "deadlock_timeout=500ms")}
	c.as(t, "sluice", "postgres", "CREATE DATABASE migrated")
	s, err := postgres.Open(c.URL("sluice", "migrated"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Migrate(t.Context(), 0), s.Close()); err != nil {
		t.Fatal(err)
	}
	return c
}

// as runs a statement in a database as a role.
func (c *cluster) as(t testing.TB, role, database, statement string) {
	t.Helper()
	conn := c.connect(t, role, database)
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (c *cluster) connect(t testing.TB, role, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL(role, database))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// database makes a database like another.
func (c *cluster) database(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test%d", c.made.Add(1))
	c.as(t, "sluice", "postgres", "CREATE DATABASE "+name+" TEMPLATE "+template)
	return name
}

// open opens a database as an ordinary role.
func (c *cluster) open(t testing.TB, database string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(c.URL("sluice", database))
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

// empty is a store without anything in it.
func (c *cluster) empty(t testing.TB) (s *postgres.Store, database string) {
	t.Helper()
	database = c.database(t, "migrated")
	return c.open(t, database), database
}

func TestStore(t *testing.T) {
	c := start(t)
	names := map[store.Store]string{}
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Store {
			s, database := c.empty(t)
			names[s] = database
			return s
		},
		Exec: func(t *testing.T, s store.Store, statement string) { c.as(t, "postgres", names[s], statement) },
	})
}
