package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/gatewaytest/servers"
	"github.com/sluice-ai/sluice/gateway/sim"
)

const (
	traceID    = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan = "00f067aa0ba902b7"
)

// A caller asks twice in one trace, for a stream: the first provider fails, the second answers, and then the cache does. A real
// Jaeger shows all of it, over either protocol, and each provider was told of the attempt as its parent.
func TestTrace(t *testing.T) {
	jaeger := servers.StartJaeger(t)
	f := func(protocol, address, id string) {
		t.Helper()
		told := make(chan http.Header, 10)
		broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			told <- q.Header.Clone()
			http.Error(w, `{"error":{"message":"no"}}`, http.StatusServiceUnavailable)
		}))
		defer broken.Close()
		_, up := simulate(t, sim.Options{FirstToken: 20 * time.Millisecond, TokensPerSecond: 1000, Seed: 1})
		s := start(t, gatewayFile("ordered", strings.TrimPrefix(broken.URL, "http://"), up)+"retries: {max: 0}\n"+
			"plugins: {cache: {exact: {ttl: 1h}}, telemetry: {traces: {otlp: \""+address+"\", protocol: "+protocol+", sample: 0}}}\n")
		c := client(t)
		for _, how := range []string{"miss", "exact"} {
			q, err := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(streamed("sim-chat")))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"Authorization": "Bearer " + testKey, "Traceparent": "00-" + id + "-" + callerSpan + "-01", "Tracestate": "a=1", "Baggage": "user=secret",
			} {
				q.Header.Set(name, value)
			}
			if a := do(c, q); !a.good(true) || a.header.Get("X-Sluice-Cache") != how {
				t.Fatalf("%+v", a)
			}
		}
		s.stop() // what is left is sent before the process ends
		spans := jaeger.Trace(t, id, 14)
		const want = `POST /v1/chat/completions server kept=sampled stream (gen_ai.first_token)
  ledger
  auth
  quota
  cache
  routing
  forward
    chat sim-chat client provider=p0 status=503 5xx ERROR
    chat sim-chat client provider=p1 status=200 ok stream (gen_ai.first_token)
POST /v1/chat/completions server kept=sampled stream cache=exact
  ledger
  auth
  quota
  cache
`
		// What begins in the same microsecond comes in the order of the chain.
		chain := slices.Concat(s.Config().Chain, []string{"forward"})
		slices.SortStableFunc(spans, func(a, b servers.JaegerSpan) int {
			return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Index(chain, a.Name)-slices.Index(chain, b.Name))
		})
		if got := waterfall(t, spans, callerSpan, "", nil); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", protocol, got, want)
		}
		head := <-told
		first := spans[slices.IndexFunc(spans, func(s servers.JaegerSpan) bool { return s.Tags["sluice.provider"] == "p0" })]
		if head.Get("Traceparent") != "00-"+id+"-"+first.ID+"-01" || head.Get("Tracestate") != "a=1" || head.Get("Baggage") != "" {
			t.Errorf("%s: the provider is told %v, whose span is %s", protocol, head, first.ID)
		}
		if log := s.logs.String(); strings.Count(log, `"trace_id":"`+id+`"`) != 2 {
			t.Errorf("the log is %s", log)
		}
	}
	f("http", jaeger.HTTP, traceID)
	f("grpc", jaeger.GRPC, "a"+traceID[1:])
}

// waterfall writes the spans below one as lines, and makes sure that they lie within it.
func waterfall(t *testing.T, spans []servers.JaegerSpan, of, indent string, within *servers.JaegerSpan) string {
	t.Helper()
	var b strings.Builder
	for i, s := range spans {
		if s.Parent != of {
			continue
		}
		const rounding = 1 // microsecond
		if within != nil && (s.Start+rounding < within.Start || s.Start+s.Took > within.Start+within.Took+rounding) {
			t.Errorf("%s is not within the span that it is in", s.Name)
		}
		b.WriteString(indent + s.Name)
		if kind := s.Tags["span.kind"]; kind != "internal" {
			fmt.Fprintf(&b, " %v", kind)
		}
		for _, show := range []string{"sluice.kept= kept=", "sluice.provider= provider="} {
			key, as, _ := strings.Cut(show, "= ")
			if v := s.Tags[key]; v != nil {
				fmt.Fprintf(&b, " %s%v", as, v)
			}
		}
		if v := s.Tags["sluice.outcome"]; v != nil {
			fmt.Fprintf(&b, " status=%v %v", s.Tags["http.response.status_code"], v)
		}
		if s.Tags["gen_ai.request.stream"] == true && s.Tags["error"] == nil {
			b.WriteString(" stream")
		}
		if v := s.Tags["sluice.cache"]; v != nil {
			fmt.Fprintf(&b, " cache=%v", v)
		}
		if s.Tags["error"] == true {
			b.WriteString(" ERROR")
		}
		for _, e := range s.Events {
			b.WriteString(" (" + e + ")")
		}
		b.WriteString("\n" + waterfall(t, spans, s.ID, indent+"  ", &spans[i]))
	}
	return b.String()
}

// Traces are turned on and off while the gateway runs: what was not sent yet is, and who asks does not wait for that.
func TestTraceReload(t *testing.T) {
	got := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { got <- q.URL.Path }))
	defer collector.Close()
	_, up := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	file := gatewayFile("ordered", up)
	s := start(t, file)
	defer s.stop()
	c := client(t)
	ask := func() {
		t.Helper()
		if a := s.ask(c, unary("sim-chat")); !a.good(false) {
			t.Fatalf("%+v", a)
		}
	}
	ask()
	s.write("sluice.yaml", file+"plugins: {telemetry: {traces: {otlp: \""+collector.URL+"\", sample: 1}}}\n")
	s.reload()
	ask()
	if len(got) != 0 {
		t.Error("spans are sent one by one")
	}
	s.write("sluice.yaml", file)
	s.reload()
	if path := <-got; path != "/v1/traces" {
		t.Error(path)
	}
	ask()
}

// A real Prometheus scrapes the gateway: its histograms name the traces that were sent, and are native to whoever asks for such.
func TestExemplars(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	_, up := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	s := start(t, gatewayFile("ordered", up)+
		"plugins: {telemetry: {native_histograms: true, traces: {otlp: \""+collector.URL+"\", sample: 0}}}\n")
	defer s.stop()
	c := client(t)
	q, err := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(streamed("sim-chat")))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testKey)
	q.Header.Set("Traceparent", "00-"+traceID+"-"+callerSpan+"-01")
	if a := do(c, q); !a.good(true) {
		t.Fatalf("%+v", a)
	}
	p := servers.StartPrometheus(t, s.AdminAddress().String())
	servers.Await(t, "the exemplar", func(ctx context.Context) error {
		ids, err := p.Exemplars(ctx, "sluice_request_duration_seconds")
		if err != nil || !slices.Contains(ids, traceID) {
			return fmt.Errorf("%v: %w", ids, errors.Join(err, errNotYet))
		}
		return nil
	})
	servers.Await(t, "the native histogram", func(ctx context.Context) error {
		counts, err := p.Query(ctx, "histogram_count(sluice_request_duration_seconds)")
		if err != nil || !slices.Equal(counts, []string{"1"}) {
			return fmt.Errorf("%v: %w", counts, errors.Join(err, errNotYet))
		}
		return nil
	})
}

var errNotYet = errors.New("it is not there yet")
