package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// open opens the pool of a node and waits until it has reached Redis.
func open(t testing.TB, url, node string) *redis.Pool {
	t.Helper()
	p := lazily(t, url, node)
	servers.Await(t, "reach Redis", func(context.Context) error { return p.Err() })
	return p
}

// lazily opens the pool of a node.
func lazily(t testing.TB, url, node string) *redis.Pool {
	t.Helper()
	s, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	p, err := redis.Open(s, redis.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func at(r *servers.Redis) string { return "redis://" + r.Addr() }

// longUp starts a Redis that has forgotten nobody for long, so that new tenants are not waited for.
func longUp(t testing.TB, args ...string) *servers.Redis {
	t.Helper()
	r := servers.StartRedis(t, args...)
	_, run, _ := strings.Cut(r.Do("INFO", "server"), "run_id:")
	run, _, _ = strings.Cut(run, "\r")
	r.Do("SET", "sl:life", run+" 1")
	return r
}

// Accounts of the tests.
var (
	month    = meter.Account{Kind: meter.Money, Per: tenant.Month, Window: 1793491200}
	places   = meter.Account{Kind: meter.Concurrent, Scope: tenant.Scope{Kind: tenant.OfKey, Name: "ci"}}
	requests = meter.Account{Kind: meter.Requests, Scope: tenant.Scope{Kind: tenant.OfUser, Name: "ann: {a} b"}}
)

// talk is a node that says what a test wants it to say, in order.
type talk struct {
	t    testing.TB
	pool meter.Pool
	meter.Request
}

// newTalk begins a node's talk about a tenant.
func newTalk(t testing.TB, p meter.Pool, id tenant.ID, node string) *talk {
	return &talk{t, p, meter.Request{Tenant: id, Node: node, Boot: time.Now().UnixMicro()}}
}

// draw says one thing.
func (k *talk) draw(lines ...meter.Line) (*meter.Reply, error) {
	k.Seq++
	k.Lines = lines
	return k.again()
}

// again says the last thing again.
func (k *talk) again() (*meter.Reply, error) {
	ctx, cancel := context.WithTimeout(k.t.Context(), servers.Patience)
	defer cancel()
	r, err := k.pool.Draw(ctx, &k.Request)
	if r != nil {
		k.Epoch = r.Epoch
	}
	return r, err
}

// get says one thing until the pool is settled.
func (k *talk) get(lines ...meter.Line) *meter.Reply {
	k.t.Helper()
	var r *meter.Reply
	servers.Await(k.t, "settle", func(context.Context) (err error) {
		r, err = k.draw(lines...)
		return err
	})
	return r
}

// totals is what was granted, and whether anything was refused.
func totals(r *meter.Reply) string {
	s := fmt.Sprint(r.Refused)
	for _, a := range r.Answers {
		s += fmt.Sprintf(" %d/%d", a.Total, a.Remaining)
	}
	return s
}

func TestDraw(t *testing.T) {
	t.Parallel()
	p := open(t, at(longUp(t)), "a")
	a, b := newTalk(t, p, "acme", "a"), newTalk(t, p, "acme", "b")
	f := func(want string, k *talk, lines ...meter.Line) {
		t.Helper()
		if got := totals(k.get(lines...)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if r, err := k.again(); err != nil || totals(r) != want {
			t.Errorf("%v, %v when asked again, before: %s", r, err, want)
		}
	}
	money := func(used, has, need, want int64) meter.Line {
		return meter.Line{Account: month, Limit: 100, Used: used, Spent: used, Has: has, Need: need, Want: want}
	}
	place := func(used, has, need, want int64) meter.Line {
		return meter.Line{Account: places, Limit: 10, Used: used, Has: has, Need: need, Want: want}
	}
	f("-1 40/60", a, money(0, 0, 1, 40))
	f("-1 60/0", b, money(0, 0, 1, 80))                            // as much as there is
	f("0 60/0", b, money(60, 60, 61, 90))                          // and no more
	f("-1 10/30", a, money(10, 40, 0, 10))                         // given back
	f("-1 90/0", b, money(60, 60, 61, 200))                        // to whoever wants it
	f("-1 95/-5", b, money(95, 90, 0, 0))                          // spent beyond it: told is told
	f("0 10/-5 0/10", a, money(10, 10, 11, 20), place(0, 0, 1, 3)) // all or nothing
	f("1 10/-5 0/10", a, money(10, 10, 10, 10), place(0, 0, 11, 11))
	f("-1 10/-5 3/7", a, money(10, 10, 10, 10), place(0, 0, 1, 3))
	f("-1 7/0", b, place(0, 0, 1, 9))
	f("-1 9/-2", b, place(9, 9, 9, 9)) // a higher Has is believed

	// A new process has no places, but the money.
	a.Boot++
	a.Seq = 0
	f("-1 12/-7 1/0", a, money(12, 12, 12, 12), place(1, 0, 1, 5))
	// What others have spent is told by the ledger, and the pool may know better.
	seeded := money(12, 12, 12, 12)
	seeded.Seeds = []meter.Seed{{Node: "gone", Spent: 7}, {Node: "b", Spent: 1}, {Node: "a", Spent: 1000}}
	f("-1 12/-14", a, seeded)
	if r := a.get(money(12, 12, 12, 12)); r.Answers[0].Spent != 95+12+7 {
		t.Errorf("%d spent", r.Answers[0].Spent)
	}
	// Other tenants, other accounts.
	f("-1 100/0", newTalk(t, p, "other", "a"), money(0, 0, 1, 100))
	f("-1 100/0", newTalk(t, p, "acme}", "a"), money(0, 0, 1, 100))
	week := money(0, 0, 1, 100)
	week.Account.Per = tenant.Week
	f("-1 100/0", a, week)
}

func TestStale(t *testing.T) {
	t.Parallel()
	p := open(t, at(longUp(t)), "a")
	a := newTalk(t, p, "acme", "a")
	line := func(want int64) meter.Line { return meter.Line{Account: month, Limit: 100, Want: want} }
	a.get(line(10))
	f := func(boot, seq, want int64, stale bool) {
		t.Helper()
		k := *a
		k.Boot, k.Seq = boot, seq-1
		if _, err := k.draw(line(want)); errors.Is(err, meter.ErrStale) != stale {
			t.Error(err)
		}
	}
	f(a.Boot, a.Seq-1, 50, true)
	f(a.Boot-1, a.Seq+1, 50, true)
	f(a.Boot+1, 1, 20, false)
	f(a.Boot, a.Seq+1, 50, true)
	if got := totals(newTalk(t, p, "acme", "b").get(line(100))); got != "-1 80/0" {
		t.Errorf("%s: what was stale was done", got)
	}
}

// A bucket is emptied by what is granted, fills up with time, and holds nothing that lies at a node.
func TestRate(t *testing.T) {
	t.Parallel()
	p := open(t, at(longUp(t)), "a")
	a, b := newTalk(t, p, "acme", "a"), newTalk(t, p, "acme", "b")
	rate := func(limit, used, has, need, want int64) meter.Line {
		return meter.Line{Account: requests, Limit: limit, Used: used, Spent: used, Has: has, Need: need, Want: want}
	}
	const slow = 60 // one a second
	f := func(k *talk, l meter.Line, total, remaining int64) {
		t.Helper()
		r := k.get(l)
		if got := r.Answers[0]; got.Total != total || got.Remaining != remaining || got.Next <= 0 || got.Next > time.Second {
			t.Errorf("%+v, want %d, %d", got, total, remaining)
		}
	}
	f(a, rate(slow, 0, 0, 1, 40), 40, 20)
	f(b, rate(slow, 0, 0, 1, 15), 15, 5)
	if r := b.get(rate(slow, 0, 15, 60, 60)); r.Refused != 0 {
		t.Errorf("%+v though so much is not there", r)
	}
	f(a, rate(slow, 0, 40, 0, 0), 0, 45)   // given back
	f(a, rate(slow, 70, 0, 0, 0), 70, -25) // used without asking
	servers.Await(t, "flow", func(context.Context) error {
		if r, err := a.draw(rate(60_000, 70, 70, 0, 70)); err != nil || r.Answers[0].Remaining < 0 {
			return fmt.Errorf("%v, %w", r, err)
		}
		return nil
	})

	// Nothing flows in beyond the limit, less what lies at b; b has nothing left there once it begins anew.
	full := func(has, want int64) meter.Line {
		return meter.Line{Account: meter.Account{Kind: meter.Tokens}, Limit: 6000, Has: has, Want: want}
	}
	if got := totals(b.get(full(0, 1500))); got != "-1 1500/4500" {
		t.Error(got)
	}
	servers.Await(t, "flow", func(context.Context) error {
		r, err := a.draw(full(0, 0), rate(600, 1000, 1000, 0, 0))
		if err == nil && r.Answers[0].Remaining != 4500 {
			t.Fatalf("%d, though 1500 lie at b", r.Answers[0].Remaining)
		}
		if err != nil || r.Answers[1].Remaining < -960 {
			return fmt.Errorf("%v, %w", r, err)
		}
		return nil
	})
	b.Boot, b.Seq = b.Boot+1, 0
	b.get(full(0, 0))
	servers.Await(t, "fill", func(context.Context) error {
		if r, err := a.draw(full(0, 0)); err != nil || r.Answers[0].Remaining <= 4500 {
			return fmt.Errorf("%v, %w", r, err)
		}
		return nil
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	p := open(t, at(servers.StartRedis(t)), "a")
	for _, r := range []*meter.Request{{Node: "a"}, {Tenant: "acme"}} {
		if _, err := p.Draw(t.Context(), r); err == nil {
			t.Errorf("%+v is granted", r)
		}
	}
	if _, err := redis.Open(redis.Servers{Addresses: []string{"x:1"}}, redis.Options{}); err == nil {
		t.Error("a node without a name has a pool")
	}
	if _, err := redis.Open(redis.Servers{}, redis.Options{Node: "a"}); err == nil {
		t.Error("no address is one")
	}
}

func TestLease(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	a, b := open(t, at(r), "a"), open(t, at(r), "b")
	f := func(p *redis.Pool, name string, d time.Duration, want bool) {
		t.Helper()
		if got, err := p.Lease(t.Context(), name, d); got != want || err != nil {
			t.Errorf("%t, %v", got, err)
		}
	}
	f(a, "rollup", time.Hour, true)
	f(b, "rollup", time.Hour, false)
	f(a, "rollup", time.Hour, false)
	f(b, "prune", time.Millisecond, true)
	servers.Await(t, "end of a lease", func(ctx context.Context) error {
		if got, err := a.Lease(ctx, "prune", time.Hour); !got {
			return fmt.Errorf("b still has it: %w", err)
		}
		return nil
	})
	servers.Await(t, "count nodes", func(context.Context) error {
		if a.Nodes() != 2 || b.Nodes() != 2 {
			return fmt.Errorf("%d, %d", a.Nodes(), b.Nodes())
		}
		return nil
	})
	r.Kill()
	if got, err := a.Lease(t.Context(), "report", time.Hour); got || err == nil {
		t.Errorf("%t, %v without Redis", got, err)
	}
	if a.Nodes() != 2 {
		t.Errorf("%d nodes", a.Nodes())
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	a, b := open(t, at(r), "a"), open(t, at(r), "b")
	f := func(p *redis.Pool, name, want string) {
		t.Helper()
		got, left, err := p.Read(t.Context(), name)
		if there := left > 59*time.Minute && left <= time.Hour; got != want || err != nil || there != (want != "") {
			t.Errorf("%q for another %v, %v, want %q", got, left, err, want)
		}
	}
	g := func(p *redis.Pool, name, text string, keep time.Duration) {
		t.Helper()
		if err := p.Note(t.Context(), name, text, keep); err != nil {
			t.Error(err)
		}
	}
	f(a, "probe", "")
	g(a, "probe", "one", time.Hour)
	f(b, "probe", "one")
	g(b, "probe", "two", time.Hour)
	f(a, "probe", "two")
	g(a, "other", "soon gone", time.Millisecond)
	servers.Await(t, "end of a note", func(ctx context.Context) error {
		if got, _, err := b.Read(ctx, "other"); got != "" {
			return fmt.Errorf("it is still there: %w", err)
		}
		return nil
	})
	r.Kill()
	if got, _, err := a.Read(t.Context(), "probe"); got != "" || err == nil {
		t.Errorf("%q, %v without Redis", got, err)
	}
	if err := a.Note(t.Context(), "probe", "three", time.Hour); err == nil {
		t.Error("noted without Redis")
	}
}

// What others have put into Redis, or time has made of it, gives errors, and nothing is written.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	r := longUp(t)
	p := open(t, at(r), "a")
	lines := []meter.Line{
		{Account: month, Limit: 100, Want: 10},
		{Account: places, Limit: 100, Want: 10},
		{Account: requests, Limit: 100, Want: 10},
	}
	keys := func() []string {
		return strings.Split(r.Do("KEYS", "sl:{acme}:*"), "\n")
	}
	newTalk(t, p, "acme", "a").get(lines...)
	if len(keys()) != 5 {
		t.Fatalf("%q", keys())
	}
	kinds := map[string]string{}
	for _, key := range keys() {
		kinds[key] = r.Do("TYPE", key)
	}
	f := func(key string, command ...string) {
		t.Helper()
		saved := r.Do("DUMP", key)
		if command[0] != "HSET" {
			r.Do("DEL", key)
		}
		r.Do(append([]string{command[0], key}, command[1:]...)...)
		before := r.Do("DUMP", key)
		_, err := newTalk(t, p, "acme", "a").draw(lines...)
		if err == nil || errors.Is(err, meter.ErrBusy) || errors.Is(err, meter.ErrEpoch) {
			t.Errorf("%q %q: %v", key, command, err)
		}
		if r.Do("DUMP", key) != before {
			t.Errorf("%q is written over", key)
		}
		r.Do("RESTORE", key, "0", saved, "REPLACE")
	}
	for key, kind := range kinds {
		f(key, "SET", "x")
		f(key, "RPUSH", "x")
		if kind != "hash" {
			continue
		}
		f(key, "HSET", "n:a", "x")
		f(key, "HSET", "n:a", "")
		f(key, "HSET", "n:a", "1 2 3 4")
		f(key, "HSET", "n:a", "nan nan nan")
		if strings.HasSuffix(key, ":e") {
			f(key, "HSET", "epoch", "1e300")
			f(key, "HSET", "born", "x")
		} else {
			f(key, "HSET", "=", "x")
			f(key, "HSET", "=", "inf inf inf")
			f(key, "HSET", "=", "")
		}
	}
	newTalk(t, p, "acme", "a").get(lines...)
}

// A script that Redis has forgotten is loaded again, which no caller notices.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	r := longUp(t)
	a := newTalk(t, open(t, at(r), "a"), "acme", "a")
	line := meter.Line{Account: month, Limit: 100, Want: 10}
	a.get(line)
	r.Do("SCRIPT", "FLUSH")
	if got, err := a.draw(line); err != nil || totals(got) != "-1 10/90" {
		t.Errorf("%v, %v", got, err)
	}
}

// Keys are gone when nobody needs them any more.
func TestExpiry(t *testing.T) {
	t.Parallel()
	r := longUp(t)
	a := newTalk(t, open(t, at(r), "a"), "acme", "a")
	list, key := "sl:{acme}:a", "sl:{acme}:money:month:1793491200:tenant"
	simple := meter.Account{Kind: meter.Requests}
	a.get(meter.Line{Account: month, Limit: 100, Want: 10},
		meter.Line{Account: places, Limit: 100, Want: 10},
		meter.Line{Account: simple, Limit: 100, Used: 400, Spent: 400, Want: 10})
	f := func(key string, low, high time.Duration) {
		t.Helper()
		left, err := time.ParseDuration(r.Do("PTTL", key) + "ms")
		if err != nil || left < low || left > high {
			t.Errorf("%s: %s left, %v", key, left, err)
		}
	}
	const day = 24 * time.Hour
	f(key, meter.Remembered-time.Minute, meter.Remembered)
	f("sl:{acme}:concurrent:key:ci", meter.NodeTimeout, 2*time.Minute)
	f("sl:{acme}:requests:tenant", 4*time.Minute, 6*time.Minute) // until 300 have flowed in, and are 100 again
	f("sl:{acme}:e", 399*day, 400*day)
	f(list, 399*day, 400*day)
	f("sl:nodes", 0, meter.NodeTimeout)

	// What is drawn from later is missed later, if it is gone before its time.
	r.Do("ZADD", list, text(time.Now().Add(time.Hour).UnixMicro()), key)
	a.get(meter.Line{Account: month, Limit: 100, Has: 10, Want: 10})
	if missed, err := strconv.ParseInt(r.Do("ZSCORE", list, key), 10, 64); err != nil || time.Until(time.UnixMicro(missed)) < meter.Remembered-time.Hour {
		t.Errorf("%d, %v", missed, err)
	}
}

// text is numbers as Redis has them.
func text(numbers ...int64) string { return strings.Trim(fmt.Sprint(numbers), "[]") }
