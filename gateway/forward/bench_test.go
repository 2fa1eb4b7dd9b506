package forward_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/forward"
)

// BenchmarkServe is what forward adds to an attempt that answers at once: with what is known of the target, and without.
func BenchmarkServe(b *testing.B) {
	reply := &gateway.Reply{Status: 200, Stream: gateway.Once(nil)}
	f := newFleet(sender(func(_ *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
		a.Status, a.First = 200, 1000
		return reply, nil
	}))
	h := forward.New(options())
	run := func(name string) {
		b.Run(name, func(b *testing.B) {
			x := f.exchange()
			b.ReportAllocs()
			for b.Loop() {
				x.Init("req_test", chatEndpoint, header{}, nil)
				x.Plan.Targets = f.targets
				if err := h.Serve(x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f.targets[0].Limiter = admission.New(admission.Settings{})
	run("known")
	f.targets[0].Limiter, f.targets[0].Health = nil, nil
	run("unknown")
}
