package tables

import (
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Columns are those of the ledger, in the order of [Values] and scanRow: what rows are asked for by, and their money. All else
// is in the last, as JSON that a database can look into: what nobody asks for would be most of what a row costs.
func Columns() []string { return strings.Split(columns, ", ") }

const columns = "tenant, id, at, key_name, user_name, request, model, provider, outcome, cost, charge, rest"

// InsertRows is the statement that inserts the [Values] of n rows, unless they are there.
func InsertRows(n int) string {
	width := strings.Count(columns, ",") + 1
	row := "(?" + strings.Repeat(", ?", width-1) + ")"
	return "INSERT INTO ledger (" + columns + ") VALUES " + row + strings.Repeat(", "+row, n-1) + " ON CONFLICT (tenant, id) DO NOTHING"
}

// Values makes the columns of one row after the other.
type Values struct {
	list []any
	rest []byte
}

// Of are a row's columns, until the next row's are asked for. at is [Engine.Time] of the row's.
func (v *Values) Of(r *ledger.Row, at any) []any {
	var cost any
	if r.Cost.Known {
		cost = r.Cost.Picodollars
	}
	v.rest = appendRest(v.rest[:0], r)
	v.list = append(v.list[:0], string(r.Tenant), r.ID[:], at, r.Key, r.User, r.Request, r.Model, r.Provider, r.Outcome.String(), cost, r.Charge, string(v.rest))
	return v.list
}

// scanRow reads a row back.
func scanRow(scan func(...any) error) (ledger.Row, error) {
	var r ledger.Row
	var id, rest []byte
	var whose, outcome string
	var cost *int64
	err := scan(&whose, &id, moment{&r.At}, &r.Key, &r.User, &r.Request, &r.Model, &r.Provider, &outcome, &cost, &r.Charge, &rest)
	if err != nil {
		return r, err
	}
	copy(r.ID[:], id)
	r.Tenant, r.Outcome = tenant.ID(whose), named[ledger.Outcome](outcome)
	if cost != nil {
		r.Cost.Picodollars, r.Cost.Known = *cost, true
	}
	return r, readRest(rest, &r)
}

// named is the value with a name; one that is not known, of a later version, is the last of all.
func named[T interface {
	~uint8
	String() string
}](name string) T {
	for v := T(0); v < 64; v++ {
		if v.String() == name {
			return v
		}
	}
	return 255
}

// What a row may hold at most. Rows from the journal hold less; more is nonsense, for which no sum shall fail.
const (
	mostText   = 256 // bytes: several are in the key of an index
	mostTokens = 1e12
)

// clean are rows without what a database refuses, for which those that have any are copied: a row that it never took would hold
// up all that come after it. What is left out of a text is what is no UTF-8, and zero bytes. A negative charge would be a credit,
// and is none.
func clean(rows []ledger.Row) []*ledger.Row {
	list := make([]*ledger.Row, len(rows))
	for i := range rows {
		r := &rows[i]
		if !isClean(r) {
			r = new(rows[i])
			wash(r)
		}
		list[i] = r
	}
	return list
}

// texts are those of a row that have bounds.
func texts(r *ledger.Row) [14]*string {
	return [...]*string{
		(*string)(&r.Tenant), &r.Node, &r.Key, &r.User, &r.Request, &r.Endpoint, &r.Dialect, &r.Asked, &r.Model, &r.Provider,
		&r.Account, &r.Target, &r.Upstream, &r.Usage.Tier,
	}
}

// amounts are counters, which have bounds, too.
func amounts(u *chat.Usage) [10]*int64 {
	return [...]*int64{
		&u.Input, &u.CacheRead, &u.CacheWrite, &u.CacheWriteHour, &u.InputAudio, &u.InputImage, &u.Output, &u.Reasoning, &u.OutputAudio, &u.OutputImage,
	}
}

// isClean says whether there is nothing to wash, as of nearly all rows.
func isClean(r *ledger.Row) bool {
	for _, s := range texts(r) {
		if len(*s) > mostText || text(*s) != *s {
			return false
		}
	}
	for _, n := range amounts(&r.Usage) {
		if *n < 0 || *n > mostTokens {
			return false
		}
	}
	return r.Charge >= 0 && r.Cost.Picodollars >= 0 && !r.At.IsZero()
}

func wash(r *ledger.Row) {
	for _, s := range texts(r) {
		*s = text((*s)[:min(len(*s), mostText)])
	}
	for _, n := range amounts(&r.Usage) {
		*n = min(max(*n, 0), mostTokens)
	}
	r.Charge = max(r.Charge, 0)
	r.Cost.Picodollars = max(r.Cost.Picodollars, 0)
	if r.At.IsZero() {
		r.At = r.ID.Time().UTC()
	}
}

// text is a text as databases take it.
func text(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
