package main

import (
	"bufio"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	dialPause   = 50 * time.Millisecond // after a failure, so that a dead gateway is not hammered
	readBuffer  = 8 << 10
	stampWithin = 512 // bytes at the front of a reply that hold the mock's stamp
)

// dialer makes connections and can close all of them at once.
type dialer struct {
	addr   string
	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func newDialer(addr string) *dialer { return &dialer{addr: addr, open: map[net.Conn]struct{}{}} }

func (d *dialer) dial() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", d.addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	d.open[c] = struct{}{}
	return c, nil
}

func (d *dialer) drop(c net.Conn) {
	d.mu.Lock()
	delete(d.open, c)
	d.mu.Unlock()
	_ = c.Close()
}

// close closes every connection, and every later one at once.
func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for c := range d.open {
		_ = c.Close()
	}
}

// client sends the same request over one connection, again and again. One goroutine uses it.
type client struct {
	dialer  *dialer
	request []byte
	stream  bool
	refuse  bool          // statuses 429, 503 and 529 are no errors
	timeout time.Duration // of one request
	tally   *tally

	conn  net.Conn // nil: to be dialled
	r     *bufio.Reader
	front []byte // of the last reply
}

// connect dials if there is no connection.
func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := c.dialer.dial()
	if err != nil {
		return err
	}
	c.conn = conn
	if c.r == nil {
		c.r = bufio.NewReaderSize(conn, readBuffer)
	} else {
		c.r.Reset(conn)
	}
	return nil
}

func (c *client) drop() {
	if c.conn != nil {
		c.dialer.drop(c.conn)
		c.conn = nil
	}
}

// ask sends the request and reads the reply. The request was due at due; what it took counts from then.
func (c *client) ask(due time.Time) {
	if err := c.connect(); err != nil {
		c.tally.fault("dial: " + reason(err))
		time.Sleep(dialPause)
		return
	}
	c.tally.asked.Add(1)
	h, err := c.send()
	switch {
	case err != nil:
	case h.status != 200:
		if err = readBody(c.r, h.length, func([]byte) {}); err == nil {
			c.refused(h.status, due)
		}
	case c.stream:
		err = c.readStream(h, due)
	default:
		err = c.readReply(h, due)
	}
	if err != nil {
		c.tally.fault(reason(err))
	}
	if err != nil || h.close {
		c.drop()
	}
}

// refused notes a reply that is no success.
func (c *client) refused(status int, due time.Time) {
	if c.refuse && (status == 429 || status == 503 || status == 529) {
		c.tally.refusal(due)
		return
	}
	c.tally.fault("status " + strconv.Itoa(status))
}

func (c *client) send() (head, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return head{}, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return head{}, err
	}
	return readHead(c.r)
}

var (
	errNoStamp = errors.New("a reply without the mock's content")
	errNoDone  = errors.New("a stream ended without [DONE]")
	errNoUsage = errors.New("a stream ended without usage")
)

func (c *client) readReply(h head, due time.Time) error {
	c.front = c.front[:0]
	err := readBody(c.r, h.length, func(piece []byte) {
		c.front = append(c.front, piece[:min(len(piece), stampWithin-len(c.front))]...)
	})
	if err != nil {
		return err
	}
	inMock, stamped := stamp(c.front, `"content":"t`)
	if !stamped {
		return errNoStamp
	}
	c.tally.unary(due, time.Now(), time.Duration(inMock), h.again)
	return nil
}

func (c *client) readStream(h head, due time.Time) error {
	c.tally.alive.Add(1)
	defer c.tally.alive.Add(-1)
	var (
		split         lines
		last          time.Time // of the last content chunk
		ended, billed bool
	)
	err := readBody(c.r, h.length, func(piece []byte) {
		split.write(piece, func(line []byte) {
			seen, n := look(line)
			switch seen {
			case first:
				c.tally.begun(due, time.Now(), time.Duration(n))
			case content:
				now := time.Now()
				c.tally.chunk(n, now, last)
				last = now
			case usage:
				billed = true
			case done:
				ended = true
			}
		})
	})
	switch {
	case err != nil:
		return err
	case !ended:
		return errNoDone
	case !billed:
		return errNoUsage
	}
	c.tally.requests.Add(1)
	return nil
}

// reason is an error without the addresses, so that equal ones are counted together.
func reason(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
