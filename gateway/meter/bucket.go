package meter

import (
	"math"
	"math/bits"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// bucket fills at a limit a minute. Taking one at a time from it is what the generic cell rate algorithm (GCRA, ITU-T I.371) does
// with a burst of the limit. It counts whole units and the exact remainder, so that nothing is lost to rounding however
// often it is looked at.
type bucket struct {
	level int64 // negative: debts
	part  int64 // of the next unit, in 1/minute
	at    clock.Instant
}

// minute is the time in which limits are given.
const minute = int64(time.Minute)

// fill adds what has flowed in by now, up to the top.
func (b *bucket) fill(now clock.Instant, limit, top int64) {
	dt := max(int64(now-b.at), 0)
	b.at = max(b.at, now)
	units, part := mulDiv(dt, limit, b.part, minute)
	b.part = part
	if b.level = plus(b.level, units); b.level >= top {
		b.level, b.part = top, 0
	}
}

// next is the time until the level rises by one.
func (b *bucket) next(limit int64) time.Duration {
	return time.Duration((minute - b.part + limit - 1) / limit)
}

// wait is how long n units take to flow in at a limit a minute, rounded up.
func wait(n, limit int64) time.Duration {
	if n <= 0 {
		return 0
	}
	d, rest := mulDiv(n, minute, 0, limit)
	if rest > 0 {
		d = plus(d, 1)
	}
	return time.Duration(d)
}

// mulDiv is (a·b + c) / d and what remains, for numbers that are not negative, d positive and c < d. It is at most math.MaxInt64.
func mulDiv(a, b, c, d int64) (quotient, rest int64) {
	hi, lo := bits.Mul64(uint64(a), uint64(b)) //nolint:gosec // not negative
	lo, carry := bits.Add64(lo, uint64(c), 0)  //nolint:gosec // not negative
	hi += carry
	if hi >= uint64(d) { //nolint:gosec // positive
		return math.MaxInt64, 0
	}
	q, r := bits.Div64(hi, lo, uint64(d)) //nolint:gosec // positive
	if q > math.MaxInt64 {
		return math.MaxInt64, 0
	}
	return int64(q), int64(r) //nolint:gosec // less than d
}

// plus is a sum that stays at the largest number or the least where it would wrap around.
func plus(a, b int64) int64 {
	switch sum := a + b; {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}
