package redis

import (
	"sync"
	"time"
)

// trips is how many calls must fail within tripTime, none succeeding between them, before no more are made.
const (
	trips    = 3
	tripTime = time.Second
)

// breaker keeps calls from waiting for a Redis that does not answer. Only the pool's own probe finds out whether it does again,
// so that no request waits for that.
type breaker struct {
	mu    sync.Mutex
	fails int
	first time.Time // of the fails
	open  error     // why no calls are made
	key   string    // of the call that failed last, for the probe
}

// refuses is why no call should be made now.
func (b *breaker) refuses() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// heard takes note of how a call for a key came out.
func (b *breaker) heard(key string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.fails, b.open = 0, nil
		return
	}
	now := time.Now()
	if b.fails == 0 || now.Sub(b.first) > tripTime {
		b.fails, b.first = 0, now
	}
	b.fails++
	b.key = key
	if b.open != nil || b.fails >= trips {
		b.open = err
	}
}

// probe is a key to ask for, if the breaker is open.
func (b *breaker) probe() (key string, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.key, b.open != nil
}
