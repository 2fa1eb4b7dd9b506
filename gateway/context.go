package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Causes of a cancelled exchange, as context.Cause and Exchange.Cause report them.
var (
	ErrGone     = errors.New("the client left")
	ErrDrain    = errors.New("the drain ended")
	ErrDeadline = errors.New("the exchange took longer than allowed")
	ErrLost     = errors.New("another attempt was quicker") // of a [Fork]
)

// Interrupter is what a cancelled exchange must stop at once: an upstream connection with a blocked read.
// Interrupt is called at most once for each Attach, must not block and must not call back into the exchange.
type Interrupter interface{ Interrupt() }

// exchangeContext is a context.Context that costs nothing until somebody asks for Done: no goroutine, no channel, no
// allocation. Cancelling it interrupts what is attached under its lock, so that after Detach no late cancellation can
// reach the connection's next user.
type exchangeContext struct {
	mu       sync.Mutex
	off      atomic.Bool
	cause    error
	done     chan struct{}
	deadline Instant
	attached [2]Interrupter // one attempt, or the forks of two
	shield   func() bool    // see Exchange.Shield
	after    map[int]func()
	lastKey  int
	timer    *time.Timer
}

var _ context.Context = (*exchangeContext)(nil)

// Deadline implements context.Context.
func (c *exchangeContext) Deadline() (time.Time, bool) {
	return c.deadline.Time(), c.deadline != 0
}

// Value implements context.Context; an exchange's values are fields, so there are none.
func (c *exchangeContext) Value(any) any { return nil }

// Err implements context.Context.
func (c *exchangeContext) Err() error {
	if !c.off.Load() {
		return nil
	}
	if errors.Is(c.Cause(), ErrDeadline) {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// Cause is why the context ended; nil while it lives.
func (c *exchangeContext) Cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// startTimer is for foreign users of the context only: our own reads carry the deadline themselves.
func (c *exchangeContext) startTimer() {
	if c.deadline != 0 && c.timer == nil && !c.off.Load() {
		c.timer = time.AfterFunc(time.Until(c.deadline.Time()), func() { c.cancel(ErrDeadline) })
	}
}

// Done implements context.Context.
func (c *exchangeContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.off.Load() {
			close(c.done)
		}
		c.startTimer()
	}
	return c.done
}

// AfterFunc is what package context looks for in a parent: children then need no goroutine.
func (c *exchangeContext) AfterFunc(f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off.Load() {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = map[int]func(){}
	}
	c.lastKey++
	key := c.lastKey
	c.after[key] = f
	c.startTimer()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.after[key]
		delete(c.after, key)
		if len(c.after) == 0 {
			c.after = nil // a connection that was dialled needs none while it streams
		}
		return ok
	}
}

func (c *exchangeContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off.Load() || c.shield != nil && errors.Is(cause, ErrGone) && c.shield() {
		return
	}
	c.cause = cause
	c.off.Store(true)
	if c.done != nil {
		close(c.done)
	}
	for _, i := range c.attached {
		if i != nil {
			i.Interrupt()
		}
	}
	for key, f := range c.after {
		delete(c.after, key)
		go f()
	}
	c.stopTimer()
}

// end lets nothing of the context outlive its exchange.
func (c *exchangeContext) end() {
	if c.timer != nil { // only a foreign user of the context made one
		c.mu.Lock()
		c.stopTimer()
		c.mu.Unlock()
	}
}

func (c *exchangeContext) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

func (c *exchangeContext) attach(i Interrupter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off.Load() {
		return false
	}
	for k := range c.attached {
		if c.attached[k] == nil {
			c.attached[k] = i
			return true
		}
	}
	return false
}

func (c *exchangeContext) detach(i Interrupter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.attached {
		if c.attached[k] == i {
			c.attached[k] = nil
		}
	}
}
