package telemetry_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

const (
	callers = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + callers + "-00f067aa0ba902b7-"
)

// collector takes in spans, over HTTP and gRPC.
type collector struct {
	collect.UnimplementedTraceServiceServer
	url, grpc string

	mu       sync.Mutex
	resource map[string]string
	header   string // x-key, of the last request
	spans    []*trace.Span
}

func newCollector(t testing.TB) *collector {
	c := &collector{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		var in collect.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &in); err != nil || q.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", q.URL, err)
		}
		c.take(&in, q.Header.Get("X-Key"))
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collect.RegisterTraceServiceServer(s, c)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // before it had begun
			t.Error(err)
		}
	})
	c.url, c.grpc = web.URL, "http://"+l.Addr().String()
	return c
}

// Export implements collect.TraceServiceServer.
func (c *collector) Export(ctx context.Context, in *collect.ExportTraceServiceRequest) (*collect.ExportTraceServiceResponse, error) {
	m, _ := metadata.FromIncomingContext(ctx)
	c.take(in, strings.Join(m.Get("x-key"), ""))
	return &collect.ExportTraceServiceResponse{}, nil
}

func (c *collector) take(in *collect.ExportTraceServiceRequest, header string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = header
	for _, r := range in.GetResourceSpans() {
		c.resource = attributesOf(r.GetResource().GetAttributes())
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
}

func attributesOf(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[a.GetKey()] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_DoubleValue:
			m[a.GetKey()] = fmt.Sprint(v.DoubleValue)
		case *common.AnyValue_BoolValue:
			m[a.GetKey()] = fmt.Sprint(v.BoolValue)
		}
	}
	return m
}

// tree writes the spans below one as lines, each with the wanted attributes it has, and makes sure that they lie within it.
func (c *collector) tree(t *testing.T, of []byte, indent string, within *trace.Span, attributes ...string) string {
	t.Helper()
	var b strings.Builder
	slices.SortStableFunc(c.spans, func(a, b *trace.Span) int { return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano()) })
	for _, s := range c.spans {
		if !bytes.Equal(s.GetParentSpanId(), of) {
			continue
		}
		if within != nil && (s.GetStartTimeUnixNano() < within.GetStartTimeUnixNano() || s.GetEndTimeUnixNano() > within.GetEndTimeUnixNano()) ||
			s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			t.Errorf("%s is not within the span that it is in", s.GetName())
		}
		b.WriteString(indent + strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")) + " " + s.GetName())
		has := attributesOf(s.GetAttributes())
		for _, key := range attributes {
			if v, ok := has[key]; ok {
				b.WriteString(" " + key[strings.LastIndexByte(key, '.')+1:] + "=" + v)
			}
		}
		if s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR {
			b.WriteString(" ERROR " + s.GetStatus().GetMessage())
		}
		for _, e := range s.GetEvents() {
			b.WriteString(" (" + e.GetName() + ")")
		}
		b.WriteString("\n" + c.tree(t, s.GetSpanId(), indent+"  ", s, attributes...))
	}
	return b.String()
}

// settings are those that send everything to an address.
func settings(address string) *telemetry.Config {
	c := telemetry.Spec(telemetry.Lent{}).Defaults().(*telemetry.Config)
	c.Traces.OTLP, c.Traces.Sample = address, 1
	return c
}

// flush closes the plugin, so that all spans are sent.
func flush(t testing.TB, p gateway.Plugin) {
	t.Helper()
	if err := p.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
}

// TestSpans has a streamed exchange that fails over, in a trace of its caller's.
func TestSpans(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	failed := gateway.Attempt{
		Provider: "first", Kind: "azure", Model: "m", Total: time.Nanosecond,
		Err: &gateway.Error{Status: 502, Code: gateway.CodeTimeout, Origin: gateway.OriginUpstream, Message: "SECRET"},
	}
	answered := ok("second")
	answered.Kind, answered.First, answered.Total, answered.Usage = "anthropic", time.Nanosecond, 0, usage
	f := func(protocol string) {
		t.Helper()
		c := newCollector(t)
		s := settings(c.url)
		s.Traces.Protocol, s.Traces.Headers = protocol, []config.Header{{Name: "x-key", Value: config.NewSecret("k")}}
		if protocol == "grpc" {
			s.Traces.OTLP = c.grpc
		}
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{Version: "1.2.3"}), s)
		inner := gateway.Stepping("forward", &gatewaytest.Script{
			Attempts: []gateway.Attempt{failed, answered}, Kind: gateway.Events, Events: events(3), Usage: usage,
		})
		x := gatewaytest.New(t, gatewaytest.Request{
			Directory: directory(), Caller: acme(), Body: body("gpt-4.1", true), Header: gatewaytest.Fields("traceparent", parent+"01"),
		})
		gatewaytest.Serve(x, p.Wrap(gateway.Stepping("auth", opening(gateway.Stepping("cache", inner)))))
		flush(t, p)
		from, _ := hex.DecodeString("00f067aa0ba902b7")
		const want = `server POST /v1/chat/completions status_code=200 model=gpt-4.1 tenant=acme kept=sampled input_tokens=30 output_tokens=90 (gen_ai.first_token)
  internal auth
  internal cache
  internal forward
    client chat m model=m name=azure.ai.openai outcome=timeout type=timeout ERROR timeout
    client chat m-1 status_code=200 model=m-1 name=anthropic outcome=ok input_tokens=30 output_tokens=90 (gen_ai.first_token)
`
		if got := c.tree(t, from, "", nil, "http.response.status_code", "gen_ai.request.model", "gen_ai.provider.name", "sluice.tenant",
			"sluice.kept", "sluice.outcome", "error.type", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", protocol, got, want)
		}
		for _, s := range c.spans {
			if hex.EncodeToString(s.GetTraceId()) != callers || strings.Contains(s.String(), "SECRET") {
				t.Errorf("%s: %v", protocol, s)
			}
		}
		if r := c.resource; r["service.name"] != "sluice" || r["service.version"] != "1.2.3" || r["deployment.environment.name"] != "test" || c.header != "k" {
			t.Errorf("%s: %v, header %q", protocol, r, c.header)
		}
		if got := h.Logs.TakeAll()[0].ContextMap(); got["trace_id"] != callers {
			t.Error(got)
		}
	}
	f("http")
	f("grpc")
}

// TestKept has exchanges that begin unsampled: those that an operator would look for are sent nevertheless.
func TestKept(t *testing.T) {
	f := func(name, header string, change func(*telemetry.Traces), s *gatewaytest.Script, want string) {
		t.Helper()
		c := newCollector(t)
		all := settings(c.url)
		all.Traces.Sample = 0
		change(&all.Traces)
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), all)
		var told string
		x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme(), Header: gatewaytest.Fields("traceparent", header)})
		gatewaytest.Serve(x, p.Wrap(gateway.HandlerFunc(func(x *gateway.Exchange) error {
			err := s.Serve(x)
			told = string(x.AppendTraceparent(nil, x.Attempts()[0]))
			return err
		})))
		flush(t, p)
		got := ""
		for _, s := range c.spans {
			got += attributesOf(s.GetAttributes())["sluice.kept"]
		}
		if got != want || strings.Contains(line(t, h), "trace_id=") != (want != "" || header != "") || strings.HasSuffix(told, "-01") != (want == "sampled") {
			t.Errorf("%s: kept for %q, not %q; providers are told %s", name, got, want, told)
		}
	}
	no := func(*telemetry.Traces) {}
	fine := &gatewaytest.Script{Attempts: []gateway.Attempt{ok("a")}}
	other := ok("b")
	f("nothing", "", no, fine, "")
	f("a sampled caller", parent+"01", no, fine, "sampled")
	f("a caller who is not", parent+"00", func(c *telemetry.Traces) { c.Sample = 1 }, fine, "")
	f("nobody is followed", parent+"01", func(c *telemetry.Traces) { c.FollowCallers = false }, fine, "")
	f("nobody is followed", parent+"00", func(c *telemetry.Traces) { c.FollowCallers, c.Sample = false, 1 }, fine, "sampled")
	f("an invalid header", "00-"+callers, func(c *telemetry.Traces) { c.Sample = 1 }, fine, "sampled")
	f("a failure", "", no, &gatewaytest.Script{Attempts: []gateway.Attempt{ok("a")}, Status: 502}, "error")
	f("a refusal", "", no, &gatewaytest.Script{Attempts: []gateway.Attempt{ok("a")}, Status: 429}, "")
	f("a failover", "", no, &gatewaytest.Script{Attempts: []gateway.Attempt{ok("a"), other}}, "failover")
	f("a retry", "", no, &gatewaytest.Script{Attempts: []gateway.Attempt{ok("a"), ok("a")}}, "")
	late := ok("a")
	late.First = 10 * time.Second
	f("a slow one", "", no, &gatewaytest.Script{Attempts: []gateway.Attempt{late}}, "slow")
	f("none is slow", "", func(c *telemetry.Traces) { c.Slow = 0 }, &gatewaytest.Script{Attempts: []gateway.Attempt{late}}, "")
}

// TestEnvironment sets what OpenTelemetry's users know.
func TestEnvironment(t *testing.T) {
	f := func(want bool, set func(*telemetry.Traces), pairs ...string) {
		t.Helper()
		t.Run(strings.Join(pairs, " "), func(t *testing.T) {
			c := newCollector(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
			for i := 0; i < len(pairs); i += 2 {
				t.Setenv(pairs[i], strings.ReplaceAll(pairs[i+1], "GRPC", c.grpc))
			}
			s := settings("")
			if set != nil {
				set(&s.Traces)
			}
			p, _ := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), s)
			x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Header: gatewaytest.Fields("traceparent", parent+"01")})
			gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
			flush(t, p)
			if (len(c.spans) > 0) != want {
				t.Errorf("%d spans", len(c.spans))
			}
			if name := c.resource["service.name"]; want && name != cmp.Or(pairs[1:]...) && strings.Contains(pairs[0], "SERVICE") {
				t.Errorf("service %s", name)
			}
		})
	}
	f(true, nil, "OTEL_SERVICE_NAME", "mine")
	f(true, nil, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT", "GRPC")
	f(true, nil, "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	f(false, nil, "OTEL_SDK_DISABLED", "true")
	f(false, nil, "OTEL_TRACES_EXPORTER", "none")
	f(false, func(c *telemetry.Traces) { c.OTLP = "off" }, "OTEL_TRACES_SAMPLER", "always_on")
	f(false, nil, "OTEL_TRACES_SAMPLER", "always_off")
	f(true, nil, "OTEL_TRACES_SAMPLER", "parentbased_always_off")
	f(false, nil, "OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0")
	f(true, nil, "OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1")
	f(true, func(c *telemetry.Traces) { c.OTLP = "http://127.0.0.1:1" }, "OTEL_SERVICE_NAME", "mine")
}

// TestShare draws many traces: as many are sampled as were asked for, and all who see a trace decide alike.
func TestShare(t *testing.T) {
	c := newCollector(t)
	s := settings(c.url)
	s.Traces.Sample = 0.25
	p, _ := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), s)
	const all = 4000
	sampled := 0
	h := p.Wrap(gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if x.Trace.Sampled {
			sampled++
		}
		x.Reply = &gateway.Reply{Status: 200, Stream: gateway.Once(nil)}
		return nil
	}))
	for range all {
		gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory()}), h)
	}
	if sampled < all/5 || sampled > all*3/10 { // five standard deviations are 0.034
		t.Errorf("%d of %d", sampled, all)
	}
}

// TestCollectorIsAway has a collector that hangs, and one that nobody has started: exchanges do not notice, and neither does who
// closes the plugin on behalf of one.
func TestCollectorIsAway(t *testing.T) {
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "100") // milliseconds
	hangs := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	defer web.Close()
	defer close(hangs)
	f := func(address string) {
		t.Helper()
		var closing sync.WaitGroup
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{Closing: &closing}), settings(address))
		handler := p.Wrap(&gatewaytest.Script{})
		for range 5000 { // more than the queue holds
			gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory()}), handler)
		}
		flush(t, p)
		closing.Wait()
		all, err := h.Values()
		if err != nil || all["sluice_spans_total"] != 5000 || all[`sluice_spans_exported_total{result="ok"}`] != 0 ||
			all[`sluice_spans_exported_total{result="failed"}`] == 0 {
			t.Errorf("%v: made %v, sent %v, failed %v", err, all["sluice_spans_total"], all[`sluice_spans_exported_total{result="ok"}`],
				all[`sluice_spans_exported_total{result="failed"}`])
		}
		if n := h.Logs.FilterMessage("spans cannot be sent").Len(); n != 1 {
			t.Errorf("the log says it %d times", n)
		}
	}
	f(web.URL)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f(nobody)
}

// TestExemplars finds the trace beside the time.
func TestExemplars(t *testing.T) {
	f := func(share config.Percent, want int) {
		t.Helper()
		s := settings(newCollector(t).url)
		s.Traces.Sample = share
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), s)
		a := ok("a")
		x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Body: body("gpt-4.1", true)})
		gatewaytest.Serve(x, p.Wrap(opening(&gatewaytest.Script{Attempts: []gateway.Attempt{a}, Kind: gateway.Events})))
		got := exemplars(t, h.Registry)
		if len(got) != want {
			t.Errorf("%v: %v", share, got)
		}
		for name, id := range got {
			if id != hex.EncodeToString(x.Trace.ID[:]) {
				t.Errorf("%s has %s", name, id)
			}
		}
	}
	f(1, 3)
	f(0, 0)
}

// exemplars are the traces that histograms name.
func exemplars(t *testing.T, g prometheus.Gatherer) map[string]string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				if e := b.GetExemplar(); e != nil {
					found[f.GetName()] = e.GetLabel()[0].GetValue()
				}
			}
		}
	}
	return found
}

func TestTracesConfig(t *testing.T) {
	f := func(change func(*telemetry.Traces), want string) {
		t.Helper()
		c := settings("")
		change(&c.Traces)
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	const bad = "traces.otlp: traces.otlp is not the URL of a collector"
	f(func(*telemetry.Traces) {}, "")
	f(func(c *telemetry.Traces) { c.OTLP = "http://otel:4317" }, "")
	f(func(c *telemetry.Traces) { c.OTLP = "https://otel.example/otlp" }, "")
	f(func(c *telemetry.Traces) { c.OTLP = "off" }, "")
	f(func(c *telemetry.Traces) { c.OTLP = "otel:4317" }, bad)
	f(func(c *telemetry.Traces) { c.OTLP = "grpc://otel:4317" }, bad)
	f(func(c *telemetry.Traces) { c.Slow = -1 }, "traces.slow: traces.slow must not be negative")
}

// TestContent has tenants who want what is said in their spans, and who do not.
func TestContent(t *testing.T) {
	const ask = `{"model":"gpt-4.1","stream":true,"messages":[{"role":"user","content":"PROMPT"}]}`
	f := func(wants, stream bool, share config.Percent, s *gatewaytest.Script, want string) {
		t.Helper()
		c := newCollector(t)
		all := settings(c.url)
		all.Traces.Sample = share
		p, _ := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), all)
		e := gatewaytest.Endpoint("chat.completions", "openai")
		x := gatewaytest.New(t, gatewaytest.Request{
			Endpoint: e, Directory: directory(), Body: strings.Replace(ask, "true", fmt.Sprint(stream), 1),
			Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme", TraceContent: wants}},
		})
		gatewaytest.Serve(x, p.Wrap(opening(gateway.HandlerFunc(func(x *gateway.Exchange) error {
			err := s.Serve(x)
			x.Commit()
			return err
		}))))
		flush(t, p)
		var got []string
		for _, s := range c.spans {
			for _, key := range []string{"gen_ai.input.messages", "gen_ai.output.messages"} {
				if v, ok := attributesOf(s.GetAttributes())[key]; ok {
					got = append(got, v)
				}
			}
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
		if x.Request.Body() != nil {
			t.Error("the request's bytes are held beyond its end")
		}
	}
	const prompt = `[{"role":"user","parts":[{"type":"text","content":"PROMPT"}]}]`
	const answer = "\n" + `[{"role":"assistant","parts":[{"type":"text","content":"AN ANSWER"}],"finish_reason":"stop"}]`
	whole := func() *gatewaytest.Script {
		return &gatewaytest.Script{Events: []gateway.Event{{Data: []byte(
			`{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"AN ANSWER"},"finish_reason":"stop"}]}`)}}}
	}
	streamed := func(text ...string) *gatewaytest.Script {
		s := &gatewaytest.Script{Kind: gateway.Events}
		for _, data := range text {
			s.Events = append(s.Events, gateway.Event{Data: []byte(data)})
		}
		return s
	}
	const one, two = `{"id":"x","choices":[{"index":0,"delta":{"content":"AN "}}]}`, `{"id":"x","choices":[{"index":0,"delta":{"content":"ANSWER"},"finish_reason":"stop"}]}`
	f(true, false, 1, whole(), prompt+answer)
	f(true, true, 1, streamed(one, two, "[DONE]"), prompt+answer)
	f(true, true, 1, streamed("nonsense"), prompt)
	f(true, false, 1, &gatewaytest.Script{Err: &gateway.Error{Status: 502}}, prompt)
	f(true, false, 0, &gatewaytest.Script{Err: &gateway.Error{Status: 502}}, "")
	f(true, false, 0, whole(), "")
	f(false, false, 1, whole(), "")
	f(false, true, 1, streamed(one, two, "[DONE]"), "")
	long := strings.Replace(one, "AN ", strings.Repeat("é", 40<<10), 1)
	f(true, true, 1, streamed(long, two), prompt+"\n"+`[{"role":"assistant","parts":[{"type":"text","content":"`+
		strings.Repeat("é", 16<<10)+`…"}],"finish_reason":"stop"}]`)
}
