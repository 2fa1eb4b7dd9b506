package runtime_test

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

// fleetOf are runtimes of several nodes with one Redis, that know of each other.
func fleetOf(t *testing.T, nodes ...string) ([]*runtime.Runtime, *servers.Redis) {
	t.Helper()
	server := servers.StartRedis(t)
	var all []*runtime.Runtime
	var pools []*redis.Pool
	for _, node := range nodes {
		pool, err := redis.Open(redis.Servers{Addresses: []string{server.Addr()}}, redis.Options{Node: node})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pool.Close() })
		r := runtime.New(runtime.Options{Plugins: []gateway.Spec{(&life{}).spec()}, Log: nop(), Fleet: pool})
		t.Cleanup(func() { _ = r.Close() })
		all, pools = append(all, r), append(pools, pool)
	}
	for _, pool := range pools {
		until(t, "the nodes know each other", func() bool { return pool.Nodes() == len(nodes) })
	}
	return all, server
}

// shared is a provider that is probed in a fleet. Of its keys one is probed by a path.
func shared(p *probed, probe config.Probe, every time.Duration) *config.Config {
	c := file(p, probe)
	c.Providers[0].Keys = c.Providers[0].Keys[:1]
	c.Providers[0].Health.Probe.Every = every
	c.Providers[0].Health.OpenFor, c.Providers[0].Health.MaxOpen = time.Hour, time.Hour
	return c
}

// Three nodes ask no more than one would, and all of them learn what one has found out.
func TestProbesAreShared(t *testing.T) {
	const every = 200 * time.Millisecond
	p := newProbed(t)
	nodes, _ := fleetOf(t, "a", "b", "c")
	for _, r := range nodes {
		apply(t, r, shared(p, config.Probe{Path: "/health"}, every))
	}
	p.more(t, "1 /health")
	began, before := time.Now(), p.count("1 /health")
	until(t, "some time has passed", func() bool { return p.count("1 /health") >= before+15 })
	if took := time.Since(began); took < 15*every*4/5*9/10 {
		t.Errorf("15 probes of three nodes in %v, though there is to be one each %v", took, every)
	}
	p.status.Store(500)
	for _, r := range nodes {
		until(t, "each node knows that it is ill", is(r, id("a", "m"), health.Open))
	}
	p.status.Store(200)
	for _, r := range nodes {
		until(t, "each node tries it at once", func() bool {
			return r.Targets().Find(id("a", "m")).Wait(gateway.Now()) == 0
		})
	}
}

// If Redis is away, each node asks for itself.
func TestProbesWithoutTheFleet(t *testing.T) {
	p := newProbed(t)
	nodes, server := fleetOf(t, "a", "b")
	for _, r := range nodes {
		apply(t, r, shared(p, config.Probe{Model: "m"}, 50*time.Millisecond))
	}
	p.more(t, "1 /v1/chat/completions")
	server.Kill()
	p.status.Store(500)
	for _, r := range nodes {
		until(t, "each node knows that it is ill", is(r, id("a", "m"), health.Open))
	}
}

// board is a fleet of two in which notes are as old as a test wants them to be.
type board struct {
	mine  bool // all leases are for who asks
	mu    sync.Mutex
	text  string
	left  time.Duration
	reads int // 0: the note stays the same, else each read finds another that says so
}

func (b *board) Nodes() int { return 2 }

func (b *board) Lease(context.Context, string, time.Duration) (bool, error) { return b.mine, nil }

func (b *board) Note(_ context.Context, _, text string, keep time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text, b.left = text, keep
	return nil
}

func (b *board) Read(context.Context, string) (string, time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reads > 0 {
		b.reads++
		return strings.Replace(b.text, `"ID":"`, `"ID":"`+strconv.Itoa(b.reads), 1), b.left, nil
	}
	return b.text, b.left, nil
}

func (b *board) noted() bool {
	text, _, _ := b.Read(context.Background(), "")
	return text != ""
}

// node is a runtime with a fleet, and what it is configured with.
func node(t *testing.T, f runtime.Fleet, c *config.Config) *runtime.Runtime {
	t.Helper()
	r := runtime.New(runtime.Options{Plugins: []gateway.Spec{(&life{}).spec()}, Log: nop(), Fleet: f})
	t.Cleanup(func() { _ = r.Close() })
	apply(t, r, c)
	return r
}

// found is the note of a node that has probed, as it is when it will be forgotten so soon.
func found(t *testing.T, c *config.Config, left time.Duration) *board {
	t.Helper()
	b := &board{mine: true}
	r := node(t, b, c)
	until(t, "there is a note", b.noted)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	b.left = left
	return b
}

// What was found out before a target opened is no trial, by however much the clocks of nodes differ.
func TestSharedProbesFromBefore(t *testing.T) {
	const every, path = 200 * time.Millisecond, "1 /v1/chat/completions"
	p := newProbed(t)
	old := found(t, shared(p, config.Probe{Model: "m"}, every), 1)
	p.status.Store(500)
	fleet := &board{mine: true}
	c := shared(p, config.Probe{Model: "m"}, every)
	c.Providers[0].Health.Consecutive = 1
	c.Providers[0].Health.OpenFor, c.Providers[0].Health.MaxOpen = 40*time.Millisecond, 40*time.Millisecond
	r := node(t, fleet, c)
	until(t, "it opens", is(r, id("a", "m"), health.Open))
	fleet.mu.Lock()
	fleet.text, fleet.left, fleet.reads = old.text, old.left, 1
	fleet.mu.Unlock()
	before := p.count(path)
	until(t, "it is tried", func() bool { return p.count(path) > before })
	if !is(r, id("a", "m"), health.Open)() {
		t.Error("it is well by what was so before it failed")
	}
}

// That one node cannot reach a provider takes it out at no other.
func TestSharedProbesOfWhoIsCutOff(t *testing.T) {
	p := newProbed(t)
	nobody := newProbed(t)
	nobody.Close()
	const every = 50 * time.Millisecond
	for _, probe := range []config.Probe{{Model: "m"}, {Path: "/health"}} {
		path := "1 " + cmp.Or(probe.Path, "/v1/chat/completions")
		cutOff := found(t, shared(nobody, probe, every), every)
		cutOff.mine = false // it keeps all leases
		c := shared(p, probe, every)
		c.Providers[0].Health.Consecutive = 1
		r := node(t, cutOff, c)
		until(t, "the other asks for itself", func() bool { return p.count(path) > 0 })
		if got := r.Targets().Find(id("a", "m")).State(clock.Now()); got != health.Healthy {
			t.Errorf("it is %v", got)
		}
	}
}

// A cool-down does not begin again when others hear of it.
func TestSharedProbesOfACoolDown(t *testing.T) {
	p := newProbed(t)
	p.status.Store(429)
	hour := "3600"
	p.after.Store(&hour)
	const every = 50 * time.Millisecond
	limited := found(t, shared(p, config.Probe{Model: "m"}, every), every-4*time.Second)
	limited.mine = false
	r := node(t, limited, shared(p, config.Probe{Model: "m"}, every))
	until(t, "the other hears of it", func() bool { return r.Targets().Find(id("a", "m")).Wait(clock.Now()) > 0 })
	if wait := r.Targets().Find(id("a", "m")).Wait(clock.Now()); wait > time.Hour-3*time.Second {
		t.Errorf("it is left alone for another %v", wait)
	}
}
