package tables

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Revision implements [store.Tenants].
func (s Store) Revision(ctx context.Context) (n int64, err error) {
	err = s.Read(ctx, All, func(tx Tx) error {
		n, err = revision(ctx, tx)
		return err
	})
	return n, err
}

func revision(ctx context.Context, tx Tx) (n int64, err error) {
	err = one(ctx, tx, []any{&n}, "SELECT revision FROM meta")
	return n, err
}

// Tenants implements [store.Tenants].
func (s Store) Tenants(ctx context.Context, since int64) (n int64, list []store.Tenant, err error) {
	err = s.Read(ctx, All, func(tx Tx) error {
		if n, err = revision(ctx, tx); err != nil {
			return err
		}
		var q query
		q.add("SELECT id, spec, revision, deleted FROM tenants WHERE changed > ", since)
		if since == 0 {
			q.add(" AND NOT deleted")
		}
		q.add(" ORDER BY id")
		list, err = readTenants(ctx, tx, &q)
		if err != nil {
			return err
		}
		places := make(map[tenant.ID]int, len(list))
		for i := range list {
			places[list[i].ID] = i
		}
		var keys query
		keys.add("SELECT k.tenant, "+keyColumns+" FROM keys k JOIN tenants t ON t.id = k.tenant WHERE t.changed > ", since, " ORDER BY k.name")
		return readKeys(ctx, tx, &keys, func(id tenant.ID, k store.Key) {
			if i, ok := places[id]; ok {
				list[i].Keys = append(list[i].Keys, k)
			}
		})
	})
	return n, list, err
}

// Tenant implements [store.Tenants].
func (s Store) Tenant(ctx context.Context, id tenant.ID) (t store.Tenant, err error) {
	err = s.readOne(ctx, id, func(tx Tx) error {
		var q query
		q.add("SELECT id, spec, revision, deleted FROM tenants WHERE NOT deleted AND id = ", string(id))
		list, err := readTenants(ctx, tx, &q)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fmt.Errorf("tenant %q: %w", id, store.ErrNotFound)
		}
		t = list[0]
		var keys query
		keys.add("SELECT k.tenant, "+keyColumns+" FROM keys k WHERE k.tenant = ", string(id), " ORDER BY k.name")
		return readKeys(ctx, tx, &keys, func(_ tenant.ID, k store.Key) { t.Keys = append(t.Keys, k) })
	})
	return t, err
}

func readTenants(ctx context.Context, tx Tx, q *query) (list []store.Tenant, err error) {
	err = q.run(ctx, tx, func(scan func(...any) error) error {
		var t store.Tenant
		var id, spec string
		err := scan(&id, &spec, &t.Revision, &t.Deleted)
		t.ID, t.Spec = tenant.ID(id), []byte(spec)
		list = append(list, t)
		return err
	})
	return list, err
}

const keyColumns = "k.name, k.digest, k.spec, k.revision, k.created, k.expires, k.used"

func readKeys(ctx context.Context, tx Tx, q *query, each func(tenant.ID, store.Key)) error {
	return q.run(ctx, tx, func(scan func(...any) error) error {
		var k store.Key
		var id, spec string
		err := scan(&id, &k.Name, &k.Digest, &spec, &k.Revision, moment{&k.Created}, moment{&k.Expires}, moment{&k.Used})
		k.Spec = []byte(spec)
		each(tenant.ID(id), k)
		return err
	})
}

// PutTenant implements [store.Tenants].
func (s Store) PutTenant(ctx context.Context, t store.Tenant, e store.Entry) (int64, error) {
	return s.change(ctx, t.ID, e, func(tx Tx, revision int64) error {
		n, err := int64(0), error(nil)
		if t.Revision == 0 {
			n, err = tx.Exec(ctx, "INSERT INTO tenants (id, spec, revision, changed, deleted) VALUES ($1, $2, $3, $3, FALSE) ON CONFLICT (id) DO NOTHING",
				string(t.ID), string(t.Spec), revision)
		} else {
			n, err = tx.Exec(ctx, "UPDATE tenants SET spec = $2, revision = $3, changed = $3 WHERE id = $1 AND revision = $4 AND NOT deleted",
				string(t.ID), string(t.Spec), revision, t.Revision)
		}
		if err == nil && n == 0 {
			err = fmt.Errorf("tenant %q: %w", t.ID, store.ErrConflict)
		}
		return err
	})
}

// DeleteTenant implements [store.Tenants].
func (s Store) DeleteTenant(ctx context.Context, id tenant.ID, e store.Entry) error {
	_, err := s.change(ctx, id, e, func(tx Tx, revision int64) error {
		n, err := tx.Exec(ctx, "UPDATE tenants SET deleted = TRUE, revision = $2, changed = $2 WHERE id = $1 AND NOT deleted", string(id), revision)
		if err == nil && n == 0 {
			err = fmt.Errorf("tenant %q: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM keys WHERE tenant = $1", string(id)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE families SET revoked = $2 WHERE tenant = $1 AND revoked IS NULL", string(id), s.Time(e.At))
		return err
	})
	return err
}

// PutKeys implements [store.Keys].
func (s Store) PutKeys(ctx context.Context, id tenant.ID, keys []store.Key, e store.Entry) (int64, error) {
	return s.change(ctx, id, e, func(tx Tx, revision int64) error {
		if err := touched(ctx, tx, id, revision); err != nil {
			return err
		}
		for i := range keys {
			if err := s.putKey(ctx, tx, id, &keys[i], revision); err != nil {
				return fmt.Errorf("key %q of tenant %q: %w", keys[i].Name, id, err)
			}
		}
		return nil
	})
}

// touched notes that something of a tenant changes.
func touched(ctx context.Context, tx Tx, id tenant.ID, revision int64) error {
	n, err := tx.Exec(ctx, "UPDATE tenants SET changed = $2 WHERE id = $1 AND NOT deleted", string(id), revision)
	if err == nil && n == 0 {
		err = fmt.Errorf("tenant %q: %w", id, store.ErrNotFound)
	}
	return err
}

func (s Store) putKey(ctx context.Context, tx Tx, id tenant.ID, k *store.Key, revision int64) (err error) {
	var n int64
	args := []any{string(id), k.Name, k.Digest, string(k.Spec), revision, s.Time(k.Created), s.Time(k.Expires)}
	if k.Revision == 0 {
		n, err = tx.Exec(ctx, "INSERT INTO keys (tenant, name, digest, spec, revision, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)", args...)
	} else {
		n, err = tx.Exec(ctx, "UPDATE keys SET digest = $3, spec = $4, revision = $5, created = $6, expires = $7 WHERE tenant = $1 AND name = $2 AND revision = $8", append(args, k.Revision)...)
	}
	if err == nil && n == 0 || err != nil && s.Double(err) {
		return store.ErrConflict
	}
	return err
}

// RevokeKey implements [store.Keys].
func (s Store) RevokeKey(ctx context.Context, id tenant.ID, name string, e store.Entry) error {
	_, err := s.change(ctx, id, e, func(tx Tx, revision int64) error {
		if err := touched(ctx, tx, id, revision); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, "DELETE FROM keys WHERE tenant = $1 AND name = $2", string(id), name)
		if err == nil && n == 0 {
			err = fmt.Errorf("key %q of tenant %q: %w", name, id, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		_, err = s.revokeFamilies(ctx, tx, id, name, e.At)
		return err
	})
	return err
}

// TouchKeys implements [store.Keys].
func (s Store) TouchKeys(ctx context.Context, used map[tenant.ID]map[string]time.Time) error {
	var list [][]any
	for _, id := range slices.Sorted(maps.Keys(used)) {
		if err := store.Check(id); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(used[id])) {
			list = append(list, []any{string(id), name, s.Time(used[id][name])})
		}
	}
	return s.Write(ctx, All, func(tx Tx) error {
		return tx.Many(ctx, "UPDATE keys SET used = $3 WHERE tenant = $1 AND name = $2 AND (used IS NULL OR used < $3)", list)
	})
}
