// Package watch tells, without reading, when the other end of a TCP connection has closed: clients that leave (their
// exchange is cancelled) and idle upstream connections (they are dropped before somebody tries to use them).
//
// On Linux one epoll instance watches all connections, edge-triggered and for EPOLLRDHUP only: nothing is read from
// the socket, so keep-alive, pipelining and TLS above it are untouched, and an exchange costs no system call. Other
// systems have no such watcher: New returns ErrUnsupported there and callers watch by a background read.
package watch

import "errors"

// ErrUnsupported says that this system has no watcher.
var ErrUnsupported = errors.New("watch: not supported on this system")

// Peer is told that the other end has closed its side, from the watcher's goroutine: it must not block.
type Peer interface{ HungUp() }
