package socket_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const upgradeText = "GET " + chatPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// rawConn is a connection without a client's manners.
type rawConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *server) raw() *rawConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &rawConn{s.t, c, bufio.NewReader(c)}
}

// upgraded is a raw connection that is a WebSocket.
func (s *server) upgraded() *rawConn {
	s.t.Helper()
	c := s.raw()
	c.write(upgradeText)
	c.answered()
	return c
}

func (c *rawConn) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// answered reads the answer to an upgrade.
func (c *rawConn) answered() http.Header {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, nil)
	if err != nil || r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		c.t.Fatalf("%v: %+v", err, r)
	}
	return r.Header
}

// frames reads so many frames, or to the end, and describes them.
func (c *rawConn) frames(most int) string {
	var out []string
	for range most {
		var head [2]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			out = append(out, "end")
			break
		}
		n := uint64(head[1] & 127)
		switch n {
		case 126:
			var b [2]byte
			_, _ = io.ReadFull(c.r, b[:])
			n = uint64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			_, _ = io.ReadFull(c.r, b[:])
			n = binary.BigEndian.Uint64(b[:])
		}
		text := make([]byte, n)
		_, _ = io.ReadFull(c.r, text)
		if head[1]&0x80 != 0 {
			out = append(out, "masked!")
		}
		switch head[0] {
		case 0x88:
			code := 0
			if n >= 2 {
				code = int(binary.BigEndian.Uint16(text))
			}
			out = append(out, fmt.Sprintf("close(%d)", code))
		case 0x89:
			out = append(out, fmt.Sprintf("ping(%d)", n))
		case 0x8a:
			out = append(out, fmt.Sprintf("pong(%d)", n))
		case 0x81:
			out = append(out, fmt.Sprintf("text(%s)", text))
		default:
			out = append(out, fmt.Sprintf("odd(%x)", head[0]))
		}
	}
	return strings.Join(out, " ")
}

// masked is a client's frame; first is its first byte.
func masked(first byte, text []byte) []byte {
	b := []byte{first}
	switch n := len(text); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := []byte{1, 2, 3, 4}
	b = append(b, key...)
	for i, c := range text {
		b = append(b, c^key[i%4])
	}
	return b
}
