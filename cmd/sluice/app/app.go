// Package app wires Sluice together: configuration, generations, the two listeners, reloads and the drain. It is the
// only place that sees everything.
package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/runtime"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/serve/socket"
	"github.com/sluice-ai/sluice/plugins"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// Options are what the command line decides.
type Options struct {
	Loader  *config.Loader
	Config  *config.Config // what the loader has loaded; nil: Start loads it
	Log     *zap.Logger
	Version string
}

// App is a running gateway.
type App struct {
	o        Options
	config   *config.Config // as of the start: what is fixed for the life of the process
	stores   *stores
	made     *made // tenants of the store; nil without one
	runtime  *runtime.Runtime
	server   *serve.Server
	admin    *admin.Server
	api, ops net.Listener // ops is nil without an admin listener

	applying sync.Mutex                    // one change at a time
	files    *config.Config                // the last good configuration of files, without tenants of the store
	current  atomic.Pointer[config.Config] // what is in effect, tenants of the store included
	metrics  metrics
	registry *prometheus.Registry // of the process; the runtime has those of generations
	state    state
	feed     admin.Feed
	work     sync.WaitGroup
	closing  sync.WaitGroup // of what plugins still send
	passes   auth.Passes
	printed  string // see AdminToken
	stop     context.CancelFunc
	failed   chan error // what ended a listener before its time
}

// Prototypes are the settings of every plugin there is, with their defaults: what a config.Loader needs.
func Prototypes() map[string]any {
	p := map[string]any{}
	for _, spec := range plugins.All(plugins.Lent{}) {
		p[spec.Name] = spec.Defaults()
	}
	return p
}

// Endpoints are the names of those that a provider can have: what a config.Loader needs, too.
func Endpoints() []string {
	var names []string
	for _, e := range serve.Endpoints() {
		if e.Forward != "" && !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

// Start loads the configuration, builds the first generation and opens the listeners. Everything is checked before
// anything is opened.
func Start(o Options) (a *App, err error) {
	c := o.Config
	if c == nil {
		if c, err = o.Loader.Load(); err != nil {
			return nil, err
		}
	}
	a = &App{o: o, config: c, failed: make(chan error, 2)}
	started := a // what is returned with an error is nil
	defer func() {
		if err != nil {
			started.closeAll()
		}
	}()
	if a.stores, err = openStores(c, o.Log); err != nil {
		return nil, err
	}
	lent := a.stores.lent()
	lent.Passes = &a.passes
	lent.Telemetry = telemetry.Lent{Version: o.Version, Closing: &a.closing}
	a.runtime = runtime.New(runtime.Options{
		Plugins: plugins.All(lent), Log: o.Log, UserAgent: "sluice/" + o.Version,
		MaxReplies: int64(c.Server.MaxInFlightResponse), Changed: a.feed.Tell, Fleet: a.stores.fleet(),
	})
	var ctx context.Context
	ctx, a.stop = context.WithCancel(context.Background())
	if a.stores.store != nil {
		a.made = newMade(a.stores.store, o.Log)
		if err := a.made.refresh(ctx); err != nil {
			o.Log.Warn("the store cannot be asked for tenants yet", zap.Error(err))
		}
	}
	if _, err := a.use(c); err != nil {
		return nil, err
	}
	a.registry = prometheus.NewRegistry()
	a.registry.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsGC, collectors.MetricsScheduler)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.metrics = newMetrics(a.registry, o.Version)
	a.stores.register(a.registry)
	if err := a.listen(); err != nil {
		return nil, err
	}
	a.run(a.server.Serve)
	if a.admin != nil {
		a.run(func() error { return a.admin.Serve(a.ops) })
	}
	again := func() { _ = a.reload() } // it was logged
	a.work.Go(func() { o.Loader.Watch(ctx, again) })
	if a.made != nil {
		a.work.Go(func() { a.made.watch(ctx, func() { _ = a.useStore() }) })
	}
	a.state.setReason("")
	return a, nil
}

func (a *App) listen() error {
	s := a.config.Server
	o := serve.Options{
		MaxHead: int(s.MaxHead), MaxBody: int64(s.MaxBody), MaxForm: int64(s.MaxForm), MaxInFlight: int64(s.MaxInFlightBody), MaxConnsPerIP: s.MaxConnectionsPerIP,
		ReadTimeout: s.ReadTimeout, IdleTimeout: s.IdleTimeout, WriteTimeout: s.WriteTimeout,
		Guard: admission.NewGuard(nil), Log: a.o.Log.Named("serve"), Metrics: a.registry,
	}
	if s.TLS.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(s.TLS.Cert, s.TLS.Key)
		if err != nil {
			return fmt.Errorf("server.tls: %w", err)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	}
	var err error
	if a.api, err = net.Listen("tcp", s.Listen); err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	if s.AdminListen != "" {
		o, err := a.office()
		if err != nil {
			return err
		}
		a.admin = admin.New(o)
		if a.ops, err = net.Listen("tcp", s.AdminListen); err != nil {
			return fmt.Errorf("server.admin_listen: %w", err)
		}
	}
	a.server = serve.New(a.runtime, a.api, o) // last: it begins to watch
	if w := s.WebSocket; w.Enabled {
		socket.Attach(a.server, a.runtime, socket.Options{
			Responses: w.Responses, MaxMessage: int64(s.MaxBody), Messages: w.MessagesPerMinute, AtOnce: w.MaxExchanges,
			Grace: w.Grace, Keep: int64(w.Keep), KeepAll: int64(w.KeepAll), ReadTimeout: s.ReadTimeout, WriteTimeout: s.WriteTimeout,
			Log: a.o.Log.Named("socket"), Metrics: a.registry,
		})
	}
	return nil
}

// run serves a listener in the background.
func (a *App) run(serve func() error) {
	a.work.Go(func() {
		if err := serve(); err != nil {
			a.failed <- err
		}
	})
}

// Config is the configuration at the start.
func (a *App) Config() *config.Config { return a.config }

// Address is where the API listens.
func (a *App) Address() net.Addr { return a.api.Addr() }

// AdminAddress is where operators are served; nil if nowhere.
func (a *App) AdminAddress() net.Addr {
	if a.ops == nil {
		return nil
	}
	return a.ops.Addr()
}

// AdminToken is what operators on other machines need as long as no tokens are configured; "" if there is no way for them. It is
// to be shown to who starts the gateway, and nowhere else.
func (a *App) AdminToken() string { return a.printed }

// Failed gives the error of a listener that ended before its time.
func (a *App) Failed() <-chan error { return a.failed }

// reload applies what changed on disk. Whatever is wrong, the last good state serves on.
func (a *App) reload() error {
	a.applying.Lock()
	defer a.applying.Unlock()
	files, problems, err := a.o.Loader.Reload()
	var c *config.Config
	if err == nil {
		c, err = a.use(files)
	}
	a.state.loaded(problems, err)
	a.metrics.reloaded(err == nil, len(problems))
	for _, p := range problems {
		a.o.Log.Error("a tenant file is broken; its last good version stays", zap.String("problem", p.String()))
	}
	if err != nil {
		a.o.Log.Error("the configuration is broken; nothing changes", zap.Error(err))
		return err
	}
	a.applyTokens(c)
	fields := []zap.Field{zap.Int("generation", a.runtime.Number()), zap.Int("tenants", len(c.Tenants.List))}
	if !sameServer(c.Server, a.config.Server) || c.Stores != a.config.Stores || slices.Contains(c.Chain, "ledger") && a.stores.journal == nil {
		fields = append(fields, zap.String("restart", "settings of the server's listeners or of stores changed; they apply after a restart"))
	}
	a.o.Log.Info("configuration applied", fields...)
	return nil
}

// useStore makes what the store holds effective, with the last good configuration of files: a key that was revoked does not wait
// until somebody has mended a file.
func (a *App) useStore() error {
	a.applying.Lock()
	defer a.applying.Unlock()
	if !a.made.pending() {
		return nil
	}
	c, err := a.use(a.files)
	if err != nil {
		if a.state.merged([]string{"changes in the store are not in effect: " + err.Error()}) {
			a.o.Log.Error("changes in the store are not in effect; they are tried again", zap.Error(err))
		}
		return err
	}
	a.o.Log.Info("configuration applied", zap.Int("generation", a.runtime.Number()), zap.Int("tenants", len(c.Tenants.List)))
	return nil
}

// use puts a configuration of files, and the tenants of the store with it, into effect. It changes nothing with an error, even
// after a panic: a mistake of ours in building what nobody uses yet must not end the process.
func (a *App) use(files *config.Config) (c *config.Config, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic while applying the configuration: %v", r)
			a.o.Log.Error("panic while applying the configuration", zap.Any("panic", r), zap.Stack("stack"))
		}
	}()
	c, faults, revision := a.made.merge(files)
	if err := a.runtime.Apply(c); err != nil {
		return nil, err
	}
	a.made.use(revision)
	if a.state.merged(faults) && len(faults) > 0 {
		a.o.Log.Error("tenants are not in effect as they are written", zap.Strings("faults", faults))
	}
	a.files = files
	a.current.Store(c)
	return c, nil
}

// Drain stops the gateway without losing what runs: it says "not ready", waits for load balancers to notice, stops
// accepting, lets exchanges finish until the drain timeout, and ends the rest with an error event. It returns how many
// it had to cut.
func (a *App) Drain() (cut int) {
	s := a.config.Server
	a.state.setReason("draining")
	<-time.After(s.DrainDelay)
	ctx, stop := context.WithTimeout(context.Background(), s.DrainTimeout)
	defer stop()
	cut = a.server.Drain(ctx)
	a.closeAll()
	return cut
}

func (a *App) closeAll() {
	if a.stop != nil {
		a.stop()
	}
	if a.api != nil {
		_ = a.api.Close()
	}
	if a.ops != nil {
		_ = a.admin.Close()
		_ = a.ops.Close()
	}
	a.work.Wait()
	if a.runtime != nil {
		if err := a.runtime.Close(); err != nil {
			a.o.Log.Error("closing", zap.Error(err))
		}
	}
	a.closing.Wait()
	if a.stores != nil { // last: no exchange is left that writes
		if err := a.stores.close(); err != nil {
			a.o.Log.Error("closing the stores", zap.Error(err))
		}
	}
}

func (a *App) health() admin.Health {
	h := a.state.health()
	h.Faults = append(h.Faults, a.stores.faults()...)
	connections, bytes := a.server.Live()
	h.Detail = map[string]string{
		"version":            a.o.Version,
		"generation":         strconv.Itoa(a.runtime.Number()),
		"connections":        strconv.Itoa(connections),
		"request_bytes_held": strconv.FormatInt(bytes, 10),
		"reply_bytes_held":   strconv.FormatInt(a.runtime.ReplyBytes(), 10),
	}
	return h
}

// fleet is how nodes share probes; nil if there is nothing that they share.
func (s *stores) fleet() runtime.Fleet {
	if p, ok := s.pool.(*redis.Pool); ok {
		return p
	}
	return nil
}
