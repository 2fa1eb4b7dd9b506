package tables

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

const day = 24 * time.Hour

// Verify implements [store.Rows]. Each day is looked at in one state of the database, so that rows may come while it runs.
func (s Store) Verify(ctx context.Context, w store.Whose, from, to time.Time) (store.Report, error) {
	var r store.Report
	_, all, err := w.Tenant()
	if err == nil {
		err = s.read(ctx, w, func(tx Tx) error {
			if all {
				if err := s.verifyAudit(ctx, tx, &r); err != nil {
					return err
				}
			}
			return s.span(ctx, tx, w, &r)
		})
	}
	if err != nil {
		return r, err
	}
	if from = from.UTC().Truncate(day); r.From.Before(from) {
		r.From = from
	}
	if end := to.Add(day - 1).UTC().Truncate(day); !to.IsZero() && end.Before(r.To) {
		r.To = end
	}
	if !r.From.Before(r.To) {
		r.From, r.To = time.Time{}, time.Time{}
		return r, nil
	}
	for at := r.From; at.Before(r.To) && err == nil; at = at.Add(day) {
		err = s.read(ctx, w, func(tx Tx) error { return s.verifyDay(ctx, tx, w, at, &r) })
	}
	return r, err
}

// span finds the days of which there is anything, but those of which something was pruned.
func (s Store) span(ctx context.Context, tx Tx, w store.Whose, r *store.Report) error {
	var pruned, first, last time.Time
	if err := one(ctx, tx, []any{moment{&pruned}}, "SELECT pruned FROM meta"); err != nil {
		return err
	}
	var q query
	q.add("SELECT MIN(at), MAX(at) FROM usage_days WHERE TRUE")
	q.whose(w)
	if err := q.run(ctx, tx, func(scan func(...any) error) error { return scan(moment{&first}, moment{&last}) }); err != nil {
		return err
	}
	for _, order := range []bool{true, false} { // rows whose day has no line
		rq := store.RowQuery{Oldest: order}
		q, err := rowQuery(w, &rq)
		if err != nil {
			return err
		}
		q.add(" LIMIT 1")
		err = q.run(ctx, tx, func(scan func(...any) error) error {
			row, err := scanRow(scan)
			at := row.ID.Time().UTC().Truncate(day)
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if first.IsZero() {
		return nil
	}
	r.From, r.To = first, last.Add(day)
	if kept := pruned.Add(day - 1).Truncate(day); r.From.Before(kept) {
		r.From = kept
	}
	return nil
}

// verifyDay compares what the rows of a day add up to with what the tables say.
func (s Store) verifyDay(ctx context.Context, tx Tx, w store.Whose, at time.Time, r *store.Report) error {
	want := newTally()
	rq := store.RowQuery{From: at, To: at.Add(day), Oldest: true}
	q, err := rowQuery(w, &rq)
	if err != nil {
		return err
	}
	err = q.run(ctx, tx, func(scan func(...any) error) error {
		row, err := scanRow(scan)
		want.add(&row)
		r.Rows++
		r.Charge = r.Charge.Plus(tenant.USD(row.Charge))
		if row.Outcome == ledger.Unknown {
			r.Unknown++
		}
		return err
	})
	if err != nil {
		return err
	}
	hours, days := want.lines()
	for table, lines := range map[string]map[line]store.Sums{"usage_hours": hours, "usage_days": days} {
		have, err := s.usageOf(ctx, tx, w, table, at)
		if err != nil {
			return err
		}
		compare(have, lines, line.compare, func(l line, have, want store.Sums) {
			wrong(r, "%s: %s, tenant %s, key %q, model %q, provider %q: %+v, but its rows add up to %+v",
				table, time.Unix(l.at, 0).UTC().Format(time.RFC3339), l.tenant, l.key, l.model, l.provider, have, want)
		})
	}
	have, err := s.spendsOf(ctx, tx, w, at)
	if err != nil {
		return err
	}
	compare(have, want.spends(), spend.compare, func(k spend, have, want tenant.USD) {
		wrong(r, "spends: %s, tenant %s, %s, node %q: %s, but its rows add up to %s",
			at.Format(time.DateOnly), k.tenant, k.scope, k.node, have, want)
	})
	return nil
}

// compare tells of all lines that differ, in their order; a line that is missing is zero.
func compare[K, V comparable](have, want map[K]V, order func(K, K) int, differ func(k K, have, want V)) {
	both := make(map[K]bool, len(have))
	for k := range have {
		both[k] = true
	}
	for k := range want {
		both[k] = true
	}
	for _, k := range sorted(both, order) {
		if have[k] != want[k] {
			differ(k, have[k], want[k])
		}
	}
}

func (s Store) usageOf(ctx context.Context, tx Tx, w store.Whose, table string, at time.Time) (map[line]store.Sums, error) {
	u := store.UsageQuery{From: at, To: at.Add(day), By: store.Day, Tenant: true, Key: true, Model: true, Provider: true}
	if table == "usage_hours" {
		u.By = store.Hour
	}
	lines := map[line]store.Sums{}
	err := s.usageQuery(w, &u).run(ctx, tx, func(scan func(...any) error) error {
		l, err := scanUsage(scan)
		lines[line{l.Tenant, l.At.Unix(), l.Key, l.Model, l.Provider}] = l.Sums
		return err
	})
	return lines, err
}

func (s Store) spendsOf(ctx context.Context, tx Tx, w store.Whose, at time.Time) (map[spend]tenant.USD, error) {
	var q query
	q.add("SELECT tenant, kind, name, node, charge FROM spends WHERE day = ", s.Time(at), "")
	q.whose(w)
	spends := map[spend]tenant.USD{}
	err := q.run(ctx, tx, func(scan func(...any) error) error {
		var kind, charge int64
		var whose string
		k := spend{day: at.Unix()}
		err := scan(&whose, &kind, &k.scope.Name, &k.node, &charge)
		k.tenant, k.scope.Kind = tenant.ID(whose), tenant.ScopeKind(kind) //nolint:gosec // as it was written
		// An earlier version wrote down a key that was replaced apart from its successor.
		if k.scope.Kind == tenant.OfKey {
			k.scope.Name = tenant.KeyName(k.scope.Name)
		}
		spends[k] = spends[k].Plus(tenant.USD(charge))
		return err
	})
	return spends, err
}
