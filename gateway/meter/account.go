package meter

import (
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// account is this node's side of an Account: what it was granted and what it has made of it. Money is in picodollars here.
// All of it belongs to the tenant's lock.
type account struct {
	id     Account
	limit  int64
	used   int64 // in all, what is set aside for exchanges on their way among it
	spent  int64 // money: what is charged for good
	has    int64 // may be used, in all; less than used if more was used than granted
	low    int64 // with less than that in hand, more is drawn in the background
	wanted int64 // by exchanges that wait
	giving int64 // on its way back to the pool
	warns  bool  // a budget that never refuses: it draws nothing, and is only told of

	// what the pool last said
	asOf   clock.Instant // 0: nothing yet
	free   int64         // there
	others int64         // money: spent by other nodes
	next   time.Duration
	told   int64 // what of used it knows

	touched clock.Instant
	wall    *clock.Wall   // money: what its windows go by
	from    clock.Instant // money: beginning of the window; 0: none
	until   clock.Instant // money: end of the window; 0: none
	era     int           // money: how many windows have come, the first among them
	latest  int64         // money: the latest window that it was in
	alert   alert
	seeds   seeds
	flow    bucket // of a rate, while the pool cannot be asked

	active    bool // the pool has to hear of it
	shared    bool // money: a share was taken in this outage
	forgotten bool // money: who comes back to it opens it again
}

// left is what is left of what was granted.
func (a *account) left() int64 { return a.has - a.used }

// hand is what may be used without asking: what is left, unless the pool is owed something, which comes first.
func (a *account) hand() int64 { return plus(a.left(), min(a.free, 0)) }

// remains is what this node thinks that can be used: what it has, what the pool has, and what is on its way between them.
func (a *account) remains(now clock.Instant) int64 {
	return plus(a.known(), a.room(now)-a.free)
}

// known is what remained when the pool was last asked.
func (a *account) known() int64 { return plus(plus(a.left(), a.giving), a.free) }

// room is what the pool is thought to have by now.
func (a *account) room(now clock.Instant) int64 {
	if !a.id.Kind.Rate() || a.asOf == 0 {
		return a.free
	}
	since := now.Sub(a.asOf)
	if since < a.next || a.limit == 0 {
		return a.free
	}
	flowed, _ := mulDiv(int64(since-a.next), a.limit, 0, minute)
	return max(min(plus(a.free, flowed+1), a.limit-max(a.left(), 0)), a.free)
}

// slice is how much the node holds in hand: of what is left, an eighth for all nodes together, so that who needs the rest finds
// it in the pool.
func (a *account) slice(nodes int, now clock.Instant) int64 {
	if a.warns {
		return 0
	}
	return max(plus(a.room(now), max(a.left(), 0)), 0) / (8 * int64(nodes))
}

// line is what the pool is told of it, with a wish for n now and a slice for later. What is given back leaves the hand before
// the pool hears of it; it is told all the same, because a pool that has not heard of the node for long has forgotten it.
func (a *account) line(n, slice int64) Line {
	used, has := a.used, a.has
	want := plus(used, max(plus(n, slice), a.wanted))
	a.giving = 0
	if n > 0 {
		want = max(want, has)
	} else {
		a.has = max(min(has, want), 0)
		a.giving = has - a.has
	}
	l := Line{Account: a.id, Limit: a.limit, Used: used, Spent: used, Has: has, Want: want}
	if n > 0 {
		l.Need = plus(used, n)
	}
	if a.id.Kind == Money {
		l.Limit, l.Has = a.limit/int64(Nano), has/int64(Nano)
		l.Used, l.Spent, l.Need, l.Want = nanos(used), nanos(a.spent), nanos(l.Need), nanos(want)
		l.Until, l.Seeds = a.wall.Time(a.until), a.seeds.others
	}
	return l
}

// nanos is money in nanodollars, rounded up.
func nanos(pd int64) int64 { return pd/int64(Nano) + min(pd%int64(Nano), 1) }

// picos is the reverse.
func picos(nano int64) int64 {
	pd, _ := mulDiv(max(nano, 0), int64(Nano), 0, 1)
	return pd
}

// apply takes what the pool answered to a line.
func (a *account) apply(l *Line, r *Answer, nodes int, now clock.Instant) {
	told, spent := l.Used, l.Spent
	a.has, a.free, a.next = r.Total, r.Remaining, r.Next
	if a.id.Kind == Money {
		a.has, a.free, a.others = picos(r.Total), picos(r.Remaining), picos(r.Spent-spent)
		a.seeds.others = nil
		a.within()
	}
	a.told, a.asOf, a.giving, a.shared = told, now, 0, false
	a.low = a.slice(nodes, now) / 2
}

// within takes what is in hand of money, but was granted when the budget was larger.
func (a *account) within() { a.has = min(a.has, max(a.used, plus(a.limit, -a.others))) }

// idle says that the pool need not hear of it: nothing is in hand, nothing is new, and no place is taken that it would forget.
func (a *account) idle() bool {
	used := a.used
	if a.id.Kind == Money {
		used = nanos(used)
	}
	return a.left() <= 0 && used == a.told && (a.id.Kind != Concurrent || used == 0)
}

// newMoney opens the account of a scope and period, in the window that now is in.
func newMoney(of tenant.Scope, per tenant.Period, wall *clock.Wall) *account {
	a := &account{id: Account{Kind: Money, Scope: of, Per: per}, wall: wall, era: 1}
	a.find()
	return a
}

// turn goes on to the window that now is in. What was reserved in the one before belongs to that, and is no concern of the new
// one. Of that the node knows all that it has spent itself, which is nothing, unless it comes a second time, because the clock was
// set back: then it has to ask.
func (a *account) turn() {
	latest := a.latest
	if a.move() {
		first := a.id.Window > latest
		a.used, a.seeds = 0, seeds{own: first, asked: first}
		a.era++
	}
}

// set finds the window after the wall clock was set. In another one others have spent, and this node may have, too: it has to ask.
// What is reserved goes along, because the clock may be set back before it is settled.
func (a *account) set() {
	reserved := a.used - a.spent
	if a.move() {
		a.used, a.seeds = reserved, seeds{}
	}
}

// move finds the window that now is in, and forgets what was so in another.
func (a *account) move() (moved bool) {
	window := a.id.Window
	if a.find(); a.id.Window == window { // the wall clock was put back
		return false
	}
	a.spent, a.has, a.low, a.told = 0, 0, 0, 0
	a.free, a.others, a.asOf, a.shared = 0, 0, 0, false
	a.alert.begin()
	return true
}

// find finds the window that now is in.
func (a *account) find() {
	begin, end := a.id.Per.Window(a.wall.Time(clock.Now()))
	if a.id.Window = 0; !begin.IsZero() {
		a.id.Window = begin.Unix()
	}
	a.latest = max(a.latest, a.id.Window)
	a.from, a.until = a.wall.At(begin), a.wall.At(end)
}

// over says whether the window is.
func (a *account) over(now clock.Instant) bool { return a.until != 0 && now >= a.until }

// scope is all that is counted for one scope of a tenant.
type scope struct {
	is    tenant.Scope
	rates [Money]*account            // by Kind
	money [tenant.Total + 1]*account // by Period
	holds int                        // exchanges that have taken something
}

// rate is the account of a kind, with a limit.
func (s *scope) rate(k Kind, limit int64) *account {
	a := s.rates[k]
	if a == nil {
		a = &account{id: Account{Kind: k, Scope: s.is}}
		s.rates[k] = a
	}
	if a.limit != limit {
		a.limit = limit
		a.has = min(a.has, plus(a.used, limit))
	}
	return a
}

// idle says that nothing is lost if the scope is forgotten. Of money that is so when its window is over. Users are as many as
// a tenant's identity provider makes up: what they have spent the pool has been told, and the ledger knows, who is asked when
// they come back.
func (s *scope) idle(now clock.Instant) bool {
	for _, a := range s.rates {
		if a != nil && (a.active || now.Sub(a.touched) < idleScope) {
			return false
		}
	}
	for _, a := range s.money {
		if a == nil {
			continue
		}
		done := a.over(now) || s.is.Kind == tenant.OfUser && a.used == a.spent
		if a.active || !done || now.Sub(a.touched) < idleScope {
			return false
		}
	}
	return s.holds == 0
}

// idleScope is how long a scope is remembered that nothing happens to.
const idleScope = time.Hour
