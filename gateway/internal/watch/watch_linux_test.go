package watch_test

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type peer chan struct{}

func (p peer) HungUp() { close(p) }

func pair(t *testing.T) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

func start(t *testing.T) *watch.Watcher {
	t.Helper()
	w, err := watch.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func (p peer) wait(t *testing.T) {
	t.Helper()
	select {
	case <-p:
	case <-time.After(5 * time.Second):
		t.Fatal("the hang-up was not noticed")
	}
}

func TestHangUp(t *testing.T) {
	w := start(t)
	check := func(name string, leave func(c *net.TCPConn)) {
		t.Run(name, func(t *testing.T) {
			s, c := pair(t)
			p := make(peer)
			remove, err := w.Add(s, p)
			if err != nil {
				t.Fatal(err)
			}
			defer remove()
			if _, err := c.Write([]byte("unread bytes do not hide what follows")); err != nil {
				t.Fatal(err)
			}
			leave(c)
			p.wait(t)
		})
	}
	check("closed", func(c *net.TCPConn) { c.Close() })
	check("reset", func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() })
	check("half closed", func(c *net.TCPConn) { _ = c.CloseWrite() })
}

// After remove, the descriptor may belong to another connection: the old peer must hear nothing.
func TestRemove(t *testing.T) {
	w := start(t)
	s, c := pair(t)
	removed := make(peer)
	remove, err := w.Add(s, removed)
	if err != nil {
		t.Fatal(err)
	}
	remove()
	c.Close()

	s2, c2 := pair(t)
	p := make(peer)
	if _, err := w.Add(s2, p); err != nil {
		t.Fatal(err)
	}
	c2.Close()
	p.wait(t)
	select {
	case <-removed:
		t.Error("a removed peer was told")
	default:
	}
}

func TestClosedConnection(t *testing.T) {
	w := start(t)
	s, _ := pair(t)
	s.Close()
	if _, err := w.Add(s, make(peer)); err == nil {
		t.Error("no error for a closed connection")
	}
}
