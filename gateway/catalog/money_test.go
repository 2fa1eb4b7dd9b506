package catalog_test

import (
	"math"
	"testing"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

func TestParseUSD(t *testing.T) {
	f := func(s string, want int64) {
		t.Helper()
		if got, err := catalog.ParseUSD(s); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", s, got, err, want)
		}
	}
	f("1", 1_000_000)
	f("1.25", 1_250_000)
	f("0.003625", 3_625)
	f("0.000001", 1)
	f("0", 0)
	f("00.10", 100_000)
	f("2.5000000000", 2_500_000)
	f("1000000", 1_000_000_000_000)

	g := func(s string) {
		t.Helper()
		if n, err := catalog.ParseUSD(s); err == nil {
			t.Errorf("%q: %d", s, n)
		}
	}
	g("")
	g(".")
	g("1.")
	g(".5")
	g("-1")
	g("+1")
	g("1e-6")
	g("0.0000001")
	g("1,25")
	g(" 1")
	g("0x1")
	g("1000000.000001")
	g("99999999999999999999")
	g("NaN")
	g("١")
}

func TestAppendUSD(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := string(catalog.AppendUSD(nil, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	f(0, "0")
	f(1, "0.000000000001")
	f(150_000_000, "0.00015")
	f(1_000_000_000_000, "1")
	f(12_500_000_000_000, "12.5")
	f(math.MaxInt64, "9223372.036854775807")
	f(math.MinInt64, "-9223372.036854775808")
}

func FuzzParseUSD(f *testing.F) {
	for _, s := range []string{"1.25", "0.003625", "1000000", "1e-6", "-1", "0.10", "00", "1."} {
		f.Add(s, int64(len(s))*1_234_567)
	}
	f.Fuzz(func(t *testing.T, s string, n int64) {
		if n, err := catalog.ParseUSD(s); err == nil {
			text := catalog.FormatUSD(n)
			if again, err := catalog.ParseUSD(text); err != nil || again != n {
				t.Errorf("%q is %d, written %q, read again %d, %v", s, n, text, again, err)
			}
			if len(text) > len(s) {
				t.Errorf("%q written longer: %q", s, text)
			}
		}
		n &= 1<<39 - 1
		if got, err := catalog.ParseUSD(catalog.FormatUSD(n)); err != nil || got != n {
			t.Errorf("%d written %q, read again %d, %v", n, catalog.FormatUSD(n), got, err)
		}
	})
}
