package meter_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Days end by the wall clock, also where it is set or stood for hours. In the day that it says then counts what the ledger knows of.
func TestWallClock(t *testing.T) {
	const dollar = int64(tenant.Dollar)
	var shift atomic.Int64
	var spent atomic.Int64 // on the first of January, by this node
	o := meter.Options{
		Wall: clock.NewWall(func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }),
		Spent: func(_ context.Context, _ tenant.ID, of []meter.Account, _ time.Time) ([]map[string]int64, error) {
			all := make([]map[string]int64, len(of))
			for i, a := range of {
				if all[i] = map[string]int64{}; time.Unix(a.Window, 0).UTC().Day() == 1 {
					all[i]["a"] = spent.Load()
				}
			}
			return all, nil
		},
	}
	bubble(t, o, func(t *testing.T, m *meter.Meters) {
		f := func(after, set time.Duration, day int, remain int64) {
			t.Helper()
			pause(after)
			shift.Add(int64(set))
			pause(300 * time.Millisecond) // a beat
			var p meter.Purse
			m.Tenant("acme").Purse(&p, []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: 10 * tenant.Dollar}})
			if got := p.Affordable(t.Context()); got != remain*dollar {
				t.Errorf("%s later, and set by %s: %s remain of the day", after, set, tenant.USD(got))
			}
			if r, ok := p.Reserve(t.Context(), dollar); !ok {
				t.Errorf("%s later, and set by %s: %+v", after, set, r)
			}
			p.Settle(dollar, dollar)
			if day == 1 {
				spent.Add(dollar)
			}
			s := m.Status("acme")[0]
			if until := time.Date(2000, 1, day+1, 0, 0, 0, 0, time.UTC); s.Until.Sub(until).Abs() > time.Microsecond {
				t.Errorf("%s later, and set by %s: the day ends at %s", after, set, s.Until)
			}
		}
		f(time.Hour, 0, 1, 10)
		f(time.Hour, 8*time.Hour, 1, 9) // 10:00
		f(13*time.Hour, 0, 1, 8)        // 23:00
		f(2*time.Hour, 0, 2, 10)        // 01:00, nine hours before the day ends by the other clock
		f(time.Hour, 24*time.Hour, 3, 10)
		f(time.Hour, -48*time.Hour, 1, 7)
		f(time.Hour, -270*time.Minute, 0, 10) // 23:30 the day before
		f(45*time.Minute, 0, 1, 6)            // the first again
	})
}

// A clock that is set to another day and back while exchanges are under way takes nothing of what they have reserved away.
func TestWallClockSetBack(t *testing.T) {
	const dollar = int64(tenant.Dollar)
	budgets := []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: 10 * tenant.Dollar}}
	// f says how many dollars can be spent beside an exchange of eight, while it goes on and after it.
	f := func(there, back time.Duration, during, after int64) {
		t.Helper()
		var shift atomic.Int64
		o := meter.Options{Wall: clock.NewWall(func() time.Time { return time.Now().Add(time.Duration(shift.Load())) })}
		bubble(t, o, func(t *testing.T, m *meter.Meters) {
			pause(time.Hour)
			var long, short meter.Purse
			acme := m.Tenant("acme")
			acme.Purse(&long, budgets)
			acme.Purse(&short, budgets)
			if r, ok := long.Reserve(t.Context(), 8*dollar); !ok {
				t.Fatalf("%+v", r)
			}
			for _, set := range []time.Duration{there, back} {
				shift.Add(int64(set))
				pause(300 * time.Millisecond) // a beat
			}
			spend := func() (n int64) {
				for ; n < 20; n++ {
					if _, ok := short.Reserve(t.Context(), dollar); !ok {
						break
					}
					short.Settle(dollar, dollar)
				}
				return n
			}
			beside := spend()
			long.Settle(8*dollar, 7*dollar)
			if then := spend(); beside != during || then != after {
				t.Errorf("set by %s and %s: %d while the other went on, %d after it", there, back, beside, then)
			}
		})
	}
	f(0, 0, 2, 1)
	f(24*time.Hour, -24*time.Hour, 2, 1)
	f(-24*time.Hour, 24*time.Hour, 2, 1)
	f(24*time.Hour, 0, 2, 1) // it goes along
	f(8*time.Hour, 8*time.Hour, 2, 1)
}

// What is charged without a reservation counts in the window in which the exchange began.
func TestChargedWithoutReservation(t *testing.T) {
	f := func(after time.Duration, want int64) {
		t.Helper()
		bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
			for _, per := range []tenant.Period{tenant.Day, tenant.Total} {
				var p meter.Purse
				m.Tenant("acme").Purse(&p, []tenant.Budget{{Per: per, Mode: tenant.Warn, Amount: 10 * tenant.Dollar}})
				pause(after)
				p.Settle(0, 5)
				if got := p.Spent(t.Context(), tenant.Scope{}, per); got != want && per == tenant.Day || got != 5 && per == tenant.Total {
					t.Errorf("after %s: %d were spent of the budget per %s", after, got, per)
				}
			}
		})
	}
	f(time.Hour, 5)
	f(24*time.Hour, 0)
}
