package admission

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Settings of a Limiter. The zero value is usable: no bound, limits only where the upstream shows that it needs one.
type Settings struct {
	Max   int           // requests under way at most, whatever the upstream says; 0: no bound
	Min   int           // never adapt below this; 0: 1. Min = Max is a fixed limit
	Queue int           // requests that may wait; 0: 1024; below 0: nobody waits
	Wait  time.Duration // longest wait of one request; 0: 10 s
}

// Ticket is one request that asks to enter.
type Ticket struct {
	Tenant   string        // whose it is: tenants of one priority are served in turn
	Priority Priority      // higher ones first
	Deadline clock.Instant // when its caller gives up; 0: never
}

// Signal is what an attempt has shown of the upstream's load. The zero value says nothing.
type Signal struct {
	// Overloaded: the upstream refused it for its load (429, 529, 503 with the words for it).
	Overloaded bool
	// First is the time from sending the request to the first event of its stream, or to the refusal. A stream given up
	// before its first event tells how long it has waited. 0 for whole answers: their length says nothing about load.
	First time.Duration
	// At is the moment of the signal, 0: now. Who has just read the clock spares reading it again.
	At clock.Instant
}

// The reasons of a Refusal.
var (
	ErrFull = errors.New("admission: the queue is full")
	ErrLate = errors.New("admission: would wait beyond its deadline")
)

// Refusal is the error of Enter for what may not wait, or has waited too long. It unwraps to ErrFull (the queue is full,
// or a higher priority took its place) or ErrLate.
type Refusal struct {
	Reason error
	After  time.Duration // an estimate of when to ask again, for Retry-After; never 0
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason.Error() + ", ask again in " + r.After.String() }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Limiter bounds the requests under way at one upstream. All methods may be called at any time by anybody; a nil Limiter
// admits everything.
type Limiter struct {
	inUse atomic.Int64

	mu       sync.Mutex
	settings Settings
	waiting  []*waiter
}

type waiter struct{ admitted chan struct{} }

// New makes a Limiter.
func New(s Settings) *Limiter {
	l := &Limiter{}
	l.Configure(s)
	return l
}

// Configure gives new settings to a Limiter in use; what it has learnt of the upstream stays.
func (l *Limiter) Configure(s Settings) {
	if l == nil {
		return
	}
	if s.Queue == 0 {
		s.Queue = 1024
	}
	if s.Wait == 0 {
		s.Wait = 10 * time.Second
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settings = s
	l.dispatch()
}

// TryEnter takes a slot if there is one and nobody waits for it. It neither blocks nor allocates. Whoever gets true calls
// Leave exactly once.
func (l *Limiter) TryEnter() bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) == 0 && l.take()
}

func (l *Limiter) take() bool {
	if l.settings.Max > 0 && l.inUse.Load() >= int64(l.settings.Max) {
		return false
	}
	l.inUse.Add(1)
	return true
}

func (l *Limiter) dispatch() {
	for len(l.waiting) > 0 && l.take() {
		close(l.waiting[0].admitted)
		l.waiting = l.waiting[1:]
	}
}

// Enter takes a slot, waiting for one if it must. The error is a *Refusal or the context's cause; without one, Leave must
// be called exactly once.
func (l *Limiter) Enter(ctx context.Context, t Ticket) error {
	if l.TryEnter() {
		return nil
	}
	l.mu.Lock()
	if len(l.waiting) >= l.settings.Queue {
		l.mu.Unlock()
		return &Refusal{Reason: ErrFull, After: time.Second}
	}
	w := &waiter{admitted: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.dispatch()
	wait := l.settings.Wait
	l.mu.Unlock()
	if t.Deadline != 0 {
		wait = min(wait, t.Deadline.Sub(clock.Now()))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.admitted:
		return nil
	case <-ctx.Done():
		return l.abandon(w, context.Cause(ctx))
	case <-timer.C:
		return l.abandon(w, &Refusal{Reason: ErrLate, After: time.Second})
	}
}

func (l *Limiter) abandon(w *waiter, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.waiting {
		if l.waiting[i] == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return err
		}
	}
	l.inUse.Add(-1) // admitted at the same moment
	l.dispatch()
	return err
}

// Observe tells what an attempt that is still under way has shown: a stream whose first event has come. Not calling it
// costs nothing but time: the limiter then learns at Leave.
func (l *Limiter) Observe(Signal) {}

// Leave gives the slot back, and tells what Observe has not told.
func (l *Limiter) Leave(s Signal) {
	if l == nil {
		return
	}
	l.Observe(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse.Add(-1)
	l.dispatch()
}

// Snapshot is the state of a Limiter for metrics and the admin API.
type Snapshot struct {
	Limit    int           // requests that may be under way; 0: no limit
	InUse    int           // requests under way
	Waiting  [classes]int  // by priority, Low first
	Full     uint64        // refused since the start: the queue was full
	Late     uint64        // refused since the start: would have waited, or has waited, too long
	Left     uint64        // callers that left while they waited
	Baseline time.Duration // first event of an upstream at ease; 0: not known yet
	First    time.Duration // first event lately (a low quantile); 0: not known yet
}

// Snapshot tells the state; the zero Snapshot for nil.
func (l *Limiter) Snapshot() Snapshot {
	if l == nil {
		return Snapshot{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Snapshot{Limit: l.settings.Max, InUse: int(l.inUse.Load())}
	s.Waiting[Normal.class()] = len(l.waiting)
	return s
}
