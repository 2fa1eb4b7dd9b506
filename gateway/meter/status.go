package meter

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Status is how an account stands. Money is in picodollars.
type Status struct {
	Account   Account
	Limit     int64
	Remaining int64     // of all nodes, as far as known: what is in the pool and in this node's hand
	Spent     int64     // money: charged for good, by all nodes as far as known
	Reserved  int64     // money: for exchanges of this node on their way; places: taken on this node
	Held      int64     // in this node's hand: what it may use without asking
	Until     time.Time // money: end of the window; zero: never
	Warns     bool      // a budget that never refuses
	Known     bool      // the pool has said something of it
	Up        bool      // the pool answers for this tenant
}

// Status is how the accounts of a tenant stand that this node has met, in the order of scopes and kinds.
func (m *Meters) Status(id tenant.ID) []Status {
	t := m.Tenant(id)
	now := clock.Now()
	var all []Status
	t.mu.Lock()
	up := t.reachable()
	for _, s := range t.scopes {
		for _, a := range s.rates {
			if a != nil {
				all = append(all, a.status(now, up))
			}
		}
		for _, a := range s.money {
			if a != nil {
				if a.over(now) {
					a.turn()
				}
				all = append(all, a.status(now, up))
			}
		}
	}
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(
			cmp.Compare(a.Account.Scope.Kind, b.Account.Scope.Kind), cmp.Compare(a.Account.Scope.Name, b.Account.Scope.Name),
			cmp.Compare(a.Account.Kind, b.Account.Kind), cmp.Compare(a.Account.Per, b.Account.Per),
		)
	})
	return all
}

func (a *account) status(now clock.Instant, up bool) Status {
	s := Status{
		Account: a.id, Limit: a.limit, Held: max(a.hand(), 0), Warns: a.warns, Known: a.asOf != 0, Up: up,
		Remaining: min(max(a.remains(now), 0), a.limit),
	}
	switch a.id.Kind {
	case Money:
		s.Spent, s.Reserved, s.Until = plus(a.spent, a.others), a.used-a.spent, a.wall.Time(a.until)
	case Concurrent:
		s.Reserved = a.used
	}
	return s
}
