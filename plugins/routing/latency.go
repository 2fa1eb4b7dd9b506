package routing

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
)

// tellApart leaves one key of each step to choose from: the one that was drawn, of those that are best.
func tellApart(step []candidate, now gateway.Instant) {
	best := 0
	for i := range step {
		c := &step[i]
		if c.class == well {
			switch c.health.State(now) {
			case health.Healthy:
			case health.Suspect:
				c.class = suspect
			default:
				c.class = due
			}
		}
		if b := &step[best]; c.class < b.class || c.class == b.class && c.place < b.place {
			best = i
		}
	}
	for i := range step {
		if c := &step[i]; i != best && c.class < barred {
			c.class = other
		}
	}
}

// byLatency takes two of those that are well, at random by weight and more often those whose first event will probably come
// soon, and prefers the sooner of them: always to take the best of all would send everything to one place until that is known
// to be bad (Mitzenmacher, The power of two choices in randomized load balancing). The others follow by what is expected of
// them. What was ill and may be tried again goes before all, because it would never be chosen; health sees to it that it gets
// few.
func (d *draw) byLatency(pool []candidate) {
	d.expect(pool)
	slices.SortStableFunc(pool, byPlace)
	for len(pool) > 0 && pool[0].class == due {
		pool = pool[1:]
	}
	if len(pool) > 1 {
		if pool[1].class == pool[0].class && !math.IsInf(pool[1].place, 1) && pool[1].score < pool[0].score {
			pool[0], pool[1] = pool[1], pool[0]
		}
		slices.SortStableFunc(pool[1:], byScore)
	}
}

// expect scores candidates by what is expected of them, and moves the sooner ones forward in the draw.
func (d *draw) expect(pool []candidate) {
	const strongly = 6 // so that even of many the soonest is nearly always one of two
	best, all := math.Inf(1), 0.0
	for i := range pool {
		c := &pool[i]
		c.running = weight(c.health.Outstanding())
		all += c.running
		if d.believe(c, len(pool)-1); c.score > 0 {
			best = min(best, c.score)
		}
	}
	if math.IsInf(best, 1) {
		best = 1 // nothing is known: who has less to do comes first
	}
	for i := range pool {
		c := &pool[i]
		c.score = d.expected(c, best) * math.Sqrt(1+c.running/max(all, 1)) // of equals, who has less to do
		c.place *= math.Pow(c.score/best, strongly)
	}
}

// believe sets what the target takes for the first event of a stream, or for a whole reply, in seconds; 0 if nobody knows.
// others are those that can be chosen instead.
func (d *draw) believe(c *candidate, others int) {
	now, m := d.x.Start, d.p.memories.of(c.health)
	c.late, c.silent = m.load.look(now, c.running)
	c.score = m.scouted(d.x).believe(now, c, !d.x.Request.Stream(), others)
}

// expected is when the first event of a request will probably come, in seconds: the time that it takes at present, longer if
// more is running there than should be, and longer while the target recovers. Of a target of which nothing is known as much is
// expected as of the best, so that it gets its chance, but few before it has answered. c.score is what it takes.
func (d *draw) expected(c *candidate, best float64) float64 {
	if c.score == 0 {
		return best * (c.running + 1)
	}
	return max(c.score*c.late, c.silent) / c.health.Share(d.x.Start)
}

// chosen takes down what the plan means for the targets in it: work for the first, and of those among which it was chosen by
// latency, that they were not.
func (p *Plugin) chosen(x *gateway.Exchange, among []*gateway.Target) {
	if p.memories.size.Load() == 0 {
		return
	}
	first := x.Plan.Targets[0]
	if m := p.memories.known(healthOf(x, first)); m != nil {
		m.load.arrived.Add(int64(1000 * weight(1, x.Request.PromptTokens())))
		if slices.Contains(among, first) {
			m.scouted(x).chosen(x.Start)
		}
	}
	for _, t := range among {
		if m := p.memories.known(healthOf(x, t)); m != nil && t != first {
			m.scouted(x).passed.Add(1)
		}
	}
}

// weight is how much a number of requests is, whose prompts have so many tokens together.
func weight(requests, tokens int64) float64 { return float64(requests) + float64(tokens)/1000 }

// memories are what else one must know of targets to expect something of them.
type memories struct {
	byTarget sync.Map
	size     atomic.Int32
}

// mostMemories bounds what is remembered of targets that are gone, some of which had names that callers invented.
const mostMemories = 8192

func (m *memories) of(h *health.Target) *memory {
	if v, ok := m.byTarget.Load(h); ok {
		return v.(*memory)
	}
	v, known := m.byTarget.LoadOrStore(h, &memory{})
	if !known && m.size.Add(1) > mostMemories {
		m.byTarget.Range(func(other, _ any) bool { // any will do: what is known comes back soon
			if other == h {
				return true
			}
			if _, there := m.byTarget.LoadAndDelete(other); there {
				m.size.Add(-1)
			}
			return false
		})
	}
	return v.(*memory)
}

// known is what there is; nil if there is nothing.
func (m *memories) known(h *health.Target) *memory {
	if v, ok := m.byTarget.Load(h); ok {
		return v.(*memory)
	}
	return nil
}

// memory is of one target.
type memory struct {
	load           load
	streams, whole scouted // their times differ
}

func (m *memory) scouted(x *gateway.Exchange) *scouted {
	if x.Request.Stream() {
		return &m.streams
	}
	return &m.whole
}

// load tells whether answers of a target are late, before they are there. What should be running is what was sent, each of it
// for as long as such things stay there; how long that is follows from what runs in the mean and how much ends (Little's law).
type load struct {
	arrived atomic.Int64  // since the last look, in thousandths
	late    atomic.Uint64 // as look said last, a float64
	silent  atomic.Uint64 // likewise

	mu      sync.Mutex
	at      gateway.Instant // of the last look
	running float64         // then
	should  float64         // be running
	stay    float64         // how long things stay, in seconds; 0: not known yet
	area    float64         // what ran, times how long, lately
	ended   float64         // in that time
	quiet   gateway.Instant // since when nothing has ended, or too little to tell
	gone    float64         // what has ended since then
}

const (
	// lately is the time constant with which the past of a load is forgotten, in seconds.
	lately = 10
	// unseen is for how long things are taken to stay that were over at each look, in seconds.
	unseen = 1
)

// look says by how much more is running than should be, 1 if it is not; and, if nothing has ended for much longer than
// things stay, for how long, in seconds. Where several ask at once they get the same answer.
func (l *load) look(now gateway.Instant, running float64) (late, silent float64) {
	const few = 4 // more or less is chance
	if !l.mu.TryLock() {
		return max(math.Float64frombits(l.late.Load()), 1), math.Float64frombits(l.silent.Load())
	}
	defer l.mu.Unlock()
	if since := now.Sub(l.at).Seconds(); l.at != 0 && since > 0 {
		fade := math.Exp(-since / lately)
		l.area = l.area*fade + l.running*since
		l.ended *= fade
		if l.stay > 0 {
			l.should *= math.Exp(-since / l.stay)
		}
	}
	arrived := float64(l.arrived.Swap(0)) / 1000
	l.should += arrived
	gone := arrived - (running - l.running)
	l.ended += gone
	l.gone += gone
	switch {
	// A few that were chosen and do not run yet look as if they had ended: of many that run, many must have.
	case running < l.running, l.gone > 0.5 && l.gone >= running/4,
		l.running == 0, running <= 1.5*arrived: // what runs may have come since the last look
		l.quiet, l.gone = now, 0
		if l.ended > 0 {
			l.stay = cmp.Or(l.area/l.ended, unseen)
		}
	}
	l.at, l.running = now, running
	late = max((running+few)/(l.should+few), 1)
	if quiet := now.Sub(l.quiet).Seconds(); l.stay > 0 && quiet > 3*l.stay {
		silent = quiet
	}
	l.late.Store(math.Float64bits(late))
	l.silent.Store(math.Float64bits(silent))
	return late, silent
}

// scouted is what a target needs for its answers, as far as that is to be believed. What is known of a target that nobody
// chooses grows old: it fades, until the target is chosen again. It fades with time, as health says, but no faster than others
// are chosen, because of a model that is seldom asked each request would find what is known faded. That attempt is a scout:
// nobody follows before it is back, because the target may well be as slow as it was. Changes that are made at the same time
// may get lost, which does no harm.
type scouted struct {
	measured atomic.Int64  // when health measured last
	asked    atomic.Int64  // when the target was chosen first since then; 0: it was not
	passed   atomic.Int64  // how often others were chosen since
	took     atomic.Uint64 // what was measured, in seconds, a float64
	faded    atomic.Uint64 // what was left of that at the last look
	scout    atomic.Int64  // when the scout is given up; 0: there is none
}

// scoutless is how often others are chosen before what was measured fades, and in which it then fades to a third: a target
// that takes twice as long as the best gets a request in 210. Of several others each gets so many.
const scoutless = 125

// believe is what to believe of a candidate, in seconds; 0 if nothing was measured.
func (s *scouted) believe(now gateway.Instant, c *candidate, whole bool, others int) float64 {
	measured, at := c.health.Measured(now, whole)
	took := measured.Seconds()
	if int64(at) != s.measured.Load() { // perhaps the scout is back
		s.measured.Store(int64(at))
		s.took.Store(math.Float64bits(took))
		s.asked.Store(0)
		s.passed.Store(0)
		s.scout.Store(0)
	}
	if asked := gateway.Instant(s.asked.Load()); asked != 0 && c.running > 0 {
		if unanswered := now.Sub(asked).Seconds(); unanswered > 3*took {
			c.silent = max(c.silent, unanswered) // though streams that have begun go on
		}
	}
	if until := s.scout.Load(); until != 0 {
		if lost := c.running == 0 || c.silent == 0 && int64(now) > until; !lost {
			return took
		}
		s.scout.Store(0)
	}
	often := float64(scoutless * max(others, 1))
	left := math.Exp(-max(float64(s.passed.Load())-often, 0) / often)
	faded := max(took*left, min(c.health.First(now, whole).Seconds(), took))
	s.faded.Store(math.Float64bits(faded))
	return faded
}

// chosen notes that the target is the first of a plan, and sends a scout, if it is time.
func (s *scouted) chosen(now gateway.Instant) {
	const old, patience = 0.8, 2
	if s.asked.Load() == 0 {
		s.asked.Store(int64(now))
	}
	took := math.Float64frombits(s.took.Load())
	if s.scout.Load() == 0 && math.Float64frombits(s.faded.Load()) < old*took {
		s.scout.Store(int64(now.Add(time.Duration(patience * took * float64(time.Second)))))
	}
}
