package store

import (
	"context"
	"time"
)

// What Sweep asks of a store.
const (
	batch     = 1_000           // rows: a few milliseconds of locks
	batchTime = 5 * time.Second // after which a batch is given up: the store has other troubles
	restFor   = 9               // times as long as the batch took: a tenth of one connection is all that it uses
	leastRest = 100 * time.Millisecond
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
		case <-time.After(max(restFor*time.Since(began), leastRest)):
		case <-ctx.Done():
			return sum, ctx.Err()
		}
	}
}
