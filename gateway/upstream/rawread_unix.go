//go:build unix

package upstream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawRead gives the socket and a function for RawConn.Read that tries to read before it waits, so that no buffer is
// held while it does: 4 KiB less for each stream that is silent. What is to be asked is sent before the first wait: after a
// request there is nothing to read yet, so the read that would find that out is saved.
func rawRead(tcp *net.TCPConn, c *conn) (syscall.RawConn, func(fd uintptr) bool) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, nil
	}
	return raw, func(fd uintptr) bool {
		if len(c.ask) > 0 {
			return !c.sendAsk(int(fd))
		}
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

// sendAsk sends what is to be asked, and says whether the answer is to be waited for. The connection must be quiet, which is
// asked here: RawConn.Read forgets what it was told of the socket before it calls, so bytes that are there now would not wake
// it up later, and those that come from now on do.
func (c *conn) sendAsk(fd int) bool {
	c.n = 0
	if _, err := unix.Read(fd, c.probe[:]); err != unix.EAGAIN {
		c.rerr = errStale
		return false
	}
	n, err := unix.Write(fd, c.ask)
	for err == unix.EINTR {
		n, err = unix.Write(fd, c.ask)
	}
	if err != nil && err != unix.EAGAIN {
		c.rerr = err
		return false
	}
	if c.ask = c.ask[max(n, 0):]; len(c.ask) > 0 {
		c.rerr = errPartly
		return false
	}
	return true
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
