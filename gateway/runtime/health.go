package runtime

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
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

	configured map[health.ID]bool              // targets of the present generation
	wild       map[health.ID][]gateway.Pattern // those with a "*", by provider and key, longest first
}

// newStanding begins with nothing. changed is told of all changes.
func newStanding(changed func(health.Event)) *standing {
	return &standing{targets: health.New(health.Options{OnEvent: changed}), limiters: map[string]*admission.Limiter{}}
}

// changed is told of each change of a target: it leaves a line in the log and a count, and is passed on.
func (r *Runtime) changed(e health.Event) {
	logChange(r.o.Log, e)
	r.visible.changed(e)
	r.probing.tell(e)
	if r.o.Changed != nil {
		r.o.Changed(e)
	}
}

// logChange writes the line of a change: bad news as a warning, and that is also whatever keeps requests away for a while.
func logChange(log *zap.Logger, e health.Event) {
	fields := []zap.Field{
		zap.String("provider", e.ID.Provider), zap.String("key", e.ID.Key), zap.String("model", e.ID.Model),
		zap.Stringer("from", e.From), zap.Stringer("to", e.To), zap.String("reason", e.Reason),
	}
	if !e.Until.IsZero() {
		fields = append(fields, zap.Time("until", e.Until))
	}
	level, message := zap.InfoLevel, "target changed"
	if coolDown(e) {
		message = "target cools down"
	}
	if e.To == health.Suspect || e.To >= health.Open || !e.Until.IsZero() {
		level = zap.WarnLevel
	}
	log.Log(level, message, fields...)
}

// coolDown says whether an event is one, which changes no state.
func coolDown(e health.Event) bool { return e.From == e.To && e.To != health.Disabled }

// builder makes the targets of one generation. What is known of those that exist stays as it is until commit: the
// generation may still fail to be built.
type builder struct {
	s        *standing
	g        *Generation
	senders  map[health.ID]gateway.Sender // by provider and key
	ids      map[health.ID]health.Settings
	limiters map[string]admission.Settings
	made     []string // limiters that are new
}

func (s *standing) builder(g *Generation) *builder {
	return &builder{
		s: s, g: g, senders: map[health.ID]gateway.Sender{}, ids: map[health.ID]health.Settings{}, limiters: map[string]admission.Settings{},
	}
}

// target is what is known of one.
func (b *builder) target(c *config.Provider, id health.ID, secret string) *health.Target {
	set := healthSettings(c, secret)
	b.ids[id] = set
	return b.s.targets.Reserve(id, set)
}

// one is the target for one name of a target's model, if that has a "*". As it is in the configuration, it is kept like
// those that are named there.
func (b *builder) one(t *health.Target, model string) *health.Target {
	set := b.ids[t.ID()]
	t = t.Of(model)
	b.ids[t.ID()] = set
	return t
}

// limiter is that of a provider, or of a tenant's own account there.
func (b *builder) limiter(name string, c *config.Provider) *admission.Limiter {
	set := admission.Settings{Max: c.Concurrency.Max, Min: c.Concurrency.Min, Queue: c.Concurrency.Queue, Wait: c.Concurrency.Wait, Deaf: !c.Concurrency.Latency}
	if set.Queue == 0 {
		set.Queue = -1
	}
	b.limiters[name] = set
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	l := b.s.limiters[name]
	if l == nil {
		l = admission.New(set)
		b.s.limiters[name] = l
		b.made = append(b.made, name)
	}
	return l
}

// commit gives the settings of the generation to what it names, and forgets what it does not name.
func (b *builder) commit() {
	configured, wild := map[health.ID]bool{}, map[health.ID][]gateway.Pattern{}
	for id, set := range b.ids {
		b.s.targets.Target(id, set)
		configured[id] = true
		if p := gateway.Pattern(id.Model); p.Wild() {
			key := health.ID{Provider: id.Provider, Key: id.Key}
			wild[key] = append(wild[key], p)
		}
	}
	for _, list := range wild {
		slices.SortFunc(list, func(a, b gateway.Pattern) int { return len(b) - len(a) })
	}
	b.s.targets.Keep(maps.Keys(configured))
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.configured, b.s.wild = configured, wild
	for name, l := range b.s.limiters {
		if set, ok := b.limiters[name]; ok {
			l.Configure(set)
		} else {
			delete(b.s.limiters, name)
		}
	}
}

// undo forgets what was made for a generation that failed.
func (b *builder) undo() {
	b.s.targets.Keep(maps.Keys(b.s.configured))
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	for _, name := range b.made {
		delete(b.s.limiters, name)
	}
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
		Trusted: c.Type == config.Simulated,
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

// version changes with what a target's troubles may come from: where the provider is, and the secret, which may
// be in a header. Timeouts are not among it: a key that is refused, or a rate limit, has nothing to do with them.
func version(c *config.Provider, secret string) uint64 {
	h := fnv.New64a()
	parts := []string{c.Type, c.BaseURL, c.APIVersion, c.Organization, c.Project, c.Proxy, secret}
	for _, header := range c.Headers {
		parts = append(parts, header.Name, header.Value.Reveal())
	}
	for _, part := range parts {
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
