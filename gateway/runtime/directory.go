package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
)

// directory builds everything that an exchange can name.
func (r *Runtime) directory(c *config.Config, g, old *Generation) (*gateway.Directory, error) {
	e := gateway.Entries{Aliases: map[string]string{}, Keys: map[gateway.Digest]*gateway.Key{}, Origins: c.Server.CORS.Origins, Created: time.Now(), Partial: c.Tenants.Partial}
	if old != nil && same(c.Models, old.models) {
		e.Created = time.Unix(old.directory.Created(), 0)
	}
	b := g.standing
	e.Known = Known(c, g.catalog)
	e.Models = b.models(c, e.Known)
	g.offered = e.Models
	e.Accounts, e.Holders = b.accounts(c), r.stored
	for _, m := range c.Models {
		for _, alias := range m.Aliases {
			e.Aliases[alias] = m.Name
		}
	}
	for _, t := range c.Tenants.List {
		if t.Disabled {
			e.Disabled = true
			continue
		}
		tenant, err := r.tenant(t, c, b, old)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.ID, err)
		}
		e.Tenants = append(e.Tenants, tenant)
		for _, k := range t.Keys {
			if k.Disabled {
				continue
			}
			digest, err := gateway.ParseDigest(k.Digest)
			if err != nil {
				return nil, fmt.Errorf("tenant %s: key %s: %w", t.ID, k.Name, err)
			}
			e.Keys[digest] = &gateway.Key{Name: k.Name, Tenant: tenant, Expires: k.Expires, Allow: patterns(k.Models), Limits: limits(&k.Limits)}
		}
		if t.ID == c.Tenants.Anonymous {
			e.Anonymous = tenant
		}
	}
	return gateway.NewDirectory(e), nil
}

// accounts are the providers by themselves.
func (b *builder) accounts(c *config.Config) []*gateway.Account {
	list := make([]*gateway.Account, len(c.Providers))
	for i := range c.Providers {
		name := c.Providers[i].Name
		list[i] = &gateway.Account{
			Name: name, Targets: b.targets(config.Target{Provider: name, Weight: 1}, account),
		}
	}
	return list
}

// models builds the models; fallbacks are linked in a second step because they may stand later in the file.
func (b *builder) models(c *config.Config, known lookup) []*gateway.Model {
	list := make([]*gateway.Model, len(c.Models))
	for i := range c.Models {
		m := &c.Models[i]
		strategy, _ := gateway.ParseStrategy(m.Strategy) // validated
		list[i] = &gateway.Model{
			Name: gateway.Pattern(m.Name), OwnedBy: m.OwnedBy, Strategy: strategy, Affinity: m.Affinity, Hedge: hedge(m.Hedge),
		}
		for _, t := range m.Targets {
			if t.Disabled {
				continue
			}
			if t.Model == "" && !list[i].Name.Wild() {
				t.Model = m.Name // as a fallback it is tried for another model's exchange
			}
			step := b.targets(t, m.Name)
			know(step, known)
			list[i].Steps = append(list[i].Steps, step)
		}
	}
	for i := range c.Models {
		for _, name := range c.Models[i].Fallback {
			if m := b.named(name, c.Models, list, known); m != nil {
				list[i].Fallback = append(list[i].Fallback, m)
			}
		}
	}
	return list
}

// lookup is [gateway.Directory.Known].
type lookup func(provider, model string) *catalog.Model

// know looks the models of targets up, where they have names.
func know(targets []*gateway.Target, known lookup) {
	for _, t := range targets {
		if t.Model != "" && !strings.Contains(t.Model, "*") {
			t.Known = known(t.Provider, t.Model)
		}
	}
}

// named finds the model that a fallback means: by its name, by an alias, or by a wildcard. For a wildcard it is a model
// of that one name.
func (b *builder) named(name string, c []config.Model, list []*gateway.Model, known lookup) *gateway.Model {
	for i, m := range list {
		if string(m.Name) == name || slices.Contains(c[i].Aliases, name) {
			return m
		}
	}
	var wild *gateway.Model // the longest that matches, as in Directory.Model
	for _, m := range list {
		if m.Name.Match(name) && (wild == nil || len(m.Name) > len(wild.Name)) {
			wild = m
		}
	}
	if wild == nil {
		return nil
	}
	matched, _ := wild.Name.Capture(name)
	one := *wild
	one.Name, one.Steps = gateway.Pattern(name), nil
	for _, step := range wild.Steps {
		targets := make([]*gateway.Target, len(step))
		for i, t := range step {
			t := *t
			t.Model = strings.Replace(cmp.Or(t.Model, name), "*", matched, 1)
			t.Health = b.one(t.Health, t.Model)
			targets[i] = &t
		}
		know(targets, known)
		one.Steps = append(one.Steps, targets)
	}
	return &one
}

// targets is one entry of a model's list with each of its provider's keys; asked is what stands for its model if the entry
// names none. Weights multiply: an entry's share is divided among the keys by theirs, in thousandths so that whole numbers
// suffice.
func (b *builder) targets(t config.Target, asked string) []*gateway.Target {
	p := b.g.providers[t.Provider]
	keys := keysOf(&p.config)
	total := 0
	for _, k := range keys {
		total += k.Weight
	}
	list, limiter := make([]*gateway.Target, 0, len(keys)), b.limiter(t.Provider, &p.config)
	for _, k := range keys {
		holder := t.Provider
		if len(p.config.Keys) > 1 { // also of those that are disabled: ids of files have it
			holder = gateway.Holder(t.Provider, k.Name)
		}
		id, secret := health.ID{Provider: t.Provider, Key: k.Name}, k.Key.Reveal()
		via := b.senders[id]
		if via == nil {
			via = p.key(secret)
			b.senders[id] = via
		}
		id.Model = cmp.Or(t.Model, asked)
		list = append(list, &gateway.Target{
			Provider: t.Provider, Kind: p.config.Type, Key: k.Name, Holder: holder, Model: t.Model, Via: via, Serves: p.serves,
			Weight: t.Weight * k.Weight * 1000 / max(total, 1),
			Health: b.target(&p.config, id, secret), Limiter: limiter,
		})
	}
	return list
}
