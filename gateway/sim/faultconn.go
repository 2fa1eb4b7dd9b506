package sim

import (
	"bufio"
	"bytes"
	"cmp"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// lastPause is how long a reset waits behind what was sent: what the client has not read yet is lost with it.
const lastPause = 20 * time.Millisecond

// faultConn is a connection of a FaultListener. Requests are read whole before the server gets them, so that what is to go
// wrong is known when the answer comes; the answer passes as the server writes it.
type faultConn struct {
	net.Conn
	l      *FaultListener
	id     uint64
	in     *bufio.Reader
	rest   []byte // of a request, not yet given to the server
	raw    bool   // what comes is no request that can be read: let the server judge
	answer atomic.Pointer[answering]
	once   sync.Once
	closed chan struct{}
}

func newFaultConn(l *FaultListener, c net.Conn, id uint64) *faultConn {
	return &faultConn{Conn: c, l: l, id: id, in: bufio.NewReader(c), closed: make(chan struct{})}
}

// Close implements net.Conn.
func (c *faultConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.l.remove(c)
		err = c.Conn.Close()
	})
	return err
}

// abort resets the connection.
func (c *faultConn) abort() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// wait lets time pass; false if the connection is closed meanwhile.
func (c *faultConn) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.closed:
		return false
	}
}

// light waits while there is a black hole.
func (c *faultConn) light() (now period, err error) {
	for {
		now, changed := c.l.state()
		if now.door() != faultBlackhole {
			return now, nil
		}
		select {
		case <-changed:
		case <-c.closed:
			return now, net.ErrClosed
		}
	}
}

// Read implements net.Conn. It gives the server the requests that it is to answer.
func (c *faultConn) Read(b []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.raw {
			return c.in.Read(b)
		}
		request, err := readRequest(c.in)
		if err != nil {
			c.rest, c.raw = request, true
			continue
		}
		if c.rest, err = c.take(request); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// take decides what is to go wrong with a request. It returns what the server gets of it: all, or nothing.
func (c *faultConn) take(request []byte) (rest []byte, err error) {
	seen := c.describe(request)
	n := c.l.arrived(seen)
	now, err := c.light()
	if err != nil {
		return nil, err
	}
	late, f := now.draw(source(uint64(c.l.seed), chanceFault^n)) //nolint:gosec // any bits do
	a := &answering{conn: c, seen: seen, fault: f, late: late}
	f.share = 100
	c.l.note(func() { seen.Late, seen.Fault = late, f.String() })
	if c.l.Notice != nil {
		c.l.Notice(*seen)
	}
	switch {
	case f.kind == faultSilent:
		return nil, c.silence()
	case (f.kind == faultReset || f.kind == faultCut) && !f.after.given:
		return nil, a.breakOff()
	case f.kind == faultStatus:
		return nil, a.refuse()
	case f.kind == faultHeartbeats:
		return nil, a.beat()
	}
	c.answer.Store(a)
	return request, nil
}

// describe is what the log says of a request that has just come.
func (c *faultConn) describe(request []byte) *Arrival {
	a := &Arrival{At: time.Now(), Connection: c.id, Fault: faultNames[faultBlackhole]} // until it is seen
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	if words := bytes.Fields(line); len(words) == 3 {
		a.Target = string(words[0]) + " " + string(words[1])
	}
	if _, body, ok := bytes.Cut(request, []byte("\r\n\r\n")); ok {
		if fields, err := peek.Scan(body); err == nil {
			a.Model, a.Stream = fields.Model, fields.Stream
		}
	}
	return a
}

// note changes an entry of the log.
func (l *FaultListener) note(change func()) {
	l.mu.Lock()
	change()
	l.mu.Unlock()
}

// silence says nothing until the client leaves.
func (c *faultConn) silence() error {
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	<-c.closed // it asks for more, which will not be answered either
	return net.ErrClosed
}

// Write implements net.Conn. It sends as much of the server's answer as is to arrive, when it is to.
func (c *faultConn) Write(b []byte) (int, error) {
	a := c.answer.Load()
	if a == nil {
		return c.Conn.Write(b) // to what is no request
	}
	if err := a.send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// answering is an answer on its way to the client.
type answering struct {
	conn   *faultConn
	seen   *Arrival
	fault  fault
	late   time.Duration // by so much; 0 once it has begun
	head   []byte        // as far as it has been sent, until it is complete
	inBody bool
	events bool // the body is a stream of them
	ended  int  // events, counted
	size   int64
	last   byte
}

// send sends a part of the answer, with what goes wrong in it.
func (a *answering) send(b []byte) error {
	if !a.delay() {
		return net.ErrClosed
	}
	b, broken := a.spoil(b)
	if err := a.out(b); err != nil {
		return err
	}
	if broken {
		return a.breakOff()
	}
	return nil
}

// delay waits, once, for as long as the answer is to be late; false if the connection is closed meanwhile.
func (a *answering) delay() bool {
	late := a.late
	a.late = 0
	return a.conn.wait(late)
}

// breakOff ends the connection in the middle.
func (a *answering) breakOff() error {
	switch {
	case !a.delay():
	case a.fault.kind == faultReset:
		if !a.seen.First.IsZero() {
			a.conn.wait(lastPause)
		}
		a.conn.abort()
	default:
		_ = a.conn.Close()
	}
	return net.ErrClosed
}

// out lets bytes go to the client: slowly, if that is the fault, and not while there is a black hole.
func (a *answering) out(b []byte) error {
	rate := a.fault.rate
	for len(b) > 0 {
		piece := len(b)
		if rate > 0 {
			piece = min(piece, max(rate/50, 1))
			if !a.conn.wait(time.Duration(piece) * time.Second / time.Duration(rate)) {
				return net.ErrClosed
			}
		}
		if _, err := a.conn.light(); err != nil {
			return err
		}
		a.note() // before the client can know
		if _, err := a.conn.Conn.Write(b[:piece]); err != nil {
			return err
		}
		b = b[piece:]
	}
	return nil
}

// note updates the log.
func (a *answering) note() {
	a.conn.l.note(func() {
		if a.seen.First.IsZero() {
			a.seen.First = time.Now()
		}
		if a.inBody && a.seen.Status == 0 {
			_, a.seen.Status = parseHead(a.head)
		}
		a.seen.Events, a.seen.Bytes = a.ended, a.size
	})
}

// parseHead looks for what matters in the head of an answer.
func parseHead(head []byte) (events bool, status int) {
	if len(head) >= len("HTTP/1.1 200") {
		status, _ = strconv.Atoi(string(head[9:12]))
	}
	return bytes.Contains(bytes.ToLower(head), []byte("content-type: text/event-stream")), status
}

// spoil is the part of b that arrives, and whether the connection breaks behind it.
func (a *answering) spoil(b []byte) (arrives []byte, broken bool) {
	at := 0
	if !a.inBody {
		before := len(a.head)
		a.head = append(a.head, b...)
		end := bytes.Index(a.head, []byte("\r\n\r\n"))
		if end < 0 {
			return b, false
		}
		if at = end + 4 - before; bytes.HasPrefix(a.head, []byte("HTTP/1.1 1")) { // the real one follows
			a.head = nil
			rest, broken := a.spoil(b[at:])
			return append(bytes.Clone(b[:at]), rest...), broken
		}
		a.head, a.inBody = a.head[:end], true
		a.events, _ = parseHead(a.head)
	}
	for i := at; i < len(b); i++ {
		if a.count(b[i]) {
			switch a.fault.kind {
			case faultReset, faultCut:
				if a.fault.after.bytes {
					return b[:i], true
				}
				return b[:i+1], true
			case faultBadJSON:
				b = bytes.Clone(b) // the server's
				b[i] = '['
				a.fault.kind = faultNone
			}
		}
	}
	return b, false
}

// count takes one more byte of the body; true if it is the one where something goes wrong: that after so many bytes, or
// the first brace after so many events.
func (a *answering) count(c byte) bool {
	a.size++
	if c == '\n' && a.last == '\n' && a.events && a.fault.kind != faultHeartbeats {
		a.ended++
		c = 0
	}
	a.last = c
	n := a.fault.after.n
	switch {
	case a.fault.after.bytes && a.fault.kind != faultBadJSON:
		return a.size > int64(n)
	case a.fault.after.bytes:
		return a.size > int64(n) && c == '{'
	default:
		return c == '{' && (a.ended >= n || !a.events)
	}
}

// refuse answers with the status of the fault, in the dialect of the path.
func (a *answering) refuse() error {
	d := wire.OpenAI
	if bytes.Contains([]byte(a.seen.Target), []byte("/messages")) {
		d = wire.Anthropic
	}
	said := refusal(a.fault.status)
	said.Message = "The fault proxy answers so, as its schedule says."
	body := d.AppendError(nil, said)
	head := "HTTP/1.1 " + strconv.Itoa(a.fault.status) + " " + cmp.Or(http.StatusText(a.fault.status), "Overloaded") +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	if w := a.fault.wait; w > 0 {
		if w%time.Second != 0 {
			head += "Retry-After-Ms: " + strconv.FormatInt(max(w.Milliseconds(), 1), 10) + "\r\n"
		}
		head += "Retry-After: " + strconv.Itoa(int(math.Ceil(w.Seconds()))) + "\r\n"
	}
	return a.send(append([]byte(head+"\r\n"), body...))
}

// beat answers with signs of life and nothing else, until the client leaves.
func (a *answering) beat() error {
	kind, sign := "application/json", " "
	if a.seen.Stream {
		kind, sign = "text/event-stream", ": keep-alive\n\n"
	}
	text := "HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\n\r\n"
	for {
		if err := a.send([]byte(text)); err != nil {
			return err
		}
		if !a.conn.wait(a.fault.wait) {
			return net.ErrClosed
		}
		text = strconv.FormatInt(int64(len(sign)), 16) + "\r\n" + sign + "\r\n"
	}
}
