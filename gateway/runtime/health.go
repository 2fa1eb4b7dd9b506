package runtime

import (
	"cmp"
	"hash/fnv"
	"maps"
	"sync"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
)

// account stands in the ID of a provider's own endpoints, such as files and batches, for the model.
const account = "account"

// standing is what is known of targets and providers. It outlasts generations: a reload forgets nothing of what is still
// configured.
type standing struct {
	targets *health.Registry

	mu       sync.Mutex
	limiters map[string]*admission.Limiter // by provider; a tenant's own account: "tenant <id> <provider>"
}

func newStanding(log *zap.Logger, changed func(health.Event)) *standing {
	return &standing{
		targets: health.New(health.Options{OnEvent: func(e health.Event) {
			logChange(log, e)
			if changed != nil {
				changed(e)
			}
		}}),
		limiters: map[string]*admission.Limiter{},
	}
}

// logChange writes the line of a change: bad news as a warning.
func logChange(log *zap.Logger, e health.Event) {
	fields := []zap.Field{
		zap.String("provider", e.ID.Provider), zap.String("key", e.ID.Key), zap.String("model", e.ID.Model),
		zap.Stringer("from", e.From), zap.Stringer("to", e.To), zap.String("reason", e.Reason),
	}
	if !e.Until.IsZero() {
		fields = append(fields, zap.Time("until", e.Until))
	}
	if e.To == health.Healthy || e.To == health.HalfOpen {
		log.Info("target changed", fields...)
	} else {
		log.Warn("target changed", fields...)
	}
}

// builder makes the targets of one generation, and remembers which there are.
type builder struct {
	s        *standing
	g        *Generation
	senders  map[health.ID]gateway.Sender // by provider and key
	ids      map[health.ID]bool
	limiters map[string]bool
}

func (s *standing) builder(g *Generation) *builder {
	return &builder{s: s, g: g, senders: map[health.ID]gateway.Sender{}, ids: map[health.ID]bool{}, limiters: map[string]bool{}}
}

// target is what is known of one.
func (b *builder) target(c *config.Provider, id health.ID, secret string) *health.Target {
	b.ids[id] = true
	return b.s.targets.Target(id, healthSettings(c, secret))
}

// limiter is that of a provider, or of a tenant's own account there.
func (b *builder) limiter(name string, c *config.Provider) *admission.Limiter {
	b.limiters[name] = true
	set := admission.Settings{Max: c.Concurrency.Max, Min: c.Concurrency.Min, Queue: c.Concurrency.Queue, Wait: c.Concurrency.Wait}
	if set.Queue == 0 {
		set.Queue = -1
	}
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	l := b.s.limiters[name]
	if l == nil {
		l = admission.New(set)
		b.s.limiters[name] = l
	}
	l.Configure(set)
	return l
}

// keep forgets what the generation does not name.
func (b *builder) keep() {
	b.s.targets.Keep(maps.Keys(b.ids))
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	maps.DeleteFunc(b.s.limiters, func(name string, _ *admission.Limiter) bool { return !b.limiters[name] })
}

// Limiters are those of all providers, and of tenants' own accounts, by name.
func (r *Runtime) Limiters() map[string]*admission.Limiter {
	r.standing.mu.Lock()
	defer r.standing.mu.Unlock()
	return maps.Clone(r.standing.limiters)
}

// healthSettings translates the configuration, where 0 switches off what is counted.
func healthSettings(c *config.Provider, secret string) health.Settings {
	h := &c.Health
	s := health.Settings{
		Window: h.Window, FailureRate: float64(h.FailureRate), MinRequests: h.MinRequests, Consecutive: h.Consecutive,
		OpenFor: h.OpenFor, MaxOpen: h.MaxOpen, SlowStart: h.SlowStart, Version: version(c, secret),
	}
	if s.FailureRate == 0 {
		s.FailureRate = 2
	}
	s.Consecutive = cmp.Or(s.Consecutive, -1)
	if s.SlowStart == 0 {
		s.SlowStart = -1
	}
	return s
}

// version changes with what a target's troubles may come from: where the provider is, and the secret.
func version(c *config.Provider, secret string) uint64 {
	h := fnv.New64a()
	for _, part := range []string{c.Type, c.BaseURL, c.APIVersion, c.Organization, c.Project, c.Proxy, secret} {
		_, _ = h.Write([]byte(part)) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// hedge translates the configuration of second attempts.
func hedge(c *config.Hedge) *gateway.Hedge {
	if c == nil {
		return nil
	}
	most, _ := catalog.ParseUSD(c.MaxCost.String()) // validated; none is 0
	return &gateway.Hedge{After: c.After.Time, Budget: float64(c.Budget), MaxCost: most}
}
