package fleet

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// rounds is how often a gateway is killed.
func rounds(t *testing.T, usual int) int {
	text := os.Getenv("SLUICE_CHAOS_ROUNDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// strict is a tenant whose budget must not be exceeded.
const strict = "strict"

// TestKill kills a gateway under load at any moment, again and again. What the provider has seen is in the ledger, once, and what it
// has made of answers that nobody heard the end of is charged, whatever budgets there are.
func TestKill(t *testing.T) {
	s := newSite(t)
	var keys []string
	for _, mode := range []string{"none", "warn", "metered", strict} {
		keys = append(keys, callerKey+mode)
		budgets := ""
		if mode != "none" {
			budgets = "budgets: [{usd: 9000000, per: total, mode: " + mode + "}]\n"
		}
		s.tenant(mode, keyOf("ci", callerKey+mode)+budgets)
	}
	n := s.start("n1")
	s.killed(n, rounds(t, 20), keys...)
	n.Stop() // what is in the journal goes into the store
	all := s.settled(func() []row { return sqliteRows(t, filepath.Join(n.dir, "ledger.db")) })
	s.unknown(all, rounds(t, 20), workers)
	heard := map[string]int64{}
	for i := range all {
		if all[i].Outcome == "unknown" {
			heard[all[i].Tenant] += all[i].Output
		}
	}
	t.Logf("tokens that were heard of unknown answers: %v", heard)
	for _, key := range keys {
		if mode := key[len(callerKey):]; heard[mode] == 0 {
			t.Errorf("%s: nothing was heard of any answer: the test proves nothing", mode)
		}
	}
}

// TestKillFleet does the same to one of three nodes with a Redis and a PostgreSQL, while the others serve on.
func TestKillFleet(t *testing.T) {
	s := newSite(t)
	s.database()
	s.shared = "redis://" + startRedis(t)
	s.tenant("acme", keyOf("ci", callerKey)+"budgets: [{usd: 9000000, per: total, mode: metered}]\n")
	nodes := s.nodes("n1", "n2", "n3")
	s.warm(nodes, callerKey)
	const times = 5
	done := make(chan struct{})
	var work sync.WaitGroup
	for _, n := range nodes[1:] {
		work.Go(func() { s.load(n, done, callerKey) })
	}
	s.killed(nodes[0], times, callerKey)
	close(done)
	work.Wait()
	for _, n := range nodes {
		n.Stop()
	}
	s.unknown(s.settled(s.rows), times, workers)
}

// TestKillStrict kills a node while a strict budget is spent to its end. What is charged for requests of which nobody knows what
// became is in the budget, too.
func TestKillStrict(t *testing.T) {
	s := newSite(t)
	s.database()
	s.shared = "redis://" + startRedis(t)
	const budget, times = 120_000_000_000_000, 4
	s.tenant(strict, keyOf("ci", callerKey)+"budgets: [{usd: 120, per: total, mode: strict}]\n")
	nodes := s.nodes("n1", "n2", "n3")
	s.warm(nodes, callerKey)
	var work sync.WaitGroup
	work.Go(func() {
		for range times {
			<-time.After(200 * time.Millisecond)
			nodes[0].Kill()
			nodes[0].Restart()
		}
	})
	s.spend(nodes, chat("16 tokens, 1ms each"), func(before bool, a *answer) bool {
		switch {
		case before, a.whole(), a.err != nil, a.code() == "budget_unavailable":
			return true
		case a.code() != "insufficient_quota":
			t.Errorf("%+v", a)
		}
		return false
	})
	work.Wait()
	for _, n := range nodes {
		n.Stop()
	}
	all := s.settled(s.rows)
	s.unknown(all, times, callers)
	spent := charges(all)
	t.Logf("%s of %s charged", usd(spent), usd(budget))
	if spent > budget || spent < budget/100*80 {
		t.Errorf("%d pd of %d pd charged", spent, int64(budget))
	}
}

// workers ask at once in the tests that kill.
const workers = 16

// killed kills a node so many times, each after a while of load, and starts it again.
func (s *site) killed(n *node, times int, keys ...string) {
	s.t.Helper()
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	s.t.Logf("seed %d", os.Getpid())
	for range times {
		done, over := make(chan struct{}), make(chan struct{})
		go func() { defer close(over); s.load(n, done, keys...) }()
		<-time.After(time.Duration(r.Int64N(int64(400 * time.Millisecond))))
		n.Kill()
		close(done)
		<-over
		n.Restart()
	}
}

// load has workers ask a node, some for streams and some of whom leave, until done is closed.
func (s *site) load(n *node, done <-chan struct{}, keys ...string) {
	var work sync.WaitGroup
	for w := range workers {
		key, first := keys[w%len(keys)], w/len(keys)
		work.Go(func() {
			bodies := []string{chat("hello"), stream("20 tokens, 1ms each"), "", chat("16 tokens, 1ms each"), ""}
			for i := first; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
				if i%8 == 7 {
					ctx, cancel = context.WithTimeout(s.t.Context(), 10*time.Millisecond)
				}
				if body := bodies[i%len(bodies)]; body != "" {
					n.ask(ctx, key, body)
				} else {
					content, made := s.provider.reader(500)
					_ = n.read(ctx, key, stream(content), made) // it may break off
				}
				cancel()
			}
		})
	}
	work.Wait()
}

// step is how many tokens of a stream may pass before the journal hears of them, and estimate what one that was said is taken for.
const (
	step     = 64
	estimate = int64(len(said)+3) / 4
)

// unknown says that no more rows are without an end than requests were under way, and that those are charged for what is known:
// under a strict budget all that was reserved, which is never less than what the provider has made, and else the prompt and what
// was heard, which is at most a step less than that.
func (s *site) unknown(all []row, times, atOnce int) {
	s.t.Helper()
	lines := map[string]line{}
	for _, l := range s.provider.log() {
		lines[l.id] = l
	}
	outcomes := map[string]int{}
	for i := range all {
		r := &all[i]
		if outcomes[r.Outcome]++; r.Outcome != "unknown" {
			continue
		}
		var made, prompt int64
		if l := lines[r.Request]; l.made != nil {
			made, prompt = l.made.Load(), l.input
		}
		right := r.Charge == r.Cost
		if r.Tenant == strict {
			right = r.Charge == r.Reserved && r.Charge >= (prompt+made)*price
		}
		if !right || r.Cost != (r.Input+r.Output)*price || r.Input == 0 || r.Output > made*estimate || made-r.Output >= step+ahead || r.Provenance != "aborted" {
			s.t.Errorf("%d tokens were made: %+v", made, *r)
		}
	}
	s.t.Logf("%d kills, %d requests at the provider, rows: %v", times, len(lines), outcomes)
	if outcomes["unknown"] > times*atOnce {
		s.t.Errorf("%d rows have no end after %d kills of %d requests each", outcomes["unknown"], times, atOnce)
	}
	if outcomes["complete"] == 0 || outcomes["unknown"] == 0 {
		s.t.Errorf("%v: the test proves nothing", outcomes)
	}
}

// sqliteRows reads the ledger in a file.
func sqliteRows(t *testing.T, path string) (all []row) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.QueryContext(t.Context(), "SELECT "+rowColumns+" FROM ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	for list.Next() {
		var r row
		if err := list.Scan(&r.Request, &r.Outcome, &r.Provenance, &r.Node, &r.Input, &r.Output, &r.Charge, &r.Reserved, &r.Tenant, &r.Cost); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
