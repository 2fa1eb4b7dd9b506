package meter

import (
	"context"
	"math"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Purse is what an exchange has reserved in each of its budgets. The zero value has none, and allows everything. It is part of the
// caller's own record, and belongs to one goroutine.
type Purse struct {
	Outage Outage // what holds if the pool cannot be asked; to be set before Reserve
	Whose  Whose  // whom it is charged to; to be set before Settle

	tenant  *Tenant
	began   clock.Instant
	pockets []pocket
	room    [fewScopes]pocket
}

// pocket is what was reserved in one budget.
type pocket struct {
	account *account
	era     int // of the account, in which out was reserved
	out     int64
	warns   bool
}

// Purse begins to count for budgets, whose scopes have names. Of several for the same scope and period the one that refuses
// holds, or the smaller. p must not be copied afterwards.
func (t *Tenant) Purse(p *Purse, budgets []tenant.Budget) {
	now := clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	p.tenant, p.began = t, now
	p.pockets = p.room[:0]
	for i := range budgets {
		b := &budgets[i]
		if hidden(budgets, i) {
			continue
		}
		a := t.money(b.Scope, b.Per, now)
		a.limit, a.warns = int64(b.Amount), b.Mode == tenant.Warn
		a.within()
		a.alert.watch(int64(b.Amount), b.WarnAt)
		p.pockets = append(p.pockets, pocket{account: a, era: a.era, warns: a.warns})
	}
}

// money finds or opens the account of a scope and period.
func (t *Tenant) money(of tenant.Scope, per tenant.Period, now clock.Instant) *account {
	s := t.scope(of, now)
	a := s.money[per]
	if a == nil {
		a = newMoney(of, per, t.meters.o.Wall)
		s.money[per] = a
		t.purses++
	}
	a.touched = now
	return a
}

// reopen opens accounts again that were forgotten, because nothing was reserved in them for long.
func (p *Purse) reopen(now clock.Instant) {
	for i := range p.pockets {
		k := &p.pockets[i]
		if old := k.account; old.forgotten {
			k.account, k.era = p.tenant.money(old.id.Scope, old.id.Per, now), 0
			k.account.limit, k.account.warns = old.limit, old.warns
			k.account.alert.watch(old.alert.amount, old.alert.marks)
		}
	}
}

// hidden says whether another budget for the same holds instead of this one.
func hidden(budgets []tenant.Budget, i int) bool {
	b := &budgets[i]
	for j := range budgets {
		c := &budgets[j]
		if j == i || c.Scope != b.Scope || c.Per != b.Per {
			continue
		}
		if b.Mode == tenant.Warn != (c.Mode == tenant.Warn) {
			if b.Mode == tenant.Warn {
				return true
			}
			continue
		}
		if c.Amount < b.Amount || c.Amount == b.Amount && j < i {
			return true
		}
	}
	return false
}

// Reserve takes an amount in picodollars from all budgets or from none. It may be called again for more, and for several attempts
// at a time, each of which is settled by itself. It waits for the pool only if what the node has in hand does not do,
// for Options.Wait at most. Budgets that only warn have always enough.
func (p *Purse) Reserve(ctx context.Context, pd int64) (Refusal, bool) {
	return p.reserve(ctx, pd, true)
}

// TryReserve is Reserve without waiting: for what can as well be left, and between two events of a stream. If it fails, more is
// drawn in the background.
func (p *Purse) TryReserve(pd int64) bool {
	_, ok := p.reserve(context.Background(), pd, false)
	return ok
}

func (p *Purse) reserve(ctx context.Context, pd int64, wait bool) (Refusal, bool) {
	if len(p.pockets) == 0 || pd <= 0 {
		return Refusal{}, true
	}
	var room [fewScopes]claim
	claims := room[:0]
	now := clock.Now()
	t := p.tenant
	t.mu.Lock()
	defer t.mu.Unlock()
	p.reopen(now)
	for i := range p.pockets {
		a := p.pockets[i].account
		if a.over(now) {
			a.turn()
		}
		if !p.pockets[i].warns {
			claims = append(claims, claim{a, pd})
		}
	}
	if !wait && missing(claims) != nil {
		t.drawLater(now, claims)
		return Refusal{}, false
	}
	if r, ok := t.take(ctx, now, claims, p.Outage); !ok {
		return r, false
	}
	for i := range p.pockets {
		k := &p.pockets[i]
		if k.era != k.account.era { // what was reserved before is the old window's
			k.era, k.out = k.account.era, 0
		}
		if k.out = plus(k.out, pd); k.warns {
			k.account.touched = now
			t.correct(k.account, pd)
		}
	}
	return Refusal{}, true
}

// Settle ends a reservation: what was reserved in all calls for it comes back, and what is charged is spent. It counts for the
// windows in which it was reserved. More than was reserved may be charged; then a budget is exceeded.
func (p *Purse) Settle(reserved, charged int64) {
	t := p.tenant
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p.reopen(clock.Now())
	t.charge(&p.Whose, p.began, p.pockets, charged)
	for i := range p.pockets {
		k := &p.pockets[i]
		a := k.account
		if k.era != a.era {
			continue
		}
		// What was reserved in an earlier window pays first.
		out := min(reserved, k.out)
		k.out -= out
		charge := max(charged-max(reserved-out, 0), 0)
		t.spend(a, charge, charge-out)
	}
}

// Affordable is the least that remains of the budgets that refuse, in picodollars, of all nodes and as far as known: nothing of
// one that was never asked for, math.MaxInt64 without such budgets. It asks the pool if it has not said anything yet.
func (p *Purse) Affordable(ctx context.Context) int64 {
	least := int64(math.MaxInt64)
	if len(p.pockets) == 0 {
		return least
	}
	t := p.tenant
	t.mu.Lock()
	defer t.mu.Unlock()
	p.meet(ctx)
	for _, k := range p.pockets {
		if a := k.account; !k.warns {
			least = min(least, max(a.known(), 0))
		}
	}
	return least
}

// Spent is what was charged for one of the budgets in its present window, by all nodes and as far as known, in picodollars.
func (p *Purse) Spent(ctx context.Context, of tenant.Scope, per tenant.Period) int64 {
	if len(p.pockets) == 0 {
		return 0
	}
	t := p.tenant
	t.mu.Lock()
	defer t.mu.Unlock()
	p.meet(ctx)
	for _, k := range p.pockets {
		if a := k.account; a.id.Scope == of && a.id.Per == per {
			return plus(a.spent, a.others)
		}
	}
	return 0
}

// meet asks the pool about accounts that it has said nothing of.
func (p *Purse) meet(ctx context.Context) {
	t := p.tenant
	p.reopen(clock.Now())
	if p.met(clock.Now()) {
		return
	}
	w := newWaiting(ctx, t.meters.o.Wait)
	defer w.end()
	for !p.met(clock.Now()) && t.reachable() && !w.over() && !t.seedLater() {
		if t.drawing != nil {
			t.await(w)
			continue
		}
		claims := make([]claim, len(p.pockets))
		for i, k := range p.pockets {
			claims[i].a = k.account
		}
		t.draw(claims)
	}
}

func (p *Purse) met(now clock.Instant) bool {
	for _, k := range p.pockets {
		if k.account.over(now) {
			k.account.turn()
		}
		if k.account.asOf == 0 {
			return false
		}
	}
	return true
}
