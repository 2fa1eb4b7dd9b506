package health

import (
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Limit is one rate limit, as the provider last told it in its headers. The zero Limit is one of which it said nothing.
type Limit struct {
	Max       int64 // what may be used in a period; 0 if it did not say
	Remaining int64 // of which so much is left; less than 0 if it did not say
	// Reset is when Remaining is Max again; 0 if it did not say.
	Reset clock.Instant
	// Refills says that it fills steadily until Reset (OpenAI, Anthropic, Groq: "until fully replenished") rather than
	// all at once when a period ends: then something is left again long before Reset.
	Refills bool
}

// Limits are what rate limit headers say.
type Limits struct{ Requests, Tokens Limit }

// limits are Limits that are written without a lock: two headers of one reply may be seen half.
type limits struct{ requests, tokens limit }

type limit struct {
	max, remaining, reset atomic.Int64
	refills               atomic.Bool
}

func (l *limit) set(said Limit) {
	if said == (Limit{}) {
		return
	}
	store(&l.max, said.Max)
	store(&l.remaining, said.Remaining)
	store(&l.reset, int64(said.Reset))
	if l.refills.Load() != said.Refills {
		l.refills.Store(said.Refills)
	}
}

// store writes what has changed: most of it does not.
func store(a *atomic.Int64, n int64) {
	if a.Load() != n {
		a.Store(n)
	}
}

func (l *limit) last() Limit {
	return Limit{
		Max: l.max.Load(), Remaining: l.remaining.Load(), Reset: clock.Instant(l.reset.Load()), Refills: l.refills.Load(),
	}
}

// Limited tells what the rate limit headers of a reply say. If nothing is left, the target cools down until something
// is.
func (t *Target) Limited(now clock.Instant, l Limits) {
	if t == nil {
		return
	}
	t.limits.requests.set(l.Requests)
	t.limits.tokens.set(l.Tokens)
	requests, tokens := l.Requests.empty(now, 1), l.Tokens.empty(now, l.Tokens.Max/100)
	if d := max(requests, tokens); d > 0 {
		why := "no requests left in the rate limit"
		if tokens > requests {
			why = "no tokens left in the rate limit"
		}
		if t.gate.coolDown(now, d, minTold, why) {
			t.cooling(now, why)
		}
	}
}

// longestRefill is for how long a limit that fills steadily is taken to be empty if nobody knows how large it is: a day's
// limit may take a day to be full, but the next request is there long before.
const longestRefill = time.Minute

// empty is how long it takes until n are left; 0 if some are left, or nobody knows.
func (l Limit) empty(now clock.Instant, n int64) time.Duration {
	if l.Remaining != 0 || l.Reset == 0 || l.Reset <= now {
		return 0
	}
	d := l.Reset.Sub(now)
	switch {
	case !l.Refills:
	case l.Max > 0:
		d = time.Duration(float64(d) / float64(l.Max) * float64(max(n, 1)))
	default:
		d = min(d, longestRefill)
	}
	return d
}

// Limits are what the rate limit headers of the latest replies said.
func (t *Target) Limits() Limits {
	if t == nil {
		return Limits{}
	}
	return Limits{Requests: t.limits.requests.last(), Tokens: t.limits.tokens.last()}
}
