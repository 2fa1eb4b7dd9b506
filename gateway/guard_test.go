package gateway_test

import (
	"net/netip"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// Whatever stands in the operator's own network is not reached, however its address is written.
func TestPublicOnly(t *testing.T) {
	f := func(public bool, addresses ...string) {
		t.Helper()
		for _, s := range addresses {
			ap := netip.AddrPortFrom(netip.MustParseAddr(s), 443)
			if err := gateway.PublicOnly(ap); (err == nil) != public {
				t.Errorf("%s: %v", s, err)
			}
		}
	}
	f(false,
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
		"fe80::1%eth0", "fec0::1", "ff02::1",
	)
	f(true, "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::200e", "2400:cb00::1")
}
