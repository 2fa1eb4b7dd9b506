package auth

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
)

// Config are the plugin's settings.
type Config struct {
	// Pepper is the secret in digests that begin with hmac-sha256, and what access and refresh tokens are made with. At least
	// 16 bytes; without it those keys are refused, and no tokens are given.
	Pepper config.Secret `yaml:"pepper,omitempty"`
	// Failures says how often an address may come with a wrong key or token.
	Failures Failures `yaml:"failures"`
	// TrustedProxies are the addresses, or networks such as 10.0.0.0/8, of proxies in front of the gateway. From these the last
	// address in X-Forwarded-For that is none of theirs is the caller's; they must set that header themselves or add to it,
	// in the same line or behind it.
	TrustedProxies []string `yaml:"trusted_proxies,omitempty"`
	// Tokens are what POST /oauth/token gives for a key.
	Tokens TokenConfig `yaml:"tokens"`
	// Issuers are identity providers whose tokens are taken for keys, for all tenants. A tenant's own stands in its file.
	Issuers []IssuerConfig `yaml:"issuers,omitempty"`
}

// Failures bounds failed authentication by address: an IPv4 address, or an IPv6 network of 64 bits.
type Failures struct {
	// Burst is how many failures an address has at once.
	Burst int `yaml:"burst" jsonschema:"minimum=1,maximum=100000"`
	// Every is how long it takes until it has one of them back.
	Every time.Duration `yaml:"every"`
}

// TokenConfig are access and refresh tokens.
type TokenConfig struct {
	// Access is how long an access token is good. It ends at once with the key that it was given for, but not before its time
	// when only its refresh token is taken back.
	Access time.Duration `yaml:"access"`
	// Refresh is how long new access tokens can be had without the key, however often.
	Refresh time.Duration `yaml:"refresh"`
	// Grace is for how long a refresh token that was used may come again from the same client, as it does if an answer is lost
	// or two pages ask at once. Later it is taken for stolen.
	Grace time.Duration `yaml:"grace"`
	// PerMinute is how many times in a minute a key is given tokens, each time for one end user or page. It may be given all of
	// a minute's at once.
	PerMinute int `yaml:"per_minute" jsonschema:"minimum=1,maximum=1000000"`
	// Issuer is the name that access tokens have in "iss".
	Issuer string `yaml:"issuer"`
}

// IssuerConfig is an identity provider.
type IssuerConfig struct {
	// Issuer is what its tokens have in "iss".
	Issuer string `yaml:"issuer" jsonschema:"required"`
	// Audience lists what its tokens have in "aud", of which one must be here.
	Audience []string `yaml:"audience" jsonschema:"required"`
	// Algorithms that it signs with.
	Algorithms []string `yaml:"algorithms" jsonschema:"required,enum=RS256,enum=RS384,enum=RS512,enum=PS256,enum=PS384,enum=PS512,enum=ES256,enum=ES384,enum=ES512,enum=EdDSA"`
	// JWKSURL is where its key set is (RFC 7517).
	JWKSURL string `yaml:"jwks_url" jsonschema:"required"`
	// Private allows jwks_url to lead to an address that is not public, and to begin with http:.
	Private bool `yaml:"private,omitempty"`
	// Claims are the members of its tokens that say who calls.
	Claims ClaimConfig `yaml:"claims"`
}

// ClaimConfig are names of claims.
type ClaimConfig struct {
	// Tenant is the claim with the tenant's id.
	Tenant string `yaml:"tenant" jsonschema:"required"`
	// User is the claim with the end user's id. Left out: users are not told from each other.
	User string `yaml:"user,omitempty"`
	// Models is the claim with the models that may be used, patterns as in a tenant's models.allow. Left out: the tenant's
	// rules alone count.
	Models string `yaml:"models,omitempty"`
	// Limits is the claim with an object of rpm, tpm and concurrent, which count beside the tenant's.
	Limits string `yaml:"limits,omitempty"`
}

const leastPepper = 16

// defaults are strict enough that nobody guesses, and loose enough for an office behind one address in which a deployment
// has the wrong key.
func defaults() Config {
	return Config{
		Failures: Failures{Burst: 20, Every: 6 * time.Second},
		Tokens:   TokenConfig{Access: 10 * time.Minute, Refresh: 720 * time.Hour, Grace: 10 * time.Second, PerMinute: 600, Issuer: "sluice"},
	}
}

// Validate implements what the configuration looks for.
func (c *Config) Validate() error {
	if n := len(c.Pepper.Reveal()); n > 0 && n < leastPepper {
		return wrong("pepper", "the pepper is shorter than 16 bytes", "make one with: openssl rand -hex 32")
	}
	if c.Failures.Burst < 1 || c.Failures.Burst > 100_000 {
		return wrong("failures.burst", "failures.burst must be from 1 to 100000", "")
	}
	if c.Failures.Every < time.Millisecond || c.Failures.Every > time.Hour {
		return wrong("failures.every", "failures.every must be from 1ms to 1h", "")
	}
	for i, s := range c.TrustedProxies {
		if _, err := network(s); err != nil {
			return wrong(at("trusted_proxies", i), strconv.Quote(s)+" is neither an address nor a network", "write it as 10.0.0.0/8")
		}
	}
	if err := c.Tokens.validate(); err != nil {
		return err
	}
	return c.validateIssuers()
}

func (c *Config) validateIssuers() error {
	for i := range c.Issuers {
		p := &c.Issuers[i]
		if err := p.validate(at("issuers", i)); err != nil {
			return err
		}
		same := func(before IssuerConfig) bool {
			return before.Issuer == p.Issuer && slices.ContainsFunc(before.Audience, func(a string) bool { return slices.Contains(p.Audience, a) })
		}
		if slices.ContainsFunc(c.Issuers[:i], same) {
			return wrong(at("issuers", i), "an issuer before it has the same name and audience", "")
		}
		if p.Issuer == c.Tokens.Issuer {
			return wrong(at("issuers", i)+".issuer", "that is the gateway's own name", "change tokens.issuer")
		}
	}
	return nil
}

func (t *TokenConfig) validate() error {
	switch {
	case t.Access < time.Second || t.Access > 24*time.Hour:
		return wrong("tokens.access", "tokens.access must be from 1s to 24h", "")
	case t.Refresh < t.Access || t.Refresh > 10*8760*time.Hour:
		return wrong("tokens.refresh", "tokens.refresh must be from tokens.access to ten years", "")
	case t.Grace < 0 || t.Grace > time.Minute:
		return wrong("tokens.grace", "tokens.grace must be from 0s to 1m", "")
	case t.PerMinute < 1 || t.PerMinute > 1_000_000:
		return wrong("tokens.per_minute", "tokens.per_minute must be from 1 to 1000000", "")
	case t.Issuer == "":
		return wrong("tokens.issuer", "tokens.issuer is empty", "")
	}
	return nil
}

func (c *IssuerConfig) validate(at string) error {
	switch u, err := url.Parse(c.JWKSURL); {
	case c.Issuer == "":
		return wrong(at+".issuer", "issuer is empty", "write what its tokens have in \"iss\"")
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return wrong(at+".audience", "audience is empty", "without it, tokens for other services would do here")
	case len(c.Algorithms) == 0:
		return wrong(at+".algorithms", "algorithms is empty", "write those that the provider signs with, such as RS256")
	case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !c.Private):
		return wrong(at+".jwks_url", "jwks_url is not an https URL", "")
	case c.Claims.Tenant == "":
		return wrong(at+".claims.tenant", "claims.tenant is empty", "an issuer of one tenant alone stands in the tenant's file, as jwt")
	}
	for i, alg := range c.Algorithms {
		if !slices.Contains(algorithms, alg) {
			return wrong(at+".algorithms["+strconv.Itoa(i)+"]", strconv.Quote(alg)+" is no algorithm of an identity provider",
				"write some of RS256, PS256, ES256 and EdDSA, or their kin")
		}
	}
	return nil
}

// issuer is the setting as the authenticator takes it.
func (c *IssuerConfig) issuer() *gateway.Issuer {
	return &gateway.Issuer{
		URL: c.Issuer, Audiences: c.Audience, Algorithms: c.Algorithms, JWKS: c.JWKSURL, Private: c.Private,
		Claims: gateway.ClaimNames(c.Claims),
	}
}

// network reads a network, or an address as the network of it alone.
func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func wrong(field, message, hint string) error {
	return &config.FieldError{Field: field, Message: message, Hint: hint}
}
