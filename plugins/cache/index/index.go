// Package index finds the entries of a partition that lie nearest to a vector.
//
// Each partition is a flat arena: a sign code of 256 bits and an int8 vector for every entry. A search counts the
// differing bits of all codes of its partition, keeps the sixteen nearest and ranks these by their cosine. Nothing is
// built, balanced or trained, an entry can go at any time, and a partition of three entries costs three entries: most
// partitions are small.
//
// All partitions share one bound of memory. What is worth least goes first: GDSF, by which an entry ranks
//
//	L + frequency × saved USD / bytes
//
// where L is the rank of the last entry that went, so that what was worth much long ago ages. A tenant can be held to a
// share of the memory; then it evicts its own entries before it takes another's.
package index

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// Key names a partition: the keyed hash of everything that two questions must share before they are compared.
type Key [32]byte

// Entry is one wording of a question, and the answer that it leads to.
type Entry struct {
	ID      uint64   // of the wording; unique over all partitions
	Answer  uint64   // of the answer; several wordings may lead to one
	Text    string   // the wording
	Tenant  string   // whose share of the memory it takes
	Saved   float64  // what a hit saves, USD
	Size    int      // bytes kept for it elsewhere, counted as its own
	Expires int64    // Unix seconds, 0 for never; the index only hands it on
	Words   []uint32 // hashes of the words of Text, for who compares many wordings; the index only hands them on
}

// Match is an entry that a search found.
type Match struct {
	ID      uint64
	Answer  uint64
	Text    string
	Expires int64
	Words   []uint32 // not to be changed
	Cosine  float32  // -1 to 1, exact to about 0.005: vectors are kept in eight bits
}

// Gone names an entry that was evicted.
type Gone struct {
	Partition Key
	ID        uint64
	Answer    uint64
}

// Stats is what an arena holds.
type Stats struct {
	Entries    int
	Partitions int
	Bytes      int64 // as counted against MaxBytes
	Evicted    uint64
}

// Config bounds an arena.
type Config struct {
	MaxBytes int64   // over all partitions; needed
	MaxShare float64 // of MaxBytes that one tenant may hold, 0 to 1; 0 is no limit
}

// ErrVector refuses a vector that is empty, longer than 4,096 numbers, has no direction (all zero, or not finite), or
// has another length than those in its partition.
var ErrVector = errors.New("index: unusable vector")

// ErrSize refuses an entry that alone exceeds the bound, or its tenant's share of it.
var ErrSize = errors.New("index: entry larger than the bound")

// maxDim bounds the length of a vector: the largest embedders that are sold have 4,096.
const maxDim = 4096

// Arena holds entries. Its methods may be called at the same time from anywhere; searches in one partition only wait
// for a writer in the same one.
type Arena struct {
	bound int64
	share int64

	// Taken in this order: mu, then dir, then a partition's.
	mu     sync.Mutex // entries, owners, and all that decides who goes
	dir    sync.RWMutex
	parts  map[Key]*partition
	byID   map[uint64]*entry
	owners map[string]*owner
	queue  heap[*owner] // by the least of each
	held   int64
	age    float64 // L
	gone   uint64
}

// New makes an empty arena.
func New(c Config) *Arena {
	a := &Arena{
		bound:  c.MaxBytes,
		share:  c.MaxBytes,
		parts:  map[Key]*partition{},
		byID:   map[uint64]*entry{},
		owners: map[string]*owner{},
	}
	if c.MaxShare > 0 && c.MaxShare < 1 {
		a.share = int64(c.MaxShare * float64(c.MaxBytes))
	}
	return a
}

// Put adds an entry under its vector, which it copies, and returns whom it evicted for it; that may be the entry
// itself, if it is worth less than all others. An entry of the same ID is replaced.
func (a *Arena) Put(k Key, e Entry, vector []float32) ([]Gone, error) {
	norm := length(vector)
	if len(vector) == 0 || len(vector) > maxDim || norm == 0 || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return nil, fmt.Errorf("%w: %d numbers of length %g", ErrVector, len(vector), norm)
	}
	n := &entry{Entry: e, uses: 1, bytes: e.cost(len(vector))}
	if n.bytes > a.share {
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, n.bytes)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.partition(k, len(vector))
	if err != nil {
		return nil, err
	}
	if old := a.byID[e.ID]; old != nil {
		n.uses = old.uses
		a.remove(old)
		p, _ = a.partition(k, len(vector)) // it may have been the last of this partition
	}
	n.home = p
	p.add(n, vector)
	a.byID[e.ID] = n
	a.own(n)
	return a.evict(n.owner), nil
}

// Search appends to dst the entries of a partition that are nearest to a vector, the nearest first, k at most and
// never more than sixteen.
func (a *Arena) Search(k Key, vector []float32, limit int, dst []Match) []Match {
	a.dir.RLock()
	p := a.parts[k]
	a.dir.RUnlock()
	if p == nil || len(vector) != p.dim {
		return dst
	}
	return p.search(vector, min(limit, prefilter), dst)
}

// Touch counts a use of an entry: it will be kept longer.
func (a *Arena) Touch(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byID[id]; e != nil {
		e.uses++
		a.rank(e)
	}
}

// Relabel lets an entry lead to another answer, which expires when that one does, and reports whether there is such an
// entry.
func (a *Arena) Relabel(id, answer uint64, expires int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byID[id]
	if e == nil {
		return false
	}
	e.home.mu.Lock()
	e.Answer, e.Expires = answer, expires
	e.home.mu.Unlock()
	return true
}

// Extend lets all entries of a partition that lead to an answer expire at another time, and returns how many there were. It looks at
// every entry of the partition.
func (a *Arena) Extend(k Key, answer uint64, expires int64) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.parts[k]
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.chunks {
		for _, e := range c.entries {
			if e.Answer == answer {
				e.Expires = expires
				n++
			}
		}
	}
	return n
}

// Delete removes an entry and reports whether there was one.
func (a *Arena) Delete(id uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byID[id]
	if e != nil {
		a.remove(e)
	}
	return e != nil
}

// DeleteAnswer removes all entries of a partition that lead to an answer and returns how many there were. It looks at
// every entry of the partition.
func (a *Arena) DeleteAnswer(k Key, answer uint64) int {
	return a.deleteIf(k, func(e *entry) bool { return e.Answer == answer })
}

// DeletePartition removes a partition and returns how many entries it had.
func (a *Arena) DeletePartition(k Key) int {
	return a.deleteIf(k, func(*entry) bool { return true })
}

func (a *Arena) deleteIf(k Key, which func(*entry) bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.parts[k]
	if p == nil {
		return 0
	}
	n := 0
	for _, e := range p.entries() {
		if which(e) {
			a.remove(e)
			n++
		}
	}
	return n
}

// Each calls f with every entry and its vector, until f returns false. The vector is f's only until it returns. Entries
// that are added or removed meanwhile may be missed or seen.
func (a *Arena) Each(f func(k Key, e Entry, vector []float32) bool) {
	a.dir.RLock()
	parts := make([]*partition, 0, len(a.parts))
	for _, p := range a.parts {
		parts = append(parts, p)
	}
	a.dir.RUnlock()
	for _, p := range parts {
		if !p.each(f) {
			return
		}
	}
}

// Stats counts what the arena holds.
func (a *Arena) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Stats{Entries: len(a.byID), Partitions: len(a.parts), Bytes: a.held, Evicted: a.gone}
}

// partition is the one of a key, made if there is none. The caller holds mu.
func (a *Arena) partition(k Key, dim int) (*partition, error) {
	p := a.parts[k]
	if p == nil {
		p = &partition{key: k, dim: dim}
		a.dir.Lock()
		a.parts[k] = p
		a.dir.Unlock()
	}
	if p.dim != dim {
		return nil, fmt.Errorf("%w: %d numbers in a partition of %d", ErrVector, dim, p.dim)
	}
	return p, nil
}

// remove takes an entry out of everything. The caller holds mu.
func (a *Arena) remove(e *entry) {
	delete(a.byID, e.ID)
	a.disown(e)
	if e.home.drop(e) == 0 {
		a.dir.Lock()
		delete(a.parts, e.home.key)
		a.dir.Unlock()
	}
}
