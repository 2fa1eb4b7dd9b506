// Package auth finds out who asks. It reads the key from the headers alone, so that a request of a stranger is refused
// before a byte of its body is read.
//
// Three things are taken for a credential: a key, whose digest a tenant has; a token of an identity provider that the operator
// or a tenant has named; and an access token that the gateway gave for a key, so that a browser need not hold one (see
// [OAuth]). The process itself has [Passes], too. Whatever it is, the address that it comes from may fail so often and no more.
package auth

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/store"
)

// Endpoints that the plugin answers itself.
const (
	tokenEndpoint  = "oauth.token"
	revokeEndpoint = "oauth.revoke"
)

// Lent is what the plugin needs of its surroundings. The zero value will do for one node without a store.
type Lent struct {
	Tokens store.Tokens   // where refresh tokens are; nil: in memory, until the plugin's settings change
	Roots  *x509.CertPool // authorities of the servers that key sets come from; nil: the system's
	Passes *Passes        // of the process; nil: there are none
}

// Spec describes the plugin "auth" with what it is lent.
func Spec(l Lent) gateway.Spec {
	return gateway.Define("auth", defaults(), func(h gateway.Host, c Config) (gateway.Plugin, error) { return New(h, c, l) })
}

// Plugin lets through whom the endpoint's policy allows, and says who it is.
type Plugin struct {
	host  gateway.Host
	who   *Authenticator
	oauth *OAuth
}

var (
	_ gateway.Plugin   = (*Plugin)(nil)
	_ gateway.Admitter = (*Plugin)(nil)
)

// New makes the plugin. Its settings are valid.
func New(h gateway.Host, c Config, l Lent) (*Plugin, error) {
	m := newMetrics()
	for _, collector := range []prometheus.Collector{m.failures, m.fetches} {
		if err := h.Metrics().Register(collector); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	fetch := func(s *source) {
		h.Go(func(ctx context.Context) {
			raw, err := download(ctx, s.from, l.Roots)
			if err = s.done(raw, h.Now(), err); err != nil {
				m.fetches.WithLabelValues("error").Inc()
				h.Log().Warn("no key set from an identity provider", zap.String("url", s.from.url), zap.Error(err))
				return
			}
			m.fetches.WithLabelValues("ok").Inc()
		})
	}
	who, err := newAuthenticator(c, h.Now, fetch, m)
	if err != nil {
		return nil, err
	}
	who.passes = l.Passes
	tokens := l.Tokens
	if tokens == nil {
		tokens = newMemory()
	}
	return &Plugin{host: h, who: who, oauth: newOAuth(who, tokens, c.Tokens, h.Log())}, nil
}

// OAuth gives and takes back tokens with the same settings, for a transport that does not go through the chain.
func (p *Plugin) OAuth() *OAuth { return p.oauth }

// Admit implements gateway.Admitter.
func (p *Plugin) Admit(ctx context.Context, h gateway.Header, client netip.Addr, d *gateway.Directory) (gateway.Caller, error) {
	return p.who.Authenticate(ctx, h, client, d)
}

// Wrap implements gateway.Plugin.
func (p *Plugin) Wrap(next gateway.Handler) gateway.Handler {
	var once sync.Once
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if x.Inside && x.Caller.Tenant != nil {
			return next.Serve(x)
		}
		switch x.Request.Endpoint.Policy {
		case gateway.Public:
			return p.public(x, next)
		case gateway.Callers:
		default:
			return errClosed
		}
		if p.who.hmac == nil && x.Directory.Peppered() {
			once.Do(func() {
				p.host.Log().Warn("keys whose digest is an hmac-sha256 are refused: plugins.auth.pepper is not set")
			})
		}
		caller, err := p.who.Authenticate(x.Context(), x.Request.Header, x.Client, x.Directory)
		if err != nil {
			return err
		}
		x.Caller = caller
		return next.Serve(x)
	})
}

// public lets everybody through, but for those who want tokens. Without a pepper there are none, and the transport says so.
func (p *Plugin) public(x *gateway.Exchange, next gateway.Handler) error {
	name := x.Request.Endpoint.Name
	if name != tokenEndpoint && name != revokeEndpoint || !p.oauth.Enabled() {
		return next.Serve(x)
	}
	params, err := x.Request.Params()
	if err != nil {
		return err
	}
	r := &Request{Params: params, Header: x.Request.Header, Client: x.Client, Directory: x.Directory}
	body := []byte("{}")
	if name == tokenEndpoint {
		body, x.Caller.Tenant, err = p.oauth.Token(x.Context(), r)
	} else {
		err = p.oauth.Revoke(x.Context(), r)
	}
	if err != nil {
		return err
	}
	x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once(body)}
	x.Commit()
	return nil
}

// metrics are the plugin's counters. No label has a value that somebody else chooses.
type metrics struct {
	failures *prometheus.CounterVec // reason: key, token, client, refresh, reuse, address
	fetches  *prometheus.CounterVec // result: ok, error
}

func newMetrics() *metrics {
	return &metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_auth_failures_total", Help: "Credentials that were refused.",
		}, []string{"reason"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_jwks_refresh_total", Help: "Fetches of identity providers' key sets.",
		}, []string{"result"}),
	}
}
