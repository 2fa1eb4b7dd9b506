// Package sqlite is a store in one file, in a database that is part of the program: what a single gateway needs. It brings its
// schema up to date itself, after it has put a copy of the file beside it.
//
// Only one process writes at a time, and only one transaction: the others wait for up to five seconds, as long as their
// context allows. Those who read wait for nobody. What was committed survives the loss of power.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	sqlite "modernc.org/sqlite"
	errno "modernc.org/sqlite/lib"

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

// Store is a store in a file.
type Store struct {
	tables.Store
	schema tables.Schema
	// There is one connection that writes; those that read cannot.
	writer, reader *sql.DB
}

var (
	_ store.Store      = (*Store)(nil)
	_ ledger.Sink      = (*Store)(nil)
	_ ledger.PriceSink = (*Store)(nil)
)

// Open opens the store in a file, and makes it if it is not there, with its folder: both for nobody else. An older schema is
// brought up to date, and what was there is kept in a file beside it: ledger.db.v3.bak. A newer one stays as it is.
func Open(ctx context.Context, path string) (*Store, error) { return openAs(ctx, path, migrations()) }

// openAs is Open with a schema.
func openAs(ctx context.Context, path string, migrations fs.FS) (*Store, error) {
	s, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("the store %s: %w", path, err)
	}
	s.schema = tables.Schema{Dialect: goose.DialectSQLite3, Migrations: migrations}
	have, want, err := s.Version(ctx)
	if err == nil && have < want {
		if have > 0 {
			err = s.copyTo(ctx, fmt.Sprintf("%s.v%d.bak", path, have))
		}
		if err == nil {
			err = s.Migrate(ctx, 0)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // where the operator wants it
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s := &Store{}
	// synchronous FULL: the journal forgets rows once they are committed here.
	if s.writer, err = connect(path, "immediate", "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = connect(path, "deferred", "busy_timeout(5000)", "query_only(1)"); err != nil {
		return nil, err
	}
	s.reader.SetMaxOpenConns(4)
	s.Store = tables.Store{Engine: engine{s.writer, s.reader}}
	return s, nil
}

func connect(path, lock string, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: url.Values{"_txlock": {lock}, "_pragma": pragmas}.Encode()}
	return sql.Open("sqlite", name.String())
}

// copyTo writes a copy, as of one moment, to another file in place of what was there.
func (s *Store) copyTo(ctx context.Context, path string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := s.writer.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return err
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// Version implements [store.Upkeep].
func (s *Store) Version(ctx context.Context) (have, want int, err error) {
	if want, err = s.schema.Newest(); err != nil {
		return 0, 0, err
	}
	err = s.reader.QueryRowContext(ctx, "SELECT 1 FROM sqlite_master WHERE name = ?", tables.Versions).Scan(&have)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, want, nil
	case err == nil:
		err = s.reader.QueryRowContext(ctx, tables.Applied).Scan(&have)
	}
	return have, want, err
}

// Migrate implements [store.Upkeep].
func (s *Store) Migrate(ctx context.Context, to int) error {
	return s.schema.Migrate(ctx, s.writer, to)
}

// Close closes the file.
func (s *Store) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

// engine runs the statements of package tables.
type engine struct{ writer, reader *sql.DB }

// Read implements [tables.Engine].
func (e engine) Read(ctx context.Context, _ string, f func(tables.Tx) error) error {
	return within(ctx, e.reader, false, f)
}

// Write implements [tables.Engine].
func (e engine) Write(ctx context.Context, _ string, f func(tables.Tx) error) error {
	err := within(ctx, e.writer, false, f)
	if errors.Is(err, errThere) {
		err = within(ctx, e.writer, true, f)
	}
	return err
}

func within(ctx context.Context, db *sql.DB, single bool, f func(tables.Tx) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx{t, conn, single}); err != nil {
		_ = t.Rollback() // done already if the context was
		return err
	}
	return t.Commit()
}

// Time implements [tables.Engine]: microseconds since 1970.
func (engine) Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// Lock implements [tables.Engine].
func (engine) Lock(string, bool) string { return "" }

// Double implements [tables.Engine].
func (engine) Double(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == errno.SQLITE_CONSTRAINT_UNIQUE || e.Code() == errno.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// tx is a transaction.
type tx struct {
	*sql.Tx
	conn   *sql.Conn // that it is on
	single bool      // rows are inserted one by one
}

// Exec implements [tables.Tx].
func (t tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	done, err := t.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// Query implements [tables.Tx].
func (t tx) Query(ctx context.Context, query string, args []any, each func(scan func(...any) error) error) (err error) {
	rows, err := t.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Many implements [tables.Tx].
func (t tx) Many(ctx context.Context, query string, args [][]any) (err error) {
	if len(args) == 0 {
		return nil
	}
	stmt, err := t.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for _, a := range args {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := stmt.ExecContext(atOnce(ctx), a...); err != nil {
			return err
		}
	}
	return nil
}

// atOnce is a context for a statement of microseconds, one of many: to be ready to interrupt it, the driver would start a
// goroutine each time.
func atOnce(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
