package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
)

// plugin is a built plugin with its share of the outside world. Generations share it as long as its settings do not
// change.
type plugin struct {
	shared
	gateway.Plugin
	name     string
	config   any
	registry *prometheus.Registry // its own, so that old and new can overlap during a reload
	log      *zap.Logger
	runtime  *Runtime
	ctx      context.Context //nolint:containedctx // the life of the plugin's background work
	stop     context.CancelFunc
	work     sync.WaitGroup
}

var _ gateway.Host = (*plugin)(nil)

// Wrap implements gateway.Plugin.
func (p *plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.Stepping(p.name, p.Plugin.Wrap(next))
}

// Log implements gateway.Host.
func (p *plugin) Log() *zap.Logger { return p.log }

// Metrics implements gateway.Host.
func (p *plugin) Metrics() prometheus.Registerer { return p.registry }

// Now implements gateway.Host.
func (p *plugin) Now() time.Time { return time.Now() }

// Go implements gateway.Host.
func (p *plugin) Go(work func(context.Context)) {
	p.work.Go(func() { work(p.ctx) })
}

// carryPlugin carries the old generation's over, or builds a new one.
func (r *Runtime) carryPlugin(name string, c *config.Config, old *Generation) (*plugin, error) {
	settings := c.Plugins[name]
	if old != nil {
		for _, p := range old.plugins {
			if p.name == name && same(p.config, settings) {
				p.retain()
				return p, nil
			}
		}
	}
	for _, spec := range r.o.Plugins {
		if spec.Name == name {
			return r.buildPlugin(spec, settings)
		}
	}
	return nil, errors.New("there is no plugin of that name")
}

func (r *Runtime) buildPlugin(spec gateway.Spec, settings any) (*plugin, error) {
	if settings == nil {
		settings = spec.Defaults()
	}
	p := &plugin{name: spec.Name, config: settings, registry: prometheus.NewRegistry(), log: r.o.Log.Named(spec.Name), runtime: r}
	p.users = 1
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.closer = p.close
	built, err := spec.Build(p, settings)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.Plugin = built
	return p, nil
}

// close stops the background work, waits for it and closes the plugin.
func (p *plugin) close() error {
	p.stop()
	p.work.Wait()
	if c, ok := p.Plugin.(io.Closer); ok {
		if err := c.Close(); err != nil {
			return fmt.Errorf("plugin %s: %w", p.name, err)
		}
	}
	return nil
}
