package tables

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Prune implements [store.Upkeep]. Each kind is a transaction of its own, so that none is long.
func (s Store) Prune(ctx context.Context, p store.Past, limit int) (int, error) {
	sum := 0
	for _, kind := range []struct {
		past time.Time
		run  func(tx Tx) (int64, error)
	}{
		{p.Rows, func(tx Tx) (int64, error) {
			return s.pruneSums(ctx, tx, sums{"ledger", "tenant, id", "id", firstID(p.Rows), p.Rows}, limit)
		}},
		{p.Hours, func(tx Tx) (int64, error) {
			return s.pruneSums(ctx, tx, sums{"usage_hours", usageKey, "at", s.Time(p.Hours), p.Hours}, limit)
		}},
		{p.Days, func(tx Tx) (int64, error) {
			return s.pruneSums(ctx, tx, sums{"usage_days", usageKey, "at", s.Time(p.Days), p.Days}, limit)
		}},
		{p.Spends, func(tx Tx) (int64, error) { return s.foldSpends(ctx, tx, p.Spends, limit) }},
		{p.Entries, func(tx Tx) (int64, error) { return s.pruneEntries(ctx, tx, p.Entries, limit) }},
		{p.Families, func(tx Tx) (int64, error) { return s.pruneFamilies(ctx, tx, p.Families, limit) }},
	} {
		if kind.past.IsZero() {
			continue
		}
		var n int64
		err := s.Write(ctx, All, func(tx Tx) (err error) {
			n, err = kind.run(tx)
			return err
		})
		if err != nil {
			return sum, err
		}
		sum += int(n)
	}
	return sum, nil
}

const usageKey = "tenant, at, key_name, model, provider"

// sums are rows, or lines that were made of them, that are past.
type sums struct {
	table, key string
	column     string // by which they are past
	before     any    // in the column
	past       time.Time
}

// pruneSums deletes some of them. Afterwards rows and lines of that time cannot be compared any more.
func (s Store) pruneSums(ctx context.Context, tx Tx, o sums, limit int) (int64, error) {
	some := "SELECT " + o.key + " FROM " + o.table + " WHERE " + o.column + " < $1 ORDER BY " + o.column + " LIMIT $2" + s.Lock(o.table, true)
	n, err := tx.Exec(ctx, pruning(o.table, o.key, some), o.before, limit)
	if err == nil && n > 0 {
		_, err = tx.Exec(ctx, "UPDATE meta SET pruned = $1 WHERE pruned < $1", s.Time(o.past))
	}
	return n, err
}

// pruning deletes what a statement selects. It is materialized, because PostgreSQL might otherwise run it again for each row,
// and find others under its limit.
func pruning(table, key, some string) string {
	return "WITH past AS MATERIALIZED (" + some + ") DELETE FROM " + table + " WHERE (" + key + ") IN (SELECT " + key + " FROM past)"
}

// foldSpends adds lines of spends up in those of the day zero. Rows and spends of that time cannot be compared any more.
func (s Store) foldSpends(ctx context.Context, tx Tx, past time.Time, limit int) (int64, error) {
	past = past.UTC().Truncate(day)
	var q query
	q.add("SELECT tenant, kind, name, day, node, charge FROM spends WHERE day > ", s.Time(time.Unix(0, 0)), " AND day < ", s.Time(past),
		" LIMIT ", limit, s.Lock("spends", true))
	var lines [][]any
	folded := map[spend]tenant.USD{}
	err := q.run(ctx, tx, func(scan func(...any) error) error {
		var kind, charge int64
		var whose string
		var at time.Time
		var to spend
		err := scan(&whose, &kind, &to.scope.Name, moment{&at}, &to.node, &charge)
		to.tenant, to.scope.Kind = tenant.ID(whose), tenant.ScopeKind(kind) //nolint:gosec // as it was written
		folded[to] = folded[to].Plus(tenant.USD(charge))
		lines = append(lines, []any{whose, int16(kind), to.scope.Name, s.Time(at), to.node}) //nolint:gosec // as it was written
		return err
	})
	if err != nil || len(lines) == 0 {
		return 0, err
	}
	if err := tx.Many(ctx, addSpend+money("charge"), s.spendValues(folded)); err != nil {
		return 0, err
	}
	if err := tx.Many(ctx, "DELETE FROM spends WHERE tenant = $1 AND kind = $2 AND name = $3 AND day = $4 AND node = $5", lines); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, "UPDATE meta SET pruned = $1 WHERE pruned < $1", s.Time(past))
	return int64(len(lines)), err
}

// pruneEntries deletes the oldest entries, and none behind one that is kept: the clocks of nodes differ, and the rest must be
// a chain.
func (s Store) pruneEntries(ctx context.Context, tx Tx, past time.Time, limit int) (int64, error) {
	return tx.Exec(ctx, pruning("audit", "seq", `SELECT seq FROM audit WHERE
		seq < COALESCE((SELECT MIN(seq) FROM audit WHERE at >= $1), 9223372036854775807) ORDER BY seq LIMIT $2`), s.Time(past), limit)
}

// pruneFamilies deletes families with their tokens.
func (s Store) pruneFamilies(ctx context.Context, tx Tx, past time.Time, limit int) (int64, error) {
	var q query
	var families [][]any
	q.add("SELECT tenant, id FROM families WHERE expires < ", s.Time(past), " ORDER BY expires LIMIT ", limit, s.Lock("families", true))
	err := q.run(ctx, tx, func(scan func(...any) error) error {
		var whose, id string
		err := scan(&whose, &id)
		families = append(families, []any{whose, id})
		return err
	})
	if err == nil {
		err = tx.Many(ctx, "DELETE FROM tokens WHERE tenant = $1 AND family = $2", families)
	}
	if err == nil {
		err = tx.Many(ctx, "DELETE FROM families WHERE tenant = $1 AND id = $2", families)
	}
	return int64(len(families)), err
}
