package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/MicahParks/jwkset"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sluice-ai/sluice/gateway"
)

// How long key sets are good for.
const (
	freshFor  = 15 * time.Minute // then it is fetched anew, beside the requests
	tiredFor  = time.Hour        // then the next request waits for that
	staleFor  = 24 * time.Hour   // then it is good for nothing
	pause     = 5 * time.Second  // between two fetches, the first of which failed
	surprise  = time.Minute      // between two fetches, the second of which is for a key that the first did not bring
	fetchTime = 5 * time.Second
)

// Bounds of key sets.
const (
	mostSets  = 16 << 10 // in memory
	mostBytes = 1 << 20
	mostKeys  = 256
	leastRSA  = 2048 // bits
	mostRSA   = 8192
)

var errTooLarge = errors.New("the key set is larger than 1 MiB")

// keySet is a provider's public keys at one time. Immutable.
type keySet struct {
	raw  []byte // as it came
	keys map[keyName]any
}

// keyName names a key. An algorithm is part of it: each key is good for one, so that no token decides how it is verified.
type keyName struct{ id, algorithm string }

// find gives the key that a token names; a token that names none means the only one there is.
func (s *keySet) find(id string, named bool, algorithm string) any {
	if named {
		return s.keys[keyName{id, algorithm}]
	}
	if len(s.keys) != 1 {
		return nil
	}
	for name, k := range s.keys {
		if name.algorithm == algorithm {
			return k
		}
	}
	return nil
}

// parseKeySet reads a key set (RFC 7517). Keys that are not for signatures, or too weak, are passed over, and so are private
// and symmetric ones; certificates, which a library might go and fetch, are not looked at.
func parseKeySet(raw []byte) (*keySet, error) {
	var list jwkset.JWKSMarshal
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("the key set is no JSON: %w", err)
	}
	if list.Keys == nil || len(list.Keys) > mostKeys {
		return nil, fmt.Errorf("the key set has no \"keys\", or more than %d", mostKeys)
	}
	s := &keySet{raw: raw, keys: map[keyName]any{}}
	for _, k := range list.Keys {
		k.X5U, k.X5C, k.X5T, k.X5TS256 = "", nil, "", ""
		forVerifying := len(k.KEYOPS) == 0 || slices.Contains(k.KEYOPS, "verify")
		if k.USE != "" && k.USE != jwkset.UseSig || !forVerifying {
			continue
		}
		j, err := jwkset.NewJWKFromMarshal(k, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue // of a kind that is not known here, or not valid: the others are good all the same
		}
		alg, ok := algorithmOf(j.Key(), string(k.ALG))
		name := keyName{k.KID, alg}
		if _, twice := s.keys[name]; ok && !twice {
			s.keys[name] = j.Key()
		}
	}
	return s, nil
}

// algorithmOf is what a key is good for: the algorithm that it names, if it can, else the common one for its kind.
func algorithmOf(k any, named string) (string, bool) {
	var fit []string
	switch k := k.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= leastRSA && n <= mostRSA && k.E > 2 {
			fit = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		fit = []string{map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]}
	case ed25519.PublicKey:
		fit = []string{"EdDSA"}
	}
	switch {
	case len(fit) == 0:
		return "", false
	case named == "":
		return fit[0], true
	}
	return named, slices.Contains(fit, named)
}

// source is where a key set comes from, and the last one that came.
type source struct {
	from  place
	fetch func(s *source) // starts a fetch on a goroutine of its own
	state atomic.Pointer[fetched]

	mu     sync.Mutex
	tried  time.Time     // when the last fetch began
	failed bool          // it did
	flight chan struct{} // closed when the fetch under way is over; nil if there is none
}

// place is an address of key sets.
type place struct {
	url     string
	private bool
}

type fetched struct {
	*keySet
	at time.Time
}

var errNoKeys = errors.New("no key set that is less than a day old")

// keys is the present key set. It waits for another if there is none that can be used, or nobody has asked for long, and no
// longer than a fetch takes.
func (s *source) keys(ctx context.Context, now time.Time) (*keySet, error) {
	f := s.state.Load()
	if f != nil && now.Sub(f.at) < freshFor {
		return f.keySet, nil
	}
	flight, failed := s.start(now, pause)
	usable := f != nil && now.Sub(f.at) < staleFor
	if flight != nil && (!usable || now.Sub(f.at) >= tiredFor && !failed) {
		if err := await(ctx, flight); err != nil {
			return nil, err
		}
		f = s.state.Load()
	}
	if f == nil || now.Sub(f.at) >= staleFor {
		return nil, errNoKeys
	}
	return f.keySet, nil
}

// again is the key set after another look for a key that the present one does not have; nil if it is too early for one. The
// error says that there was no look, because the provider is out.
func (s *source) again(ctx context.Context, now time.Time) (*keySet, error) {
	flight, failed := s.start(now, surprise)
	before := s.state.Load()
	if flight != nil {
		if err := await(ctx, flight); err != nil {
			return nil, err
		}
		s.mu.Lock()
		failed = s.failed
		s.mu.Unlock()
	}
	switch f := s.state.Load(); {
	case failed:
		return nil, errNoKeys
	case f == before:
		return nil, nil
	default:
		return f.keySet, nil
	}
}

func await(ctx context.Context, flight <-chan struct{}) error {
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start begins a fetch, unless the last one began less than a while ago, and gives the one under way. failed says how the last
// one ended.
func (s *source) start(now time.Time, apart time.Duration) (flight <-chan struct{}, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil && (s.tried.IsZero() || now.Sub(s.tried).Abs() >= apart) { // also if the clock was set back
		s.tried, s.flight = now, make(chan struct{})
		s.fetch(s)
	}
	return s.flight, s.failed
}

// done takes what a fetch has brought. The set replaces the one before, so that a key that was withdrawn is gone; one with the
// same bytes is the same set, and what was verified with it stays so.
func (s *source) done(raw []byte, at time.Time, err error) error {
	var set *keySet
	old := s.state.Load()
	switch {
	case err != nil:
	case old != nil && bytes.Equal(old.raw, raw):
		set = old.keySet
	default:
		set, err = parseKeySet(raw)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.state.Store(&fetched{set, at})
	}
	s.failed = err != nil
	close(s.flight)
	s.flight = nil
	return err
}

// sources are all places that key sets come from. Only what is configured gets here.
type sources struct {
	known *lru.Cache[place, *source]
	fetch func(s *source)
}

func newSources(fetch func(*source)) *sources {
	c, _ := lru.New[place, *source](mostSets) // fails for sizes below 1
	return &sources{known: c, fetch: fetch}
}

func (l *sources) of(i *gateway.Issuer) *source {
	p := place{i.JWKS, i.Private}
	if s, ok := l.known.Get(p); ok {
		return s
	}
	s := &source{from: p, fetch: l.fetch}
	if before, ok, _ := l.known.PeekOrAdd(p, s); ok {
		return before
	}
	return s
}

// download gets a key set. It follows no redirect, and connects to public addresses alone unless the place is private. roots
// are the authorities that a server's certificate must come from; nil: the system's.
func download(ctx context.Context, p place, roots *x509.CertPool) ([]byte, error) {
	if !p.private && !strings.HasPrefix(p.url, "https://") {
		return nil, errors.New("the URL of the key set is not https")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	dialer := &net.Dialer{Timeout: fetchTime}
	if !p.private {
		dialer.ControlContext = publicOnly
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("the URL of the key set: %w", err)
	}
	q.Header.Set("Accept", "application/jwk-set+json, application/json")
	r, err := client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("fetching the key set: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the key set: %s", r.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, mostBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching the key set: %w", err)
	case len(raw) > mostBytes:
		return nil, errTooLarge
	}
	return raw, nil
}

// publicOnly is net.Dialer.ControlContext: it sees the address that is about to be dialled.
func publicOnly(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	return gateway.PublicOnly(ap)
}
