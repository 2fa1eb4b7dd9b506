package cache

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// epochs count how often all of a tenant's answers were purged. The number is in the keys, so that what is still on its way
// to the store is not found there later.
type epochs struct{ counts sync.Map } // tenant.ID -> *atomic.Uint64

func (e *epochs) of(t tenant.ID) uint64 {
	if n, ok := e.counts.Load(t); ok {
		return n.(*atomic.Uint64).Load() //nolint:forcetypeassert // nothing else is in there
	}
	return 0
}

func (e *epochs) next(t tenant.ID) {
	n, _ := e.counts.LoadOrStore(t, new(atomic.Uint64))
	n.(*atomic.Uint64).Add(1) //nolint:forcetypeassert // nothing else is in there
}

// Purge implements gateway.Cache.
func (p *Plugin) Purge(w gateway.CachePurge) int {
	if p.store == nil || w.Tenant == "" {
		return 0
	}
	if w == (gateway.CachePurge{Tenant: w.Tenant}) {
		p.epochs.next(w.Tenant)
	}
	return p.store.each(func(k *kept) bool {
		return k.Tenant == w.Tenant && (w.Model == "" || k.Model == w.Model) && (w.ID == "" || k.ID == w.ID) &&
			(w.Tag == "" || slices.Contains(k.Tags, w.Tag))
	})
}
