//go:build unix

package upstream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawRead gives the socket and a function for RawConn.Read that tries to read before it waits, so that no buffer is
// held while it does: 4 KiB less for each stream that is silent.
func rawRead(tcp *net.TCPConn, c *conn) (syscall.RawConn, func(fd uintptr) bool) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, nil
	}
	return raw, func(fd uintptr) bool {
		b := c.room()
		for {
			n, err := unix.Read(int(fd), b)
			switch err {
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				if len(*c.buf) == 0 {
					c.dropBuffer()
				}
				return false
			case nil:
				c.n, c.rerr = n, nil
			default:
				c.n, c.rerr = 0, err
			}
			return true
		}
	}
}

// readable says whether an idle connection has something to say: only a close or an error can be, so it is of no use.
func (c *conn) readable() bool {
	sc, ok := c.socket().(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = err != unix.EAGAIN && (n == 0 || c.raw != nil)
	})
	return gone || err != nil
}

// socket is what lies below TLS.
func (c *conn) socket() net.Conn {
	nc := c.c
	for {
		inner, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = inner.NetConn()
	}
}
