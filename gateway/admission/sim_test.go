package admission_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// What a simulated upstream does with more requests than it has room for.
const (
	shares  = "shares"  // all get slower, their first events too
	refuses = "refuses" // 429
	queues  = "queues"  // the later ones wait until earlier ones are done
)

// step is how finely the upstream works.
const step = 5 * time.Millisecond

var errOverloaded = errors.New("429")

// upstream serves up to capacity requests at full speed.
type upstream struct {
	mode string

	mu            sync.Mutex
	capacity      int
	jobs          []*job // in order of arrival
	peak          int    // most of them
	sent, refused int
}

type job struct {
	first, total time.Duration // work left until the first event, until the end
	answer       chan error    // the first event, or why there is none
	done         chan struct{}
}

func (u *upstream) send(first, total time.Duration) *job {
	j := &job{first: first, total: max(first, total), answer: make(chan error, 1), done: make(chan struct{})}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent++
	if u.mode == refuses && len(u.jobs) >= u.capacity {
		u.refused++
		time.AfterFunc(step, func() { j.answer <- errOverloaded })
		return j
	}
	u.jobs = append(u.jobs, j)
	u.peak = max(u.peak, len(u.jobs))
	return j
}

func (u *upstream) cancel(j *job) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.jobs = slices.DeleteFunc(u.jobs, func(k *job) bool { return j == k })
}

func (u *upstream) resize(capacity int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.capacity = capacity
}

func (u *upstream) run(ctx context.Context) {
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			u.work()
		}
	}
}

func (u *upstream) work() {
	u.mu.Lock()
	defer u.mu.Unlock()
	served, speed := u.jobs, step
	if len(u.jobs) > u.capacity {
		if u.mode == shares {
			speed = step * time.Duration(u.capacity) / time.Duration(len(u.jobs))
		} else {
			served = u.jobs[:u.capacity]
		}
	}
	for _, j := range served {
		if j.first > 0 {
			if j.first -= speed; j.first <= 0 {
				j.answer <- nil
			}
		}
		if j.total -= speed; j.total <= 0 {
			close(j.done)
		}
	}
	u.jobs = slices.DeleteFunc(u.jobs, func(j *job) bool { return j.total <= 0 })
}

// caller is one tenant that asks at random moments, so often on average, from and to so long after the start.
type caller struct {
	tenant   string
	priority admission.Priority
	rate     float64 // requests a second
	from, to time.Duration
	first    time.Duration // work until the first event, a quarter more or less
	total    time.Duration // work until the end, a half more or less
	patience time.Duration

	mu         sync.Mutex
	asked      int
	full, late int // refused by the Limiter
	refused    int // by the upstream
	gaveUp     int
	done       []time.Duration // when the answers were complete, from the start
	waits      []time.Duration // of these, until their first event
}

func vary(d time.Duration, share float64) time.Duration {
	return time.Duration((1 - share + 2*share*rand.Float64()) * float64(d))
}

func (c *caller) count(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

// ask is what gateway/forward does for one attempt.
func (c *caller) ask(ctx context.Context, start time.Time, l *admission.Limiter, u *upstream) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	c.count(&c.asked)
	if !l.TryEnter() {
		ticket := admission.Ticket{Tenant: c.tenant, Priority: c.priority, Deadline: clock.At(asked.Add(c.patience))}
		if err := l.Enter(ctx, ticket); err != nil {
			switch {
			case errors.Is(err, admission.ErrFull):
				c.count(&c.full)
			case errors.Is(err, admission.ErrLate):
				c.count(&c.late)
			default:
				c.count(&c.gaveUp)
			}
			return
		}
	}
	defer l.Leave(admission.Signal{})
	sent := clock.Now()
	l.Await(sent)
	j := u.send(vary(c.first, 0.25), vary(c.total, 0.5))
	defer u.cancel(j)
	select {
	case err := <-j.answer:
		now := clock.Now()
		l.Observe(admission.Signal{Overloaded: err != nil, First: now.Sub(sent), At: now})
		if err != nil {
			c.count(&c.refused)
			return
		}
	case <-ctx.Done():
		l.Observe(admission.Signal{First: clock.Since(sent)})
		c.count(&c.gaveUp)
		return
	}
	wait := time.Since(asked)
	select {
	case <-j.done:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waits = append(c.waits, wait)
		c.done = append(c.done, time.Since(start))
	case <-ctx.Done():
		c.count(&c.gaveUp)
	}
}

// completed is how many answers were complete in an interval.
func completed(from, to time.Duration, callers ...*caller) int {
	n := 0
	for _, c := range callers {
		for _, at := range c.done {
			if at > from && at <= to {
				n++
			}
		}
	}
	return n
}

// wait is a quantile of the time until the first event, of those that were complete after from.
func wait(quantile float64, from time.Duration, callers ...*caller) time.Duration {
	var waits []time.Duration
	for _, c := range callers {
		for i, at := range c.done {
			if at > from {
				waits = append(waits, c.waits[i])
			}
		}
	}
	slices.Sort(waits)
	if len(waits) == 0 {
		return 0
	}
	return waits[int(quantile*float64(len(waits)-1))]
}

// simulate lets the callers ask, calls watch every second if there is one, and waits for the last answer.
func simulate(ctx context.Context, l *admission.Limiter, u *upstream, watch func(at time.Duration), callers ...*caller) {
	ctx, cancel := context.WithCancel(ctx)
	go u.run(ctx)
	start := time.Now()
	var all sync.WaitGroup
	end := time.Duration(0)
	for _, c := range callers {
		end = max(end, c.to)
		all.Go(func() {
			for at := c.from; ; {
				at += time.Duration(rand.ExpFloat64() / c.rate * float64(time.Second))
				if at > c.to {
					return
				}
				<-time.After(at - time.Since(start))
				all.Go(func() { c.ask(ctx, start, l, u) })
			}
		})
	}
	if watch != nil {
		for at := time.Second; at <= end; at += time.Second {
			<-time.After(at - time.Since(start))
			synctest.Wait()
			watch(at)
		}
	}
	all.Wait()
	cancel()
	synctest.Wait()
}
