// Package desk puts a configuration and its store before the admin API: for the gateway, and for commands that do without one.
package desk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// Files are the tenants of files, of the configuration that it returns: those of the store that were added to it are passed over.
type Files func() *config.Config

// fromStore is the File of a tenant that [config.ParseTenant] has read.
const fromStore = "store"

var _ admin.Files = Files(nil)

// IDs implements [admin.Files].
func (f Files) IDs() (ids []tenant.ID) {
	for _, t := range f().Tenants.List {
		if t.File != fromStore {
			ids = append(ids, tenant.ID(t.ID))
		}
	}
	return ids
}

// Tenant implements [admin.Files].
func (f Files) Tenant(id tenant.ID) (admin.FileTenant, bool) {
	list := f().Tenants.List
	i, ok := slices.BinarySearchFunc(list, string(id), func(t *config.Tenant, id string) int { return cmp.Compare(t.ID, id) })
	if !ok || list[i].File == fromStore {
		return admin.FileTenant{}, false
	}
	t, err := shown(list[i])
	if err != nil {
		return admin.FileTenant{File: list[i].File, Tenant: store.Tenant{ID: id}}, true // it is there, if not to be shown
	}
	return admin.FileTenant{Tenant: t, File: list[i].File}, true
}

// shown is a tenant as the store would have it. Its secrets are not in it.
func shown(t *config.Tenant) (store.Tenant, error) {
	without := *t
	without.Keys = nil
	s := store.Tenant{ID: tenant.ID(t.ID)}
	var err error
	if s.Spec, err = asJSON(&without); err != nil {
		return s, err
	}
	for _, k := range t.Keys {
		spec, err := asJSON(struct {
			Models []string      `yaml:"models,omitempty"`
			Limits config.Limits `yaml:"limits,omitempty"`
		}{k.Models, k.Limits})
		if err != nil {
			return s, err
		}
		s.Keys = append(s.Keys, store.Key{Name: k.Name, Digest: k.Digest, Expires: k.Expires, Spec: spec})
	}
	return s, nil
}

// asJSON is a part of a configuration in JSON, with the names that it has in files.
func asJSON(v any) ([]byte, error) {
	text, err := yaml.Dump(v)
	if err != nil {
		return nil, err
	}
	return FromYAML(text)
}

// FromYAML is YAML as JSON.
func FromYAML(text []byte) ([]byte, error) {
	var tree any
	if len(bytes.TrimSpace(text)) == 0 {
		return []byte("null"), nil
	}
	if err := yaml.Load(text, &tree); err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// Check says what is wrong with a tenant of the store, by the rules of files.
func Check(t store.Tenant) error {
	if _, err := config.ParseTenant(string(t.ID), string(t.ID)+".yaml", t.Spec); err != nil {
		return err
	}
	for i := range t.Keys {
		if _, err := config.ParseTenantKey(t.Keys[i].Name, t.Keys[i].Spec); err != nil {
			return err
		}
		if _, err := gateway.ParseDigest(t.Keys[i].Digest); err != nil {
			return fmt.Errorf("key %q: %w", t.Keys[i].Name, err)
		}
	}
	return nil
}

// Mint makes API keys, whose digests are made with the pepper, if there is one.
func Mint(pepper config.Secret) func(label string) (secret, digest string, err error) {
	return func(label string) (secret, digest string, err error) {
		if secret, err = key.New(label); err != nil {
			return "", "", err
		}
		return secret, key.Text(Digest(secret, pepper)), nil
	}
}

// Digest is what is kept of a key.
func Digest(secret string, pepper config.Secret) gateway.Digest {
	if pepper.IsZero() {
		return key.Digest([]byte(secret))
	}
	return key.NewPepper(pepper.Reveal()).Digest([]byte(secret))
}

// Tokens are the operators' tokens of a configuration that was checked.
func Tokens(c config.Admin) ([]admin.Token, error) {
	list := make([]admin.Token, len(c.Tokens))
	for i, t := range c.Tokens {
		digest, err := gateway.ParseDigest(t.Digest)
		if err != nil {
			return nil, fmt.Errorf("admin.tokens[%d].digest: %w", i, err)
		}
		role, err := admin.ParseRole(t.Role)
		if err != nil {
			return nil, fmt.Errorf("admin.tokens[%d].role: %w", i, err)
		}
		list[i] = admin.Token{Name: t.Name, Digest: digest, Role: role, Expires: t.Expires}
		for _, id := range t.Tenants {
			list[i].Tenants = append(list[i].Tenants, tenant.ID(id))
		}
	}
	return list, nil
}
