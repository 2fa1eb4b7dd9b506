package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func testTenants(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	_, err := s.Tenant(ctx, "acme")
	is(t, err, store.ErrNotFound)

	spec := []byte(`{"z": 1,  "a":{"b":[1.50, 9007199254740993]}}`) // is kept to the byte
	first, err := s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: spec}, entry("tenant.create"))
	must(t, err)
	got, err := s.Tenant(ctx, "acme")
	must(t, err)
	same(t, "tenant", got, store.Tenant{ID: "acme", Spec: spec, Revision: first})
	_, err = s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: spec}, entry("tenant.create"))
	is(t, err, store.ErrConflict)

	second, err := s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: []byte(`{"name":"Acme"}`), Revision: first}, entry("tenant.change"))
	must(t, err)
	if second <= first {
		t.Errorf("revision %d after %d", second, first)
	}
	_, err = s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: spec, Revision: first}, entry("tenant.change"))
	is(t, err, store.ErrConflict)
	_, err = s.PutTenant(ctx, store.Tenant{ID: "bolt", Spec: spec, Revision: first}, entry("tenant.change"))
	is(t, err, store.ErrConflict)
	now, err := s.Revision(ctx)
	must(t, err)
	same(t, "revision", now, second) // what failed changed nothing

	must(t, s.DeleteTenant(ctx, "acme", entry("tenant.delete")))
	is(t, s.DeleteTenant(ctx, "acme", entry("tenant.delete")), store.ErrNotFound)
	_, err = s.Tenant(ctx, "acme")
	is(t, err, store.ErrNotFound)
	for _, revision := range []int64{0, second, second + 1} { // nobody inherits what the tenant has left
		_, err = s.PutTenant(ctx, store.Tenant{ID: "acme", Spec: spec, Revision: revision}, entry("tenant.create"))
		is(t, err, store.ErrConflict)
	}
	_, err = s.PutKeys(ctx, "acme", []store.Key{{Name: "ci", Digest: "d", Spec: []byte(`{}`), Created: noon}}, entry("key.create"))
	is(t, err, store.ErrNotFound)
}

func testChanged(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	changed := func(since int64, want ...string) int64 {
		t.Helper()
		revision, list, err := s.Tenants(ctx, since)
		must(t, err)
		now, err := s.Revision(ctx)
		must(t, err)
		same(t, "revision of the list", revision, now)
		var got []string
		for _, x := range list {
			name := []string{string(x.ID)}
			if x.Deleted {
				name[0] = "-" + name[0]
			}
			for _, k := range x.Keys {
				name = append(name, k.Name)
			}
			got = append(got, strings.Join(name, " "))
		}
		same(t, "changed", got, want)
		return revision
	}
	none := changed(0)
	same(t, "revision of nothing", none, int64(0))
	makeTenant(t, s, "acme", "d1")
	makeTenant(t, s, "bolt", "d2")
	both := changed(0, "acme ci", "bolt ci")
	changed(both)
	_, err := s.PutKeys(ctx, "bolt", []store.Key{{Name: "app", Digest: "d3", Spec: []byte(`{}`), Created: noon}}, entry("key.create"))
	must(t, err)
	added := changed(both, "bolt app ci")
	must(t, s.TouchKeys(ctx, map[tenant.ID]map[string]time.Time{"acme": {"ci": noon}}))
	changed(added)
	must(t, s.RevokeKey(ctx, "bolt", "ci", entry("key.revoke")))
	must(t, s.DeleteTenant(ctx, "acme", entry("tenant.delete")))
	changed(added, "-acme", "bolt app")
	changed(0, "bolt app")
}

func testKeys(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	makeTenant(t, s, "acme", "d1")
	makeTenant(t, s, "bolt", "d2")
	key := func(name, digest string, revision int64) store.Key {
		return store.Key{Name: name, Digest: digest, Spec: []byte(`{"allow": ["gpt-*"]}`), Revision: revision, Created: noon.Add(time.Microsecond), Expires: noon.Add(time.Hour)}
	}
	put := func(want error, keys ...store.Key) int64 {
		t.Helper()
		revision, err := s.PutKeys(ctx, "acme", keys, entry("key.create"))
		is(t, err, want)
		return revision
	}
	list := func(want ...store.Key) {
		t.Helper()
		x, err := s.Tenant(ctx, "acme")
		must(t, err)
		same(t, "keys", x.Keys, want)
	}
	x, err := s.Tenant(ctx, "acme")
	must(t, err)
	ci := x.Keys[0]

	put(store.ErrConflict, key("ci", "d9", 0))              // the name is there
	put(store.ErrConflict, key("app", "d2", 0))             // the digest is another tenant's
	put(store.ErrConflict, key("ci", "d9", ci.Revision+99)) // it was changed
	put(store.ErrConflict, key("new", "d8", 0), key("ci", "d9", 0))
	list(ci) // all or none

	// Rotation: another secret under the name, and the one before under another name for as long as the grace.
	revision := put(nil, key("ci", "d3", ci.Revision), key("ci~1", "d1", 0))
	list(key("ci", "d3", revision), key("ci~1", "d1", revision))
	before, err := s.Tenant(ctx, "bolt")
	must(t, err)
	same(t, "keys of the other", len(before.Keys), 1)
	if x, err = s.Tenant(ctx, "acme"); err != nil || x.Revision == revision {
		t.Errorf("a key changed the tenant's own revision: %+v, %v", x, err)
	}
}

func testTouch(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	makeTenant(t, s, "acme", "d1")
	makeTenant(t, s, "bolt", "d2")
	makeTenant(t, s, "cone", "d3")
	touch := func(at, want time.Time) {
		t.Helper()
		must(t, s.TouchKeys(ctx, map[tenant.ID]map[string]time.Time{"acme": {"ci": at, "gone": at}, "cone": {"ci": at}, "gone": {"ci": at}}))
		for _, id := range []tenant.ID{"acme", "cone"} {
			x, err := s.Tenant(ctx, id)
			must(t, err)
			same(t, "used", x.Keys[0].Used, want)
		}
	}
	touch(noon, noon)
	touch(noon.Add(-time.Minute), noon)
	touch(noon.Add(time.Minute), noon.Add(time.Minute))
	must(t, s.TouchKeys(ctx, nil))

	x, err := s.Tenant(ctx, "acme")
	must(t, err)
	k := x.Keys[0]
	k.Used = time.Time{}
	_, err = s.PutKeys(ctx, "acme", []store.Key{k}, entry("key.change"))
	must(t, err)
	x, err = s.Tenant(ctx, "acme")
	must(t, err)
	same(t, "used after a change", x.Keys[0].Used, noon.Add(time.Minute))
	x, err = s.Tenant(ctx, "bolt")
	must(t, err)
	same(t, "the other's", x.Keys[0].Used, time.Time{})
}

func testRevokeKey(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	makeTenant(t, s, "acme", "d1")
	makeTenant(t, s, "bolt", "d2")
	for _, id := range []tenant.ID{"acme", "bolt"} {
		must(t, s.Grant(ctx, id, family("f1", "ci"), token(1)))
	}
	must(t, s.Grant(ctx, "acme", family("f2", "app"), token(2)))
	must(t, s.RevokeKey(ctx, "acme", "ci", entry("key.revoke")))
	is(t, s.RevokeKey(ctx, "acme", "ci", entry("key.revoke")), store.ErrNotFound)
	is(t, s.RevokeKey(ctx, "none", "ci", entry("key.revoke")), store.ErrNotFound)
	turn(t, s, "acme", swap{1, 3}, store.Revoked)
	turn(t, s, "acme", swap{2, 4}, store.Rotated) // of another key
	turn(t, s, "bolt", swap{1, 3}, store.Rotated) // of another tenant

	// Its name may be given again, and its digest has gone.
	_, err := s.PutKeys(ctx, "acme", []store.Key{{Name: "ci", Digest: "d5", Spec: []byte(`{}`), Created: noon}}, entry("key.create"))
	must(t, err)

	must(t, s.DeleteTenant(ctx, "acme", entry("tenant.delete")))
	turn(t, s, "acme", swap{4, 5}, store.Revoked)
	turn(t, s, "bolt", swap{3, 5}, store.Rotated)
}

// testConcurrentChanges has revisions in the order in which they can be seen: who polls misses no change.
func testConcurrentChanges(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	const writers, each = 4, 10
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				id := tenant.ID(fmt.Sprintf("t%d-%d", w, i))
				if _, err := s.PutTenant(ctx, store.Tenant{ID: id, Spec: []byte(`{}`)}, entry("tenant.create")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	seen := map[tenant.ID]bool{}
	since, last := int64(0), false
	for !last {
		select {
		case <-over:
			last = true // and once more
		default:
		}
		revision, list, err := s.Tenants(ctx, since)
		must(t, err)
		for _, x := range list {
			if seen[x.ID] || x.Revision <= since || x.Revision > revision {
				t.Errorf("%+v between %d and %d", x, since, revision)
			}
			seen[x.ID] = true
		}
		since = revision
	}
	same(t, "tenants seen", len(seen), writers*each)
	same(t, "revision", since, int64(writers*each))
	sound(t, s, 0)
}
