package tables

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// line names a line of rollups.
type line struct {
	tenant               tenant.ID
	at                   int64 // Unix seconds: when the hour or the day begins
	key, model, provider string
}

func (l line) compare(m line) int {
	return cmp.Or(cmp.Compare(l.tenant, m.tenant), cmp.Compare(l.at, m.at), cmp.Compare(l.key, m.key), cmp.Compare(l.model, m.model), cmp.Compare(l.provider, m.provider))
}

// spend names a line of spends.
type spend struct {
	tenant tenant.ID
	scope  tenant.Scope
	day    int64
	node   string
}

func (s spend) compare(t spend) int {
	return cmp.Or(cmp.Compare(s.tenant, t.tenant), cmp.Compare(s.scope.Kind, t.scope.Kind), cmp.Compare(s.scope.Name, t.scope.Name), cmp.Compare(s.day, t.day), cmp.Compare(s.node, t.node))
}

// kind names what rows are added up as first: those of a batch are of few kinds.
type kind struct {
	line
	user, node string
}

// tally is what rows add up to. It is the only place that says so: Insert adds it to the tables, Verify compares.
type tally struct {
	kinds map[kind]*store.Sums // by the hour
	last  kind
	sums  *store.Sums // of last
}

func newTally() *tally { return &tally{kinds: map[kind]*store.Sums{}} }

// add adds a row. Its time is that in its id, so that rows are found again by ids.
func (t *tally) add(r *ledger.Row) {
	hour := r.ID.Time().UTC().Truncate(time.Hour).Unix()
	k := kind{line{r.Tenant, hour, r.Key, r.Model, r.Provider}, r.User, r.Node}
	if t.sums == nil || k != t.last {
		t.last, t.sums = k, t.kinds[k]
		if t.sums == nil {
			t.sums = new(store.Sums)
			t.kinds[k] = t.sums
		}
	}
	*t.sums = plus(*t.sums, sumsOf(r))
}

// lines are the lines of hours and days that the rows add to.
func (t *tally) lines() (hours, days map[line]store.Sums) {
	hours, days = map[line]store.Sums{}, map[line]store.Sums{}
	for k, sums := range t.kinds {
		l := k.line
		hours[l] = plus(hours[l], *sums)
		l.at = dayOf(l.at)
		days[l] = plus(days[l], *sums)
	}
	return hours, days
}

// spends are the lines of spends that the rows add to.
func (t *tally) spends() map[spend]tenant.USD {
	spends := map[spend]tenant.USD{}
	for k, sums := range t.kinds {
		if sums.Charge == 0 {
			continue
		}
		for _, scope := range [...]tenant.Scope{{}, {Kind: tenant.OfKey, Name: tenant.KeyName(k.key)}, {Kind: tenant.OfUser, Name: k.user}, {Kind: tenant.OfModel, Name: k.model}} {
			if scope.Kind != tenant.OfTenant && scope.Name == "" {
				continue
			}
			s := spend{k.tenant, scope, dayOf(k.at), k.node}
			spends[s] = spends[s].Plus(sums.Charge)
		}
	}
	return spends
}

// dayOf is when the day of an hour begins, in Unix seconds.
func dayOf(hour int64) int64 { return time.Unix(hour, 0).UTC().Truncate(day).Unix() }

// sumsOf is what one row adds.
func sumsOf(r *ledger.Row) store.Sums {
	u := &r.Usage
	s := store.Sums{
		Input: u.Input + u.InputAudio + u.InputImage, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite + u.CacheWriteHour,
		Output: u.Output + u.OutputAudio + u.OutputImage, Reasoning: u.Reasoning, Charge: tenant.USD(r.Charge),
	}
	if r.Kind == ledger.Attempt {
		s.Attempts = 1
	} else {
		s.Cached = 1
	}
	switch r.Outcome {
	case ledger.Refused, ledger.Failed, ledger.Unsent, ledger.Timeout, ledger.Cut:
		s.Failed = 1
	}
	switch {
	case !r.Cost.Known:
		s.Unpriced = 1
	case r.Flags&ledger.Own == 0:
		s.Cost = tenant.USD(r.Cost.Picodollars)
	}
	return s
}

func plus(a, b store.Sums) store.Sums {
	return store.Sums{
		Attempts: a.Attempts + b.Attempts, Cached: a.Cached + b.Cached, Failed: a.Failed + b.Failed,
		Input: a.Input + b.Input, CacheRead: a.CacheRead + b.CacheRead, CacheWrite: a.CacheWrite + b.CacheWrite,
		Output: a.Output + b.Output, Reasoning: a.Reasoning + b.Reasoning,
		Cost: a.Cost.Plus(b.Cost), Charge: a.Charge.Plus(b.Charge), Unpriced: a.Unpriced + b.Unpriced,
	}
}

// sorted are the names of lines in their order: transactions that add to the same lines must not wait for each other in a
// circle.
func sorted[K comparable, V any](m map[K]V, compare func(K, K) int) []K {
	list := make([]K, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.SortFunc(list, compare)
	return list
}

const sumColumns = "attempts, cached, failed, input, cache_read, cache_write, output, reasoning, cost, charge, unpriced"

// addUsage adds to a line of a table. Money stops at the most that it can be: a sum that fails would hold up all that come
// after it.
func addUsage(table string) string {
	return "INSERT INTO " + table + " AS l (tenant, at, key_name, model, provider, " + sumColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (tenant, at, key_name, model, provider) DO UPDATE SET attempts = l.attempts + excluded.attempts,
		cached = l.cached + excluded.cached, failed = l.failed + excluded.failed, input = l.input + excluded.input,
		cache_read = l.cache_read + excluded.cache_read, cache_write = l.cache_write + excluded.cache_write,
		output = l.output + excluded.output, reasoning = l.reasoning + excluded.reasoning, cost = ` + money("cost") + `,
		charge = ` + money("charge") + `, unpriced = l.unpriced + excluded.unpriced`
}

const addSpend = `INSERT INTO spends AS l (tenant, kind, name, day, node, charge) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (tenant, kind, name, day, node) DO UPDATE SET charge = `

// money adds up money in a statement.
func money(column string) string {
	return "CASE WHEN l." + column + " > 9223372036854775807 - excluded." + column +
		" THEN 9223372036854775807 ELSE l." + column + " + excluded." + column + " END"
}

// usageValues are the values for addUsage.
func (s Store) usageValues(lines map[line]store.Sums) [][]any {
	list := make([][]any, 0, len(lines))
	for _, l := range sorted(lines, line.compare) {
		v := lines[l]
		list = append(list, []any{
			string(l.tenant), s.Time(time.Unix(l.at, 0)), l.key, l.model, l.provider, v.Attempts, v.Cached, v.Failed,
			v.Input, v.CacheRead, v.CacheWrite, v.Output, v.Reasoning, int64(v.Cost), int64(v.Charge), v.Unpriced,
		})
	}
	return list
}

// spendValues are the values for addSpend.
func (s Store) spendValues(spends map[spend]tenant.USD) [][]any {
	list := make([][]any, 0, len(spends))
	for _, k := range sorted(spends, spend.compare) {
		list = append(list, []any{string(k.tenant), int16(k.scope.Kind), k.scope.Name, s.Time(time.Unix(k.day, 0)), k.node, int64(spends[k])})
	}
	return list
}
