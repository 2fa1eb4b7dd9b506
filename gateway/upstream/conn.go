package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
)

var (
	past        = time.Unix(1, 0)
	errCanceled = errors.New("upstream: cancelled")
	errClosed   = errors.New("upstream: the provider closed the connection")
	errStale    = errors.New("upstream: the connection is not to be used again")
	errPartly   = errors.New("upstream: the socket does not take all of the request at once")

	errConnect    = &timeoutError{"connecting"}
	errSending    = &timeoutError{"sending the request"}
	errHeaders    = &timeoutError{"the reply's head"}
	errAnswer     = &timeoutError{"the answer"}
	errFirstEvent = &timeoutError{"the first event"}
	errIdle       = &timeoutError{"the next event"}
	errRest       = &timeoutError{"the rest of the answer"}
	errEnd        = &timeoutError{"the end of the answer"}
	errTotal      = &timeoutError{"the attempt"}
)

// conn is one upstream connection. It holds no buffer while it waits on plain text: one is lent when bytes are there.
type conn struct {
	p      *Provider
	c      net.Conn
	raw    syscall.RawConn // nil over TLS
	remove func()          // ends the watch; nil if unwatched

	buf    *[]byte
	held   int64                 // bytes counted in the budget
	read   func(fd uintptr) bool // the non-blocking read of raw, made once
	n      int                   // what read got
	rerr   error
	ask    []byte // what read sends first; borrowed
	probe  [1]byte
	unread func() bool // whether the socket holds something that was not read, be it the end or an error

	got        int64 // bytes of the present reply
	armedRead  gateway.Instant
	armedWrite gateway.Instant
	idleSince  gateway.Instant
	pooled     bool // in Provider.idle; guarded by its lock
	reused     bool

	hungUp      atomic.Bool
	interrupted atomic.Bool
	closed      atomic.Bool
}

// connect dials a new connection.
func (p *Provider) connect(ctx context.Context) (*conn, error) {
	p.dials.Add(1)
	nc, tcp, err := p.dialAside(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{p: p, c: nc}
	if p.c.Watch != nil {
		if remove, err := p.c.Watch.Add(tcp, c); err == nil {
			c.remove = remove
		}
	}
	c.unread = unread(tcp)
	if nc == net.Conn(tcp) {
		c.raw, c.read = rawRead(tcp, c)
	}
	p.open.Add(1)
	return c, nil
}

// dialAside dials on a goroutine of its own: dialling, and TLS even more, needs more stack than all else that an exchange does,
// and a stream would keep it for as long as it comes. A panic is the caller's.
func (p *Provider) dialAside(ctx context.Context) (c net.Conn, tcp *net.TCPConn, err error) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		c, tcp, err = p.dialer.dial(ctx)
	}()
	if panicked := <-done; panicked != nil {
		panic(panicked)
	}
	return c, tcp, err
}

// HungUp is told by the watcher that the provider has closed its side.
func (c *conn) HungUp() {
	c.hungUp.Store(true)
	c.p.forget(c)
}

// Interrupt ends any blocked read or write at once; the owner then closes the connection.
func (c *conn) Interrupt() {
	c.interrupted.Store(true)
	_ = c.c.SetDeadline(past)
}

func (c *conn) close() {
	if c.closed.Swap(true) {
		return
	}
	if c.remove != nil {
		c.remove()
	}
	c.dropBuffer()
	_ = c.c.Close()
	c.p.open.Add(-1)
}

// quiet says whether the provider has said nothing since its last reply ended: whatever it is, it belongs to no request
// of ours, and would be taken for the answer to the next one.
func (c *conn) quiet() bool {
	unread := c.unread()
	if c.hungUp.Load() {
		return false
	}
	if _, plain := c.c.(*net.TCPConn); plain {
		return !unread
	}
	until := past // TLS gives what it has read ahead even so
	if unread {
		until = time.Now().Add(recordWait) // tickets for later sessions are not for us
	}
	_ = c.c.SetReadDeadline(until)
	c.armedRead = gateway.At(until)
	var b [1]byte
	n, err := c.c.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange sends a request on a quiet connection and reads the first bytes of the answer to it, in as few system calls as that
// takes. errStale means that the connection is not quiet, and nothing was sent.
func (c *conn) exchange(b []byte, l limit, total gateway.Instant) error {
	c.ask = b
	err := c.fill(l, total, nil)
	if errors.Is(err, errPartly) {
		c.armSend()
		_, err = c.c.Write(c.ask)
		err = writeError(err)
	}
	c.ask = nil
	return err
}

// grow gets a buffer of four times the size with the same contents, if the budget of all replies allows it. No more than
// most is counted, which is what may be read into it: so a budget of that size is enough for one.
func (c *conn) grow(most int) error {
	size := 4 * cap(*c.buf)
	if more := int64(min(size, most)) - c.held; more > 0 {
		if err := c.p.c.Budget.take(more); err != nil {
			return err
		}
		c.held += more
	}
	c.buf = buf.Grow(c.buf, size)
	return nil
}

func (c *conn) dropBuffer() {
	buf.Put(c.buf)
	c.buf = nil
	c.p.c.Budget.give(c.held) // of 0, rarely anything else, it does nothing: what all connections share is not touched for each event
	c.held = 0
}

// near says whether an armed deadline serves for the one wanted: setting one costs more than waking up once too early.
func near(armed, want gateway.Instant, span time.Duration) bool {
	slack := gateway.Instant(span / 8)
	return armed <= want && armed >= want-slack
}

func (c *conn) armRead(want gateway.Instant, span time.Duration) {
	if !near(c.armedRead, want, span) {
		c.armedRead = want
		_ = c.c.SetReadDeadline(want.Time())
		c.rearmPast()
	}
}

func (c *conn) armWrite(want gateway.Instant, span time.Duration) {
	if !near(c.armedWrite, want, span) {
		c.armedWrite = want
		_ = c.c.SetWriteDeadline(want.Time())
		c.rearmPast()
	}
}

// armSend bounds the writing of a request like the wait for its answer.
func (c *conn) armSend() {
	if headers := c.p.c.Timeouts.Headers; headers > 0 {
		c.armWrite(gateway.Now().Add(headers), headers)
	}
}

// rearmPast repeats an interrupt that the deadline just set has overwritten.
func (c *conn) rearmPast() {
	if c.interrupted.Load() {
		_ = c.c.SetDeadline(past)
	}
}

// recordWait is how long a TLS record may take whose first bytes are there before a connection is used again.
const recordWait = time.Millisecond

// limit is how long a read may wait.
type limit struct {
	until gateway.Instant
	span  time.Duration // what was allowed in the first place: deadlines are armed with an eighth of it as slack
	err   error
}

// never is a deadline that does not come.
const never = gateway.Instant(1) << 62

// within is the limit of a phase that began at from; 0 for d means that it has none.
func within(from gateway.Instant, d time.Duration, err error) limit {
	if d <= 0 {
		return limit{never, 0, err}
	}
	return limit{from.Add(d), d, err}
}

// fill reads some bytes behind (*c.buf)[:len]. While it waits it gives st's heartbeats, if st is set; total, if set,
// bounds it like l does, as errTotal.
func (c *conn) fill(l limit, total gateway.Instant, st *stream) error {
	if total != 0 && total < l.until {
		l = limit{total, l.span, errTotal}
	}
	next := never
	if st != nil {
		next = st.nextBeat()
	}
	for exact := false; ; {
		c.armFor(l, next, exact)
		n, err := c.readSome()
		if n > 0 {
			c.got += int64(n)
			*c.buf = (*c.buf)[:len(*c.buf)+n]
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.interrupted.Load() {
			return c.ended(err)
		}
		switch now := gateway.Now(); {
		case now >= l.until:
			return l.err
		case now >= next:
			if err := st.giveBeat(); err != nil {
				return err
			}
			next, exact = st.nextBeat(), false
		default:
			exact = true // the deadline armed earlier came early
		}
	}
}

// armFor arms the deadline of the next read: the limit's or the next beat's, whichever comes first.
func (c *conn) armFor(l limit, next gateway.Instant, exact bool) {
	want, span := l.until, l.span
	if next < want {
		want, span = next, c.p.c.Beat
	}
	if exact {
		span = 0
	}
	if want == never {
		want = 0
	}
	c.armRead(want, span)
}

// ended names why no byte came.
func (c *conn) ended(err error) error {
	switch {
	case c.interrupted.Load():
		return errCanceled
	case err == nil, errors.Is(err, io.EOF):
		return errClosed
	default:
		return err
	}
}

// readSome reads once; n is 0 with a nil error or io.EOF when the provider has closed.
func (c *conn) readSome() (int, error) {
	if c.raw != nil {
		if err := c.raw.Read(c.read); err != nil {
			return 0, err
		}
		return c.n, c.rerr
	}
	b := c.room()
	return c.c.Read(b)
}

// room is where the next bytes go; it lends a buffer if there is none.
func (c *conn) room() []byte {
	if c.buf == nil {
		c.buf = buf.Get(uncounted)
	}
	b := *c.buf
	return b[len(b):cap(b)]
}
