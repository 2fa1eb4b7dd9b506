package admission_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
)

const capacity = 40

// tenants are ten callers that ask for load times the capacity together: the first one floods, the others ask for nine
// tenths of it.
func tenants(load float64, total, patience, from, to time.Duration) []*caller {
	all := make([]*caller, 10)
	served := capacity / total.Seconds()
	for i := range all {
		all[i] = &caller{
			tenant: fmt.Sprint("tenant ", i), rate: served / 10, from: from, to: to,
			first: 300 * time.Millisecond, total: total, patience: patience,
		}
	}
	all[0].rate = (load - 0.9) * served
	return all
}

// TestOverload: an upstream that is asked for ten times what it can do does all that it can do, who is let in is served
// soon, and no tenant is starved by the one that floods.
func TestOverload(t *testing.T) {
	f := func(mode string, total, patience time.Duration, warm bool) {
		t.Helper()
		name := fmt.Sprint(mode, " ", total)
		if warm {
			name += " warm"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const flood = 60 * time.Second
				u := &upstream{mode: mode, capacity: capacity}
				l := admission.New(admission.Settings{})
				var from time.Duration
				var all []*caller
				if warm {
					from = 30 * time.Second
					all = tenants(0.95, total, patience, 0, from)
				}
				flooding := tenants(10, total, patience, from, from+2*flood)
				all = append(all, flooding...)
				simulate(t.Context(), l, u, nil, all...)

				from += 2 * total // nothing is complete at once
				served := capacity / total.Seconds()
				goodput := float64(completed(from, from+flood, all...)) / flood.Seconds() / served
				if mode == shares && !warm {
					// What it looks like at ease is not known: nothing has ever been answered at ease.
					if goodput < 0.5 {
						t.Errorf("goodput %.2f of the capacity", goodput)
					}
					return
				}
				if goodput < 0.9 {
					t.Errorf("goodput %.2f of the capacity", goodput)
				}
				// The other minute shows how it goes on.
				settled, end := from+flood/2, from+3*flood/2
				p50, p99 := wait(0.5, settled, flooding...), wait(0.99, from+flood, flooding...)
				if p50 > 8*time.Second || p99 > 15*time.Second { // Settings.Wait and a half
					t.Errorf("first event after %v, p99 %v", p50, p99)
				}
				if u.refused*20 > u.sent {
					t.Errorf("%d of %d requests were refused by the upstream", u.refused, u.sent)
				}
				fair := served / 10 * flood.Seconds()
				share := func(c ...*caller) float64 { return float64(completed(settled, end, c...)) / fair / float64(len(c)) }
				least := share(flooding[1])
				for _, c := range flooding[2:] {
					least = min(least, share(c))
				}
				quiet, loud := share(flooding[1:]...), share(flooding[0])
				if quiet < 0.65 || least < 0.25 {
					t.Errorf("quiet tenants got %.2f of their fair share, one of them %.2f, the loud one %.2f", quiet, least, loud)
				}
				t.Logf("goodput %.3f, first event p50 %v p99 %v, most %d under way, %d of %d refused, shares %.2f, least %.2f, loud %.2f",
					goodput, p50.Round(time.Millisecond), p99.Round(time.Millisecond), u.peak, u.refused, u.sent, quiet, least, loud)
			})
		})
	}
	for _, warm := range []bool{false, true} {
		for _, mode := range []string{shares, refuses, queues} {
			f(mode, time.Second, time.Minute, warm)
			if mode == shares {
				f(mode, 3*time.Second, time.Minute, warm)
			} else {
				f(mode, 10*time.Second, time.Minute, warm)
			}
		}
	}
}

// TestOverloadWithout: the test above can fail; the same upstreams without a Limiter do next to nothing for anybody.
func TestOverloadWithout(t *testing.T) {
	for _, mode := range []string{shares, queues} {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{mode: mode, capacity: capacity}
			all := tenants(10, time.Second, 10*time.Second, 0, 30*time.Second)
			simulate(t.Context(), nil, u, nil, all...)
			if got := completed(15*time.Second, 30*time.Second, all...); got > capacity*15*3/4 {
				t.Errorf("%s: %d answers without a Limiter", mode, got)
			}
		})
	}
}

// TestLongOverload: the limit does not creep away while the overload lasts.
func TestLongOverload(t *testing.T) {
	for _, mode := range []string{shares, queues, refuses} {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{mode: mode, capacity: capacity}
			l := admission.New(admission.Settings{})
			const span = 10 * time.Minute
			all := append(tenants(0.95, time.Second, time.Minute, 0, 30*time.Second), tenants(2, time.Second, time.Minute, 30*time.Second, span)...)
			least, most := 1<<20, 0
			simulate(t.Context(), l, u, func(at time.Duration) {
				if at > span/2 {
					limit := l.Snapshot().Limit
					least, most = min(least, limit), max(most, limit)
				}
			}, all...)
			if least < capacity*6/10 || most > 6*capacity {
				t.Errorf("%s: the limit was between %d and %d", mode, least, most)
			}
			if goodput := float64(completed(span/2, span, all...)) / (span / 2).Seconds() / capacity; goodput < 0.9 {
				t.Errorf("%s: goodput %.2f", mode, goodput)
			}
		})
	}
}

// TestRecovery: when the overload is over, so is the limit; when the upstream can do more again, it is used.
func TestRecovery(t *testing.T) {
	for _, mode := range []string{shares, refuses, queues} {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{mode: mode, capacity: capacity}
			l := admission.New(admission.Settings{})
			const change, end = 2 * time.Minute, 5 * time.Minute
			flooding := tenants(4, time.Second, time.Minute, 30*time.Second, change)
			calm := tenants(0.95, time.Second, time.Minute, 0, end)[1:4] // a third of the capacity
			var limited bool
			simulate(t.Context(), l, u, func(at time.Duration) {
				switch s := l.Snapshot(); {
				case at == time.Minute:
					limited = s.Limit > 0
				case at == change+unusedFor && s.Limit > 0:
					t.Errorf("%s: still a limit of %d", mode, s.Limit)
				}
			}, append(flooding, calm...)...)
			if !limited {
				t.Errorf("%s: no limit while it was flooded", mode)
			}
			for _, c := range calm {
				asked := c.rate * (end - change).Seconds()
				if got := completed(change+10*time.Second, end, c); float64(got) < 0.8*asked {
					t.Errorf("%s: %s got %d of about %.0f answers after the flood", mode, c.tenant, got, asked)
				}
			}
		})
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{mode: mode, capacity: capacity}
			l := admission.New(admission.Settings{})
			const fault, repair, end = time.Minute, 2 * time.Minute, 4 * time.Minute
			all := tenants(1.9, time.Second, time.Minute, 0, end)
			simulate(t.Context(), l, u, func(at time.Duration) {
				switch at {
				case fault:
					u.resize(capacity / 8)
				case repair:
					u.resize(capacity)
				}
			}, all...)
			during := float64(completed(fault+20*time.Second, repair, all...)) / (repair - fault - 20*time.Second).Seconds()
			after := float64(completed(repair+30*time.Second, end, all...)) / (end - repair - 30*time.Second).Seconds()
			if during < 0.8*capacity/8 || after < 0.9*capacity {
				t.Errorf("%s: %.1f answers a second with an eighth of the capacity, %.1f with all of it again", mode, during, after)
			}
		})
	}
}

// unusedFor is how long a limit is kept that nobody runs into, and somewhat more.
const unusedFor = 75 * time.Second

// TestPriorities: higher priorities are served first, lower ones last but not never.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{mode: refuses, capacity: capacity}
		l := admission.New(admission.Settings{Max: capacity})
		var all []*caller
		for p, load := range map[admission.Priority]float64{admission.Low: 2, admission.Normal: 2, admission.High: 0.7, admission.Critical: 0.1} {
			all = append(all, &caller{
				tenant: "everybody's", priority: p, rate: load * capacity, to: time.Minute,
				first: 300 * time.Millisecond, total: time.Second, patience: 30 * time.Second,
			})
		}
		simulate(t.Context(), l, u, nil, all...)
		for _, c := range all {
			got := float64(len(c.done))
			served, of := got/float64(c.asked), got/(capacity*60)
			switch c.priority {
			case admission.Critical, admission.High:
				if served < 0.97 {
					t.Errorf("%v: %.2f of what was asked", c.priority, served)
				}
				if p99 := wait(0.99, 0, c); p99 > 2*time.Second {
					t.Errorf("%v: first event after %v", c.priority, p99)
				}
			case admission.Normal:
				if of < 0.06 {
					t.Errorf("%v: %.2f of the capacity", c.priority, of)
				}
			case admission.Low:
				if of < 0.03 || of > 0.12 {
					t.Errorf("%v: %.2f of the capacity", c.priority, of)
				}
			}
		}
		if u.refused > 0 {
			t.Error("more than Max requests were under way")
		}
	})
}
