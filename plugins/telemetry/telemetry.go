// Package telemetry tells what happened: Prometheus metrics and one structured log line for each exchange, and spans of some,
// all of it made at its end from fields that exist by then. It stands first in the chain, so it sees every exchange and all of its time.
//
// No prompt and no answer gets into a label or a line, and into a span only those of tenants who have asked for it. A provider's own words about an error are left out as well,
// because they may quote the prompt.
package telemetry

import (
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
)

// Config are the plugin's settings.
type Config struct {
	// MaxTenants is how many tenants get time series of their own; the others are counted together as "other".
	MaxTenants int `yaml:"max_tenants" jsonschema:"minimum=1"`
	// NativeHistograms makes the histograms finer, for a Prometheus that asks for native ones; others get the buckets as before.
	NativeHistograms bool `yaml:"native_histograms"`
	// Traces are the spans of exchanges.
	Traces Traces `yaml:"traces"`
}

// Validate implements what the configuration looks for.
func (c *Config) Validate() error {
	if c.MaxTenants < 1 {
		return &config.FieldError{Field: "max_tenants", Message: "max_tenants must be at least 1"}
	}
	return c.Traces.check()
}

// Lent is what the plugin has of the process.
type Lent struct {
	Version string          // of the program
	Closing *sync.WaitGroup // of what goes on for some seconds after the plugin was closed; nil: closing it waits
}

// Spec describes the plugin "telemetry". By default 1000 tenants have their own series: with a few models each that is
// what one Prometheus server takes in without effort. Ten seconds until the first token are slow.
func Spec(l Lent) gateway.Spec {
	defaults := Config{MaxTenants: 1000, Traces: Traces{Protocol: "http", Sample: 0.1, FollowCallers: true, Slow: 10 * time.Second}}
	return gateway.Define("telemetry", defaults, func(h gateway.Host, c Config) (gateway.Plugin, error) {
		m := newMetrics(c.MaxTenants, c.NativeHistograms)
		for _, collector := range m.collectors() {
			if err := h.Metrics().Register(collector); err != nil {
				return nil, fmt.Errorf("telemetry: %w", err)
			}
		}
		t, err := newTracer(&c.Traces, l.Version, h.Log(), h.Metrics())
		if err != nil {
			return nil, err
		}
		return &Plugin{metrics: m, recent: newRecent(), log: h.Log(), tracer: t, closing: l.Closing}, nil
	})
}

// Plugin records exchanges.
type Plugin struct {
	metrics *metrics
	recent  *recent
	log     *zap.Logger
	tracer  *tracer         // nil: no spans are made
	closing *sync.WaitGroup // see Lent
}

var (
	_ gateway.Plugin = (*Plugin)(nil)
	_ gateway.Recent = (*Plugin)(nil)
	_ io.Closer      = (*Plugin)(nil)
)

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		r := p.begin(x)
		p.metrics.exchanges.Inc()
		x.OnEnd(r.end)
		err := r.serve(next)
		r.returned, r.failed = true, err
		if err == nil && x.Reply != nil && x.Reply.Kind == gateway.Events {
			r.streaming = true
			p.metrics.streams.Inc()
		}
		return err
	})
}

// begin is the record of an exchange that has just come. Where spans may be made of it, there is room for its steps.
func (p *Plugin) begin(x *gateway.Exchange) *record {
	p.tracer.begin(x)
	kept := p.recent.wants(x.Start)
	if p.tracer == nil && !kept {
		return &record{p: p, x: x}
	}
	r := &stepped{record: record{p: p, x: x, kept: kept}}
	x.Steps = r.steps[:0]
	return &r.record
}

// stepped is a record with room for the steps of its exchange.
type stepped struct {
	record
	steps [mostSteps]gateway.Step
}

// Close implements io.Closer: the last spans are sent. Who closes a plugin may be an exchange that was the last to use it, which
// need not wait for a collector.
func (p *Plugin) Close() error {
	switch {
	case p.tracer == nil:
	case p.closing == nil:
		p.tracer.close()
	default:
		p.closing.Go(p.tracer.close)
	}
	return nil
}
