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

// unread makes a function that says whether a socket holds something that was not read, be it the end or an error.
func unread(tcp *net.TCPConn) func() bool {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() bool { return true }
	}
	found := false
	var ask [1]unix.PollFd
	poll := func(fd uintptr) {
		ask[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // descriptors are small
		n, err := unix.Poll(ask[:], 0)
		for err == unix.EINTR {
			n, err = unix.Poll(ask[:], 0)
		}
		found = n != 0 || err != nil
	}
	return func() bool { return raw.Control(poll) != nil || found }
}
