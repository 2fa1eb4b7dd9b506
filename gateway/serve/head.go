package serve

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
)

// lineEnds looks at how the lines of requests' heads end. fasthttp takes a bare LF for the end of a line, but waits for a CRLF
// at the end of a head: who writes none would wait until the deadline. And who reads the request before or after us may not
// see a line end there (RFC 9112, section 2.2).
//
// It looks into fasthttp's buffer. Of a head that comes in one piece, as nearly all do, it looks at the first line alone: the
// others are looked at anyway, see ambiguity.
type lineEnds struct {
	buffer []byte // fasthttp's, since it was empty and something was read into it
	bare   bool   // the first line of the last head had one, or any line if it came in several pieces
}

var errBareLF = errors.New("a line of the head ends without a carriage return")

// before is told what is about to be read into, and whether that is where a head begins if the buffer is empty. size is that
// of fasthttp's buffer. The number is for after. It is an error if what was read so far has a bare LF.
func (l *lineEnds) before(b []byte, size int, begins bool) (int, error) {
	n := size - len(b)
	switch {
	case n == 0:
		if l.buffer = b; begins {
			return 0, nil
		}
	case n > 0 && n < len(l.buffer) && &l.buffer[n] == &b[0]:
		// It needs more of what is in front of that: of a head, or of a trailer. What was parsed already it has moved away.
		if hasBareLF(l.buffer[:n]) {
			return n, errBareLF
		}
		return n, nil
	}
	return -1, nil
}

// after is told how many bytes were read.
func (l *lineEnds) after(at, read int) {
	switch {
	case at == 0:
		end := bytes.IndexByte(l.buffer[:read], '\n')
		l.bare = end == 0 || end > 0 && l.buffer[end-1] != '\r'
	case at > 0:
		head, _, _ := bytes.Cut(l.buffer[:at+read], headEnd)
		l.bare = hasBareLF(head)
	}
}

var headEnd = []byte("\r\n\r\n")

func hasBareLF(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		if i == 0 || b[i-1] != '\r' {
			return true
		}
		b = b[i+1:]
	}
}

// secure is a client's connection above TLS.
type secure struct {
	*tls.Conn
	c *conn
}

// Read implements net.Conn.
func (s secure) Read(b []byte) (int, error) {
	c := s.c
	switch c.hands.Load() {
	case handing:
		return 0, errDrained
	case handedOver:
		return s.Conn.Read(b)
	}
	at, err := c.lines.before(b, c.l.maxHead, !c.active.Load())
	if err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(b)
	c.lines.after(at, n)
	return n, err
}

// secured is a listener whose connections speak TLS.
type secured struct {
	*listener
	config *tls.Config
}

// Accept implements net.Listener.
func (l secured) Accept() (net.Conn, error) {
	nc, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	c := below(nc)
	return secure{tls.Server(c, l.config), c}, nil
}
