package routing_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// two is a directory with a model "m" of two targets, of which something is known.
func two(strategy gateway.Strategy, affinity ...string) *gateway.Directory {
	registry := health.New(health.Options{})
	step := func(name string, rate int64) []*gateway.Target {
		known := &catalog.Model{Context: 1 << 20, Tariffs: []catalog.Tariff{{}}}
		known.Tariffs[0].Rates[catalog.Input] = catalog.Rate{Picodollars: rate, Known: true}
		known.Tariffs[0].Rates[catalog.Output] = catalog.Rate{Picodollars: rate, Known: true}
		return []*gateway.Target{{
			Provider: name, Model: "m", Weight: 1, Known: known, Health: registry.Target(health.ID{Provider: name, Model: "m"}, health.Settings{}),
		}}
	}
	return gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{{
		Name: "m", Strategy: strategy, Affinity: affinity, Steps: [][]*gateway.Target{step("one", 2), step("two", 1)},
	}}})
}

func BenchmarkStrategies(b *testing.B) {
	p, _ := gatewaytest.Build(b, routing.Spec(), nil)
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	f := func(name string, d *gateway.Directory) {
		b.Run(name, func(b *testing.B) {
			x := gatewaytest.New(b, gatewaytest.Request{
				Endpoint: gatewaytest.Endpoint("chat.completions", ""), Directory: d, Caller: gateway.Caller{Tenant: &gateway.Tenant{}},
				Body: `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":7,"prompt_cache_key":"k"}`,
			})
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Serve(x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, s := range []gateway.Strategy{gateway.Ordered, gateway.Weighted, gateway.LeastLatency, gateway.LeastCost} {
		f(s.String(), two(s))
	}
	f("affinity", two(gateway.Weighted, "prompt_cache_key"))
}
