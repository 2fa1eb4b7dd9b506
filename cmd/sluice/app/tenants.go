package app

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// made are the tenants that the admin API has made, on this node or on others. Together with those of files they are one
// configuration: nobody behind it knows where a tenant comes from.
type made struct {
	store store.Store
	log   *zap.Logger

	mu       sync.Mutex
	revision int64 // as it was read; unread until it was
	used     int64 // as it is in effect
	tenants  map[tenant.ID]*config.Tenant
	broken   map[tenant.ID]string
}

func newMade(s store.Store, log *zap.Logger) *made {
	return &made{store: s, log: log, revision: unread, used: unread, tenants: map[tenant.ID]*config.Tenant{}, broken: map[tenant.ID]string{}}
}

// unread stands for the revision of a store that was not read yet.
const unread = -1

// Times of the watch: what is changed on one node is so on the others within a second.
const (
	lookEvery = 500 * time.Millisecond
	lookTime  = 2 * time.Second
)

// watch calls changed whenever the store holds something that is not in effect, until it is. While it cannot be asked, what is known stays.
func (m *made) watch(ctx context.Context, changed func()) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := m.refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			m.log.Warn("the store cannot be asked for tenants; those that are known stay", zap.Error(err))
		}
		failing = err != nil
		if m.pending() {
			changed()
		}
	}
}

// refresh reads what has changed in the store.
func (m *made) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	now, err := m.store.Revision(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now == m.revision {
		return nil
	}
	now, list, err := m.store.Tenants(ctx, max(m.revision, 0))
	if err != nil {
		return err
	}
	m.revision = now
	for i := range list {
		m.take(&list[i])
	}
	return nil
}

// pending says whether something that was read is not in effect.
func (m *made) pending() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision != m.used
}

// use notes the revision that is in effect.
func (m *made) use(revision int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	m.used = revision
	m.mu.Unlock()
}

// take takes over one that has changed. One that cannot be read keeps its last good version, but for what was taken away since.
func (m *made) take(t *store.Tenant) {
	delete(m.broken, t.ID)
	if t.Deleted {
		delete(m.tenants, t.ID)
		return
	}
	c, err := parse(t)
	if err != nil {
		m.broken[t.ID] = err.Error()
		if good := m.tenants[t.ID]; good != nil {
			m.tenants[t.ID] = less(good, t)
		}
		return
	}
	m.tenants[t.ID] = c
}

// less is the last good version of a tenant with those keys alone that the store has still, until they expire there, and disabled if
// that can be read: a newer version of this program may have written what this one cannot read.
func less(good *config.Tenant, now *store.Tenant) *config.Tenant {
	c := *good
	c.Keys = nil
	for _, k := range good.Keys {
		i := slices.IndexFunc(now.Keys, func(n store.Key) bool { return n.Digest == k.Digest })
		if i >= 0 {
			k.Name, k.Expires = now.Keys[i].Name, now.Keys[i].Expires
			c.Keys = append(c.Keys, k)
		}
	}
	var said struct {
		Disabled bool `json:"disabled"`
	}
	c.Disabled = json.Unmarshal(now.Spec, &said) == nil && said.Disabled || good.Disabled
	return &c
}

// parse makes of what the store holds what a file would.
func parse(t *store.Tenant) (*config.Tenant, error) {
	c, err := config.ParseTenant(string(t.ID), string(t.ID)+".yaml", t.Spec)
	if err != nil {
		return nil, err
	}
	for i := range t.Keys {
		k := &t.Keys[i]
		key, err := config.ParseTenantKey(k.Name, k.Spec)
		if err != nil {
			return nil, err
		}
		key.Digest, key.Expires = k.Digest, k.Expires
		c.Keys = append(c.Keys, key)
	}
	return c, nil
}

// merge returns a configuration of files with the tenants of a revision added, and says what is wrong with them.
func (m *made) merge(of *config.Config) (c *config.Config, faults []string, revision int64) {
	with := *of
	c, with.Tenants.List = &with, slices.Clone(of.Tenants.List)
	files := len(c.Tenants.List)
	if m != nil {
		faults, revision = m.add(c)
	}
	faults = append(faults, withoutRivals(c, files)...)
	slices.SortFunc(c.Tenants.List, func(a, b *config.Tenant) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(faults)
	return c, faults, revision
}

// add adds the tenants to those of files. What a file says goes before.
func (m *made) add(c *config.Config) (faults []string, revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Tenants.Partial = m.revision == unread; c.Tenants.Partial {
		faults = append(faults, "tenants of the store are not known yet: it could not be read since the start; keys that are in no file are answered with 503")
	}
	files, digests := map[string]string{}, map[string]bool{}
	for _, t := range c.Tenants.List {
		files[t.ID] = t.File
		for _, k := range t.Keys {
			digests[k.Digest] = true
		}
	}
	for id, why := range m.broken {
		faults = append(faults, fmt.Sprintf("tenant %s of the store: %s", id, why))
	}
	for id, t := range m.tenants {
		if file, twice := files[t.ID]; twice {
			faults = append(faults, fmt.Sprintf("tenant %s is in the store and in %s: the file counts", id, file))
			continue
		}
		if taken := slices.IndexFunc(t.Keys, func(k config.TenantKey) bool { return digests[k.Digest] }); taken >= 0 {
			faults = append(faults, fmt.Sprintf("tenant %s of the store: the key %s is somebody else's", id, t.Keys[taken].Name))
			continue
		}
		c.Tenants.List = append(c.Tenants.List, t)
	}
	return faults, m.revision
}

// claims says whether a tenant has an identity provider in the store already.
func (m *made) claims(id tenant.ID, j *config.JWT) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tenants[id]
	return t != nil && reflect.DeepEqual(t.JWT, j)
}
