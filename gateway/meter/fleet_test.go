package meter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// books are what really is reserved and charged, kept by the test.
type books struct {
	mu              sync.Mutex
	limit           int64
	out, charged    int64
	most            int64 // of both together, ever
	asked, unfairly int64 // how often was asked while more than 5 % remained, and refused though it would have fitted
}

func (b *books) before() (remaining int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit - b.out - b.charged
}

func (b *books) reserved(pd int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out += pd
	b.most = max(b.most, b.out+b.charged)
}

func (b *books) settled(reserved, charged int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out -= reserved
	b.charged += charged
	b.most = max(b.most, b.out+b.charged)
}

// judged notes an answer. A refusal is unfair if more than a twentieth remained before and after it.
func (b *books) judged(before int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if after := b.limit - b.out - b.charged; min(before, after) > b.limit/20 {
		b.asked++
		if !ok {
			b.unfairly++
		}
	}
}

// fleet is three nodes with a pool between them.
func fleet(s *server, o meter.Options) (nodes []*meter.Meters, end func(ctx context.Context)) {
	for _, name := range []string{"a", "b", "c"} {
		o.Node, o.Pool = name, s.node(name)
		nodes = append(nodes, newNode(o))
	}
	return nodes, func(ctx context.Context) {
		for _, m := range nodes {
			m.Close(ctx)
		}
	}
}

// exchange reserves the worst case, takes its time, and pays some of it.
func exchange(ctx context.Context, b *books, m *meter.Meters, budget []tenant.Budget, r *rand.Rand) (meter.Refusal, bool) {
	var p meter.Purse
	m.Tenant("acme").Purse(&p, budget)
	worst := int64(tenant.Dollar)/100 + r.Int64N(int64(tenant.Dollar)/100)
	before := b.before()
	refusal, ok := p.Reserve(ctx, worst)
	if ok {
		b.reserved(worst)
	}
	b.judged(before, ok)
	if !ok {
		return refusal, false
	}
	<-time.After(time.Duration(r.Int64N(int64(500 * time.Millisecond))))
	charged := r.Int64N(worst)
	// In the books first: for a moment they say more than there is.
	b.settled(worst, charged)
	p.Settle(worst, charged)
	return meter.Refusal{}, true
}

// load runs exchanges on every node until the budget is spent, or the time is up.
func load(ctx context.Context, b *books, nodes []*meter.Meters, each int, budget []tenant.Budget, d time.Duration, refused func(node int, r meter.Refusal)) {
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for n, m := range nodes {
		for i := range each {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(n), uint64(i)))
				for time.Now().Before(end) {
					if why, ok := exchange(ctx, b, m, budget, r); !ok {
						refused(n, why)
						<-time.After(50*time.Millisecond + time.Duration(r.Int64N(int64(200*time.Millisecond))))
					}
				}
			})
		}
	}
	all.Wait()
}

// 200 exchanges at a time on each of three nodes, and one strict budget: it is spent to the last cent and never exceeded, and nobody
// is refused while there is enough.
func TestStrictBudgetOfAFleet(t *testing.T) {
	f := func(delay time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s := newServer(meter.NewLocal())
			s.delay = delay
			nodes, end := fleet(s, meter.Options{})
			defer end(t.Context())
			amount := 100 * tenant.Dollar
			b := &books{limit: int64(amount)}
			var unavailable atomic.Int64
			load(t.Context(), b, nodes, 200, []tenant.Budget{{Per: tenant.Month, Amount: amount}}, 20*time.Second, func(_ int, r meter.Refusal) {
				if r.What != meter.Money {
					unavailable.Add(1)
				}
			})
			t.Logf("delay %s: %d asked with more than 5 %% left, %d refused unfairly, %d unavailable, %d calls", delay, b.asked, b.unfairly, unavailable.Load(), s.draws.Load())
			if b.most > b.limit || b.charged < b.limit*98/100 {
				t.Errorf("%s were spent and reserved, %s spent, of %s", tenant.USD(b.most), tenant.USD(b.charged), amount)
			}
			if b.asked < 10_000 || b.unfairly*1000 >= b.asked {
				t.Errorf("%d of %d were refused though there was enough", b.unfairly, b.asked)
			}
			if n := unavailable.Load(); n*1000 >= b.asked { // near its end, to who waited in vain for his turn
				t.Errorf("%d were told that the budget is unavailable", n)
			}
		})
	}
	f(0)
	f(300 * time.Microsecond)
	f(3 * time.Millisecond)
}

// A metered stream reserves a lease at a time, and has one lease in its hands when it is refused.
func TestMeteredBudgetOfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(meter.NewLocal())
		s.delay = 300 * time.Microsecond
		nodes, end := fleet(s, meter.Options{})
		defer end(t.Context())
		amount := 20 * tenant.Dollar
		budget := []tenant.Budget{{Per: tenant.Month, Mode: tenant.Metered, Amount: amount}}
		const lease, streams = int64(tenant.Dollar) / 400, 200
		var charged, cut atomic.Int64
		var all sync.WaitGroup
		for n, m := range nodes {
			for i := range streams {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(n), uint64(i)))
					var p meter.Purse
					m.Tenant("acme").Purse(&p, budget)
					<-time.After(time.Duration(r.Int64N(int64(time.Second))))
					if _, ok := p.Reserve(t.Context(), lease); !ok {
						return
					}
					reserved, spent := lease, int64(0)
					for spent < 30*lease {
						<-time.After(20 * time.Millisecond)
						if spent += r.Int64N(lease); spent <= reserved { // an event may cost more than is left of the lease
							continue
						}
						if !p.TryReserve(lease) {
							if _, ok := p.Reserve(t.Context(), lease); !ok {
								cut.Add(1)
								break
							}
						}
						reserved += lease
					}
					p.Settle(reserved, spent)
					charged.Add(spent)
				})
			}
		}
		all.Wait()
		over := charged.Load() - int64(amount)
		t.Logf("%d streams cut, %s over %s, a lease is %s", cut.Load(), tenant.USD(over), amount, tenant.USD(lease))
		if cut.Load() == 0 || over > lease*streams*int64(len(nodes)) {
			t.Errorf("%d streams were cut, %s charged of %s", cut.Load(), tenant.USD(charged.Load()), amount)
		}
	})
}

// limits of requests hold for a fleet, places too.
func TestLimitsOfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(meter.NewLocal())
		s.delay = 300 * time.Microsecond
		nodes, end := fleet(s, meter.Options{})
		defer end(t.Context())
		limits := tenant.Limits{Requests: 6000, Concurrent: 100}
		var in, most, let atomic.Int64
		var all sync.WaitGroup
		began := time.Now()
		for n, m := range nodes {
			for i := range 100 {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(n), uint64(i)))
					for time.Since(began) < 10*time.Second {
						var h meter.Hold
						if why, ok := m.Tenant("acme").Admit(t.Context(), &h, 0, []meter.Ask{{Limits: limits}}); !ok {
							if why.What == meter.Unavailable {
								t.Errorf("%+v", why)
							}
							<-time.After(max(why.After, time.Millisecond))
							continue
						}
						if now := in.Add(1); now > most.Load() {
							most.Store(now)
						}
						let.Add(1)
						<-time.After(time.Duration(r.Int64N(int64(200 * time.Millisecond))))
						in.Add(-1)
						h.Settle(0)
					}
				})
			}
		}
		all.Wait()
		took := time.Since(began)
		allowed := limits.Requests + int64(took)*limits.Requests/int64(time.Minute)
		t.Logf("%d of %d let in, %d at once", let.Load(), allowed, most.Load())
		if let.Load() > allowed || let.Load() < allowed*95/100 || most.Load() > limits.Concurrent || most.Load() < limits.Concurrent*9/10 {
			t.Errorf("%d of %d let in, %d of %d at once", let.Load(), allowed, most.Load(), limits.Concurrent)
		}
	})
}

// operation is what a history is made of.
type operation struct {
	give bool
	n    int64
}

// counter is the model of places and money: what is taken never exceeds the limit, and a refusal says that it would have.
func counter(limit int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, output any) (bool, any) {
			used, op := state.(int64), input.(operation)
			switch {
			case op.give:
				return true, used - op.n
			case output.(bool):
				return used+op.n <= limit, used + op.n
			default:
				return used+op.n > limit, used
			}
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %v", input, output) },
	}
}

// history is what happened, in the order of a common counter.
type history struct {
	gate chan struct{} // bounds how many calls overlap: to find an order of more takes for ever
	tick atomic.Int64
	mu   sync.Mutex
	ops  []porcupine.Operation
}

func (h *history) do(client int, op operation, f func() bool) bool {
	h.gate <- struct{}{}
	call := h.tick.Add(1)
	ok := f()
	back := h.tick.Add(1)
	<-h.gate
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: op, Call: call, Output: ok, Return: back})
	return ok
}

// linear checks the history of 200 goroutines, each of which does f ten times.
func linear(t *testing.T, limit int64, f func(h *history, client int)) {
	t.Helper()
	h := history{gate: make(chan struct{}, 5)}
	var all sync.WaitGroup
	for client := range 200 {
		all.Go(func() {
			for range 10 {
				f(&h, client)
			}
		})
	}
	all.Wait()
	switch porcupine.CheckOperationsTimeout(counter(limit), h.ops, 20*time.Second) {
	case porcupine.Illegal:
		t.Error("no order of what happened explains it")
	case porcupine.Unknown:
		t.Error("not checked in time")
	}
}

// As long as a node is alone, it answers as one counter would, whoever comes at the same time.
func TestLinearizable(t *testing.T) {
	on := func(f func(t *testing.T, acme *meter.Tenant)) {
		t.Helper()
		m := newNode(meter.Options{Wait: time.Minute})
		f(t, m.Tenant("acme"))
		m.Close(t.Context())
	}
	on(func(t *testing.T, acme *meter.Tenant) { // Admit, Undo, Settle
		const limit = 7
		linear(t, limit, func(h *history, client int) {
			var hold meter.Hold
			if !h.do(client, operation{n: 1}, func() bool {
				_, ok := acme.Admit(t.Context(), &hold, 1, asks(tenant.Limits{Requests: 1e6, Tokens: 1e9, Concurrent: limit}))
				return ok
			}) {
				return
			}
			h.do(client, operation{give: true, n: 1}, func() bool {
				if client%2 == 0 {
					hold.Undo()
				} else {
					hold.Settle(3)
				}
				return true
			})
		})
	})
	on(func(t *testing.T, acme *meter.Tenant) { // Reserve, Reserve more, Settle
		const limit = 100
		linear(t, limit, func(h *history, client int) {
			var p meter.Purse
			acme.Purse(&p, budgets(tenant.Strict, limit*meter.Nano))
			n := int64(1 + client%23)
			reserve := func() bool {
				return h.do(client, operation{n: n}, func() bool {
					r, ok := p.Reserve(t.Context(), n*int64(meter.Nano))
					if !ok && (r.What != meter.Money || r.Remaining >= n*int64(meter.Nano)) {
						t.Errorf("refused %d: %+v", n, r)
					}
					return ok
				})
			}
			if !reserve() {
				return
			}
			reserved := n
			if reserve() {
				reserved += n
			}
			h.do(client, operation{give: true, n: reserved}, func() bool {
				p.Settle(reserved*int64(meter.Nano), 0)
				return true
			})
		})
	})
}
