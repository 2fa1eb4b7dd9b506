// Package runtime turns a configuration into an immutable generation (plugins, providers, directory), swaps it in
// atomically under live traffic, and lets the old one drain. What did not change between two configurations is carried
// over with its state: connections stay open, and plugins keep their counters.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/watch"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// Options are what every generation shares.
type Options struct {
	Plugins    []gateway.Spec
	Log        *zap.Logger
	UserAgent  string             // sent to providers
	Changed    func(health.Event) // told of each change of a target, one after another; it must not block; nil: nobody
	MaxReplies int64              // bytes of all providers' replies held at once; 0: no bound
	Fleet      Fleet              // of the nodes that share probes; nil: this one is alone
}

// Runtime holds the present generation.
type Runtime struct {
	o        Options
	watch    *watch.Watcher // of idle upstream connections; nil: they are probed before use
	budget   *upstream.Budget
	standing *standing
	visible  *visible
	probing  *probing
	registry *prometheus.Registry
	stored   *upstream.Stored
	asking   context.Context //nolint:containedctx // the life of the exchanges that plugins make
	stopAsks context.CancelFunc
	current  atomic.Pointer[Generation]
	mu       sync.Mutex // one Apply at a time
	number   int
}

var (
	_ serve.Generations   = (*Runtime)(nil)
	_ prometheus.Gatherer = (*Runtime)(nil)
)

// New makes a runtime without a generation: Apply must succeed before the first Acquire.
func New(o Options) *Runtime {
	r := &Runtime{
		o: o, budget: upstream.NewBudget(o.MaxReplies), stored: upstream.NewStored(0, 0), registry: prometheus.NewRegistry(),
	}
	r.asking, r.stopAsks = context.WithCancel(context.Background())
	r.standing = newStanding(r.changed)
	r.visible = newVisible(r.standing)
	r.probing = newProbing(r, r.visible)
	r.registry.MustRegister(r.visible)
	w, err := watch.New()
	if err != nil {
		o.Log.Info("idle provider connections are probed before use", zap.Error(err))
		return r
	}
	r.watch = w
	return r
}

// Apply builds a generation from a validated configuration, completely, and swaps it in. If anything fails, the
// present generation stays and the error says why.
func (r *Runtime) Apply(c *config.Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.current.Load()
	g, err := r.build(c, old)
	if err != nil {
		return err
	}
	r.stored.Limit(int64(c.Responses.Memory), c.Responses.Keep)
	r.number++
	g.number = r.number
	r.current.Store(g)
	before := r.standing.labels()
	g.standing.commit()
	g.standing = nil
	r.visible.applied(g.offered, before, r.standing.labels())
	if old != nil {
		old.retire()
	}
	r.probing.apply(c, g)
	return nil
}

// Acquire gives the present generation, which will not be closed before it is released.
func (r *Runtime) Acquire() serve.Generation {
	for {
		g := r.current.Load()
		if g.acquire() {
			return g
		}
		// It was retired and drained between the two steps: the next load gives its successor.
	}
}

// Close retires the present generation and waits until it has drained. Nothing may be acquired any more.
func (r *Runtime) Close() (err error) {
	r.stopAsks()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probing.close()
	if g := r.current.Load(); g != nil {
		g.retire()
		<-g.drained
		err = g.closeErr
	}
	if r.watch != nil {
		err = errors.Join(err, r.watch.Close())
	}
	return err
}

// Number counts the generations: how often a configuration was applied.
func (r *Runtime) Number() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.number
}

// Cache is the present generation's; nil if it has none.
func (r *Runtime) Cache() gateway.Cache {
	if g := r.current.Load(); g != nil {
		return g.cache()
	}
	return nil
}

func (g *Generation) cache() gateway.Cache {
	for _, p := range g.plugins {
		if c, ok := p.Plugin.(gateway.Cache); ok {
			return c
		}
	}
	return nil
}

// Recent is the present generation's memory of exchanges; nil if none of its plugins has one.
func (r *Runtime) Recent() gateway.Recent {
	if g := r.current.Load(); g != nil {
		for _, p := range g.plugins {
			if m, ok := p.Plugin.(gateway.Recent); ok {
				return m
			}
		}
	}
	return nil
}

// ReplyBytes counts the bytes of providers' replies that are held.
func (r *Runtime) ReplyBytes() int64 { return r.budget.Held() }

// Targets is what is known of all targets.
func (r *Runtime) Targets() *health.Registry { return r.standing.targets }

// Gather implements prometheus.Gatherer: the metrics of targets, of limiters, and of the present generation's plugins.
func (r *Runtime) Gather() ([]*dto.MetricFamily, error) {
	g := r.current.Load()
	if g == nil {
		return nil, nil
	}
	all := prometheus.Gatherers{r.registry}
	for _, p := range g.plugins {
		all = append(all, p.registry)
	}
	return all.Gather()
}

// Describe tells of all metrics that Gather can give, those without a sample too.
func (r *Runtime) Describe(to chan<- *prometheus.Desc) {
	r.registry.Describe(to)
	for _, p := range r.current.Load().plugins {
		p.registry.Describe(to)
	}
}

// Generation is everything that one state of the configuration built. Immutable.
type Generation struct {
	gateway.Handler
	directory *gateway.Directory
	offered   []*gateway.Model
	forward   *forward.Handler
	models    []config.Model
	catalog   *catalog.Catalog
	entries   []config.CatalogEntry // over the built-in ones
	number    int
	plugins   []*plugin
	providers map[string]*provider
	standing  *builder // nil once it is applied
	log       *zap.Logger

	users    atomic.Int64 // exchanges, +1 for being the present generation; negative once drained
	drained  chan struct{}
	closeErr error
}

var (
	_ serve.Generation = (*Generation)(nil)
	_ gateway.Admitter = (*Generation)(nil)
)

// Directory implements serve.Generation.
func (g *Generation) Directory() *gateway.Directory { return g.directory }

// Admit implements gateway.Admitter, with the plugin of the chain that does. Without one it is nobody, and the chain decides.
func (g *Generation) Admit(ctx context.Context, h gateway.Header, client netip.Addr, d *gateway.Directory) (gateway.Caller, error) {
	for _, p := range g.plugins {
		if a, ok := p.Plugin.(gateway.Admitter); ok {
			return a.Admit(ctx, h, client, d)
		}
	}
	return gateway.Caller{}, nil
}

// Release implements serve.Generation.
func (g *Generation) Release() {
	if g.users.Add(-1) == 0 && g.users.CompareAndSwap(0, -1<<62) {
		g.close()
	}
}

func (g *Generation) acquire() bool {
	if g.users.Add(1) > 0 {
		return true
	}
	g.users.Add(-1)
	return false
}

func (g *Generation) retire() { g.Release() }

// close releases what no later generation uses.
func (g *Generation) close() {
	var errs []error
	for _, p := range g.plugins {
		errs = append(errs, p.release())
	}
	for _, p := range g.providers {
		errs = append(errs, p.release())
	}
	g.closeErr = errors.Join(errs...)
	if g.closeErr != nil {
		g.log.Warn("closing a generation", zap.Int("generation", g.number), zap.Error(g.closeErr))
	}
	close(g.drained)
}

func (r *Runtime) build(c *config.Config, old *Generation) (g *Generation, err error) {
	g = &Generation{models: c.Models, entries: c.Catalog, providers: map[string]*provider{}, log: r.o.Log, drained: make(chan struct{})}
	g.users.Store(1)
	g.standing = r.standing.builder(g)
	defer func() {
		if err != nil { // what was carried over only loses a user; what was built new is closed
			g.standing.undo()
			g.close()
		}
	}()
	if g.catalog, err = carryCatalog(c, old); err != nil {
		return g, err
	}
	for i := range c.Providers {
		p, err := r.carryProvider(&c.Providers[i], c, old)
		if err != nil {
			return g, fmt.Errorf("provider %s: %w", c.Providers[i].Name, err)
		}
		g.providers[p.config.Name] = p
	}
	if g.directory, err = r.directory(c, g, old); err != nil {
		return g, err
	}
	chain := make([]gateway.Plugin, 0, len(c.Chain))
	for _, name := range c.Chain {
		p, err := r.carryPlugin(name, c, old)
		if err != nil {
			return g, fmt.Errorf("plugin %s: %w", name, err)
		}
		g.plugins = append(g.plugins, p)
		chain = append(chain, p)
	}
	g.forward = r.forwarder(c, old)
	g.Handler = gateway.Chain(gateway.Stepping("forward", g.forward), chain...)
	return g, nil
}

// forwarder is carried over with its retry budget unless its settings changed.
func (r *Runtime) forwarder(c *config.Config, old *Generation) *forward.Handler {
	o := forward.Options{
		Max: c.Retries.Max, BackoffMin: c.Retries.Backoff.Min, BackoffMax: c.Retries.Backoff.Max,
		Budget: float64(c.Retries.Budget), Recover: c.Retries.Recover == config.RecoverContinue,
	}
	causes := map[string]forward.Causes{
		config.OnConnect: forward.OnConnect, config.OnTimeout: forward.OnTimeout, config.OnCut: forward.OnCut,
		config.OnRateLimit: forward.OnRateLimit, config.OnServerError: forward.On5xx,
	}
	for _, name := range c.Retries.On {
		o.On |= causes[name]
	}
	if old != nil && old.forward.Options() == o {
		return old.forward
	}
	return forward.New(o)
}

// shared is what several generations may use: closed when the last of them is.
type shared struct {
	mu     sync.Mutex
	users  int
	closer func() error
}

func (s *shared) retain() {
	s.mu.Lock()
	s.users++
	s.mu.Unlock()
}

func (s *shared) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 || s.closer == nil {
		return nil
	}
	return s.closer()
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }
