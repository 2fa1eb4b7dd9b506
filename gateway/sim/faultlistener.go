package sim

import (
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// FaultListener is a listener whose connections go wrong as a Schedule says: a Server's, any other HTTP/1.1 server's, or
// that of a Relay, which makes a fault proxy of it. Faults of connections act when their time comes, also on those that
// are open; which fault meets a request is decided when it has arrived, and clients ask one thing at a time on a
// connection. Its log of requests is independent of what the server saw.
//
// Where the system cannot refuse connections and keep the port (any but Linux), and where l is no TCP listener, a refused
// connection is accepted and reset at once, and one into a black hole is accepted by the system and never served.
//
// The exported fields are set before the first Accept.
type FaultListener struct {
	Record bool          // keep the Requests; otherwise they are forgotten
	Notice func(Arrival) // is told of each request as it arrives; nil: nobody is

	l         net.Listener
	seed      int64
	accepting sync.RWMutex // held by those who are

	mu       sync.Mutex
	schedule Schedule
	began    time.Time     // the schedule's beginning
	now      period        // what goes wrong at present
	changed  chan struct{} // closed when it changes
	timer    *time.Timer   // until it does
	shut     bool          // the system refuses connections
	plug     net.Conn      // fills the queue of a black hole; nil: it was full, or there is none
	plugged  map[string]struct{}
	conns    map[*faultConn]struct{}
	count    uint64 // requests
	accepted uint64
	requests []*Arrival
	closed   bool
}

// Arrival is one request as a FaultListener saw it, and what became of the answer. Requests on refused connections do not
// arrive.
type Arrival struct {
	At         time.Time
	Connection uint64        // counted from 1
	Target     string        // method and path
	Model      string        // "" if the body is no JSON object that names one
	Stream     bool          // whether it asks for one
	Late       time.Duration // latencies of the schedule
	Fault      string        // the other fault that it met, as in a schedule; "ok" for none
	First      time.Time     // when the first byte of the answer was sent; zero before
	Status     int           // of the answer; 0 before its head was sent
	Events     int           // that were sent
	Bytes      int64         // of the body, with their framing
}

// NewFaultListener makes a listener that accepts l's connections. The schedule's time begins now; equal seeds draw equal
// shares of requests.
func NewFaultListener(l net.Listener, s Schedule, seed int64) *FaultListener {
	f := &FaultListener{
		l: l, seed: seed, changed: make(chan struct{}), conns: map[*faultConn]struct{}{}, plugged: map[string]struct{}{},
	}
	f.Set(s)
	return f
}

// Set lets another schedule begin now, instead of the one before. When it returns, the first period is in force.
func (l *FaultListener) Set(s Schedule) {
	l.mu.Lock()
	l.schedule, l.began = s, time.Now()
	l.turn()
}

// turn brings the period that has come into force. It unlocks l.mu.
func (l *FaultListener) turn() {
	var dead []*faultConn
	if !l.closed {
		now, left := l.schedule.at(time.Since(l.began))
		if l.timer != nil {
			l.timer.Stop()
		}
		if left > 0 {
			l.timer = time.AfterFunc(left, func() {
				l.mu.Lock()
				l.turn()
			})
		}
		dead = l.enter(now)
	}
	l.mu.Unlock()
	for _, c := range dead {
		c.abort()
	}
}

// enter makes p what goes wrong at present, and gives the connections that do not survive it. Accept is told before the
// system is, so that it knows what an error means.
func (l *FaultListener) enter(p period) (dead []*faultConn) {
	was := l.now.door()
	l.now = p
	close(l.changed)
	l.changed = make(chan struct{})
	if p.door() == was {
		return nil
	}
	if t, ok := l.l.(*net.TCPListener); ok && was != faultNone {
		_ = t.SetDeadline(time.Time{})
		openDoor(t)
		l.shut = false
		if l.plug != nil {
			_ = l.plug.Close()
		}
	}
	switch p.door() {
	case faultRefuse:
		if t, ok := l.l.(*net.TCPListener); ok {
			l.shut = shutDoor(t)
		}
		return slices.Collect(maps.Keys(l.conns))
	case faultBlackhole:
		l.fill()
	}
	return nil
}

// fill fills the queue of those who wait to be accepted with a connection of our own, so that others are ignored.
func (l *FaultListener) fill() {
	t, ok := l.l.(*net.TCPListener)
	if !ok || t.SetDeadline(time.Unix(1, 0)) != nil { // it ends every Accept at once
		return
	}
	l.accepting.Lock() // waits for those under way
	defer l.accepting.Unlock()
	if l.plug = plugDoor(t); l.plug != nil {
		l.plugged[l.plug.LocalAddr().String()] = struct{}{}
	}
}

// state is what goes wrong at present, and a channel that is closed when that changes.
func (l *FaultListener) state() (now period, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.changed
}

// Accept implements net.Listener.
func (l *FaultListener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		changed, wait := l.changed, l.now.door() == faultBlackhole || l.shut
		l.mu.Unlock()
		if wait {
			<-changed
			continue
		}
		l.accepting.RLock()
		c, err := l.l.Accept()
		l.accepting.RUnlock()
		if err != nil {
			select {
			case <-changed: // that is why
				if !l.isClosed() {
					continue
				}
			default:
			}
			return nil, err
		}
		if k := l.admit(c); k != nil {
			return k, nil
		}
	}
}

func (l *FaultListener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// admit makes a connection one of the listener's; nil if it is not to be served.
func (l *FaultListener) admit(c net.Conn) *faultConn {
	l.mu.Lock()
	if address := c.RemoteAddr().String(); len(l.plugged) > 0 {
		if _, ours := l.plugged[address]; ours {
			delete(l.plugged, address)
			l.mu.Unlock()
			_ = c.Close()
			return nil
		}
	}
	l.accepted++
	k := newFaultConn(l, c, l.accepted)
	refused := l.now.door() == faultRefuse
	if !refused {
		l.conns[k] = struct{}{}
	}
	l.mu.Unlock()
	if refused {
		k.abort()
		return nil
	}
	return k
}

func (l *FaultListener) remove(c *faultConn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// Close implements net.Listener. From then on nothing goes wrong on the connections that are open.
func (l *FaultListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.enter(period{})
	return l.l.Close()
}

// Addr implements net.Listener.
func (l *FaultListener) Addr() net.Addr { return l.l.Addr() }

// Requests is the log: the requests up to now, in the order of their arrival, if Record is set.
func (l *FaultListener) Requests() []Arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Arrival, len(l.requests))
	for i, a := range l.requests {
		list[i] = *a
	}
	return list
}

// arrived notes a request.
func (l *FaultListener) arrived(a *Arrival) (number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Record {
		l.requests = append(l.requests, a)
	}
	l.count++
	return l.count
}

// Relay passes the connections of l on to the server at an address, byte for byte, until stop is called, which closes
// everything and waits. With a FaultListener it is a fault proxy for a server elsewhere.
func Relay(l net.Listener, address string) (stop func()) {
	r := relay{conns: map[net.Conn]struct{}{}}
	r.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.work.Go(func() { r.pass(c, address) })
		}
	})
	return func() {
		_ = l.Close()
		r.mu.Lock()
		r.closed = true
		for c := range r.conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.work.Wait()
	}
}

type relay struct {
	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	work   sync.WaitGroup
}

// pass connects a client with the server until either leaves.
func (r *relay) pass(client net.Conn, address string) {
	defer r.drop(client)
	if !r.hold(client) {
		return
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer r.drop(server)
	if !r.hold(server) {
		return
	}
	r.work.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
}

func (r *relay) hold(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.conns[c] = struct{}{}
	}
	return !r.closed
}

func (r *relay) drop(c net.Conn) {
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
	_ = c.Close()
}
