package store

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// Export tells of all rows of a query, in its order, page by page: nothing is locked, nor kept from being deleted, for longer
// than it takes to read a page. An error of each ends it. The query's Limit is the length of a page; its After, where to begin.
func Export(ctx context.Context, r Rows, w Whose, q RowQuery, each func(*ledger.Row) error) error {
	if q.Limit == 0 {
		q.Limit = MostRows
	}
	for {
		rows, next, err := r.Rows(ctx, w, q)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := each(&rows[i]); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.After = next
	}
}

// What Sweep asks of a store.
const (
	batch     = 1_000           // rows: a few milliseconds of locks
	batchTime = 5 * time.Second // after which a batch is given up: the store has other troubles
	restFor   = 9               // times as long as the batch took: a tenth of one connection is all that it uses
)

// Sweep deletes all that is past, in small batches with pauses between them, so that who inserts does not notice. It says how
// much that was. Of a fleet one node at a time should do it; two do no harm.
func Sweep(ctx context.Context, u Upkeep, p Past) (int, error) {
	sum := 0
	for {
		began := time.Now()
		within, cancel := context.WithTimeout(ctx, batchTime)
		n, err := u.Prune(within, p, batch)
		cancel()
		sum += n
		if err != nil || n == 0 {
			return sum, err
		}
		select {
		case <-time.After(restFor * time.Since(began)):
		case <-ctx.Done():
			return sum, ctx.Err()
		}
	}
}
