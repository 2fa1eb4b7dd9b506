// Package postgres is a store in PostgreSQL (13 or later), shared by the nodes of a fleet.
//
// Its schema is brought up to date when an operator says so, never by a node that happens to start: a store whose schema is too
// old answers everything with [store.ErrOld]. With a newer schema it works, because what is added to a schema is nothing that
// must be known.
//
// Every transaction says which tenant it is about, and row level security hides the rows of all others, so that a forgotten
// condition finds nothing rather than too much. That does not hold for superusers: the role of the gateway should be none.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/tables"
)

//go:embed migrations/*.sql
var files embed.FS

// migrations are the files by their names.
func migrations() fs.FS {
	list, _ := fs.Sub(files, "migrations") // the error would be of an invalid name
	return list
}

// Store is a store in a database.
type Store struct {
	tables.Store
	pool   *pgxpool.Pool
	schema tables.Schema
}

var (
	_ store.Store      = (*Store)(nil)
	_ ledger.Sink      = (*Store)(nil)
	_ ledger.PriceSink = (*Store)(nil)
)

// Open makes a store of postgres://user:password@host:port/database, with whatever parameters pgx knows, such as
// pool_max_conns. The error is of the address alone: the server need not be there, and connections are made when they are
// needed. Whether the schema will do, [Store.Version] tells.
func Open(address string) (*Store, error) { return openAs(address, migrations()) }

// openAs is Open with a schema.
func openAs(address string, migrations fs.FS) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err // without the password
	}
	if _, set := cfg.ConnConfig.RuntimeParams["application_name"]; !set {
		cfg.ConnConfig.RuntimeParams["application_name"] = "sluice"
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	e := &engine{pool: pool, schema: tables.Schema{Dialect: goose.DialectPostgres, Migrations: migrations}}
	return &Store{tables.Store{Engine: e}, pool, e.schema}, nil
}

// Version implements [store.Upkeep].
func (s *Store) Version(ctx context.Context) (have, want int, err error) {
	return version(ctx, s.pool, s.schema)
}

func version(ctx context.Context, pool *pgxpool.Pool, schema tables.Schema) (have, want int, err error) {
	if want, err = schema.Newest(); err != nil {
		return 0, 0, err
	}
	var there bool
	if err := pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", tables.Versions).Scan(&there); err != nil || !there {
		return 0, want, err
	}
	return have, want, pool.QueryRow(ctx, tables.Applied).Scan(&have)
}

// Migrate implements [store.Upkeep]. Of several at the same time, the others wait for the first.
func (s *Store) Migrate(ctx context.Context, to int) (err error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	return s.schema.Migrate(ctx, db, to, goose.WithSessionLocker(locker))
}

// Close closes all connections, once they are not in use any more.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// engine runs the statements of package tables.
type engine struct {
	pool   *pgxpool.Pool
	schema tables.Schema
	fits   atomic.Bool // the schema is new enough: it does not get older
}

// check refuses a schema that is too old.
func (e *engine) check(ctx context.Context) error {
	if e.fits.Load() {
		return nil
	}
	have, want, err := version(ctx, e.pool, e.schema)
	if err != nil {
		return err
	}
	if have < want {
		return fmt.Errorf("%w (it has version %d, and %d is needed)", store.ErrOld, have, want)
	}
	e.fits.Store(true)
	return nil
}

// Read implements [tables.Engine].
func (e *engine) Read(ctx context.Context, whose string, f func(tables.Tx) error) error {
	return e.within(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, whose, f)
}

// Write implements [tables.Engine].
func (e *engine) Write(ctx context.Context, whose string, f func(tables.Tx) error) error {
	err := e.within(ctx, pgx.TxOptions{}, whose, f)
	for try := 1; try < tries && again(err); try++ {
		pause := time.Duration(try) * (5*time.Millisecond + rand.N(20*time.Millisecond)) //nolint:gosec // so that the other one does not lose again
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		err = e.within(ctx, pgx.TxOptions{}, whose, f)
	}
	return err
}

// tries is how often a transaction is run that others get in the way of.
const tries = 5

// again says whether a transaction only met another in an unlucky way.
func again(err error) bool {
	const serialization, deadlock = "40001", "40P01"
	code := codeOf(err)
	return code == serialization || code == deadlock
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func (e *engine) within(ctx context.Context, o pgx.TxOptions, whose string, f func(tables.Tx) error) error {
	if err := e.check(ctx); err != nil {
		return err
	}
	return pgx.BeginTxFunc(ctx, e.pool, o, func(t pgx.Tx) error {
		if _, err := t.Exec(ctx, "SELECT set_config('sluice.tenant', $1, true)", whose); err != nil {
			return err
		}
		return f(tx{t})
	})
}

// stage is where rows are copied to before they are inserted. It is temporary, each connection's own and empty after each
// transaction. Its name has a number, which changes when the ledger's columns do: a connection may outlive a migration.
const stage = "sluice_stage_1"

// Keep implements [tables.Engine].
func (e *engine) Keep(ctx context.Context, t tables.Tx, rows []*ledger.Row) ([]*ledger.Row, error) {
	db := t.(tx).Tx
	columns := tables.Columns()
	list := strings.Join(columns, ", ")
	if _, err := db.Exec(ctx, "CREATE TEMPORARY TABLE IF NOT EXISTS "+stage+" (LIKE ledger) ON COMMIT DELETE ROWS"); err != nil {
		return nil, err
	}
	var values tables.Values
	_, err := db.CopyFrom(ctx, pgx.Identifier{stage}, columns, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		return values.Of(rows[i], e.Time(rows[i].At)), nil
	}))
	if err != nil {
		return nil, err
	}
	type name struct {
		tenant string
		id     ledger.ID
	}
	added := make(map[name]bool, len(rows))
	answer, err := db.Query(ctx, "INSERT INTO ledger ("+list+") SELECT "+list+" FROM "+stage+" ORDER BY id, tenant ON CONFLICT (tenant, id) DO NOTHING RETURNING tenant, id")
	if err != nil {
		return nil, err
	}
	var n name
	_, err = pgx.ForEachRow(answer, []any{&n.tenant, (*[16]byte)(&n.id)}, func() error {
		added[n] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	kept := make([]*ledger.Row, 0, len(added))
	for i := range rows {
		if added[name{string(rows[i].Tenant), rows[i].ID}] {
			kept = append(kept, rows[i])
		}
	}
	return kept, nil
}

// Time implements [tables.Engine].
func (*engine) Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Lock implements [tables.Engine].
func (*engine) Lock(table string, passing bool) string {
	if passing {
		return " FOR UPDATE OF " + table + " SKIP LOCKED"
	}
	return " FOR UPDATE OF " + table
}

// Double implements [tables.Engine].
func (*engine) Double(err error) bool {
	const uniqueViolation = "23505"
	return codeOf(err) == uniqueViolation
}

// tx is a transaction.
type tx struct{ pgx.Tx }

// Exec implements [tables.Tx].
func (t tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.Tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// Query implements [tables.Tx].
func (t tx) Query(ctx context.Context, query string, args []any, each func(scan func(...any) error) error) error {
	rows, err := t.Tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Many implements [tables.Tx].
func (t tx) Many(ctx context.Context, query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	var b pgx.Batch
	for _, a := range args {
		b.Queue(query, a...)
	}
	return t.SendBatch(ctx, &b).Close()
}
