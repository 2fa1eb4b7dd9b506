//go:build !unix

package upstream

import (
	"net"
	"syscall"
)

// rawRead does not exist here: connections hold their buffer while they wait.
func rawRead(*net.TCPConn, *conn) (syscall.RawConn, func(fd uintptr) bool) { return nil, nil }

// readable cannot tell without a probe; a stale connection is noticed when it is used.
func (c *conn) readable() bool { return false }
