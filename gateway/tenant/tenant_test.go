package tenant_test

import (
	"math"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestWindow(t *testing.T) {
	f := func(p tenant.Period, at, from, to string) {
		t.Helper()
		parse := func(s string) time.Time {
			if s == "" {
				return time.Time{}
			}
			when, err := time.Parse(time.RFC3339, s)
			if err != nil {
				t.Fatal(err)
			}
			return when
		}
		gotFrom, gotTo := p.Window(parse(at))
		if !gotFrom.Equal(parse(from)) || !gotTo.Equal(parse(to)) {
			t.Errorf("%s at %s: [%s, %s), want [%s, %s)", p, at, gotFrom, gotTo, from, to)
		}
	}
	f(tenant.Day, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")
	f(tenant.Day, "2026-11-23T23:59:59.999999999Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")
	f(tenant.Day, "2026-10-25T01:30:00+02:00", "2026-10-24T00:00:00Z", "2026-10-25T00:00:00Z") // the end of summer time is not ours
	f(tenant.Week, "2026-11-23T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z")     // a Monday
	f(tenant.Week, "2026-11-29T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z")     // a Sunday
	f(tenant.Week, "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z")
	f(tenant.Month, "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")
	f(tenant.Month, "2026-12-31T23:30:00-01:00", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z")
	f(tenant.Total, "2026-11-23T12:00:00Z", "", "")
}

func TestUSD(t *testing.T) {
	f := func(text string, want tenant.USD, printed string) {
		t.Helper()
		got, err := tenant.ParseUSD(text)
		if err != nil || got != want || got.String() != printed {
			t.Errorf("%s: %d, %s, %v", text, got, got, err)
		}
	}
	f("250", 250*tenant.Dollar, "250.00")
	f("0.1", tenant.Dollar/10, "0.10")
	f("0.000001", 1e6, "0.000001")
	f("9000000", tenant.MostUSD, "9000000.00")
	f("0", 0, "0.00")
	for _, text := range []string{"", "-1", "+1", "1e3", ".5", "5.", "0.0000001", "9000000.000001", "9000001", "1 000", "1,5", "99999999999999999999", "0x1", "NaN"} {
		if got, err := tenant.ParseUSD(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
	if s := tenant.USD(-1).String(); s != "-0.000000000001" {
		t.Error(s)
	}
	if s := tenant.USD(math.MinInt64).String(); s != "-9223372.036854775808" {
		t.Error(s)
	}
	if tenant.USD(math.MaxInt64).Plus(1) != math.MaxInt64 || tenant.USD(math.MinInt64).Plus(-1) != math.MinInt64 || tenant.Dollar.Plus(-1) != tenant.Dollar-1 {
		t.Error("a sum wraps around")
	}
}

func TestWords(t *testing.T) {
	for _, s := range []string{"tenant", "key:ci", "each_key", "user:ann", "each_user", "model:gpt-4.1"} {
		if got, err := tenant.ParseScope(s); err != nil || got.String() != s {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"key", "each_tenant", "tenant:a", "team:a", "key:"} {
		if got, err := tenant.ParseScope(s); err == nil {
			t.Errorf("%s is taken for %s", s, got)
		}
	}
	for p := tenant.Day; p <= tenant.Total; p++ {
		if got, err := tenant.ParsePeriod(p.String()); err != nil || got != p {
			t.Errorf("%s: %s, %v", p, got, err)
		}
	}
	for m := tenant.Strict; m <= tenant.Warn; m++ {
		if got, err := tenant.ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%s: %s, %v", m, got, err)
		}
	}
	if _, err := tenant.ParsePeriod("year"); err == nil {
		t.Error("a year is no period")
	}
	if _, err := tenant.ParseMode("hard"); err == nil {
		t.Error("hard is no mode")
	}
}

func TestWithin(t *testing.T) {
	a, b := tenant.Limits{Requests: 5, Tokens: 0, Concurrent: 3}, tenant.Limits{Requests: 7, Tokens: 9}
	if got := a.Within(b); got != (tenant.Limits{Requests: 5, Tokens: 9, Concurrent: 3}) || got != b.Within(a) || got.None() {
		t.Errorf("%+v", got)
	}
	if !(tenant.Limits{}).None() {
		t.Error("no limits are some")
	}
}
