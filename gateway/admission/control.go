package admission

import (
	"math"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// none is a limit that nothing reaches, and a moment that never comes.
const none = math.MaxInt64 >> 1

// past is before every Instant: the clock of a test may be negative.
const past = clock.Instant(math.MinInt64 >> 1)

const (
	// An upstream is slow when its first events take slowFactor times as long as at ease, and leastDelay longer.
	slowFactor = 2.5
	leastDelay = 100 * time.Millisecond
	// Latency at ease follows what is seen with these time constants, upwards and downwards: an hour of the day is no
	// overload.
	forgets, improves = 5 * time.Minute, time.Minute
	// A limit that nobody has run into for this long is lifted.
	unused = 30 * time.Second
	// Where requests were refused the growth pauses so long, longer each time: each try costs a refused request.
	shortHold, longHold = 5 * time.Second, time.Minute
)

// control decides the limit. It works in rounds: a change of the limit is judged by requests that were sent after it.
//
// A refusal for overload lowers the limit to what the upstream has shown that it bears: the requests under way less those
// refused in the round, at most nine tenths and at least half. As refusals come at once, the limit grows again soon.
//
// A latency far above that of an upstream at ease does the same, but only if more requests are under way than there were
// at ease, and on trial: if it is as slow with no more requests than then, something else is the reason, and its latency
// is the new one at ease. The limit grows as latencies become known. Total latency says nothing: it is the length of the
// answers.
type control struct {
	least, most int  // Settings.Min and Max, most 0: no bound
	limit       int  // 0: none
	late        bool // the limit is for latency

	// The round.
	cutAt   clock.Instant
	peak    int  // requests under way when it began
	refused int  // of these
	settled bool // no more than the limit have been under way at some moment since the cut

	// Growth.
	changed clock.Instant // when the limit was last changed
	wanted  clock.Instant // when somebody last found no room
	heard   clock.Instant // when a stream was last sent
	step    int
	ceiling int           // where requests were refused; 0: not known
	hold    time.Duration // how long to stay there
	until   clock.Instant // no growth before

	// Latency.
	refusal  time.Duration // of refusals
	first    time.Duration // of first events lately: the quicker fifth ends here
	baseline time.Duration // the same at ease
	seen     int           // how many first events that is known from
	calm     int           // the most requests under way at ease
	rest     float64       // those of them that wait for their first event
	slow     int           // judgements in a row
	trial    int           // requests under way when it began; 0: none
	judged   clock.Instant
}

func newControl(now clock.Instant) control {
	return control{least: 1, cutAt: past, changed: past, wanted: past, heard: past, until: past, judged: now}
}

// bound is the limit that holds, and why.
func (c *control) bound() (int64, string) {
	switch {
	case c.limit == 0 && c.most == 0:
		return none, ""
	case c.limit == 0 || c.most > 0 && c.most < c.limit:
		return int64(c.most), "max"
	case c.late:
		return int64(c.limit), "latency"
	default:
		return int64(c.limit), "refusals"
	}
}

// configure gives new bounds.
func (c *control) configure(least, most int) {
	c.least, c.most = least, most
	if c.limit > 0 {
		c.limit = max(c.limit, least)
	}
	if c.fixed() {
		c.lift()
	}
}

func (c *control) fixed() bool { return c.most > 0 && c.least >= c.most }

// round is how long a change of the limit takes to show.
func (c *control) round() time.Duration {
	return min(max(c.refusal, 2*c.first, 100*time.Millisecond), 5*time.Second)
}

// overloaded takes note of a refusal that took so long (0: not known), with so many under way, it included.
func (c *control) overloaded(now clock.Instant, took time.Duration, underWay int) {
	if took > 0 {
		c.refusal += (took - c.refusal) / 4
	}
	if c.fixed() {
		return
	}
	c.late, c.trial = false, 0
	c.refused++
	if c.limit == 0 || now.Add(-max(took, c.refusal)) > c.cutAt {
		c.refused, c.peak = 1, max(underWay, 1)
		c.pause(c.peak - 1)
	}
	c.ceiling = max(c.peak-c.refused, c.peak/2, c.least)
	c.cut(now, c.ceiling)
	c.step = 1
}

// pause sets how long to stay at a ceiling: ever longer, if it is about where the last one was.
func (c *control) pause(ceiling int) {
	if far := c.ceiling - ceiling; c.ceiling == 0 || 4*max(far, -far) > ceiling {
		c.hold = shortHold
		return
	}
	c.hold = min(2*c.hold, longHold)
}

// cut lowers the limit to what the upstream seems to bear, at most nine tenths and at least half of what it had.
func (c *control) cut(now clock.Instant, bears int) {
	to := max(min(bears, c.peak*9/10), c.peak/2, c.least)
	if c.limit == 0 || to < c.limit {
		c.limit = to
	}
	c.cutAt, c.changed, c.until, c.settled = now, now, past, false
}

// settle notes when as few requests are under way as the limit allows: what was sent before says nothing about it. It says
// whether that is now.
func (c *control) settle(now clock.Instant, underWay int) bool {
	if c.limit == 0 || c.settled || underWay > c.limit {
		return false
	}
	c.settled, c.judged, c.slow = true, now, 0
	return true
}

// mayGrow says whether it is time to raise the limit: it has kept requests waiting since it was changed, and a round has
// passed without trouble.
func (c *control) mayGrow(now clock.Instant) bool {
	return c.limit > 0 && c.trial == 0 && c.slow == 0 && c.wanted >= c.changed && now >= c.until &&
		now.Sub(c.changed) >= c.round()
}

// grow raises the limit, by more each time.
func (c *control) grow(now clock.Instant) {
	c.changed = now
	from := c.limit
	c.limit += c.step
	c.step = min(2*c.step, max(1, c.limit/4))
	if from < c.ceiling && c.limit >= c.ceiling {
		c.limit, c.step, c.until = c.ceiling, 1, now.Add(c.hold)
	}
	if c.most > 0 && c.limit >= c.most {
		c.lift()
	}
}

// idle lifts a limit that nobody has run into for long, or that is for the latency of streams when there are none.
func (c *control) idle(now clock.Instant) {
	if c.limit > 0 && now.Sub(c.cutAt) >= unused &&
		(now.Sub(c.wanted) >= unused || c.late && now.Sub(c.heard) >= unused) {
		c.lift()
	}
}

func (c *control) lift() {
	c.limit, c.late, c.ceiling, c.hold, c.trial, c.slow = 0, false, 0, 0, 0, 0
}

// want is how large a cohort should be. The first is small, to know the upstream at ease before it no longer is.
func (c *control) want() int {
	if c.baseline == 0 {
		return 2 * small
	}
	return large
}

// tooSlow is what the quicker fifth of n first events takes if the upstream is slow: the fewer, the more chance is in it.
func (c *control) tooSlow(n int) time.Duration {
	if c.baseline == 0 {
		return clock.Forever
	}
	factor := slowFactor * math.Sqrt(large/float64(min(n, c.seen, large)))
	return max(time.Duration(factor*float64(c.baseline)), c.baseline+leastDelay)
}

// judge compares the latency of a cohort with that of an upstream at ease.
func (c *control) judge(now clock.Instant, s sight, underWay int) {
	since := now.Sub(c.judged)
	c.judged, c.first = now, s.low
	if c.baseline == 0 {
		c.baseline, c.seen, c.calm, c.rest = s.low, s.n, s.underWay, float64(s.waiting)
		return
	}
	if slow := c.tooSlow(s.n); s.low > slow {
		c.slow++
		c.suspect(now, s, underWay)
	} else {
		c.trial = 0
		if s.low <= slow*4/5 {
			c.slow = 0
		}
	}
	c.learn(since, s)
}

// suspect decides what follows from first events that come late.
func (c *control) suspect(now clock.Instant, s sight, underWay int) {
	switch {
	case c.fixed(), c.slow < 2 && underWay < 4*c.calm: // once may be chance
	case c.limit == 0 && underWay <= c.calm*5/4+2: // it has been at ease with as many
	case c.trial > 0 && c.limit <= max(c.calm, c.least):
		c.baseline, c.calm = s.low, c.trial
		c.lift()
	default:
		c.accuse(now, s, underWay)
	}
}

// accuse lowers the limit, but not below what the upstream has borne at ease, and begins a trial if there is none.
func (c *control) accuse(now clock.Instant, s sight, underWay int) {
	bears := 0
	if c.limit > 0 { // without those that wait there rather than here
		bears = underWay - max(s.waiting-int(c.rest), 0)
	}
	if c.trial == 0 {
		c.trial = underWay
	}
	c.late, c.ceiling, c.refused, c.peak = true, 0, 0, max(underWay, 1)
	c.cut(now, max(bears, c.calm))
	c.step = max(1, c.limit/8)
}

// learn moves what an upstream at ease looks like towards what is seen: down soon, up slowly, and up not at all while a
// limit holds, which is there because it is not at ease.
func (c *control) learn(since time.Duration, s sight) {
	c.seen = min(c.seen+s.n, 1<<20)
	share := float64(s.n) / float64(c.seen) // until much is known, the mean
	slowly := max(1-math.Exp(-float64(since)/float64(forgets)), share)
	soon := max(1-math.Exp(-float64(since)/float64(improves)), share)
	atEase := s.low <= c.baseline*3/2
	switch gap := float64(s.low - c.baseline); {
	case gap < 0:
		c.baseline += time.Duration(gap * soon)
	case c.limit == 0:
		c.baseline += time.Duration(gap * slowly)
	}
	if !atEase {
		return
	}
	c.rest += (float64(s.waiting) - c.rest) * max(slowly, 0.1)
	if s.underWay > c.calm {
		c.calm = s.underWay
	} else if c.limit == 0 {
		c.calm -= int(float64(c.calm-s.underWay) * slowly)
	}
}
