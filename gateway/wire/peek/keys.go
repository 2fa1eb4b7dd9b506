package peek

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// MaxKeys is how many members the objects that are open at once may have together. It bounds what the search for
// repeated keys costs: 1.5 MiB for the keys of a hostile body.
const MaxKeys = 1 << 16

// fewKeys is how many keys have room on the stack, and up to how many members comparing all pairs is cheaper than a table.
const (
	fewKeys  = 64
	fewPairs = 32
)

// key is the name of a member: s.b[at:end], without quotes.
type key struct {
	tag     uint64 // differs only if the decoded names do, and practically whenever they do
	at, end int
}

// key reads the key at i and the colon behind it, and returns the offset of the value.
func (s *scanner) key(i int) (key, int) {
	if i >= len(s.b) || s.b[i] != '"' {
		return key{}, s.bad(i, noKey)
	}
	k := key{at: i + 1}
	if i+9 <= len(s.b) {
		// Most keys are plain and shorter than eight bytes: with the closing quote they are their own tag.
		x := binary.LittleEndian.Uint64(s.b[k.at:])
		at := bits.TrailingZeros64(special(x)) >> 3
		if at < 8 && s.b[k.at+at] == '"' {
			k.end, k.tag = k.at+at, x&(1<<(8*at+8)-1)
		}
	}
	if k.end == 0 {
		end := s.str(i)
		if end < 0 {
			return k, -1
		}
		k.end = end - 1
		if s.strict {
			k.tag = tag(s.b[k.at:k.end])
		}
	}
	if s.strict {
		if len(s.keys) == MaxKeys {
			return k, s.fail(i, tooMany, noRoute)
		}
		s.push(k)
	}
	i = s.space(k.end + 1)
	if i >= len(s.b) || s.b[i] != ':' {
		return k, s.bad(i, noColon)
	}
	return k, s.space(i + 1)
}

// push is an append that lets escape analysis leave the first keys on Scan's stack.
func (s *scanner) push(k key) {
	n := len(s.keys)
	if n == cap(s.keys) {
		more := make([]key, n, 4*n)
		copy(more, s.keys)
		s.keys = more
	}
	s.keys = s.keys[:n+1]
	s.keys[n] = k
}

// seed keeps anybody from preparing names that collide.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // made once, never changed

// tag is equal for equal names, whether they are escaped or not.
func tag(name []byte) uint64 {
	var buf [64]byte
	if bytes.IndexByte(name, '\\') >= 0 {
		name = unescape(buf[:0], name)
	}
	if len(name) < 8 {
		var word [8]byte
		word[copy(word[:], name)] = '"'
		return binary.LittleEndian.Uint64(word[:])
	}
	return maphash.Bytes(seed, name)
}

// same says whether two keys with the same tag have the same name.
func (s *scanner) same(k, l key) bool {
	a, b := s.b[k.at:k.end], s.b[l.at:l.end]
	if bytes.IndexByte(a, '\\') >= 0 || bytes.IndexByte(b, '\\') >= 0 {
		return bytes.Equal(unescape(nil, a), unescape(nil, b))
	}
	return bytes.Equal(a, b)
}

// distinct checks that the members of the object p, whose keys are those from first on, have different names, and forgets
// the keys.
func (s *scanner) distinct(first int, p place) bool {
	keys := s.keys[first:]
	s.keys = s.keys[:first]
	i := s.repeated(keys)
	if i < 0 {
		return true
	}
	s.fail(keys[i].at-1, twice, exact(p, s.b[keys[i].at:keys[i].end]))
	return false
}

// repeated is the index of a key that an earlier one equals, or -1.
func (s *scanner) repeated(keys []key) int {
	if len(keys) > fewPairs {
		return s.repeatedOfMany(keys)
	}
	for i := 1; i < len(keys); i++ {
		for j := range keys[:i] {
			if keys[j].tag == keys[i].tag && s.same(keys[j], keys[i]) {
				return i
			}
		}
	}
	return -1
}

// repeatedOfMany is repeated with a hash table.
func (s *scanner) repeatedOfMany(keys []key) int {
	size := uint64(2) << bits.Len(uint(len(keys)))
	if uint64(len(s.table)) < size {
		s.table = make([]int32, size)
	}
	table := s.table[:size] // 1 + the index of a key, or 0
	clear(table)
	n := int32(0)
	for i, k := range keys {
		at := maphash.Comparable(seed, k.tag) & (size - 1)
		for ; table[at] != 0; at = (at + 1) & (size - 1) {
			if l := keys[table[at]-1]; l.tag == k.tag && s.same(l, k) {
				return i
			}
		}
		n++
		table[at] = n
	}
	return -1
}
