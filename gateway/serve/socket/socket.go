package socket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

const (
	closeWait = 2 * time.Second // for the client's part of the closing handshake
	slowGrace = 5 * time.Second // for a slow reader to hear why it is closed

	readBuffer = 256      // bytes that an idle socket holds
	sendBuffer = 64 << 10 // of the kernel's, lest it hides for megabytes that nobody reads
	queueMost  = 64 << 10 // bytes that wait for one socket before its exchanges do
)

// silent is for how many pings a client may be without a word, pongs included, before it is taken for gone.
const silent = 4

// dialog is what is said on one socket. message and closed are called by the socket's reader.
type dialog interface {
	// protocol is "chat" or "responses".
	protocol() string
	// life is how long a socket may be open; 0: for ever.
	life() time.Duration
	// message is what the client said, as UTF-8. The dialog owns m.
	message(s *socket, m *message)
	// refused tells of a message that could not be read.
	refused(e *gateway.Error) []byte
	// hungUp is told that the connection is gone.
	hungUp()
	// outlived is told that the socket's life is over, or that the gateway drains: an event, or nil, that is said before.
	outlived() []byte
}

// socket is one connection. Its reader is the only goroutine that it always has.
type socket struct {
	hub      *Hub
	id       string // of the request that opened it
	number   int64  // in the order in which they were opened
	endpoint *gateway.Endpoint
	speaks   dialog
	client   netip.Addr
	key      string // of the handshake
	owner    owner
	raw      net.Conn
	ws       *websocket.Conn // reads; we write
	fields   atomic.Pointer[fields]
	expires  atomic.Int64 // when the credential does, in Unix nanoseconds; 0: never
	opened   gateway.Instant
	beat     *time.Timer
	heard    int64 // messages
	bucket   bucket

	unsent  atomic.Int64 // bytes that its exchanges have recorded and that were not written
	waiting atomic.Int32 // exchanges that wait for that to become less

	mu       sync.Mutex
	control  []byte // frames that go before those of exchanges
	closing  []byte // the close frame; nothing follows it
	code     int    // of closing, or of the client's
	ready    []*exchange
	attached map[*exchange]struct{}
	writing  bool
	closed   bool // the close frame was written
	hungUp   bool // nobody reads from it any more
	gone     bool // the connection is closed
	draining bool

	armed gateway.Instant // write deadline; the writer's
}

// admit finds out who asks.
func (s *socket) admit(g serve.Generation, f *fields) (gateway.Caller, *gateway.Error) {
	a, ok := g.(gateway.Admitter)
	if !ok {
		return gateway.Caller{}, nil
	}
	ctx, stop := context.WithTimeout(context.Background(), s.hub.o.ReadTimeout)
	defer stop()
	c, err := a.Admit(ctx, f, s.client, g.Directory())
	if err != nil {
		return c, gateway.AsError(err)
	}
	return c, nil
}

func expiry(c *gateway.Caller) int64 {
	if c.Expires.IsZero() {
		return 0
	}
	return c.Expires.UnixNano()
}

// open answers the handshake and begins to read.
func (s *socket) open(raw net.Conn, asked []string) {
	s.raw, s.opened, s.number = raw, gateway.Now(), s.hub.opened.Add(1) // before the client knows that it is open
	if c := tuned(raw); c != nil {
		_ = c.SetWriteBuffer(sendBuffer)
	}
	l := &link{Conn: raw, s: s}
	u := websocket.Upgrader{
		ReadBufferSize: readBuffer, WriteBufferPool: &s.hub.writeBuffer, Subprotocols: []string{chatProtocol},
		HandshakeTimeout: s.hub.o.WriteTimeout, CheckOrigin: func(*http.Request) bool { return true },
	}
	q := &http.Request{Method: http.MethodGet, Header: http.Header{
		"Connection": {"upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {s.key},
		"Sec-Websocket-Protocol": asked,
	}}
	var err error
	if s.ws, err = u.Upgrade(hijacker{l}, q, http.Header{"X-Request-Id": {s.id}}); err != nil {
		_ = raw.Close()
		return
	}
	s.key = ""
	l.begun = true
	s.ws.SetReadLimit(s.hub.o.MaxMessage)
	s.bucket.init(s.hub.o.Messages)
	s.hub.metrics.open.WithLabelValues(s.speaks.protocol()).Inc()
	if !s.hub.add(s) {
		s.end(websocket.CloseServiceRestart, "the gateway is shutting down")
	}
	s.mu.Lock()
	s.beat = time.AfterFunc(s.hub.o.Ping, s.tick)
	s.mu.Unlock()
	go s.read()
}

// tuned is the connection below TLS whose buffers can be set.
func tuned(c net.Conn) interface{ SetWriteBuffer(bytes int) error } {
	for {
		switch v := c.(type) {
		case interface{ SetWriteBuffer(bytes int) error }:
			return v
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil
		}
	}
}

// hijacker gives the library our connection: it knows net/http's way to take one over.
type hijacker struct{ c net.Conn }

// Header implements http.ResponseWriter.
func (hijacker) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (hijacker) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (hijacker) WriteHeader(int) {}

// Hijack implements http.Hijacker.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.c, bufio.NewReadWriter(bufio.NewReaderSize(h.c, 16), bufio.NewWriterSize(h.c, 512)), nil
}

// link is the connection as the library has it: what it writes after the handshake, pongs and close frames, goes to our writer.
type link struct {
	net.Conn
	s     *socket
	begun bool
	armed gateway.Instant
}

// Read implements net.Conn. Whatever comes shows that the client is there.
func (l *link) Read(b []byte) (int, error) {
	every := l.s.hub.o.Ping
	if want := gateway.Now().Add(silent * every); l.armed == 0 || want.Sub(l.armed) > every/2 {
		l.armed = want
		l.s.mu.Lock()
		if !l.s.closed {
			_ = l.Conn.SetReadDeadline(want.Time())
		}
		l.s.mu.Unlock()
	}
	return l.Conn.Read(b)
}

// Write implements net.Conn.
func (l *link) Write(b []byte) (int, error) {
	if !l.begun {
		return l.Conn.Write(b)
	}
	if opcode(b) == websocket.CloseMessage {
		l.s.close(slices.Clone(b))
	} else {
		l.s.post(b)
	}
	return len(b), nil
}

// SetWriteDeadline implements net.Conn: our writer has deadlines of its own.
func (l *link) SetWriteDeadline(t time.Time) error {
	if !l.begun {
		return l.Conn.SetWriteDeadline(t)
	}
	return nil
}

// read takes messages until the client is gone.
func (s *socket) read() {
	defer s.hangUp()
	for {
		kind, r, err := s.ws.NextReader()
		if err != nil {
			s.left(err)
			return
		}
		if s.ending() {
			if _, err := io.Copy(io.Discard, r); err != nil {
				return
			}
			continue
		}
		if kind != websocket.TextMessage {
			s.end(websocket.CloseUnsupportedData, "messages are text")
			continue
		}
		m, err := s.receive(r)
		switch e, ours := errors.AsType[*gateway.Error](err); {
		case ours:
			s.say(s.speaks.refused(e))
		case err != nil:
			s.left(err)
			return
		case !m.isText():
			m.free()
			s.end(websocket.CloseInvalidFramePayloadData, "this is not UTF-8")
		default:
			s.heard++
			s.speaks.message(s, m)
		}
	}
}

// left notes with what code a client has left.
func (s *socket) left(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := errors.AsType[*websocket.CloseError](err); ok && s.code == 0 {
		s.code = e.Code
	}
}

// hangUp is the reader's end. Exchanges that can wait for the client to come back do.
func (s *socket) hangUp() {
	s.mu.Lock()
	s.hungUp = true
	s.beat.Stop()
	attached := s.attached
	s.attached, s.ready = nil, nil
	_ = s.raw.SetWriteDeadline(time.Now().Add(closeWait))
	s.mu.Unlock()
	s.speaks.hungUp()
	for x := range attached {
		x.detach(s)
	}
	s.flush()
}

// tick asks the client for a sign of life, and looks whether it may stay.
func (s *socket) tick() {
	now := time.Now()
	e, life := s.expires.Load(), s.speaks.life()
	switch {
	case e != 0 && now.UnixNano() >= e:
		s.end(websocket.ClosePolicyViolation, "the credential has expired")
	case life > 0 && gateway.Since(s.opened) >= life:
		if last := s.speaks.outlived(); last != nil {
			s.say(last)
		}
		s.end(websocket.CloseGoingAway, "the connection is too old")
	default:
		s.post(ping())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hungUp {
		s.beat.Reset(s.hub.o.Ping)
	}
}

// say sends an event that belongs to no exchange.
func (s *socket) say(text []byte) { s.post(appendFrame(nil, text)) }

// post sends frames that belong to no exchange. Who makes us say more than he reads is closed.
func (s *socket) post(frames []byte) {
	s.mu.Lock()
	if s.hungUp || s.closing != nil {
		s.mu.Unlock()
		return
	}
	if len(s.control) > queueMost {
		s.control = nil
		s.slow()
	} else {
		s.control = append(s.control, frames...)
	}
	s.mu.Unlock()
	go s.flush()
}

// end begins the closing handshake (RFC 6455, section 7.1.2).
func (s *socket) end(code int, reason string) { s.close(closeFrame(code, reason)) }

func (s *socket) close(frame []byte) {
	s.mu.Lock()
	if s.closing == nil {
		s.closing = frame
		if code := codeOf(frame); s.code == 0 {
			s.code = code
		}
	}
	s.mu.Unlock()
	go s.flush()
}

// slow closes who reads too slowly. s.mu is held.
func (s *socket) slow() {
	if s.closing == nil {
		s.hub.metrics.slow.Inc()
		s.closing, s.code = closeFrame(websocket.CloseTryAgainLater, "the client reads too slowly"), websocket.CloseTryAgainLater
	}
}

// ending says whether what the client says is of no interest any more.
func (s *socket) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing != nil || s.hungUp
}

// drain closes the socket once its exchanges have ended.
func (s *socket) drain() {
	s.mu.Lock()
	s.draining = true
	idle := len(s.attached) == 0
	s.mu.Unlock()
	if idle {
		s.end(websocket.CloseServiceRestart, "the gateway is shutting down")
	}
}

// cut ends the exchanges of a socket because the drain ends, and says how many they were.
func (s *socket) cut() (n int) {
	s.mu.Lock()
	attached := make([]*exchange, 0, len(s.attached))
	for x := range s.attached {
		attached = append(attached, x)
	}
	s.mu.Unlock()
	for _, x := range attached {
		if !x.isOver() {
			x.Cancel(gateway.ErrDrain)
			n++
		}
	}
	return n
}

// join makes an exchange one of the socket's; false if the socket is closing.
func (s *socket) join(x *exchange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hungUp || s.closing != nil || s.draining {
		return false
	}
	s.attached[x] = struct{}{}
	return true
}

// leave is told that an exchange is no longer the socket's.
func (s *socket) leave(x *exchange) {
	s.mu.Lock()
	delete(s.attached, x)
	last := s.draining && len(s.attached) == 0
	s.mu.Unlock()
	if last {
		s.end(websocket.CloseServiceRestart, "the gateway is shutting down")
	}
}

// count is how many exchanges the socket has.
func (s *socket) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.attached)
}

// shut closes the connection.
func (s *socket) shut() {
	s.mu.Lock()
	gone, code := s.gone, s.code
	s.gone = true
	s.mu.Unlock()
	if gone {
		return
	}
	if code == 0 {
		code = websocket.CloseAbnormalClosure
	}
	protocol := s.speaks.protocol()
	s.hub.metrics.open.WithLabelValues(protocol).Dec()
	s.hub.metrics.closed.WithLabelValues(protocol, strconv.Itoa(code)).Inc()
	if ce := s.hub.o.Log.Check(zap.InfoLevel, "socket"); ce != nil {
		ce.Write(zap.String("id", s.id), zap.String("protocol", protocol), zap.String("tenant", string(s.owner.tenant)), zap.String("key", s.owner.key),
			zap.String("user", s.owner.user), zap.Int64("messages", s.heard), zap.Duration("open", gateway.Since(s.opened)), zap.Int("code", code))
	}
	s.hub.remove(s)
	_ = s.raw.Close() // last: a drain waits for it
}
