// Package telemetry tells what happened: Prometheus metrics and one structured log line for each exchange, made at its
// end from fields that exist by then. It stands first in the chain, so it sees every exchange and all of its time.
//
// No prompt and no answer gets into a label or a line. A provider's own words about an error are left out as well,
// because they may quote the prompt.
package telemetry

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
)

// Config are the plugin's settings.
type Config struct {
	// MaxTenants is how many tenants get time series of their own; the others are counted together as "other".
	MaxTenants int `yaml:"max_tenants" jsonschema:"minimum=1"`
}

// Validate implements what the configuration looks for.
func (c *Config) Validate() error {
	if c.MaxTenants < 1 {
		return &config.FieldError{Field: "max_tenants", Message: "max_tenants must be at least 1"}
	}
	return nil
}

// Spec describes the plugin "telemetry". By default 1000 tenants have their own series: with a few models each that is
// what one Prometheus server takes in without effort.
func Spec() gateway.Spec {
	return gateway.Define("telemetry", Config{MaxTenants: 1000}, func(h gateway.Host, c Config) (gateway.Plugin, error) {
		m := newMetrics(c.MaxTenants)
		for _, collector := range m.collectors() {
			if err := h.Metrics().Register(collector); err != nil {
				return nil, fmt.Errorf("telemetry: %w", err)
			}
		}
		return &Plugin{metrics: m, recent: newRecent(), log: h.Log()}, nil
	})
}

// Plugin records exchanges.
type Plugin struct {
	metrics *metrics
	recent  *recent
	log     *zap.Logger
}

var (
	_ gateway.Plugin = (*Plugin)(nil)
	_ gateway.Recent = (*Plugin)(nil)
)

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		r := &record{p: p, x: x, kept: p.recent.wants(x.Start)}
		if r.kept {
			x.Steps = make([]gateway.Step, 0, mostSteps)
		}
		p.metrics.exchanges.Inc()
		x.OnEnd(r.end)
		err := next.Serve(x)
		r.returned, r.failed = true, err
		if err == nil && x.Reply != nil && x.Reply.Kind == gateway.Events {
			r.streaming = true
			p.metrics.streams.Inc()
		}
		return err
	})
}
