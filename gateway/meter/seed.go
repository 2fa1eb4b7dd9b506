package meter

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// seeds say what of an account of money the ledger was asked for.
type seeds struct {
	own    bool   // what this node had spent before it began is in account.used
	asked  bool   // what others had spent is or was in others
	others []Seed // for the pool, until it has answered
}

// seedPause is how long a ledger that failed is not asked again for a tenant.
const seedPause = 250 * time.Millisecond

// seedLater says that the ledger has failed just now.
func (t *Tenant) seedLater() bool { return t.seedAgain != 0 && clock.Now() < t.seedAgain }

// seed asks the ledger what was spent of accounts before, by anyone. The tenant's lock is given up meanwhile. Without an answer
// the accounts stay as they are, and nothing is drawn of them.
func (t *Tenant) seed(ctx context.Context, accounts []*account) {
	if t.seedLater() {
		return
	}
	var of []*account
	var ids []Account
	for _, a := range accounts {
		if a.id.Kind == Money && !a.seeds.asked {
			of, ids = append(of, a), append(ids, a.id)
		}
	}
	if len(ids) == 0 {
		return
	}
	spent := make([]map[string]int64, len(ids))
	if ask := t.meters.o.Spent; ask != nil {
		t.mu.Unlock()
		got, err := ask(ctx, t.id, ids)
		t.mu.Lock()
		if err == nil && len(got) != len(ids) {
			err = errShort
		}
		if err != nil {
			if t.seedAgain == 0 {
				t.meters.o.Fault(t.id, fmt.Errorf("what was spent before cannot be read: %w", err))
			}
			t.seedAgain = clock.Now().Add(seedPause)
			return
		}
		t.seedAgain = 0
		spent = got
	}
	for i, a := range of {
		if a.id == ids[i] && !a.seeds.asked { // nor turned to the next window meanwhile, nor asked for by another
			t.learn(a, spent[i])
		}
	}
}

// learn takes over what the ledger knows of an account.
func (t *Tenant) learn(a *account, spent map[string]int64) {
	a.seeds.asked, a.seeds.others = true, nil // the pool may not have answered to the last ones
	others := int64(0)
	for node, pd := range spent {
		if node != t.meters.o.Node {
			a.seeds.others = append(a.seeds.others, Seed{Node: node, Spent: nanos(max(pd, 0))})
			others = plus(others, pd)
		}
	}
	a.others = max(a.others, others)
	if a.seeds.own {
		return
	}
	a.seeds.own = true
	own := spent[t.meters.o.Node]
	for of, pd := range t.unshipped {
		if of.scope == a.id.Scope && of.day >= a.id.Window {
			own = plus(own, pd)
		}
	}
	a.used, a.spent = plus(a.used, own), plus(a.spent, own)
	a.alert.skip(plus(a.spent, a.others))
}

// scopeDay is what unshipped charges are kept by: days begin at midnight, UTC, in Unix seconds.
type scopeDay struct {
	scope tenant.Scope
	day   int64
}

// Recover tells of charges that the journal has and the ledger has not: what Options.Spent does not know. It is for the start,
// before the tenant's budgets are asked for the first time; charges that are shipped later are taken out again with a negative
// amount. The scope is each that the charge counts for.
func (m *Meters) Recover(id tenant.ID, of tenant.Scope, at time.Time, pd int64) {
	t := m.Tenant(id)
	from, _ := tenant.Day.Window(at)
	day := scopeDay{of, from.Unix()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unshipped == nil {
		t.unshipped = make(map[scopeDay]int64)
	}
	if t.unshipped[day] = plus(t.unshipped[day], pd); t.unshipped[day] == 0 {
		delete(t.unshipped, day)
	}
}
