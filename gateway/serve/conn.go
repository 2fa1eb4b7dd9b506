package serve

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
)

const (
	corkSize = 4 << 10  // what is lent to collect writes
	corkMost = 16 << 10 // writes larger than this are not copied into it

	writeMost = 128 << 10 // what is written under one deadline

	lastRequest = 50 * time.Millisecond // what is on its way when the drain begins still has so long to arrive
)

var past = time.Unix(1, 0)

// errUnused ends a connection on which no request has begun, without a word: clients open some ahead of need, and who finds an
// unasked 408 on one when it comes to use it takes that for the answer to its request. fasthttp says nothing where a
// connection is closed already.
var errUnused = fmt.Errorf("no request came: %w", net.ErrClosed)

// conn is a client's connection, below TLS. It knows the exchange under way, so that a hang-up cancels it, and the one
// whose last bytes wait in fasthttp's buffer, so that its end is told after they are written: fasthttp closes a body
// stream before its last flush.
type conn struct {
	*net.TCPConn
	l          *listener
	ip         netip.Addr
	unwatch    func()
	background *background // how a hang-up is noticed where there is no watcher; else nil

	current atomic.Pointer[call]
	ending  *call // its reply is complete in fasthttp's buffer: the next write carries it out
	endErr  error

	wantRead   atomic.Int64 // read deadline that fasthttp asked for; armed only when a read is about to wait
	armedRead  gateway.Instant
	armedWrite gateway.Instant
	reading    atomic.Bool
	active     atomic.Bool // between a request's first byte and its reply's last; fasthttp tells
	quit       atomic.Bool // the server drains: do not wait for another request
	gone       atomic.Bool
	closed     atomic.Bool
	hands      atomic.Int32 // whose it is: ours until it becomes a WebSocket

	lines  lineEnds
	linger bool    // a refusal left the request's body unread: see close
	corked bool    // collect writes, so that fasthttp's own write buffer can be tiny and a batch is one system call
	cork   *[]byte // lent from the first write of a batch to its last
}

// HungUp is told, from another goroutine, that the client has closed its side.
func (c *conn) HungUp() {
	c.gone.Store(true)
	if k := c.current.Load(); k != nil && !k.delivering.Load() {
		k.Cancel(gateway.ErrGone)
		_ = c.TCPConn.SetWriteDeadline(past) // a write may be blocked on a client that no longer reads
	}
}

// begin makes k the exchange under way.
func (c *conn) begin(k *call) {
	c.settle()
	c.linger = false
	c.current.Store(k)
	if c.gone.Load() {
		k.Cancel(gateway.ErrGone)
	}
}

// finishLater says that k's reply is complete in fasthttp's buffer.
func (c *conn) finishLater(k *call, err error) { c.ending, c.endErr = k, err }

// settle writes the end of a reply that waits for a last write which does not come: fasthttp flushes its buffer as soon as it
// is full, and if the last byte fills it, before it closes the body.
func (c *conn) settle() {
	if c.ending != nil {
		c.finish(leaving(c.uncork()))
	}
}

// finish ends the exchange whose last bytes are written, or given up with err.
func (c *conn) finish(err error) {
	k := c.ending
	if k == nil {
		return
	}
	c.ending = nil
	c.current.Store(nil)
	if c.background != nil {
		c.background.stop()
	}
	if c.endErr != nil || k.delivered {
		err = c.endErr
	}
	k.end(err)
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if c.hands.Load() != ours {
		return c.TCPConn.Write(b)
	}
	if c.corked && c.ending == nil {
		return c.hold(b)
	}
	c.corked = false
	var err error
	if c.cork != nil {
		c.collect(b)
		err = c.uncork()
	} else {
		err = c.writeOut(b)
	}
	c.finish(leaving(err))
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// hold keeps b until uncork, unless it is large: then it goes out at once behind what was held.
func (c *conn) hold(b []byte) (int, error) {
	if len(b) <= corkMost {
		c.collect(b)
		return len(b), nil
	}
	first := b[:min(len(b), writeMost)]
	var err error
	if c.cork != nil && len(*c.cork) > 0 {
		c.armWrite()
		v := net.Buffers{*c.cork, first}
		_, err = v.WriteTo(c.TCPConn)
		*c.cork = (*c.cork)[:0]
	} else {
		err = c.writeOut(first)
	}
	if err == nil {
		err = c.writeOut(b[len(first):])
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// writeOut writes in pieces, each with its own deadline: a client that reads a large answer slowly is not stuck.
func (c *conn) writeOut(b []byte) error {
	for len(b) > 0 {
		c.armWrite()
		n, err := c.TCPConn.Write(b[:min(len(b), writeMost)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (c *conn) collect(b []byte) {
	if c.cork == nil {
		c.cork = buf.Get(max(corkSize, len(b)))
	}
	if need := len(*c.cork) + len(b); need > cap(*c.cork) {
		c.cork = buf.Grow(c.cork, need)
	}
	*c.cork = append(*c.cork, b...)
}

// uncork writes what was held, in one system call.
func (c *conn) uncork() error {
	c.corked = false
	p := c.cork
	if p == nil {
		return nil
	}
	c.cork = nil
	defer buf.Put(p)
	if len(*p) == 0 {
		return nil
	}
	return c.writeOut(*p)
}

// armWrite gives each write its own deadline; it is set anew only when it is off by more than an eighth.
func (c *conn) armWrite() {
	d := c.l.writeTimeout
	if d <= 0 {
		return
	}
	want := gateway.Now().Add(d)
	if near(c.armedWrite, want, d) {
		return
	}
	c.armedWrite = want
	_ = c.TCPConn.SetWriteDeadline(want.Time())
	if c.gone.Load() {
		_ = c.TCPConn.SetWriteDeadline(past)
	}
}

// near says whether a deadline armed earlier serves for the one wanted: it may come an eighth of the time too early.
func near(armed, want gateway.Instant, span time.Duration) bool {
	return armed <= want && armed >= want.Add(-span/8)
}

// SetReadDeadline only notes the deadline: fasthttp sets two for each request, and mostly no read follows that waits.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.hands.Load() != ours {
		return c.TCPConn.SetReadDeadline(t)
	}
	c.wantRead.Store(int64(gateway.At(t)))
	if c.reading.Load() {
		return c.TCPConn.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline is fasthttp's; each write has one of its own.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if c.hands.Load() != ours {
		return c.TCPConn.SetWriteDeadline(t)
	}
	return nil
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	c.armedWrite = gateway.At(t)
	return c.TCPConn.SetWriteDeadline(t)
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	switch c.hands.Load() {
	case handing:
		return 0, errDrained
	case handedOver:
		return c.TCPConn.Read(b)
	}
	c.settle()
	if c.l.encrypted {
		return c.read(b)
	}
	at, err := c.lines.before(b, c.l.maxHead, !c.active.Load())
	if err != nil {
		return 0, err
	}
	n, err := c.read(b)
	c.lines.after(at, n)
	return n, err
}

// read is Read without a look at what comes.
func (c *conn) read(b []byte) (int, error) {
	if c.background != nil {
		if n, err, ok := c.background.take(b); ok {
			return n, err
		}
	}
	c.reading.Store(true)
	defer c.reading.Store(false)
	for exact := false; ; exact = true {
		want := gateway.Instant(c.wantRead.Load())
		c.armRead(want, exact)
		n, err := c.TCPConn.Read(b)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if !c.active.Load() && (c.quit.Load() || want != 0 && gateway.Now() >= want) {
			return n, errUnused
		}
		if want != 0 && gateway.Now() >= want {
			return n, err
		}
		// The deadline came early: it was armed with slack, or the drain took this connection for an idle one.
	}
}

// armRead sets the read deadline, unless the one armed serves; exact forces it.
func (c *conn) armRead(want gateway.Instant, exact bool) {
	if c.quit.Load() && !c.active.Load() {
		want, exact = gateway.Now().Add(lastRequest), true
	}
	if !exact && (want == 0 && c.armedRead == 0 || want != 0 && near(c.armedRead, want, want.Sub(gateway.Now()))) {
		return
	}
	c.armedRead = want
	_ = c.TCPConn.SetReadDeadline(want.Time())
	if c.quit.Load() && !c.active.Load() { // stopIdle may have set its deadline just before
		_ = c.TCPConn.SetReadDeadline(gateway.Now().Add(lastRequest).Time())
	}
}

// stopIdle ends the wait for the next request, if that is what the connection does.
func (c *conn) stopIdle() {
	c.quit.Store(true)
	if !c.active.Load() {
		_ = c.TCPConn.SetReadDeadline(gateway.Now().Add(lastRequest).Time())
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	if c.unwatch != nil {
		c.unwatch()
	}
	if c.ending == nil {
		if k := c.current.Load(); k != nil { // aborted: the body stream never reached its Close
			k.Cancel(gateway.ErrGone)
			k.abandon()
			c.finishLater(k, gateway.ErrGone)
		}
	} else if c.ending.err == nil && !c.gone.Load() {
		c.settle()
	}
	buf.Put(c.cork)
	c.cork = nil
	if c.linger && !c.gone.Load() {
		c.lingerClose()
	}
	err := c.TCPConn.Close()
	c.finish(gateway.ErrGone)
	c.l.remove(c)
	return err
}

// Bounds of a lingering close.
const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// lingerClose reads on after the last byte was written, until the client has closed. It is for refusals that came before
// all of the body did: closing with bytes unread makes TCP reset the connection, and the reset overtakes the answer, so
// clients that send everything before they read would see "connection reset" instead of a 401 (RFC 9112, section 9.6).
func (c *conn) lingerClose() {
	_ = c.TCPConn.CloseWrite()
	_ = c.TCPConn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
}

// below finds our conn below whatever TLS put on top; nil if there is none.
func below(nc net.Conn) *conn {
	for {
		switch v := nc.(type) {
		case *conn:
			return v
		case interface{ NetConn() net.Conn }:
			nc = v.NetConn()
		default:
			return nil
		}
	}
}
