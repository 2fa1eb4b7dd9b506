package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

const (
	longestToken = 8 << 10          // bytes
	leeway       = 30 * time.Second // that clocks may differ by
	longestUser  = 256              // bytes
	mostPatterns = 256
)

// algorithms are those that an identity provider may sign with: none in which who verifies could also sign.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// nothing is an Allow that allows no model: an empty one allows all.
var nothing = []gateway.Pattern{""}

// looksLikeToken tells a token from a key: it begins as each JSON object does in base64, and has three parts.
func looksLikeToken(credential []byte) bool {
	return bytes.HasPrefix(credential, []byte("ey")) && bytes.Count(credential, []byte(".")) == 2
}

// unverified is what a token says of itself. Nothing in it is true yet.
type unverified struct {
	text      string
	algorithm string
	kid       string
	named     bool // it has a kid
	typ       string
	issuer    string
	claims    jwt.MapClaims
}

// read takes a token apart without believing it. What would lead elsewhere for a key, or change what the token means, is not
// looked at but refused: jku, x5u and jwk let a token bring its own key, and none of what crit may ask for is done here (RFC
// 7515, section 4.1).
func read(credential []byte) (*unverified, *gateway.Error) {
	if len(credential) > longestToken {
		return nil, errTokenLong
	}
	text := string(credential)
	parts := strings.Split(text, ".")
	for _, p := range parts[:2] {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil || strict(b) != nil {
			return nil, errTokenForm
		}
	}
	u := &unverified{text: text, claims: jwt.MapClaims{}}
	t, _, err := jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithJSONNumber()).ParseUnverified(text, u.claims)
	if err != nil {
		if t != nil && t.Header["alg"] != nil && t.Method == nil {
			return nil, errTokenAlgorithm
		}
		return nil, errTokenForm
	}
	for _, name := range [...]string{"jku", "x5u", "jwk", "crit"} {
		if _, has := t.Header[name]; has {
			return nil, errTokenForm
		}
	}
	var kid any
	if kid, u.named = t.Header["kid"]; u.named {
		var ok bool
		if u.kid, ok = kid.(string); !ok {
			return nil, errTokenForm
		}
	}
	u.algorithm = t.Method.Alg()
	u.typ, _ = t.Header["typ"].(string)
	u.issuer, _ = u.claims["iss"].(string)
	return u, nil
}

// accepted is a token that was verified, and what it says. Immutable, and good as long as all that it was verified with is
// what it was.
type accepted struct {
	until  time.Time
	caller gateway.Caller // but for its tenant

	// Of an identity provider's token.
	issuer *gateway.Issuer
	source *source
	set    *keySet
	tenant tenant.ID

	// Of one of ours.
	digest gateway.Digest
	key    *gateway.Key
}

// token says whose a token is. One that was verified before is not verified again, but its tenant and key are looked up
// anew, so that what was changed or revoked counts at once.
func (a *Authenticator) token(ctx context.Context, credential []byte, sum [32]byte, d *gateway.Directory) (gateway.Caller, *gateway.Error) {
	now := a.now()
	shard := a.seen[sum[0]%shards]
	if v, ok := shard.Get(sum); ok {
		if c, ok := a.still(ctx, v, d, now); ok {
			return c, nil
		}
	}
	u, refused := read(credential)
	if refused != nil {
		return gateway.Caller{}, refused
	}
	var v *accepted
	if a.own != nil && u.issuer == a.own.issuer {
		v, refused = a.own.verify(u, d, now)
	} else {
		v, refused = a.verify(ctx, u, d, now)
	}
	if refused != nil {
		return gateway.Caller{}, refused
	}
	c, ok := a.still(ctx, v, d, now)
	if !ok {
		return c, errTokenRevoked
	}
	shard.Add(sum, v)
	return c, nil
}

// still says who holds a token that was verified, if all that it depends on is as it was then.
func (a *Authenticator) still(ctx context.Context, v *accepted, d *gateway.Directory, now time.Time) (gateway.Caller, bool) {
	c := v.caller
	if !now.Before(v.until) {
		return gateway.Caller{}, false
	}
	if v.issuer == nil {
		if k := d.Key(v.digest); k != v.key || !k.Expires.IsZero() && !now.Before(k.Expires) {
			return gateway.Caller{}, false
		}
		c.Tenant = v.key.Tenant
		return c, true
	}
	c.Tenant = d.Tenant(v.tenant)
	if c.Tenant == nil || v.issuer.Tenant != nil && (c.Tenant != v.issuer.Tenant || c.Tenant.JWT != v.issuer) {
		return gateway.Caller{}, false
	}
	if set, err := v.source.keys(ctx, now); err != nil || set != v.set {
		return gateway.Caller{}, false
	}
	return c, true
}

// verify checks a token of an identity provider.
func (a *Authenticator) verify(ctx context.Context, u *unverified, d *gateway.Directory, now time.Time) (*accepted, *gateway.Error) {
	issuer, id := a.issuerOf(u, d)
	if issuer == nil {
		return nil, errTokenIssuer
	}
	if !slices.Contains(issuer.Algorithms, u.algorithm) || !slices.Contains(algorithms, u.algorithm) {
		return nil, errTokenAlgorithm
	}
	v := &accepted{issuer: issuer, tenant: id, source: a.sources.of(issuer)}
	k, refused := v.keyOf(ctx, u, now)
	if refused != nil {
		return nil, refused
	}
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{u.algorithm}), jwt.WithIssuer(issuer.URL), jwt.WithAudience(issuer.Audiences...),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithStrictDecoding(), jwt.WithJSONNumber(),
	).ParseWithClaims(u.text, claims, func(*jwt.Token) (any, error) { return k, nil })
	if err != nil {
		return nil, refusal(err)
	}
	if !v.describe(claims) {
		return nil, errTokenClaims
	}
	return v, nil
}

// issuerOf finds the identity provider that a token claims to come from, and the tenant that it claims to be of. Whoever it is
// verified by, it is of no other tenant than that provider may speak for. If several could be meant, none is.
func (a *Authenticator) issuerOf(u *unverified, d *gateway.Directory) (found *gateway.Issuer, id tenant.ID) {
	audience, err := u.claims.GetAudience()
	if err != nil || u.issuer == "" {
		return nil, ""
	}
	for _, list := range [...][]*gateway.Issuer{d.Issuers(u.issuer), a.issuers[u.issuer]} {
		for _, i := range list {
			whose, ok := speaksFor(i, u.claims)
			if !ok || !slices.ContainsFunc(i.Audiences, func(s string) bool { return slices.Contains(audience, s) }) {
				continue
			}
			if found != nil {
				return nil, ""
			}
			found, id = i, whose
		}
		if found != nil {
			break
		}
	}
	return found, id
}

// speaksFor is the tenant that a token is of, if its issuer may say so.
func speaksFor(i *gateway.Issuer, claims jwt.MapClaims) (tenant.ID, bool) {
	claimed, _ := claims[i.Claims.Tenant].(string)
	id := tenant.ID(claimed)
	if i.Tenant == nil {
		return id, id != "" && i.Claims.Tenant != ""
	}
	return i.Tenant.ID, i.Claims.Tenant == "" || id == i.Tenant.ID
}

// keyOf is the key that a token names, which may have been made since the key set was fetched.
func (v *accepted) keyOf(ctx context.Context, u *unverified, now time.Time) (k any, refused *gateway.Error) {
	set, err := v.source.keys(ctx, now)
	if err != nil {
		return nil, providerOut(ctx, err)
	}
	if k = set.find(u.kid, u.named, u.algorithm); k == nil {
		newer, err := v.source.again(ctx, now)
		switch {
		case err != nil:
			return nil, providerOut(ctx, err)
		case newer == nil:
			return nil, errTokenKey
		}
		if set, k = newer, newer.find(u.kid, u.named, u.algorithm); k == nil {
			return nil, errTokenKey
		}
	}
	v.set = set
	return k, nil
}

func refusal(err error) *gateway.Error {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return errTokenSignature
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errTokenForm
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return errTokenTime
	}
	return errTokenClaims
}

// describe takes the caller from verified claims. A claim that is configured must be there, but for limits: who forgets it is
// not let in with more than was meant.
func (v *accepted) describe(claims jwt.MapClaims) (ok bool) {
	names := v.issuer.Claims
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return false
	}
	v.until, v.caller.Expires, v.caller.Key = exp.Add(leeway), exp.Time, tenant.Token
	if names.User != "" {
		if v.caller.User, ok = claims[names.User].(string); !ok || v.caller.User == "" || !isName(v.caller.User) {
			return false
		}
	}
	if names.Models != "" {
		if v.caller.Allow, ok = patterns(claims[names.Models]); !ok {
			return false
		}
	}
	if names.Limits != "" && claims[names.Limits] != nil {
		if v.caller.Limits, ok = limits(claims[names.Limits]); !ok {
			return false
		}
	}
	return true
}

// isName says whether a text can stand in a log: short, and without control characters.
func isName(s string) bool {
	return len(s) <= longestUser && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 })
}

// patterns reads models that may be used: a list, or a string with spaces between. An empty one allows none.
func patterns(claim any) ([]gateway.Pattern, bool) {
	list, isList := claim.([]any)
	if text, ok := claim.(string); ok {
		for word := range strings.FieldsSeq(text) {
			list = append(list, word)
		}
	} else if !isList {
		return nil, false
	}
	if len(list) == 0 {
		return nothing, true
	}
	out := make([]gateway.Pattern, 0, min(len(list), mostPatterns))
	for _, item := range list {
		s, ok := item.(string)
		if !ok || len(out) == mostPatterns {
			return nil, false
		}
		out = append(out, gateway.Pattern(s))
	}
	return out, true
}

// limits reads an object of whole numbers above 0.
func limits(claim any) (l tenant.Limits, ok bool) {
	members, ok := claim.(map[string]any)
	for name, into := range map[string]*int64{"rpm": &l.Requests, "tpm": &l.Tokens, "concurrent": &l.Concurrent} {
		v, has := members[name]
		if !has {
			continue
		}
		n, isNumber := v.(json.Number)
		var err error
		if *into, err = n.Int64(); !isNumber || err != nil || *into < 1 {
			return tenant.Limits{}, false
		}
	}
	return l, ok
}
