package catalog

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// A dollar in picodollars, and the decimals of a dollar that a price a million tokens may have.
const (
	dollar   = 1_000_000_000_000
	decimals = 6
)

var (
	errDecimal = errors.New(`not a price: a decimal of USD such as 1.25, without sign or exponent, "unknown", or nothing`)
	errFine    = errors.New("a price has at most 6 decimals: USD per million")
	errLarge   = errors.New("a price is at most 1000000")
)

// ParseUSD reads a decimal number of USD per million of something, as people write it (1.25), and returns it exactly: in
// picodollars for one of them. At most six decimals and a million dollars; no sign, no exponent.
func ParseUSD(s string) (int64, error) {
	whole, part, point := strings.Cut(s, ".")
	if whole == "" || point && part == "" || !digits(whole) || !digits(part) {
		return 0, errDecimal
	}
	if len(strings.TrimRight(part, "0")) > decimals {
		return 0, errFine
	}
	part = (part + strings.Repeat("0", decimals))[:decimals]
	if whole = strings.TrimLeft(whole, "0"); len(whole) > 7 {
		return 0, errLarge
	}
	n, err := strconv.ParseInt(whole+part, 10, 64)
	if err != nil {
		return 0, errDecimal
	}
	if n > 1_000_000*1_000_000 {
		return 0, errLarge
	}
	return n, nil
}

// FormatUSD is what [ParseUSD] reads: picodollars for one as USD per million, in the fewest digits. A negative number
// is written as such, which ParseUSD refuses.
func FormatUSD(picodollars int64) string {
	return string(appendDecimal(nil, picodollars, decimals))
}

// AppendUSD appends an amount of picodollars in USD, exactly and in the fewest digits: 0.00015.
func AppendUSD(b []byte, picodollars int64) []byte { return appendDecimal(b, picodollars, 12) }

// appendDecimal writes n/10^places.
func appendDecimal(b []byte, n int64, places int) []byte {
	u := uint64(n) //nolint:gosec // two's complement, made positive below
	if n < 0 {
		b = append(b, '-')
		u = -u
	}
	unit := uint64(math.Pow10(places))
	b = strconv.AppendUint(b, u/unit, 10)
	u %= unit
	if u == 0 {
		return b
	}
	b = append(b, '.')
	for u > 0 {
		unit /= 10
		b = append(b, '0'+byte(u/unit)) //nolint:gosec // one digit
		u %= unit
	}
	return b
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
