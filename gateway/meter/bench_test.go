package meter_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func newMeters(tb testing.TB, o meter.Options) *meter.Meters {
	tb.Helper()
	if o.Pool == nil {
		o.Pool = meter.NewLocal()
	}
	if o.Node == "" {
		o.Node = "a"
	}
	m := meter.New(o)
	tb.Cleanup(func() { m.Close(tb.Context()) })
	return m
}

var fourScopes = []tenant.Scope{{}, {Kind: tenant.OfKey, Name: "ci"}, {Kind: tenant.OfUser, Name: "ann"}, {Kind: tenant.OfModel, Name: "gpt-4.1"}}

func asks(l tenant.Limits) []meter.Ask {
	all := make([]meter.Ask, len(fourScopes))
	for i, s := range fourScopes {
		all[i] = meter.Ask{Scope: s, Limits: l}
	}
	return all
}

func budgets(mode tenant.Mode, amount tenant.USD) []tenant.Budget {
	all := make([]tenant.Budget, len(fourScopes))
	for i, s := range fourScopes {
		all[i] = tenant.Budget{Scope: s, Per: tenant.Month, Mode: mode, Amount: amount, WarnAt: []int{5000, 8000}}
	}
	return all
}

// What an exchange pays for limits of requests, tokens and places in four scopes.
func BenchmarkAdmitSettle(b *testing.B) {
	f := func(name string, parallel bool) {
		b.Run(name, func(b *testing.B) {
			t := newMeters(b, meter.Options{}).Tenant("acme")
			all := asks(tenant.Limits{Requests: 1e12, Tokens: 1e15, Concurrent: 1e6})
			ctx := b.Context()
			one := func(h *meter.Hold) {
				if r, ok := t.Admit(ctx, h, 500, all); !ok {
					b.Errorf("refused: %+v", r)
				}
				h.Settle(430)
			}
			b.ReportAllocs()
			if parallel {
				b.RunParallel(func(pb *testing.PB) {
					h := new(meter.Hold)
					for pb.Next() {
						one(h)
					}
				})
				return
			}
			h := new(meter.Hold)
			for b.Loop() {
				one(h)
			}
		})
	}
	f("alone", false)
	f("parallel", true)
}

// What an attempt pays for budgets of four scopes.
func BenchmarkReserveSettle(b *testing.B) {
	t := newMeters(b, meter.Options{}).Tenant("acme")
	all := budgets(tenant.Strict, tenant.MostUSD)
	ctx := b.Context()
	p := new(meter.Purse)
	t.Purse(p, all)
	b.ReportAllocs()
	for b.Loop() {
		if r, ok := p.Reserve(ctx, 1000); !ok {
			b.Fatalf("refused: %+v", r)
		}
		p.Settle(1000, 1)
	}
}

func BenchmarkPurse(b *testing.B) {
	t := newMeters(b, meter.Options{}).Tenant("acme")
	all := budgets(tenant.Strict, tenant.MostUSD)
	p := new(meter.Purse)
	b.ReportAllocs()
	for b.Loop() {
		t.Purse(p, all)
	}
}

func BenchmarkTenant(b *testing.B) {
	m := newMeters(b, meter.Options{})
	b.ReportAllocs()
	for b.Loop() {
		m.Tenant("acme")
	}
}

// What it costs to be refused, which asks the pool.
func BenchmarkRefused(b *testing.B) {
	t := newMeters(b, meter.Options{Wait: time.Second}).Tenant("acme")
	all := asks(tenant.Limits{Requests: 1})
	ctx := b.Context()
	h := new(meter.Hold)
	b.ReportAllocs()
	for b.Loop() {
		t.Admit(ctx, h, 0, all)
	}
}

func BenchmarkDrawLocal(b *testing.B) {
	l := meter.NewLocal()
	ctx := b.Context()
	r := &meter.Request{Tenant: "acme", Node: "a", Boot: 1, Lines: make([]meter.Line, 4)}
	for i := range r.Lines {
		r.Lines[i] = meter.Line{Account: meter.Account{Scope: fourScopes[i]}, Limit: 1000}
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Seq++
		if _, err := l.Draw(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}
