package meter_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
)

// server is a pool at a distance: it can be slow, dead, partitioned, and lose its memory or its answers.
type server struct {
	mu    sync.Mutex
	pool  meter.Pool
	delay time.Duration
	cut   map[string]bool // nodes that cannot reach it
	deaf  map[string]bool // nodes whose requests arrive and whose answers get lost
	draws atomic.Int64
	fleet int // 0: as the pool says
}

func newServer(p meter.Pool) *server {
	return &server{pool: p, cut: map[string]bool{}, deaf: map[string]bool{}}
}

func (s *server) set(p meter.Pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool = p
}

func (s *server) change(f func(s *server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *server) node(name string) meter.Pool { return &way{s, name} }

// way is a node's way to it.
type way struct {
	s    *server
	node string
}

var errCut = errors.New("no way to the pool")

func (w *way) state() (p meter.Pool, delay time.Duration, cut, deaf bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.pool, w.s.delay, w.s.cut[w.node], w.s.deaf[w.node]
}

func (w *way) Draw(ctx context.Context, r *meter.Request) (*meter.Reply, error) {
	w.s.draws.Add(1)
	pool, delay, cut, deaf := w.state()
	if cut {
		return nil, errCut
	}
	late := false
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			late = true // it arrives all the same
		}
	}
	reply, err := pool.Draw(context.WithoutCancel(ctx), r)
	switch {
	case ctx.Err() != nil || late:
		return nil, context.DeadlineExceeded
	case deaf:
		return nil, errCut
	}
	return reply, err
}

func (w *way) Nodes() int {
	pool, _, _, _ := w.state()
	if w.s.fleet > 0 {
		return w.s.fleet
	}
	return pool.Nodes()
}

func (w *way) Lease(ctx context.Context, name string, d time.Duration) (bool, error) {
	pool, _, cut, _ := w.state()
	if cut {
		return false, errCut
	}
	return pool.Lease(ctx, name, d)
}

func (w *way) Close() error { return nil }
