//go:build !race

package auth_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/auth"
)

func TestAllocs(t *testing.T) {
	p, _ := gatewaytest.Build(t, auth.Spec(), settings())
	reached := false
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { reached = true; return nil }))
	f := func(want float64, pass bool, headers ...string) {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields(headers...), Directory: directory(nil)})
		reached = false
		if got := testing.AllocsPerRun(100, func() { _ = h.Serve(x) }); got != want {
			t.Errorf("%q: %v allocations, want %v", headers, got, want)
		}
		if reached != pass {
			t.Errorf("%q: passed: %v", headers, reached)
		}
	}
	f(0, true, "Authorization", "Bearer "+plain)
	f(0, true, "Authorization", "Bearer "+peppered)
	f(0, true, "X-Api-Key", imported)
	f(0, true, "X-Api-Key", old)
	f(0, false, "Authorization", "Bearer "+nobodys)
	f(0, false, "Authorization", "Bearer sluice_")
	f(0, false)
}

func BenchmarkAuth(b *testing.B) {
	p, _ := gatewaytest.Build(b, auth.Spec(), settings())
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	x := gatewaytest.New(b, gatewaytest.Request{Header: gatewaytest.Fields("Authorization", "Bearer "+peppered), Directory: directory(nil)})
	b.ReportAllocs()
	for b.Loop() {
		if err := h.Serve(x); err != nil {
			b.Fatal(err)
		}
	}
}
