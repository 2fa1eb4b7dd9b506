package watch

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watcher watches connections; make one with New.
type Watcher struct {
	file  *os.File
	epoll int
	mu    sync.Mutex
	peers map[int32]entry // by descriptor
	last  int32
	done  chan struct{}
}

// entry tells a reused descriptor from the connection that had it before.
type entry struct {
	peer       Peer
	generation int32
}

// New starts a watcher; Close ends it.
func New() (*Watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch: epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("watch: epoll: %w", err)
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "epoll"), epoll: fd, peers: map[int32]entry{}, done: make(chan struct{})}
	raw, err := w.file.SyscallConn() // an epoll descriptor nests in the runtime's own poller: waiting parks no thread
	if err != nil {
		_ = w.file.Close()
		return nil, fmt.Errorf("watch: epoll: %w", err)
	}
	go w.loop(raw)
	return w, nil
}

// Close stops watching and waits for the watcher's goroutine.
func (w *Watcher) Close() error {
	err := w.file.Close()
	<-w.done
	return err
}

func (w *Watcher) loop(raw syscall.RawConn) {
	defer close(w.done)
	var events [128]unix.EpollEvent
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || (err != nil && err != unix.EINTR && err != unix.EAGAIN)
		})
		if err != nil {
			return
		}
		for _, e := range events[:max(n, 0)] {
			w.mu.Lock()
			entry := w.peers[e.Fd]
			w.mu.Unlock()
			if entry.peer != nil && entry.generation == e.Pad {
				entry.peer.HungUp()
			}
		}
	}
}

// Add watches a connection. The returned function ends it and must be called before the connection is closed.
func (w *Watcher) Add(c *net.TCPConn, p Peer) (remove func(), err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	var key, generation int32
	var failed error
	err = raw.Control(func(fd uintptr) {
		key = int32(fd) //nolint:gosec // descriptors are small
		w.mu.Lock()
		w.last++
		generation = w.last
		w.peers[key] = entry{p, generation}
		w.mu.Unlock()
		failed = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{
			Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: key, Pad: generation,
		})
	})
	remove = func() {
		w.mu.Lock()
		if w.peers[key].generation == generation {
			delete(w.peers, key)
		}
		w.mu.Unlock()
	}
	if err == nil {
		err = failed
	}
	if err != nil {
		remove()
		return nil, fmt.Errorf("watch: %w", err)
	}
	return remove, nil
}
