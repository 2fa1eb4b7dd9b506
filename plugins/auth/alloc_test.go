//go:build !race

package auth_test

import (
	"net/netip"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/auth"
)

func TestAllocs(t *testing.T) {
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), settings())
	reached := false
	next := gateway.HandlerFunc(func(*gateway.Exchange) error { reached = true; return nil })
	f := func(h gateway.Handler, d *gateway.Directory, want float64, pass bool, headers ...string) {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields(headers...), Directory: d})
		x.Client = netip.MustParseAddr("192.0.2.1")
		reached = false
		if got := testing.AllocsPerRun(100, func() { _ = h.Serve(x) }); got != want {
			t.Errorf("%q: %v allocations, want %v", headers, got, want)
		}
		if reached != pass {
			t.Errorf("%q: passed: %v", headers, reached)
		}
	}
	h, d := p.Wrap(next), directory(nil)
	f(h, d, 0, true, "Authorization", "Bearer "+plain)
	f(h, d, 0, true, "Authorization", "Bearer "+peppered)
	f(h, d, 0, true, "X-Api-Key", imported)
	f(h, d, 0, true, "X-Api-Key", old)
	f(h, d, 0, false)

	// Tokens that came before: of an identity provider, and of our own.
	b := newBench(t, nil)
	f(b.plugin.Wrap(next), b.dir, 0, true, "Authorization", "Bearer "+b.rs256(good()))
	k := newDesk(t, auth.Lent{})
	access := k.get("grant_type=client_credentials&scope=o3&client_secret=" + narrowKey).Access
	f(k.plugin.Wrap(next), k.dir, 0, true, "Authorization", "Bearer "+access)

	// Failures, and then refusals without a look, which make an error that says when to come again.
	settings := settings()
	settings.Failures.Burst = 100_000
	patient, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), settings)
	f(patient.Wrap(next), d, 0, false, "Authorization", "Bearer "+nobodys)
	f(patient.Wrap(next), d, 0, false, "Authorization", "Bearer sluice_")
}

func benchmark(b *testing.B, h gateway.Handler, d *gateway.Directory, credential string) {
	b.Helper()
	x := gatewaytest.New(b, gatewaytest.Request{Header: gatewaytest.Fields("Authorization", "Bearer "+credential), Directory: d})
	x.Client = netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		if err := h.Serve(x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuth(b *testing.B) {
	p, _ := gatewaytest.Build(b, auth.Spec(auth.Lent{}), settings())
	benchmark(b, p.Wrap(gateway.HandlerFunc(pass)), directory(nil), peppered)
}

func BenchmarkToken(b *testing.B) {
	e := newBench(b, nil)
	benchmark(b, e.handler, e.dir, e.rs256(good()))
}
