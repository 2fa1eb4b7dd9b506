package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// mistake is why a text is not a value: what is wrong, as a predicate ("is not a duration"), and what to write instead.
type mistake struct{ text, wrong, hint string }

// Error returns the mistake as a sentence.
func (m *mistake) Error() string {
	s := strconv.Quote(m.text) + " " + m.wrong
	if m.hint != "" {
		s += "; " + m.hint
	}
	return s
}

// Bytes is a size in bytes. It is written as a number with a unit (32MiB, 1GB) or as a plain number.
type Bytes int64

type unit struct {
	name string
	size int64
}

// Largest first: String takes the first that divides.
var units = []unit{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"KB", 1e3},
	{"B", 1},
}

// String returns the size in the largest unit that divides it: 32MiB.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText returns String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number, with or without one of B, KB, KiB, MB, MiB, GB, GiB, TB and TiB in any case.
func (b *Bytes) UnmarshalText(text []byte) error {
	wrong := &mistake{string(text), "is not a size", "write a number with a unit, such as 32MiB, or a number of bytes"}
	digits := strings.TrimSpace(string(text))
	end := strings.LastIndexFunc(digits, func(r rune) bool { return r >= '0' && r <= '9' }) + 1
	size := int64(1)
	if name := strings.TrimSpace(digits[end:]); name != "" {
		size = 0
		for _, u := range units {
			if strings.EqualFold(u.name, name) {
				size = u.size
			}
		}
	}
	n, err := strconv.ParseInt(digits[:end], 10, 64)
	if err != nil || size == 0 {
		return wrong
	}
	if n < 0 {
		return &mistake{string(text), "is negative", ""}
	}
	if n > math.MaxInt64/size {
		return &mistake{string(text), "is too large", ""}
	}
	*b = Bytes(n * size)
	return nil
}

// Percent is a share from 0 to 1. It is written as 20% or as 0.2.
type Percent float64

// String returns the share as a percentage: 20%.
func (p Percent) String() string {
	return strconv.FormatFloat(float64(p)*100, 'g', 10, 64) + "%"
}

// MarshalText returns String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads 20% or 0.2.
func (p *Percent) UnmarshalText(text []byte) error {
	const hint = "write it as 20% or as 0.2"
	digits, percent := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(n) {
		return &mistake{string(text), "is not a share", hint}
	}
	if percent {
		n /= 100
	}
	if n < 0 || n > 1 {
		return &mistake{string(text), "is not between 0% and 100%", hint}
	}
	*p = Percent(n)
	return nil
}

// Range is two durations, the first not longer than the second. It is written as 100ms..2s; one duration alone is both.
type Range struct{ Min, Max time.Duration }

// String returns the range as it is written: 100ms..2s.
func (r Range) String() string { return durationText(r.Min) + ".." + durationText(r.Max) }

// MarshalText returns String.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads 100ms..2s.
func (r *Range) UnmarshalText(text []byte) error {
	low, high, two := strings.Cut(string(text), "..")
	if !two {
		high = low
	}
	least, err1 := parseDuration(low)
	most, err2 := parseDuration(high)
	if err1 != nil || err2 != nil {
		return &mistake{string(text), "is not a range of durations", "write it as 100ms..2s"}
	}
	if least > most {
		return &mistake{string(text), "ends before it begins", "write the shorter duration first"}
	}
	*r = Range{least, most}
	return nil
}

func parseDuration(text string) (time.Duration, *mistake) {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return 0, &mistake{text, "is not a duration", "write a number with a unit, such as 500ms, 30s or 10m"}
	}
	if d < 0 {
		return 0, &mistake{text, "is negative", ""}
	}
	return d, nil
}

// durationText is d as people write it: 75s, 10m; not 1m15s, 10m0s.
func durationText(d time.Duration) string {
	if d < 2*time.Minute && d >= time.Second && d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func parseTime(text string) (time.Time, *mistake) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &mistake{text, "is not a date", "write it as 2027-01-31 or 2027-01-31T12:00:00Z"}
}
