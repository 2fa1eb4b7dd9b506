//go:build !unix

package upstream

import (
	"net"
	"syscall"
)

// rawRead does not exist here: connections hold their buffer while they wait.
func rawRead(*net.TCPConn, *conn) (syscall.RawConn, func(fd uintptr) bool) { return nil, nil }

// unread cannot tell without a read; a stale connection is noticed when it is used.
func unread(*net.TCPConn) func() bool { return func() bool { return false } }
