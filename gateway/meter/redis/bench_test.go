package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// What a draw costs with a Redis on the same machine: of a budget alone, and of all that one exchange can be limited by; by one
// node, and by many tenants at once.
func BenchmarkDraw(b *testing.B) {
	scopes := []tenant.Scope{{}, {Kind: tenant.OfKey, Name: "ci"}, {Kind: tenant.OfUser, Name: "ann"}, {Kind: tenant.OfModel, Name: "gpt-4.1"}}
	var all []meter.Line
	for _, s := range scopes {
		for k := meter.Requests; k <= meter.Money; k++ {
			all = append(all, meter.Line{Account: meter.Account{Kind: k, Scope: s}, Limit: 1e12, Want: 1000})
		}
	}
	p := open(b, at(longUp(b)), "a")
	f := func(name string, lines []meter.Line) {
		b.Run(name, func(b *testing.B) {
			k := newTalk(b, p, "acme", "a")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.draw(lines...); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", 64 tenants", func(b *testing.B) {
			tenants := make(chan *talk, 64)
			for i := range cap(tenants) {
				tenants <- newTalk(b, p, tenant.ID(fmt.Sprintf("tenant-%d", i)), "a")
			}
			b.SetParallelism(cap(tenants) / 2)
			b.ReportAllocs()
			began := time.Now()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					k := <-tenants
					if _, err := k.draw(lines...); err != nil {
						b.Error(err)
					}
					tenants <- k
				}
			})
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "draws/s")
		})
	}
	f("budget", all[3:4])
	f("16 accounts", all)
}
