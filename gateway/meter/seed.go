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
	own    bool          // what this node had spent before is in account.used
	asked  bool          // what others had spent is or was in others
	when   clock.Instant // it was asked for last
	others []Seed        // for the pool, until it has answered
}

// question is what the ledger is being asked of some accounts. It is asked beside the exchanges, which wait for milliseconds only:
// in that time no connection is made, and a call that is given up may take its connection with it.
type question struct {
	of       []*account
	ids      []Account // of them then: they may turn to the next window meanwhile
	counted  []int64   // what of them was charged for good when it was asked
	when     clock.Instant
	answered chan struct{}
}

const (
	// seedPause is how long a ledger that failed is not asked again for a tenant.
	seedPause = 250 * time.Millisecond
	// seedTime is how long the ledger may take.
	seedTime = 5 * time.Second
)

// doubt has the ledger asked again for accounts of money that the pool may have forgotten, with what other nodes have spent.
func doubt(accounts []*account) {
	now := clock.Now()
	for _, a := range accounts {
		keeps := Remembered / 2
		if a.id.Scope.Kind == tenant.OfUser {
			keeps = idleScope
		}
		if a.asOf != 0 && now.Sub(max(a.asOf, a.seeds.when)) > keeps {
			a.seeds.asked = false
		}
	}
}

// seedLater says that the ledger has failed just now.
func (t *Tenant) seedLater() bool { return t.seedAgain != 0 && clock.Now() < t.seedAgain }

// seed asks the ledger what was spent of accounts before, by anyone. The tenant's lock is given up meanwhile. Without an answer
// the accounts stay as they are, and nothing is drawn of them.
func (t *Tenant) seed(ctx context.Context, accounts []*account) {
	doubt(accounts)
	for ctx.Err() == nil && !t.seedLater() {
		q := t.asking
		if q == nil {
			if q = newQuestion(accounts); q == nil {
				return
			}
			if t.meters.o.Spent == nil {
				t.answer(q, make([]map[string]int64, len(q.of)), nil)
				return
			}
			if !t.meters.start(func() { t.meters.ask(t, q) }) {
				return
			}
			t.asking = q
		}
		t.mu.Unlock()
		select {
		case <-q.answered:
		case <-ctx.Done():
		}
		t.mu.Lock()
	}
}

// newQuestion is about those accounts that the ledger was not asked for; nil if it was for all.
func newQuestion(accounts []*account) *question {
	q := &question{answered: make(chan struct{}), when: clock.Now()}
	for _, a := range accounts {
		if a.id.Kind == Money && !a.seeds.asked {
			q.of, q.ids, q.counted = append(q.of, a), append(q.ids, a.id), append(q.counted, a.spent)
		}
	}
	if len(q.of) == 0 {
		return nil
	}
	return q
}

// ask asks the ledger.
func (m *Meters) ask(t *Tenant, q *question) {
	ctx, cancel := context.WithTimeout(m.life, seedTime)
	defer cancel()
	spent, err := m.o.Spent(ctx, t.id, q.ids, q.when.Time())
	if err == nil && len(spent) != len(q.ids) {
		err = errShort
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer(q, spent, err)
	t.asking = nil
	close(q.answered)
}

// answer takes in what the ledger says.
func (t *Tenant) answer(q *question, spent []map[string]int64, err error) {
	if err != nil {
		if t.seedAgain == 0 && t.meters.life.Err() == nil {
			t.meters.o.Fault(t.id, fmt.Errorf("what was spent before cannot be read: %w", err))
		}
		t.seedAgain = clock.Now().Add(seedPause)
		return
	}
	t.seedAgain = 0
	for i, a := range q.of {
		if a.id == q.ids[i] && !a.seeds.asked { // nor turned to the next window meanwhile
			a.seeds.when = q.when
			t.learn(a, spent[i], q.counted[i])
		}
	}
}

// learn takes over what the ledger knows of an account. Of what this node has spent that is all it had counted when it asked, and
// what was spent before it began to count. What was charged since is not in there.
func (t *Tenant) learn(a *account, spent map[string]int64, counted int64) {
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
	more := max(spent[t.meters.o.Node]-counted, 0)
	a.used, a.spent = plus(a.used, more), plus(a.spent, more)
	a.alert.skip(plus(a.spent, a.others))
}
