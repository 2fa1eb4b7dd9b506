package gateway

import (
	"cmp"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Caller is who asks. Its zero value is nobody: every use of a missing tenant fails, none means "anyone".
type Caller struct {
	Tenant  *Tenant
	Key     string        // the name of the key, never its value; or tenant.Token, tenant.Anonymous
	User    string        // the end user, if the credential names one; what a request says of its user is not believed
	Allow   []Pattern     // what the credential restricts the models to, beside the tenant's own rules; empty: nothing more
	Limits  tenant.Limits // of the credential
	Expires time.Time     // when the credential does; zero: never
}

// Allows says whether the caller may use a model: tenant and credential must both allow it. name is the model's canonical
// name, not an alias.
func (c *Caller) Allows(name string) bool {
	return c.Tenant.Allows(name) && (len(c.Allow) == 0 || slices.ContainsFunc(c.Allow, func(p Pattern) bool { return p.Match(name) }))
}

// Restricted says whether there are models that the caller may not use.
func (c *Caller) Restricted() bool { return len(c.Allow) > 0 || c.Tenant.Restricted() }

// Tenant is who is served and billed. Immutable.
type Tenant struct {
	ID          tenant.ID
	Name        string
	Allow, Deny []Pattern          // model names; an empty Allow allows all
	Origins     []string           // web origins of the tenant's browsers
	Own         map[string]*Own    // by provider: accounts of the tenant's own, used instead of the operator's keys
	Priority    admission.Priority // who waits for whom when an upstream is full
	Overrides   Overrides          // what the tenant's callers may decide for one request
	Limits      tenant.Limits      // of all that the tenant asks for
	EachKey     tenant.Limits      // of each of its keys
	EachUser    tenant.Limits      // of each of its end users
	EachModel   []ModelLimits      // of each model that a pattern describes; the first that does counts
	Budgets     []tenant.Budget
	Cache       CacheRules
	// TraceContent puts what is said into the spans of its exchanges that are sampled.
	TraceContent bool
	JWT          *Issuer // the tenant's own identity provider; nil: none. Its Tenant is this one
	Origin       string  // where it is configured: "tenants/acme.yaml", or "store"
}

// ModelLimits are a tenant's limits for each model that a pattern describes.
type ModelLimits struct {
	Models Pattern
	Limits tenant.Limits
}

// Own is a provider called with a tenant's own key.
type Own struct {
	Via     Sender
	Health  *health.Target     // of all models, see [health.Target.Of]
	Limiter *admission.Limiter // nil: none
}

// Allows says whether the tenant may use a model. name is the model's canonical name, not an alias.
func (t *Tenant) Allows(name string) bool {
	matches := func(p Pattern) bool { return p.Match(name) }
	if slices.ContainsFunc(t.Deny, matches) {
		return false
	}
	return len(t.Allow) == 0 || slices.ContainsFunc(t.Allow, matches)
}

// Restricted says whether there are models that the tenant may not use.
func (t *Tenant) Restricted() bool { return len(t.Allow)+len(t.Deny) > 0 }

// Pattern is a name in which each "*" stands for any text.
type Pattern = tenant.Pattern

// DigestKind says how a key's digest was made of the key.
type DigestKind uint8

// Kinds of digest.
const (
	SHA256     DigestKind = iota // of the key
	HMACSHA256                   // of the key, with the server's pepper
)

// Digest is what is stored of a key: never the key itself.
type Digest struct {
	Kind DigestKind
	Sum  [32]byte
}

// ParseDigest reads a digest as configuration writes it: "sha256:" or "hmac-sha256:" and 64 hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	kind, digits, _ := strings.Cut(s, ":")
	var d Digest
	switch kind {
	case "sha256":
	case "hmac-sha256":
		d.Kind = HMACSHA256
	default:
		return d, errors.New("a digest is \"sha256:\" or \"hmac-sha256:\" and 64 hexadecimal digits")
	}
	if n, err := hex.Decode(d.Sum[:], []byte(digits[:min(len(digits), 64)])); err != nil || n != len(d.Sum) || len(digits) != 64 {
		return d, errors.New("the digest is not 64 hexadecimal digits")
	}
	return d, nil
}

// Key is a credential of a tenant.
type Key struct {
	Name    string
	Tenant  *Tenant
	Expires time.Time     // zero: never
	Allow   []Pattern     // restricts the tenant's models further; empty: it does not
	Limits  tenant.Limits // of this key, beside those that each key has
}

// Model is what callers write in "model", with where it leads. Immutable.
type Model struct {
	Name    Pattern // canonical; a wildcard stands for many models
	OwnedBy string
	// Steps are the entries of the model's list. Each has a target for every key of its provider, which share its weight.
	Steps    [][]*Target
	Strategy Strategy // chooses among the steps; among the targets of one it is always at random, by weight, unless affinity decides
	Affinity []string // what tells sessions, each of which stays at one target: "prompt_cache_key", "user", "header:" and a name
	Hedge    *Hedge   // nil: no second attempts
	Fallback []*Model // tried after the steps, each only if the tenant may use it

	fixed []*Target
}

// Fixed is the model's targets in the order in which every exchange tries them; nil if there is a choice. It is shared: a
// plan without fallback can use it as it is.
func (m *Model) Fixed() []*Target { return m.fixed }

func (m *Model) flatten() {
	if m.Strategy != Ordered && len(m.Steps) > 1 {
		return
	}
	fixed := make([]*Target, 0, len(m.Steps))
	for _, step := range m.Steps {
		if len(step) != 1 {
			return
		}
		same := func(t *Target) bool {
			return t.Provider == step[0].Provider && t.Key == step[0].Key && t.Model == step[0].Model
		}
		if !slices.ContainsFunc(fixed, same) {
			fixed = append(fixed, step[0])
		}
	}
	m.fixed = fixed
}

// Directory is everybody and everything that an exchange can name: tenants, keys and models of one generation.
// Immutable, so one load of the generation gives an exchange one consistent view.
type Directory struct {
	anonymous *Tenant
	tenants   map[tenant.ID]*Tenant
	keys      map[Digest]*Key
	peppered  bool
	partial   bool                 // there may be other tenants and keys
	issuers   map[string][]*Issuer // of tenants, by their name
	names     map[string]*Model    // canonical names and aliases
	wild      []*Model             // most specific first
	models    []*Model             // as configured
	origins   []string
	browsers  bool // somebody's web origins are allowed
	created   int64
	accounts  []*Account
	holders   Holders
	known     func(provider, model string) *catalog.Model
	shared    bool
}

// Account is a provider by itself, for endpoints that name no model.
type Account struct {
	Name    string
	Targets []*Target // one for each of its keys, without a model
}

// Holders knows who holds what callers refer to by an id that says nothing of its provider: stored responses.
type Holders interface {
	// Holder is the provider that holds something of a tenant's; "" if nothing is known of that id. kept says that the
	// gateway has it itself: then any provider can go on from it whose conversations are translated.
	Holder(whose tenant.ID, id string) (provider string, kept bool)
}

// Entries are what a directory is made of. Names and references have been checked by the configuration.
type Entries struct {
	Models    []*Model
	Aliases   map[string]string // further name -> canonical name
	Tenants   []*Tenant
	Keys      map[Digest]*Key
	Anonymous *Tenant  // of callers without a key; nil if they are refused
	Origins   []string // web origins that any caller may come from; "*" for all
	Created   time.Time
	Accounts  []*Account // as configured
	Holders   Holders    // nil: nothing is held
	Disabled  bool       // there are tenants besides who are refused at present; what they have in the accounts is still theirs
	Partial   bool       // there may be others besides who are not known yet

	// Known is what the catalogue knows of a model by the name of its provider, as configured, and the name that it has
	// there; nil if nothing.
	Known func(provider, model string) *catalog.Model
}

// NewDirectory builds a directory; it keeps what it is given.
func NewDirectory(e Entries) *Directory {
	d := &Directory{
		anonymous: e.Anonymous, keys: e.Keys, models: e.Models, origins: e.Origins, browsers: len(e.Origins) > 0, created: e.Created.Unix(),
		accounts: e.Accounts, holders: e.Holders, known: e.Known, shared: e.Disabled || e.Partial || len(e.Tenants) > 1,
		partial: e.Partial,
		tenants: make(map[tenant.ID]*Tenant, len(e.Tenants)), names: make(map[string]*Model, len(e.Models)+len(e.Aliases)),
		issuers: map[string][]*Issuer{},
	}
	for _, t := range e.Tenants {
		d.tenants[t.ID] = t
		d.browsers = d.browsers || len(t.Origins) > 0
		if t.JWT != nil {
			d.issuers[t.JWT.URL] = append(d.issuers[t.JWT.URL], t.JWT)
		}
	}
	for digest := range e.Keys {
		d.peppered = d.peppered || digest.Kind == HMACSHA256
	}
	for _, m := range e.Models {
		m.flatten()
		for _, f := range m.Fallback { // one of them may stand for a single name of a wildcard, and in no list
			f.flatten()
		}
		if m.Name.Wild() {
			d.wild = append(d.wild, m)
		} else {
			d.names[string(m.Name)] = m
		}
	}
	for alias, name := range e.Aliases {
		if m := d.names[name]; m != nil {
			d.names[alias] = m
		}
	}
	slices.SortStableFunc(d.wild, func(a, b *Model) int { return cmp.Compare(len(b.Name), len(a.Name)) })
	return d
}

// Anonymous is the tenant of callers without a key; nil if they are refused.
func (d *Directory) Anonymous() *Tenant { return d.anonymous }

// Tenant finds a tenant by its id; nil if there is none.
func (d *Directory) Tenant(id tenant.ID) *Tenant { return d.tenants[id] }

// Key finds a credential by its digest; nil if there is none.
func (d *Directory) Key(digest Digest) *Key { return d.keys[digest] }

// Partial says that there may be tenants, and keys, that are not known yet: who is unknown may be one of them.
func (d *Directory) Partial() bool { return d.partial }

// Peppered says whether any key's digest needs the server's pepper.
func (d *Directory) Peppered() bool { return d.peppered }

// Model finds what a caller's name means. canonical is the name that policies speak of: the model's own, or for a
// wildcard the caller's; matched is what the wildcard stands for. The longest wildcard wins.
func (d *Directory) Model(name string) (m *Model, canonical, matched string) {
	if m := d.names[name]; m != nil {
		return m, string(m.Name), ""
	}
	for _, m := range d.wild {
		if matched, ok := m.Name.Capture(name); ok {
			return m, name, matched
		}
	}
	return nil, "", ""
}

// Models lists what a caller may use, as configured; wildcards are left out, because they are not names to ask for.
func (d *Directory) Models(c *Caller) []*Model {
	var list []*Model
	for _, m := range d.models {
		if !m.Name.Wild() && c.Allows(string(m.Name)) {
			list = append(list, m)
		}
	}
	return list
}

// Accounts are the providers, as configured, that the caller may use: those of the models that it may use.
func (d *Directory) Accounts(c *Caller) []*Account {
	var list []*Account
	for _, a := range d.accounts {
		if slices.ContainsFunc(d.models, func(m *Model) bool { return m.leadsTo(a.Name) && c.mayUse(m) }) {
			list = append(list, a)
		}
	}
	return list
}

func (m *Model) leadsTo(provider string) bool {
	for _, step := range m.Steps {
		if slices.ContainsFunc(step, func(t *Target) bool { return t.Provider == provider }) {
			return true
		}
	}
	return false
}

// mayUse says whether the caller may use a model, or for a wildcard any model that it may stand for.
func (c *Caller) mayUse(m *Model) bool {
	if !m.Name.Wild() {
		return c.Allows(string(m.Name))
	}
	covers := func(p Pattern) bool { return p.Match(string(m.Name)) } // nothing but a "*" matches a "*"
	if slices.ContainsFunc(c.Tenant.Deny, covers) {
		return false
	}
	meets := func(p Pattern) bool { return p.Meets(m.Name) }
	some := func(allow []Pattern) bool { return len(allow) == 0 || slices.ContainsFunc(allow, meets) }
	return some(c.Tenant.Allow) && some(c.Allow)
}

// Holder is the provider that holds what a tenant calls by an id, and whether the gateway keeps it itself; "" if nothing is
// known of it.
func (d *Directory) Holder(whose tenant.ID, id string) (provider string, kept bool) {
	if d.holders == nil {
		return "", false
	}
	return d.holders.Holder(whose, id)
}

// Known is what the catalogue knows of a model by the name of its provider, as configured, and the name that it has there;
// nil if nothing. It allocates nothing.
func (d *Directory) Known(provider, model string) *catalog.Model {
	if d == nil || d.known == nil {
		return nil
	}
	return d.known(provider, model)
}

// Shared says whether there are several tenants, so that things of more than one may be in the operator's accounts.
func (d *Directory) Shared() bool { return d.shared }

// Created is when the generation was made, in Unix seconds: the "created" of its models.
func (d *Directory) Created() int64 { return d.created }

// HasOrigins says whether AllowsOrigin is true of any origin: if not, no reply depends on where a browser comes from.
func (d *Directory) HasOrigins() bool { return d.browsers }

// AllowsOrigin says whether browsers may come from a web origin: one of the gateway's own, or of the tenant. A preflight
// carries no key that would tell which tenant asks, so with t nil any tenant's origins do.
func (d *Directory) AllowsOrigin(origin string, t *Tenant) bool {
	if slices.Contains(d.origins, origin) || slices.Contains(d.origins, "*") {
		return true
	}
	if t != nil {
		return slices.Contains(t.Origins, origin)
	}
	for _, t := range d.tenants {
		if slices.Contains(t.Origins, origin) {
			return true
		}
	}
	return false
}
