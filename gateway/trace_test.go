package gateway_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParseTraceparent(t *testing.T) {
	f := func(header string, ok, sampled bool) {
		t.Helper()
		got, is := gateway.ParseTraceparent([]byte(header))
		if is != ok || got.Sampled != sampled || got.IsZero() == ok || got.Parent.IsZero() == ok || !got.Span.IsZero() {
			t.Errorf("%q: %v %+v", header, is, got)
		}
	}
	f(parent, true, true)
	f(strings.TrimSuffix(parent, "1")+"0", true, false)
	f(strings.TrimSuffix(parent, "01")+"03", true, true) // flags that are not known count for nothing
	f("01"+parent[2:], true, true)
	f("01"+parent[2:]+"-and more", true, true)
	f("01"+parent[2:]+"and more", false, false)
	f(parent+"-and more", false, false)
	f("ff"+parent[2:], false, false)
	f("0x"+parent[2:], false, false)
	f("", false, false)
	f(parent[:54], false, false)
	f(strings.ToUpper(parent), false, false)
	f("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false)
	f("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false)
	f(strings.Replace(parent, "-00f", "_00f", 1), false, false)
	f(strings.Replace(parent, "b7-01", "b7-0g", 1), false, false)
}

// TestTraceparent looks at what a provider is told.
func TestTraceparent(t *testing.T) {
	x := gatewaytest.New(t, gatewaytest.Request{})
	target := &gateway.Target{Provider: "p"}
	if got := x.AppendTraceparent(nil, x.Attempting(target)); got != nil {
		t.Errorf("without a trace: %s", got)
	}
	x.Trace, _ = gateway.ParseTraceparent([]byte(parent))
	if got := string(x.AppendTraceparent(nil, x.Attempting(target))); got != parent {
		t.Errorf("without spans of the gateway's own: %s", got)
	}
	x.Trace = gateway.NewTrace()
	one, two := x.Attempting(target), x.Attempting(target)
	first, second := string(x.AppendTraceparent(nil, one)), string(x.AppendTraceparent(nil, two))
	if first[:36] != second[:36] || first == second || !strings.HasSuffix(first, "-00") {
		t.Errorf("two attempts: %s and %s", first, second)
	}
	again, ok := gateway.ParseTraceparent([]byte(first))
	if !ok || again.ID != x.Trace.ID || again.Parent != one.Span {
		t.Errorf("%v %+v", ok, again)
	}
	x.Trace.Sampled = true
	f := x.Fork()
	defer f.Close()
	if got := string(f.AppendTraceparent(nil, one)); got != strings.TrimSuffix(first, "0")+"1" {
		t.Errorf("a fork of a sampled exchange: %s", got)
	}
}

func TestNewTrace(t *testing.T) {
	seen := map[gateway.SpanID]bool{}
	for range 1000 {
		n := gateway.NewTrace()
		if n.IsZero() || n.Span.IsZero() || n.Sampled || !n.Parent.IsZero() || seen[n.Span] {
			t.Fatalf("%+v", n)
		}
		seen[n.Span] = true
	}
}

func FuzzParseTraceparent(f *testing.F) {
	f.Add([]byte(parent))
	f.Add([]byte("01" + parent[2:] + "-x"))
	f.Add([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"))
	f.Fuzz(func(t *testing.T, header []byte) {
		got, ok := gateway.ParseTraceparent(header)
		if !ok {
			if got != (gateway.Trace{}) {
				t.Errorf("%q is none, but %+v", header, got)
			}
			return
		}
		x := gateway.Exchange{Trace: got}
		told := string(x.AppendTraceparent(nil, &gateway.Attempt{}))
		if told[2:53] != string(header[2:53]) {
			t.Errorf("%q is passed on as %s", header, told)
		}
	})
}
