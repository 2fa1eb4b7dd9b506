package auth

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// However many addresses come, the table does not grow, and who fails at present is remembered longer than who does not.
func TestTableIsBounded(t *testing.T) {
	l := newLimiter(Failures{Burst: 1, Every: 6 * time.Second})
	now := time.Unix(1_800_000_000, 0)
	culprit := blockOf(netip.MustParseAddr("192.0.2.1"))
	l.failed(culprit, now)
	for i := range 4 * sets * ways { // each is good once
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		l.succeeded(blockOf(a), uint64(i+1), now)
	}
	if wait, _ := l.look(culprit, 0, now); wait != 6*time.Second {
		t.Errorf("who fails was forgotten for others: %v", wait)
	}
	for i := range 4 * sets * ways { // each fails more than the culprit: those who failed least are forgotten first
		a := blockOf(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
		l.failed(a, now)
		l.failed(a, now)
	}
	if wait, _ := l.look(culprit, 0, now); wait != 0 {
		t.Errorf("the table has grown: %v", wait)
	}
}

// At once, too, an address has its failures and no more but for those that are looked up at the same time.
func TestFailuresAtOnce(t *testing.T) {
	l := newLimiter(Failures{Burst: 20, Every: 6 * time.Second})
	now := time.Unix(1_800_000_000, 0)
	who := blockOf(netip.MustParseAddr("2001:db8::1"))
	const workers = 8
	var mu sync.Mutex
	failures := 0
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range 100 {
				if wait, _ := l.look(who, 1, now); wait > 0 {
					continue
				}
				l.failed(who, now)
				mu.Lock()
				failures++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if failures < 20 || failures > 20+workers {
		t.Errorf("%d failures", failures)
	}
}

// header is one that has a key.
type header string

func (h header) Get(name string) []byte {
	if name == "X-Api-Key" {
		return []byte(h)
	}
	return nil
}

// Whether a key is known, unknown, expired or was revoked, the same digests are made, counted here and not timed.
func TestEqualWork(t *testing.T) {
	c := defaults()
	c.Pepper = config.NewSecret("0123456789abcdef0123456789abcdef")
	now := time.Unix(1_800_000_000, 0)
	a, err := newAuthenticator(c, func() time.Time { return now }, nil, newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	hashes, hmacs := 0, 0
	hash, hmac := a.hash, a.hmac
	a.hash = func(b []byte) gateway.Digest { hashes++; return hash(b) }
	a.hmac = func(b []byte) gateway.Digest { hmacs++; return hmac(b) }
	acme := &gateway.Tenant{ID: "acme"}
	keys := map[gateway.Digest]*gateway.Key{}
	made := func(d func([]byte) gateway.Digest, expires time.Time) string {
		k, err := key.New("")
		if err != nil {
			t.Fatal(err)
		}
		if d != nil {
			keys[d([]byte(k))] = &gateway.Key{Name: k, Tenant: acme, Expires: expires}
		}
		return k
	}
	hour := time.Hour
	list := []string{
		made(hash, time.Time{}), made(hmac, time.Time{}), made(hash, now.Add(hour)), made(hash, now.Add(-hour)), made(hmac, now.Add(-hour)),
		made(nil, now), made(nil, now), "sk-of-another-form",
	}
	d := gateway.NewDirectory(gateway.Entries{Tenants: []*gateway.Tenant{acme}, Keys: keys})
	for i, k := range list {
		hashes, hmacs = 0, 0
		_, err := a.Authenticate(t.Context(), header(k), netip.MustParseAddr("192.0.2.1"), d)
		if (err == nil) != (i < 3) || hashes != 1 || hmacs != 1 {
			t.Errorf("%d: %d hashes, %d with the pepper, %v", i, hashes, hmacs, err)
		}
	}
	// Locked out: nothing is looked up.
	for range 20 {
		_, _ = a.Authenticate(t.Context(), header(list[5]), netip.MustParseAddr("192.0.2.2"), d)
	}
	for i, k := range list {
		hashes, hmacs = 0, 0
		if _, err := a.Authenticate(t.Context(), header(k), netip.MustParseAddr("192.0.2.2"), d); gateway.AsError(err).Status != 429 || hashes != 1 || hmacs != 0 {
			t.Errorf("%d: %d hashes, %d with the pepper, %v", i, hashes, hmacs, err)
		}
	}
}
