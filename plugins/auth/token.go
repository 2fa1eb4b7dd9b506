package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// What access tokens are marked with, besides their issuer: a token that was made for anything else is none of them.
const (
	accessType     = "at+jwt" // RFC 9068, section 2.1
	accessAudience = "sluice"
	accessMethod   = "HS256"
)

// issuing makes the gateway's own tokens. All its secrets come from the pepper, so that every node with the same one takes the
// tokens of the others.
//
// A token carries the digest of the key that it was asked for with, sealed, and is good as long as that key is: whatever is
// said of the key counts for the token, and a new key under an old name revives nothing.
type issuing struct {
	issuer string
	sign   []byte
	grants cipher.AEAD // seals digests, for ids of grants
	tokens cipher.AEAD // seals refresh tokens
}

func newIssuing(c TokenConfig, pepper string) (*issuing, error) {
	o := &issuing{issuer: c.Issuer}
	var err error
	if o.sign, err = hkdf.Key(sha256.New, []byte(pepper), nil, "sluice access-v1", sha256.Size); err != nil {
		return nil, fmt.Errorf("auth: deriving a key: %w", err)
	}
	if o.grants, err = sealing(pepper, "sluice grant-v1"); err != nil {
		return nil, err
	}
	if o.tokens, err = sealing(pepper, "sluice refresh-v1"); err != nil {
		return nil, err
	}
	return o, nil
}

func sealing(pepper, purpose string) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, []byte(pepper), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("auth: deriving a key: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return a, nil
}

// grant is a new id of what comes of one request with a key. It seals the key's digest; nobody else can tell whether two are of
// the same key.
func (o *issuing) grant(id tenant.ID, d gateway.Digest) string {
	plain := append([]byte{byte(d.Kind)}, d.Sum[:]...)
	return base64.RawURLEncoding.EncodeToString(o.grants.Seal(nil, nil, plain, []byte(id))) //nolint:gosec // it makes its own nonce
}

// digest is the digest in the id of a tenant's grant.
func (o *issuing) digest(id tenant.ID, grant string) (d gateway.Digest, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(grant)
	if err != nil {
		return d, false
	}
	plain, err := o.grants.Open(nil, nil, sealed, []byte(id))
	if err != nil || len(plain) != 1+len(d.Sum) {
		return d, false
	}
	d.Kind = gateway.DigestKind(plain[0])
	copy(d.Sum[:], plain[1:])
	return d, true
}

// claims are those of an access token.
type claims struct {
	jwt.RegisteredClaims
	Tenant string `json:"tid"`
	Grant  string `json:"fam"`
	Scope  string `json:"scope,omitempty"`
}

// mint makes an access token of a family, and says for how long it is good: no longer than the family and its key.
func (o *issuing) mint(c *TokenConfig, f *store.Family, k *gateway.Key, scope string, now time.Time) (token string, good time.Duration, err error) {
	good = min(c.Access, earlier(f.Expires, k.Expires).Sub(now).Truncate(time.Second))
	if good < time.Second {
		return "", 0, errGrant
	}
	var jti [12]byte
	_, _ = rand.Read(jti[:]) // never fails
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: o.issuer, Audience: jwt.ClaimStrings{accessAudience}, Subject: f.User, ID: hex.EncodeToString(jti[:]),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(good)),
		},
		Tenant: string(k.Tenant.ID), Grant: f.ID, Scope: scope,
	})
	t.Header["typ"] = accessType
	token, err = t.SignedString(o.sign)
	if err != nil {
		return "", 0, fmt.Errorf("signing a token: %w", err)
	}
	return token, good, nil
}

// verify checks one of our own tokens.
func (o *issuing) verify(u *unverified, d *gateway.Directory, now time.Time) (*accepted, *gateway.Error) {
	if u.algorithm != accessMethod || u.typ != accessType {
		return nil, errTokenAlgorithm
	}
	var c claims
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{accessMethod}), jwt.WithIssuer(o.issuer), jwt.WithAudience(accessAudience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithStrictDecoding(),
	).ParseWithClaims(u.text, &c, func(*jwt.Token) (any, error) { return o.sign, nil })
	if err != nil {
		return nil, refusal(err)
	}
	id := tenant.ID(c.Tenant)
	digest, ok := o.digest(id, c.Grant)
	if !ok {
		return nil, errTokenClaims
	}
	k := d.Key(digest)
	if k == nil || k.Tenant.ID != id {
		return nil, errTokenRevoked
	}
	v := &accepted{until: c.ExpiresAt.Add(leeway), digest: digest, key: k}
	v.caller = gateway.Caller{Key: k.Name, User: c.Subject, Allow: narrowed(k.Allow, strings.Fields(c.Scope)), Limits: k.Limits, Expires: c.ExpiresAt.Time}
	return v, nil
}
