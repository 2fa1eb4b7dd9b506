package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/gatewaytest/servers"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// union is nodes that have one provider and one Redis, for which they wait: what comes of a Redis that is late is told by the tests of
// outages.
type union struct {
	t        testing.TB
	redis    *servers.Redis
	provider *provider
	change   func(*cache.Config)
	nodes    []*rig
	asked    int
}

func newUnion(t testing.TB, nodes int, change func(*cache.Config)) *union {
	t.Helper()
	return newUnionOf(t, nodes, func(c *cache.Config) {
		c.SharedWait = 10 * time.Second
		if change != nil {
			change(c)
		}
	})
}

func newUnionOf(t testing.TB, nodes int, change func(*cache.Config)) *union {
	t.Helper()
	u := &union{t: t, redis: servers.StartRedis(t), provider: &provider{}, change: change}
	for range nodes {
		u.join(u.redis.Addr())
	}
	u.meet()
	return u
}

// join starts a node that finds Redis at an address.
func (u *union) join(address string) *rig {
	u.t.Helper()
	s, err := redis.ParseURL("redis://" + address)
	if err != nil {
		u.t.Fatal(err)
	}
	pool, err := redis.Open(s, redis.Options{Node: fmt.Sprint("n", len(u.nodes))})
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = pool.Close() })
	r := newRigOf(u.t, pool.Client, u.change)
	r.provider = u.provider
	r.handler = r.plugin.Wrap(u.provider)
	r.host.SetNow(time.Now())
	u.nodes = append(u.nodes, r)
	return r
}

// meet waits until each node gives what the first has learnt, and forgets the calls that it took.
func (u *union) meet() {
	u.t.Helper()
	first := u.nodes[0]
	for _, r := range u.nodes[1:] {
		servers.Await(u.t, "nodes share answers", func(context.Context) error {
			u.asked++
			a := ask{body: chatBody(fmt.Sprintf("Have you met number %d?", u.asked))}
			one, other := first.serve(a), r.serve(a)
			if strings.HasPrefix(other, "miss: ") || !strings.HasSuffix(other, strings.TrimPrefix(one, "miss: ")) {
				return fmt.Errorf("%s; %s", one, other)
			}
			return nil
		})
	}
	u.provider.forget()
}

func (p *provider) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = 0
}

// gives expects what another node was told, which may not be in Redis yet.
func (r *rig) gives(q ask, want string) {
	r.t.Helper()
	if got := r.serve(q); got != "exact: "+want && got != "coalesced: "+want {
		r.t.Errorf("%s: %s, want %s from another node", q.body, got, want)
	}
}

// contents is all that Redis holds, names and values.
func (u *union) contents() []byte {
	u.t.Helper()
	var b bytes.Buffer
	for key := range strings.FieldsSeq(u.redis.Do("KEYS", "*")) {
		fmt.Fprintln(&b, key, u.redis.Do("DUMP", key))
	}
	return b.Bytes()
}

// kept is the key in Redis of the answer that a node has to a question, once it is there.
func (u *union) kept(r *rig, q ask) string {
	u.t.Helper()
	key := fmt.Sprintf("sl:cache:v:{%s}", strings.TrimPrefix(u.idOf(r, q), "ans_"))
	servers.Await(u.t, "an answer is written", func(context.Context) error {
		if u.redis.Do("EXISTS", key) != "1" {
			return errors.New(key)
		}
		return nil
	})
	return key
}

// What one node was told the others give, to its tenant alone, and Redis cannot be read.
func TestFleetExact(t *testing.T) {
	u := newUnion(t, 2, nil)
	u.provider.says = func(call int, _ *chat.Request) *chat.Reply { return text(fmt.Sprint("CANARY-said ", call)) }
	a, b := u.nodes[0], u.nodes[1]
	q := ask{body: chatBody("CANARY-asked of the sea?")}
	a.expect(q, "miss: CANARY-said 1")
	keys := []string{u.kept(a, q)}
	b.expect(q, "exact: CANARY-said 1")
	b.expect(ask{body: chatBody("CANARY-asked of the sea?", `"stream":true`)}, "exact: CANARY-said 1")
	another := ask{body: q.body, tenant: &gateway.Tenant{ID: "bolt"}}
	b.expect(another, "miss: CANARY-said 2")
	keys = append(keys, u.kept(b, another))
	if all := u.contents(); bytes.Contains(all, []byte("CANARY")) || bytes.Contains(all, []byte("acme")) || len(all) == 0 {
		t.Errorf("Redis can be read: %q", all)
	}
	for _, key := range keys {
		if ttl := u.redis.Do("PTTL", key); len(ttl) < 6 || len(ttl) > 7 { // an hour at most
			t.Errorf("%s lives for %s ms", key, ttl)
		}
	}
}

// What is damaged in Redis, or at another's place, is a miss, and is dropped.
func TestFleetDamaged(t *testing.T) {
	u := newUnion(t, 2, nil)
	a, b := u.nodes[0], u.nodes[1]
	f := func(question string, damage func(key string)) {
		t.Helper()
		q := ask{body: chatBody(question)}
		said := strings.TrimPrefix(a.serve(q), "miss: ")
		damage(u.kept(a, q))
		before := u.provider.called()
		if got := b.serve(q); !strings.HasPrefix(got, "miss: ") || got == "miss: "+said || u.provider.called() != before+1 {
			t.Errorf("%s: %s", question, got)
		}
	}
	f("Cut?", func(key string) { u.redis.Do("SETRANGE", key, "60", "x") })
	f("Empty?", func(key string) { u.redis.Do("SET", key, "") })
	f("Another version?", func(key string) { u.redis.Do("SETRANGE", key, "0", "\x07") })
	another := ask{body: chatBody("Another?")}
	a.serve(another)
	f("Another's?", func(key string) { u.redis.Do("RENAME", u.kept(a, another), key) })
}

// Without a secret of their own nodes agree on one; those with different secrets share nothing, in the same Redis.
func TestFleetSecrets(t *testing.T) {
	secret := "the first fleet's secret"
	u := newUnion(t, 2, func(c *cache.Config) { c.Secret = config.NewSecret(secret) })
	if all := u.contents(); bytes.Contains(all, []byte(secret)) {
		t.Error("the secret is in Redis")
	}
	secret = "the second fleet's secret"
	other := u.join(u.redis.Addr())
	q := ask{body: chatBody("Who?")}
	u.nodes[0].expect(q, "miss: answer 1")
	u.nodes[1].gives(q, "answer 1")
	other.expect(q, "miss: answer 2")
}

// A thousand identical requests over three nodes are one call, whole and as a stream.
func TestFleetOneCall(t *testing.T) {
	u := newUnion(t, 3, nil)
	for _, stream := range []string{`"stream":false`, `"stream":true`, ""} {
		u.provider.forget()
		u.provider.says = func(call int, _ *chat.Request) *chat.Reply {
			return text(fmt.Sprint("of call ", call, strings.Repeat(" and so on", 20)))
		}
		pausing(u.provider)
		var mu sync.Mutex
		count := map[string]int{}
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				more := stream
				if more == "" {
					more = fmt.Sprintf(`"stream":%t`, i%2 == 0)
				}
				got := u.nodes[i%3].serve(ask{body: chatBody("Hi "+stream+"?", more)})
				mu.Lock()
				defer mu.Unlock()
				count[got]++
			})
		}
		all.Wait()
		want := "of call 1" + strings.Repeat(" and so on", 20)
		if u.provider.called() != 1 || count["miss: "+want] != 1 || count["coalesced: "+want]+count["exact: "+want] != 999 {
			t.Errorf("%s: %d calls, %v", stream, u.provider.called(), count)
		}
	}
}

// gated is a provider that says as many events as it is told to, and the rest when the gate is closed.
func gated(p *provider) (gate chan struct{}) {
	gate = make(chan struct{}, 100)
	p.at = func(x *gateway.Exchange, _, n int) error {
		select {
		case <-gate:
			return nil
		case <-x.Context().Done():
			return x.Cause()
		}
	}
	return gate
}

func pass(gate chan struct{}, events int) {
	for range events {
		gate <- struct{}{}
	}
}

// live is an exchange under way, whose stream a test pulls itself.
type live struct {
	t testing.TB
	x *gateway.Exchange
	b strings.Builder
}

// begin serves a request up to its reply.
func (u *union) begin(r *rig, body string) *live {
	u.t.Helper()
	l := &live{t: u.t, x: r.exchange(ask{body: body})}
	if err := r.handler.Serve(l.x); err != nil {
		u.t.Fatal(err)
	}
	return l
}

// reads pulls until so much was said.
func (l *live) reads(want string) {
	l.t.Helper()
	for !strings.Contains(l.b.String(), want) {
		ev, err := l.x.Reply.Stream.Next()
		if err != nil {
			l.t.Fatalf("after %q: %v", l.b.String(), err)
		}
		l.b.Write(ev.Data)
	}
}

// ends pulls to the end.
func (l *live) ends() error {
	for {
		ev, err := l.x.Reply.Stream.Next()
		if err != nil {
			_ = l.x.Reply.Stream.Close()
			return err
		}
		l.b.Write(ev.Data)
	}
}

// Who comes late to another node gets what has passed and then follows, also when the first has left.
func TestFleetFollows(t *testing.T) {
	u := newUnion(t, 2, nil)
	u.provider.says = func(int, *chat.Request) *chat.Reply { return text("one two three four five six seven eight") }
	gate := gated(u.provider)
	body := chatBody("Count?", `"stream":true`)
	first := u.begin(u.nodes[0], body)
	pass(gate, 2)
	first.reads("one")
	second := u.begin(u.nodes[1], body)
	second.reads("one")
	pass(gate, 2)
	first.reads("three")
	second.reads("three")
	if u.provider.called() != 1 {
		t.Errorf("%d calls", u.provider.called())
	}
	first.x.Cancel(gateway.ErrGone)
	left := make(chan struct{})
	go func() { defer close(left); _ = first.x.Reply.Stream.Close() }()
	close(gate)
	if err := second.ends(); !errors.Is(err, io.EOF) || !strings.Contains(second.b.String(), "eight") {
		t.Errorf("%v: %s", err, second.b.String())
	}
	<-left
	u.nodes[1].expect(ask{body: chatBody("Count?")}, "exact: one two three four five six seven eight")
	if u.provider.called() != 1 {
		t.Errorf("%d calls", u.provider.called())
	}
}

// When nobody follows any more, a leader whose client has left is cancelled, at whatever node the last follower was.
func TestFleetLeaves(t *testing.T) {
	u := newUnion(t, 2, nil)
	u.provider.says = func(int, *chat.Request) *chat.Reply { return text("one two three") }
	gate := gated(u.provider)
	body := chatBody("Stay?", `"stream":true`)
	first := u.begin(u.nodes[0], body)
	pass(gate, 2)
	first.reads("one")
	second := u.begin(u.nodes[1], body)
	second.reads("one")
	first.x.Cancel(gateway.ErrGone)
	if err := first.x.Err(); err != nil {
		t.Fatalf("somebody follows, and it is %v", err)
	}
	_ = second.x.Reply.Stream.Close()
	servers.Await(t, "the leader is cancelled", func(context.Context) error {
		if first.x.Err() == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	_ = first.ends()
}

// The leader fails: one of those who wait at another node leads.
func TestFleetFails(t *testing.T) {
	u := newUnion(t, 2, nil)
	failing := make(chan struct{})
	u.provider.waits = func(_ *gateway.Exchange, call int) error {
		if call == 1 {
			<-failing
			return &gateway.Error{Status: 500, Code: "broken"}
		}
		return nil
	}
	q := ask{body: chatBody("Well?")}
	var work sync.WaitGroup
	work.Go(func() { u.nodes[0].expect(q, "broken") })
	u.calls(1)
	var second *one
	work.Go(func() { second = u.nodes[1].crowd(0, q)[0] })
	u.followed(u.nodes[0])
	close(failing)
	work.Wait()
	if second.told != "miss: answer 2" {
		t.Error(second.told)
	}
}

// calls waits until the provider was called so often.
func (u *union) calls(n int) {
	u.t.Helper()
	servers.Await(u.t, "the provider is called", func(context.Context) error {
		if got := u.provider.called(); got != n {
			return fmt.Errorf("%d calls", got)
		}
		return nil
	})
}

// followed waits until somebody elsewhere follows a node.
func (u *union) followed(r *rig) {
	u.t.Helper()
	servers.Await(u.t, "the other node follows", func(context.Context) error {
		if r.value("sluice_cache_followed") == 0 {
			return errors.New("nobody does")
		}
		return nil
	})
}

// A node that is cut off while it leads: who has been told nothing asks again, and who was told something is told that it broke off.
func TestFleetLeaderIsLost(t *testing.T) {
	u := newUnion(t, 1, nil)
	cut := servers.StartProxy(t, u.redis.Addr())
	leader := u.join(cut.Addr())
	u.meet()
	u.provider.says = func(call int, _ *chat.Request) *chat.Reply { return text(fmt.Sprint("one two three of ", call)) }
	gate := gated(u.provider)
	whole, stream := ask{body: chatBody("Whole?")}, chatBody("Stream?", `"stream":true`)
	hold := make(chan struct{})
	u.provider.waits = func(x *gateway.Exchange, call int) error {
		if call == 2 {
			<-hold
		}
		return nil
	}
	first := u.begin(leader, stream)
	pass(gate, 2)
	first.reads("one")
	var work sync.WaitGroup
	work.Go(func() { leader.serve(whole) })
	u.calls(2)
	follower := u.nodes[0]
	second := u.begin(follower, stream)
	second.reads("one")
	var waiting *one
	work.Go(func() { waiting = follower.crowd(0, whole)[0] })
	servers.Await(t, "both are followed", func(context.Context) error {
		if leader.value("sluice_cache_followed") != 2 {
			return errors.New("not yet")
		}
		return nil
	})
	cut.Part()
	if err := second.ends(); err == nil || errors.Is(err, io.EOF) || gateway.AsError(err).Code != "stream_interrupted" {
		t.Errorf("%v", err)
	}
	u.calls(3)
	close(hold)
	cut.Heal()
	close(gate)
	work.Wait()
	if waiting.told != "miss: one two three of 3" {
		t.Error(waiting.told)
	}
	_ = first.ends()
}

// cached asks for what is in the cache alone.
func cached(question string) ask {
	return ask{body: chatBody(question), header: []string{"Cache-Control", "only-if-cached"}}
}

// A purge reaches all nodes within a second, and what Redis holds.
func TestFleetPurge(t *testing.T) {
	u := newUnion(t, 2, nil)
	now := time.Now()
	f := func(name string, w gateway.CachePurge, header ...string) {
		t.Helper()
		now = now.Add(time.Minute) // what is told within a second of a purge may be purged, too: clocks differ
		for _, r := range u.nodes {
			r.host.SetNow(now)
		}
		q := ask{body: chatBody("Purge " + name + "?"), header: header}
		was := strings.TrimPrefix(u.nodes[0].serve(q), "miss: ")
		u.nodes[1].gives(q, was)
		u.nodes[1].expect(ask{body: q.body, tenant: &gateway.Tenant{ID: "bolt"}}, fmt.Sprint("miss: answer ", u.provider.called()+1))
		began := time.Now()
		if w.ID == "x" {
			w.ID = u.idOf(u.nodes[1], q)
		}
		if n := u.nodes[1].plugin.Purge(w); n == 0 {
			t.Errorf("%s: nothing was purged", name)
		}
		servers.Await(t, "the first node has purged it", func(context.Context) error {
			if got := u.nodes[0].serve(cached("Purge " + name + "?")); got != "not_cached" {
				return errors.New(got)
			}
			return nil
		})
		if d := time.Since(began); d > time.Second {
			t.Errorf("%s: after %s", name, d)
		}
		late := u.join(u.redis.Addr()) // which was not there when it was said
		late.host.SetNow(now)
		now = now.Add(time.Minute)
		for _, r := range u.nodes {
			r.host.SetNow(now)
		}
		u.meet()
		late.expect(cached("Purge "+name+"?"), "not_cached")
		late.expect(ask{body: q.body, tenant: &gateway.Tenant{ID: "bolt"}}, u.nodes[1].serve(ask{body: q.body, tenant: &gateway.Tenant{ID: "bolt"}}))
		u.nodes = u.nodes[:2]
	}
	f("tag", gateway.CachePurge{Tenant: "acme", Tag: "red"}, "x-sluice-cache-tags", "red")
	f("entry", gateway.CachePurge{Tenant: "acme", ID: "x"})
	f("model", gateway.CachePurge{Tenant: "acme", Model: "m"})
	f("all", gateway.CachePurge{Tenant: "acme"})
}

// idOf is the id of the answer that a node gives.
func (u *union) idOf(r *rig, q ask) string {
	u.t.Helper()
	x := r.exchange(q)
	got := gatewaytest.Serve(x, r.handler)
	for _, f := range got.Reply.Header {
		if f.Name == "x-sluice-cache-id" {
			return f.Value
		}
	}
	u.t.Fatalf("no id: %+v", got)
	return ""
}

// A question in other words is answered by a node that was told neither, soon after; also by one that comes later.
func TestFleetSemantic(t *testing.T) {
	u := newUnion(t, 2, func(c *cache.Config) { c.Semantic.Mode, c.Semantic.MaxWrong = "verified", 0.05 })
	u.provider.says = func(int, *chat.Request) *chat.Reply { return text("Paris") }
	const first, second = "What is the capital of France?", "hi, what's the capital of France please"
	var took []time.Duration
	for _, country := range []string{"France", "Spain", "Italy", "Norway", "Japan", "Kenya", "Peru", "Chile", "Greece"} {
		said := func(q string) string { return strings.ReplaceAll(q, "France", country) }
		u.nodes[0].expect(ask{body: chatBody(said(first))}, "miss: Paris")
		began := time.Now()
		servers.Await(t, "the other node has learnt it", func(context.Context) error {
			if got := u.nodes[1].serve(cached(said(second))); got != "semantic: Paris" {
				return errors.New(got)
			}
			return nil
		})
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if d := took[len(took)/2]; d > time.Second/2 { // what is not told of the log's growth reads it each second
		t.Errorf("after %s: %v", d, took)
	}
	u.nodes[1].expect(ask{body: chatBody(second), tenant: &gateway.Tenant{ID: "bolt"}}, "miss: Paris")
	late := u.join(u.redis.Addr())
	servers.Await(t, "a new node has learnt it", func(context.Context) error {
		if got := late.serve(cached(second)); got != "semantic: Paris" {
			return errors.New(got)
		}
		return nil
	})
	// Somebody says that it is wrong: nobody is told it again.
	x := late.exchange(ask{body: chatBody(second)})
	gatewaytest.Serve(x, late.handler)
	if !late.plugin.Reject("acme", x.ID) {
		t.Error("it is not known")
	}
	servers.Await(t, "all nodes hear of it", func(context.Context) error {
		for _, r := range u.nodes {
			if got := r.serve(cached(second)); got != "not_cached" {
				return errors.New(got)
			}
		}
		return nil
	})
}

// Redis hangs, dies, and comes back: no request fails or waits, and what was learnt meanwhile is caught up on.
func TestFleetOutages(t *testing.T) {
	f := func(name string, fault, mend func(*servers.Redis)) {
		t.Run(name, func(t *testing.T) {
			u := newUnionOf(t, 2, nil)
			fault(u.redis)
			began := time.Now()
			for i := range 100 {
				for k, r := range u.nodes {
					if got := r.serve(ask{body: chatBody(fmt.Sprint("Away ", i, "?"))}); !strings.HasPrefix(got, "miss: answer ") {
						t.Errorf("node %d: %s", k, got)
					}
				}
			}
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("200 requests took %s", d)
			}
			mend(u.redis)
			u.meet()
			for i := range 100 {
				q := ask{body: chatBody(fmt.Sprint("Away ", i, "?"))}
				if a, b := u.nodes[0].serve(q), u.nodes[1].serve(q); !strings.HasPrefix(a, "exact: ") || !strings.HasPrefix(b, "exact: ") {
					t.Errorf("%s; %s", a, b)
				}
			}
			third := u.join(u.redis.Addr())
			u.meet()
			for i := range 100 {
				servers.Await(t, "it is caught up on", func(context.Context) error {
					if got := third.serve(cached(fmt.Sprint("Away ", i, "?"))); !strings.HasPrefix(got, "exact: ") {
						return errors.New(got)
					}
					return nil
				})
			}
		})
	}
	f("paused", func(r *servers.Redis) { r.Pause() }, func(r *servers.Redis) { r.Resume() })
	f("killed", func(r *servers.Redis) { r.Kill() }, func(r *servers.Redis) { r.RestartEmpty() })
}

// Redis goes away for a moment while a stream is followed from another node: nobody notices.
func TestFleetStreamsOutliveRedis(t *testing.T) {
	u := newUnion(t, 2, nil)
	u.provider.says = func(int, *chat.Request) *chat.Reply { return text("one two three four five six seven eight") }
	gate := gated(u.provider)
	body := chatBody("Count?", `"stream":true`)
	first := u.begin(u.nodes[0], body)
	pass(gate, 2)
	first.reads("one")
	second := u.begin(u.nodes[1], body)
	second.reads("one")
	u.redis.Kill()
	close(gate)
	if err := first.ends(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	u.redis.RestartEmpty()
	if err := second.ends(); !errors.Is(err, io.EOF) || !strings.Contains(second.b.String(), "eight") {
		t.Errorf("%v: %s", err, second.b.String())
	}
	if u.provider.called() != 1 {
		t.Errorf("%d calls", u.provider.called())
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
