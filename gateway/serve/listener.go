package serve

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/watch"
)

// listener wraps accepted connections, below TLS, in conn, and knows all that are open.
type listener struct {
	net.Listener
	watch        *watch.Watcher // nil: watch by background reads
	writeTimeout time.Duration  // of each write
	perIP        int            // connections; 0: no limit
	maxHead      int            // bytes of the buffer that fasthttp reads into
	encrypted    bool           // TLS is on top
	onRefuse     func()

	mu    sync.Mutex
	conns map[*conn]struct{}
	byIP  map[netip.Addr]int
	empty chan struct{} // made by wait, closed when the last connection is
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := nc.(*net.TCPConn)
		if !ok {
			_ = nc.Close()
			continue
		}
		c := &conn{TCPConn: tcp, l: l}
		if !l.add(c) {
			l.onRefuse()
			_ = tcp.SetLinger(0) // many of these come at once: leave nothing behind in TIME_WAIT
			_ = tcp.Close()
			continue
		}
		if l.watch != nil {
			if remove, err := l.watch.Add(tcp, c); err == nil {
				c.unwatch = remove
			}
		}
		if c.unwatch == nil {
			c.background = newBackground(c)
		}
		return c, nil
	}
}

func (l *listener) add(c *conn) bool {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		c.ip, _ = netip.AddrFromSlice(a.IP)
		c.ip = c.ip.Unmap()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns, l.byIP = map[*conn]struct{}{}, map[netip.Addr]int{}
	}
	if l.perIP > 0 {
		if l.byIP[c.ip] >= l.perIP {
			return false
		}
		l.byIP[c.ip]++
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if l.perIP > 0 {
		if l.byIP[c.ip]--; l.byIP[c.ip] <= 0 {
			delete(l.byIP, c.ip)
		}
	}
	if len(l.conns) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// each calls f with every open connection.
func (l *listener) each(f func(*conn)) {
	l.mu.Lock()
	all := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

// wait says whether all connections are closed within d.
func (l *listener) wait(d time.Duration) bool {
	l.mu.Lock()
	if len(l.conns) == 0 {
		l.mu.Unlock()
		return true
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-empty:
		return true
	case <-timer.C:
		return false
	}
}
