package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// op is something that is to be written.
type op struct {
	size     int
	until    time.Time // from when it is of no use; the zero time: never
	log      bool      // others are told that there is more to read
	commands func(rueidis.Client) rueidis.Completed
}

// Bounds of what waits to be written, in bytes, and of what is sent together.
const (
	mostWaiting  = 64 << 20
	mostTogether = 4 << 20
)

// queue is what waits to be written, in order.
type queue struct {
	mu    sync.Mutex
	list  []op
	bytes int
	more  chan struct{}
}

func (q *queue) init() { q.more = make(chan struct{}, 1) }

// add adds an op; if there is no room it is dropped.
func (q *queue) add(o op, dropped func()) {
	q.mu.Lock()
	if o.size += perOp; q.bytes+o.size > mostWaiting {
		q.mu.Unlock()
		if dropped != nil {
			dropped()
		}
		return
	}
	q.bytes += o.size
	q.list = append(q.list, o)
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// perOp is about what one takes beside its bytes.
const perOp = 200

// first is what is written next. It stays in the queue until done.
func (q *queue) first() []op {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < min(len(q.list), atOnce) && (n == 0 || bytes+q.list[n].size <= mostTogether) {
		bytes += q.list[n].size
		n++
	}
	return q.list[:n:n]
}

// done takes the first ones out.
func (q *queue) done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.list[:n] {
		q.bytes -= q.list[i].size
		q.list[i] = op{}
	}
	if q.list = q.list[n:]; len(q.list) == 0 {
		q.list = nil
	}
}

// write writes what waits, as long as Redis answers.
func (f *Fleet) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.queue.more:
		}
		for ops := f.queue.first(); len(ops) > 0; ops = f.queue.first() {
			c := f.o.Client()
			if c != nil && f.link.up.Load() && f.send(ctx, c, ops) {
				f.queue.done(len(ops))
			} else if !pause(ctx, again) {
				return
			}
		}
	}
}

// send is false if it has to be tried again. What Redis refuses is not.
func (f *Fleet) send(ctx context.Context, c rueidis.Client, ops []op) bool {
	list := make(rueidis.Commands, 0, len(ops)+1)
	now, log := time.Now(), false
	for i := range ops {
		if ops[i].until.IsZero() || now.Before(ops[i].until) {
			list = append(list, ops[i].commands(c))
			log = log || ops[i].log
		}
	}
	if log {
		list = append(list, c.B().Publish().Channel(f.prefix+"log").Message("").Build())
	}
	if len(list) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, f.longest)
	defer cancel()
	for _, r := range c.DoMulti(ctx, list...) {
		if err := r.NonRedisError(); err != nil {
			f.link.heard(err)
			return false
		}
		if r.Error() != nil && !rueidis.IsRedisNil(r.Error()) {
			f.dropped()
		}
	}
	return true
}
