package config

import "time"

// Priorities of tenants, highest first.
const (
	CriticalPriority = "critical"
	HighPriority     = "high"
	NormalPriority   = "normal"
	LowPriority      = "low"
)

// What a tenant's callers may decide for one request, see [Tenant.Overrides].
const (
	OverrideProvider = "provider"
	OverrideStrategy = "strategy"
	OverrideHedge    = "hedge"
	OverrideTimeout  = "timeout"
	OverrideRetries  = "retries"
	OverrideFallback = "fallback"
)

// Tenant is one customer of the gateway: the contents of one tenant file.
type Tenant struct {
	// Version of this format. Always 1.
	Version int `yaml:"version" jsonschema:"required,enum=1"`
	// ID of the tenant. It equals the file's name without its extension.
	ID string `yaml:"id" jsonschema:"required,pattern=^[a-z0-9][a-z0-9_.-]{0\\,62}$" hint:"write up to 63 lower-case letters, digits and . _ -"`
	// Name for people.
	Name string `yaml:"name,omitempty"`
	// Disabled refuses all of the tenant's callers.
	Disabled bool `yaml:"disabled,omitempty"`
	// Keys are the tenant's API keys, as digests.
	Keys []TenantKey `yaml:"keys,omitempty"`
	// Models says which models the tenant may use.
	Models ModelRules `yaml:"models,omitempty"`
	// Credentials are the tenant's own keys for providers, used instead of the gateway's.
	Credentials []Credential `yaml:"credentials,omitempty"`
	// Priority is the tenant's when there is more to do than can be done: the lowest is refused first.
	Priority string `yaml:"priority" jsonschema:"enum=low,enum=normal,enum=high,enum=critical"`
	// Overrides lists what the tenant's callers may decide for one request, by the header x-sluice- and its name. Callers of
	// a tenant without any may send those headers, which then mean nothing.
	Overrides []string `yaml:"overrides,omitempty" jsonschema:"uniqueItems=true,enum=provider,enum=strategy,enum=hedge,enum=timeout,enum=retries,enum=fallback"`
	// JWT is the tenant's own identity provider: its tokens are taken for keys.
	JWT *JWT `yaml:"jwt,omitempty"`
	// Limits bound what the tenant asks for.
	Limits TenantLimits `yaml:"limits,omitempty"`
	// Budgets are the money that the tenant may spend.
	Budgets []Budget `yaml:"budgets,omitempty"`
	// Cache says what is kept of the tenant's answers, where the gateway's plugin cache keeps any.
	Cache TenantCache `yaml:"cache"`
	// TraceContent puts prompts and answers, up to 32KiB of each, into the spans of exchanges that are sampled, where the
	// gateway sends any.
	TraceContent bool `yaml:"trace_content,omitempty"`
	// CORS says which web pages may call with the tenant's keys.
	CORS CORS `yaml:"cors,omitempty"`

	// File is the tenant file's path.
	File string `yaml:"-"`
}

// SetDefaults fills in what a file may leave out.
func (t *Tenant) SetDefaults() {
	t.Priority = NormalPriority
	t.Cache = TenantCache{Scope: CacheTenant, Semantic: true, Stale: true}
}

// Who shares the answers that are kept.
const (
	CacheTenant = "tenant"
	CacheUser   = "user"
	CacheOff    = "off"
)

// TenantCache is what a tenant wants of the cache. No other tenant is ever given an answer of its.
type TenantCache struct {
	// Scope says who shares what is kept: tenant, all of its callers; user, nobody, for each end user has answers of its own;
	// off, nothing is kept.
	Scope string `yaml:"scope" jsonschema:"enum=tenant,enum=user,enum=off"`
	// Semantic allows answers to questions that mean the same in other words, where the gateway serves such.
	Semantic bool `yaml:"semantic"`
	// Stale allows answers that are past their time while they are asked for again, where the gateway gives such. That costs the tenant.
	Stale bool `yaml:"stale"`
}

// TenantKey is the digest of one API key.
type TenantKey struct {
	// Name of the key, for logs and metrics.
	Name string `yaml:"name" jsonschema:"required"`
	// Digest of the key: "sha256:" or "hmac-sha256:" and 64 hexadecimal digits.
	Digest string `yaml:"digest" jsonschema:"required,pattern=^(hmac-)?sha256:[0-9a-f]{64}$" hint:"write sha256: or hmac-sha256: and 64 hexadecimal digits"`
	// Expires is when the key stops working: a moment (RFC 3339), or a date, whose first moment in UTC is meant. Left
	// out: never.
	Expires time.Time `yaml:"expires,omitempty"`
	// Disabled refuses the key.
	Disabled bool `yaml:"disabled,omitempty"`
	// Models restricts the key to some of the models that the tenant may use. In each pattern * stands for any text. Empty: all.
	Models []string `yaml:"models,omitempty"`
	// Limits bound what is asked for with this key.
	Limits Limits `yaml:"limits,omitempty"`
}

// JWT is an identity provider of a tenant.
type JWT struct {
	// Issuer is what its tokens have in "iss".
	Issuer string `yaml:"issuer" jsonschema:"required"`
	// Audience lists what its tokens have in "aud", of which one must be here.
	Audience []string `yaml:"audience" jsonschema:"required,minItems=1"`
	// Algorithms that it signs with.
	Algorithms []string `yaml:"algorithms" jsonschema:"minItems=1,uniqueItems=true,enum=RS256,enum=RS384,enum=RS512,enum=PS256,enum=PS384,enum=PS512,enum=ES256,enum=ES384,enum=ES512,enum=EdDSA"`
	// JWKSURL is where its key set is (RFC 7517). It must lead to public addresses, by https.
	JWKSURL string `yaml:"jwks_url" jsonschema:"required"`
	// Claims are the members of its tokens that say who calls.
	Claims JWTClaims `yaml:"claims"`
}

// JWTClaims are names of claims.
type JWTClaims struct {
	// User is the claim with the end user's id. Empty: users are not told from each other.
	User string `yaml:"user,omitempty"`
	// Models is the claim with the models that may be used, patterns as in models.allow. Empty: the tenant's rules alone count.
	Models string `yaml:"models,omitempty"`
	// Limits is the claim with an object of rpm, tpm and concurrent, which count beside the tenant's.
	Limits string `yaml:"limits,omitempty"`
	// Tenant is the claim with the tenant's id, which must be this one. Empty: the audience is enough.
	Tenant string `yaml:"tenant,omitempty"`
}

// SetDefaults fills in what a file may leave out.
func (j *JWT) SetDefaults() {
	j.Algorithms = []string{"RS256", "ES256"}
	j.Claims.User = "sub"
}

// ModelRules says which models may be used. In each pattern * stands for any text.
type ModelRules struct {
	// Allow lists the models that may be used. Empty: all.
	Allow []string `yaml:"allow,omitempty"`
	// Deny lists the models that may not be used, whatever allow says.
	Deny []string `yaml:"deny,omitempty"`
}

// Credential is a tenant's own key for one provider.
type Credential struct {
	// Provider is the name of one of the gateway's providers.
	Provider string `yaml:"provider" jsonschema:"required"`
	// Key is the secret.
	Key Secret `yaml:"key" jsonschema:"required"`
	// BaseURL is where the tenant's own account is, if not where the gateway's is. It must lead to public addresses.
	BaseURL string `yaml:"base_url,omitempty"`
}
