package auth

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// The memory does what gateway/store/storetest asks of stores' tokens, but for the audit.
func TestMemory(t *testing.T) {
	m, ctx, noon := newMemory(), t.Context(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	token := func(n byte) (d [32]byte) { d[0] = n; return d }
	family := func(id, key string) store.Family {
		return store.Family{ID: id, Key: key, User: "ann", Scope: "o3", Created: noon, Expires: noon.Add(time.Hour)}
	}
	grant := func(id tenant.ID, f store.Family, first byte, want error) {
		t.Helper()
		if err := m.Grant(ctx, id, f, token(first)); !errors.Is(err, want) {
			t.Errorf("granting %s: %v", f.ID, err)
		}
	}
	rotate := func(id tenant.ID, before, next byte, client string, at time.Duration, want store.Rotation) store.Turned {
		t.Helper()
		got, err := m.Rotate(ctx, id, store.Turn{Old: token(before), Next: token(next), Sealed: []byte{next}, Client: client, Now: noon.Add(at), Grace: 10 * time.Second})
		if err != nil || got.Rotation != want {
			t.Errorf("%d to %d: %d, %v", before, next, got.Rotation, err)
		}
		return got
	}
	const acme, beta = tenant.ID("acme"), tenant.ID("beta")
	grant(acme, family("f1", "ci"), 1, nil)
	grant(acme, family("f1", "ci"), 9, store.ErrConflict)
	grant(acme, family("f2", "ci"), 1, store.ErrConflict)
	grant(beta, family("f1", "ci"), 1, nil) // the same names of another tenant are others
	rotate(acme, 7, 8, "c", 0, store.Unknown)
	if got := rotate(acme, 1, 2, "c", 0, store.Rotated); got.Family != family("f1", "ci") {
		t.Errorf("%+v", got)
	}
	for _, at := range []time.Duration{0, 10 * time.Second} {
		if got := rotate(acme, 1, 3, "c", at, store.Repeated); string(got.Sealed) != "\x02" || got.Family.ID != "f1" {
			t.Errorf("%+v", got)
		}
	}
	rotate(acme, 3, 4, "c", 0, store.Unknown)
	rotate(acme, 2, 4, "c", 0, store.Rotated)
	if _, err := m.Rotate(ctx, acme, store.Turn{Old: token(4), Next: token(1), Now: noon}); !errors.Is(err, store.ErrConflict) {
		t.Error(err)
	}
	if got := rotate(acme, 1, 5, "c", 10*time.Second+1, store.Reused); !got.Family.Revoked.Equal(noon.Add(10*time.Second + 1)) {
		t.Errorf("%+v", got)
	}
	for _, n := range []byte{1, 2, 4} {
		rotate(acme, n, 6, "c", 0, store.Revoked)
	}
	rotate(beta, 1, 2, "c", 0, store.Rotated) // not touched
	rotate(beta, 1, 3, "thief", 0, store.Reused)

	grant(acme, family("f3", "app"), 31, nil)
	rotate(acme, 31, 32, "c", time.Hour, store.Expired)
	rotate(acme, 31, 32, "c", time.Hour-1, store.Rotated)
	grant(acme, family("f4", "app"), 41, nil)
	grant(beta, family("f4", "app"), 41, nil)
	revoked := store.Entry{At: noon}
	if err := m.RevokeFamily(ctx, acme, "f4", revoked); err != nil {
		t.Error(err)
	}
	if err := m.RevokeFamily(ctx, acme, "f4", revoked); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if n, err := m.RevokeFamilies(ctx, acme, "app", revoked); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	rotate(acme, 32, 33, "c", 0, store.Revoked)
	rotate(beta, 41, 42, "c", 0, store.Rotated)
	if f, err := m.Family(ctx, beta, "f4"); err != nil || f != family("f4", "app") {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := m.Family(ctx, beta, "f3"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	// Nobody has nothing.
	_, rotated := m.Rotate(ctx, "", store.Turn{})
	_, families := m.RevokeFamilies(ctx, "", "ci", revoked)
	_, asked := m.Family(ctx, "", "f1")
	for _, err := range []error{m.Grant(ctx, "", family("f", "k"), token(1)), rotated, m.RevokeFamily(ctx, "", "f1", revoked), families, asked} {
		if !errors.Is(err, store.ErrNoTenant) {
			t.Error(err)
		}
	}
}

// One token in the hands of many is replaced once.
func TestMemoryAtOnce(t *testing.T) {
	m, now := newMemory(), time.Unix(1_800_000_000, 0)
	if err := m.Grant(t.Context(), "acme", store.Family{ID: "f", Expires: now.Add(time.Hour)}, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := map[store.Rotation]int{}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			got, err := m.Rotate(t.Context(), "acme", store.Turn{Old: [32]byte{1}, Next: [32]byte{2, byte(i)}, Client: string(rune('a' + i)), Now: now, Grace: time.Minute})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			count[got.Rotation]++
			mu.Unlock()
		})
	}
	all.Wait()
	if count[store.Rotated] != 1 || count[store.Reused] != 1 || count[store.Revoked] != 14 {
		t.Errorf("%v", count)
	}
}

// What is full forgets, and what was forgotten is good for nothing.
func TestMemoryIsBounded(t *testing.T) {
	m, now := newMemory(), time.Unix(1_800_000_000, 0)
	digest := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1} }
	for i := range mostFamilies + 1 {
		f := store.Family{ID: string(rune(i + 0x10000)), Key: "k", Expires: now.Add(time.Hour)}
		if err := m.Grant(t.Context(), "acme", f, digest(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range map[int]store.Rotation{0: store.Unknown, 1: store.Rotated, mostFamilies: store.Rotated} {
		got, err := m.Rotate(t.Context(), "acme", store.Turn{Old: digest(i), Next: [32]byte{9, 9, 9, byte(i), byte(i >> 8)}, Now: now})
		if err != nil || got.Rotation != want {
			t.Errorf("%d: %d, %v", i, got.Rotation, err)
		}
	}
	if n, f := m.tokens.Len(), m.families.Len(); n > mostTokens || f > mostFamilies {
		t.Errorf("%d tokens, %d families", n, f)
	}
}
