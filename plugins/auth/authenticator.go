package auth

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// Tokens that were verified are remembered in so many parts, so that cores seldom wait for each other.
const (
	shards = 16
	each   = 4096
)

// Authenticator finds the owner of a credential. Every surface uses the same one.
type Authenticator struct {
	hash func([]byte) gateway.Digest // of a credential, without the pepper
	hmac func([]byte) gateway.Digest // with it; nil if there is none
	now  func() time.Time

	failures *limiter
	proxies  []netip.Prefix
	own      *issuing                     // nil without a pepper
	issuers  map[string][]*gateway.Issuer // of all tenants
	sources  *sources
	passes   *Passes
	seen     [shards]*lru.Cache[[32]byte, *accepted]
	metrics  *metrics
}

// newAuthenticator makes an authenticator; fetch starts a fetch of a key set.
func newAuthenticator(c Config, now func() time.Time, fetch func(*source), m *metrics) (*Authenticator, error) {
	a := &Authenticator{
		hash: key.Digest, now: now, failures: newLimiter(c.Failures), sources: newSources(fetch),
		issuers: map[string][]*gateway.Issuer{}, metrics: m,
	}
	for _, s := range c.TrustedProxies {
		p, err := network(s)
		if err != nil {
			return nil, err
		}
		a.proxies = append(a.proxies, p)
	}
	for i := range c.Issuers {
		issuer := c.Issuers[i].issuer()
		a.issuers[issuer.URL] = append(a.issuers[issuer.URL], issuer)
	}
	if !c.Pepper.IsZero() {
		a.hmac = key.NewPepper(c.Pepper.Reveal()).Digest
		var err error
		if a.own, err = newIssuing(c.Tokens, c.Pepper.Reveal()); err != nil {
			return nil, err
		}
	}
	for i := range a.seen {
		a.seen[i], _ = lru.New[[32]byte, *accepted](each) // fails for sizes below 1
	}
	return a, nil
}

// Authenticate says whose key or token the headers carry: in Authorization as a bearer token (RFC 6750, section 2.1), or alone
// in x-api-key (Anthropic's SDKs) or api-key (Azure's). client is where the connection comes from. Without a credential it is
// the anonymous tenant, if the directory has one; a wrong one is never anonymous. The error is an *Error: 400, 401, 429 or 503.
//
// Every wellformed key costs the same work, whether or not anybody has it, and what is looked up is its digest, so the
// time it takes tells nothing of the keys that exist. It waits only for the keys of an identity provider, as long as ctx
// allows. Nothing is allocated for keys up to 192 bytes, and for tokens that came before.
func (a *Authenticator) Authenticate(ctx context.Context, h gateway.Header, client netip.Addr, d *gateway.Directory) (gateway.Caller, error) {
	k, bad := credential(h)
	switch {
	case bad != nil:
		return gateway.Caller{}, bad
	case k == nil:
		if t := d.Anonymous(); t != nil {
			return gateway.Caller{Tenant: t, Key: tenant.Anonymous}, nil
		}
		return gateway.Caller{}, errMissing
	}
	token := looksLikeToken(k)
	if !token && len(k) > longest {
		return gateway.Caller{}, errTooLong
	}
	v, refused := a.begin(k, a.address(client, h))
	if refused != nil {
		return gateway.Caller{}, refused
	}
	var caller gateway.Caller
	if token {
		if caller, refused = a.token(ctx, k, v.digest.Sum, d); refused != nil {
			return gateway.Caller{}, v.end(perhaps(refused, d), "token")
		}
	} else {
		if c, ok := a.passes.caller(v.digest, d); ok {
			return c, nil
		}
		found, _, refused := a.find(k, v.digest, d, v.at)
		if refused != nil {
			return gateway.Caller{}, v.end(perhaps(refused, d), "key")
		}
		caller = gateway.Caller{Tenant: found.Tenant, Key: found.Name, Allow: found.Allow, Limits: found.Limits, Expires: found.Expires}
	}
	v.succeed()
	return caller, nil
}

// perhaps is a refusal, unless it is for what may only be not known yet.
func perhaps(refused *gateway.Error, d *gateway.Directory) *gateway.Error {
	if d.Partial() && (refused == errUnknown || refused == errTokenIssuer || refused == errTokenRevoked) {
		return errUnread
	}
	return refused
}

// visit is one credential from one address.
type visit struct {
	a      *Authenticator
	from   block
	digest gateway.Digest // of the credential, without the pepper
	good   bool           // it was good from there before
	at     time.Time
}

// begin refuses a credential before anything is looked up, if its address has failed too often.
func (a *Authenticator) begin(credential []byte, from block) (visit, *gateway.Error) {
	v := visit{a: a, from: from, digest: a.hash(credential), at: a.now()}
	var wait time.Duration
	if wait, v.good = a.failures.look(from, v.mark(), v.at); wait > 0 {
		a.metrics.failures.WithLabelValues("address").Inc()
		return v, tooMany(wait)
	}
	return v, nil
}

// mark is what the limiter knows a credential by.
func (v *visit) mark() uint64 { return binary.LittleEndian.Uint64(v.digest.Sum[:]) }

// end counts a refusal, and gives it. That nobody could tell whether it is good is not the credential's fault.
func (v *visit) end(refused *gateway.Error, reason string) *gateway.Error {
	if refused.Status <= 401 {
		v.a.failures.failed(v.from, v.at)
		v.a.metrics.failures.WithLabelValues(reason).Inc()
	}
	return refused
}

// succeed notes that the credential is good from there.
func (v *visit) succeed() {
	if !v.good {
		v.a.failures.succeeded(v.from, v.mark(), v.at)
	}
}

// find is the key with either of the two digests that a key can be stored with. Both are made and looked up, whichever of
// them there is.
func (a *Authenticator) find(k []byte, plain gateway.Digest, d *gateway.Directory, now time.Time) (*gateway.Key, gateway.Digest, *gateway.Error) {
	if key.Ours(k) && !key.Wellformed(k) {
		return nil, plain, errMistyped
	}
	found, digest := d.Key(plain), plain
	if a.hmac != nil && d.Peppered() {
		peppered := a.hmac(k)
		if p := d.Key(peppered); p != nil {
			found, digest = p, peppered
		}
	}
	if found == nil {
		return nil, digest, errUnknown
	}
	if !found.Expires.IsZero() && !now.Before(found.Expires) {
		return nil, digest, expired(found.Expires)
	}
	return found, digest, nil
}

// address is where a request comes from: of the addresses that proxies have noted, the last that is not of a trusted one.
func (a *Authenticator) address(client netip.Addr, h gateway.Header) block {
	if len(a.proxies) == 0 || !a.trusts(client) {
		return blockOf(client)
	}
	const field = "X-Forwarded-For"
	list := h.Get(field)
	if several, ok := h.(gateway.Joins); ok { // the first line may be the caller's own
		list = several.Join(field)
	}
	for len(list) > 0 {
		i := bytes.LastIndexByte(list, ',')
		hop := parseHop(string(bytes.Trim(list[i+1:], blank)))
		if !hop.IsValid() {
			break // what stands further left is not to be trusted either
		}
		client, list = hop, list[:max(i, 0)]
		if !a.trusts(client) {
			break
		}
	}
	return blockOf(client)
}

// parseHop reads an address with or without a port, which some proxies note as well.
func parseHop(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr()
	}
	a, _ := netip.ParseAddr(s)
	return a
}

func (a *Authenticator) trusts(client netip.Addr) bool {
	client = client.Unmap()
	return slices.ContainsFunc(a.proxies, func(p netip.Prefix) bool { return p.Contains(client) })
}

const (
	longest = 4 << 10 // bytes of a key
	blank   = " \t"   // optional white space around a field's value (RFC 9110, section 5.6.3)
)

// credential is what the headers carry; nil if there is none. An empty field is no credential: SDKs send it when they have no
// key.
func credential(h gateway.Header) ([]byte, *gateway.Error) {
	k, bad := bearer(bytes.Trim(h.Get("Authorization"), blank))
	for _, name := range [...]string{"X-Api-Key", "Api-Key"} {
		v := bytes.Trim(h.Get(name), blank)
		switch {
		case len(v) == 0:
		case bad != nil, k != nil && !bytes.Equal(k, v):
			return nil, errSeveral
		default:
			k = v
		}
	}
	if bad != nil {
		return nil, bad
	}
	for _, c := range k {
		if c <= ' ' || c > '~' {
			return nil, errMalformed
		}
	}
	return k, nil
}

// bearer is the token in the value of Authorization. The scheme's letter case does not matter, and any number of spaces
// may follow it (RFC 9110, section 11.4).
func bearer(v []byte) ([]byte, *gateway.Error) {
	if len(v) == 0 {
		return nil, nil
	}
	scheme, token, _ := bytes.Cut(v, []byte(" "))
	if !bytes.EqualFold(scheme, []byte("Bearer")) {
		return nil, errScheme
	}
	token = bytes.TrimLeft(token, " ")
	if len(token) == 0 {
		return nil, errEmpty
	}
	return token, nil
}
