// Package tables is what stores in SQLite and in PostgreSQL have in common: the statements, in words that both understand, over
// an [Engine] that runs them. The tables themselves are in the migrations of either.
package tables

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Tx is a transaction. Parameters are written $1, $2 and so on; of the values that statements take, [Engine.Time] makes times.
type Tx interface {
	// Exec runs a statement and says how many rows it touched.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Query runs a statement that answers; each is called for every row, in turn.
	Query(ctx context.Context, query string, args []any, each func(scan func(dest ...any) error) error) error
	// Many runs one statement with many lists of values.
	Many(ctx context.Context, query string, args [][]any) error
}

// Engine is a database.
type Engine interface {
	// Read runs f in a transaction that sees one state of the database and changes nothing. whose is the tenant that it is
	// about, or [All]; an engine that can hides all others' rows.
	Read(ctx context.Context, whose string, f func(Tx) error) error
	// Write runs f in a transaction, which is committed if f has no error. It may be run again, if the database asks for that.
	Write(ctx context.Context, whose string, f func(Tx) error) error
	// Keep inserts rows, which are in the order of their ids, and returns those that were not there.
	Keep(ctx context.Context, tx Tx, rows []*ledger.Row) ([]*ledger.Row, error)
	// Time is a time as the database takes it; nil for the zero time.
	Time(t time.Time) any
	// Lock ends a SELECT whose rows are to be locked: of one of its tables, or (with passing) without those that are locked
	// already. It is "" where nobody else can write anyway.
	Lock(table string, passing bool) string
	// Double says whether an error means that something is there already.
	Double(err error) bool
}

// All is whose a transaction is about that concerns everybody.
const All = string(store.Operator)

// Store is the part of a [store.Store] that does not depend on the database.
type Store struct{ Engine }

// read runs f about one tenant, or about all.
func (s Store) read(ctx context.Context, w store.Whose, f func(Tx) error) error {
	id, all, err := w.Tenant()
	switch {
	case err != nil:
		return err
	case all:
		id = store.Operator
	}
	return s.Read(ctx, string(id), f)
}

// readOne runs f about one tenant.
func (s Store) readOne(ctx context.Context, id tenant.ID, f func(Tx) error) error {
	return s.read(ctx, store.Only(id), f)
}

// writeOne runs f about one tenant.
func (s Store) writeOne(ctx context.Context, id tenant.ID, f func(Tx) error) error {
	if err := store.Check(id); err != nil {
		return err
	}
	return s.Write(ctx, string(id), f)
}

// one scans the only row of an answer, if there is one.
func one(ctx context.Context, tx Tx, dest []any, query string, args ...any) error {
	return tx.Query(ctx, query, args, func(scan func(...any) error) error { return scan(dest...) })
}

// moment scans a time; NULL is the zero time.
type moment struct{ t *time.Time }

// Scan implements [database/sql.Scanner].
func (m moment) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m.t = time.Time{}
	case int64:
		*m.t = time.UnixMicro(v).UTC()
	case time.Time:
		*m.t = v.UTC()
	default:
		return fmt.Errorf("%T is no time", v)
	}
	return nil
}

// query is a statement that is put together from constant texts and parameters.
type query struct {
	text strings.Builder
	args []any
}

// add adds texts, and a parameter between each two.
func (q *query) add(text string, more ...any) {
	q.text.WriteString(text)
	for i, v := range more {
		if i%2 == 1 {
			q.text.WriteString(v.(string)) //nolint:forcetypeassert // a constant
			continue
		}
		q.args = append(q.args, v)
		q.text.WriteString("$" + strconv.Itoa(len(q.args)))
	}
}

// equal adds a condition for a column, if there is one.
func (q *query) equal(column, value string) {
	if value != "" {
		q.add(" AND "+column+" = ", value)
	}
}

// time adds a condition for a time, if there is one.
func (s Store) time(q *query, column, compare string, t time.Time) {
	if !t.IsZero() {
		q.add(" AND "+column+" "+compare+" ", s.Time(t))
	}
}

// whose adds the condition that rows belong to a tenant, unless they may be anybody's.
func (q *query) whose(w store.Whose) {
	if id, all, _ := w.Tenant(); !all {
		q.add(" AND tenant = ", string(id))
	}
}

func (q *query) run(ctx context.Context, tx Tx, each func(scan func(...any) error) error) error {
	return tx.Query(ctx, q.text.String(), q.args, each)
}

// pageOf is the length of a page.
func pageOf(limit int) int {
	if limit <= 0 {
		limit = 100
	}
	return min(limit, store.MostRows)
}
