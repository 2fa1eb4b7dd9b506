package meter_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// till is a ledger of the node a, by scope.
type till struct {
	mu   sync.Mutex
	rows map[tenant.Scope][]entry
}

type entry struct {
	ended time.Time
	pd    int64
}

func (b *till) add(w *meter.Whose, pd int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		b.rows = map[tenant.Scope][]entry{}
	}
	for _, of := range []tenant.Scope{{}, {Kind: tenant.OfUser, Name: w.User}} {
		b.rows[of] = append(b.rows[of], entry{clock.Now().Time(), pd})
	}
}

// spent is what Options.Spent asks for.
func (b *till) spent(_ context.Context, _ tenant.ID, of []meter.Account, asked time.Time) ([]map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]map[string]int64, len(of))
	for i, a := range of {
		all[i] = map[string]int64{}
		for _, e := range b.rows[a.Scope] {
			if e.ended.Before(asked) {
				all[i]["a"] += e.pd
			}
		}
	}
	return all, nil
}

func (b *till) sum() (sum int64) {
	for _, e := range b.rows[tenant.Scope{}] {
		sum += e.pd
	}
	return sum
}

// users spend from budgets that each of them has.
type users struct {
	t      *testing.T
	meters *meter.Meters
	books  till
	budget tenant.Budget
}

// purse is a user's.
func (u *users) purse(name string) *meter.Purse {
	acme := u.meters.Tenant("acme")
	p := &meter.Purse{Whose: meter.Whose{User: name}}
	b := u.budget
	b.Scope = tenant.Scope{Kind: tenant.OfUser, Name: acme.Counts(name)}
	acme.Purse(p, []tenant.Budget{b})
	return p
}

func (u *users) spend(name string, pd int64) {
	u.t.Helper()
	p := u.purse(name)
	if r, ok := p.Reserve(u.t.Context(), pd); !ok {
		u.t.Fatalf("%s: %+v", name, r)
	}
	p.Settle(pd, pd)
	u.books.add(&p.Whose, pd)
}

// counted is how many accounts there are.
func (u *users) counted() int { return len(u.meters.Status("acme")) }

// However many users a tenant has: those that do nothing any more are forgotten, and when they come back they have what they had
// spent.
func TestUsersAreForgotten(t *testing.T) {
	f := func(per tenant.Period, mode tenant.Mode, all int) {
		t.Helper()
		u := &users{budget: tenant.Budget{Per: per, Mode: mode, Amount: 10 * tenant.Dollar, WarnAt: []int{1000}}}
		bubble(t, meter.Options{Spent: u.books.spent}, func(t *testing.T, m *meter.Meters) {
			u.t, u.meters = t, m
			held := u.purse("held")
			if r, ok := held.Reserve(t.Context(), int64(2*tenant.Dollar)); !ok {
				t.Fatalf("%+v", r)
			}
			rests := u.purse("rests")
			most := 0
			for n := range all {
				u.spend(fmt.Sprint("u", n), int64(3*tenant.Dollar))
				if n%(all/15) == all/15-1 {
					for len(m.Alerts()) > 0 {
						<-m.Alerts()
					}
					pause(20 * time.Minute)
					most = max(most, u.counted())
				}
			}
			if most > all/3 { // those of the last hour, and some that it was not looked at yet
				t.Errorf("%d accounts", most)
			}
			pause(4 * time.Hour)
			if n := u.counted(); n > 100 {
				t.Errorf("%d accounts are left of users that have gone", n)
			}
			for _, name := range []string{"u0", fmt.Sprint("u", all-1)} {
				if got := u.purse(name).Spent(t.Context(), tenant.Scope{Kind: tenant.OfUser, Name: name}, per); got != int64(3*tenant.Dollar) {
					t.Errorf("%s has spent %d", name, got)
				}
				u.spend(name, int64(7*tenant.Dollar))
				if r, ok := u.purse(name).Reserve(t.Context(), 1); ok != (mode == tenant.Warn) {
					t.Errorf("%s: %t, %+v", name, ok, r)
				}
			}
			if got := u.purse("held").Spent(t.Context(), tenant.Scope{Kind: tenant.OfUser, Name: "held"}, per); got != 0 {
				t.Errorf("%d", got)
			}
			held.Settle(int64(2*tenant.Dollar), int64(tenant.Dollar))
			if got := u.purse("held").Spent(t.Context(), tenant.Scope{Kind: tenant.OfUser, Name: "held"}, per); got != int64(tenant.Dollar) {
				t.Errorf("%d", got)
			}
			// One that was forgotten between two attempts of an exchange is the one that others have, too.
			u.spend("rests", int64(4*tenant.Dollar))
			if r, ok := rests.Reserve(t.Context(), int64(7*tenant.Dollar)); ok != (mode == tenant.Warn) {
				t.Errorf("%t, %+v", ok, r)
			}
		})
	}
	f(tenant.Total, tenant.Strict, 15_000)
	f(tenant.Month, tenant.Strict, 3_000)
	f(tenant.Total, tenant.Warn, 3_000)
}

// Users beyond the bound count together, until others have been forgotten.
func TestTooManyUsers(t *testing.T) {
	faults := 0
	u := &users{budget: tenant.Budget{Per: tenant.Total, Amount: 10 * tenant.Dollar}}
	o := meter.Options{Spent: u.books.spent, Fault: func(id tenant.ID, err error) {
		if faults++; id != "acme" || !errors.Is(err, meter.ErrCrowded) {
			t.Error(id, err)
		}
	}}
	bubble(t, o, func(t *testing.T, m *meter.Meters) {
		u.t, u.meters = t, m
		acme := m.Tenant("acme")
		for n := range meter.MostUsers {
			u.purse(fmt.Sprint("u", n))
		}
		if faults != 0 || acme.Counts("new") != meter.Others || acme.Counts("other") != meter.Others || acme.Counts("u7") != "u7" || faults != 1 {
			t.Errorf("%d faults", faults)
		}
		u.spend("new", int64(6*tenant.Dollar))
		if r, ok := u.purse("other").Reserve(t.Context(), int64(6*tenant.Dollar)); ok || r.Scope.Name != meter.Others {
			t.Errorf("%t, %+v", ok, r)
		}
		if n := u.counted(); n != meter.MostUsers+1 {
			t.Errorf("%d accounts", n)
		}
		pause(2 * time.Hour)
		u.spend("new", int64(4*tenant.Dollar)) // what it spent among others is its own
		if r, ok := u.purse("new").Reserve(t.Context(), 1); ok || r.Scope.Name != "new" {
			t.Errorf("%t, %+v", ok, r)
		}
		if faults != 1 {
			t.Errorf("%d faults", faults)
		}
	})
}

// A pool in one process forgets users a while after their nodes have, and nobody else.
func TestLocalForgetsUsers(t *testing.T) {
	f := func(kind tenant.ScopeKind, after time.Duration, want int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			pool := meter.NewLocal()
			draw := func(node, name string, used int64) int64 {
				line := meter.Line{Account: meter.Account{Kind: meter.Money, Per: tenant.Total, Scope: tenant.Scope{Kind: kind, Name: name}}, Limit: 100, Used: used, Spent: used, Has: used}
				r, err := pool.Draw(t.Context(), &meter.Request{Tenant: "acme", Node: node, Boot: 1, Seq: 1, Lines: []meter.Line{line}})
				if err != nil {
					t.Fatal(err)
				}
				return r.Answers[0].Remaining
			}
			draw("a", "ann", 30)
			pause(after)
			for n := range 10 {
				draw("a", fmt.Sprint(n), 1)
			}
			if got := draw("b", "ann", 0); got != want {
				t.Errorf("%s, after %s: %d remain", kind, after, got)
			}
		})
	}
	f(tenant.OfUser, time.Hour, 70)
	f(tenant.OfUser, 3*time.Hour, 100)
	f(tenant.OfKey, 100*time.Hour, 70)
}

// What the pool may have forgotten of other nodes the ledger is asked for again.
func TestDoubtfulPool(t *testing.T) {
	asked := 0
	o := meter.Options{Spent: func(_ context.Context, _ tenant.ID, of []meter.Account, _ time.Time) ([]map[string]int64, error) {
		asked++
		return []map[string]int64{{"b": int64(asked) * int64(tenant.Dollar)}}, nil
	}}
	f := func(after time.Duration, want int64) {
		t.Helper()
		asked = 0
		bubble(t, o, func(t *testing.T, m *meter.Meters) {
			var p meter.Purse
			m.Tenant("acme").Purse(&p, []tenant.Budget{{Per: tenant.Total, Amount: 10 * tenant.Dollar}})
			if r, ok := p.Reserve(t.Context(), 1); !ok {
				t.Fatalf("%+v", r)
			}
			p.Settle(1, 0)
			pause(after)
			if r, ok := p.Reserve(t.Context(), int64(10*tenant.Dollar)); ok || r.Remaining != want {
				t.Errorf("after %s: %t, %+v", after, ok, r)
			}
			for range 3 {
				p.Reserve(t.Context(), int64(10*tenant.Dollar))
			}
			if asked != 10-int(want/int64(tenant.Dollar)) {
				t.Errorf("asked %d times", asked)
			}
		})
	}
	f(time.Hour, int64(9*tenant.Dollar))
	f(25*time.Hour, int64(8*tenant.Dollar))
}
