package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store/tables"
)

// together is how many rows one statement inserts.
const together = 25

// errThere ends a transaction in which several rows were inserted with one statement, and some of them were there already: which,
// SQLite does not say. Who restarts hands in again what was not known to be shipped; all others have only new rows.
var errThere = errors.New("some of the rows were there already")

// Keep implements [tables.Engine]. It talks to the driver itself: package database/sql looks at each value of a statement, and in
// a batch there are ten thousand.
func (e engine) Keep(ctx context.Context, t tables.Tx, rows []*ledger.Row) (kept []*ledger.Row, err error) {
	x := t.(tx) //nolint:forcetypeassert // it is ours
	err = x.conn.Raw(func(conn any) error {
		// Who rolls back because ctx has ended waits until we return, so the transaction is there as long as we are.
		k := keeper{e, conn.(driver.ConnPrepareContext)} //nolint:forcetypeassert // it is the driver's
		if x.single {
			return k.insert(ctx, rows, 1, func(part []*ledger.Row, added int) { kept = append(kept, part[:added]...) })
		}
		all := 0
		err := k.insert(ctx, rows, together, func(_ []*ledger.Row, added int) { all += added })
		if err == nil && all < len(rows) {
			return errThere
		}
		kept = rows
		return err
	})
	return kept, err
}

// keeper inserts rows.
type keeper struct {
	engine
	conn driver.ConnPrepareContext
}

// insert inserts rows, so many with a statement, and tells for each how many it added.
func (k keeper) insert(ctx context.Context, rows []*ledger.Row, together int, tell func(part []*ledger.Row, added int)) error {
	for len(rows) > 0 {
		n := min(together, len(rows))
		whole := len(rows) / n * n
		if err := k.insertWhole(ctx, rows[:whole], n, tell); err != nil {
			return err
		}
		rows = rows[whole:]
	}
	return nil
}

// insertWhole is insert for a multiple of that many.
func (k keeper) insertWhole(ctx context.Context, rows []*ledger.Row, together int, tell func(part []*ledger.Row, added int)) (err error) {
	s, err := k.conn.PrepareContext(atOnce(ctx), tables.InsertRows(together))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var columns tables.Values
	args := make([]driver.NamedValue, 0, together*len(tables.Columns()))
	for part := range slices.Chunk(rows, together) {
		if err := ctx.Err(); err != nil {
			return err
		}
		args = args[:0]
		for _, r := range part {
			for _, v := range columns.Of(r, k.Time(r.At)) {
				args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: v})
			}
		}
		done, err := s.(driver.StmtExecContext).ExecContext(atOnce(ctx), args) //nolint:forcetypeassert // it can
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		tell(part, int(n))
	}
	return nil
}
