package sim

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	doorBacklog = 4096 // connections that wait to be accepted
	plugTimeout = 50 * time.Millisecond
)

// shutDoor lets the system refuse connections to a listener that keeps its port; false if it cannot.
func shutDoor(l *net.TCPListener) bool {
	return control(l, func(fd int) error {
		address, err := syscall.Getsockname(fd)
		if err != nil {
			return err
		}
		if err := syscall.Shutdown(fd, syscall.SHUT_RD); err != nil {
			return err
		}
		// A port that the system chose is lost with that, one that was asked for is not.
		if err := syscall.Bind(fd, address); err != nil && !errors.Is(err, syscall.EINVAL) {
			return err
		}
		return nil
	})
}

// plugDoor lets the system ignore whoever wants to connect, because the queue of those who wait to be accepted is full.
// The connection that fills it is nil if it was full without, or if the system cannot do it.
func plugDoor(l *net.TCPListener) net.Conn {
	if !control(l, func(fd int) error { return syscall.Listen(fd, 0) }) {
		return nil
	}
	c, err := net.DialTimeout("tcp", l.Addr().String(), plugTimeout)
	if err != nil {
		return nil
	}
	return c
}

// openDoor undoes both.
func openDoor(l *net.TCPListener) {
	control(l, func(fd int) error { return syscall.Listen(fd, doorBacklog) })
}

// control does something with a listener's socket; false if that fails.
func control(l *net.TCPListener, f func(fd int) error) bool {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return err == nil && failed == nil
}
