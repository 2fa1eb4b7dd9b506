package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Key is an API key, as it is shown: never itself, and not its digest.
type Key struct {
	Name    string     `json:"name"`
	Created *time.Time `json:"created,omitempty"`
	Expires *time.Time `json:"expires,omitempty"` // never, if left out
	Used    *time.Time `json:"used,omitempty"`    // last
	Models  []string   `json:"models,omitempty"`
	Limits  Limits     `json:"limits,omitzero"`
}

// NewKey is the answer to what makes a key. It is the only one that has a secret.
type NewKey struct {
	Key
	Secret string `json:"secret"`        // the key itself; it cannot be shown again
	Old    *Key   `json:"old,omitempty"` // what it replaces, as long as that still works
}

// keySpec is what of a key is in its Spec.
type keySpec struct {
	Models []string `json:"models,omitempty"`
	Limits *Limits  `json:"limits,omitempty"`
}

func keyOf(k *store.Key) Key {
	var spec keySpec
	if len(k.Spec) > 0 && json.Unmarshal(k.Spec, &spec) != nil {
		spec = keySpec{}
	}
	shown := Key{Name: k.Name, Created: moment(k.Created), Expires: moment(k.Expires), Used: moment(k.Used), Models: spec.Models}
	if spec.Limits != nil {
		shown.Limits = *spec.Limits
	}
	return shown
}

func keysOf(list []store.Key) []Key {
	shown := make([]Key, len(list))
	for i := range list {
		shown[i] = keyOf(&list[i])
	}
	return shown
}

// moment is a time for answers, which leave out what is zero.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (c *call) listKeys() error {
	t, _, err := c.found()
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, Answer[[]Key]{Data: keysOf(t.Keys)})
}

// keyForm is what keys that are made here may be called. There is no ~ in it, which sets apart keys that were replaced.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$`)

// keyOrder is the body of what makes a key.
type keyOrder struct {
	Name string `json:"name"`
	keySpec
	Expires time.Time `json:"expires"`
}

func (c *call) createKey() error {
	var order keyOrder
	if err := c.optionalBody(&order); err != nil {
		return err
	}
	s, t, err := c.mine()
	if err != nil {
		return err
	}
	for n := len(t.Keys) + 1; order.Name == ""; n++ {
		if name := "key-" + strconv.Itoa(n); find(t.Keys, name) == nil {
			order.Name = name
		}
	}
	if !keyForm.MatchString(order.Name) {
		return &apiError{http.StatusBadRequest, "invalid_key", "name is not up to 40 letters, digits and . _ -"}
	}
	if find(t.Keys, order.Name) != nil {
		return &apiError{http.StatusConflict, "conflict", "The tenant has a key " + strconv.Quote(order.Name) + " already."}
	}
	now := time.Now().UTC()
	if !order.Expires.IsZero() && !order.Expires.After(now) {
		return &apiError{http.StatusBadRequest, "invalid_key", "expires is in the past."}
	}
	k := store.Key{Name: order.Name, Created: now, Expires: order.Expires}
	if k.Spec, err = json.Marshal(order.keySpec); err != nil {
		return invalidJSON(err.Error())
	}
	if refers(k.Spec) {
		return &apiError{http.StatusBadRequest, "invalid_key", "References (${env:…}, ${file:…}) are for files."}
	}
	secret, digest, err := c.mint(t.ID)
	if err != nil {
		return err
	}
	k.Digest = digest
	t.Keys = append(t.Keys, k)
	if err := c.check(t); err != nil {
		return err
	}
	if _, err := s.PutKeys(c.ctx, t.ID, []store.Key{k}, c.entry(k.Name, "", k.Digest)); err != nil {
		return err
	}
	return changed(c, t.ID, k.Name, http.StatusCreated, NewKey{Key: keyOf(&k), Secret: secret})
}

// mint makes a key for a tenant. What of its id can be in a key says whose it is.
func (c *call) mint(id tenant.ID) (secret, digest string, err error) {
	if c.s.o.Mint == nil {
		return "", "", &apiError{http.StatusServiceUnavailable, "no_keys", "This gateway makes no keys: auth is not in the chain."}
	}
	label := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, string(id))
	return c.s.o.Mint(label[:min(len(label), 32)])
}

func find(list []store.Key, name string) *store.Key {
	if i := slices.IndexFunc(list, func(k store.Key) bool { return k.Name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}

// mostGrace is how long a key may go on working that was replaced, and someGrace how long it does if nothing is said.
const (
	mostGrace = 30 * 24 * time.Hour
	someGrace = time.Hour
)

// rotation is the body of what replaces a key.
type rotation struct {
	Grace   string    `json:"grace"`
	Expires time.Time `json:"expires"` // of the new one; left out: as the old one
}

// rotateKey puts a new key in the place of an old one, which goes on working for the grace under a name of its own.
func (c *call) rotateKey() error {
	order := rotation{Grace: someGrace.String()}
	if err := c.optionalBody(&order); err != nil {
		return err
	}
	grace, err := time.ParseDuration(order.Grace)
	if err != nil || grace < 0 || grace > mostGrace {
		return &apiError{http.StatusBadRequest, "invalid_key", "grace is a time from 0s to 720h, such as 1h."}
	}
	s, t, k, err := c.key()
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	if strings.Contains(k.Name, "~") {
		return &apiError{http.StatusConflict, "conflict", "This key was replaced already."}
	}
	old := *k
	if !order.Expires.IsZero() {
		k.Expires = order.Expires
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		return &apiError{http.StatusBadRequest, "invalid_key", "The key has expired: say in expires until when the new one works."}
	}
	secret, digest, err := c.mint(t.ID)
	if err != nil {
		return err
	}
	k.Digest, k.Created = digest, now
	put := []store.Key{*k}
	answer := NewKey{Key: keyOf(k), Secret: secret}
	answer.Used = nil // the old one was
	if end := now.Add(grace); grace > 0 && (old.Expires.IsZero() || old.Expires.After(now)) {
		name := old.Name
		for at := now; find(t.Keys, old.Name) != nil; at = at.Add(time.Millisecond) { // it may have been rotated just now
			old.Name = tenant.Replaced(name, at)
		}
		old.Revision = 0
		if old.Expires.IsZero() || end.Before(old.Expires) {
			old.Expires = end
		}
		put = append(put, old)
		shown := keyOf(&old)
		answer.Old = &shown
		t.Keys = append(t.Keys, old)
	}
	if err := c.check(t); err != nil {
		return err
	}
	if _, err := s.PutKeys(c.ctx, t.ID, put, c.entry(k.Name, old.Digest, k.Digest)); err != nil {
		return err
	}
	return changed(c, t.ID, k.Name, http.StatusOK, answer)
}

// key is the key that the path names, of a tenant that may be changed.
func (c *call) key() (store.Store, store.Tenant, *store.Key, error) {
	s, t, err := c.mine()
	if err != nil {
		return s, t, nil, err
	}
	k := find(t.Keys, c.r.PathValue("key"))
	if k == nil {
		err = &apiError{http.StatusNotFound, "not_found", "The tenant has no key " + strconv.Quote(c.r.PathValue("key")) + "."}
	}
	return s, t, k, err
}

// revokeKey takes a key away, and those that it has replaced and that still work: who revokes a key that has leaked means them,
// too.
func (c *call) revokeKey() error {
	s, t, k, err := c.key()
	if err != nil {
		return err
	}
	name, n := k.Name, 0
	for _, old := range t.Keys {
		if old.Name == name || tenant.KeyName(old.Name) != name {
			continue
		}
		if err := s.RevokeKey(c.ctx, t.ID, old.Name, c.entry(old.Name, old.Digest, "")); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n++
	}
	if err := s.RevokeKey(c.ctx, t.ID, name, c.entry(name, k.Digest, "")); err != nil { // last, so that it can be asked for again
		return err
	}
	return changed(c, t.ID, name, http.StatusOK, Done{Done: true, Count: n + 1})
}

// revokeFamilies takes away the refresh tokens that came from a key, of a file or of the store. If there are none, nothing is
// changed, nor audited.
func (c *call) revokeFamilies() error {
	s, err := c.store()
	if err != nil {
		return err
	}
	name := c.r.PathValue("key")
	n, err := s.RevokeFamilies(c.ctx, c.tenant(), name, c.entry(name, "", ""))
	if err != nil {
		return err
	}
	if n == 0 {
		return c.json(http.StatusOK, Answer[Done]{})
	}
	return changed(c, c.tenant(), name, http.StatusOK, Done{Done: true, Count: n})
}

// revokeFamily takes away the refresh tokens of one grant.
func (c *call) revokeFamily() error {
	s, err := c.store()
	if err != nil {
		return err
	}
	name := c.r.PathValue("family")
	err = s.RevokeFamily(c.ctx, c.tenant(), name, c.entry(name, "", ""))
	if errors.Is(err, store.ErrNotFound) {
		return &apiError{http.StatusNotFound, "not_found", "The tenant has no refresh tokens of this family, or they were revoked."}
	}
	if err != nil {
		return err
	}
	return changed(c, c.tenant(), name, http.StatusOK, Done{Done: true})
}
