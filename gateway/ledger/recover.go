package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Recovery is what an earlier process left in a journal.
type Recovery struct {
	Rows    int // that are still to be shipped; a store may have some of them already
	Unknown int // of them, attempts of which nobody knows how they ended
}

// Open takes a journal's directory, which is made if there is none, for this process. Attempts whose end an earlier one did not
// see become rows with the outcome [Unknown]: as they were intended, with what had been said by then. They are written before Open
// returns, unless there is no room on the disk: then no attempt can be made before they are. It returns [ErrLocked] if another
// process has the journal.
func Open(dir string, o Options) (_ *Journal, r Recovery, err error) {
	if o.Segment < 1<<20 || o.MaxSize < 3*o.Segment {
		return nil, r, errors.New("ledger: a segment has 1 MiB at least, and a journal three of them")
	}
	o.Map = o.Map && canMap
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, r, fmt.Errorf("ledger: %w", err)
	}
	if o.Map {
		if err = checkMappable(dir); err != nil {
			return nil, r, fmt.Errorf("ledger: %w", err)
		}
	}
	j := &Journal{
		dir: dir, o: o, open: map[ID]place{}, left: map[ID]struct{}{}, prices: map[uint64]struct{}{},
		ship: make(chan struct{}, 1), dirty: make(chan struct{}, 1), now: make(chan struct{}, 1), make: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	j.changed.L = &j.mu
	if j.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil { //nolint:gosec // in the journal's own directory
		return nil, r, fmt.Errorf("ledger: %w", err)
	}
	if err = lockFile(j.lock); err == nil {
		r, err = j.recover()
	}
	if err != nil {
		for _, s := range append(j.segments, j.spares...) {
			err = errors.Join(err, s.close())
		}
		if j.tail != nil {
			err = errors.Join(err, j.tail.close())
		}
		return nil, r, fmt.Errorf("%s: %w", dir, errors.Join(err, j.lock.Close()))
	}
	j.work.Go(j.syncs)
	j.work.Go(j.makes)
	return j, r, nil
}

// recover reads what an earlier process left, and makes the first segment of this one.
func (j *Journal) recover() (r Recovery, err error) {
	if j.o.Node == "" {
		if j.o.Node, err = nodeName(j.dir); err != nil {
			return r, err
		}
	}
	if err := j.load(); err != nil {
		return r, err
	}
	if err := j.restore(); err != nil {
		return r, err
	}
	for _, s := range j.segments {
		n, err := j.replay(s)
		if err != nil {
			return r, err
		}
		r.Rows += n
	}
	j.sealed = int64(r.Rows)
	for id := range j.open {
		j.left[id] = struct{}{}
	}
	r.Unknown = len(j.left)
	r.Rows += r.Unknown
	if j.o.Map {
		if j.tail, err = createTail(j.dir, j.o.Segment); err == nil {
			j.tail.reached = j.o.reached
		} // else there is no room on the disk, and it goes without
	}
	j.addSpare() // without room rows can still be shipped, which makes some
	for len(j.left) > 0 && j.noRoom == nil {
		if err := j.sealLeft(); err != nil {
			return r, err
		}
		if len(j.left) > 0 {
			j.addSpare()
		}
	}
	if j.o.Sync == SyncOff {
		return r, nil
	}
	_, err = j.sync()
	return r, err
}

// load opens the segments that there are, oldest first, and removes those that were not finished.
func (j *Journal) load() error {
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(j.dir, f.Name())
		switch {
		case strings.HasSuffix(path, segmentSuffix+newSuffix):
			err = os.Remove(path)
		case strings.HasSuffix(path, segmentSuffix):
			var s *segment
			if s, err = openSegment(path); s != nil {
				j.segments = append(j.segments, s)
				j.next = max(j.next, s.number+1)
			}
		}
		if err != nil {
			return err
		}
	}
	slices.SortFunc(j.segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.key, b.key))
	})
	return nil
}

// replay reads a segment: which of the intents before it and in it are open, and how many rows it has.
func (j *Journal) replay(s *segment) (rows int, err error) {
	var end int64
	j.read, err = s.visit(j.read, 0, s.size, func(r record) (more bool, err error) {
		end = r.end
		var row Row
		switch r.kind {
		case intentRecord, sealRecord:
			if err := row.Decode(r.payload); err != nil {
				return false, fmt.Errorf("%s, at %d: %w", s.path, r.at, err)
			}
		case voidRecord:
			copy(row.ID[:], r.payload)
		default:
			return true, nil
		}
		if p, is := j.open[row.ID]; is {
			p.in.open--
			delete(j.open, row.ID)
		}
		switch r.kind {
		case intentRecord:
			j.open[row.ID] = place{s, r.at}
			s.open++
		case sealRecord:
			rows++
		}
		return true, nil
	})
	s.used = end
	return rows, err
}

// sealLeft seals what an earlier process left open, as far as there is room.
func (j *Journal) sealLeft() error {
	for _, id := range slices.SortedFunc(maps.Keys(j.left), func(a, b ID) int { return slices.Compare(a[:], b[:]) }) {
		if j.room() < mostRecord+j.tails() {
			return nil
		}
		p := j.open[id]
		row, err := p.row()
		if err != nil {
			return err
		}
		if j.seal(&row); j.failed != nil {
			return j.failed
		}
		j.reach(pointRecover)
	}
	return nil
}

// row is what is written of an attempt of which nothing is known but its intent.
func (p place) row() (r Row, err error) {
	head, err := p.in.read(p.at, p.at+recordHead)
	if err != nil {
		return r, err
	}
	n := int64(binary.LittleEndian.Uint32(head) & 0xffffff)
	b, err := p.in.read(p.at, p.at+recordHead+n)
	if err != nil {
		return r, err
	}
	rest, err := r.decode(b[recordHead:])
	if err != nil {
		return r, err
	}
	r.Outcome = Unknown
	eachOf(rest).add(&r, tokens(binary.LittleEndian.Uint64(b[8:])))
	return r, nil
}

// addSpare makes a segment.
func (j *Journal) addSpare() {
	s, err := createSegment(j.dir, j.next, j.o.Segment)
	j.spared(s, err)
}

// spared takes a segment that was made, or the reason why it could not be.
func (j *Journal) spared(s *segment, err error) {
	j.noRoom = err
	if err != nil {
		return
	}
	j.next++
	j.spares = append(j.spares, s)
	if j.active == nil {
		j.begin()
	}
}
