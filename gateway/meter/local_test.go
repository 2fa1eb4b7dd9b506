package meter_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/meter/metertest"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestLocal(t *testing.T) {
	all := metertest.Cases()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(meter.NewLocal())
				all[name](t, metertest.Fleet{Node: s.node, Flush: func() { s.set(meter.NewLocal()) }})
			})
		})
	}
}

// An account whose window has ended may be drawn from all the same: a node goes by its own clock, and may be on its way at midnight.
func TestLocalAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := meter.NewLocal()
		line := func(name string, until time.Time, used int64) meter.Line {
			return meter.Line{
				Account: meter.Account{Kind: meter.Money, Per: tenant.Day, Scope: tenant.Scope{Kind: tenant.OfKey, Name: name}},
				Limit:   100, Used: used, Spent: used, Has: used, Until: until,
			}
		}
		f := func(want string, lines ...meter.Line) {
			t.Helper()
			r, err := pool.Draw(t.Context(), &meter.Request{Tenant: "acme", Node: "a", Boot: 1, Seq: 1, Lines: lines})
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, a := range r.Answers {
				got = append(got, a.Remaining)
			}
			if fmt.Sprint(got) != want {
				t.Errorf("%v remain, want %s", got, want)
			}
		}
		midnight := time.Now().Add(24 * time.Hour)
		f("[70]", line("ci", midnight, 30))
		pause(24*time.Hour + time.Nanosecond)
		f("[69 90]", line("ci", midnight, 31), line("web", midnight.Add(24*time.Hour), 10))

		// One whose end was put off, because the clock was set back, is kept.
		f("[60]", line("late", midnight.Add(time.Hour), 40))
		f("[60]", line("late", midnight.Add(3*time.Hour), 40))
		pause(2 * time.Hour)
		for n := range 20 {
			f("[99]", line(fmt.Sprint(n), midnight.Add(24*time.Hour), 1))
		}
		r, err := pool.Draw(t.Context(), &meter.Request{Tenant: "acme", Node: "b", Boot: 1, Seq: 1, Lines: []meter.Line{line("late", midnight.Add(3*time.Hour), 0)}})
		if err != nil || r.Answers[0].Remaining != 60 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
