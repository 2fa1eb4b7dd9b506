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
	})
}
