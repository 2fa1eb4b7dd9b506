package ledger_test

import (
	"io"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/plugins/ledger"
)

// attempts is an innermost handler that makes one attempt, without a provider, and answers with a stream of so many tokens.
func attempts(known *gateway.Target, tokens int64) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		a := x.Attempting(known)
		if err := x.Begin(a); err != nil {
			return err
		}
		a.Status, a.Usage, a.Delivered, a.Total = 200, reported, true, 1
		x.Reply = &gateway.Reply{Status: 200, Kind: gateway.Events, Stream: &says{a, tokens}}
		return nil
	})
}

// says is a stream of so many tokens.
type says struct {
	a      *gateway.Attempt
	tokens int64
}

func (s *says) Next() (gateway.Event, error) {
	if s.a.Said >= s.tokens {
		return gateway.Event{}, io.EOF
	}
	s.a.Said++
	return gateway.Event{}, nil
}

func (s *says) Ready() bool  { return true }
func (s *says) Close() error { return nil }

// exchanges makes one exchange after another with a handler.
func exchanges(tb testing.TB, h gateway.Handler) func() {
	r := gatewaytest.Request{Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}, Key: "ci"}}
	return func() {
		x := gatewaytest.New(tb, r)
		err := h.Serve(x)
		for err == nil {
			_, err = x.Reply.Stream.Next()
		}
		if err != io.EOF {
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

// The ledger costs an exchange no allocation, nor does a long answer.
func TestAllocations(t *testing.T) {
	p, target := built(t)
	without := testing.AllocsPerRun(200, exchanges(t, attempts(target, 1000)))
	if with := testing.AllocsPerRun(200, exchanges(t, p.Wrap(attempts(target, 1000)))); with > without {
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
	f("without", attempts(target, 0))
	f("with", p.Wrap(attempts(target, 0)))
	f("without/1000", attempts(target, 1000))
	f("with/1000", p.Wrap(attempts(target, 1000)))
}
