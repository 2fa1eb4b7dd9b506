package meter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// bubble runs a test in one, with Meters that end before it does.
func bubble(t *testing.T, o meter.Options, f func(t *testing.T, m *meter.Meters)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newNode(o)
		defer m.Close(t.Context())
		f(t, m)
	})
}

func newNode(o meter.Options) *meter.Meters {
	if o.Pool == nil {
		o.Pool = meter.NewLocal()
	}
	if o.Node == "" {
		o.Node = "a"
	}
	return meter.New(o)
}

// remaining is what remains in each account.
func remaining(m *meter.Meters) map[meter.Account]int64 {
	all := map[meter.Account]int64{}
	for _, s := range m.Status("acme") {
		all[s.Account] = s.Remaining
	}
	return all
}

func same(t *testing.T, what string, got, want map[meter.Account]int64) {
	t.Helper()
	for a, n := range want {
		if got[a] != n {
			t.Errorf("%s: %d remain of %s of %s, want %d", what, got[a], a.Kind, a.Scope, n)
		}
	}
}

// Whichever limit of whichever scope refuses, and whoever refuses after all had agreed: nothing is burnt.
func TestRefusalBurnsNothing(t *testing.T) {
	roomy := tenant.Limits{Requests: 100, Tokens: 10_000, Concurrent: 50}
	f := func(scope int, tight tenant.Limits, want meter.Kind) {
		t.Helper()
		bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
			acme, all := m.Tenant("acme"), asks(roomy)
			all[scope].Limits = tight
			first := new(meter.Hold)
			if r, ok := acme.Admit(t.Context(), first, 100, all); !ok {
				t.Fatalf("%+v", r)
			}
			before := remaining(m)
			for range 20 {
				r, ok := acme.Admit(t.Context(), new(meter.Hold), 100, all)
				if ok || r.What != want || r.Scope != fourScopes[scope] || r.Never || r.After <= 0 {
					t.Fatalf("%t: %+v, want %s of %s", ok, r, want, fourScopes[scope])
				}
			}
			same(t, "refused", remaining(m), before)
			first.Undo()
			first.Undo()
			first.Settle(1000)
			whole := map[meter.Account]int64{}
			for i, s := range fourScopes {
				whole[meter.Account{Kind: meter.Requests, Scope: s}] = all[i].Limits.Requests
				whole[meter.Account{Kind: meter.Tokens, Scope: s}] = all[i].Limits.Tokens
				whole[meter.Account{Kind: meter.Concurrent, Scope: s}] = all[i].Limits.Concurrent
			}
			same(t, "undone", remaining(m), whole)
		})
	}
	for scope := range fourScopes {
		f(scope, tenant.Limits{Requests: 1, Tokens: 10_000, Concurrent: 50}, meter.Requests)
		f(scope, tenant.Limits{Requests: 100, Tokens: 199, Concurrent: 50}, meter.Tokens)
		f(scope, tenant.Limits{Requests: 100, Tokens: 10_000, Concurrent: 1}, meter.Concurrent)
	}
}

// Of budgets, too, all or none is taken.
func TestRefusedReservationTakesNothing(t *testing.T) {
	for scope := range fourScopes {
		bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
			acme, all := m.Tenant("acme"), budgets(tenant.Strict, 100*tenant.Dollar)
			all[scope].Amount = 10 * tenant.Dollar
			var p meter.Purse
			acme.Purse(&p, all)
			if r, ok := p.Reserve(t.Context(), int64(6*tenant.Dollar)); !ok {
				t.Fatalf("%+v", r)
			}
			before := remaining(m)
			for range 20 {
				r, ok := p.Reserve(t.Context(), int64(5*tenant.Dollar))
				if ok || r.What != meter.Money || r.Scope != fourScopes[scope] || r.Remaining != int64(4*tenant.Dollar) || r.Never {
					t.Fatalf("%t: %+v", ok, r)
				}
				if p.TryReserve(int64(5 * tenant.Dollar)) {
					t.Fatal("tried, and taken")
				}
			}
			same(t, "refused", remaining(m), before)
			if got := p.Affordable(t.Context()); got != int64(4*tenant.Dollar) {
				t.Errorf("%d are affordable", got)
			}
			p.Settle(int64(6*tenant.Dollar), int64(tenant.Dollar))
			if got := p.Affordable(t.Context()); got != int64(9*tenant.Dollar) {
				t.Errorf("%d are affordable", got)
			}
			if r, ok := p.Reserve(t.Context(), int64(11*tenant.Dollar)); ok || !r.Never {
				t.Errorf("more than the budget: %t, %+v", ok, r)
			}
		})
	}
}

// What is only tried does not wait; the next try finds more.
func TestTryReserve(t *testing.T) {
	s := newServer(meter.NewLocal())
	s.delay = 10 * time.Millisecond
	bubble(t, meter.Options{Pool: s.node("a")}, func(t *testing.T, m *meter.Meters) {
		var p meter.Purse
		m.Tenant("acme").Purse(&p, budgets(tenant.Metered, 100*tenant.Dollar))
		began := time.Now()
		if p.TryReserve(int64(tenant.Dollar)) || time.Since(began) != 0 {
			t.Errorf("there was nothing in hand, after %s", time.Since(began))
		}
		pause(time.Second)
		p.TryReserve(int64(tenant.Dollar))
		pause(100 * time.Millisecond)
		if !p.TryReserve(int64(tenant.Dollar)) {
			t.Error("nothing was drawn in the background")
		}
	})
}

func TestLimitsThatAreNone(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		var h meter.Hold
		h.Undo()
		h.Settle(5)
		if r, ok := m.Tenant("acme").Admit(t.Context(), &h, 5, asks(tenant.Limits{})); !ok {
			t.Errorf("%+v", r)
		}
		if requests, tokens := h.Rates(); requests.Limit != 0 || tokens.Limit != 0 {
			t.Errorf("%+v, %+v", requests, tokens)
		}
		h.Settle(5)
		var p meter.Purse
		if r, ok := p.Reserve(t.Context(), 5); !ok {
			t.Errorf("%+v", r)
		}
		p.Settle(5, 5)
		if n := p.Affordable(t.Context()); n != math.MaxInt64 {
			t.Error(n)
		}
		if all := m.Status("acme"); len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// A scope or a budget that is there twice counts once, and the tighter holds.
func TestTwice(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		acme := m.Tenant("acme")
		user := tenant.Scope{Kind: tenant.OfUser, Name: "ann"}
		twice := []meter.Ask{{Scope: user, Limits: tenant.Limits{Requests: 9, Tokens: 5}}, {Scope: user, Limits: tenant.Limits{Requests: 2}}}
		for i := range 2 {
			var h meter.Hold
			if r, ok := acme.Admit(t.Context(), &h, 1, twice); !ok {
				t.Fatalf("%d: %+v", i, r)
			}
			if requests, tokens := h.Rates(); requests.Remaining != int64(1-i) || tokens.Remaining != int64(4-i) {
				t.Errorf("%+v, %+v", requests, tokens)
			}
		}
		if r, ok := acme.Admit(t.Context(), new(meter.Hold), 1, twice); ok || r.What != meter.Requests || r.Limit != 2 {
			t.Errorf("%t, %+v", ok, r)
		}
		var p meter.Purse
		acme.Purse(&p, []tenant.Budget{
			{Per: tenant.Day, Mode: tenant.Warn, Amount: 1},
			{Per: tenant.Day, Amount: 1000},
			{Per: tenant.Day, Mode: tenant.Metered, Amount: 500},
			{Per: tenant.Day, Amount: 500},
		})
		if n := p.Affordable(t.Context()); n != 0 { // half a nanodollar is none
			t.Errorf("%d are affordable", n)
		}
		acme.Purse(&p, []tenant.Budget{{Per: tenant.Day, Amount: 9000}, {Per: tenant.Day, Amount: 7000}, {Per: tenant.Week, Amount: 8000}})
		if n := p.Affordable(t.Context()); n != 7000 {
			t.Errorf("%d are affordable", n)
		}
	})
}

// Users come and go, and are forgotten when they have gone for long.
func TestForgets(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		const users = 500
		met := 0
		for day := range 6 {
			for i := range users {
				h, user := new(meter.Hold), tenant.Scope{Kind: tenant.OfUser, Name: fmt.Sprintf("%d-%d", day, i)}
				if r, ok := m.Tenant("acme").Admit(t.Context(), h, 1, []meter.Ask{{Scope: user, Limits: tenant.Limits{Requests: 5, Concurrent: 2}}}); !ok {
					t.Fatalf("%+v", r)
				}
				h.Settle(1)
			}
			met = len(m.Status("acme")) / 2
			pause(2 * time.Hour)
		}
		if met < users || met > 3*users {
			t.Errorf("%d users are remembered of whom %d have been there lately", met, users)
		}
	})
}

func TestNobody(t *testing.T) {
	s := newServer(meter.NewLocal())
	bubble(t, meter.Options{Pool: s.node("a")}, func(t *testing.T, m *meter.Meters) {
		var p meter.Purse
		m.Tenant("").Purse(&p, budgets(tenant.Strict, tenant.Dollar))
		if r, ok := p.Reserve(t.Context(), 1); ok || r.What != meter.Unavailable {
			t.Errorf("%t, %+v", ok, r)
		}
		pause(time.Second)
		if n := s.draws.Load(); n != 0 {
			t.Errorf("the pool was asked %d times", n)
		}
	})
}

// Budgets begin anew with their window. What was reserved before it is no concern of the new one.
func TestWindows(t *testing.T) {
	// The bubble begins on Saturday, 1 January 2000; the test ten minutes before a window ends.
	f := func(per tenant.Period, ends time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			pause(ends - 10*time.Minute)
			m := newNode(meter.Options{})
			defer m.Close(t.Context())
			all := []tenant.Budget{{Per: per, Amount: 10 * tenant.Dollar}}
			var streaming, p meter.Purse
			m.Tenant("acme").Purse(&streaming, all)
			if r, ok := streaming.Reserve(t.Context(), int64(4*tenant.Dollar)); !ok {
				t.Fatalf("%+v", r)
			}
			m.Tenant("acme").Purse(&p, all)
			p.Reserve(t.Context(), int64(6*tenant.Dollar))
			p.Settle(int64(6*tenant.Dollar), int64(6*tenant.Dollar))
			pause(10*time.Minute - time.Second)
			if r, ok := p.Reserve(t.Context(), 1); ok || r.After != time.Second && per != tenant.Total {
				t.Fatalf("%s: a second before it ends: %t, %+v", per, ok, r)
			}
			pause(time.Second)
			if per == tenant.Total {
				if r, ok := p.Reserve(t.Context(), 1); ok || r.After != 0 {
					t.Errorf("%t, %+v", ok, r)
				}
				return
			}
			if got := p.Affordable(t.Context()); got != int64(10*tenant.Dollar) {
				t.Errorf("%s: %d are affordable in the new window", per, got)
			}
			if r, ok := streaming.Reserve(t.Context(), int64(3*tenant.Dollar)); !ok {
				t.Errorf("%+v", r)
			}
			streaming.Settle(int64(7*tenant.Dollar), int64(5*tenant.Dollar)) // 4 of them in the old window
			if got := streaming.Affordable(t.Context()); got != int64(9*tenant.Dollar) {
				t.Errorf("%s: %d are affordable after a stream over two windows", per, got)
			}
			p.Settle(0, 0)
			if r, ok := p.Reserve(t.Context(), int64(9*tenant.Dollar)); !ok {
				t.Errorf("%+v", r)
			}
		})
	}
	day := 24 * time.Hour
	f(tenant.Day, day)
	f(tenant.Day, 60*day)
	f(tenant.Week, 2*day)
	f(tenant.Week, 9*day)
	f(tenant.Month, 31*day)
	f(tenant.Month, 60*day) // February has 29 days
	f(tenant.Month, 366*day)
	f(tenant.Total, 366*day)
}

// A budget that is edited keeps what was spent, and so does one whose mode is.
func TestEditedBudget(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		b := []tenant.Budget{{Per: tenant.Month, Amount: 10 * tenant.Dollar}}
		var p meter.Purse
		acme := m.Tenant("acme")
		acme.Purse(&p, b)
		p.Reserve(t.Context(), int64(6*tenant.Dollar))
		p.Settle(int64(6*tenant.Dollar), int64(6*tenant.Dollar))
		b[0].Amount, b[0].Mode = 7*tenant.Dollar, tenant.Metered
		acme.Purse(&p, b)
		if r, ok := p.Reserve(t.Context(), int64(2*tenant.Dollar)); ok || r.What != meter.Money {
			t.Errorf("%t, %+v", ok, r)
		}
		pause(100 * time.Millisecond) // a slice of the seventh is in hand
		b[0].Amount = 5 * tenant.Dollar
		acme.Purse(&p, b)
		if r, ok := p.Reserve(t.Context(), 1); ok {
			t.Errorf("a budget that was lowered below what was spent allows more: %+v", r)
		}
		b[0].Amount = 20 * tenant.Dollar
		acme.Purse(&p, b)
		if r, ok := p.Reserve(t.Context(), int64(14*tenant.Dollar)); !ok {
			t.Errorf("%+v", r)
		}
	})
}

// What more is charged than was reserved exceeds the budget, and is owed by what comes after.
func TestChargedMore(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		var p meter.Purse
		m.Tenant("acme").Purse(&p, []tenant.Budget{{Mode: tenant.Metered, Amount: tenant.Dollar}})
		p.Reserve(t.Context(), int64(tenant.Dollar))
		p.Settle(int64(tenant.Dollar), int64(2*tenant.Dollar))
		if r, ok := p.Reserve(t.Context(), 1); ok || r.What != meter.Money {
			t.Errorf("%t, %+v", ok, r)
		}
		p.Settle(0, math.MaxInt64)
		p.Settle(0, math.MaxInt64)
		if got := p.Spent(t.Context(), tenant.Scope{}, tenant.Day); got != math.MaxInt64 {
			t.Errorf("%d spent: it wraps around", got)
		}
		if n := p.Affordable(t.Context()); n != 0 {
			t.Error(n)
		}
	})
}

// What the ledger knows counts: of this node and of others.
func TestSeeds(t *testing.T) {
	var asked, faults atomic.Int64
	var mended atomic.Bool
	fails := errors.New("the ledger is locked")
	o := meter.Options{
		Spent: func(_ context.Context, id tenant.ID, of []meter.Account, _ time.Time) ([]map[string]int64, error) {
			asked.Add(1)
			if !mended.Load() {
				return nil, fails
			}
			if id != "acme" {
				t.Errorf("asked for %s", id)
			}
			all := make([]map[string]int64, len(of))
			for i := range of {
				all[i] = map[string]int64{"a": int64(2 * tenant.Dollar), "gone": int64(2 * tenant.Dollar)}
			}
			return all, nil
		},
		Fault: func(_ tenant.ID, err error) {
			if faults.Add(1); !errors.Is(err, fails) {
				t.Error(err)
			}
		},
	}
	synctest.Test(t, func(t *testing.T) {
		pause(31*24*time.Hour - 10*time.Minute)
		m := newNode(o)
		defer m.Close(t.Context())
		acme := m.Tenant("acme")
		var strict, warn meter.Purse
		acme.Purse(&strict, []tenant.Budget{{Per: tenant.Month, Amount: 10 * tenant.Dollar}})
		acme.Purse(&warn, []tenant.Budget{{Per: tenant.Day, Mode: tenant.Warn, Amount: 10 * tenant.Dollar}})
		for range 10 {
			if r, ok := strict.Reserve(t.Context(), 1); ok || r.What != meter.Unavailable {
				t.Errorf("the ledger cannot be read: %t, %+v", ok, r)
			}
		}
		if asked.Load() != 1 || faults.Load() != 1 {
			t.Errorf("asked %d times, %d faults", asked.Load(), faults.Load())
		}
		if r, ok := warn.Reserve(t.Context(), int64(tenant.Dollar)); !ok {
			t.Errorf("%+v", r)
		}
		if r, ok := acme.Admit(t.Context(), new(meter.Hold), 1, asks(tenant.Limits{Requests: 1})); !ok {
			t.Errorf("limits need no ledger: %+v", r)
		}
		mended.Store(true)
		pause(time.Second)
		if got := strict.Affordable(t.Context()); got != int64(6*tenant.Dollar) {
			t.Errorf("%d are affordable", got)
		}
		if r, ok := strict.Reserve(t.Context(), int64(6*tenant.Dollar)); !ok {
			t.Errorf("%+v", r)
		}
		warn.Settle(int64(tenant.Dollar), int64(tenant.Dollar))
		if got := warn.Spent(t.Context(), tenant.Scope{}, tenant.Day); got != int64(5*tenant.Dollar) {
			t.Errorf("%d spent", got)
		}
		n := asked.Load()
		pause(10 * time.Minute)
		if got := strict.Affordable(t.Context()); got != int64(10*tenant.Dollar) || asked.Load() != n {
			t.Errorf("%d are affordable in a new window, and the ledger was asked %d times", got, asked.Load()-n)
		}
	})
}

// Thresholds are told once in each window by all nodes together.
func TestAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause(24*time.Hour - time.Minute)
		pool := meter.NewLocal()
		a, b := newNode(meter.Options{Pool: pool}), newNode(meter.Options{Pool: pool, Node: "b"})
		defer a.Close(t.Context())
		defer b.Close(t.Context())
		all := []tenant.Budget{{Per: tenant.Day, Amount: 10 * tenant.Dollar, WarnAt: []int{5000, 8000}}}
		spend := func(m *meter.Meters, pd tenant.USD) {
			t.Helper()
			var p meter.Purse
			m.Tenant("acme").Purse(&p, all)
			if r, ok := p.Reserve(t.Context(), int64(pd)); !ok {
				t.Fatalf("%+v", r)
			}
			p.Settle(int64(pd), int64(pd))
			pause(2 * time.Second)
		}
		told := func(want ...int) {
			t.Helper()
			var got []meter.Alert
			for _, m := range []*meter.Meters{a, b} {
				for len(m.Alerts()) > 0 {
					got = append(got, <-m.Alerts())
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%+v, want %v", got, want)
			}
			for i, w := range want {
				if g := got[i]; g.At != w || g.Tenant != "acme" || g.Amount != 10*tenant.Dollar || g.Spent < g.Amount/10_000*tenant.USD(w) || g.Per != tenant.Day || g.Window.IsZero() {
					t.Errorf("%+v, want %d", g, w)
				}
			}
		}
		spend(a, 3*tenant.Dollar)
		told()
		spend(b, 2*tenant.Dollar)
		told(5000)
		spend(a, 2*tenant.Dollar)
		told()
		spend(a, 3*tenant.Dollar)
		told(8000)
		pause(time.Minute)
		spend(b, 9*tenant.Dollar)
		told(5000, 8000)
	})
}

// What the process before has told is not told again.
func TestAlertsAfterRestart(t *testing.T) {
	o := meter.Options{Spent: func(_ context.Context, _ tenant.ID, of []meter.Account, _ time.Time) ([]map[string]int64, error) {
		return []map[string]int64{{"a": int64(6 * tenant.Dollar)}}, nil
	}}
	bubble(t, o, func(t *testing.T, m *meter.Meters) {
		var p meter.Purse
		m.Tenant("acme").Purse(&p, []tenant.Budget{{Amount: 10 * tenant.Dollar, WarnAt: []int{5000, 8000}}})
		for range 3 {
			p.Reserve(t.Context(), int64(tenant.Dollar))
			p.Settle(int64(tenant.Dollar), int64(tenant.Dollar))
		}
		pause(time.Second)
		if n := len(m.Alerts()); n != 1 {
			t.Fatalf("%d alerts", n)
		}
		if a := <-m.Alerts(); a.At != 8000 {
			t.Errorf("%+v", a)
		}
	})
}
