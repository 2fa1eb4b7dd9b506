package ledger_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/plugins/ledger"
)

// attempts is an innermost handler that makes one attempt, without a provider.
func attempts(known *gateway.Target) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		a := x.Attempting(known)
		if err := x.Begin(a); err != nil {
			return err
		}
		a.Status, a.Usage, a.Delivered, a.Total = 200, reported, true, 1
		return nil
	})
}

// exchanges makes one exchange after another with a handler.
func exchanges(tb testing.TB, h gateway.Handler) func() {
	r := gatewaytest.Request{Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}, Key: "ci"}}
	return func() {
		x := gatewaytest.New(tb, r)
		if err := h.Serve(x); err != nil {
			tb.Fatal(err)
		}
		if x.End(nil) != nil {
			tb.Fatal("a panic")
		}
	}
}

func built(tb testing.TB) (p *ledger.Plugin, target *gateway.Target) {
	tb.Helper()
	o := rows.Defaults()
	o.Sync, o.Node, o.Segment = rows.SyncOff, "n1", 64<<20
	j, _, err := rows.Open(tb.TempDir(), o)
	if err != nil {
		tb.Fatal(err)
	}
	h := gatewaytest.NewHost()
	tb.Cleanup(func() {
		h.Close()
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	if p, err = ledger.New(h, j, ledger.Config{Abandoned: ledger.Prompt}); err != nil {
		tb.Fatal(err)
	}
	return p, &gateway.Target{Provider: "p0", Key: "main", Model: "m-1", Known: priced(tb)}
}

// The ledger costs an exchange no allocation.
func TestAllocations(t *testing.T) {
	p, target := built(t)
	without := testing.AllocsPerRun(200, exchanges(t, attempts(target)))
	if with := testing.AllocsPerRun(200, exchanges(t, p.Wrap(attempts(target)))); with > without {
		t.Errorf("%v allocations, %v without the ledger", with, without)
	}
}

func BenchmarkExchange(b *testing.B) {
	p, target := built(b)
	f := func(title string, h gateway.Handler) {
		b.Run(title, func(b *testing.B) {
			b.ReportAllocs()
			run := exchanges(b, h)
			for b.Loop() {
				run()
			}
		})
	}
	f("without", attempts(target))
	f("with", p.Wrap(attempts(target)))
}
