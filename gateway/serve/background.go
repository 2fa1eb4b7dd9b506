package serve

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// background notices that a client has left by reading one byte ahead while an exchange is under way, as net/http
// does: for systems without a watcher. It costs a goroutine for each exchange in flight, and is blind while a
// pipelined byte waits.
type background struct {
	c    *conn
	mu   sync.Mutex
	idle *sync.Cond // signalled when running becomes false

	running, stopping bool
	one               [1]byte
	has               bool
	err               error
}

func newBackground(c *conn) *background {
	b := &background{c: c}
	b.idle = sync.NewCond(&b.mu)
	return b
}

// start begins to watch. Nobody else may read the connection until stop or take.
func (b *background) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running || b.has || b.err != nil {
		return
	}
	b.running, b.stopping = true, false
	_ = b.c.TCPConn.SetReadDeadline(time.Time{})
	b.c.armedRead = 0
	go b.read()
}

func (b *background) read() {
	n, err := b.c.TCPConn.Read(b.one[:])
	b.mu.Lock()
	b.has = n == 1
	if b.stopping && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	b.err = err
	b.running = false
	b.idle.Broadcast()
	b.mu.Unlock()
	if err != nil {
		b.c.HungUp()
	}
}

// stop ends the read ahead and waits for it; a byte that it got is kept.
func (b *background) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		return
	}
	b.stopping = true
	_ = b.c.TCPConn.SetReadDeadline(past)
	b.c.armedRead = gateway.At(past)
	for b.running {
		b.idle.Wait()
	}
	_ = b.c.TCPConn.SetReadDeadline(time.Time{})
	b.c.armedRead = 0
}

// take stops watching and hands out what was read ahead; ok is false if the caller must read itself.
func (b *background) take(p []byte) (n int, err error, ok bool) { //nolint:revive // ok comes last
	b.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.has && len(p) > 0:
		p[0], b.has = b.one[0], false
		return 1, nil, true
	case b.err != nil:
		return 0, b.err, true
	default:
		return 0, nil, false
	}
}
