package index

import (
	"math/bits"
	"slices"
	"sync"
)

const (
	prefilter = 16  // entries whose codes are nearest get an exact cosine: enough for the nearest of all to be among them
	perChunk  = 256 // entries: what a growing partition leaves unused is at most one chunk
)

// partition is a flat list of entries, in chunks so that growing copies nothing and wastes little. The first chunk
// grows as a slice does: most partitions never fill it.
type partition struct {
	key Key
	dim int

	mu     sync.RWMutex
	chunks []*chunk
	count  int
}

// chunk holds the same entries in four columns.
type chunk struct {
	codes   []code
	numbers []int8 // dim for each entry
	scales  []float32
	entries []*entry
}

// entry is an entry in its place.
type entry struct {
	Entry
	home  *partition
	owner *owner
	value float64 // what GDSF ranks it by
	bytes int64
	uses  uint32
	slot  uint32 // in its partition
	place int32  // in its owner's heap
}

// What an entry takes beside its vector, text and words: the entry, its id in the directory, its places in heaps and chunk,
// its code and scale, and the room that small partitions leave unused (BenchmarkMemory measures the sum).
const overhead = 136 + 40 + 16 + 36 + 92 + 24

// cost is what an entry is counted at, in bytes.
func (e *Entry) cost(dim int) int64 {
	return int64(overhead + dim + len(e.Text) + 4*len(e.Words) + max(e.Size, 0))
}

// add puts an entry at the end.
func (p *partition) add(e *entry, vector []float32) {
	c := encode(vector)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == len(p.chunks)*perChunk {
		p.chunks = append(p.chunks, p.newChunk())
	}
	last := p.chunks[len(p.chunks)-1]
	var scale float32
	last.numbers, scale = quantise(last.numbers, vector)
	last.codes = append(last.codes, c)
	last.scales = append(last.scales, scale)
	last.entries = append(last.entries, e)
	e.slot = uint32(p.count) //nolint:gosec // 2^32 entries are more than a terabyte
	p.count++
}

func (p *partition) newChunk() *chunk {
	if len(p.chunks) == 0 {
		return &chunk{}
	}
	return &chunk{
		codes:   make([]code, 0, perChunk),
		numbers: make([]int8, 0, perChunk*p.dim),
		scales:  make([]float32, 0, perChunk),
		entries: make([]*entry, 0, perChunk),
	}
}

// drop takes an entry out, moves the last one into its place, and returns how many are left.
func (p *partition) drop(e *entry) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, i := p.chunks[e.slot/perChunk], int(e.slot%perChunk)
	end := len(p.chunks) - 1
	last := p.chunks[end]
	j := len(last.codes) - 1
	from.codes[i] = last.codes[j]
	copy(from.numbers[i*p.dim:(i+1)*p.dim], last.numbers[j*p.dim:])
	from.scales[i] = last.scales[j]
	from.entries[i] = last.entries[j]
	from.entries[i].slot = e.slot
	last.entries[j] = nil
	last.codes, last.numbers = last.codes[:j], last.numbers[:j*p.dim]
	last.scales, last.entries = last.scales[:j], last.entries[:j]
	if j == 0 {
		p.chunks[end] = nil
		p.chunks = p.chunks[:end]
	}
	p.count--
	return p.count
}

// near is a slot and how many bits its code differs from the one that is searched.
type near struct {
	bits int
	slot int
}

// search ranks the nearest codes by cosine and appends the first of them to dst.
func (p *partition) search(vector []float32, limit int, dst []Match) []Match {
	want := encode(vector)
	norm := length(vector)
	if norm == 0 || limit <= 0 {
		return dst
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	var best [prefilter]near
	found := p.nearest(&want, &best)
	first := len(dst)
	for _, b := range best[:found] {
		c, i := p.chunks[b.slot/perChunk], b.slot%perChunk
		e := c.entries[i]
		dot := dot(vector, c.numbers[i*p.dim:(i+1)*p.dim])
		dst = append(dst, Match{
			ID: e.ID, Answer: e.Answer, Text: e.Text, Expires: e.Expires, Words: e.Words,
			Cosine: min(dot*c.scales[i]/float32(norm), 1),
		})
	}
	slices.SortFunc(dst[first:], func(x, y Match) int {
		switch {
		case x.Cosine > y.Cosine:
			return -1
		case x.Cosine < y.Cosine:
			return 1
		case x.ID < y.ID: // ties must not depend on the order in which entries came and went
			return -1
		}
		return 1
	})
	return dst[:min(len(dst), first+limit)]
}

// nearest fills best with the slots whose codes differ least, in order, and returns how many there are.
func (p *partition) nearest(want *code, best *[prefilter]near) int {
	found, worst := 0, codeBits+1
	w0, w1, w2, w3 := want[0], want[1], want[2], want[3]
	for n, c := range p.chunks {
		for i := range c.codes {
			h := &c.codes[i]
			d := bits.OnesCount64(h[0]^w0) + bits.OnesCount64(h[1]^w1) +
				bits.OnesCount64(h[2]^w2) + bits.OnesCount64(h[3]^w3)
			if d >= worst {
				continue
			}
			at := min(found, prefilter-1)
			for at > 0 && best[at-1].bits > d {
				best[at] = best[at-1]
				at--
			}
			best[at] = near{d, n*perChunk + i}
			if found < prefilter {
				found++
			}
			if found == prefilter {
				worst = best[prefilter-1].bits
			}
		}
	}
	return found
}

// entries is a copy of the list.
func (p *partition) entries() []*entry {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*entry, 0, p.count)
	for _, c := range p.chunks {
		all = append(all, c.entries...)
	}
	return all
}

// each calls f with every entry; it holds the lock for one chunk at a time only, because f may be slow.
func (p *partition) each(f func(Key, Entry, []float32) bool) bool {
	vector := make([]float32, p.dim)
	for n := 0; ; n++ {
		entries, numbers, scales := p.copyChunk(n)
		if entries == nil {
			return true
		}
		for i, e := range entries {
			for j, q := range numbers[i*p.dim : (i+1)*p.dim] {
				vector[j] = float32(q) * scales[i]
			}
			if !f(p.key, e, vector) {
				return false
			}
		}
	}
}

func (p *partition) copyChunk(n int) ([]Entry, []int8, []float32) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n >= len(p.chunks) {
		return nil, nil, nil
	}
	c := p.chunks[n]
	entries := make([]Entry, len(c.entries))
	for i, e := range c.entries {
		entries[i] = e.Entry
	}
	return entries, slices.Clone(c.numbers), slices.Clone(c.scales)
}
