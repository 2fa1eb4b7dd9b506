package ledger

import "time"

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
			s, err := createSegment(j.dir, number, j.o.Segment, j.o.Map)
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
		j.mu.Lock()
		until := j.written
		var dirty []*segment
		for _, s := range j.segments {
			if s.dirty {
				s.dirty = false
				dirty = append(dirty, s)
			}
		}
		j.mu.Unlock()
		errs := make([]error, len(dirty))
		for i, s := range dirty {
			errs[i] = syncFile(s.file)
		}
		j.mu.Lock()
		for i, s := range dirty {
			if !s.removed { // meanwhile
				j.fail(errs[i])
			}
		}
		if j.failed == nil {
			j.synced = until
		}
		j.reach(pointSynced)
		j.changed.Broadcast()
		j.mu.Unlock()
	}
}
