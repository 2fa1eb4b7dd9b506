package servers_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
)

func TestRedis(t *testing.T) {
	r := servers.StartRedis(t)
	r.Do("SET", "a", "1")
	if got := r.Do("GET", "a"); got != "1" {
		t.Fatalf("%q", got)
	}
	r.Kill()
	if _, err := net.Dial("tcp", r.Addr()); err == nil {
		t.Error("it serves though killed")
	}
	r.Restart()
	if got := r.Do("GET", "a"); got != "" {
		t.Errorf("%q survives in memory", got)
	}
	r.Do("SET", "a", "2")
	r.Do("SAVE")
	r.Do("SET", "a", "3")
	r.Kill()
	r.Restart()
	if got := r.Do("GET", "a"); got != "2" {
		t.Errorf("%q was saved", got)
	}
	r.Stop()
	r.RestartEmpty()
	if got := r.Do("GET", "a"); got != "" {
		t.Errorf("%q survives without its file", got)
	}
}

// A server that is paused or parted takes connections, and says nothing.
func TestSilence(t *testing.T) {
	r := servers.StartRedis(t)
	p := servers.StartProxy(t, r.Addr())
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f := func(what string, speaks bool) {
		t.Helper()
		wait := 50 * time.Millisecond
		if speaks {
			wait = servers.Patience
		}
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len("+PONG\r\n"))
		n, err := c.Read(b)
		if speaks != (string(b[:n]) == "+PONG\r\n") || !speaks && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %q, %v", what, b[:n], err)
		}
	}
	ping := func() {
		t.Helper()
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	ping()
	f("at work", true)
	r.Pause()
	ping()
	f("paused", false)
	r.Resume()
	f("resumed", true)
	p.Part()
	ping()
	f("parted", false)
	p.Heal()
	f("healed", true)
	p.Reset()
	if err := c.SetReadDeadline(time.Now().Add(servers.Patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v after a reset", n, err)
	}
}

func TestCluster(t *testing.T) {
	c := servers.StartCluster(t, 3, true)
	if len(c.Addrs()) != 3 || len(c.Replicas) != 3 {
		t.Fatalf("%v, %v", c.Masters, c.Replicas)
	}
	c.Masters[0].Kill()
	c.Replicas[0].Says("role:master", "INFO", "replication")
}

func TestSentinels(t *testing.T) {
	s := servers.StartSentinels(t)
	s.Master.Kill()
	s.Replica.Says("role:master", "INFO", "replication")
	s.Watching[0].Kill()
	if got := s.Watching[1].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", servers.MasterName); !strings.HasPrefix(got, "127.0.0.1\n") {
		t.Errorf("%q", got)
	}
}

func TestMissing(t *testing.T) {
	fake := &recorder{TB: t}
	func() {
		defer func() { _ = recover() }()
		servers.Find(fake, "sluice-no-such-server", "no-such-server")
	}()
	if !strings.Contains(fake.said, "apt-get install no-such-server") {
		t.Errorf("%q", fake.said)
	}
}

// recorder is a test that fails only in words.
type recorder struct {
	testing.TB
	said string
}

func (*recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	panic("failed")
}
