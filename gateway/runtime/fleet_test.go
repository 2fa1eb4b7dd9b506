package runtime_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
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
