package routing

import (
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
	if len(pool) > 0 {
		d.chosen(&pool[0])
	}
}

// expect scores candidates by what is expected of them, and moves the sooner ones forward in the draw.
func (d *draw) expect(pool []candidate) {
	const strongly = 6 // so that even of many the soonest is nearly always one of two
	best, all := math.Inf(1), 0.0
	for i := range pool {
		c := &pool[i]
		if c.score = d.first(c); c.score > 0 {
			best = min(best, c.score)
		}
		c.running = weight(c.health.Outstanding())
		all += c.running
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

// first is how long the target takes for the first event of a stream, or for a whole reply, in seconds; 0 if nobody knows.
func (d *draw) first(c *candidate) float64 {
	return c.health.First(d.x.Start, !d.x.Request.Stream()).Seconds()
}

// expected is when the first event of a request will probably come, in seconds: the time that it takes at present, longer if
// more is running there than should be, and longer while the target recovers. Of a target of which nothing is known as much is
// expected as of the best, so that it gets its chance, but few before it has answered. c.score is what it takes.
func (d *draw) expected(c *candidate, best float64) float64 {
	now := d.x.Start
	c.memory = d.p.memories.of(c.health)
	late, silent := c.memory.load.look(now, c.running)
	if c.score == 0 {
		return best * (c.running + 1)
	}
	first := c.memory.scouted(d.x).believe(now, c.score, c.running == 0, silent > 0)
	return max(first*late, silent) / c.health.Share(now)
}

// chosen remembers that a target is the first of a plan.
func (d *draw) chosen(c *candidate) {
	c.memory.load.arrived.Add(int64(1000 * weight(1, d.x.Request.PromptTokens())))
	c.memory.scouted(d.x).chosen(d.x.Start)
}

// weight is how much a number of requests is, whose prompts have so many tokens together.
func weight(requests, tokens int64) float64 { return float64(requests) + float64(tokens)/1000 }

// memories are what else one must know of targets to expect something of them.
type memories struct {
	byTarget sync.Map
	size     atomic.Int32
}

// mostMemories bounds what is remembered of targets that are gone, some of which had names that callers invented.
const mostMemories = 1024

func (m *memories) of(h *health.Target) *memory {
	if v, ok := m.byTarget.Load(h); ok {
		return v.(*memory)
	}
	if m.size.Add(1) > mostMemories { // all of it comes back soon
		m.byTarget.Clear()
		m.size.Store(1)
	}
	v, _ := m.byTarget.LoadOrStore(h, &memory{})
	return v.(*memory)
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
	quiet   gateway.Instant // since when nothing has ended
}

// lately is the time constant with which the past of a load is forgotten, in seconds.
const lately = 10

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
	l.ended += arrived - (running - l.running)
	if running < l.running || l.running == 0 {
		l.quiet = now
		if l.ended > 0 {
			l.stay = l.area / l.ended
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
// chooses grows old, and health lets it fade until the target is chosen again. That attempt is a scout: nobody follows before
// it is back, because the target may well be as slow as it was. Changes that are made at the same time may get lost, which
// does no harm.
type scouted struct {
	took  atomic.Uint64 // when that was measured, in seconds, a float64
	faded atomic.Uint64 // what health said at the last look
	scout atomic.Int64  // when the scout is given up; 0: there is none
}

// believe is what to believe, in seconds, if health says first; idle says that nothing is running there, and silent that
// nothing comes from there.
func (s *scouted) believe(now gateway.Instant, first float64, idle, silent bool) float64 {
	const slightly = 1.01
	took := math.Float64frombits(s.took.Load())
	news := first > slightly*math.Float64frombits(s.faded.Load())
	s.faded.Store(math.Float64bits(first))
	until := s.scout.Load()
	switch {
	case news, until != 0 && (idle || !silent && int64(now) > until): // the scout is back, and was not slower than what is left
		s.took.Store(math.Float64bits(first))
		s.scout.Store(0)
	case until != 0:
		return took
	}
	return first
}

// chosen sends a scout, if it is time.
func (s *scouted) chosen(now gateway.Instant) {
	const old, patience = 0.8, 2
	took := math.Float64frombits(s.took.Load())
	if s.scout.Load() == 0 && math.Float64frombits(s.faded.Load()) < old*took {
		s.scout.Store(int64(now.Add(time.Duration(patience * took * float64(time.Second)))))
	}
}
