package meter_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// troubled runs a fleet under load over a strict budget, with trouble after five seconds and an end of it ten
// seconds later, and looks at what is refused when.
func troubled(t *testing.T, amount tenant.USD, begin, end func(s *server)) (during, after [3]int64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(meter.NewLocal())
		s.delay = 300 * time.Microsecond
		nodes, closeAll := fleet(s, meter.Options{})
		defer closeAll(t.Context())
		b := &books{limit: int64(amount)}
		began := time.Now()
		time.AfterFunc(5*time.Second, func() { s.change(begin) })
		time.AfterFunc(15*time.Second, func() { s.change(end) })
		var mu sync.Mutex
		load(t.Context(), b, nodes, 20, []tenant.Budget{{Per: tenant.Month, Amount: amount}}, 30*time.Second, func(n int, r meter.Refusal) {
			mu.Lock()
			defer mu.Unlock()
			at := time.Since(began)
			switch {
			case at < 5*time.Second && amount > 500*tenant.Dollar:
				t.Errorf("refused after %s: %+v", at, r)
			case at < 17*time.Second: // two seconds are given to recover
				during[n]++
			default:
				after[n]++
			}
			if r.What == meter.Unavailable && r.After != time.Second || r.What != meter.Money && r.What != meter.Unavailable {
				t.Errorf("%+v", r)
			}
		})
		if b.most > b.limit {
			t.Errorf("%s were spent and reserved of %s", tenant.USD(b.most), amount)
		}
		// The pool and the books agree in the end.
		closeAll(t.Context())
		spent := nodes[0].Status("acme")[0].Spent
		probe := newNode(meter.Options{Pool: s.node("probe"), Node: "probe"})
		defer probe.Close(t.Context())
		var p meter.Purse
		probe.Tenant("acme").Purse(&p, []tenant.Budget{{Per: tenant.Month, Amount: amount}})
		if left := p.Affordable(t.Context()); left > b.limit-b.charged || left < b.limit-b.charged-1000*3 {
			t.Errorf("the pool has %s left, want %s; a node knows of %s spent", tenant.USD(left), tenant.USD(b.limit-b.charged), tenant.USD(spent))
		}
	})
	return during, after
}

// Whatever happens to the pool: a budget that has enough left is there two seconds later, and never exceeded meanwhile.
func TestTroubledPool(t *testing.T) {
	f := func(name string, begin, end func(s *server), duringA, duringOthers bool) {
		t.Run(name, func(t *testing.T) {
			for _, amount := range []tenant.USD{5, 20, 30, 45, 60} { // at most spent before, during and after
				troubled(t, amount*tenant.Dollar, begin, end)
			}
			during, after := troubled(t, 1000*tenant.Dollar, begin, end)
			t.Logf("refused during: %v, after: %v", during, after)
			if (during[0] > 0) != duringA || (during[1] > 0) != duringOthers || after != [3]int64{} {
				t.Errorf("refused during: %v, after: %v", during, after)
			}
		})
	}
	calm := func(s *server) {
		clear(s.cut)
		clear(s.deaf)
		s.delay = 300 * time.Microsecond
	}
	f("dead", func(s *server) { s.cut["a"], s.cut["b"], s.cut["c"] = true, true, true }, calm, false, false) // the slices last
	f("slow", func(s *server) { s.delay = time.Second }, calm, false, false)
	f("partitioned", func(s *server) { s.cut["a"] = true }, calm, false, false)
	f("answers lost", func(s *server) { s.deaf["a"] = true }, calm, false, false)
	f("flushed", func(s *server) { s.pool = meter.NewLocal() }, calm, false, false)
	f("flushed twice", func(s *server) { s.pool = meter.NewLocal() }, func(s *server) { s.pool = meter.NewLocal() }, false, false)
	f("flushed while a node is away", func(s *server) { s.cut["a"] = true }, func(s *server) { calm(s); s.pool = meter.NewLocal() }, false, false)
}

// When the slice is spent a strict budget is Unavailable at once: nobody waits but whoever finds out.
func TestDeadPool(t *testing.T) {
	f := func(trouble func(s *server)) {
		t.Helper()
		s := newServer(meter.NewLocal())
		bubble(t, meter.Options{Pool: s.node("a")}, func(t *testing.T, m *meter.Meters) {
			all := []tenant.Budget{{Per: tenant.Month, Amount: 100 * tenant.Dollar}}
			var p, warn meter.Purse
			acme := m.Tenant("acme")
			acme.Purse(&p, all)
			acme.Purse(&warn, []tenant.Budget{{Per: tenant.Day, Amount: tenant.Dollar, Mode: tenant.Warn}})
			spend := func() (r meter.Refusal, ok bool) {
				if r, ok = p.Reserve(t.Context(), int64(tenant.Dollar)); ok {
					p.Settle(int64(tenant.Dollar), int64(tenant.Dollar))
				}
				return r, ok
			}
			for range 3 {
				if r, ok := spend(); !ok {
					t.Fatalf("%+v", r)
				}
			}
			s.change(trouble)
			spent, waited := 0, 0
			for range 100 {
				began := time.Now()
				r, ok := spend()
				if took := time.Since(began); took > 25*time.Millisecond {
					t.Errorf("waited for %s", took)
				} else if took > 0 {
					waited++
				}
				if ok {
					spent++
				} else if r.What != meter.Unavailable || r.After != time.Second {
					t.Errorf("%+v", r)
				}
				pause(20 * time.Millisecond)
			}
			t.Logf("%d were spent of the slice, %d waited", spent, waited)
			if spent < 5 || spent > 13 || waited > 3 {
				t.Errorf("%d were spent of a slice of an eighth, %d waited", spent, waited)
			}
			if r, ok := warn.Reserve(t.Context(), int64(2*tenant.Dollar)); !ok {
				t.Errorf("a budget that only warns refuses: %+v", r)
			}
			if m.Up() || m.Status("acme")[0].Up {
				t.Error("the pool is said to answer")
			}
			s.change(func(s *server) { clear(s.cut); s.delay = 0 })
			pause(2 * time.Second)
			if r, ok := spend(); !ok || !m.Up() {
				t.Errorf("two seconds after: %+v", r)
			}
		})
	}
	f(func(s *server) { s.cut["a"] = true })
	f(func(s *server) { s.delay = time.Minute })
}

// A pool that is slow is not away: what it answers after an exchange has given up is there for the next, and nobody is refused
// meanwhile who has enough in hand.
func TestSlowPool(t *testing.T) {
	s := newServer(meter.NewLocal())
	s.delay = 60 * time.Millisecond
	bubble(t, meter.Options{Pool: s.node("a")}, func(t *testing.T, m *meter.Meters) {
		var p meter.Purse
		m.Tenant("acme").Purse(&p, []tenant.Budget{{Per: tenant.Month, Amount: 100 * tenant.Dollar}})
		f := func(ok bool, want time.Duration) {
			t.Helper()
			began := time.Now()
			if r, got := p.Reserve(t.Context(), int64(tenant.Dollar)); got != ok || !ok && r.What != meter.Unavailable {
				t.Errorf("%t, %+v", got, r)
			}
			if took := time.Since(began); took != want {
				t.Errorf("waited for %s, want %s", took, want)
			}
		}
		f(false, 25*time.Millisecond)
		f(false, 25*time.Millisecond)
		f(true, 10*time.Millisecond)
		pause(100 * time.Millisecond)
		for range 50 { // a slice is more than what is used until it is filled up
			f(true, 0)
			pause(40 * time.Millisecond)
		}
		if !m.Up() || s.draws.Load() > 50 {
			t.Errorf("up: %t, %d calls", m.Up(), s.draws.Load())
		}
	})
}

// Without the pool a node keeps to its part of rates and places, and to what is asked of money.
func TestShares(t *testing.T) {
	f := func(how meter.Outage, requests, places, dollars int64) {
		t.Helper()
		s := newServer(meter.NewLocal())
		s.fleet = 4
		bubble(t, meter.Options{Pool: s.node("a")}, func(t *testing.T, m *meter.Meters) {
			acme := m.Tenant("acme")
			limits := tenant.Limits{Requests: 400}
			scope := tenant.Scope{Kind: tenant.OfKey, Name: "ci"}
			admit := func(l tenant.Limits) (n int64, last meter.Refusal) {
				for {
					h := meter.Hold{Outage: how}
					r, ok := acme.Admit(t.Context(), &h, 0, []meter.Ask{{Scope: scope, Limits: l}})
					if !ok {
						return n, r
					}
					n++
				}
			}
			p := meter.Purse{Outage: how}
			acme.Purse(&p, []tenant.Budget{{Per: tenant.Month, Amount: 100 * tenant.Dollar}})
			p.Affordable(t.Context()) // the pool says once that all is there
			s.change(func(s *server) { s.cut["a"] = true })
			got, r := admit(limits)
			if got != requests || how == meter.Deny && r.What != meter.Unavailable || how != meter.Deny && (r.What != meter.Requests || r.After != 600*time.Millisecond) {
				t.Errorf("%d: %d let in, want %d; %+v", how, got, requests, r)
			}
			pause(6 * time.Second)
			if got, _ = admit(limits); got != requests/10 {
				t.Errorf("%d: %d let in after a tenth of a minute, want %d", how, got, requests/10)
			}
			if got, r = admit(tenant.Limits{Concurrent: 20}); got != places {
				t.Errorf("%d: %d at once, want %d; %+v", how, got, places, r)
			}
			got = 0
			for {
				if r, ok := p.Reserve(t.Context(), int64(tenant.Dollar)); !ok {
					if r.What != meter.Unavailable {
						t.Errorf("%+v", r)
					}
					break
				}
				got++
			}
			if got != dollars {
				t.Errorf("%d: %d dollars, want %d", how, got, dollars)
			}
			// Afterwards nothing is owed for it but money.
			s.change(func(s *server) { clear(s.cut) })
			pause(time.Second)
			if got, r = admit(limits); got < 350 {
				t.Errorf("%d: %d let in with the pool, %+v", how, got, r)
			}
			if left := p.Affordable(t.Context()); left != int64(100*tenant.Dollar)-dollars*int64(tenant.Dollar) {
				t.Errorf("%s are left", tenant.USD(left))
			}
		})
	}
	f(meter.ShareRates, 100, 5, 0)
	f(meter.Deny, 0, 0, 0)
	f(meter.Share, 100, 5, 25)
}

// A second process that calls itself the same gets what there is, and the first only what it has in hand.
func TestSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := meter.NewLocal()
		var faults atomic.Int64
		first := newNode(meter.Options{Pool: pool, Fault: func(_ tenant.ID, err error) { faults.Add(1) }})
		defer first.Close(t.Context())
		spend := func(m *meter.Meters) (meter.Refusal, bool) {
			var p meter.Purse
			m.Tenant("acme").Purse(&p, []tenant.Budget{{Amount: 100 * tenant.Dollar}})
			return p.Reserve(t.Context(), int64(10*tenant.Dollar))
		}
		if r, ok := spend(first); !ok {
			t.Fatalf("%+v", r)
		}
		pause(2 * time.Second)
		second := newNode(meter.Options{Pool: pool})
		defer second.Close(t.Context())
		if r, ok := spend(second); !ok {
			t.Errorf("%+v", r)
		}
		if r, ok := spend(first); ok || r.What != meter.Unavailable || faults.Load() != 1 {
			t.Errorf("%t, %+v, %d faults", ok, r, faults.Load())
		}
	})
}

// What a node has in hand goes back when it is not used, and when the node ends.
func TestGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := meter.NewLocal()
		budget := []tenant.Budget{{Amount: 100 * tenant.Dollar}}
		a, b := newNode(meter.Options{Pool: pool}), newNode(meter.Options{Pool: pool, Node: "b"})
		defer b.Close(t.Context())
		reserve := func(m *meter.Meters, d tenant.USD) (meter.Refusal, bool) {
			var p meter.Purse
			m.Tenant("acme").Purse(&p, budget)
			return p.Reserve(t.Context(), int64(d))
		}
		for range 3 {
			reserve(a, tenant.Dollar)
		}
		if held := a.Status("acme")[0].Held; held == 0 {
			t.Error("no slice")
		}
		if r, ok := reserve(b, 97*tenant.Dollar); ok {
			t.Errorf("what a has in hand is given twice: %+v", r)
		}
		pause(2 * time.Second)
		if held := a.Status("acme")[0].Held; held != 0 {
			t.Errorf("%s in hand after two seconds", tenant.USD(held))
		}
		reserve(a, tenant.Dollar)
		reserve(a, tenant.Dollar)
		a.Close(t.Context())
		if r, ok := reserve(b, 95*tenant.Dollar); !ok {
			t.Errorf("after a has ended: %+v", r)
		}
		if r, ok := reserve(a, tenant.Dollar); ok || r.What != meter.Unavailable {
			t.Errorf("%t, %+v", ok, r)
		}
	})
}
