package app

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// spent tells meters what the ledger knows; nil without one.
func (s *stores) spent() func(context.Context, tenant.ID, []meter.Account, time.Time) ([]map[string]int64, error) {
	if s.store == nil {
		return nil
	}
	return s.askSpent
}

// askSpent asks the store what was spent of accounts, by node, once it has all that was in the journal. What was shipped meanwhile
// and ended after the inquiry is taken out again: this process counts it itself.
func (s *stores) askSpent(ctx context.Context, id tenant.ID, of []meter.Account, asked time.Time) ([]map[string]int64, error) {
	q := &inquiry{tenant: id, asked: asked, windows: make([]store.Window, len(of)), later: make([]tenant.USD, len(of))}
	for i, a := range of {
		q.windows[i].Scope = a.Scope
		if a.Window != 0 {
			q.windows[i].From = time.Unix(a.Window, 0).UTC()
		}
	}
	s.inquiries.open(q)
	defer s.inquiries.close(q)
	if s.journal.Standing().Waiting > 0 {
		if err := s.written.flush(ctx, func() error { return s.journal.Flush(ctx, s.sink()) }); err != nil {
			return nil, err
		}
	}
	if err := s.inquiries.slots.take(ctx, 1); err != nil {
		return nil, err
	}
	defer s.inquiries.slots.give(1)
	sums, err := s.store.Spent(ctx, id, q.windows)
	if err != nil {
		return nil, err
	}
	all := make([]map[string]int64, len(sums))
	for i, sum := range sums {
		sum[s.journal.Node()] -= q.later[i]
		all[i] = make(map[string]int64, len(sum))
		for node, usd := range sum {
			all[i][node] = int64(usd)
		}
	}
	return all, nil
}

// inquiry is what meters ask of a tenant.
type inquiry struct {
	tenant  tenant.ID
	asked   time.Time
	windows []store.Window
	later   []tenant.USD // for each, what was shipped since and had not ended then
}

// inquiries are those that are open. While the store is asked nothing is shipped, so that what was shipped is in its answer.
type inquiries struct {
	slots slots
	mu    sync.Mutex
	all   map[*inquiry]struct{}
}

func newInquiries() *inquiries {
	return &inquiries{slots: make(slots, 16), all: map[*inquiry]struct{}{}}
}

func (qs *inquiries) open(q *inquiry) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.all[q] = struct{}{}
}

func (qs *inquiries) close(q *inquiry) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	delete(qs.all, q)
}

// ship inserts rows while nobody asks, and notes what of them was no part of the inquiry. One ships at a time.
func (qs *inquiries) ship(ctx context.Context, rows []ledger.Row, insert func() error) error {
	if err := qs.slots.take(ctx, cap(qs.slots)); err != nil {
		return err
	}
	defer qs.slots.give(cap(qs.slots))
	if err := insert(); err != nil {
		return err
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	for q := range qs.all {
		for i := range rows {
			q.note(&rows[i])
		}
	}
	return nil
}

// note notes a row that was shipped.
func (q *inquiry) note(r *ledger.Row) {
	if r.Tenant != q.tenant || r.At.Add(r.Total).Before(q.asked) {
		return
	}
	for i := range q.windows {
		w := &q.windows[i]
		if covers(w.Scope, r) && !r.ID.Time().Before(w.From) {
			q.later[i] = q.later[i].Plus(tenant.USD(r.Charge))
		}
	}
}

// covers says whether a row counts in a scope.
func covers(of tenant.Scope, r *ledger.Row) bool {
	switch of.Kind {
	case tenant.OfKey:
		return of.Name == tenant.KeyName(r.Key)
	case tenant.OfUser:
		return of.Name == r.User
	case tenant.OfModel:
		return tenant.Pattern(of.Name).Match(r.Model)
	}
	return true
}

// slots are as many as may do something at a time. Who comes first is served first.
type slots chan struct{}

func (s slots) take(ctx context.Context, n int) error {
	for i := range n {
		select {
		case s <- struct{}{}:
		case <-ctx.Done():
			s.give(i)
			return ctx.Err()
		}
	}
	return nil
}

func (s slots) give(n int) {
	for range n {
		<-s
	}
}

// flushes are for many who want the same to have been done since they came: those who wait for one to end share the next.
type flushes struct {
	one  slots // at a time
	mu   sync.Mutex
	next *flush // that has not begun
}

func newFlushes() *flushes { return &flushes{one: make(slots, 1)} }

type flush struct {
	done chan struct{}
	err  error
}

// flush calls do, or waits for another's call that begins later than this one. That is no longer than the other's context allows.
func (f *flushes) flush(ctx context.Context, do func() error) error {
	f.mu.Lock()
	this := f.next
	if this != nil {
		f.mu.Unlock()
		select {
		case <-this.done:
			return this.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	this = &flush{done: make(chan struct{})}
	f.next = this
	f.mu.Unlock()

	defer close(this.done)
	this.err = f.one.take(ctx, 1)
	f.mu.Lock()
	f.next = nil
	f.mu.Unlock()
	if this.err == nil {
		defer f.one.give(1)
		this.err = do()
	}
	return this.err
}
