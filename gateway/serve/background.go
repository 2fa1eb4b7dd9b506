package serve

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// background notices that a client has left by reading ahead while an exchange is under way, much as net/http does: for
// systems without a watcher. It costs a goroutine for each exchange in flight. net/http reads one byte and is blind
// behind it; a few more let it see past the alert with which TLS says good-bye and past a small pipelined request.
type background struct {
	c    *conn
	mu   sync.Mutex
	idle *sync.Cond // signalled when running becomes false

	running, stopping bool
	ahead             [512]byte
	from, to          int // of ahead, not yet handed out
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
	if b.running || b.err != nil {
		return
	}
	b.running, b.stopping = true, false
	_ = b.c.TCPConn.SetReadDeadline(time.Time{})
	b.c.armedRead = 0
	go b.read()
}

func (b *background) read() {
	var err error
	b.from, b.to = 0, copy(b.ahead[:], b.ahead[b.from:b.to])
	for err == nil && b.to < len(b.ahead) {
		var n int
		n, err = b.c.TCPConn.Read(b.ahead[b.to:])
		b.to += n
	}
	b.mu.Lock()
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

// stop ends the read ahead and waits for it; what it got is kept.
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
	case b.to > b.from:
		n = copy(p, b.ahead[b.from:b.to])
		b.from += n
		return n, nil, true
	case b.err != nil:
		return 0, b.err, true
	default:
		return 0, nil, false
	}
}
