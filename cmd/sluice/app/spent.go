package app

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// spent tells meters what the ledger knows; nil without one.
func (s *stores) spent() func(context.Context, tenant.ID, []meter.Account) ([]map[string]int64, error) {
	if s.store == nil {
		return nil
	}
	return s.askSpent
}

// askSpent asks the store what was spent of accounts, by node, once it has all that is in the journal by now.
func (s *stores) askSpent(ctx context.Context, id tenant.ID, of []meter.Account) ([]map[string]int64, error) {
	if s.journal.Standing().Waiting > 0 {
		if err := s.written.flush(func() error { return s.journal.Flush(ctx, s.sink()) }); err != nil {
			return nil, err
		}
	}
	windows := make([]store.Window, len(of))
	for i, a := range of {
		windows[i].Scope = a.Scope
		if a.Window != 0 {
			windows[i].From = time.Unix(a.Window, 0).UTC()
		}
	}
	sums, err := s.store.Spent(ctx, id, windows)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]int64, len(sums))
	for i, sum := range sums {
		all[i] = make(map[string]int64, len(sum))
		for node, usd := range sum {
			all[i][node] = int64(usd)
		}
	}
	return all, nil
}

// flushes are for many who want the same to have been done since they came: those who wait for one to end share the next.
type flushes struct {
	mu   sync.Mutex
	next *flush     // that has not begun
	one  sync.Mutex // at a time
}

type flush struct {
	done chan struct{}
	err  error
}

// flush calls do, or waits for another's call that begins later than this one. That is no longer than the other's context allows.
func (f *flushes) flush(do func() error) error {
	f.mu.Lock()
	if this := f.next; this != nil {
		f.mu.Unlock()
		<-this.done
		return this.err
	}
	this := &flush{done: make(chan struct{})}
	f.next = this
	f.mu.Unlock()

	f.one.Lock()
	defer f.one.Unlock()
	f.mu.Lock()
	f.next = nil
	f.mu.Unlock()
	defer close(this.done)
	this.err = do()
	return this.err
}
