package servers

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a TCP proxy between a client and a server, which can part them.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	target   string

	mu      sync.Mutex
	healed  *sync.Cond
	parted  bool
	closed  bool
	streams map[net.Conn]struct{}
	running sync.WaitGroup
}

// StartProxy starts a proxy to an address. It ends with the test.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: l, target: target, streams: map[net.Conn]struct{}{}}
	p.healed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Part holds back every byte, in both directions, of connections that there are and of those to come, as a network does
// that loses packets: nobody is told.
func (p *Proxy) Part() { p.set(true) }

// Heal lets the bytes go on, those held back first.
func (p *Proxy) Heal() { p.set(false) }

func (p *Proxy) set(parted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parted = parted
	p.healed.Broadcast()
}

// Reset closes every connection that there is.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.streams {
		c.Close()
	}
}

func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.healed.Broadcast()
	p.mu.Unlock()
	p.Reset()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		p.running.Go(func() { p.pipe(server, client) })
		p.running.Go(func() { p.pipe(client, server) })
	}
}

// keep remembers connections, so that they can be closed; or closes them if the proxy is.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			c.Close()
		}
		p.streams[c] = struct{}{}
	}
	return !p.closed
}

// pipe passes bytes on until either side closes. The end is held back like the bytes.
func (p *Proxy) pipe(to, from net.Conn) {
	_, _ = io.Copy(writer{p, to}, onlyReader{from})
	p.pass()
	to.Close()
	from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.streams, to)
	delete(p.streams, from)
}

// pass waits while the sides are parted.
func (p *Proxy) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.parted && !p.closed {
		p.healed.Wait()
	}
}

// writer writes when it may.
type writer struct {
	proxy *Proxy
	to    net.Conn
}

func (w writer) Write(b []byte) (int, error) {
	w.proxy.pass()
	return w.to.Write(b)
}

// onlyReader keeps io.Copy from going past Write by splicing.
type onlyReader struct{ io.Reader }
