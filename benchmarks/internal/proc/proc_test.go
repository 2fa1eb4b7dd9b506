package proc

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	f := func(stat string, want time.Duration) {
		t.Helper()
		got, err := parseStat([]byte(stat))
		if err != nil || got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	rest := " S 1 2 3 4 5 6 7 8 9 10 123 45 7000 8000 20 0 9 0"
	f("42 (sluice)"+rest, 1680*time.Millisecond)
	f("42 (a) b (c))"+rest, 1680*time.Millisecond)
	f("42 (two\nlines 1 2 3)"+rest, 1680*time.Millisecond)
}

func TestParseStatRefuses(t *testing.T) {
	f := func(stat string) {
		t.Helper()
		if got, err := parseStat([]byte(stat)); err == nil {
			t.Errorf("%q: got %v and no error", stat, got)
		}
	}
	f("")
	f("42 (sluice) S 1 2 3 4 5 6 7 8 9 10 123")
	f("42 (sluice) S 1 2 3 4 5 6 7 8 9 10 x 45")
}

func TestParseRollup(t *testing.T) {
	f := func(rollup string, want int64) {
		t.Helper()
		if got, err := parseRollup([]byte(rollup)); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	f("00400000-7fff [rollup]\nRss:               17376 kB\nPss:   9 kB\n", 17376<<10)
	f("00400000-7fff [rollup]\nPss_Dirty: 1 kB\nRss: 4 kB", 4096)
	for _, bad := range []string{"", "Pss: 3 kB\n", "Rss: many kB\n"} {
		if got, err := parseRollup([]byte(bad)); err == nil {
			t.Errorf("%q: got %d and no error", bad, got)
		}
	}
}
