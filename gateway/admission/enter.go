package admission

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Enter takes a slot, waiting for one if it must. The error is a *Refusal or the context's cause; without one, Leave must be
// called exactly once.
func (l *Limiter) Enter(ctx context.Context, t Ticket) error {
	if l.TryEnter() {
		return nil
	}
	_, err := EnterAny(ctx, t, l)
	return err
}

// EnterAny takes a slot at one of several limiters, which are different ones: the first that has one, waiting for it in the
// queues of all if it must. It tells at which, and its Leave must be called exactly once. The error is the context's cause, or
// the *Refusal of the last that would not let it wait (any longer), when all have refused; then the index is that one's.
func EnterAny(ctx context.Context, t Ticket, at ...*Limiter) (int, error) {
	for i, l := range at {
		if l.TryEnter() {
			return i, nil
		}
	}
	if ctx.Err() != nil {
		return -1, context.Cause(ctx)
	}
	v := visit{at: at, waits: make([]wait, len(at)), wake: make(chan struct{}, len(at))}
	defer v.leave()
	if v.join(t) {
		return v.last, v.err
	}
	timer := time.NewTimer(v.patience())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return -1, context.Cause(ctx)
		case <-v.wake:
		case <-timer.C:
		}
		if v.look() {
			return v.last, v.err
		}
		timer.Reset(v.patience())
	}
}

// visit is one request that waits at several limiters.
type visit struct {
	at    []*Limiter
	waits []wait
	wake  chan struct{} // has room for all of them
	in    bool          // it was let in
	last  int           // there; else who refused it last
	err   error
}

// wait is its place in one queue; none if waiter is nil.
type wait struct {
	*waiter
	until clock.Instant
}

// join stands in all queues. It is over if there is a slot after all, or no queue to stand in.
func (v *visit) join(t Ticket) (over bool) {
	waiting := false
	for i, l := range v.at {
		w, most, err := l.join(t, v.wake)
		if w != nil {
			v.waits[i] = wait{w, clock.Now().Add(most)}
			waiting = true
		} else if v.heard(i, err) {
			return true
		}
	}
	return !waiting
}

// heard notes what a limiter has said; true if it lets it in.
func (v *visit) heard(i int, err error) bool {
	v.last, v.err, v.in = i, err, err == nil
	return v.in
}

// look sees what has become of it in the queues. It is over if it was let in somewhere, or waits nowhere any more.
func (v *visit) look() (over bool) {
	now, waiting := clock.Now(), false
	for i := range v.waits {
		w := &v.waits[i]
		if w.waiter == nil {
			continue
		}
		ended, err := v.at[i].check(w.waiter, now, now >= w.until)
		if !ended {
			waiting = true
			continue
		}
		w.waiter = nil
		if v.heard(i, err) {
			return true
		}
	}
	return !waiting
}

// patience is how long it may wait until it must give up one of the queues.
func (v *visit) patience() time.Duration {
	first := clock.Instant(none)
	for _, w := range v.waits {
		if w.waiter != nil {
			first = min(first, w.until)
		}
	}
	return max(first.Sub(clock.Now()), 0)
}

// leave gives up the queues that it still stands in, whether or not it was let in elsewhere.
func (v *visit) leave() {
	for i, w := range v.waits {
		if w.waiter != nil {
			v.at[i].abandon(w.waiter, v.in)
		}
	}
}

// check says whether a wait has ended, and how. If it is late it ends now.
func (l *Limiter) check(w *waiter, now clock.Instant, late bool) (ended bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case w.flow == nil:
		return true, w.err
	case !late:
		return false, nil
	}
	l.queue.remove(w)
	l.late++
	err = refusal(ErrLate, l.meter.wait(Priorities-1, 0, l.queue.n+l.excess()))
	l.update(now)
	return true, err
}

// abandon ends a wait of somebody who was served elsewhere, or has left. A slot given at the same moment is passed on.
func (l *Limiter) abandon(w *waiter, served bool) {
	now := clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case w.flow != nil:
		class := l.queue.class(w)
		l.queue.remove(w)
		if served { // for those behind it this is as good as a slot
			l.meter.left++
			l.meter.given[class]++
		}
	case w.err != nil: // it was sent away at the same moment
		return
	default:
		l.state.Add(-slot)
	}
	if !served {
		l.left++
	}
	l.update(now)
}
