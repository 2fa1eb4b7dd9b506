package gateway

import (
	"fmt"
	"net/netip"
)

// PublicOnly decides whether an address may be dialled for a URL that somebody else gave: it refuses every address that is
// not a public unicast one, and every encoding of one inside another (IPv4-mapped, 6to4, NAT64, Teredo), so that no URL leads
// into the operator's own network or to a cloud's metadata service. Ask it for the address that a socket is about to connect
// to, after name resolution: then neither a name that resolves inwards nor one that changes its mind gets past it.
func PublicOnly(ap netip.AddrPort) error {
	a := ap.Addr().WithZone("").Unmap()
	for _, p := range denied {
		if p.Contains(a) {
			return fmt.Errorf("%s is not a public address (%s)", a, p)
		}
	}
	if !a.IsGlobalUnicast() {
		return fmt.Errorf("%s is not a public address", a)
	}
	return nil
}

// denied is IANA's special-purpose registries (RFC 6890 and its updates), as of 2026, and the prefixes that embed an
// IPv4 address.
var denied = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10",
	"ff00::/8",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}
