package forward_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/forward"
)

// scarce is an upstream that gives so many answers at once, each of which takes a time. Who comes when all places are taken is
// refused after a while, and each refusal is work that delays the answers.
type scarce struct {
	t             *testing.T
	service, says time.Duration // of an answer, until a refusal
	refusal       time.Duration // work of a refusal
	places        atomic.Int64
	owed          atomic.Int64 // ns of work, at most a second
	refused       atomic.Int64
}

// Send implements gateway.Sender.
func (s *scarce) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	n := ok(`{}`)
	if s.places.Add(-1) < 0 {
		s.places.Add(1)
		s.refused.Add(1)
		s.owed.Store(min(s.owed.Load()+int64(s.refusal), int64(time.Second)))
		n = status(529)
		pauseFor(s.says)
	} else {
		for work := s.service; work > 0; work = time.Duration(s.owed.Swap(0)) {
			pauseFor(work)
		}
		s.places.Add(1)
	}
	one := script{t: s.t, answers: []answer{n}}
	return one.Send(x, nil, a)
}

// Ten times as many requests as an upstream bears, of two tenants of which one asks nine times as often as the other: nine
// tenths of what it can do are done, and each gets about half of that.
func TestTenTimesTooMuch(t *testing.T) {
	f := func(says, owed time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			up := &scarce{t: t, service: 100 * time.Millisecond, says: says, refusal: 10 * time.Millisecond}
			up.places.Store(10)
			up.owed.Store(int64(owed))
			fleet := newFleet(up)
			fleet.targets[0].Limiter = admission.New(admission.Settings{Wait: 2 * time.Second})
			h := forward.New(options())
			tenants := [2]*gateway.Tenant{{ID: "large"}, {ID: "small"}}
			var mu sync.Mutex
			var good [2]float64
			var slowest time.Duration
			var work sync.WaitGroup
			const warm, whole = 10 * time.Second, 70 * time.Second
			start := time.Now()
			for i := 0; time.Since(start) < whole; i++ {
				pauseFor(time.Millisecond)
				who := 0
				if i%10 == 0 {
					who = 1
				}
				work.Go(func() {
					x := fleet.exchange()
					x.Caller.Tenant = tenants[who]
					began := time.Now()
					if e := serve(h, x); e == nil && x.Reply.Status == 200 && began.Sub(start) >= warm {
						mu.Lock()
						defer mu.Unlock()
						good[who]++
						slowest = max(slowest, time.Since(began))
					}
				})
			}
			work.Wait()
			seconds := (whole - warm).Seconds()
			large, small := good[0]/seconds, good[1]/seconds
			if large+small < 90 || min(large, small) < 40 || slowest > 6*time.Second {
				t.Errorf("says no in %v, owes %v: %.1f answers a second for the large tenant, %.1f for the small one; the slowest after %v",
					says, owed, large, small, slowest)
			}
		})
	}
	f(time.Millisecond, 0)
	f(30*time.Millisecond, time.Second)
	f(100*time.Millisecond, 0)
	f(400*time.Millisecond, 0)
}
