package meter_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// ann asks for a model with the key ci.
var ann = meter.Whose{Key: "ci", User: "ann", Model: "gpt-4.1"}

// What is charged counts in every budget that it is for, also while the budget is taken away, and if the exchange began before
// there was one.
func TestChargesOfOtherBudgets(t *testing.T) {
	const dollar = int64(tenant.Dollar)
	f := func(of tenant.Scope, counts bool) {
		t.Helper()
		bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
			acme := m.Tenant("acme")
			budget := []tenant.Budget{{Scope: of, Per: tenant.Month, Amount: 10 * tenant.Dollar}}
			before, without, again := meter.Purse{Whose: ann}, meter.Purse{Whose: ann}, meter.Purse{Whose: ann}
			acme.Purse(&before, nil)
			first := meter.Purse{Whose: ann}
			acme.Purse(&first, budget)
			if r, ok := first.Reserve(t.Context(), 2*dollar); !ok {
				t.Fatalf("%+v", r)
			}
			first.Settle(2*dollar, 2*dollar)
			before.Settle(0, dollar) // it began when there was no budget
			acme.Purse(&without, []tenant.Budget{{Scope: tenant.Scope{Kind: tenant.OfKey, Name: "ci"}, Per: tenant.Day, Amount: 10 * tenant.Dollar}})
			if r, ok := without.Reserve(t.Context(), 3*dollar); !ok { // it was taken away
				t.Fatalf("%+v", r)
			}
			without.Settle(3*dollar, 3*dollar)
			acme.Charged(&ann, clock.Now(), dollar)
			acme.Purse(&again, budget)
			want := 8 * dollar
			if counts {
				want = 3 * dollar
			}
			if got := again.Affordable(t.Context()); got != want {
				t.Errorf("%s: %s USD are left, want %s", of, tenant.USD(got), tenant.USD(want))
			}
			if r, ok := again.Reserve(t.Context(), want+1); ok || r.What != meter.Money {
				t.Errorf("%s: more than is left: %t, %+v", of, ok, r)
			}
		})
	}
	f(tenant.Scope{}, true)
	f(tenant.Scope{Kind: tenant.OfKey, Name: "ci"}, true)
	f(tenant.Scope{Kind: tenant.OfUser, Name: "ann"}, true)
	f(tenant.Scope{Kind: tenant.OfModel, Name: "gpt-4.1"}, true)
	f(tenant.Scope{Kind: tenant.OfModel, Name: "gpt-*"}, true)
	f(tenant.Scope{Kind: tenant.OfKey, Name: "other"}, false)
	f(tenant.Scope{Kind: tenant.OfUser, Name: "bob"}, false)
	f(tenant.Scope{Kind: tenant.OfModel, Name: "o*"}, false)
}

// What an exchange of the last window is charged is not the new one's.
func TestChargeOfAnEarlierWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause(24*time.Hour - time.Minute)
		m := newNode(meter.Options{})
		defer m.Close(t.Context())
		acme := m.Tenant("acme")
		var p meter.Purse
		acme.Purse(&p, []tenant.Budget{{Per: tenant.Day, Amount: 10 * tenant.Dollar}})
		began := clock.Now()
		pause(2 * time.Minute)
		acme.Charged(&ann, began, int64(tenant.Dollar))
		if got := p.Affordable(t.Context()); got != int64(10*tenant.Dollar) {
			t.Errorf("%d are affordable", got)
		}
		acme.Charged(&ann, clock.Now(), int64(tenant.Dollar))
		if got := p.Affordable(t.Context()); got != int64(9*tenant.Dollar) {
			t.Errorf("%d are affordable", got)
		}
	})
}

// A ledger that takes longer than exchanges wait is asked once. What ends meanwhile counts once, and what an earlier process has
// spent is not forgotten over it.
func TestSlowLedger(t *testing.T) {
	const dollar = int64(tenant.Dollar)
	f := func(mode tenant.Mode) {
		t.Helper()
		asked := 0
		books := new(till)
		o := meter.Options{Spent: func(ctx context.Context, id tenant.ID, of []meter.Account, since time.Time) ([]map[string]int64, error) {
			asked++
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return books.spent(ctx, id, of, since)
		}}
		bubble(t, o, func(t *testing.T, m *meter.Meters) {
			acme := m.Tenant("acme")
			charged := func(pd int64) {
				acme.Charged(&ann, clock.Now(), pd)
				books.add(&ann, pd)
			}
			books.add(&ann, 7*dollar) // by an earlier process
			pause(time.Second)
			p := meter.Purse{Whose: ann}
			acme.Purse(&p, []tenant.Budget{{Per: tenant.Month, Mode: mode, Amount: 100 * tenant.Dollar}})
			charged(dollar)
			pause(time.Millisecond)
			for range 10 {
				if r, ok := p.Reserve(t.Context(), 1); ok != (mode == tenant.Warn) {
					t.Fatalf("%t, %+v", ok, r)
				}
				p.Settle(1, 0)
				p.Spent(t.Context(), tenant.Scope{}, tenant.Month) // asks
				charged(5 * dollar)
			}
			pause(time.Second)
			if got := p.Spent(t.Context(), tenant.Scope{}, tenant.Month); got != books.sum() || asked != 1 {
				t.Errorf("%s: %d are spent, and %d by the ledger, which was asked %d times", mode, got, books.sum(), asked)
			}
		})
	}
	f(tenant.Strict)
	f(tenant.Warn)
}

// Marks are passed by what is charged without a purse, too, and told at once.
func TestAlertOfACharge(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		acme := m.Tenant("acme")
		var p meter.Purse
		acme.Purse(&p, []tenant.Budget{{Per: tenant.Month, Mode: tenant.Warn, Amount: 10 * tenant.Dollar, WarnAt: []int{5000}}})
		acme.Charged(&ann, clock.Now(), int64(6*tenant.Dollar))
		pause(300 * time.Millisecond) // a beat
		if n := len(m.Alerts()); n != 1 {
			t.Errorf("%d alerts", n)
		}
	})
}
