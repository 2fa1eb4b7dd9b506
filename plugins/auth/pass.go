package auth

import (
	"crypto/rand"
	"sync"
	"sync/atomic"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// Passes are credentials by which the process itself asks for a tenant, on behalf of an operator: one for each tenant that was
// asked for. They are in its memory alone, stand for no key, and end with it. The zero value is ready, and nil has none.
type Passes struct {
	mu      sync.Mutex
	secrets map[tenant.ID]string
	owners  atomic.Pointer[map[gateway.Digest]tenant.ID] // replaced, never changed: every key that is checked looks here
}

// Of is the tenant's pass. It must not leave the process.
func (p *Passes) Of(id tenant.ID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if secret, ok := p.secrets[id]; ok {
		return secret
	}
	if p.secrets == nil {
		p.secrets = map[tenant.ID]string{}
	}
	p.secrets[id] = "pass-" + rand.Text()
	owners := make(map[gateway.Digest]tenant.ID, len(p.secrets))
	for id, secret := range p.secrets {
		owners[key.Digest([]byte(secret))] = id
	}
	p.owners.Store(&owners)
	return p.secrets[id]
}

// caller is who holds the pass with that digest, if the tenant is there.
func (p *Passes) caller(digest gateway.Digest, d *gateway.Directory) (gateway.Caller, bool) {
	if p == nil {
		return gateway.Caller{}, false
	}
	owners := p.owners.Load()
	if owners == nil {
		return gateway.Caller{}, false
	}
	id, ok := (*owners)[digest]
	if !ok {
		return gateway.Caller{}, false
	}
	t := d.Tenant(id)
	return gateway.Caller{Tenant: t, Key: tenant.Operator}, t != nil
}
