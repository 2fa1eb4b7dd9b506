package meter

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// link is the breaker between the node and the pool: after three failures in a row no exchange waits for the pool any more, and
// the heart tries again.
type link struct{ failures atomic.Int32 }

const linkFailures = 3

func (l *link) up() bool { return l.failures.Load() < linkFailures }

// heard takes in how a call went. What the pool says is no failure of the link.
func (l *link) heard(err error) {
	switch {
	case err == nil, errors.Is(err, ErrEpoch), errors.Is(err, ErrBusy), errors.Is(err, ErrStale):
		if l.failures.Load() != 0 {
			l.failures.Store(0)
		}
	default:
		l.failures.Add(1)
	}
}

// beat is the heart's: it keeps the pool informed until the Meters are closed, and follows the wall clock.
func (m *Meters) beat(ctx context.Context) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if m.o.Wall.Follow() {
			m.everyone((*Tenant).set)
		}
		m.tell(ctx)
		if n%sweep == 0 {
			m.forget()
		}
		if m.link.up() {
			m.beatAll(n%2 == 0)
			continue
		}
		if t := m.any(); t != nil {
			t.refresh(ctx)
		}
		if m.link.up() { // again: whoever had to wait comes now
			m.beatAll(true)
		}
	}
}

// pause is how long a pool that failed is left alone, and half of what is between two calls for a tenant.
const pause = 250 * time.Millisecond

// sweep is how many beats there are between two looks for what can be forgotten: about a minute. New scopes look as well.
const sweep = 240

// forget has each tenant forget some of what nothing happens to.
func (m *Meters) forget() {
	now := clock.Now()
	m.everyone(func(t *Tenant) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.forget(now, 256)
	})
}

// set has the budgets of a tenant go by a wall clock that was set.
func (t *Tenant) set() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.scopes {
		for _, a := range s.money {
			if a != nil {
				a.set()
			}
		}
	}
}

// beatAll has tenants call the pool: those that could not lately, or all that have something to tell. If there are none, the last
// that had is made to call, so that a loss of the pool's memory is noticed.
func (m *Meters) beatAll(all bool) {
	if m.lost.Swap(false) {
		m.everyone(func(t *Tenant) {
			t.mu.Lock()
			t.tellAll()
			t.mu.Unlock()
		})
		return
	}
	m.mu.Lock()
	live := m.liveOnes()
	if len(live) == 0 && m.last != nil && all {
		live = append(live, m.last)
	}
	m.mu.Unlock()
	for _, t := range live {
		t.mu.Lock()
		if all || t.down {
			m.kick(t)
		}
		t.mu.Unlock()
	}
}

// any is a tenant to try the pool with.
func (m *Meters) any() *Tenant {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t := range m.live {
		return t
	}
	return m.last
}

// work refreshes tenants that were kicked.
func (m *Meters) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-m.due:
			if m.link.up() {
				t.refresh(ctx)
			} else {
				t.mu.Lock()
				t.queued = false
				t.mu.Unlock()
			}
		}
	}
}
