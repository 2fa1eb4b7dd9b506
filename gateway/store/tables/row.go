package tables

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Columns are those of the ledger, in the order of Values and scanRow.
func Columns() []string { return strings.Split(columns, ", ") }

const columns = "tenant, id, at, node, kind, key_name, user_name, request, endpoint, dialect, " +
	"asked, model, provider, account, target, upstream, of_id, attempt, flags, outcome, status, waited_us, first_us, total_us, " +
	"input, cache_read, cache_write, cache_write_hour, input_audio, input_image, output, reasoning, output_audio, output_image, " +
	"recorded_us, provenance, tier, price, cost, cost_why, cost_class, reserved, charge, saved"

// InsertRow is the statement that inserts a row's [Values], unless it is there.
func InsertRow() string {
	list := Columns()
	for i := range list {
		list[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO ledger (" + columns + ") VALUES (" + strings.Join(list, ", ") + ") ON CONFLICT (tenant, id) DO NOTHING"
}

// Values are a row's columns. at is [Engine.Time] of the row's.
func Values(r *ledger.Row, at any) []any {
	var of, cost any
	if !r.Of.IsZero() {
		of = r.Of[:]
	}
	if r.Cost.Known {
		cost = r.Cost.Picodollars
	}
	u := &r.Usage
	return []any{
		string(r.Tenant), r.ID[:], at, r.Node, r.Kind.String(), r.Key, r.User, r.Request, r.Endpoint, r.Dialect,
		r.Asked, r.Model, r.Provider, r.Account, r.Target, r.Upstream, of, int16(r.Attempt), int32(r.Flags), r.Outcome.String(), int32(r.Status), //nolint:gosec // three digits
		r.Waited.Microseconds(), r.First.Microseconds(), r.Total.Microseconds(),
		u.Input, u.CacheRead, u.CacheWrite, u.CacheWriteHour, u.InputAudio, u.InputImage, u.Output, u.Reasoning, u.OutputAudio, u.OutputImage,
		u.Duration.Microseconds(), u.Provenance.String(), u.Tier, int64(r.Price), //nolint:gosec // a digest: all bits count
		cost, int16(r.Cost.Why), int16(r.Cost.Class), r.Reserved, r.Charge, r.Saved,
	}
}

// scanRow reads a row back.
func scanRow(scan func(...any) error) (ledger.Row, error) {
	var r ledger.Row
	var id, of []byte
	var kind, outcome, provenance, whose string
	var attempt, flags, status, waited, first, total, recorded, price, why, class int64
	var cost *int64
	u := &r.Usage
	err := scan(
		&whose, &id, moment{&r.At}, &r.Node, &kind, &r.Key, &r.User, &r.Request, &r.Endpoint, &r.Dialect,
		&r.Asked, &r.Model, &r.Provider, &r.Account, &r.Target, &r.Upstream, &of, &attempt, &flags, &outcome, &status,
		&waited, &first, &total,
		&u.Input, &u.CacheRead, &u.CacheWrite, &u.CacheWriteHour, &u.InputAudio, &u.InputImage, &u.Output, &u.Reasoning, &u.OutputAudio, &u.OutputImage,
		&recorded, &provenance, &u.Tier, &price,
		&cost, &why, &class, &r.Reserved, &r.Charge, &r.Saved,
	)
	if err != nil {
		return r, err
	}
	copy(r.ID[:], id)
	copy(r.Of[:], of)
	r.Tenant, r.Kind, r.Outcome = tenant.ID(whose), named[ledger.Kind](kind), named[ledger.Outcome](outcome)
	r.Attempt, r.Flags, r.Status = uint8(attempt), ledger.Flags(flags), int(status) //nolint:gosec // as they were written
	r.Waited, r.First, r.Total = micro(waited), micro(first), micro(total)
	u.Duration, u.Provenance = micro(recorded), named[chat.Provenance](provenance)
	r.Price, r.Cost.Why, r.Cost.Class = uint64(price), catalog.Why(why), catalog.Class(class) //nolint:gosec // the same
	if cost != nil {
		r.Cost.Picodollars, r.Cost.Known = *cost, true
	}
	return r, nil
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

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

// clean is a copy of rows without what a database refuses: a row that it never took would hold up all that come after it.
// What is left out of a text is what is no UTF-8, and zero bytes. A negative charge would be a credit, and is none.
func clean(rows []ledger.Row) []ledger.Row {
	list := make([]ledger.Row, len(rows))
	for i := range rows {
		r := &list[i]
		*r = rows[i]
		u := &r.Usage
		for _, s := range []*string{
			(*string)(&r.Tenant), &r.Node, &r.Key, &r.User, &r.Request, &r.Endpoint, &r.Dialect, &r.Asked, &r.Model, &r.Provider,
			&r.Account, &r.Target, &r.Upstream, &u.Tier,
		} {
			*s = text((*s)[:min(len(*s), mostText)])
		}
		for _, n := range []*int64{
			&u.Input, &u.CacheRead, &u.CacheWrite, &u.CacheWriteHour, &u.InputAudio, &u.InputImage, &u.Output, &u.Reasoning, &u.OutputAudio, &u.OutputImage,
		} {
			*n = min(max(*n, 0), mostTokens)
		}
		r.Charge = max(r.Charge, 0)
		r.Cost.Picodollars = max(r.Cost.Picodollars, 0)
		if r.At.IsZero() {
			r.At = r.ID.Time().UTC()
		}
		r.At = r.At.Truncate(time.Microsecond)
	}
	return list
}

// text is a text as databases take it.
func text(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
