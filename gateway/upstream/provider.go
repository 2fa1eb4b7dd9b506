// Package upstream makes one attempt at a provider: its own HTTP/1.1 connection pool, a deadline for each phase
// (connect, headers or answer, first event, idle, total), cancellation at any moment, and framing that cannot mistake a cut for
// an end.
//
// The pool is our own because no client library can be cancelled while it waits for headers, tells a body that was
// cut between two chunks from one that ended, or lets a connection wait without a buffer (see gateway/DECISIONS.md).
package upstream

import (
	"crypto/tls"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/watch"
)

// Timeouts bound the phases of an attempt; 0 is no bound.
type Timeouts struct {
	Connect    time.Duration // dial and TLS handshake
	Headers    time.Duration // from the request written to the head of a streamed reply; also bounds writing it
	FirstEvent time.Duration // from the request written to a stream's first event
	Idle       time.Duration // between two events of a stream that mean something, or two reads of a whole body
	Answer     time.Duration // from the request written to the head of a whole reply: nothing comes before it is generated
	Total      time.Duration // the whole attempt
}

// Config is what a provider needs to be called.
type Config struct {
	Name        string
	BaseURL     *url.URL // scheme, host and path prefix
	Kind        Kind
	Endpoints   []gateway.Endpoint // all there are
	Query       string             // sent with every request: api-version=… (Azure)
	Headers     []gateway.Field    // sent with every request, after the standard ones
	Timeouts    Timeouts
	Beat        time.Duration // how often Exchange.Idle is called while a stream is silent; 0: never
	MaxIdle     int           // connections kept open without use
	IdleTimeout time.Duration // how long they are kept
	MaxBody     int           // bytes of a whole reply
	MaxEvent    int           // bytes of one event
	Budget      *Budget       // of the bytes of all replies; nil: no bound
	Stored      *Stored       // answers of the Responses API; nil: none are kept
	Refuse      bool          // what a model or its dialect has no place for is an error, instead of left out
	Merge       Merge         // of requests for embeddings
	AskUsage    bool          // ask for a stream's usage when the caller did not, and take the extra event out again
	TLS         *tls.Config   // nil: the system's roots
	Proxy       func(*url.URL) (*url.URL, error)
	Guard       Guard          // what may be dialled; nil: anything
	Watch       *watch.Watcher // nil: that idle connections were closed is noticed when they are wanted
	UserAgent   string
}

// Provider is one account's endpoint with its connections. Safe for concurrent use.
type Provider struct {
	c      Config
	dialer dialer
	head   string // the fixed header lines, built once
	routes map[string]*route
	target string // what stands before a path in the request line: the base URL's path, or all of it through a proxy

	mu     sync.Mutex
	idle   []*conn // oldest first; used from the end
	closed bool
	reaper *time.Timer

	open  atomic.Int64
	dials atomic.Int64
}

// New makes a provider; it opens no connection. The error is about the URL or the proxy.
func New(c Config) (*Provider, error) {
	d, err := newDialer(&c)
	if err != nil {
		return nil, err
	}
	if c.Budget == nil {
		c.Budget = NewBudget(0)
	}
	p := &Provider{c: c, dialer: d, routes: c.Kind.routes(&c)}
	p.target = strings.TrimSuffix(c.BaseURL.EscapedPath(), "/")
	var b strings.Builder
	b.WriteString(" HTTP/1.1\r\nHost: " + c.BaseURL.Host + "\r\nAccept-Encoding: identity\r\n")
	if c.UserAgent != "" {
		b.WriteString("User-Agent: " + c.UserAgent + "\r\n")
	}
	if d.forward != nil { // a plain-text request through a proxy is written to the proxy, with the whole URL
		p.target = "http://" + c.BaseURL.Host + p.target
		if d.proxyAuth != "" {
			b.WriteString("Proxy-Authorization: " + d.proxyAuth + "\r\n")
		}
	}
	for _, f := range c.Headers {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	p.head = b.String()
	return p, nil
}

// WithKey is the provider called with one of its keys; "" for providers that need none.
func (p *Provider) WithKey(value string) gateway.Sender {
	s := &sender{p: p}
	s.merger = merger{s: s, open: map[terms]*merged{}}
	if value != "" {
		s.auth = p.c.Kind.Auth + value + "\r\n"
	}
	return s
}

// Connections counts the open connections and those dialled so far.
func (p *Provider) Connections() (open, dialled int64) { return p.open.Load(), p.dials.Load() }

// Close closes the idle connections; those in use are closed when their exchange ends.
func (p *Provider) Close() error {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
	return nil
}

// take gives an idle connection, newest first; nil if there is none.
func (p *Provider) take() *conn {
	p.mu.Lock()
	n := len(p.idle)
	if n == 0 {
		p.mu.Unlock()
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	c.pooled = false
	p.mu.Unlock()
	c.reused, c.got = true, 0
	return c
}

// put takes a connection back whose last reply was read to its end.
func (p *Provider) put(c *conn, now gateway.Instant) {
	c.dropBuffer()
	c.idleSince = now
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < p.c.MaxIdle && !c.hungUp.Load() && !c.interrupted.Load()
	if keep {
		c.pooled = true
		p.idle = append(p.idle, c)
		if p.reaper == nil && p.c.IdleTimeout > 0 {
			p.reaper = time.AfterFunc(p.c.IdleTimeout, p.reap)
		}
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
}

// reap closes what has been idle for too long, and comes again while anything is left.
func (p *Provider) reap() {
	limit := gateway.Now().Add(-p.c.IdleTimeout)
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleSince <= limit {
		p.idle[n].pooled = false
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.reaper = nil
	if len(p.idle) > 0 && !p.closed {
		p.reaper = time.AfterFunc(p.idle[0].idleSince.Sub(limit)+time.Millisecond, p.reap)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// forget takes a connection whose peer has hung up out of the pool.
func (p *Provider) forget(c *conn) {
	p.mu.Lock()
	found := c.pooled
	if found {
		c.pooled = false
		for i := range p.idle {
			if p.idle[i] == c {
				p.idle = append(p.idle[:i], p.idle[i+1:]...)
				break
			}
		}
	}
	p.mu.Unlock()
	if found {
		c.close()
	}
}

var _ net.Error = (*timeoutError)(nil)

// timeoutError says which phase took too long.
type timeoutError struct{ phase string }

func (e *timeoutError) Error() string   { return "upstream: " + e.phase + " took too long" }
func (e *timeoutError) Phase() string   { return e.phase } // for [gateway.Attempt.Why]
func (e *timeoutError) Timeout() bool   { return true }
func (e *timeoutError) Temporary() bool { return true }
