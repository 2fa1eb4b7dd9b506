// Package auth finds out who asks. It reads the key from the headers alone, so that a request of a stranger is refused
// before a byte of its body is read.
package auth

import (
	"bytes"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// Config are the plugin's settings.
type Config struct {
	// Pepper is the secret in digests that begin with hmac-sha256. At least 16 bytes; without it those keys are refused.
	Pepper config.Secret `yaml:"pepper,omitempty"`
}

const leastPepper = 16

// Validate implements what the configuration looks for.
func (c *Config) Validate() error {
	if n := len(c.Pepper.Reveal()); n > 0 && n < leastPepper {
		return &config.FieldError{
			Field: "pepper", Message: "the pepper is shorter than 16 bytes",
			Hint: "make one with: openssl rand -hex 32",
		}
	}
	return nil
}

// Spec describes the plugin "auth".
func Spec() gateway.Spec {
	return gateway.Define("auth", Config{}, func(h gateway.Host, c Config) (gateway.Plugin, error) {
		return &Plugin{host: h, who: NewAuthenticator(c.Pepper, h.Now)}, nil
	})
}

// Plugin lets through whom the endpoint's policy allows, and says who it is.
type Plugin struct {
	host gateway.Host
	who  *Authenticator
}

var _ gateway.Plugin = (*Plugin)(nil)

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	var once sync.Once
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		switch x.Request.Endpoint.Policy {
		case gateway.Public:
			return next.Serve(x)
		case gateway.Callers:
		default:
			return errClosed
		}
		if p.who.pepper == nil && x.Directory.Peppered() {
			once.Do(func() {
				p.host.Log().Warn("keys whose digest is an hmac-sha256 are refused: plugins.auth.pepper is not set")
			})
		}
		caller, err := p.who.Authenticate(x.Request.Header, x.Directory)
		if err != nil {
			return err
		}
		x.Caller = caller
		return next.Serve(x)
	})
}

// Authenticator finds the owner of a key. Every surface uses the same one.
type Authenticator struct {
	pepper *key.Pepper // nil if there is none
	now    func() time.Time
}

// NewAuthenticator makes an authenticator; pepper may be empty.
func NewAuthenticator(pepper config.Secret, now func() time.Time) *Authenticator {
	a := &Authenticator{now: now}
	if !pepper.IsZero() {
		a.pepper = key.NewPepper(pepper.Reveal())
	}
	return a
}

// Authenticate says whose key the headers carry: in Authorization as a bearer token (RFC 6750, section 2.1), or alone in
// x-api-key (Anthropic's SDKs) or api-key (Azure's). Without a key it is the anonymous tenant, if the directory has one;
// a wrong key is never anonymous. The error is an *Error, 401 or 400.
//
// Every wellformed key costs the same work, whether or not anybody has it, and what is looked up is its digest, so the
// time it takes tells nothing of the keys that exist. Nothing is allocated for keys up to 192 bytes.
func (a *Authenticator) Authenticate(h gateway.Header, d *gateway.Directory) (gateway.Caller, error) {
	k, bad := credential(h)
	switch {
	case bad != nil:
		return gateway.Caller{}, bad
	case k == nil:
		if t := d.Anonymous(); t != nil {
			return gateway.Caller{Tenant: t}, nil
		}
		return gateway.Caller{}, errMissing
	case key.Ours(k) && !key.Wellformed(k):
		return gateway.Caller{}, errMistyped
	}
	found := a.find(k, d)
	if found == nil {
		return gateway.Caller{}, errUnknown
	}
	if !found.Expires.IsZero() && !a.now().Before(found.Expires) {
		return gateway.Caller{}, expired(found.Expires)
	}
	return gateway.Caller{Tenant: found.Tenant, Key: found.Name}, nil
}

// find looks up both digests, whichever of them is the one that is stored.
func (a *Authenticator) find(k []byte, d *gateway.Directory) *gateway.Key {
	found := d.Key(key.Digest(k))
	if a.pepper != nil && d.Peppered() {
		if peppered := d.Key(a.pepper.Digest(k)); peppered != nil {
			found = peppered
		}
	}
	return found
}

const (
	longest = 4 << 10 // bytes of a credential
	blank   = " \t"   // optional white space around a field's value (RFC 9110, section 5.6.3)
)

// credential is the key that the headers carry; nil if there is none. An empty field is no credential: SDKs send it when
// they have no key.
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
	switch {
	case bad != nil:
		return nil, bad
	case len(k) > longest:
		return nil, errTooLong
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
