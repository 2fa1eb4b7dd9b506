package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// A gateway starts without Redis, and uses it once it is there.
func TestLazy(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	r.Kill()
	p := lazily(t, at(r), "a")
	a := newTalk(t, p, "acme", "a")
	line := meter.Line{Account: month, Limit: 100, Want: 10}
	servers.Await(t, "a word on why", func(context.Context) error {
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), r.Addr()) {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
	began := time.Now()
	if _, err := a.draw(line); err == nil || time.Since(began) > 10*time.Millisecond {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if p.Nodes() != 1 {
		t.Errorf("%d nodes", p.Nodes())
	}
	r.Restart()
	a.get(line)
}

// A pool that is closed asks nobody, and leaves nothing behind.
func TestClose(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	p := open(t, at(r), "a")
	a := newTalk(t, p, "acme", "a")
	a.get(meter.Line{Account: month, Limit: 100, Want: 10})
	p.Close()
	p.Close()
	if _, err := a.draw(); err == nil {
		t.Error("a closed pool grants")
	}
	servers.Await(t, "no connection", func(context.Context) error {
		if got := r.Do("CLIENT", "LIST"); strings.Contains(got, "name=sluice") {
			return errors.New(got)
		}
		return nil
	})
	r.Kill()
	lazily(t, at(r), "a").Close() // while it is looking for Redis
}

func TestPassword(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	r.Do("ACL", "SETUSER", "gate", "on", ">s3cret/%", "~sl:*", "-@all", "+@hash", "+@sortedset", "+@connection",
		"+eval", "+evalsha", "+script", "+time", "+info", "+del", "+exists", "+get", "+set", "+pexpire", "+pexpireat")
	newTalk(t, open(t, "redis://gate:s3cret%2F%25@"+r.Addr()+"/0", "a"), "acme", "a").get(meter.Line{Account: month, Limit: 100, Want: 10})
	p := lazily(t, "redis://gate:wr0ng@"+r.Addr(), "a")
	servers.Await(t, "a word on why", func(context.Context) error {
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "wr0ng") {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key, roots := certificate(t)
	port := servers.FreePort(t)
	servers.StartRedis(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
	s, err := redis.ParseURL("rediss://" + servers.Local(port))
	if err != nil {
		t.Fatal(err)
	}
	f := func(config *tls.Config) *redis.Pool {
		t.Helper()
		p, err := redis.Open(s, redis.Options{Node: "a", TLS: config})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	newTalk(t, f(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}), "acme", "a").get(meter.Line{Account: month, Limit: 100, Want: 10})
	strange := f(nil)
	servers.Await(t, "a word on why", func(context.Context) error {
		if err := strange.Err(); err == nil || !strings.Contains(err.Error(), "certificate") {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
}

// certificate makes one for 127.0.0.1, signed by itself.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(public)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return write("cert", "CERTIFICATE", public), write("key", "PRIVATE KEY", private), roots
}

// The tenants of a cluster are spread over its masters. One master that is out is the matter of its tenants alone, and its
// replica takes over.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := servers.StartCluster(t, 3, true)
	p := open(t, "redis+cluster://"+strings.Join(c.Addrs(), ","), "a")
	line := func(has, want int64) meter.Line {
		return meter.Line{Account: month, Limit: 100, Used: has, Has: has, Need: min(has+1, want), Want: want}
	}
	talks := map[int]*talk{} // by the master that has the tenant
	for i := 0; len(talks) < 3; i++ {
		id := tenant.ID(fmt.Sprintf("tenant-%d", i))
		k := newTalk(t, p, id, "a")
		k.get(line(0, 60), meter.Line{Account: places, Limit: 10, Want: 1}, meter.Line{Account: requests, Limit: 10, Want: 1})
		for m, r := range c.Masters {
			if strings.Contains(r.Do("KEYS", "*"), "{"+string(id)+"}") {
				talks[m] = k
			}
		}
	}
	c.Masters[0].Kill()
	// Those of others notice nothing, while those of this one are not kept waiting.
	began := time.Now()
	for time.Since(began) < time.Second {
		for m := 1; m < 3; m++ {
			if _, err := talks[m].draw(line(60, 60)); err != nil {
				t.Fatalf("%v though its master lives", err)
			}
		}
		if _, err := talks[0].draw(line(60, 60)); err == nil {
			t.Fatal("a dead master answers")
		}
	}
	c.Replicas[0].Says("role:master", "INFO", "replication")
	promoted := time.Now()
	if got := totals(talks[0].get(line(60, 200))); got != "-1 100/0" {
		t.Error(got)
	}
	t.Logf("back %s after the replica took over", time.Since(promoted).Round(time.Millisecond))
}

// Who writes the URL of a single server for a cluster is told so.
func TestMoved(t *testing.T) {
	t.Parallel()
	c := servers.StartCluster(t, 2, false)
	p := lazily(t, at(c.Masters[0]), "a")
	servers.Await(t, "a word on why", func(context.Context) error {
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "write redis+cluster://") {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := servers.StartSentinels(t)
	p := open(t, "redis+sentinel://"+strings.Join(s.Addrs(), ",")+"/"+servers.MasterName, "a")
	a := newTalk(t, p, "acme", "a")
	line := func(has, want int64) meter.Line {
		return meter.Line{Account: month, Limit: 100, Used: has, Has: has, Need: min(has+1, want), Want: want}
	}
	a.get(line(0, 60))
	s.Master.Kill()
	s.Replica.Says("role:master", "INFO", "replication")
	promoted := time.Now()
	if got := totals(a.get(line(60, 200))); got != "-1 100/0" {
		t.Error(got)
	}
	t.Logf("back %s after the replica took over", time.Since(promoted).Round(time.Millisecond))
}
