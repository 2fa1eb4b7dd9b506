package telemetry

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
)

// Traces say which exchanges' spans are sent, and where. OpenTelemetry's own environment variables hold as well, and win where both
// speak: OTEL_EXPORTER_OTLP_…, OTEL_TRACES_SAMPLER and its argument, OTEL_BSP_…, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_EXPORTER=none and OTEL_SDK_DISABLED.
type Traces struct {
	// OTLP is the collector's address, a URL to which http adds /v1/traces. Empty, and OTEL_EXPORTER_OTLP_ENDPOINT too: no spans
	// are made. "off": none whatever the environment says.
	OTLP string `yaml:"otlp,omitempty"`
	// Protocol is what the collector speaks: OTLP as protobuf over HTTP, or over gRPC.
	Protocol string `yaml:"protocol" jsonschema:"enum=http,enum=grpc"`
	// Headers are sent to the collector.
	Headers []config.Header `yaml:"headers,omitempty"`
	// Sample is the share of traces that begin here whose spans are sent. Exchanges that failed by the gateway's or a provider's
	// fault, failed over or were slow are sent whether or not they are among them.
	Sample config.Percent `yaml:"sample"`
	// FollowCallers has a caller decide for its own trace, if it says in the header traceparent that it is in one.
	FollowCallers bool `yaml:"follow_callers"`
	// Slow is how late the first token, or a reply that does not stream, makes an exchange slow. 0: none is.
	Slow time.Duration `yaml:"slow"`
}

// off is what an address says instead.
const off = "off"

// check finds what is wrong with the settings.
func (c *Traces) check() error {
	if c.Slow < 0 {
		return &config.FieldError{Field: "traces.slow", Message: "traces.slow must not be negative"}
	}
	if c.OTLP == "" || c.OTLP == off {
		return nil
	}
	u, err := url.Parse(c.OTLP)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &config.FieldError{
			Field: "traces.otlp", Message: "traces.otlp is not the URL of a collector",
			Hint: "write http://host:4318, or http://host:4317 with protocol grpc; https with TLS",
		}
	}
	return nil
}

// environment is the value of the first variable that is set.
func environment(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return v
		}
	}
	return ""
}

// endpoint is the environment's collector.
func endpoint() string {
	return environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
}

// enabled says whether spans are made.
func (c *Traces) enabled() bool {
	if c.OTLP == off || strings.EqualFold(environment("OTEL_SDK_DISABLED"), "true") || environment("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return c.OTLP != "" || endpoint() != ""
}

// sampler is the share of traces that are sampled, and whether callers decide about theirs.
func (c *Traces) sampler() (share float64, follow bool) {
	name := strings.ToLower(environment("OTEL_TRACES_SAMPLER"))
	kind, based := strings.CutPrefix(name, "parentbased_")
	switch kind {
	case "":
		return float64(c.Sample), c.FollowCallers
	case "always_off":
		return 0, based
	case "traceidratio":
		if n, err := strconv.ParseFloat(environment("OTEL_TRACES_SAMPLER_ARG"), 64); err == nil && n >= 0 && n <= 1 {
			return n, based
		}
	}
	return 1, based
}

// exporter makes what sends spans. It does not connect yet.
func (c *Traces) exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	headers := map[string]string{}
	for _, h := range c.Headers {
		headers[h.Name] = h.Value.Reveal()
	}
	own := c.OTLP != "" && endpoint() == ""
	if cmp.Or(environment("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"), c.Protocol) == "grpc" {
		var o []otlptracegrpc.Option
		if own {
			o = append(o, otlptracegrpc.WithEndpointURL(c.OTLP))
		}
		if len(headers) > 0 {
			o = append(o, otlptracegrpc.WithHeaders(headers))
		}
		return otlptracegrpc.New(ctx, o...)
	}
	var o []otlptracehttp.Option
	if own {
		o = append(o, otlptracehttp.WithEndpointURL(strings.TrimSuffix(c.OTLP, "/")+"/v1/traces"))
	}
	if len(headers) > 0 {
		o = append(o, otlptracehttp.WithHeaders(headers))
	}
	return otlptracehttp.New(ctx, o...)
}

// tracer decides which exchanges' spans are sent, and sends them: in batches, behind a queue of bounded length that never waits.
type tracer struct {
	spans    sdk.SpanProcessor
	resource *resource.Resource
	made     prometheus.Counter
	bound    uint64 // ids below it are sampled
	follow   bool
	slow     time.Duration
}

// newTracer makes a tracer; nil if no spans are to be made.
func newTracer(c *Traces, version string, log *zap.Logger, metrics prometheus.Registerer) (*tracer, error) {
	if !c.enabled() {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	ctx := context.Background() //nolint:forbidigo // nothing of what follows waits
	r, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String(serviceName, "sluice"), attribute.String(serviceVersion, version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: the resource of traces: %w", err)
	}
	to, err := c.exporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("telemetry: traces.otlp: %w", err)
	}
	share, follow := c.sampler()
	t := &tracer{
		resource: r, follow: follow, slow: c.Slow, bound: uint64(share * (1 << 63)),
		made: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_spans_total", Help: "Spans that were made to be sent."}),
	}
	w := &watched{SpanExporter: to, log: log, spans: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_spans_exported_total",
		Help: `Spans by what came of sending them, "ok" or "failed". What is missing of sluice_spans_total waits, or found the queue full.`,
	}, []string{"result"})}
	for _, m := range []prometheus.Collector{t.made, w.spans} {
		if err := metrics.Register(m); err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
	}
	t.spans = sdk.NewBatchSpanProcessor(w)
	return t, nil
}

// flushTime bounds sending what is left at the end.
const flushTime = 5 * time.Second

// close sends what is left.
func (t *tracer) close() {
	ctx, stop := context.WithTimeout(context.Background(), flushTime) //nolint:forbidigo // the plugin's own work has ended
	defer stop()
	_ = t.spans.Shutdown(ctx) // what failed was logged
}

// begin places an exchange that has just come in a trace, and decides whether it is sampled. No tracer passes on the caller's.
func (t *tracer) begin(x *gateway.Exchange) {
	caller, ok := gateway.ParseTraceparent(x.Request.Header.Get("Traceparent"))
	if t == nil {
		x.Trace = caller
		return
	}
	x.Trace = gateway.NewTrace()
	if ok {
		x.Trace.ID, x.Trace.Parent = caller.ID, caller.Parent
	}
	if ok && t.follow {
		x.Trace.Sampled = caller.Sampled
		return
	}
	// As OpenTelemetry's TraceIDRatioBased, so that all who see the trace decide alike.
	x.Trace.Sampled = binary.BigEndian.Uint64(x.Trace.ID[8:])>>1 < t.bound
}

// Why the spans of an exchange are sent.
const (
	keptSampled  = "sampled"
	keptError    = "error"
	keptFailover = "failover"
	keptSlow     = "slow"
)

// keeps says why the spans of an exchange that has ended are sent; "" if they are not.
func (t *tracer) keeps(r *record) string {
	switch {
	case t == nil:
		return ""
	case r.x.Trace.Sampled:
		return keptSampled
	case r.warns():
		return keptError
	case r.failovers() > 0:
		return keptFailover
	case t.slow > 0 && cmp.Or(r.first, r.total) >= t.slow:
		return keptSlow
	}
	return ""
}

// watched counts what becomes of spans, and says in the log, not too often, why some could not be sent.
type watched struct {
	sdk.SpanExporter
	log   *zap.Logger
	spans *prometheus.CounterVec
	next  atomic.Int64 // when it may be said again, a gateway.Instant; 0: at once
}

const quiet = time.Minute // between two words about spans that could not be sent

// ExportSpans implements sdk.SpanExporter. It keeps errors to itself: the SDK would write them to standard error.
func (w *watched) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		w.spans.WithLabelValues("ok").Add(float64(len(spans)))
		return nil
	}
	w.spans.WithLabelValues("failed").Add(float64(len(spans)))
	now := gateway.Now()
	if next := w.next.Load(); (next == 0 || int64(now) >= next) && w.next.CompareAndSwap(next, int64(now.Add(quiet))) {
		w.log.Warn("spans cannot be sent", zap.String("reason", clean(err.Error(), mostError)))
	}
	return nil
}
