//go:build !race

package meter_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// What is decided from what is in hand allocates nothing.
func TestAllocations(t *testing.T) {
	m := newMeters(t, meter.Options{})
	limits, money := asks(tenant.Limits{Requests: 1e9, Tokens: 1e12, Concurrent: 1e6}), budgets(tenant.Strict, tenant.MostUSD)
	h, p, ctx := new(meter.Hold), new(meter.Purse), t.Context()
	f := func(what string, do func()) {
		t.Helper()
		do() // draws
		do()
		if n := testing.AllocsPerRun(200, do); n >= 1 {
			t.Errorf("%s: %.0f allocations", what, n)
		}
	}
	f("Admit, Rates, Settle", func() {
		if r, ok := m.Tenant("acme").Admit(ctx, h, 500, limits); !ok {
			t.Fatalf("%+v", r)
		}
		h.Rates()
		h.Settle(700)
	})
	f("Admit, Undo", func() {
		m.Tenant("acme").Admit(ctx, h, 500, limits)
		h.Undo()
	})
	f("Purse, Reserve, TryReserve, Settle", func() {
		m.Tenant("acme").Purse(p, money)
		if r, ok := p.Reserve(ctx, 1000); !ok {
			t.Fatalf("%+v", r)
		}
		p.TryReserve(500)
		p.Settle(1500, 900)
	})
}
