package sim

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Server is the simulator as an HTTP/1.1 server. It answers what routes lists, as the package documentation says;
// GET /stats shows Stats as JSON. It reads on while it answers, so it knows at once when a client leaves; a client that
// closes only its sending side counts as gone too.
//
// The fields are set before Serve.
type Server struct {
	Options Options
	Key     string // what clients must send as bearer token or x-api-key; "" for none
	Record  bool   // keep the last request of a conversation, for Last

	engine    *engine
	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*client]struct{}
	running   sync.WaitGroup

	head, body []byte // of the last request

	accepted, requests, streams, completed, broken, goneBefore, goneMid atomic.Int64
}

// Stats count what has happened at a Server since it began. Requests are Completed, Broken, GoneBefore or GoneMid, or
// still being answered.
type Stats struct {
	Connections int64 `json:"connections"`       // accepted
	Open        int64 `json:"open"`              // connections at present
	Requests    int64 `json:"requests"`          // for conversations, with the right key
	Streams     int64 `json:"streams"`           // of those, answered by events
	Completed   int64 `json:"completed"`         // answered to the end
	Broken      int64 `json:"broken"`            // broken off because the model's name asked for it
	GoneBefore  int64 `json:"gone_before_first"` // clients that left before the first byte of the answer
	GoneMid     int64 `json:"gone_mid_stream"`   // clients that left later, but before the end
}

// Serve answers the connections of l until Close; it then returns nil. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	if !s.begin(l) {
		return l.Close()
	}
	for {
		c, err := l.Accept()
		if err != nil {
			if s.end(l) {
				return nil
			}
			return err
		}
		k := newClient(s, c)
		if !s.add(k) {
			_ = c.Close()
			continue
		}
		go k.read()
		go k.serve()
	}
}

func (s *Server) begin(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == nil {
		s.engine = &engine{o: s.Options}
		s.listeners, s.conns = map[net.Listener]struct{}{}, map[*client]struct{}{}
	}
	if !s.closed {
		s.listeners[l] = struct{}{}
	}
	return !s.closed
}

// end forgets a listener that accepts no more; it says whether that is because of Close.
func (s *Server) end(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	return s.closed
}

func (s *Server) add(k *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[k] = struct{}{}
	s.running.Add(2)
	s.accepted.Add(1)
	return true
}

func (s *Server) remove(k *client) {
	s.mu.Lock()
	delete(s.conns, k)
	s.mu.Unlock()
}

// Close closes all listeners and connections, and waits until nothing of the server runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var errs []error
	for l := range s.listeners {
		errs = append(errs, l.Close())
		delete(s.listeners, l) // not to be closed again by another Close
	}
	for k := range s.conns {
		_ = k.c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return errors.Join(errs...)
}

// Stats is what has happened so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Connections: s.accepted.Load(), Open: int64(open), Requests: s.requests.Load(), Streams: s.streams.Load(),
		Completed: s.completed.Load(), Broken: s.broken.Load(), GoneBefore: s.goneBefore.Load(), GoneMid: s.goneMid.Load(),
	}
}

// Last is the last request of a conversation as it arrived: header lines and body. Both are nil if there was none or Record is not set.
func (s *Server) Last() (head, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head, s.body
}
