// Package socket serves WebSockets (RFC 6455): chat completions for browsers, many at once on one connection and resumable
// after it broke, and OpenAI's Responses API in its WebSocket mode.
//
// Each message that asks for something is one exchange through the same chain as a request over HTTP, authenticated anew by the
// headers of the upgrade. An exchange runs on a goroutine of its own, which pulls the reply and records it as frames; whoever
// has something to write, and finds nobody at it, writes what all of the socket's exchanges have recorded. So a socket has one
// writer at a time, and an idle one has none: a reader with a small buffer is all that it holds.
package socket

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Options bound what sockets may do. All are fixed for the life of the process.
type Options struct {
	Responses    bool          // serve the Responses API, too
	MaxMessage   int64         // bytes of one message
	Messages     int           // that a client may send a minute, on one socket; 0: no limit
	AtOnce       int           // exchanges of one socket at a time
	Grace        time.Duration // for which an exchange outlives its socket, and its last event is kept
	Keep         int64         // bytes of an exchange's events that are kept for a client that comes back
	KeepAll      int64         // bytes of all exchanges together
	Ping         time.Duration // between two pings; 0: 20 s
	ReadTimeout  time.Duration // for a message, on top of the time that its size takes
	WriteTimeout time.Duration // of each write: who reads more slowly is closed
	Log          *zap.Logger
	Metrics      prometheus.Registerer
}

// Hub is all sockets.
type Hub struct {
	o           Options
	server      *serve.Server
	generations serve.Generations
	metrics     metrics
	writeBuffer sync.Pool // unused: it keeps the library from giving each connection a buffer of its own

	exchanges sync.Map     // name -> *exchange: those that can be resumed
	running   atomic.Int64 // exchanges under way
	opened    atomic.Int64 // sockets so far
	bytes     atomic.Int64 // of what exchanges have recorded

	mu       sync.Mutex
	sockets  map[*socket]struct{}
	draining bool
	over     []*exchange // that are kept though they have ended, oldest first
}

var _ serve.Sockets = (*Hub)(nil)

// Attach makes the server serve WebSockets. It is called before the server's Serve.
func Attach(s *serve.Server, g serve.Generations, o Options) *Hub {
	if o.Ping == 0 {
		o.Ping = 20 * time.Second
	}
	h := &Hub{o: o, server: s, generations: g, sockets: map[*socket]struct{}{}}
	h.metrics = newMetrics(o.Metrics, h)
	s.Upgrades(h)
	return h
}

// owner is who may resume an exchange: nobody else, whatever id he names.
type owner struct {
	tenant tenant.ID
	key    string
	user   string
	client netip.Addr // of callers who have neither a key nor a name
}

func ownerOf(c *gateway.Caller, client netip.Addr) owner {
	o := owner{key: c.Key, user: c.User}
	if c.Tenant != nil {
		o.tenant = c.Tenant.ID
	}
	if c.User == "" && (c.Key == "" || c.Key[0] == '(') { // what stands there is no name of a key
		o.client = client
	}
	return o
}

// name is what an exchange is known by.
type name struct {
	owner owner
	id    string // the client's own
}

// Accept implements serve.Sockets.
func (h *Hub) Accept(u *serve.Upgrade) (func(net.Conn), *gateway.Error) {
	var speaks dialog
	switch {
	case u.Endpoint.Name == chatEndpoint:
		speaks = &chatDialog{}
	case u.Endpoint.Name == responsesEndpoint && h.o.Responses:
		speaks = newResponsesDialog()
	default:
		return nil, serve.ErrNoSocket
	}
	fields, asked, e := copyFields(u.Lines, u.Header)
	if e != nil {
		return nil, e
	}
	s := &socket{
		hub: h, id: u.ID, endpoint: u.Endpoint, speaks: speaks, client: u.Client, key: string(u.Header.Get("Sec-WebSocket-Key")),
		attached: map[*exchange]struct{}{},
	}
	s.fields.Store(fields)
	caller, e := s.admit(u.Generation, fields)
	if e != nil {
		return nil, e
	}
	if e := checkOrigin(u, &caller); e != nil {
		return nil, e
	}
	if fields.token != "" && longLived(&caller) {
		return nil, errLongLived
	}
	s.owner = ownerOf(&caller, u.Client)
	s.expires.Store(expiry(&caller))
	return func(c net.Conn) { s.open(c, asked) }, nil
}

// checkOrigin lets browsers' pages in that are from the gateway itself, or from an origin that may call it.
func checkOrigin(u *serve.Upgrade, c *gateway.Caller) *gateway.Error {
	origin := string(u.Header.Get("Origin"))
	scheme := "http://"
	if u.Secure {
		scheme = "https://"
	}
	if origin == "" || origin == scheme+u.Host || u.Generation.Directory().AllowsOrigin(origin, c.Tenant) {
		return nil
	}
	return errOrigin
}

// add counts a socket in; false if the server drains.
func (h *Hub) add(s *socket) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		h.sockets[s] = struct{}{}
	}
	return !h.draining
}

func (h *Hub) remove(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sockets, s)
}

// all are the open sockets.
func (h *Hub) all() []*socket {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*socket, 0, len(h.sockets))
	for s := range h.sockets {
		all = append(all, s)
	}
	return all
}

func (h *Hub) drains() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// Bounds of the drain.
const (
	drainLook  = 10 * time.Millisecond // how often it looks whether all is over
	finalGrace = 2 * time.Second       // for what was cut to be told
)

// Drain implements serve.Sockets. Nobody can come back for an exchange without a socket, so those end at once.
func (h *Hub) Drain(ctx context.Context) (cut int) {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.exchanges.Range(func(_, v any) bool {
		v.(*exchange).abandon()
		return true
	})
	for _, s := range h.all() {
		s.drain()
	}
	h.wait(ctx)
	for _, s := range h.all() {
		cut += s.cut()
	}
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), finalGrace)
	defer stop()
	h.wait(late)
	for _, s := range h.all() {
		s.shut()
	}
	return cut
}

// wait waits until no socket is open and no exchange runs, or ctx ends.
func (h *Hub) wait(ctx context.Context) {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for len(h.all()) > 0 || h.running.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// keepOver notes that an exchange has ended and is kept for a while.
func (h *Hub) keepOver(x *exchange) {
	h.mu.Lock()
	h.over = append(h.over, x)
	n := 0
	for n < len(h.over) && h.over[n].forgotten.Load() {
		n++
	}
	h.over = slices.Delete(h.over, 0, n)
	h.mu.Unlock()
	h.makeRoom()
}

// makeRoom forgets what has ended, oldest first, until no more is recorded than may be.
func (h *Hub) makeRoom() {
	for h.full() {
		h.mu.Lock()
		if len(h.over) == 0 {
			h.mu.Unlock()
			return
		}
		x := h.over[0]
		h.over = slices.Delete(h.over, 0, 1)
		h.mu.Unlock()
		x.forget()
	}
}

func (h *Hub) full() bool { return h.bytes.Load() > h.o.KeepAll }

// metrics are the hub's. The protocols are "chat" and "responses".
type metrics struct {
	open     *prometheus.GaugeVec   // by protocol
	messages *prometheus.CounterVec // from clients, by protocol and type
	closed   *prometheus.CounterVec // by protocol and close code
	resumed  prometheus.Counter
	slow     prometheus.Counter
}

func newMetrics(r prometheus.Registerer, h *Hub) metrics {
	m := metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_sockets", Help: "Open WebSockets.",
		}, []string{"protocol"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_socket_messages_total", Help: "Messages from clients over WebSockets, by what they ask for.",
		}, []string{"protocol", "type"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_socket_closed_total", Help: "WebSockets that were closed, by the close code of RFC 6455: 1006 without a word.",
		}, []string{"protocol", "code"}),
		resumed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_socket_resumed_total", Help: "Exchanges that were resumed on another WebSocket.",
		}),
	}
	m.slow = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sluice_socket_slow_total", Help: "WebSockets that are closed because their clients read too slowly.",
	})
	if r != nil {
		r.MustRegister(m.open, m.messages, m.closed, m.resumed, m.slow, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sluice_socket_recorded_bytes", Help: "Bytes of events that are held for WebSockets.",
		}, func() float64 { return float64(h.bytes.Load()) }))
	}
	return m
}
