package auth

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// limiter bounds how often an address may fail. It needs nobody else, and no more memory than its table: who is pushed out of
// it may fail anew, so an attacker with more addresses than it has room for is slowed down by nothing here.
//
// Credentials that were good from an address before go on being good from there, however often others fail behind it.
type limiter struct {
	burst, every int64 // failures at once; nanoseconds for one to come back
	seed         maphash.Seed
	parts        [64]part
}

const (
	sets = 8 << 10 // a power of two, and so is the number of parts
	ways = 8
)

// part is a part of the table. There is room for it once it has an address: all of them take seven megabytes.
type part struct {
	sync.Mutex
	sets [][ways]record
}

// record is what is known of an address. It has no pointers, so that the garbage collector passes over the table.
type record struct {
	who  block
	full int64 // when all failures will have come back: Unix nanoseconds
	used int64 // when it was last heard of; 0: never, the record is free
	good [8]uint64
	next uint8 // of good, to be overwritten
}

// block is an address that is counted by itself: an IPv4 address, or the first 64 bits of an IPv6 address, because whoever has
// one of these has them all. The zero block is nobody's and not counted.
type block [16]byte

func blockOf(a netip.Addr) block {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return block{}
	case a.Is4():
		return a.As16()
	}
	b := block(a.As16())
	clear(b[8:])
	b[15] = 1 // the unspecified address is somebody
	return b
}

func newLimiter(f Failures) *limiter {
	return &limiter{burst: int64(f.Burst), every: int64(f.Every), seed: maphash.MakeSeed()}
}

// look says how long an address must wait until it may fail again; 0: it may. A credential that was good from there does not
// wait.
func (l *limiter) look(who block, credential uint64, now time.Time) (wait time.Duration, good bool) {
	if who == (block{}) {
		return 0, true
	}
	set, locked := l.set(who)
	defer locked.Unlock()
	for i := range set {
		r := &set[i]
		if r.who != who || r.used == 0 {
			continue
		}
		r.used = now.UnixNano()
		for _, g := range r.good {
			if g == credential && g != 0 {
				return 0, true
			}
		}
		l.mend(r)
		return time.Duration(max(r.full+l.every-r.used-l.burst*l.every, 0)), false
	}
	return 0, false
}

// blockOfKey lets a key be counted like an address.
func blockOfKey(d gateway.Digest) block { return block(d.Sum[:len(block{})]) }

// take takes one from who has any left; else it says how long it must wait.
func (l *limiter) take(who block, now time.Time) (wait time.Duration) {
	if wait, _ = l.look(who, 0, now); wait == 0 {
		l.failed(who, now)
	}
	return wait
}

// mend undoes what a clock that was set back has done.
func (l *limiter) mend(r *record) { r.full = min(r.full, r.used+l.burst*l.every) }

// failed takes one failure from an address.
func (l *limiter) failed(who block, now time.Time) {
	if who == (block{}) {
		return
	}
	set, locked := l.set(who)
	defer locked.Unlock()
	r := find(set, who, now)
	l.mend(r)
	r.full = max(r.full, r.used) + l.every
}

// succeeded notes that a credential is good from an address.
func (l *limiter) succeeded(who block, credential uint64, now time.Time) {
	if who == (block{}) {
		return
	}
	set, locked := l.set(who)
	defer locked.Unlock()
	r := find(set, who, now)
	for _, g := range r.good {
		if g == credential {
			return
		}
	}
	r.good[r.next] = credential
	r.next = (r.next + 1) % uint8(len(r.good))
}

// set is where an address is; it is locked.
func (l *limiter) set(who block) (*[ways]record, *part) {
	h := maphash.Bytes(l.seed, who[:])
	p := &l.parts[h%uint64(len(l.parts))]
	p.Lock()
	if p.sets == nil {
		p.sets = make([][ways]record, sets/len(l.parts))
	}
	return &p.sets[h/uint64(len(l.parts))%uint64(len(p.sets))], p
}

// find gives an address's record, or makes one in the place of another: of one that has all its failures, the longest unheard
// of, else of the one that has the most.
func find(set *[ways]record, who block, now time.Time) *record {
	t := now.UnixNano()
	worst := &set[0]
	for i := range set {
		r := &set[i]
		if r.who == who && r.used != 0 {
			r.used = t
			return r
		}
		if r.less(worst, t) {
			worst = r
		}
	}
	*worst = record{who: who, used: t}
	return worst
}

// less says whether r is missed less than s.
func (r *record) less(s *record, now int64) bool {
	if idle := r.full <= now; idle != (s.full <= now) || !idle {
		return r.full < s.full
	}
	return r.used < s.used
}
