// Package cache answers what was asked before without asking anybody again. It stands behind quota, so that an answer from
// it counts as a request and costs nothing, and in front of routing.
//
// An answer is kept in the neutral form, under a key of all that decides it (package partition), and given in any dialect,
// whole or as a stream (package answer). No answer is ever given to another tenant. What asks the same while the first answer
// is still coming shares it (see flight), and what asks for the same in other words is given it if that is certain enough (package
// semantic).
package cache

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// Lent is what the cache has of the process.
type Lent struct {
	Redis fleet.Client // what the nodes of a fleet share; nil: there is only this one
	Dir   string       // for what outlasts the process; empty: nothing does
}

// Spec describes the plugin "cache".
func Spec(l Lent) gateway.Spec {
	return gateway.Define("cache", Defaults(), func(h gateway.Host, c Config) (gateway.Plugin, error) { return New(h, c, l) })
}

// Plugin is the cache.
type Plugin struct {
	c         Config
	keys      atomic.Pointer[partition.Keys]
	store     *store
	flights   flights
	purges    purges
	renewals  renewals
	fleet     *fleet.Fleet // nil: what is kept is this node's alone
	feeds     feeds
	disk      *disk // nil: nothing outlasts the process
	decisions *decisions
	meaning   *semantic.Semantic // nil: only the same words are the same question
	judge     *judge             // nil: nobody is asked what is not certain
	embedder  embed.Embedder     // nil, as meaning is
	versions  string             // of what says so
	metrics   *metrics
	host      gateway.Host
	log       *zap.Logger
	now       func() time.Time
}

var _ gateway.Plugin = (*Plugin)(nil)

// New makes the plugin.
func New(h gateway.Host, c Config, of Lent) (*Plugin, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	p := &Plugin{c: c, host: h, log: h.Log(), now: h.Now}
	p.keys.Store(partition.New(secret))
	if !p.on() {
		return p, nil
	}
	var err error
	if p.store, err = newStore(&c, h.Now); err != nil {
		return nil, err
	}
	if p.decisions, err = newDecisions(); err != nil {
		return nil, err
	}
	if c.Semantic.Mode != modeOff {
		if p.embedder, err = p.newEmbedder(); err != nil {
			return nil, err
		}
		p.versions = semantic.Version(p.embedder)
	}
	p.fleet = p.newFleet(of.Redis)
	if p.meaning, err = p.newMeaning(of.Dir); err != nil {
		return nil, err
	}
	p.metrics = newMetrics(p.store)
	for _, collector := range p.metrics.all() {
		if err := h.Metrics().Register(collector); err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
	}
	p.judge = newJudge(p, h)
	if p.disk = newDisk(p, of.Dir, secret); p.disk != nil {
		if p.fleet == nil {
			p.disk.restore(nil)
		}
		h.Go(p.disk.run)
	}
	if p.fleet != nil {
		h.Go(p.fleet.Run)
	}
	return p, nil
}

// Close implements io.Closer.
func (p *Plugin) Close() error {
	if p.store != nil {
		p.store.close()
		p.decisions.of.StopAllGoroutines()
	}
	if r, ok := p.embedder.(*embed.Remote); ok {
		r.Close()
	}
	return nil
}

// on says whether anything is kept.
func (p *Plugin) on() bool { return p.c.ttl() > 0 }

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	if !p.on() {
		return next
	}
	return &handler{Plugin: p, next: next}
}

// handler is the plugin in a generation.
type handler struct {
	*Plugin
	next     gateway.Handler
	families sync.Map // *gateway.Model -> string
}

var _ gateway.Handler = (*handler)(nil)

// Serve implements gateway.Handler.
func (h *handler) Serve(x *gateway.Exchange) error {
	l, ours, err := h.look(x)
	switch {
	case err != nil:
		return err
	case !ours:
		return h.next.Serve(x)
	case l.why != "":
		return l.bypass(l.why)
	}
	l.body = l.keys.Body(x.Caller.Tenant.ID, &l.setting, x.Request.Endpoint.Dialect, x.Request.Body())
	if !l.control.refresh {
		if i := l.find(l.body); i != nil {
			return l.give(i, l.exactly(i.of))
		}
	}
	return l.serve()
}

// look begins a lookup; ours is false if the exchange is none of the cache's business.
func (h *handler) look(x *gateway.Exchange) (l lookup, ours bool, err error) {
	t, e := x.Caller.Tenant, x.Request.Endpoint
	if t == nil || t.ID == "" || e.Decode == nil || e.Free || t.Cache.Scope == gateway.CacheOff {
		return l, false, nil
	}
	if err := x.Request.Open(); err != nil {
		return l, false, err
	}
	m, canonical, _ := x.Directory.Model(x.Asked())
	if m == nil || !x.Caller.Allows(canonical) { // the end of the chain says so
		return l, false, nil
	}
	l = lookup{h: h, x: x, control: controlOf(x.Request.Header), dialect: wire.ByName(e.Dialect)}
	switch {
	case l.control.bypass:
		l.why = whyAsked
	case len(x.Request.References()) > 0 || x.Request.Rest() != nil:
		l.why = whyReferences
	default:
		l.setting = partition.Setting{Class: "chat", Model: canonical, Family: h.family(m), Variant: variant(x), Versions: h.versions, Epoch: h.purges.epoch(t.ID)}
		if t.Cache.Scope == gateway.CacheUser {
			l.setting.User = x.Caller.User
		}
		l.keys = h.keys.Load()
	}
	return l, true, nil
}

// family tells where a model leads. It is worked out once in a generation.
func (h *handler) family(m *gateway.Model) string {
	if f, ok := h.families.Load(m); ok {
		return f.(string) //nolint:forcetypeassert // nothing else is in there
	}
	var b strings.Builder
	for _, step := range m.Steps {
		for _, t := range step {
			fmt.Fprintf(&b, "%q %q,", t.Provider, t.Model)
		}
		b.WriteByte(';')
	}
	h.families.Store(m, b.String())
	return b.String()
}

// Headers that change what is answered.
const (
	betaHeader     = "Anthropic-Beta"
	providerHeader = "X-Sluice-Provider"
)

// variant is what the headers of a request ask for.
func variant(x *gateway.Exchange) string {
	h := x.Request.Header
	if h == nil {
		return ""
	}
	beta, provider := "", ""
	if x.Request.Endpoint.Dialect == wire.Anthropic.Name {
		beta = string(h.Get(betaHeader))
	}
	if x.Caller.Tenant.Overrides&gateway.OverrideProvider != 0 {
		provider = string(h.Get(providerHeader))
	}
	if beta == "" && provider == "" {
		return ""
	}
	return provider + "\n" + beta
}

// lookup is one exchange on its way through the cache.
type lookup struct {
	h         *handler
	x         *gateway.Exchange
	dialect   *wire.Dialect
	control   control
	setting   partition.Setting
	keys      *partition.Keys
	body      partition.Key // of the request's bytes
	q         *chat.Request
	parsed    *text.Text // the last thing that the user said, or its end; nil if there is none
	text      string     // all of it, if it is single
	single    bool       // it is all of the last turn, and not in the partition
	partition partition.Key
	exact     partition.Key
	decision  *semantic.Decision // about what means the same; nil: nobody has looked
	settled   bool               // the judge has said what it thinks of the decision
	user      string             // whose alone the answer is
	ttl       time.Duration      // of the answer
	tags      []string           // of the answer
	why       string             // why it is neither given nor kept
}

// serve goes on with a request whose bytes did not come before.
func (l *lookup) serve() error {
	if l.read(); l.why != "" {
		return l.bypass(l.why)
	}
	h := l.h
	if !l.control.refresh {
		if of, reply := l.held(); of != nil {
			return l.giveExact(of, reply)
		}
		if done, err := l.fetchExact(); done {
			return err
		}
		if done, err := l.similar(); done {
			return err
		}
	}
	switch {
	case l.control.onlyCached:
		h.metrics.results[missed].Inc()
		return errNotCached
	case l.control.refresh || !h.c.Coalesce:
		return l.record(nil)
	}
	return l.share()
}

// read decodes the request and makes its keys, or says why it has none.
func (l *lookup) read() {
	h, x := l.h, l.x
	q, err := x.Request.Chat()
	if err != nil || q == nil {
		l.why = whyUnreadable
		return
	}
	l.q, l.ttl = q, h.c.ttl()
	if l.why = h.c.forbids(q); l.why != "" {
		return
	}
	setting, owner := l.setting, ownerOf(x.Caller.User, q.User)
	if x.Caller.Tenant.Cache.Scope == gateway.CacheUser {
		if l.user = owner; owner == "" {
			l.why = whyUser
			return
		}
	}
	if l.parsed = readText(q); l.parsed != nil {
		t := l.parsed
		if t.Fresh {
			if l.ttl = min(l.ttl, h.c.FreshTTL); l.ttl <= 0 {
				l.why = whyFresh
				return
			}
		}
		if t.Personal {
			if l.user = owner; owner == "" {
				l.why = whyPersonal
				return
			}
		}
	}
	setting.User = l.user
	if len(q.Lost) > 0 { // something in it has no place in the neutral form: then all of its bytes count
		setting.Variant += "\n" + string(l.body[:])
	}
	l.partition, l.text, l.single, _ = l.keys.Partition(x.Caller.Tenant.ID, &setting, q)
	l.exact = l.keys.Exact(l.partition, l.text)
}

// find is what this node has kept under a key, and may give.
func (l *lookup) find(k partition.Key) *item {
	if i := l.h.store.find(k); i != nil && l.takes(i.of) {
		return i
	}
	return nil
}

// takes says whether an answer may be given to the exchange's caller.
func (l *lookup) takes(of *kept) bool {
	x, s := l.x, l.h.store
	return s.gives(of, x.Caller.User, l.control.most) && (!x.Caller.Tenant.Cache.Fresh || of.Fresh(s.now(), -1))
}

// held is what this node has kept; nil if nothing is.
func (l *lookup) held() (*kept, *chat.Reply) {
	i := l.find(l.exact)
	if i == nil {
		return nil, nil
	}
	a := l.h.store.read(l.exact, i)
	if a == nil {
		return nil, nil
	}
	return i.of, &a.Reply
}

// bypass asks as though there were no cache.
func (l *lookup) bypass(why string) error {
	l.h.metrics.results[bypassed].Inc()
	l.h.metrics.bypasses.WithLabelValues(why).Inc()
	l.note("bypass", why, nil)
	if err := l.h.next.Serve(l.x); err != nil {
		return err
	}
	mark(l.x, "bypass")
	return nil
}

// mark says in the head of a reply what the cache has done.
func mark(x *gateway.Exchange, what string) {
	if r := x.Reply; r != nil {
		r.Header = append(slices.Clip(r.Header), gateway.Field{Name: header, Value: what})
	}
}

var errNotCached = &gateway.Error{
	Status: 504, Type: gateway.TypeInvalidRequest, Code: "not_cached", Origin: gateway.OriginClient, NoRetry: true,
	Message: "There is no answer to this in the cache, and the request has Cache-Control: only-if-cached.",
}
