package cache

import (
	"slices"
	"sync"
	"sync/atomic"

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

// What is which answers a purge takes out: those that fit all that is said. The tenant is not empty.
type What struct {
	Tenant tenant.ID
	Model  string // canonical name
	Tag    string
	ID     string // of one answer
}

// Purge takes answers out, and says how many they were.
func (p *Plugin) Purge(w What) int {
	if p.store == nil || w.Tenant == "" {
		return 0
	}
	if w == (What{Tenant: w.Tenant}) {
		p.epochs.next(w.Tenant)
	}
	return p.store.each(func(k *kept) bool {
		return k.Tenant == w.Tenant && (w.Model == "" || k.Model == w.Model) && (w.ID == "" || k.ID == w.ID) &&
			(w.Tag == "" || slices.Contains(k.Tags, w.Tag))
	})
}
