//go:build !race

package routing_test

import (
	"strings"
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

// fields are headers that can be searched in one pass, as the transport's.
type fields struct {
	gatewaytest.Header
	searched int
}

func (f *fields) Begins(prefix string) bool {
	f.searched++
	for name := range f.Header {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Get counts, too.
func (f *fields) Get(name string) []byte {
	f.searched++
	return f.Header.Get(name)
}

// TestAllocsOfChoice bounds what a choice costs, and makes sure that nothing is searched for overrides in vain.
func TestAllocsOfChoice(t *testing.T) {
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	f := func(want float64, searched int, tenant *gateway.Tenant, d *gateway.Directory, endpoint string) {
		t.Helper()
		head := &fields{Header: gatewaytest.Fields("Content-Type", "application/json", "User-Agent", "test")}
		x := gatewaytest.New(t, gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint(endpoint, ""), Directory: d, Caller: gateway.Caller{Tenant: tenant}, Body: `{"model":"m","messages":[],"prompt_cache_key":"k"}`,
		})
		x.Request.Header = head
		if err := h.Serve(x); err != nil { // its allocations are the body's
			t.Fatal(err)
		}
		if head.searched != searched {
			t.Errorf("the headers were searched %d times, want %d", head.searched, searched)
		}
		if got := testing.AllocsPerRun(100, func() {
			if err := h.Serve(x); err != nil {
				t.Error(err)
			}
		}); got != want {
			t.Errorf("%v allocations, want %v", got, want)
		}
	}
	none, all := &gateway.Tenant{}, &gateway.Tenant{Overrides: everything}
	f(0, 0, none, two(gateway.Ordered), "chat.completions")
	f(0, 1, all, two(gateway.Ordered), "chat.completions")
	f(2, 0, none, two(gateway.Weighted), "chat.completions")
	f(2, 0, none, two(gateway.LeastLatency), "chat.completions")
	f(2, 1, all, two(gateway.LeastCost), "chat.completions")
	f(2, 0, none, two(gateway.Weighted, "prompt_cache_key"), "chat.completions")
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
