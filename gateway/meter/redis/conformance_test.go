package redis_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/meter/metertest"
)

func TestConformance(t *testing.T) {
	metertest.Run(t, func(t *testing.T) metertest.Fleet {
		r := longUp(t)
		return fleet(t, at(r), func() { r.Do("FLUSHALL") })
	})
}

func TestConformanceOfCluster(t *testing.T) {
	t.Parallel()
	c := servers.StartCluster(t, 3, false)
	flush := func() {
		for _, r := range c.Masters {
			r.Do("FLUSHALL")
		}
	}
	// Of the cases those that have to do with where keys are. One after the other: they have the same tenants.
	cases := metertest.Cases()
	for _, name := range []string{
		"all or nothing", "windows and periods apart", "tenants apart", "a memory that is lost", "a new process", "leases", "nodes", "as Local does",
	} {
		t.Run(name, func(t *testing.T) {
			flush()
			cases[name](t, fleet(t, "redis+cluster://"+strings.Join(c.Addrs(), ","), flush))
		})
	}
}

// fleet is nodes that share what is at a URL. The tenants of the cases are no news there: for those a cluster would have to be
// waited for.
func fleet(t *testing.T, url string, flush func()) metertest.Fleet {
	pools := map[string]meter.Pool{}
	p := open(t, url, "a")
	pools["a"] = p
	for _, draw := range []func(*talk){func(k *talk) { _, _ = k.draw() }, func(k *talk) { k.get() }} { // both at the same time
		draw(newTalk(t, p, "acme", "somebody"))
		draw(newTalk(t, p, "acme:b", "somebody"))
	}
	return metertest.Fleet{Flush: flush, Node: func(name string) meter.Pool {
		if pools[name] == nil {
			pools[name] = open(t, url, name)
		}
		return pools[name]
	}}
}
