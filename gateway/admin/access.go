package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Role is what an operator may do. Each may do what those before it may.
type Role uint8

// Roles.
const (
	Anyone   Role = iota // nobody is asked who he is: probes
	Viewer               // sees
	Operator             // also drains targets, and makes, rotates and revokes keys
	Admin                // also changes tenants, and takes profiles
)

var roles = [...]string{"anyone", "viewer", "operator", "admin"}

// String is the role's name in configuration and in the audit.
func (r Role) String() string {
	if int(r) < len(roles) {
		return roles[r]
	}
	return "Role(" + strconv.Itoa(int(r)) + ")"
}

// ParseRole reads the name of a role that a token can have.
func ParseRole(s string) (Role, error) {
	if i := slices.Index(roles[Viewer:], s); i >= 0 {
		return Viewer + Role(i), nil //nolint:gosec // one of three
	}
	return Anyone, fmt.Errorf("%q is none of viewer, operator, admin", s)
}

// Token is one operator's credential, by its digest: nobody can read the token itself.
type Token struct {
	Name    string // in logs and in the audit
	Digest  gateway.Digest
	Role    Role
	Tenants []tenant.ID // that it is for; the others are not there for it. Empty: all, and the gateway itself
	Expires time.Time   // zero: never
}

// local is whom a request of the same machine is from while there are no tokens.
const local = "local"

// caller is who asks.
type caller struct {
	name    string
	role    Role
	tenants []tenant.ID // empty: all
	address string      // without the port
}

// all says whether the caller may see every tenant, and the gateway itself.
func (c *caller) all() bool { return len(c.tenants) == 0 }

// sees says whether a tenant is one of the caller's.
func (c *caller) sees(id tenant.ID) bool { return c.all() || slices.Contains(c.tenants, id) }

// authenticate finds out who asks. Without tokens it is whoever is on the same machine, who may do everything. Somebody
// else may do nothing without the token that was printed; what a proxy passes on comes from somebody else. A browser that signed
// in has a cookie in place of a token.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (*caller, error) {
	tokens, err := s.known(r)
	if err != nil {
		return nil, err
	}
	address := peerOf(r).String()
	if tokens == nil {
		return &caller{local, Admin, nil, address}, nil
	}
	cookie := cookieOf(r)
	if r.Header.Get("Authorization") != "" || cookie == "" {
		t, err := s.bearer(w, r)
		if err != nil {
			return nil, err
		}
		return &caller{t.Name, t.Role, t.Tenants, address}, nil
	}
	now := time.Now()
	t := s.sessions.token(cookie, tokens, now)
	switch {
	case t == nil || expired(t, now):
		return nil, &apiError{http.StatusUnauthorized, "session_ended", "The session has ended; sign in again."}
	case elsewhere(r):
		return nil, errElsewhere
	}
	return &caller{t.Name, t.Role, t.Tenants, address}, nil
}

// known are the tokens that a request may come with; nil if it needs none.
func (s *Server) known(r *http.Request) ([]Token, error) {
	tokens, peer := *s.tokens.Load(), peerOf(r)
	switch {
	case len(tokens) > 0:
		return tokens, nil
	case peer.IsLoopback() && r.Header["X-Forwarded-For"] == nil && r.Header["Forwarded"] == nil:
		if browser(r) && !literal(r.Host) {
			return nil, &apiError{http.StatusForbidden, "unknown_host", "A browser may look here by an IP address or localhost only, as long as there are no admin.tokens."}
		}
		return nil, nil
	case s.o.Printed != nil:
		return []Token{*s.o.Printed}, nil
	}
	return nil, &apiError{http.StatusForbidden, "no_tokens", "From another machine, or through a proxy, this takes a token, and there are none yet: \"sluice keys token\" makes one for admin.tokens."}
}

// bearer is the token in the Authorization header (RFC 6750, section 2.1).
func (s *Server) bearer(w http.ResponseWriter, r *http.Request) (*Token, error) {
	scheme, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || credential == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
		return nil, &apiError{http.StatusUnauthorized, "no_token", "Send an admin token: Authorization: Bearer …"}
	}
	return s.verify(w, r, credential)
}

// verify is the token that a credential is, unless too many wrong ones came from its address.
func (s *Server) verify(w http.ResponseWriter, r *http.Request, credential string) (*Token, error) {
	tokens, err := s.known(r)
	if err != nil {
		return nil, err
	}
	peer, mark, now := peerOf(r), sha256.Sum256([]byte(credential)), time.Now()
	if wait := s.failures.look(peer, mark, now); wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
		return nil, &apiError{http.StatusTooManyRequests, "too_many_failed_logins", "Too many wrong tokens came from this address; wait."}
	}
	t := s.find(tokens, credential)
	if t == nil || expired(t, now) {
		s.failures.failed(peer, now)
		s.o.Log.Warn("admin login failed", zap.String("remote_addr", r.RemoteAddr), zap.String("path", r.URL.Path), zap.Bool("expired", t != nil))
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice", error="invalid_token"`)
		return nil, &apiError{http.StatusUnauthorized, "invalid_token", "There is no such admin token, or it has expired."}
	}
	s.failures.passed(peer, mark)
	return t, nil
}

func expired(t *Token, now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// find looks for a token by its digests, at all of them, whichever it is.
func (s *Server) find(tokens []Token, credential string) (found *Token) {
	digests := []gateway.Digest{{Kind: gateway.SHA256, Sum: sha256.Sum256([]byte(credential))}}
	if s.o.Pepper != nil {
		digests = append(digests, s.o.Pepper([]byte(credential)))
	}
	for i := range tokens {
		for _, d := range digests {
			if d.Kind == tokens[i].Digest.Kind && subtle.ConstantTimeCompare(d.Sum[:], tokens[i].Digest.Sum[:]) == 1 {
				found = &tokens[i]
			}
		}
	}
	return found
}

// Use replaces the tokens, from the next request on.
func (s *Server) Use(tokens []Token) {
	tokens = slices.Clone(tokens)
	s.tokens.Store(&tokens)
}

// peerOf is the address that a request comes from; invalid if there is none.
func peerOf(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// browser says whether a request looks like one of a browser. A page cannot change what browsers say of themselves, but to
// addresses that are not encrypted they say only what they are.
func browser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

// Bounds of failed logins.
const (
	failuresAtOnce = 10
	failureEvery   = 6 * time.Second // one is forgiven
	failuresKept   = 4096            // addresses
)

// failures bounds how often wrong tokens may come from an address. A token that was right there before goes on being right,
// however often others fail. The zero value is ready.
type failures struct {
	mu   sync.Mutex
	seen map[netip.Addr]*failing
}

// failing is what is known of an address.
type failing struct {
	until time.Time   // when all its failures will be forgiven
	good  [4][32]byte // digests of tokens that were right there
	next  uint8       // of good, to be overwritten
}

// look says how long an address must wait before it may try a token.
func (f *failures) look(peer netip.Addr, mark [32]byte, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.seen[block(peer)]
	if r == nil && len(f.seen) > failuresKept {
		r = f.seen[netip.Addr{}]
	}
	if r == nil || slices.Contains(r.good[:], mark) {
		return 0
	}
	return max(r.until.Sub(now), 0) - (failuresAtOnce-1)*failureEvery // until may be zero
}

func (f *failures) failed(peer netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.of(peer, now)
	if r.until.Before(now) {
		r.until = now
	}
	r.until = r.until.Add(failureEvery)
}

func (f *failures) passed(peer netip.Addr, mark [32]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.of(peer, time.Now()); !slices.Contains(r.good[:], mark) {
		r.good[r.next] = mark
		r.next = (r.next + 1) % uint8(len(r.good))
	}
}

// of is what is known of an address. When there are too many, those are forgotten that have nothing left to be forgiven, and
// if there are none the rest share the place of the invalid address.
func (f *failures) of(peer netip.Addr, now time.Time) *failing {
	if f.seen == nil {
		f.seen = map[netip.Addr]*failing{}
	}
	who := block(peer)
	if r := f.seen[who]; r != nil {
		return r
	}
	if len(f.seen) >= failuresKept {
		for a, r := range f.seen {
			if !r.until.After(now) {
				delete(f.seen, a)
			}
		}
	}
	if len(f.seen) >= failuresKept { // so that it has more only with this place
		who = netip.Addr{}
	}
	if f.seen[who] == nil {
		f.seen[who] = &failing{}
	}
	return f.seen[who]
}

// block is what is counted by itself: an IPv4 address, or the first 64 bits of an IPv6 address, because whoever has one of these
// has them all.
func block(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}
