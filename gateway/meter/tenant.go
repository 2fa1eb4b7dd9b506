package meter

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Tenant is all that is counted of one tenant. All scopes are decided at once, under its one lock.
type Tenant struct {
	meters *Meters
	id     tenant.ID

	mu     sync.Mutex
	scopes map[tenant.Scope]*scope
	wild   []*scope   // of models that a pattern describes
	users  int        // scopes of users
	purses int        // accounts of money
	active []*account // of which the pool has to hear
	live   bool       // some are, or were a moment ago: the heart beats for it
	queued bool       // to be refreshed

	epoch, seq int64
	drawing    chan struct{} // closed when the call that is under way has ended; nil: none is
	drew       clock.Instant // when it began
	vain       bool          // an exchange has given up meanwhile
	begun      int64         // calls so far
	answered   int64         // the last of them that was answered
	down       bool          // the last call failed: the heart tries again, and nobody else
	asking     *question     // of the ledger; nil: none
	seedAgain  clock.Instant // the ledger is not asked before
	crowded    clock.Instant // when it was last told that there are too many users; 0: never
}

// Refusal says what was missing.
type Refusal struct {
	What      Kind
	Scope     tenant.Scope
	Limit     int64         // money in picodollars
	Remaining int64         // of all nodes, as far as known
	After     time.Duration // when it is worth another try; 0: not known, or never
	Never     bool          // more was asked for than the limit allows at all
}

// scope finds or opens what is counted for a scope.
func (t *Tenant) scope(is tenant.Scope, now clock.Instant) *scope {
	s := t.scopes[is]
	if s == nil {
		t.forget(now, 2) // so that there are never many in vain
		s = &scope{is: is}
		t.scopes[is] = s
		switch {
		case is.Kind == tenant.OfUser:
			t.users++
		case is.Kind == tenant.OfModel && tenant.Pattern(is.Name).Wild():
			t.wild = append(t.wild, s)
		}
	}
	return s
}

// forget looks at some scopes, at random, and drops those that nothing happens to.
func (t *Tenant) forget(now clock.Instant, some int) {
	for is, s := range t.scopes {
		if some--; some < 0 {
			return
		}
		if s.idle(now) {
			t.drop(is, s)
		}
	}
}

func (t *Tenant) drop(is tenant.Scope, s *scope) {
	delete(t.scopes, is)
	switch is.Kind {
	case tenant.OfUser:
		t.users--
	case tenant.OfModel:
		t.wild = slices.DeleteFunc(t.wild, func(w *scope) bool { return w == s })
	}
	for _, a := range s.money {
		if a != nil {
			a.forgotten = true
			t.purses--
		}
	}
}

// Others is the name that users count under together when they are too many.
const Others = "(others)"

// MostUsers is how many users of a tenant are counted each by itself: those that came in the last hour.
const MostUsers = 50_000

// ErrCrowded tells that users count together who should not.
var ErrCrowded = fmt.Errorf("more than %d users came within an hour: further ones share the limits and budgets of one, called %s", MostUsers, Others)

// Counts is the name that a user counts under where each one counts by itself: its own, or Others if MostUsers are counted already.
// What Others spend the ledger has under their own names: with their own accounts, later, they have what they spent.
func (t *Tenant) Counts(user string) string {
	if user == "" {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users < MostUsers || t.scopes[tenant.Scope{Kind: tenant.OfUser, Name: user}] != nil {
		return user
	}
	now := clock.Now()
	if t.forget(now, 16); t.users < MostUsers {
		return user
	}
	if t.crowded == 0 || now.Sub(t.crowded) >= time.Hour {
		t.crowded = now
		t.meters.o.Fault(t.id, ErrCrowded)
	}
	return Others
}

// activate has the pool told of an account.
func (t *Tenant) activate(a *account) {
	if a.active {
		return
	}
	a.active = true
	t.active = append(t.active, a)
	if !t.live {
		t.live = true
		t.meters.enliven(t)
	}
}

// rest ends that for accounts that are idle.
func (t *Tenant) rest() {
	busy := t.active[:0]
	for _, a := range t.active {
		if a.active = !a.idle(); a.active {
			busy = append(busy, a)
		}
	}
	clear(t.active[len(busy):])
	if t.active = busy; len(busy) == 0 && t.live {
		t.live = false
		t.meters.lull(t)
	}
}

// refuse describes a claim that is more than what the node and the pool have.
func (t *Tenant) refuse(c *claim) Refusal {
	a := c.a
	r := c.refusal(Refusal{What: a.id.Kind})
	switch {
	case a.id.Kind.Rate():
		short := c.n - a.left() - a.free
		r.After = max(a.next+wait(short-1, a.limit)-clock.Since(a.asOf), time.Nanosecond)
	case a.id.Kind == Concurrent:
		r.After = time.Second
	case a.until != 0:
		r.After = max(a.until.Sub(clock.Now()), time.Nanosecond)
	}
	return r
}

// refusal fills in what is the same for all.
func (c *claim) refusal(r Refusal) Refusal {
	a := c.a
	r.Scope, r.Limit = a.id.Scope, a.limit
	r.Remaining = min(max(a.known(), 0), a.limit)
	return r
}
