package tables

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Insert implements [store.Rows].
func (s Store) Insert(ctx context.Context, rows []ledger.Row) (int, error) {
	for i := range rows {
		if err := store.Check(rows[i].Tenant); err != nil {
			return 0, fmt.Errorf("row %s: %w", rows[i].ID, err)
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	list := unique(clean(rows))
	inserted := 0
	err := s.Write(ctx, All, func(tx Tx) error {
		kept, err := s.Keep(ctx, tx, list)
		if err != nil {
			return err
		}
		inserted = len(kept)
		sums := newTally()
		for _, r := range kept {
			sums.add(r)
		}
		hours, days := sums.lines()
		return errors.Join(
			tx.Many(ctx, addUsage("usage_hours"), s.usageValues(hours)),
			tx.Many(ctx, addUsage("usage_days"), s.usageValues(days)),
			tx.Many(ctx, addSpend+money("charge"), s.spendValues(sums.spends())),
		)
	})
	if err != nil {
		return 0, err
	}
	return inserted, nil
}

// unique are rows in the order of their ids, the first of each.
func unique(rows []*ledger.Row) []*ledger.Row {
	slices.SortStableFunc(rows, func(a, b *ledger.Row) int {
		if c := bytes.Compare(a.ID[:], b.ID[:]); c != 0 {
			return c
		}
		return strings.Compare(string(a.Tenant), string(b.Tenant))
	})
	return slices.CompactFunc(rows, func(a, b *ledger.Row) bool { return a.ID == b.ID && a.Tenant == b.Tenant })
}

// InsertPrices implements [ledger.PriceSink].
func (s Store) InsertPrices(ctx context.Context, prices []ledger.Price) error {
	return s.Write(ctx, All, func(tx Tx) error {
		list := make([][]any, len(prices))
		for i, p := range prices {
			list[i] = []any{int64(p.Version), text(p.Provider), text(p.Model), string(p.Rates)} //nolint:gosec // a digest: all bits count
		}
		return tx.Many(ctx, "INSERT INTO prices (version, provider, model, rates) VALUES ($1, $2, $3, $4) ON CONFLICT (version) DO NOTHING", list)
	})
}

// Spent implements [store.Rows].
func (s Store) Spent(ctx context.Context, id tenant.ID, windows []store.Window) ([]map[string]tenant.USD, error) {
	list := make([]map[string]tenant.USD, len(windows))
	err := s.readOne(ctx, id, func(tx Tx) error {
		for i := range windows {
			list[i] = map[string]tenant.USD{}
			if err := s.spent(ctx, tx, id, &windows[i], list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// spent adds up a window here rather than in the database, where sums end in an error at the most that money can be.
func (s Store) spent(ctx context.Context, tx Tx, id tenant.ID, w *store.Window, byNode map[string]tenant.USD) error {
	pattern := tenant.Pattern(w.Scope.Name)
	some := w.Scope.Kind == tenant.OfModel && pattern.Wild()
	var q query
	q.add("SELECT name, node, charge FROM spends WHERE tenant = ", string(id), " AND kind = ", int16(w.Scope.Kind), "")
	if !some {
		q.add(" AND name = ", w.Scope.Name)
	}
	s.time(&q, "day", ">=", w.From)
	s.time(&q, "day", "<", w.To)
	return q.run(ctx, tx, func(scan func(...any) error) error {
		var name, node string
		var charge int64
		if err := scan(&name, &node, &charge); err != nil {
			return err
		}
		if !some || pattern.Match(name) {
			byNode[node] = byNode[node].Plus(tenant.USD(charge))
		}
		return nil
	})
}

// Usage implements [store.Rows].
func (s Store) Usage(ctx context.Context, w store.Whose, u store.UsageQuery) ([]store.Usage, error) {
	limit := u.Limit
	if limit <= 0 {
		limit = store.MostUsage
	}
	q := s.usageQuery(w, &u)
	q.add(" LIMIT ", limit+1)
	var list []store.Usage
	err := s.read(ctx, w, func(tx Tx) error {
		return q.run(ctx, tx, func(scan func(...any) error) error {
			l, err := scanUsage(scan)
			list = append(list, l)
			return err
		})
	})
	switch {
	case err != nil:
		return nil, err
	case len(list) > limit:
		return nil, fmt.Errorf("%w: the answer has more than %d lines", store.ErrInvalid, limit)
	}
	return list, nil
}

func (s Store) usageQuery(w store.Whose, u *store.UsageQuery) *query {
	var q query
	table, at := "usage_days", "at"
	switch u.By {
	case store.Hour:
		table = "usage_hours"
	case store.All:
		at = "NULL"
	}
	columns := at
	var groups []string
	if u.By != store.All {
		groups = append(groups, "at")
	}
	for _, c := range []struct {
		name string
		on   bool
	}{{"tenant", u.Tenant}, {"key_name", u.Key}, {"model", u.Model}, {"provider", u.Provider}} {
		if c.on {
			columns, groups = columns+", "+c.name, append(groups, c.name)
		} else {
			columns += ", ''"
		}
	}
	q.add("SELECT " + columns + ", " + summed + " FROM " + table + " WHERE TRUE")
	q.whose(w)
	s.time(&q, "at", ">=", u.From)
	s.time(&q, "at", "<", u.To)
	q.equal("key_name", u.Where.Key)
	q.equal("model", u.Where.Model)
	q.equal("provider", u.Where.Provider)
	if len(groups) > 0 {
		q.add(" GROUP BY " + strings.Join(groups, ", ") + " ORDER BY " + strings.Join(groups, ", "))
	} else {
		q.add(" HAVING COUNT(*) > 0")
	}
	return &q
}

// summed are sums of all columns. Money is added up in two parts, micro-dollars and what is left of them, because databases end
// a sum that is too large for 64 bits in an error.
const summed = "CAST(SUM(attempts) AS BIGINT), CAST(SUM(cached) AS BIGINT), CAST(SUM(failed) AS BIGINT), CAST(SUM(input) AS BIGINT), " +
	"CAST(SUM(cache_read) AS BIGINT), CAST(SUM(cache_write) AS BIGINT), CAST(SUM(output) AS BIGINT), CAST(SUM(reasoning) AS BIGINT), " +
	"CAST(SUM(cost / 1000000) AS BIGINT), CAST(SUM(cost % 1000000) AS BIGINT), CAST(SUM(charge / 1000000) AS BIGINT), " +
	"CAST(SUM(charge % 1000000) AS BIGINT), CAST(SUM(unpriced) AS BIGINT)"

func scanUsage(scan func(...any) error) (l store.Usage, err error) {
	var whose string
	var cost, costRest, charge, chargeRest int64
	err = scan(moment{&l.At}, &whose, &l.Key, &l.Model, &l.Provider, &l.Attempts, &l.Cached, &l.Failed, &l.Input, &l.CacheRead, &l.CacheWrite,
		&l.Output, &l.Reasoning, &cost, &costRest, &charge, &chargeRest, &l.Unpriced)
	l.Tenant, l.Cost, l.Charge = tenant.ID(whose), whole(cost, costRest), whole(charge, chargeRest)
	return l, err
}

// whole puts money together of its parts.
func whole(micro, rest int64) tenant.USD {
	const most = 1<<63 - 1
	if micro > most/1_000_000-1 {
		return most
	}
	return tenant.USD(micro * 1_000_000).Plus(tenant.USD(rest))
}

// Rows implements [store.Rows].
func (s Store) Rows(ctx context.Context, w store.Whose, rq store.RowQuery) ([]ledger.Row, string, error) {
	limit := pageOf(rq.Limit)
	q, err := rowQuery(w, &rq)
	if err != nil {
		return nil, "", err
	}
	q.add(" LIMIT ", limit)
	var list []ledger.Row
	err = s.read(ctx, w, func(tx Tx) error {
		return q.run(ctx, tx, func(scan func(...any) error) error {
			r, err := scanRow(scan)
			list = append(list, r)
			return err
		})
	})
	if err != nil || len(list) < limit {
		return list, "", err
	}
	last := &list[limit-1]
	return list, hex.EncodeToString(append(last.ID[:], last.Tenant...)), nil
}

func rowQuery(w store.Whose, rq *store.RowQuery) (*query, error) {
	var q query
	q.add("SELECT " + columns + " FROM ledger WHERE TRUE")
	q.whose(w)
	if !rq.ID.IsZero() {
		q.add(" AND id = ", rq.ID[:])
	}
	if !rq.From.IsZero() {
		q.add(" AND id >= ", firstID(rq.From))
	}
	if !rq.To.IsZero() {
		q.add(" AND id < ", firstID(rq.To))
	}
	q.equal("key_name", rq.Key)
	q.equal("user_name", rq.User)
	q.equal("model", rq.Model)
	q.equal("provider", rq.Provider)
	q.equal("request", rq.Request)
	if rq.Outcome != nil {
		q.equal("outcome", rq.Outcome.String())
	}
	beyond, order := "<", " DESC"
	if rq.Oldest {
		beyond, order = ">", ""
	}
	if rq.After != "" {
		place, err := hex.DecodeString(rq.After)
		if err != nil || len(place) <= len(ledger.ID{}) {
			return nil, fmt.Errorf("%w: %q is no place in the ledger", store.ErrInvalid, rq.After)
		}
		id, whose := place[:len(ledger.ID{})], string(place[len(ledger.ID{}):])
		q.add(" AND id "+beyond+"= ", id, " AND (id "+beyond+" ", id, " OR tenant "+beyond+" ", whose, ")")
	}
	q.add(" ORDER BY id" + order + ", tenant" + order)
	return &q, nil
}

// firstID is before all ids that are minted at a time or later, and after all others.
func firstID(t time.Time) []byte {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	var id ledger.ID
	binary.BigEndian.PutUint64(id[:], uint64(max(ms, 0))<<16)
	return id[:]
}
