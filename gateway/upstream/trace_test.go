package upstream_test

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// TestTraceContext looks at what a provider is told of the trace: of the caller's state as it came, of baggage nothing.
func TestTraceContext(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	f := func(state string, own bool, want string) {
		t.Helper()
		server := newFake(t, nil, say(whole("200 OK", `{}`)))
		x := exchange(t, `{"model":"m"}`, headers{"Traceparent": parent, "Tracestate": state, "Baggage": "user=secret"})
		if want != "" {
			x.Trace, _ = gateway.ParseTraceparent([]byte(parent))
		}
		if own {
			x.Trace.Span = gateway.NewSpanID()
		}
		a := attempt(t, provider(t, server.url()), x, "m").a
		head := server.seen()[0].head
		var got []string
		for _, line := range regexp.MustCompile(`(?i)(trace|baggage)[^\r]*`).FindAllString(head, -1) {
			got = append(got, strings.ReplaceAll(line, hex.EncodeToString(a.Span[:]), "(span)"))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nwant\n%s\nin\n%s", strings.Join(got, "\n"), want, head)
		}
	}
	f("a=1,b=2", false, "Traceparent: "+parent+"\nTracestate: a=1,b=2")
	f("a=1,b=2", true, "Traceparent: "+strings.Replace(parent, "00f067aa0ba902b7", "(span)", 1)+"\nTracestate: a=1,b=2")
	f("", true, "Traceparent: "+strings.Replace(parent, "00f067aa0ba902b7", "(span)", 1))
	f("a=1\x00", false, "Traceparent: "+parent)
	f(strings.Repeat("a", 513), false, "Traceparent: "+parent)
	f("a=1", false, "")
}
