package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// batch is how many rows are shipped together at most.
const batch = 1000

// Bounds of the wait after a sink has failed, which may be twice as long: a store that is back has rows within two seconds.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// Ship hands rows to a sink until ctx ends: what there is every now and then, and at once when there is a batch of them. What a
// sink does not take is handed to it again, a little later each time. There is one that ships at a time.
func (j *Journal) Ship(ctx context.Context, s Sink) {
	pause := time.Duration(0)
	for {
		wait := j.o.Every
		if err := j.Flush(ctx, s); err != nil && ctx.Err() == nil {
			pause = min(max(2*pause, leastPause), mostPause)
			wait = pause + rand.N(pause) //nolint:gosec // so that nodes do not come together
		} else {
			pause = 0
		}
		if !j.rest(ctx, wait, pause == 0) {
			return
		}
	}
}

// rest waits until it is time to ship, or, if that is wanted, until there is a batch of rows.
func (j *Journal) rest(ctx context.Context, d time.Duration, many bool) bool {
	ship := j.ship
	if !many {
		ship = nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-j.stop:
		return false
	case <-ship:
	case <-timer.C:
	}
	return true
}

// Flush hands the sink what rows there are, and returns its error, or ctx's. Segments that are empty then are deleted. What comes
// while a batch is shipped waits for the next time, unless it is as many again: a few rows cost a store nearly as much as a
// thousand, and under load it would never end.
func (j *Journal) Flush(ctx context.Context, s Sink) error {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	for {
		l, err := j.read1000()
		if err == nil && !l.empty() {
			if err = j.hand(ctx, s, l); err == nil {
				j.shipped(l)
			}
		}
		if err != nil {
			return j.note(err)
		}
		if len(l.rows) < batch {
			return j.note(j.clear())
		}
	}
}

// load is a batch, and where the next begins.
type load struct {
	rows   []Row
	prices []Price
	ends   map[*segment]int64
}

func (l *load) empty() bool { return len(l.ends) == 0 }

// read1000 reads the next batch.
func (j *Journal) read1000() (*load, error) {
	j.reading.RLock()
	defer j.reading.RUnlock()
	l := &load{ends: map[*segment]int64{}, rows: j.rows[:0]}
	err := j.each(func(s *segment, r record) (bool, error) {
		l.ends[s] = r.end
		err := l.add(r)
		return len(l.rows) < batch, err
	}, l.ends)
	j.rows = l.rows
	return l, err
}

// each visits the records that were not shipped, as long as the visitor wants more. Of segments that were visited whole, ends
// gets where they end. The lock for reading is held.
func (j *Journal) each(visit func(*segment, record) (more bool, err error), ends map[*segment]int64) error {
	segments, used, failed := j.kept()
	for i, s := range segments {
		if s.shipped >= used[i] {
			continue
		}
		whole := true
		var err error
		j.read, err = s.visit(j.read, s.shipped, used[i], func(r record) (more bool, err error) {
			if whole, err = visit(s, r); err != nil {
				err = fmt.Errorf("%s, at %d: %w", s.path, r.at, err)
			}
			return whole, err
		})
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		if !whole {
			return nil
		}
		ends[s] = used[i]
	}
	if len(ends) == 0 {
		return failed
	}
	return nil
}

// kept are the segments, and how much there is in their files: all, unless that failed.
func (j *Journal) kept() (segments []*segment, used []int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		err = errors.Join(err, s.keep())
		n := s.used
		if s.tail != nil {
			n = s.kept
		}
		segments, used = append(segments, s), append(used, n)
	}
	j.fail(err)
	return segments, used, err
}

// add takes what is to be shipped of a record.
func (l *load) add(r record) error {
	switch r.kind {
	case sealRecord:
		l.rows = append(l.rows, Row{})
		return l.rows[len(l.rows)-1].Decode(r.payload)
	case priceRecord:
		l.prices = append(l.prices, Price{})
		return l.prices[len(l.prices)-1].decode(r.payload)
	}
	return nil
}

// hand gives a batch to the sink.
func (j *Journal) hand(ctx context.Context, s Sink, l *load) error {
	if len(l.rows)+len(l.prices) == 0 {
		return nil
	}
	if len(l.rows) > 0 {
		j.mu.Lock()
		j.waiting = l.rows[0].At.Add(l.rows[0].Total)
		j.mu.Unlock()
	}
	j.reach(pointRead)
	ctx, cancel := context.WithTimeout(ctx, j.o.Timeout)
	defer cancel()
	if p, keeps := s.(PriceSink); keeps && len(l.prices) > 0 {
		if err := p.InsertPrices(ctx, l.prices); err != nil {
			return err
		}
	}
	if len(l.rows) > 0 {
		if _, err := s.Insert(ctx, l.rows); err != nil {
			return err
		}
	}
	j.reach(pointInsert)
	return nil
}

// shipped notes that a sink has a batch.
func (j *Journal) shipped(l *load) {
	j.reading.Lock()
	defer j.reading.Unlock()
	for s, end := range l.ends {
		s.shipped = end
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sealed -= int64(len(l.rows))
	j.waiting = time.Time{}
}

// note keeps the last error for who asks how the journal is.
func (j *Journal) note(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.shipping = err
	return err
}

// clear deletes the segments that are written to no more and of which all rows were shipped, from the oldest on: a seal must not
// go before its intent. Attempts that are still under way are carried to where is written now.
func (j *Journal) clear() error {
	for {
		s := j.done()
		if s == nil {
			return nil
		}
		if err := j.carry(s); err != nil {
			return err
		}
		j.mu.Lock()
		if s.open > 0 || j.closed {
			j.mu.Unlock()
			return nil
		}
		j.segments = j.segments[1:]
		j.mu.Unlock()
		j.reading.Lock()
		err := s.remove()
		j.reading.Unlock()
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		j.reach(pointRemoved)
	}
}

// done is the oldest segment, if all of it was shipped and nothing is written to it any more; else nil.
func (j *Journal) done() *segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || len(j.segments) == 0 {
		return nil
	}
	if s := j.segments[0]; s != j.active && s.shipped >= s.used {
		return s
	}
	return nil
}

// carry writes the intents of a segment that are open once more, where is written now, if there is room.
func (j *Journal) carry(s *segment) error {
	j.mu.Lock()
	ids := slices.Collect(maps.Keys(j.open))
	j.mu.Unlock()
	for _, id := range ids {
		if err := j.carryOne(s, id); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) carryOne(s *segment, id ID) (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, is := j.open[id]
	if !is || p.in != s || j.failed != nil || j.closed || j.active == nil {
		return nil
	}
	head, err := s.read(p.at, p.at+recordHead)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	n := int64(binary.LittleEndian.Uint32(head) & 0xffffff)
	b, err := s.read(p.at, p.at+recordHead+n)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if j.room()-recordLength(int(n)) < int64(len(j.open))*mostRecord+j.tails() {
		return nil
	}
	to := j.append(intentRecord, b[recordHead:])
	if j.failed != nil {
		return j.failed
	}
	if said := tokens(binary.LittleEndian.Uint64(b[8:])); said > 0 {
		if j.fail(to.in.note(to.at, said)); j.failed != nil {
			return j.failed
		}
	}
	j.open[id] = to
	s.open--
	to.in.open++
	j.reach(pointCarried)
	return nil
}
