package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Session is the answer to GET /admin/v1/session: who looks on.
type Session struct {
	Login   bool        `json:"login"` // nobody: the rest takes a token
	Name    string      `json:"name,omitempty"`
	Role    string      `json:"role,omitempty"`
	Tenants []tenant.ID `json:"tenants,omitempty"` // left out: all
}

// What a browser that signed in has instead of the token, which it then forgets. Scripts do not see it, and no other site can
// have it sent.
const (
	sessionCookie = "sluice_session"
	sessionTime   = 12 * time.Hour
	sessionsKept  = 1000
)

// sessions are the browsers that are signed in. They end with the process, and with the token. The zero value is ready.
type sessions struct {
	mu   sync.Mutex
	seen map[[32]byte]signed // by the digest of what the cookie has
}

// signed is one of them.
type signed struct {
	token gateway.Digest
	until time.Time
}

// begin makes a session for who has a token. Of too many, the one that would end first ends.
func (s *sessions) begin(token gateway.Digest, now time.Time) (cookie string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails
	cookie = base64.RawURLEncoding.EncodeToString(random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[[32]byte]signed{}
	}
	var first [32]byte
	for id, one := range s.seen {
		switch {
		case !now.Before(one.until):
			delete(s.seen, id)
		case s.seen[first].until.IsZero() || one.until.Before(s.seen[first].until):
			first = id
		}
	}
	if len(s.seen) >= sessionsKept {
		delete(s.seen, first)
	}
	s.seen[sha256.Sum256([]byte(cookie))] = signed{token, now.Add(sessionTime)}
	return cookie
}

// token is what the session was begun with, of those that there are now; nil if there is no such session, or token.
func (s *sessions) token(cookie string, tokens []Token, now time.Time) *Token {
	s.mu.Lock()
	one, ok := s.seen[sha256.Sum256([]byte(cookie))]
	s.mu.Unlock()
	if !ok || !now.Before(one.until) {
		return nil
	}
	i := slices.IndexFunc(tokens, func(t Token) bool { return t.Digest == one.token })
	if i < 0 {
		return nil
	}
	return &tokens[i]
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, sha256.Sum256([]byte(cookie)))
}

// cookieOf is what a browser that signed in sends along; "" if there is none.
func cookieOf(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// elsewhere says whether a request comes from a page that is not one of this listener's. Browsers send the cookie with what such
// a page asks for only if it is of the same site, which another port of this host is.
func elsewhere(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err != nil || !strings.EqualFold(u.Host, r.Host)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// whoami answers GET /admin/v1/session.
func (c *call) whoami() error {
	by, err := c.s.authenticate(c.w, c.r)
	if err != nil {
		c.w.Header().Del("WWW-Authenticate")
		if e, ok := errors.AsType[*apiError](err); ok && e.code == "unknown_host" {
			return err
		}
		return c.json(http.StatusOK, Session{Login: true})
	}
	return c.json(http.StatusOK, Session{Name: by.name, Role: by.role.String(), Tenants: by.tenants})
}

// signIn answers POST /admin/v1/session: {"token": …} becomes a cookie.
func (c *call) signIn() error {
	var asked struct {
		Token string `json:"token"`
	}
	if err := c.body(&asked); err != nil {
		return err
	}
	if tokens, err := c.s.known(c.r); err == nil && tokens == nil { // it is in already
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	t, err := c.s.verify(c.w, c.r, asked.Token)
	if err != nil {
		return err
	}
	now := time.Now()
	until := now.Add(sessionTime)
	if !t.Expires.IsZero() && t.Expires.Before(until) {
		until = t.Expires
	}
	http.SetCookie(c.w, &http.Cookie{ //nolint:gosec // without TLS a secure cookie would not come back
		Name: sessionCookie, Value: c.s.sessions.begin(t.Digest, now), Path: "/", Expires: until, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: secure(c.r),
	})
	c.s.o.Log.Info("an operator signed in", zap.String("name", t.Name), zap.String("remote_addr", c.r.RemoteAddr))
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// signOut answers DELETE /admin/v1/session.
func (c *call) signOut() error {
	c.s.sessions.end(cookieOf(c.r))
	http.SetCookie(c.w, &http.Cookie{ //nolint:gosec // as above
		Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure(c.r),
	})
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// secure says whether the browser came by TLS, which a proxy in front ends.
func secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// passOn asks the gateway's API as the tenant, for an operator. A WebSocket is not bound to pages of this origin by the browser.
func (c *call) passOn() error {
	if c.s.o.API == nil {
		return &apiError{http.StatusNotFound, "not_found", "There is no API here."}
	}
	if c.r.Header.Get("Upgrade") != "" && elsewhere(c.r) {
		return errElsewhere
	}
	r := c.r.Clone(c.r.Context())
	r.URL.Path, r.URL.RawPath = "/v1/"+c.r.PathValue("path"), ""
	c.s.o.API(c.w, r, c.tenant())
	return nil
}
