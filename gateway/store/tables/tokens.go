package tables

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Grant implements [store.Tokens].
func (s Store) Grant(ctx context.Context, id tenant.ID, f store.Family, first [32]byte) error {
	return s.writeOne(ctx, id, func(tx Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO families (tenant, id, key_name, user_name, scope, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			string(id), f.ID, f.Key, text(f.User), text(f.Scope), s.Time(f.Created), s.Time(f.Expires))
		if err == nil {
			err = s.addToken(ctx, tx, id, f.ID, first)
		}
		if err != nil && s.Double(err) {
			return fmt.Errorf("family %q: %w", f.ID, store.ErrConflict)
		}
		return err
	})
}

func (s Store) addToken(ctx context.Context, tx Tx, id tenant.ID, family string, digest [32]byte) error {
	_, err := tx.Exec(ctx, "INSERT INTO tokens (tenant, digest, family) VALUES ($1, $2, $3)", string(id), digest[:], family)
	return err
}

// Rotate implements [store.Tokens].
func (s Store) Rotate(ctx context.Context, id tenant.ID, t store.Turn) (store.Turned, error) {
	var answer store.Turned
	err := s.writeOne(ctx, id, func(tx Tx) (err error) {
		answer, err = s.turn(ctx, tx, id, t)
		return err
	})
	if err != nil || answer.Rotation != store.Reused {
		return answer, err
	}
	// A transaction of its own, because what is audited locks the audit before the family.
	answer.Family.Revoked = t.Now
	e := store.Entry{At: t.Now, Who: t.Client, Action: "tokens.reused", Object: answer.Family.ID}
	if err := s.RevokeFamily(ctx, id, answer.Family.ID, e); errors.Is(err, store.ErrNotFound) {
		answer.Rotation = store.Revoked // somebody else was quicker
	} else if err != nil {
		return store.Turned{}, err
	}
	return answer, nil
}

// turn decides about a token, and replaces it if it may. The family is locked first, so that all turns of its tokens come one
// after another; the token is read after that.
func (s Store) turn(ctx context.Context, tx Tx, id tenant.ID, t store.Turn) (store.Turned, error) {
	var q query
	q.add("SELECT "+familyColumns+" FROM families f JOIN tokens t ON t.tenant = f.tenant AND t.family = f.id WHERE t.tenant = ", string(id),
		" AND t.digest = ", t.Old[:], s.Lock("f", false))
	f, found, err := readFamily(ctx, tx, &q)
	if err != nil || !found {
		return store.Turned{}, err
	}
	var used time.Time
	var client *string
	var sealed []byte
	err = one(ctx, tx, []any{moment{&used}, &client, &sealed}, "SELECT used, client, sealed FROM tokens WHERE tenant = $1 AND digest = $2", string(id), t.Old[:])
	if err != nil {
		return store.Turned{}, err
	}
	switch {
	case !f.Revoked.IsZero():
		return store.Turned{Rotation: store.Revoked, Family: f}, nil
	case !t.Now.Before(f.Expires):
		return store.Turned{Rotation: store.Expired, Family: f}, nil
	case !used.IsZero() && t.Now.Sub(used) <= t.Grace && client != nil && *client == text(t.Client):
		return store.Turned{Rotation: store.Repeated, Family: f, Sealed: sealed}, nil
	case !used.IsZero():
		return store.Turned{Rotation: store.Reused, Family: f}, nil
	case t.Agrees != nil && !t.Agrees(&f):
		return store.Turned{Rotation: store.Declined, Family: f}, nil
	}
	_, err = tx.Exec(ctx, "UPDATE tokens SET used = $3, client = $4, sealed = $5 WHERE tenant = $1 AND digest = $2",
		string(id), t.Old[:], s.Time(t.Now), text(t.Client), t.Sealed)
	if err == nil {
		err = s.addToken(ctx, tx, id, f.ID, t.Next)
	}
	if err != nil && s.Double(err) {
		err = fmt.Errorf("a token of family %q: %w", f.ID, store.ErrConflict)
	}
	return store.Turned{Rotation: store.Rotated, Family: f}, err
}

const familyColumns = "f.id, f.key_name, f.user_name, f.scope, f.created, f.expires, f.revoked"

func readFamily(ctx context.Context, tx Tx, q *query) (f store.Family, found bool, err error) {
	err = q.run(ctx, tx, func(scan func(...any) error) error {
		found = true
		return scan(&f.ID, &f.Key, &f.User, &f.Scope, moment{&f.Created}, moment{&f.Expires}, moment{&f.Revoked})
	})
	return f, found, err
}

// Family implements [store.Tokens].
func (s Store) Family(ctx context.Context, id tenant.ID, family string) (f store.Family, err error) {
	err = s.readOne(ctx, id, func(tx Tx) error {
		var q query
		var found bool
		q.add("SELECT "+familyColumns+" FROM families f WHERE f.tenant = ", string(id), " AND f.id = ", family)
		if f, found, err = readFamily(ctx, tx, &q); err == nil && !found {
			err = fmt.Errorf("family %q: %w", family, store.ErrNotFound)
		}
		return err
	})
	return f, err
}

// RevokeFamily implements [store.Tokens].
func (s Store) RevokeFamily(ctx context.Context, id tenant.ID, family string, e store.Entry) error {
	return s.note(ctx, id, e, func(tx Tx) error {
		n, err := tx.Exec(ctx, "UPDATE families SET revoked = $3 WHERE tenant = $1 AND id = $2 AND revoked IS NULL", string(id), family, s.Time(e.At))
		if err == nil && n == 0 {
			err = fmt.Errorf("family %q: %w", family, store.ErrNotFound)
		}
		return err
	})
}

// RevokeFamilies implements [store.Tokens].
func (s Store) RevokeFamilies(ctx context.Context, id tenant.ID, key string, e store.Entry) (int, error) {
	n := 0
	err := s.note(ctx, id, e, func(tx Tx) (err error) {
		if n, err = s.revokeFamilies(ctx, tx, id, key, e.At); err == nil && n == 0 {
			err = store.ErrNotFound // and nothing to write about
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return n, err
}

func (s Store) revokeFamilies(ctx context.Context, tx Tx, id tenant.ID, key string, at time.Time) (int, error) {
	n, err := tx.Exec(ctx, "UPDATE families SET revoked = $3 WHERE tenant = $1 AND key_name = $2 AND revoked IS NULL", string(id), key, s.Time(at))
	return int(n), err
}
