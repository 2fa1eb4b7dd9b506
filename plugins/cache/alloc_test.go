package cache_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
)

// asks makes one exchange after another.
func asks(tb testing.TB, r *rig, h gateway.Handler, body string) func() {
	endpoint := gatewaytest.Endpoint("chat.completions", "")
	request := gatewaytest.Request{
		Endpoint: endpoint, Body: body, Directory: r.directory, Caller: gateway.Caller{Tenant: r.tenant, Key: "ci"},
		Header: gatewaytest.Fields("Content-Type", "application/json"),
	}
	return func() {
		x := gatewaytest.New(tb, request)
		if err := h.Serve(x); err != nil {
			tb.Fatal(err)
		}
		for {
			if _, err := x.Reply.Stream.Next(); err != nil {
				break
			}
		}
		if x.Reply.Stream.Close() != nil || x.End(nil) != nil {
			tb.Fatal("it did not end well")
		}
	}
}

// opened is a handler that answers without a cache.
func opened() gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Reply = &gateway.Reply{Status: 200, Stream: gateway.Once([]byte("hi"))}
		x.Commit()
		return nil
	})
}

// An exact hit allocates the reply, and nothing else.
func TestAllocations(t *testing.T) {
	r := newRig(t, nil)
	for _, body := range []string{chatBody("What is love?"), chatBody("What is love?", `"stream":true`)} {
		hit := asks(t, r, r.handler, body)
		hit()
		hit() // another form than that of the first is rendered once
		without := testing.AllocsPerRun(200, asks(t, r, opened(), body))
		if with := testing.AllocsPerRun(200, hit); with > without {
			t.Errorf("%s: %v allocations, %v where a reply of one piece is made", body, with, without)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	r := newRig(b, nil)
	f := func(title, body string, h gateway.Handler) {
		b.Run(title, func(b *testing.B) {
			b.ReportAllocs()
			run := asks(b, r, h, body)
			run()
			for b.Loop() {
				run()
			}
		})
	}
	body := chatBody("What is love?")
	f("without", body, opened())
	f("whole", body, r.handler)
	f("stream", chatBody("What is love?", `"stream":true`), r.handler)
	f("miss", chatBody("What is love?", `"n":1`), gateway.HandlerFunc(func(x *gateway.Exchange) error {
		r.plugin.Purge(gateway.CachePurge{Tenant: "acme"})
		return r.handler.Serve(x)
	}))
	f("provider", body, r.provider)
}
