// Package tenant says what a tenant is allowed: how much in a minute, how much at once, and for how much money. It has no
// state and knows nobody else, so that whoever counts, stores or serves tenants can share its words.
package tenant

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ID names a tenant. Everything that stores, counts or logs what belongs to a tenant asks for one; the empty one is nobody's,
// never everybody's.
type ID string

// Limits bound what is asked for. A zero is no limit.
type Limits struct {
	Requests   int64 // a minute
	Tokens     int64 // a minute, prompt and answer together
	Concurrent int64 // exchanges at once
}

// None says whether nothing is limited.
func (l Limits) None() bool { return l == Limits{} }

// Within is the tighter of two limits in each respect.
func (l Limits) Within(m Limits) Limits {
	return Limits{tighter(l.Requests, m.Requests), tighter(l.Tokens, m.Tokens), tighter(l.Concurrent, m.Concurrent)}
}

func tighter(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// ScopeKind says what a limit or a budget counts together.
type ScopeKind uint8

// Kinds of scope.
const (
	OfTenant ScopeKind = iota // everything of the tenant
	OfKey                     // what is asked for with one key
	OfUser                    // what is asked for by one end user, as the credential names them
	OfModel                   // what is asked for of one model
)

var scopeKinds = [...]string{"tenant", "key", "user", "model"}

// String is the kind's name in configuration and errors.
func (k ScopeKind) String() string {
	if int(k) < len(scopeKinds) {
		return scopeKinds[k]
	}
	return "ScopeKind(" + strconv.Itoa(int(k)) + ")"
}

// Scope is what a limit or a budget counts together. In a rule the name "*" stands for each by itself.
type Scope struct {
	Kind ScopeKind
	Name string // of the key, user or model; "" for the tenant
}

// Each is the name of a scope in a rule that holds for every one by itself.
const Each = "*"

// String is the scope as configuration writes it: "tenant", "key:ci", "each_key".
func (s Scope) String() string {
	switch {
	case s.Kind == OfTenant:
		return s.Kind.String()
	case s.Name == Each:
		return "each_" + s.Kind.String()
	}
	return s.Kind.String() + ":" + s.Name
}

// ParseScope reads what String writes.
func ParseScope(s string) (Scope, error) {
	if s == "" || s == OfTenant.String() {
		return Scope{}, nil
	}
	kind, name, named := strings.Cut(s, ":")
	if !named {
		if kind, named = strings.CutPrefix(s, "each_"); named {
			name = Each
		}
	}
	for k, known := range scopeKinds {
		if named && known == kind && k > 0 && name != "" {
			return Scope{ScopeKind(k), name}, nil
		}
	}
	return Scope{}, fmt.Errorf("%q is none of tenant, key:NAME, each_key, user:NAME, each_user, model:NAME", s)
}

// Period is how long a budget lasts before it begins anew, in UTC.
type Period uint8

// Periods.
const (
	Day Period = iota
	Week
	Month
	Total
)

var periods = [...]string{"day", "week", "month", "total"}

// String is the period's name in configuration.
func (p Period) String() string {
	if int(p) < len(periods) {
		return periods[p]
	}
	return "Period(" + strconv.Itoa(int(p)) + ")"
}

// ParsePeriod reads what String writes.
func ParsePeriod(s string) (Period, error) {
	for p, known := range periods {
		if s == known {
			return Period(p), nil
		}
	}
	return 0, fmt.Errorf("%q is none of day, week, month, total", s)
}

// Window is the time [from, to) that a budget at t is for, in UTC: weeks begin on Monday (ISO 8601). Total is since the zero
// time, and for ever: to is then zero.
func (p Period) Window(t time.Time) (from, to time.Time) {
	y, m, d := t.UTC().Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch p {
	case Day:
		return day, day.AddDate(0, 0, 1)
	case Week:
		since := (int(day.Weekday()) + 6) % 7
		return day.AddDate(0, 0, -since), day.AddDate(0, 0, 7-since)
	case Month:
		first := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		return first, first.AddDate(0, 1, 0)
	default:
		return time.Time{}, time.Time{}
	}
}

// Mode says how strictly a budget holds.
type Mode uint8

// Modes.
const (
	Strict  Mode = iota // what an exchange may cost at worst is reserved before: never exceeded
	Metered             // reserved piece by piece while the answer comes: exceeded by a piece for each stream at most
	Warn                // only told of
)

var modes = [...]string{"strict", "metered", "warn"}

// String is the mode's name in configuration.
func (m Mode) String() string {
	if int(m) < len(modes) {
		return modes[m]
	}
	return "Mode(" + strconv.Itoa(int(m)) + ")"
}

// ParseMode reads what String writes.
func ParseMode(s string) (Mode, error) {
	for m, known := range modes {
		if s == known {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("%q is none of strict, metered, warn", s)
}

// Budget is money that may be spent in each of its periods.
type Budget struct {
	Scope     Scope
	Per       Period
	Mode      Mode
	Amount    USD
	WarnAt    []int  // parts of ten thousand of the amount, rising, at which it is told
	Downgrade string // model that is asked instead, once the last of WarnAt is passed; "": none
}

// USD is money in picodollars (10⁻¹² US dollars), like the catalogue's costs. It holds up to 9.2 million dollars.
type USD int64

// Dollar is one US dollar.
const Dollar USD = 1e12

// MostUSD is the largest amount that can be configured.
const MostUSD = 9_000_000 * Dollar

// ParseUSD reads a decimal number of dollars, such as "250" or "0.5", of at most 6 decimals and not negative. It is never a
// binary fraction on the way, so that ten cents are ten cents.
func ParseUSD(s string) (USD, error) {
	whole, part, _ := strings.Cut(s, ".")
	bad := fmt.Errorf("%q is not an amount in dollars: a number such as 250 or 0.50, with 6 decimals at most, from 0 to %d", s, MostUSD/Dollar)
	if whole == "" || len(part) > 6 || strings.HasSuffix(s, ".") || strings.Trim(whole+part, "0123456789") != "" {
		return 0, bad
	}
	n, err := strconv.ParseInt(whole+(part + "000000")[:6], 10, 64)
	if err != nil || n > int64(MostUSD/1e6) {
		return 0, bad
	}
	return USD(n) * 1e6, nil
}

// String is the amount in dollars, with as many decimals as it needs and two at least.
func (u USD) String() string {
	sign, n := "", uint64(u) //nolint:gosec // made positive below
	if u < 0 {
		sign, n = "-", -n
	}
	part := strings.TrimRight(fmt.Sprintf("%012d", n%1e12), "0")
	return sign + strconv.FormatUint(n/1e12, 10) + "." + (part + "00")[:max(len(part), 2)]
}

// MarshalText returns String.
func (u USD) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText is ParseUSD.
func (u *USD) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUSD(string(text))
	return err
}

// Plus is the sum, at most what USD holds.
func (u USD) Plus(v USD) USD {
	switch sum := u + v; {
	case u > 0 && v > 0 && sum < 0:
		return math.MaxInt64
	case u < 0 && v < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}
