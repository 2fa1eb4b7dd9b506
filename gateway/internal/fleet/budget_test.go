package fleet

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
)

const (
	callers   = 200
	callerKey = "CANARY-caller-key-93be"
)

// TestStrictFleet has 200 callers at three nodes spend one budget, to the last. Not a picodollar more is charged.
func TestStrictFleet(t *testing.T) {
	t.Run("redis", func(t *testing.T) { strictFleet(t, "redis://"+startRedis(t)) })
	t.Run("cluster", func(t *testing.T) {
		strictFleet(t, "redis+cluster://"+strings.Join(servers.StartCluster(t, 3, false).Addrs(), ","))
	})
}

func strictFleet(t *testing.T, shared string) {
	s := newSite(t)
	s.database()
	s.shared = shared
	const budget = 60_000_000_000_000
	s.tenant("acme", keyOf("ci", callerKey)+"budgets: [{usd: 60, per: total, mode: strict}]\n")
	nodes := s.nodes("n1", "n2", "n3")
	s.warm(nodes, callerKey)
	var good, refused, early, waited, unasked, running atomic.Int64
	// What one request reserves: no token is less than a byte of it.
	most := int64(len(chat("hello"))+16) * price
	left := func(others int64) int64 { return budget - good.Load()*56*price - (others+1)*most }
	s.spend(nodes, chat("hello"), func(before bool, a *answer) bool {
		if before {
			running.Add(1)
			return true
		}
		others := running.Add(-1)
		switch {
		case a.code() == "budget_unavailable":
			if waited.Add(1); left(others) > budget/20 {
				unasked.Add(1)
			}
			return true
		case a.whole():
			good.Add(1)
			return true
		case a.status == http.StatusTooManyRequests && a.code() == "insufficient_quota":
			refused.Add(1)
			if left(others) > budget/20 {
				early.Add(1)
			}
		default:
			t.Errorf("%+v", a)
		}
		return false
	})
	for _, n := range nodes { // what is in their journals is shipped
		n.Stop()
	}
	all := s.settled(s.rows)
	spent := charges(all)
	t.Logf("%d exchanges, %d refusals, %d of them with more than 5%% left, %d to be asked again (%d); %s of %s charged", good.Load(), refused.Load(), early.Load(), waited.Load(), unasked.Load(), usd(spent), usd(budget))
	if spent > budget {
		t.Errorf("overshoot: %d pd", spent-budget)
	}
	if spent < budget/100*95 {
		t.Errorf("only %s of %s could be used", usd(spent), usd(budget))
	}
	if early.Load()*1000 > good.Load()+refused.Load() {
		t.Errorf("%d of %d were refused while more than 5%% was left", early.Load(), good.Load()+refused.Load())
	}
}

// warm waits until each node serves what costs money: the memory of an empty Redis is not trusted until all nodes have
// had the time to declare what they spent.
func (s *site) warm(nodes []*node, key string) {
	s.t.Helper()
	for _, n := range nodes {
		servers.Await(s.t, n.name+" may spend", func(ctx context.Context) error {
			a := n.ask(ctx, key, chat("hello"))
			if !a.whole() {
				return fmt.Errorf("%d %s: %w", a.status, a.body, a.err)
			}
			return nil
		})
	}
}

// spend has all callers ask in turn at all nodes, each until it is told to stop.
func (s *site) spend(nodes []*node, body string, next func(before bool, a *answer) bool) {
	var work sync.WaitGroup
	for i := range callers {
		work.Go(func() {
			for n := i; next(true, nil); n++ {
				a := nodes[n%len(nodes)].ask(s.t.Context(), callerKey, body)
				if !next(false, &a) {
					return
				}
			}
		})
	}
	work.Wait()
}

// TestMeteredFleet has streams spend a budget that is reserved piece by piece. Each can exceed it by one piece at most, and the
// streams that are cut end well.
func TestMeteredFleet(t *testing.T) {
	s := newSite(t)
	s.database()
	s.shared = "redis://" + startRedis(t)
	const (
		budget = 60_000_000_000_000
		lease  = 32
	)
	s.more = "plugins: {quota: {lease: 32}}\n"
	s.tenant("acme", keyOf("ci", callerKey)+"budgets: [{usd: 60, per: total, mode: metered}]\n")
	nodes := s.nodes("n1", "n2", "n3")
	s.warm(nodes, callerKey)
	var begun, cut, waited atomic.Int64
	s.spend(nodes, stream("300 tokens, 1ms each"), func(before bool, a *answer) bool {
		switch {
		case before:
			return true
		case a.code() == "budget_unavailable":
			waited.Add(1)
			return true
		case a.status == http.StatusTooManyRequests && a.code() == "insufficient_quota":
			return false
		case !a.whole() || !strings.HasSuffix(a.body, "data: [DONE]\n\n"):
			t.Errorf("%+v", a)
			return false
		}
		begun.Add(1)
		if strings.Contains(a.body, `"finish_reason":"length"`) {
			cut.Add(1)
		}
		return true
	})
	for _, n := range nodes {
		n.Stop()
	}
	all := s.settled(s.rows)
	spent := charges(all)
	t.Logf("%d streams, %d cut, %d to be asked again; %s of %s charged", begun.Load(), cut.Load(), waited.Load(), usd(spent), usd(budget))
	if most := budget + begun.Load()*lease*price; spent > most {
		t.Errorf("%s charged, at most %s may be", usd(spent), usd(most))
	}
	if cut.Load() == 0 || spent < budget/100*80 {
		t.Errorf("%d were cut, %s charged", cut.Load(), usd(spent))
	}
}

func startRedis(t *testing.T) (address string) { return servers.StartRedis(t).Addr() }
