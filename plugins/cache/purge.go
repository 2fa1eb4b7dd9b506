package cache

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
)

// purges are when answers were purged. The last time that all of a tenant's were is in its keys, so that what is still on its way
// to the store is not found there later. The others are for what comes from Redis.
type purges struct {
	epochs sync.Map // tenant.ID -> *atomic.Uint64, Unix milliseconds

	mu sync.Mutex
	at map[gateway.CachePurge]uint64
}

func (p *purges) epoch(t tenant.ID) uint64 {
	if n, ok := p.epochs.Load(t); ok {
		return n.(*atomic.Uint64).Load() //nolint:forcetypeassert // nothing else is in there
	}
	return 0
}

// add notes a purge, and gives its time, which is later than that of the same purge before.
func (p *purges) add(w gateway.CachePurge, now time.Time) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := max(uint64(now.UnixMilli()), p.at[w]+1)
	p.set(w, at)
	return at
}

// learn notes a purge of another node; false if it is known.
func (p *purges) learn(w gateway.CachePurge, at uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at[w] >= at {
		return false
	}
	p.set(w, at)
	return true
}

func (p *purges) set(w gateway.CachePurge, at uint64) {
	if p.at == nil {
		p.at = map[gateway.CachePurge]uint64{}
	}
	p.at[w] = at
	if w == (gateway.CachePurge{Tenant: w.Tenant}) {
		n, _ := p.epochs.LoadOrStore(w.Tenant, new(atomic.Uint64))
		n.(*atomic.Uint64).Store(at) //nolint:forcetypeassert // nothing else is in there
	}
}

// expire forgets what was purged before a time: no answer is that old.
func (p *purges) expire(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w, at := range p.at {
		if at < uint64(before.UnixMilli()) && w.Model+w.Tag+w.ID != "" {
			delete(p.at, w)
		}
	}
}

// apart is by how much the clocks of nodes may differ for purges.
const apartClocks = time.Second

// covers says whether an answer was there when it was purged.
func (p *purges) covers(a *answer.Answer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	then := uint64(a.At.Add(-apartClocks).UnixMilli())
	for _, model := range []string{"", a.Model} {
		for _, id := range []string{"", a.ID} {
			for _, tag := range append([]string{""}, a.Tags...) {
				if at, ok := p.at[gateway.CachePurge{Tenant: a.Tenant, Model: model, Tag: tag, ID: id}]; ok && at >= then {
					return true
				}
			}
		}
	}
	return false
}

// Purge implements gateway.Cache. In a fleet it counts this node's answers; the others hear of it within a second.
func (p *Plugin) Purge(w gateway.CachePurge) int {
	if p.store == nil || w.Tenant == "" {
		return 0
	}
	at := p.purges.add(w, p.now())
	p.purges.expire(p.now().Add(-p.remembered()))
	p.tell(w, at)
	n := p.drop(w)
	p.disk.purged()
	return n
}

// drop takes out what a purge is about.
func (p *Plugin) drop(w gateway.CachePurge) int {
	return p.store.each(func(k *kept) bool {
		return k.Tenant == w.Tenant && (w.Model == "" || k.Model == w.Model) && (w.ID == "" || k.ID == w.ID) &&
			(w.Tag == "" || slices.Contains(k.Tags, w.Tag))
	})
}

// remembered is for how long a purge matters.
func (p *Plugin) remembered() time.Duration { return p.c.ttl() + p.c.Exact.Stale + time.Hour }

// tell has all nodes purge.
func (p *Plugin) tell(w gateway.CachePurge, at uint64) {
	if p.fleet == nil {
		return
	}
	text, err := json.Marshal(entry{Purge: &purge{What: w, At: at}})
	if err != nil {
		return // not for strings
	}
	p.fleet.Note(fmt.Sprintf("%q", w), text, p.remembered())
}
