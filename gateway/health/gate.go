package health

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

const (
	// maxAfter bounds what a provider can ask for, in case it sends nonsense.
	maxAfter = 24 * time.Hour

	// A limit that does not say for how long.
	minCool, maxCool = time.Second, 30 * time.Second
	// A quota that is spent: somebody must pay, or a day must end.
	minSpent, maxSpent = 5 * time.Minute, time.Hour
	// A key or a model that was refused comes back by itself, if somebody has mended it.
	minBar, maxBar = 5 * time.Minute, time.Hour
	// barLease is how long a trial of what was refused keeps others from trying, barPause how long one that failed does:
	// somebody else may reach the provider.
	barLease, barPause = 30 * time.Second, time.Second
	// minTold is how long a cool-down must be for an event if nobody was refused: one at exactly its rate limit has
	// nothing left for a few milliseconds after each success.
	minTold = time.Second
)

// gate is why a target, or all targets of a key, must not be asked although nothing is ill: a cool-down, or a refusal.
// Both are instants that are read without a lock; 0 is none.
type gate struct {
	cool atomic.Int64 // until when it cools down
	bar  atomic.Int64 // when it may be tried, since it was refused

	version uint64 // of what was configured; the registry's mutex guards it

	mu      sync.Mutex
	cools   int           // refusals in a row that did not say for how long
	limited clock.Instant // when the last refusal was counted; 0: never
	until   clock.Instant // when the cool-down ends that it began
	free    clock.Instant // when the one before that ended
	told    clock.Instant // until when the cool-down lasts that operators know of
	coolWhy string        // of the running cool-down
	bars    int           // in a row
	barred  clock.Instant // when it was refused or forgiven last: what began before is no news
	since   clock.Instant // when it was refused first, or accepted again
	why     string        // of that
}

// wait is how long it must not be asked; 0 if it may be.
func (g *gate) wait(now clock.Instant) time.Duration {
	return max(left(&g.cool, now), left(&g.bar, now))
}

// left is the time from now until an instant; 0 if that is none, or has passed.
func left(until *atomic.Int64, now clock.Instant) time.Duration {
	if u := clock.Instant(until.Load()); u != 0 && u > now {
		return u.Sub(now)
	}
	return 0
}

// coolDown cools down for d, or until what was asked for before, whichever is later. It says whether operators should know:
// if they know of none that runs, and it is not shorter than least.
func (g *gate) coolDown(now clock.Instant, d, least time.Duration, why string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.extend(now, min(d, maxAfter), least, why)
}

// limit cools down for as long as a refusal asks, or, if it does not say, for a while that doubles from least to
// most as long as nothing succeeds in between: also none of those that were sent together with what was refused, because
// who serves some of them is not shut but full, and when to come back with fewer is the limiter's affair. What was sent before the last refusal that counted is no news while it cools
// down. That it cools down alone says nothing: the headers of the same reply may have seen to that, for a millisecond.
func (g *gate) limit(now, began clock.Instant, o Outcome, least, most time.Duration) (news, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	news = left(&g.cool, now) == 0 || g.limited == 0 || began > g.limited
	if news {
		g.limited = now
	}
	switch {
	case o.After > 0:
		tell = g.extend(now, min(o.After, maxAfter), 0, o.Reason)
	case news:
		d := doubled(least, most, g.cools)
		d += rand.N(d/4 + 1) //nolint:gosec // jitter
		g.cools++
		g.free, g.until = g.until, now.Add(d)
		tell = g.extend(now, d, 0, o.Reason)
	}
	return news, tell
}

func (g *gate) extend(now clock.Instant, d, least time.Duration, why string) (tell bool) {
	if left(&g.cool, now) >= d {
		return false
	}
	until := now.Add(d)
	g.cool.Store(instant(until))
	g.coolWhy = why
	known := g.told > now
	if known || d >= least {
		g.told = until
	}
	return !known && d >= least
}

// refuse bars the way. It says whether that is news: attempts that began before it was barred say nothing new.
func (g *gate) refuse(now, began clock.Instant, why string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.barred != 0 && began < g.barred {
		return false
	}
	d := doubled(minBar, maxBar, g.bars)
	g.bars++
	if g.bar.Load() == 0 {
		g.since = now
	}
	g.barred, g.why = now, why
	g.bar.Store(instant(now.Add(d)))
	return true
}

// try takes the trial that is due. Where nothing is barred there is nothing to take.
func (g *gate) try(now clock.Instant) bool {
	u := g.bar.Load()
	return u == 0 || left(&g.bar, now) == 0 && g.bar.CompareAndSwap(u, instant(now.Add(barLease)))
}

// untried gives back a trial that had no verdict on what was refused: the next may come after a pause.
func (g *gate) untried(now, began clock.Instant, pause time.Duration) {
	if g.bar.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if rest := left(&g.bar, now); g.bar.Load() != 0 && began >= g.barred && rest <= barLease {
		g.bar.Store(instant(now.Add(min(pause, rest))))
	}
}

// passed is told of a success. It lifts a refusal, and forgets how often there was a cool-down; a cool-down that still
// runs it does not shorten. It says whether a refusal was lifted.
func (g *gate) passed(now, began clock.Instant) bool {
	if !g.shut() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if u := clock.Instant(g.cool.Load()); u != 0 && began >= u {
		g.cool.Store(0)
		g.limited = 0
	}
	if began >= g.free {
		g.cools = 0
	}
	return g.lifted(now, began)
}

// accepted is told that a key is taken, though nothing is known of its limits. It says whether a refusal was lifted.
func (g *gate) accepted(now, began clock.Instant) bool {
	if g.bar.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lifted(now, began)
}

func (g *gate) lifted(now, began clock.Instant) bool {
	if g.bar.Load() == 0 || began < g.barred {
		return false
	}
	g.lift(now, "it is accepted again")
	return true
}

// open forgets everything. It says whether there was anything.
func (g *gate) open(now clock.Instant, why string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	shut := g.cool.Load() != 0 || g.bar.Load() != 0
	g.cool.Store(0)
	g.cools, g.limited, g.told, g.barred = 0, 0, 0, now
	g.lift(now, why)
	return shut
}

func (g *gate) lift(now clock.Instant, why string) {
	if g.bar.Load() != 0 {
		g.since, g.why = now, why
	}
	g.bar.Store(0)
	g.bars = 0
}

// doubled is least × 2^n, but no more than most.
func doubled(least, most time.Duration, n int) time.Duration {
	d := least << min(n, 32)
	if d>>min(n, 32) != least || d > most {
		return most
	}
	return d
}

// instant is an Instant as a word of which 0 means none.
func instant(i clock.Instant) int64 {
	if i == 0 {
		return 1
	}
	return int64(i)
}

// shut says whether anything is or was in force since the last success.
func (g *gate) shut() bool { return g.cool.Load() != 0 || g.bar.Load() != 0 }
