package runtime

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// probing holds the probers of the present generation, one for each key of a provider that is to be probed. Keys of
// tenants are theirs: they are not probed at their expense.
type probing struct {
	r      *Runtime
	ctx    context.Context //nolint:containedctx // of all probers, until close
	stop   context.CancelFunc
	work   sync.WaitGroup
	counts *visible

	mu      sync.Mutex
	running map[health.ID]*prober // by provider and key
}

func newProbing(r *Runtime, counts *visible) *probing {
	p := &probing{r: r, counts: counts, running: map[health.ID]*prober{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// apply starts the probers that a generation wants, and stops those that it does not. What did not change goes on.
func (p *probing) apply(c *config.Config, g *Generation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[health.ID]*provider{}
	for i := range c.Providers {
		entry := g.providers[c.Providers[i].Name]
		if entry.config.Health.Probe == nil {
			continue
		}
		for _, k := range keysOf(&entry.config) {
			wanted[health.ID{Provider: entry.config.Name, Key: k.Name}] = entry
		}
	}
	for id, b := range p.running {
		if wanted[id] != b.p {
			b.stop()
			delete(p.running, id)
		}
	}
	for id, entry := range wanted {
		if p.running[id] == nil {
			p.running[id] = p.start(id, entry)
		}
	}
}

func (p *probing) start(id health.ID, entry *provider) *prober {
	entry.retain()
	b := &prober{probing: p, p: entry, id: id, Probe: *entry.config.Health.Probe, news: make(chan struct{}, 1)}
	for _, k := range keysOf(&entry.config) {
		if k.Name == id.Key {
			b.secret = k.Key.Reveal()
		}
	}
	// Nodes that are configured differently ask for themselves.
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %v %d", id.Provider, id.Key, b.Path, b.Model, b.Every, version(&entry.config, b.secret)))
	b.shared = fmt.Sprintf("probe:%x", sum[:8])
	var ctx context.Context
	ctx, b.stop = context.WithCancel(p.ctx)
	p.work.Go(func() {
		defer func() {
			b.stop()
			if err := entry.release(); err != nil {
				p.r.o.Log.Warn("closing a provider", zap.String("provider", id.Provider), zap.Error(err))
			}
		}()
		b.run(ctx)
	})
	return b
}

// tell lets the prober of a target know that it has opened: it may be wanted before its time.
func (p *probing) tell(e health.Event) {
	if e.To != health.Open {
		return
	}
	p.mu.Lock()
	b := p.running[health.ID{Provider: e.Provider, Key: e.Key}]
	p.mu.Unlock()
	if b != nil && b.Path == "" {
		select {
		case b.news <- struct{}{}:
		default: // it has not looked at the last yet
		}
	}
}

// close stops all probers and waits for them.
func (p *probing) close() {
	p.stop()
	p.work.Wait()
}

// prober asks one provider with one key.
type prober struct {
	config.Probe
	probing *probing
	p       *provider
	id      health.ID
	secret  string
	stop    context.CancelFunc
	news    chan struct{}
	shared  string // the name that the key's probes have in the fleet
	known   string // the last probe there that this node knows of
}

// run probes at random moments, Every apart on average, and, if it asks what callers ask, when a target that is open would be
// tried: then the probe is the trial, instead of a caller's request.
func (b *prober) run(ctx context.Context) {
	next := clock.Now().Add(rand.N(b.Every)) //nolint:gosec // so that keys and replicas spread
	timer := time.NewTimer(0)
	defer timer.Stop()
	for at := next; ; {
		timer.Reset(max(at.Sub(clock.Now()), 0))
		select {
		case <-ctx.Done():
			return
		case <-b.news:
		case <-timer.C:
			due := clock.Now() >= next
			b.probe(ctx, due)
			if due {
				next = clock.Now().Add(b.Every*9/10 + rand.N(b.Every/5+1)) //nolint:gosec // jitter
			}
		}
		at = min(next, b.trial())
	}
}

// trial is when the first of the open targets would be tried; far away if there is none, or a probe would be no trial.
func (b *prober) trial() clock.Instant {
	now := clock.Now()
	first := now.Add(2 * b.Every) // later than the next probe
	if b.Path != "" {
		return first
	}
	for _, t := range b.targets(now) {
		if s := t.Snapshot(now); s.State == health.Open && !s.NextProbe.IsZero() {
			if at := clock.At(s.NextProbe); at > now {
				first = min(first, at+1)
			}
		}
	}
	return first
}

// targets are those of the key that may be probed.
func (b *prober) targets(now clock.Instant) []*health.Target {
	all := b.probing.r.standing.targets.OfKey(b.id.Provider, b.id.Key)
	return slices.DeleteFunc(all, func(t *health.Target) bool { return !t.Probing(now) })
}

// probe asks, or learns what another node has found out, and tells the targets of the key what it means for them. due says that
// it is time for one of those that are made all the time.
func (b *prober) probe(ctx context.Context, due bool) {
	if len(b.targets(clock.Now())) == 0 {
		return
	}
	found, ok := b.find(ctx, due)
	if !ok {
		return
	}
	o := found.Outcome
	now := clock.Now()
	targets := b.targets(now)
	cheap := o // for those whose callers ask something else
	cheap.Cheap = true
	for _, t := range targets {
		if m := t.ID().Model; strings.Contains(m, "*") && gateway.Pattern(m).Match(b.Model) {
			if one := t.Of(b.Model); one != t && !slices.Contains(targets, one) {
				one.Probed(now, o)
			}
		}
		switch {
		case b.Path == "" && t.ID().Model == b.Model:
			t.Probed(now, o)
		case found.All:
			t.Probed(now, cheap)
		case o.Verdict == health.OK:
			t.Probed(now, health.Outcome{Verdict: health.OK, Began: o.Began}) // somebody is there and takes the key
		}
	}
}

// askNow makes the request, counts it, and notes when it began; false says that the prober was stopped meanwhile.
func (b *prober) askNow(ctx context.Context) (f finding, ok bool) {
	limited, stop := context.WithTimeout(ctx, b.Timeout)
	defer stop()
	began := clock.Now()
	f.Outcome, f.All = b.ask(limited)
	f.Outcome.Began = began
	if ctx.Err() != nil {
		return f, false
	}
	b.probing.counts.probed(b.id.Provider, f.Outcome.Verdict)
	if f.Outcome.Verdict == health.Neutral {
		b.probing.r.o.Log.Warn("a probe says nothing", zap.String("provider", b.id.Provider), zap.String("key", b.id.Key), zap.String("reason", f.Outcome.Reason))
	}
	return f, true
}

// ask makes the request. all says that its outcome is the same for all targets of the key, whatever their models.
func (b *prober) ask(ctx context.Context) (o health.Outcome, all bool) {
	if b.Path != "" {
		return b.p.probe(ctx, b.Path, b.secret), true
	}
	name := upstream.ProbeEndpoint(b.p.serves)
	for _, e := range serve.Endpoints() {
		if e.Name == name {
			o := upstream.Ask(ctx, &e, &gateway.Target{Provider: b.id.Provider, Key: b.id.Key, Model: b.Model, Via: b.p.key(b.secret)})
			return o, o.Unreachable || o.Verdict == health.Refused || o.Verdict == health.Spent
		}
	}
	return health.Outcome{Reason: "the provider has no endpoint for a probe of a model; write a path"}, false
}

// keysOf are a provider's keys that are in service: one without a name if it needs none.
func keysOf(c *config.Provider) []config.Key {
	if len(c.Keys) == 0 {
		return []config.Key{{Weight: 1}}
	}
	return slices.DeleteFunc(slices.Clone(c.Keys), func(k config.Key) bool { return k.Disabled })
}
