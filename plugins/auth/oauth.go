package auth

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// OAuth gives access tokens for keys, and new ones for refresh tokens (RFC 6749), so that a browser is given minutes and not a
// key. It knows no HTTP: a transport brings it the parameters of requests, and renders its errors.
//
// A refresh token is good once. One that comes again was copied, and everything that came of it is taken back (RFC 9700,
// section 4.14.2); but within the grace the same client is given the same answer again, because answers get lost, and pages
// of one browser ask at once. A client that sends its key is the same if the key is; one that does not, if its address is.
//
// Access tokens are not stored, and live on until they expire when a refresh token is taken back. They end at once with
// the key that they were given for.
type OAuth struct {
	who    *Authenticator
	tokens store.Tokens
	grants *limiter // of keys
	c      TokenConfig
	log    *zap.Logger
}

func newOAuth(who *Authenticator, tokens store.Tokens, c TokenConfig, log *zap.Logger) *OAuth {
	perMinute := Failures{Burst: c.PerMinute, Every: time.Minute / time.Duration(c.PerMinute)}
	return &OAuth{who: who, tokens: tokens, grants: newLimiter(perMinute), c: c, log: log}
}

// storeTime is how long the store may take.
const storeTime = 3 * time.Second

// Request is a POST to one of the two endpoints.
type Request struct {
	Params    url.Values     // one value each
	Header    gateway.Header // Authorization, and X-Forwarded-For if proxies are trusted
	Client    netip.Addr     // where the connection comes from
	Directory *gateway.Directory
}

// call is one request under way.
type call struct {
	*OAuth
	*Request
	from block
	now  time.Time
}

// answer is the body of a success (RFC 6749, section 5.1).
type answer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope,omitempty"`
}

// Enabled says whether tokens are given at all: there is a pepper.
func (o *OAuth) Enabled() bool { return o.who.own != nil }

// Token serves POST /oauth/token: the grants client_credentials and refresh_token. A client's id is its tenant's, alone or
// with "/" and the name of its key; its secret is the key. scope are patterns of models, which narrow what the key allows;
// user, an addition to the RFC, is the end user that the tokens are for.
//
// The reply's body is JSON. The error is an *Error with a code of RFC 6749, section 5.2: 400, 401, 429 or 503.
func (o *OAuth) Token(ctx context.Context, r *Request) (body []byte, whose *gateway.Tenant, err error) {
	if !o.Enabled() {
		return nil, nil, errNoTokens
	}
	if r.Directory.Partial() { // clients would throw away tokens that are called invalid
		return nil, nil, errUnread
	}
	c := o.begin(r)
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	var given *answer
	switch r.Params.Get("grant_type") {
	case "client_credentials":
		given, whose, err = c.grant(ctx)
	case "refresh_token":
		given, whose, err = c.refresh(ctx)
	case "":
		err = oauthError("invalid_request", "grant_type is missing.")
	default:
		err = errGrantType
	}
	if err != nil {
		return nil, whose, err
	}
	body, err = json.Marshal(given) //nolint:gosec // whoever asked is given it
	return body, whose, err
}

// Revoke serves POST /oauth/revoke (RFC 7009). With a refresh or access token, all refresh tokens that came of the same grant
// are taken back. What is no token, or another tenant's, is answered as if it had been one: there is nothing left to do. The
// error is as with Token.
func (o *OAuth) Revoke(ctx context.Context, r *Request) error {
	if !o.Enabled() {
		return errNoTokens
	}
	if r.Directory.Partial() {
		return errUnread
	}
	c := o.begin(r)
	token := []byte(r.Params.Get("token"))
	if len(token) == 0 {
		return oauthError("invalid_request", "token is missing.")
	}
	asks, err := c.client()
	if err != nil {
		return err
	}
	v, refused := c.who.begin(token, c.from)
	if refused != nil {
		return refused
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	id, family, err := c.familyOf(ctx, token, asks)
	switch {
	case err != nil:
		return storeOut(err)
	case family == "":
		_ = v.end(errGrant, "refresh")
		return nil
	case asks != nil && asks.key.Tenant.ID != id:
		return nil
	}
	return c.takeBack(ctx, id, family)
}

func (o *OAuth) begin(r *Request) *call {
	return &call{OAuth: o, Request: r, from: o.who.address(r.Client, r.Header), now: o.who.now()}
}

// grant gives the first tokens to a client.
func (c *call) grant(ctx context.Context) (*answer, *gateway.Tenant, error) {
	asks, err := c.client()
	switch {
	case err != nil:
		return nil, nil, err
	case asks == nil:
		return nil, nil, invalidClient("The client must send its key: by HTTP Basic, as client_secret, or as a bearer token.")
	}
	whose, user := asks.key.Tenant, c.Params.Get("user")
	if !isName(user) {
		return nil, whose, oauthError("invalid_request", "user is longer than 256 bytes, or has control characters.")
	}
	scope, err := parseScope(asks.key.Allow, c.Params.Get("scope"))
	if err != nil {
		return nil, whose, err
	}
	if wait := c.grants.take(blockOfKey(asks.digest), c.now); wait > 0 {
		return nil, whose, tooManyGrants(wait)
	}
	f := store.Family{
		ID: c.who.own.grant(whose.ID, asks.digest), Key: asks.key.Name, User: user, Scope: scope,
		Created: c.now, Expires: earlier(c.now.Add(c.c.Refresh), asks.key.Expires),
	}
	first := key.NewRefresh(string(whose.ID))
	if err := c.tokens.Grant(ctx, whose.ID, f, c.who.hmac([]byte(first)).Sum); err != nil {
		return nil, whose, storeOut(err)
	}
	given, err := c.give(asks.key, &f, scope, first)
	return given, whose, err
}

// refresh gives new tokens for a refresh token.
func (c *call) refresh(ctx context.Context) (*answer, *gateway.Tenant, error) {
	token := []byte(c.Params.Get("refresh_token"))
	if len(token) == 0 {
		return nil, nil, oauthError("invalid_request", "refresh_token is missing.")
	}
	if _, err := parseScope(nil, c.Params.Get("scope")); err != nil {
		return nil, nil, err
	}
	asks, err := c.client()
	if err != nil {
		return nil, nil, err
	}
	v, refused := c.who.begin(token, c.from)
	if refused != nil {
		return nil, nil, refused
	}
	whose := c.tenantOf(token, asks)
	if whose == nil {
		return nil, nil, v.end(errGrant, "refresh")
	}
	f, next, err := c.rotate(ctx, whose, token, asks, &v)
	if err != nil {
		return nil, whose, err
	}
	k := c.holder(whose.ID, f)
	if k == nil {
		if err := c.takeBack(ctx, whose.ID, f.ID); err != nil {
			return nil, whose, err
		}
		return nil, whose, v.end(errGrant, "refresh")
	}
	scope := f.Scope
	if asked := c.Params.Get("scope"); asked != "" {
		if scope, err = parseScope(words(f.Scope), asked); err != nil {
			return nil, whose, err
		}
	}
	given, err := c.give(k, f, scope, next)
	return given, whose, err
}

// rotate replaces a token, and gives its successor: the same one to all that are told it.
func (c *call) rotate(ctx context.Context, whose *gateway.Tenant, token []byte, asks *client, v *visit) (*store.Family, string, error) {
	next := key.NewRefresh(string(whose.ID))
	turn := c.turn(token, next, asks)
	turn.Agrees = func(f *store.Family) bool { // a token that was asked for too much is still good
		_, err := parseScope(words(f.Scope), c.Params.Get("scope"))
		return err == nil
	}
	turned, err := c.tokens.Rotate(ctx, whose.ID, turn)
	if err != nil {
		return nil, "", storeOut(err)
	}
	switch turned.Rotation {
	case store.Rotated:
		return &turned.Family, next, nil
	case store.Repeated:
		given, err := c.who.own.tokens.Open(nil, nil, turned.Sealed, turn.Old[:])
		if err != nil {
			return nil, "", storeOut(err)
		}
		return &turned.Family, string(given), nil
	case store.Reused:
		c.log.Warn("a refresh token came a second time, so its family is revoked",
			zap.String("tenant", string(whose.ID)), zap.String("key", turned.Family.Key))
		return nil, "", v.end(errGrant, "reuse")
	case store.Declined:
		return nil, "", errScope
	case store.Unknown, store.Revoked, store.Expired:
	}
	return nil, "", v.end(errGrant, "refresh")
}

// turn is the request to replace a token.
func (c *call) turn(token []byte, next string, asks *client) store.Turn {
	who := append([]byte("address "), c.from[:]...)
	if asks != nil {
		who = []byte("key " + asks.key.Name)
	}
	digest, same := c.who.hmac(token).Sum, c.who.hmac(who).Sum
	return store.Turn{
		Old: digest, Next: c.who.hmac([]byte(next)).Sum, Sealed: c.who.own.tokens.Seal(nil, nil, []byte(next), digest[:]), //nolint:gosec // it makes its own nonce
		Client: hex.EncodeToString(same[:16]), Now: c.now, Grace: c.c.Grace,
	}
}

// give is the answer with new tokens. scope says what the access token is good for, of what the key is.
func (c *call) give(k *gateway.Key, f *store.Family, scope, refresh string) (*answer, error) {
	access, good, err := c.who.own.mint(&c.c, f, k, scope, c.now)
	if err != nil {
		return nil, err
	}
	for _, token := range [...]string{access, refresh} { // so that the failures of others do not lock out who comes with it
		v := visit{a: c.who, from: c.from, digest: c.who.hash([]byte(token)), at: c.now}
		v.succeed()
	}
	return &answer{access, "Bearer", int64(good / time.Second), refresh, scope}, nil
}

// tenantOf is whose a refresh token is, if that is a tenant, and the client's own, whichever way it says who it is.
func (c *call) tenantOf(token []byte, asks *client) *gateway.Tenant {
	name, ok := key.RefreshTenant(token)
	if !ok {
		return nil
	}
	t := c.Directory.Tenant(tenant.ID(name))
	if t == nil || asks != nil && asks.key.Tenant.ID != t.ID {
		return nil
	}
	if id, _, _ := strings.Cut(c.Params.Get("client_id"), "/"); id != "" && id != name {
		return nil
	}
	return t
}

// holder is the key that a family was granted to; nil if that is not valid any more.
func (c *call) holder(id tenant.ID, f *store.Family) *gateway.Key {
	digest, ok := c.who.own.digest(id, f.ID)
	if !ok {
		return nil
	}
	k := c.Directory.Key(digest)
	if k == nil || k.Tenant.ID != id || !k.Expires.IsZero() && !c.now.Before(k.Expires) {
		return nil
	}
	return k
}

// familyOf is the grant that a token came of; "" if there is none.
func (c *call) familyOf(ctx context.Context, token []byte, asks *client) (id tenant.ID, family string, err error) {
	if _, refresh := key.RefreshTenant(token); refresh {
		t := c.tenantOf(token, asks)
		if t == nil {
			return "", "", nil
		}
		turn := c.turn(token, key.NewRefresh(string(t.ID)), asks) // nobody is given that one
		turn.Grace = 0
		turned, err := c.tokens.Rotate(ctx, t.ID, turn)
		return t.ID, turned.Family.ID, err
	}
	if !looksLikeToken(token) {
		return "", "", nil
	}
	u, refused := read(token)
	if refused != nil || u.issuer != c.who.own.issuer {
		return "", "", nil
	}
	if _, refused := c.who.own.verify(u, c.Directory, c.now); refused != nil {
		return "", "", nil
	}
	whose, _ := u.claims["tid"].(string)
	family, _ = u.claims["fam"].(string)
	return tenant.ID(whose), family, nil
}

// takeBack revokes a family. That there is none any more is as good.
func (c *call) takeBack(ctx context.Context, id tenant.ID, family string) error {
	err := c.tokens.RevokeFamily(ctx, id, family, store.Entry{
		At: c.now, Tenant: id, Who: "oauth", Role: "client", Address: c.Client.String(), Action: "family.revoke", Object: family,
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return storeOut(err)
	}
	return nil
}

// storeOut is for a store that does not answer.
func storeOut(err error) *gateway.Error {
	return &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: "temporarily_unavailable", RetryAfter: time.Second, Err: err,
		Message: "Refresh tokens cannot be kept at present. Try again.",
	}
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
