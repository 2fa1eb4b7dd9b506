package auth

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Bounds of what is kept in memory: about 60 MiB.
const (
	mostFamilies = 64 << 10
	mostTokens   = 256 << 10
)

// memory keeps refresh tokens for one node without a store: until the plugin's settings change or the process ends, and not
// for others. When it is full, what was not used for longest is forgotten: a family with all its tokens, or a token that was
// replaced, which then is unknown and no sign of a theft any more. It keeps no audit.
type memory struct {
	mu       sync.Mutex
	families *simplelru.LRU[familyID, *kept]
	tokens   *simplelru.LRU[tokenID, *replaced]
}

type familyID struct {
	tenant tenant.ID
	id     string
}

type tokenID struct {
	tenant tenant.ID
	digest [32]byte
}

// kept is a family. It is dead once it is forgotten.
type kept struct {
	store.Family
	dead bool
}

// replaced is a token, and what it was replaced by.
type replaced struct {
	family *kept
	at     time.Time // zero: it was not
	sealed []byte
	client string
}

var _ store.Tokens = (*memory)(nil)

func newMemory() *memory {
	m := &memory{}
	m.families, _ = simplelru.NewLRU(mostFamilies, func(_ familyID, f *kept) { f.dead = true }) // fails for sizes below 1
	m.tokens, _ = simplelru.NewLRU[tokenID, *replaced](mostTokens, nil)
	return m
}

// Grant implements store.Tokens.
func (m *memory) Grant(_ context.Context, id tenant.ID, f store.Family, first [32]byte) error {
	if err := store.Check(id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fid, tid := familyID{id, f.ID}, tokenID{id, first}
	if m.families.Contains(fid) || m.tokens.Contains(tid) {
		return store.ErrConflict
	}
	k := &kept{Family: f}
	m.families.Add(fid, k)
	m.tokens.Add(tid, &replaced{family: k})
	return nil
}

// Rotate implements store.Tokens.
func (m *memory) Rotate(_ context.Context, id tenant.ID, t store.Turn) (store.Turned, error) {
	if err := store.Check(id); err != nil {
		return store.Turned{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	token, ok := m.tokens.Get(tokenID{id, t.Old})
	if !ok || token.family.dead {
		return store.Turned{}, nil
	}
	f := token.family
	m.families.Get(familyID{id, f.ID}) // it is in use
	switch {
	case !f.Revoked.IsZero():
		return store.Turned{Rotation: store.Revoked, Family: f.Family}, nil
	case !t.Now.Before(f.Expires):
		return store.Turned{Rotation: store.Expired, Family: f.Family}, nil
	case token.at.IsZero() && t.Agrees != nil && !t.Agrees(&f.Family):
		return store.Turned{Rotation: store.Declined, Family: f.Family}, nil
	case token.at.IsZero():
		if m.tokens.Contains(tokenID{id, t.Next}) {
			return store.Turned{}, store.ErrConflict
		}
		token.at, token.sealed, token.client = t.Now, t.Sealed, t.Client
		m.tokens.Add(tokenID{id, t.Next}, &replaced{family: f})
		return store.Turned{Rotation: store.Rotated, Family: f.Family}, nil
	case token.client == t.Client && t.Now.Sub(token.at) <= t.Grace:
		return store.Turned{Rotation: store.Repeated, Family: f.Family, Sealed: token.sealed}, nil
	}
	f.Revoked = t.Now
	return store.Turned{Rotation: store.Reused, Family: f.Family}, nil
}

// RevokeFamily implements store.Tokens.
func (m *memory) RevokeFamily(_ context.Context, id tenant.ID, family string, e store.Entry) error {
	if err := store.Check(id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.families.Peek(familyID{id, family})
	if !ok || !f.Revoked.IsZero() {
		return store.ErrNotFound
	}
	f.Revoked = e.At
	return nil
}

// RevokeFamilies implements store.Tokens.
func (m *memory) RevokeFamilies(_ context.Context, id tenant.ID, key string, e store.Entry) (int, error) {
	if err := store.Check(id); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, fid := range m.families.Keys() {
		if f, _ := m.families.Peek(fid); fid.tenant == id && f.Key == key && f.Revoked.IsZero() {
			f.Revoked = e.At
			n++
		}
	}
	return n, nil
}

// Family implements store.Tokens.
func (m *memory) Family(_ context.Context, id tenant.ID, family string) (store.Family, error) {
	if err := store.Check(id); err != nil {
		return store.Family{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.families.Peek(familyID{id, family})
	if !ok {
		return store.Family{}, store.ErrNotFound
	}
	return f.Family, nil
}
