package config_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
)

func TestBytes(t *testing.T) {
	f := func(text string, want config.Bytes, print string) {
		t.Helper()
		var b config.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want || b.String() != print {
			t.Errorf("%q: %d %q %v, want %d %q", text, b, b, err, want, print)
		}
	}
	f("0", 0, "0B")
	f("17", 17, "17B")
	f("17B", 17, "17B")
	f("1KB", 1000, "1KB")
	f("1KiB", 1024, "1KiB")
	f("32MiB", 32<<20, "32MiB")
	f("32 mib", 32<<20, "32MiB")
	f("1GB", 1e9, "1GB")
	f("1536MiB", 1536<<20, "1536MiB")
	f("2TiB", 2<<40, "2TiB")
	bad := func(text, want string) {
		t.Helper()
		var b config.Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	const hint = "; write a number with a unit, such as 32MiB, or a number of bytes"
	bad("", `"" is not a size`+hint)
	bad("MiB", `"MiB" is not a size`+hint)
	bad("1.5MiB", `"1.5MiB" is not a size`+hint)
	bad("1MiBB", `"1MiBB" is not a size`+hint)
	bad("-1", `"-1" is negative`)
	bad("9999999TiB", `"9999999TiB" is too large`)
}

func TestPercent(t *testing.T) {
	f := func(text string, want config.Percent, print string) {
		t.Helper()
		var p config.Percent
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want || p.String() != print {
			t.Errorf("%q: %v %q %v, want %v %q", text, float64(p), p, err, float64(want), print)
		}
	}
	f("20%", 0.2, "20%")
	f("0.2", 0.2, "20%")
	f("0", 0, "0%")
	f("1", 1, "100%")
	f("0.1%", 0.001, "0.1%")
	f("7%", 0.07, "7%")
	for _, text := range []string{"", "%", "20", "101%", "-1%", "NaN", "Inf"} {
		var p config.Percent
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, p)
		}
	}
}

func TestRange(t *testing.T) {
	f := func(text string, least, most time.Duration, print string) {
		t.Helper()
		var r config.Range
		err := r.UnmarshalText([]byte(text))
		if want := (config.Range{Min: least, Max: most}); err != nil || r != want || r.String() != print {
			t.Errorf("%q: %v %v, want %v", text, r, err, want)
		}
	}
	f("100ms..2s", 100*time.Millisecond, 2*time.Second, "100ms..2s")
	f("0..90s", 0, 90*time.Second, "0s..90s")
	f("5m", 5*time.Minute, 5*time.Minute, "5m..5m")
	f("1h..36h", time.Hour, 36*time.Hour, "1h..36h")
	for _, text := range []string{"", "..", "1s..", "2s..1s", "1..2", "-1s..2s"} {
		var r config.Range
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, r)
		}
	}
}
