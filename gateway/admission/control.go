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
	// An upstream is slow when its first events take more than slowFactor times as long as at ease and more than leastDelay
	// longer, and at ease again when they take less than easeFactor times as long.
	slowFactor = 2.5
	easeFactor = 1.5
	leastDelay = 100 * time.Millisecond
	// So many times in a row are no chance; once is enough if hardly anybody is answered.
	sure = 3
	// Latency at ease follows what is seen with these time constants, upwards and downwards: an hour of the day is no
	// overload.
	forgets, improves = 5 * time.Minute, time.Minute
	// A limit for latency that has brought it only in between is tried again after this long.
	untried = time.Minute
	// A limit that nobody has run into for this long is lifted.
	unused = 30 * time.Second
	// One for a refusal among few, after this long.
	brief = 5 * time.Second
	// Fewer than this under way are hardly what is too much, see spares.
	few = 8
	// Where requests were refused the growth pauses so long, longer each time: each try costs a refused request.
	shortHold, longHold = 5 * time.Second, time.Minute
)

// control decides the limit. It works in rounds: a change of the limit is judged by requests that were sent after it.
//
// A refusal for overload lowers the limit to what the upstream has shown that it bears: the requests under way less those
// refused in the round, at most nine tenths and at least half. As refusals come at once, the limit grows again soon.
//
// A latency far above that of an upstream at ease does the same, but only if more requests are under way than there were
// at ease, and on trial: if it is as slow with no more requests than then, and half of them are not much quicker, something
// else is the reason, the limit goes and its latency is the new one at ease. The limit grows as latencies become known.
// Total latency says nothing: it is the length of the answers.
type control struct {
	least, most int  // Settings.Min and Max, most 0: no bound
	limit       int  // 0: none
	late        bool // the limit is for latency

	// The round.
	cutAt   clock.Instant
	peak    int           // requests under way when it began
	refused int           // of these
	settled bool          // no more than the limit have been under way at some moment since the cut
	spared  clock.Instant // when a round of refusals among few began that was let pass
	gentle  bool          // the limit is for such a one

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
	eased    bool          // it was at ease lately
	slow     int           // judgements in a row that it was not
	lows     time.Duration // their sum
	trial    bool
	before   time.Duration // what it was with twice as many under way; 0: that is not tried
	tried    clock.Instant // when it last lowered the limit
	judged   clock.Instant
}

func newControl(now clock.Instant) control {
	return control{least: 1, cutAt: past, spared: past, changed: past, wanted: past, heard: past, until: past, tried: past, judged: now}
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
	if c.spares(now, now.Add(-max(took, c.refusal)), underWay) {
		c.spare(now, 0)
		return
	}
	c.gentle, c.late, c.trial, c.before = false, false, false, 0
	c.refused++
	if c.limit == 0 || now.Add(-max(took, c.refusal)) > c.cutAt {
		c.refused, c.peak = 1, max(underWay, 1)
		c.pause(c.peak - 1)
	}
	c.ceiling = max(c.peak-c.refused, c.peak/2, c.least)
	c.cut(now, c.ceiling)
	c.step = 1
	if c.limit >= c.ceiling { // it is there already
		c.until = now.Add(c.hold)
	}
}

// spares says whether a refusal among few requests, sent at that moment, does not lower the limit below few. Mostly it is about
// something else, such as what one key may use in a minute, and a limit of one or two would hold up all others for that. An
// upstream that bears no more says so again soon; but what was refused alone says nothing of how many there may be.
func (c *control) spares(now, sent clock.Instant, underWay int) bool {
	switch {
	case underWay >= few:
		return false
	case underWay <= 1:
		return true
	case c.limit > 0 && !c.gentle, sent > c.spared && now.Sub(c.spared) < unused:
		return false
	case now.Sub(c.spared) >= unused:
		c.spared = now
	}
	return true
}

// spare sets a limit for a while that few do not notice, nor so many as are under way, but all those that may be waiting until
// the upstream can be asked again.
func (c *control) spare(now clock.Instant, underWay int) {
	if c.fixed() || c.limit > 0 && !c.gentle {
		return
	}
	c.limit, c.gentle, c.late, c.trial, c.before = max(few, c.least, underWay), true, false, false, 0
	c.refused, c.peak, c.ceiling, c.step = 0, c.limit, 0, 1
	c.cutAt, c.changed, c.until, c.settled = now, now, past, false
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
	c.settled, c.judged = true, now
	c.relax()
	return true
}

// mayGrow says whether it is time to raise the limit: it has kept requests waiting since it was changed, and a round has
// passed without trouble.
func (c *control) mayGrow(now clock.Instant) bool {
	return c.limit > 0 && (c.eased || !c.late) && c.wanted >= c.changed && now >= c.until &&
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
	after := unused
	if c.gentle {
		after = brief
	}
	if c.limit > 0 && now.Sub(c.cutAt) >= after &&
		(now.Sub(c.wanted) >= after || c.late && now.Sub(c.heard) >= unused) {
		c.lift()
	}
}

// acceptLatency lifts a limit that is for latency.
func (c *control) acceptLatency() {
	if c.late {
		c.lift()
	}
}

func (c *control) lift() {
	c.limit, c.late, c.gentle, c.ceiling, c.hold = 0, false, false, 0, 0
	c.trial, c.before = false, 0
	c.relax()
}

// want is how large a cohort should be. The first is small, to know the upstream at ease before it no longer is.
func (c *control) want() int {
	if c.baseline == 0 {
		return 2 * small
	}
	return large
}

// tooSlow is what the quicker fifth of n first events takes if the upstream is slow.
func (c *control) tooSlow(n int) time.Duration { return c.times(slowFactor, n) }

// awaits is how long to wait for the quicker fifth of n first events: if latencies are to be compared, until they are known.
func (c *control) awaits(n int) time.Duration {
	if c.floor() {
		return clock.Forever
	}
	return c.tooSlow(n)
}

// times is a multiple of the latency at ease, more of it for few first events: the fewer, the more chance is in them.
func (c *control) times(factor float64, n int) time.Duration {
	if c.baseline == 0 {
		return clock.Forever
	}
	factor *= math.Sqrt(large / float64(min(n, c.seen, large)))
	return max(time.Duration(factor*float64(c.baseline)), c.baseline+leastDelay)
}

// judge compares the latency of a cohort with that of an upstream at ease.
func (c *control) judge(now clock.Instant, s sight, underWay int) {
	since := now.Sub(c.judged)
	c.judged, c.first = now, s.low
	if c.baseline == 0 {
		c.baseline, c.seen, c.calm, c.rest = s.low, s.n, s.underWay, float64(s.waiting)
		if c.late { // it was not the load
			c.lift()
		}
		return
	}
	if c.before > 0 {
		c.compare(s)
		return
	}
	slow := s.low > c.tooSlow(s.n)
	c.eased = s.low <= c.times(easeFactor, s.n)
	doubted := c.trial || c.late && now.Sub(c.tried) > untried
	if slow || doubted && !c.eased && !c.floor() {
		c.slow++
		c.lows += s.low
		c.suspect(now, s, underWay)
	} else {
		c.trial = false
		c.relax()
	}
	if !slow || c.limit == 0 {
		c.learn(since, s)
	}
}

// floor says whether latency is no reason to lower the limit any further: with as many the upstream has been at ease.
func (c *control) floor() bool { return c.limit > 0 && c.limit <= max(c.calm, c.least) }

// rising says whether more requests are under way than there were at ease.
func (c *control) rising(underWay int) bool { return underWay > c.calm*5/4+2 }

// suspect decides what follows from first events that come late.
func (c *control) suspect(now clock.Instant, s sight, underWay int) {
	switch {
	case c.fixed(), c.slow < sure && !s.stuck: // it may be chance
	case c.limit == 0 && !c.rising(underWay): // it has been at ease with as many
	case !c.floor():
		c.accuse(now, s, underWay)
	case c.late: // is it for the load, would it help to halve it
		c.before, c.peak = c.lows/time.Duration(c.slow), max(underWay, 1)
		c.cut(now, 0)
	default:
		c.acquit()
	}
}

// compare decides whether half as many requests have shortened the latency: if so, this is how many the upstream bears.
func (c *control) compare(s sight) {
	c.lows += s.low
	if c.slow++; c.slow < 2 {
		return
	}
	if after := c.lows / time.Duration(c.slow); after*10 > c.before*7 {
		c.acquit()
		return
	}
	c.calm, c.before = c.limit, 0
	c.relax()
}

// relax forgets that it was slow.
func (c *control) relax() { c.slow, c.lows = 0, 0 }

// acquit lets the upstream be known anew, at the limit that there is: it is slow, but not for its load.
func (c *control) acquit() {
	c.baseline, c.before, c.eased = 0, 0, false
	c.relax()
}

// accuse lowers the limit, but not below what the upstream has borne at ease, and begins a trial if there is none.
func (c *control) accuse(now clock.Instant, s sight, underWay int) {
	bears := 0
	if c.trial && !s.stuck { // without those that wait there rather than here
		bears = s.underWay - max(s.waiting-int(c.rest), 0)
	}
	c.tried = now
	c.late, c.gentle, c.trial, c.ceiling, c.refused, c.peak = true, false, true, 0, 0, max(underWay, 1)
	c.cut(now, max(bears, c.calm))
	c.step = max(1, c.limit/8)
}

// learn moves what an upstream at ease looks like towards what is seen: down soon, up slowly, and up not at all above the
// floor of a limit, which is there because it is not at ease.
func (c *control) learn(since time.Duration, s sight) {
	few := float64(s.n) / (4 * large) // however long it took to find them
	slowly := min(1-math.Exp(-float64(since)/float64(forgets)), few)
	soon := min(1-math.Exp(-float64(since)/float64(improves)), few)
	atEase := s.low <= c.baseline*3/2
	if atEase || !c.rising(s.underWay) { // the mean, until much is known
		c.seen = min(c.seen+s.n, 1<<20)
		share := float64(s.n) / float64(c.seen)
		slowly, soon = max(slowly, share), max(soon, share)
	}
	if c.floor() { // it is at ease, whatever that looked like
		slowly = few
	}
	switch gap := float64(s.low - c.baseline); {
	case gap < 0:
		c.baseline += time.Duration(gap * soon)
	case c.limit == 0 || c.floor():
		c.baseline += time.Duration(gap * slowly)
	}
	if !atEase {
		return
	}
	c.rest += (float64(s.waiting) - c.rest) * max(slowly, 0.1)
	switch {
	case c.limit > 0:
	case s.underWay > c.calm:
		c.calm = s.underWay
	default:
		c.calm -= int(float64(c.calm-s.underWay) * slowly)
	}
}
