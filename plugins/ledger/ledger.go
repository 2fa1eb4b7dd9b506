// Package ledger writes down what every attempt costs and whom: a row before it is made and one when it has ended, in the
// journal, from where they go to the store. What cannot be written down is not done.
//
// It stands before quota in the chain, so that a row has what was reserved, and sees what has been decided: what is paid for
// is worked out in package gateway.
package ledger

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
)

// What callers pay who leave before the first event.
const (
	Prompt = "prompt" // the prompt: the provider was at work on it
	Free   = "free"
)

// Config are the plugin's settings.
type Config struct {
	// Abandoned is what a caller pays who leaves before the first event of the answer: the prompt, by an estimate (prompt), or
	// nothing (free).
	Abandoned string `yaml:"abandoned" jsonschema:"enum=prompt,enum=free"`
}

// Validate implements what the configuration looks for.
func (c *Config) Validate() error {
	if c.Abandoned != Prompt && c.Abandoned != Free {
		return &config.FieldError{Field: "abandoned", Message: fmt.Sprintf("%q is neither %s nor %s", c.Abandoned, Prompt, Free)}
	}
	return nil
}

// Spec describes the plugin "ledger". The journal outlives it; whoever only asks for the settings gives nil.
func Spec(j *rows.Journal) gateway.Spec {
	return gateway.Define("ledger", Config{Abandoned: Prompt}, func(h gateway.Host, c Config) (gateway.Plugin, error) {
		if j == nil {
			return nil, errors.New("ledger: there is no journal to write to: it is opened at the start, if ledger is in the chain")
		}
		return New(h, j, c)
	})
}

// Plugin writes rows.
type Plugin struct {
	journal *rows.Journal
	lenient bool
	metrics *metrics
	log     *zap.Logger
}

var _ gateway.Plugin = (*Plugin)(nil)

// New makes the plugin, with the journal that it writes to.
func New(h gateway.Host, j *rows.Journal, c Config) (*Plugin, error) {
	m := newMetrics()
	for _, collector := range []prometheus.Collector{m.rows, m.refused, m.unrecorded} {
		if err := h.Metrics().Register(collector); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
	}
	return &Plugin{journal: j, lenient: c.Abandoned == Free, metrics: m, log: h.Log()}, nil
}

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	w := &witness{Plugin: p}
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		x.Lenient = p.lenient
		x.Watch(w)
		if err := next.Serve(x); err != nil {
			return err
		}
		if x.Reply.Kind == gateway.Events && !x.Request.Endpoint.Free {
			x.Listen(w)
		}
		return nil
	})
}
