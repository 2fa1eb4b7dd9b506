//go:build !linux

package watch

import "net"

// Watcher does not exist on this system.
type Watcher struct{}

// New returns ErrUnsupported.
func New() (*Watcher, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Watcher) Close() error { return nil }

// Add returns ErrUnsupported.
func (*Watcher) Add(*net.TCPConn, Peer) (func(), error) { return nil, ErrUnsupported }
