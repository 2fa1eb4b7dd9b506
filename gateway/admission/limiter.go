package admission

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Settings of a Limiter. The zero value is usable: no bound, a limit only where the upstream shows that it needs one.
type Settings struct {
	// Max is how many requests may be under way whatever the upstream says; 0: no bound.
	Max int
	// Min is what the limit is never lowered below; 0: 1. With Min = Max the limit is fixed.
	Min int
	// Queue is how many requests may wait; 0: 1024, below 0: nobody waits. More seldom helps: who would wait longer than
	// Wait is refused at once, so the queue is about as long as Wait times the requests a second that the upstream serves.
	Queue int
	// Wait is the longest wait of one request; 0: 10 s.
	Wait time.Duration
	// Deaf limiters do not listen to latency: only what the upstream says lowers the limit.
	Deaf bool
}

// Ticket is one request that asks to enter.
type Ticket struct {
	Tenant   string        // whose it is: tenants of one priority are served in turn
	Priority Priority      // higher ones first
	Deadline clock.Instant // when its caller gives up; 0: never
}

// Signal is what an attempt has shown of the upstream's load. The zero value says nothing.
type Signal struct {
	// Overloaded: the upstream refused it for its load (429, 529, a 503 that says so).
	Overloaded bool
	// Rated: it refused it for a rate limit that it tells of, so for what one key may use in a minute, and not for its load.
	// That keeps those from coming all at once who have waited for its end, and nobody else.
	Rated bool
	// First is the time from sending the request to the first event of its stream, or to the refusal. A stream given up
	// before its first event tells how long it has waited. 0 for whole answers: how long they take is how long they are.
	First time.Duration
	// At is the moment of the signal, 0: now. Who has just read the clock spares reading it again.
	At clock.Instant
}

// The reasons of a Refusal.
var (
	ErrFull = errors.New("admission: too many requests wait")
	ErrLate = errors.New("admission: would wait too long")
)

// Refusal is the error of Enter for what may not wait, or has waited too long. It unwraps to ErrFull (nobody may join the
// queue, or its place went to somebody else) or ErrLate (past its deadline or Settings.Wait, now or by the rate at which
// others are served).
type Refusal struct {
	Reason error
	After  time.Duration // an estimate of when to ask again, for Retry-After: a second to a minute
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason.Error() }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// somebodyWaits is the lowest bit of Limiter.state, slot one slot in use.
const (
	somebodyWaits = 1
	slot          = 2
)

// glance is how often the latency is looked at.
const glance = 20 * time.Millisecond

// Limiter bounds the requests under way at one upstream. All methods may be called at any time by anybody; a nil Limiter
// admits everything. The package comment gives the order of calls.
type Limiter struct {
	// Slots in use and whether somebody waits, in one word: a Leave either comes before a waiter looks for the last time,
	// or sees that there is one.
	state atomic.Int64
	_     [56]byte // that is written by every request, the next two hardly ever
	limit atomic.Int64
	next  atomic.Int64 // the Instant of the next glance
	_     [48]byte
	load  load

	mu       sync.Mutex
	settings Settings
	control  control
	queue    queue
	meter    meter
	tick     *time.Timer // runs while somebody waits
	streams  int64       // load.awaited when it was last looked at
	full     uint64
	late     uint64
	left     uint64
}

// New makes a Limiter.
func New(s Settings) *Limiter {
	now := clock.Now()
	l := &Limiter{control: newControl(now), meter: meter{at: now}}
	l.limit.Store(none)
	l.next.Store(int64(past))
	l.load.begin(now, 0)
	l.Configure(s)
	return l
}

// Configure gives new settings to a Limiter in use. What it has learnt of the upstream stays, and who waits goes on
// waiting.
func (l *Limiter) Configure(s Settings) {
	if l == nil {
		return
	}
	if s.Queue == 0 {
		s.Queue = 1024
	}
	if s.Wait <= 0 {
		s.Wait = 10 * time.Second
	}
	s.Min = max(s.Min, 1)
	if s.Max > 0 {
		s.Min = min(s.Min, s.Max)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := clock.Now()
	switch {
	case s.Deaf:
		l.load.stop()
		l.control.acceptLatency()
	case l.settings.Deaf: // what was sent till now was not looked at
		l.load.begin(now, l.underWay())
	}
	l.settings = s
	l.control.configure(s.Min, max(s.Max, 0))
	l.update(now)
}

// TryEnter takes a slot if there is one and nobody waits. It neither blocks nor allocates. Whoever gets true calls Leave
// exactly once.
func (l *Limiter) TryEnter() bool {
	if l == nil {
		return true
	}
	for {
		s := l.state.Load()
		if s&somebodyWaits != 0 || s/slot >= l.limit.Load() {
			return false
		}
		if l.state.CompareAndSwap(s, s+slot) {
			return true
		}
	}
}

// Await tells that a stream's first event is now waited for; Observe must follow, exactly once, whatever comes of it.
func (l *Limiter) Await(now clock.Instant) {
	if l == nil {
		return
	}
	l.load.await()
	l.look(now)
}

// Observe tells what has come of it.
func (l *Limiter) Observe(s Signal) {
	if l == nil {
		return
	}
	if s.At == 0 {
		s.At = clock.Now()
	}
	l.load.answer(s)
	l.overloaded(s)
	l.look(s.At)
}

// Leave gives the slot back. The Signal is for what has not been told by Observe: whether an attempt that is no stream was
// refused.
func (l *Limiter) Leave(s Signal) {
	if l == nil {
		return
	}
	l.overloaded(s)
	if l.state.Add(-slot)&somebodyWaits != 0 {
		now := clock.Now()
		l.mu.Lock()
		l.meter.left++
		l.update(now)
		l.mu.Unlock()
	}
}

func (l *Limiter) overloaded(s Signal) {
	if !s.Overloaded && !s.Rated {
		return
	}
	if s.At == 0 {
		s.At = clock.Now()
	}
	l.mu.Lock()
	if s.Rated {
		l.control.spare(s.At, l.underWay())
	} else {
		l.control.overloaded(s.At, max(s.First, 0), l.underWay())
	}
	l.update(s.At)
	l.mu.Unlock()
}

// look brings everything up to date if it is time to.
func (l *Limiter) look(now clock.Instant) {
	if int64(now) < l.next.Load() {
		return
	}
	l.mu.Lock()
	l.update(now)
	l.mu.Unlock()
}

// join takes a slot after all (nothing is returned), refuses the ticket, or lets it wait so long.
func (l *Limiter) join(t Ticket, wake chan<- struct{}) (*waiter, time.Duration, error) {
	now := clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.update(now) // what nobody has run into for long is lifted
	if l.queue.n == 0 && l.take() {
		return nil, 0, nil
	}
	l.control.wanted = now
	wait, err := l.allow(now, t)
	if err != nil {
		return nil, 0, err
	}
	if l.queue.n == 0 {
		l.schedule()
	}
	w := l.queue.push(t, wake)
	l.state.Or(somebodyWaits)
	l.give() // what came free before that could be seen
	return w, wait, nil
}

// allow says how long a newcomer may wait, or why it may not.
func (l *Limiter) allow(now clock.Instant, t Ticket) (time.Duration, error) {
	peers, above := l.queue.ahead(t)
	estimate := l.meter.wait(t.Priority.class(), peers, above+l.excess())
	wait := l.settings.Wait
	if t.Deadline != 0 {
		wait = min(wait, t.Deadline.Sub(now)-l.control.baseline)
	}
	// A long queue lets a burst through. One that does not end only makes everybody late: then who waits for more than his
	// tenant's part of it must be served soon.
	longest := wait
	if l.meter.crowded() && l.queue.greedy(t) {
		longest = min(longest, l.settings.Wait/8)
	}
	// With nobody before it the estimate is not asked: it would never be put right.
	if wait <= 0 || peers+above > 0 && estimate > longest {
		l.late++
		return 0, refusal(ErrLate, estimate)
	}
	if l.queue.n >= l.settings.Queue {
		l.full++
		w := l.queue.yields(t)
		if w == nil {
			return 0, refusal(ErrFull, estimate)
		}
		l.queue.remove(w)
		w.end(refusal(ErrFull, estimate))
	}
	return wait, nil
}

func refusal(reason error, estimate time.Duration) *Refusal {
	return &Refusal{Reason: reason, After: min(max(estimate, time.Second), time.Minute)}
}

// update brings everything up to date that depends on the time, the load and the slots in use.
func (l *Limiter) update(now clock.Instant) {
	l.meter.advance(now, l.queue.n > 0)
	if l.queue.n > 0 {
		l.control.wanted = now
	}
	l.adapt(now)
	l.give()
}

// adapt changes the limit if it is time to.
func (l *Limiter) adapt(now clock.Instant) {
	c := &l.control
	if n := l.load.awaited.Load(); n != l.streams {
		l.streams, c.heard = n, now
	}
	c.idle(now)
	underWay := l.underWay()
	if c.settle(now, underWay) {
		l.load.begin(now, underWay)
	}
	judged := l.judge(now, underWay)
	if (judged || !c.late) && c.mayGrow(now) {
		c.grow(now)
		l.load.begin(now, underWay)
	}
	if c.limit > 0 && !c.settled {
		l.load.stop()
	}
	limit, _ := c.bound()
	l.limit.Store(limit)
}

// judge has the latency judged, if it is time to and enough is known.
func (l *Limiter) judge(now clock.Instant, underWay int) bool {
	if int64(now) < l.next.Load() {
		return false
	}
	l.next.Store(int64(now.Add(glance)))
	c := &l.control
	if l.settings.Deaf || c.limit > 0 && !c.settled {
		return false
	}
	s, ok := l.load.see(now, underWay, c.want(), c.awaits)
	if ok {
		c.judge(now, s, underWay)
	}
	return ok
}

// give gives slots to who waits.
func (l *Limiter) give() {
	for l.queue.n > 0 && l.take() {
		w, class := l.queue.pop()
		l.meter.given[class]++
		w.end(nil)
	}
	if l.queue.n == 0 {
		l.state.And(^somebodyWaits)
	}
}

// take takes a slot for who waits.
func (l *Limiter) take() bool {
	for {
		s := l.state.Load()
		if s/slot >= l.limit.Load() {
			return false
		}
		if l.state.CompareAndSwap(s, s+slot) {
			return true
		}
	}
}

func (l *Limiter) underWay() int { return int(l.state.Load() / slot) }

// excess is how many have to leave before a slot is free.
func (l *Limiter) excess() int { return int(max(l.state.Load()/slot-l.limit.Load(), 0)) }

// schedule has the limit looked after while somebody waits, even if nothing else happens.
func (l *Limiter) schedule() {
	round := l.control.round()
	if l.tick == nil {
		l.tick = time.AfterFunc(round, l.onTick)
		return
	}
	l.tick.Reset(round)
}

func (l *Limiter) onTick() {
	now := clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.update(now)
	if l.queue.n > 0 {
		l.schedule()
	}
}

// Snapshot is the state of a Limiter for metrics and the admin API.
type Snapshot struct {
	Limit   int             // requests that may be under way; 0: no limit
	Reason  string          // why there is a limit: "max" (Settings.Max), "refusals", "latency"; "" without
	InUse   int             // requests under way
	Waiting [Priorities]int // requests that wait, by priority, Low first
	// Refused since the start: because the queue was full, because they would have waited or have waited too long.
	Full, Late uint64
	Left       uint64        // callers that left while they waited, since the start
	Baseline   time.Duration // the quicker fifth of first events of an upstream at ease ends here; 0: not known yet
	First      time.Duration // the same lately
}

// Snapshot tells the state; the zero Snapshot for nil.
func (l *Limiter) Snapshot() Snapshot {
	if l == nil {
		return Snapshot{}
	}
	now := clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.update(now)
	s := Snapshot{
		InUse: l.underWay(), Full: l.full, Late: l.late, Left: l.left,
		Baseline: l.control.baseline, First: l.control.first,
	}
	limit, reason := l.control.bound()
	if s.Reason = reason; limit != none {
		s.Limit = int(limit)
	}
	for i := range s.Waiting {
		s.Waiting[i] = l.queue.classes[i].n
	}
	return s
}
