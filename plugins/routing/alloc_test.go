//go:build !race

package routing_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/routing"
)

func TestAllocs(t *testing.T) {
	s := newShop()
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	f := func(want float64, tenant *gateway.Tenant, model string) {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{Directory: s.Directory, Caller: gateway.Caller{Tenant: tenant}, Body: body(model)})
		if err := x.Request.Open(); err != nil { // its allocations are the body's
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() {
			if err := h.Serve(x); err != nil {
				t.Error(err)
			}
		}); got != want {
			t.Errorf("%s for %s: %v allocations, want %v", model, tenant.ID, got, want)
		}
	}
	f(0, s.all, "gpt-4.1-mini")
	f(0, s.some, "fast")
	f(0, s.some, "claude-x")
}

func BenchmarkPlan(b *testing.B) {
	s := newShop()
	p, _ := gatewaytest.Build(b, routing.Spec(), nil)
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	for _, model := range []string{"fast", "gpt-4.1"} {
		b.Run(model, func(b *testing.B) {
			x := gatewaytest.New(b, gatewaytest.Request{Directory: s.Directory, Caller: gateway.Caller{Tenant: s.all}, Body: body(model)})
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Serve(x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
