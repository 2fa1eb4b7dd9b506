package ledger

import (
	"errors"
	"time"
)

// makes makes spare segments, until the journal is closed.
func (j *Journal) makes() {
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-j.make:
		case <-retry.C:
		}
		j.mu.Lock()
		for !j.closed && j.failed == nil && (len(j.left) > 0 || j.short() && j.mayGrow()) {
			number := j.next
			j.mu.Unlock()
			s, err := createSegment(j.dir, number, j.o.Segment)
			j.mu.Lock()
			if j.spared(s, err); err != nil {
				break
			}
			j.reach(pointMade)
			j.fail(j.sealLeft())
			j.changed.Broadcast()
		}
		j.making = false
		j.changed.Broadcast()
		j.mu.Unlock()
	}
}

// syncs makes durable what was written, until the journal is closed.
func (j *Journal) syncs() {
	for {
		select {
		case <-j.stop:
			return
		case <-j.dirty:
		}
		if j.o.Sync > 0 {
			wait := time.NewTimer(time.Duration(j.o.Sync))
			select {
			case <-j.stop:
			case <-j.now:
			case <-wait.C:
			}
			wait.Stop()
		}
		until, err := j.sync()
		j.mu.Lock()
		if j.fail(err); j.failed == nil {
			j.synced = until
		}
		j.reach(pointSynced)
		j.changed.Broadcast()
		j.mu.Unlock()
	}
}

// sync makes durable what was written until now, and says how much that is.
func (j *Journal) sync() (until uint64, err error) {
	j.mu.Lock()
	until = j.written
	var segments []*segment
	for _, s := range j.segments {
		err = errors.Join(err, s.keep())
		if s.unsynced {
			segments = append(segments, s)
			s.unsynced = false
		}
	}
	j.mu.Unlock()
	j.reading.RLock()
	defer j.reading.RUnlock()
	for _, s := range segments {
		if !s.closed && err == nil { // one that is removed has nothing that is needed
			err = syncFile(s.file)
		}
	}
	return until, err
}
