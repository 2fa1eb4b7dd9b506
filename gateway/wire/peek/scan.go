package peek

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how many objects and arrays may be open at once. Requests nest about 12 deep, JSON schemas somewhat more.
const MaxDepth = 64

// scanner walks over JSON text by the grammar of RFC 8259 without decoding it. Its methods take the offset at which to
// begin and return the one behind what they read, or -1 after noting the fault.
type scanner struct {
	b       []byte
	strict  bool    // refuse repeated keys and lone surrogates
	limited bool    // a token limit has been read
	depth   int     // how many objects and arrays are open
	keys    []key   // of the open objects, outermost first; only if strict
	table   []int32 // scratch of repeatedOfMany
	steer   *Fields // what Scan looks for, else nil

	fault fault
}

// fail notes the fault that ends the scan. It is -1, for callers to return.
func (s *scanner) fail(at int, why reason, of route) int {
	s.fault = fault{at, why, of}
	return -1
}

// bad is fail for what must stand at i but does not, perhaps because the text ends there.
func (s *scanner) bad(i int, why reason) int {
	if i >= len(s.b) {
		i, why = len(s.b), cut
	}
	return s.fail(i, why, noRoute)
}

// space is the offset of the first byte at or behind i that is not white space.
func (s *scanner) space(i int) int {
	if i < len(s.b) && s.b[i] > ' ' {
		return i
	}
	return i + blanks(s.b[i:])
}

// blanks counts the white space that b begins with.
func blanks(b []byte) int {
	const set uint64 = 1<<' ' | 1<<'\t' | 1<<'\n' | 1<<'\r'
	for i, c := range b {
		if c > ' ' || set>>c&1 == 0 {
			return i
		}
	}
	return len(b)
}

// end checks that nothing but white space is at i and behind it.
func (s *scanner) end(i int) bool {
	i = s.space(i)
	if i < len(s.b) {
		s.fail(i, trailing, noRoute)
		return false
	}
	return true
}

// value reads the value at i, which is no white space. p tells what an object there is.
func (s *scanner) value(i int, p place) int {
	if i >= len(s.b) {
		return s.fail(len(s.b), cut, noRoute)
	}
	switch s.b[i] {
	case '"':
		return s.str(i)
	case '{':
		return s.object(i, p)
	case '[':
		return s.array(i)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		return s.number(i)
	}
}

func (s *scanner) object(i int, p place) int {
	if s.depth++; s.depth > MaxDepth {
		return s.fail(i, tooDeep, noRoute)
	}
	first := len(s.keys)
	i = s.space(i + 1)
	if i < len(s.b) && s.b[i] == '}' {
		if p == inBody {
			s.steer.Empty = true
		}
		s.depth--
		return i + 1
	}
	for more := true; more; {
		if i = s.member(i, p); i < 0 {
			return -1
		}
		if i, more = s.next(i, '}'); i < 0 {
			return -1
		}
	}
	if s.strict && !s.distinct(first, p) {
		return -1
	}
	s.depth--
	return i
}

// member reads one member of the object p: its key at i and its value.
func (s *scanner) member(i int, p place) int {
	k, i := s.key(i)
	if i < 0 {
		return -1
	}
	if p == elsewhere {
		return s.value(i, elsewhere)
	}
	r, ok := s.route(p, k)
	if !ok {
		return -1
	}
	inner := elsewhere
	if r == toOptions {
		inner = inOptions
	}
	at := i
	if i = s.value(i, inner); i < 0 || r != noRoute && !s.take(r, at, i) {
		return -1
	}
	return i
}

func (s *scanner) array(i int) int {
	if s.depth++; s.depth > MaxDepth {
		return s.fail(i, tooDeep, noRoute)
	}
	i = s.space(i + 1)
	if i < len(s.b) && s.b[i] == ']' {
		s.depth--
		return i + 1
	}
	for more := true; more; {
		if i = s.value(i, elsewhere); i < 0 {
			return -1
		}
		if i, more = s.next(i, ']'); i < 0 {
			return -1
		}
	}
	s.depth--
	return i
}

// next reads what follows a member or an element: a comma, after which it is the offset of the next one and true, or the
// closing bracket, after which it is the offset behind it and false.
func (s *scanner) next(i int, closing byte) (int, bool) {
	i = s.space(i)
	if i < len(s.b) {
		switch s.b[i] {
		case ',':
			return s.space(i + 1), true
		case closing:
			return i + 1, false
		}
	}
	if closing == ']' {
		return s.bad(i, noEndOfArray), false
	}
	return s.bad(i, noEndOfObject), false
}

func (s *scanner) literal(i int, word string) int {
	if !bytes.HasPrefix(s.b[i:], []byte(word)) {
		return s.bad(i, noValue)
	}
	return i + len(word)
}

func (s *scanner) number(at int) int {
	b, i := s.b, at
	if b[i] == '-' {
		i++
	}
	from := i
	i += digits(b[i:])
	switch {
	case i == at:
		return s.bad(i, noValue)
	case i == from:
		return s.bad(i, noDigit)
	case i > from+1 && b[from] == '0':
		return s.fail(from, leadingZero, noRoute)
	}
	if i < len(b) && b[i] == '.' {
		d := digits(b[i+1:])
		if i += 1 + d; d == 0 {
			return s.bad(i, noDigit)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		d := digits(b[i:])
		if i += d; d == 0 {
			return s.bad(i, noDigit)
		}
	}
	return i
}

// digits counts the digits that b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if c-'0' > 9 {
			return i
		}
	}
	return len(b)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the high bit of each byte of x, quotes, backslashes, control characters and bytes outside ASCII. Only
// the lowest mark is to be believed: borrowing may set wrong ones above it.
func special(x uint64) uint64 {
	return (((x ^ ones*'"') - ones) | ((x ^ ones*'\\') - ones) | (x - ones*' ') | x) & highs
}

// str reads the string whose opening quote is at i, eight bytes at a time.
func (s *scanner) str(i int) int {
	b := s.b
	for i++; i < len(b); {
		if i+8 <= len(b) {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i = s.escapes(i)
		case c >= utf8.RuneSelf:
			i = s.nonASCII(i)
		case c < ' ':
			return s.fail(i, control, noRoute)
		default:
			i++
		}
		if i < 0 {
			return -1
		}
	}
	return s.fail(len(s.b), cut, noRoute)
}

// nonASCII reads the run of bytes outside ASCII at i. Most characters of two and three bytes need no more than a look at the
// high bits; the standard library judges the rest.
func (s *scanner) nonASCII(i int) int {
	b := s.b
	for i < len(b) && b[i] >= utf8.RuneSelf {
		switch c := b[i]; {
		case c >= 0xc2 && c < 0xe0 && i+1 < len(b) && b[i+1]&0xc0 == 0x80:
			i += 2
		case c > 0xe0 && c < 0xf0 && c != 0xed && i+2 < len(b) && b[i+1]&0xc0 == 0x80 && b[i+2]&0xc0 == 0x80:
			i += 3
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return s.fail(i, notUTF8, noRoute)
			}
			i += n
		}
	}
	return i
}

// escapes reads the run of escapes at i. A high surrogate takes its low one with it.
func (s *scanner) escapes(i int) int {
	b := s.b
	for i+1 < len(b) && b[i] == '\\' {
		switch b[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
			continue
		case 'u':
		default:
			return s.fail(i, noEscape, noRoute)
		}
		u := hex(b[i+2:])
		switch {
		case u < 0:
			return s.fail(i, noHex, noRoute)
		case u&^0x7ff != 0xd800 || !s.strict:
			i += 6
		case u < 0xdc00 && i+7 < len(b) && b[i+6] == '\\' && b[i+7] == 'u' && hex(b[i+8:])&^0x3ff == 0xdc00:
			i += 12
		default:
			return s.fail(i, halfPair, noRoute)
		}
	}
	if i == len(b)-1 && b[i] == '\\' {
		return s.fail(len(b), cut, noRoute)
	}
	return i
}

// hex reads four hexadecimal digits; -1 if there are none.
func hex(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	return nibble[b[0]]<<12 | nibble[b[1]]<<8 | nibble[b[2]]<<4 | nibble[b[3]]
}

// nibble is the value of a hexadecimal digit, -1 for other bytes.
var nibble = func() (t [256]rune) {
	for c := range t {
		t[c] = -1
	}
	for v := range rune(16) {
		t["0123456789abcdef"[v]], t["0123456789ABCDEF"[v]] = v, v
	}
	return t
}()
