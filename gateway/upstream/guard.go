package upstream

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
)

// Guard decides whether an address may be dialled. It sees the address that the socket is about to connect to, after
// name resolution, so neither a name that resolves inwards nor one that changes its mind gets past it. For URLs that a tenant
// gave it is [gateway.PublicOnly].
type Guard func(netip.AddrPort) error

// control is net.Dialer.ControlContext.
func (g Guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("upstream: address %q: %w", address, err)
	}
	return g(ap)
}
