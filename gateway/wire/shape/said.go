package shape

import (
	"bytes"
	"encoding/binary"
)

// Weight is how much the inside of a JSON string says, by which tokens are estimated: its bytes, but one less for each
// character of two. Cyrillic, Greek and Arabic have about as many characters to a token as Latin; Chinese has a third.
func Weight(inside []byte) int {
	n := len(inside)
	for ; len(inside) >= 8; inside = inside[8:] {
		if binary.LittleEndian.Uint64(inside)&0x8080808080808080 != 0 {
			n -= pairs(inside[:8])
		}
	}
	return n - pairs(inside)
}

// pairs is how many characters of two bytes begin in v.
func pairs(v []byte) (n int) {
	for _, c := range v {
		if c >= 0xc2 && c <= 0xdf {
			n++
		}
	}
	return n
}

// Said is, of valid JSON, the [Weight] of all strings together that are the values of keys which end in tail. tail ends with the quote, which inside of strings is escaped; it leaves out the opening one, because
// searching for a letter is faster than for a quote.
func Said(v []byte, tail string) (n int) {
	for {
		i := bytes.Index(v, []byte(tail))
		if i < 0 {
			return n
		}
		v = space(v[i+len(tail):])
		if len(v) == 0 || v[0] != ':' {
			continue
		}
		if v = space(v[1:]); len(v) == 0 || v[0] != '"' {
			continue
		}
		size := inString(v[1:])
		n, v = n+Weight(v[1:1+size]), v[1+size:]
	}
}

// inString is how many bytes stand before the quote that ends a string.
func inString(v []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(v[at:], '"')
		if i < 0 {
			return len(v)
		}
		at += i
		back := at
		for back > 0 && v[back-1] == '\\' {
			back--
		}
		if (at-back)&1 == 0 {
			return at
		}
	}
}

// space skips white space in JSON.
func space(v []byte) []byte {
	for len(v) > 0 && v[0] <= ' ' {
		v = v[1:]
	}
	return v
}
