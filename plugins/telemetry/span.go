package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/gateway"
)

// span is a finished span. It is made when the exchange has ended, from times that were noted anyway: the SDK's own spans would
// have to be begun before anybody knows whether they are kept.
type span struct {
	sdk.ReadOnlySpan // nil: for its unexported method; all others are below

	of              *resource.Resource
	name            string
	kind            trace.SpanKind
	context, parent trace.SpanContext
	start, end      time.Time
	attributes      attributes
	events          []sdk.Event
	status          sdk.Status
	children        int
}

// Name implements sdk.ReadOnlySpan.
func (s *span) Name() string { return s.name }

// SpanContext implements sdk.ReadOnlySpan.
func (s *span) SpanContext() trace.SpanContext { return s.context }

// Parent implements sdk.ReadOnlySpan.
func (s *span) Parent() trace.SpanContext { return s.parent }

// SpanKind implements sdk.ReadOnlySpan.
func (s *span) SpanKind() trace.SpanKind { return s.kind }

// StartTime implements sdk.ReadOnlySpan.
func (s *span) StartTime() time.Time { return s.start }

// EndTime implements sdk.ReadOnlySpan.
func (s *span) EndTime() time.Time { return s.end }

// Attributes implements sdk.ReadOnlySpan.
func (s *span) Attributes() []attribute.KeyValue { return s.attributes }

// Links implements sdk.ReadOnlySpan.
func (s *span) Links() []sdk.Link { return nil }

// Events implements sdk.ReadOnlySpan.
func (s *span) Events() []sdk.Event { return s.events }

// Status implements sdk.ReadOnlySpan.
func (s *span) Status() sdk.Status { return s.status }

// InstrumentationScope implements sdk.ReadOnlySpan.
func (s *span) InstrumentationScope() instrumentation.Scope {
	return instrumentation.Scope{Name: scope}
}

// InstrumentationLibrary implements sdk.ReadOnlySpan.
//
//nolint:staticcheck // the interface still has it
func (s *span) InstrumentationLibrary() instrumentation.Library { return s.InstrumentationScope() }

// Resource implements sdk.ReadOnlySpan.
func (s *span) Resource() *resource.Resource { return s.of }

// DroppedAttributes implements sdk.ReadOnlySpan.
func (s *span) DroppedAttributes() int { return 0 }

// DroppedLinks implements sdk.ReadOnlySpan.
func (s *span) DroppedLinks() int { return 0 }

// DroppedEvents implements sdk.ReadOnlySpan.
func (s *span) DroppedEvents() int { return 0 }

// ChildSpanCount implements sdk.ReadOnlySpan.
func (s *span) ChildSpanCount() int { return s.children }

const scope = "github.com/sluice-ai/sluice"

// attributes are a span's.
type attributes []attribute.KeyValue

func (a *attributes) text(key, value string) {
	if value != "" {
		*a = append(*a, attribute.String(key, clean(value, mostName)))
	}
}

func (a *attributes) number(key string, n int64) { *a = append(*a, attribute.Int64(key, n)) }

func (a *attributes) some(key string, n int64) {
	if n > 0 {
		a.number(key, n)
	}
}

func (a *attributes) seconds(key string, d time.Duration) {
	if d > 0 {
		*a = append(*a, attribute.Float64(key, d.Seconds()))
	}
}

func (a *attributes) flag(key string, is bool) {
	if is {
		*a = append(*a, attribute.Bool(key, true))
	}
}

// send makes the spans of an exchange that has ended: one of its own, and in it one for each plugin that it came to, until it came
// to the next; in the forwarder's, which lasts to the end, one for each attempt.
func (t *tracer) send(r *record) {
	x := r.x
	end := x.Start.Add(r.total)
	all := make([]span, 1+len(x.Steps)+len(x.Attempts()))
	own, steps, attempts := &all[0], all[1:1+len(x.Steps)], all[1+len(x.Steps):]
	t.exchange(own, r, end)
	for i, step := range x.Steps {
		until := end
		if i+1 < len(x.Steps) {
			until = x.Steps[i+1].Start
		}
		t.child(&steps[i], own, gateway.NewSpanID(), step.Name)
		steps[i].during(step.Start, until)
	}
	for i, a := range x.Attempts() {
		parent := own
		for k, step := range x.Steps {
			if step.Start <= a.Start {
				parent = &steps[k]
			}
		}
		t.attempt(&attempts[i], r, a, parent, end)
	}
	t.made.Add(float64(len(all)))
	for i := range all {
		t.spans.OnEnd(&all[i])
	}
}

// child makes s a span within another.
func (t *tracer) child(s, of *span, id gateway.SpanID, name string) {
	of.children++
	*s = span{of: t.resource, name: name, kind: trace.SpanKindInternal, context: of.context.WithSpanID(trace.SpanID(id)), parent: of.context}
}

// during says when it was.
func (s *span) during(start, end gateway.Instant) {
	s.start, s.end = start.Time(), max(start, end).Time()
}

// exchange makes s the span of an exchange.
func (t *tracer) exchange(s *span, r *record, end gateway.Instant) {
	x := r.x
	e := x.Request.Endpoint
	c := trace.SpanContextConfig{TraceID: x.Trace.ID, SpanID: trace.SpanID(x.Trace.Span), TraceFlags: trace.FlagsSampled}
	*s = span{
		of: t.resource, name: e.Method + " " + e.Path, kind: trace.SpanKindServer, start: x.Start.Time(), end: end.Time(),
		context: trace.NewSpanContext(c), attributes: make(attributes, 0, 20),
	}
	if p := x.Trace.Parent; !p.IsZero() {
		c.SpanID, c.Remote = trace.SpanID(p), true
		s.parent = trace.NewSpanContext(c)
	}
	a := &s.attributes
	a.text(requestID, x.ID)
	a.text(keptFor, r.traced)
	a.text(httpMethod, e.Method)
	a.text(httpRoute, e.Path)
	a.number(httpStatus, int64(r.status))
	a.text(genAIOperation, operation(e.Name))
	a.text(genAIRequestModel, x.Request.Model())
	a.flag(genAIRequestStream, x.Request.Stream())
	a.text(tenantID, string(tenantOf(x)))
	a.text(keyName, x.Caller.Key)
	if x.Replay != nil {
		a.text(cacheHow, x.Replay.How.String())
	}
	a.number(attempted, int64(len(x.Attempts())))
	a.usage(&x.Usage)
	if c := x.Cost(); len(x.Attempts()) > 0 && c.Known {
		*a = append(*a, attribute.Float64(costUSD, usd(c)))
	}
	if r.err != nil {
		a.text(errorType, r.err.Code)
	}
	if r.said != nil {
		*a = append(*a, r.said.attributes()...)
	}
	if r.warns() {
		s.status = sdk.Status{Code: codes.Error}
	}
	if r.streaming {
		s.first(x.Start, r.first)
	}
}

// first adds the event of the first token, if there was one.
func (s *span) first(start gateway.Instant, after time.Duration) {
	if after > 0 {
		s.events = []sdk.Event{{Name: firstToken, Time: start.Add(after).Time()}}
	}
}

// attempt makes s the span of an attempt.
func (t *tracer) attempt(s *span, r *record, a *gateway.Attempt, parent *span, end gateway.Instant) {
	if a.Total > 0 {
		end = a.Start.Add(a.Total)
	}
	does := operation(r.x.Request.Endpoint.Name)
	t.child(s, parent, a.Span, does+" "+clean(a.Model, mostName))
	s.during(a.Start, end)
	s.kind, s.attributes = trace.SpanKindClient, make(attributes, 0, 16)
	outcome := r.outcome(a)
	to := &s.attributes
	to.text(genAIOperation, does)
	to.text(genAIProvider, providerName(a.Kind))
	to.text(genAIRequestModel, a.Model)
	to.flag(genAIRequestStream, r.x.Request.Stream())
	to.text(provider, a.Provider)
	to.text(keyName, a.Key)
	to.some(httpStatus, int64(a.Status))
	to.text(outcomeOf, outcome)
	to.text(upstreamID, a.RequestID)
	to.seconds(waited, a.Waited)
	to.flag(resent, a.Resent)
	to.flag(hedged, a.Hedged)
	to.usage(&a.Usage)
	if a.Cost.Known {
		*to = append(*to, attribute.Float64(costUSD, usd(a.Cost)))
	}
	if outcome != "ok" && outcome != "lost" {
		to.text(errorType, outcome)
		s.status = sdk.Status{Code: codes.Error, Description: a.Why()}
	}
	if r.x.Request.Stream() && a.Status < 300 {
		to.seconds(genAIFirstChunk, a.First)
		s.first(a.Start, a.First)
	}
}
