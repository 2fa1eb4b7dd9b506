//go:build !linux

package sim

import "net"

// shutDoor would let the system refuse connections to a listener that keeps its port; here it cannot.
func shutDoor(*net.TCPListener) bool { return false }

// plugDoor would let the system ignore whoever wants to connect; here its queue takes them in.
func plugDoor(*net.TCPListener) net.Conn { return nil }

// openDoor undoes nothing.
func openDoor(*net.TCPListener) {}
