package peek

import (
	"bytes"
	"math"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Valid checks that b is one JSON value by the rules of Scan: those of syntax, nesting and repeated keys. The error is an
// *Error.
func Valid(b []byte) error {
	var few [fewKeys]key
	s := scanner{b: b, strict: true, keys: few[:0]}
	if i := s.value(s.space(0), elsewhere); i < 0 || !s.end(i) {
		return s.err()
	}
	return nil
}

// Find is the value of the member of the object b with that key, borrowed from b; nil if there is none. Of repeated keys
// the last counts, as in most decoders. The key is given as it stands in the text, quotes included, and must be plain; an
// escaped spelling of it is not found.
//
// It looks for the bytes of the key and scans only from there to the end, so it is cheap for keys near the end, such as
// "usage"; nothing before is checked, b must be one whole JSON object.
func Find(b, quotedKey []byte) []byte {
	s := scanner{b: b}
	if i := s.space(0); i == len(b) || b[i] != '{' {
		return nil
	}
	for at := 0; ; {
		i := bytes.Index(b[at:], quotedKey)
		if i < 0 {
			return nil
		}
		at += i + len(quotedKey)
		// A quote that is not escaped opens or closes a string. If it closed one, the key would be outside of strings.
		// So this is a string; it is a key if a colon follows, one of b itself if only b's brace follows its members.
		colon := s.space(at)
		if isEscaped(b[:at-len(quotedKey)]) || colon == len(b) || b[colon] != ':' {
			continue
		}
		val, end := s.rest(s.space(colon+1), quotedKey)
		if end < 0 {
			return nil
		}
		if s.space(end) == len(b) {
			return val
		}
		at = end // it was of a nested object, which is all read now
	}
}

// isEscaped says whether what follows b in a string is escaped.
func isEscaped(b []byte) bool {
	return (len(b)-len(bytes.TrimRight(b, `\`)))&1 != 0
}

// rest reads an object from the value at i to behind its brace, and returns the value at i, or the last one behind it
// whose key is the same.
func (s *scanner) rest(i int, quotedKey []byte) (val []byte, end int) {
	for found := true; ; {
		from := i
		if i = s.value(i, elsewhere); i < 0 {
			return nil, -1
		}
		if found {
			val = s.b[from:i]
		}
		next, more := s.next(i, '}')
		if i = next; i < 0 || !more {
			return val, i
		}
		var k key
		if k, i = s.key(i); i < 0 {
			return nil, -1
		}
		found = bytes.Equal(s.b[k.at-1:k.end+1], quotedKey)
	}
}

// Skip is the offset behind the value at i, where b is valid JSON and i is that of a value's first byte.
func Skip(b []byte, i int) int {
	s := scanner{b: b}
	return s.value(i, elsewhere)
}

// Each calls f with the members of the object b in order, until it returns false. The key is decoded and has no quotes,
// the value is as it stands in the text; both are borrowed for the call. It is false if b is not one JSON object; f may
// have been called by then. What f does not want to see is not checked.
func Each(b []byte, f func(key, val []byte) bool) bool {
	var c Cursor
	c.Open(b)
	for c.Next() {
		val := c.Value()
		if val == nil {
			return false
		}
		if !f(c.Key(), val) {
			return true
		}
	}
	return c.Done()
}

// Elements calls f with the elements of the array b, as Each does with members.
func Elements(b []byte, f func(val []byte) bool) bool {
	s := scanner{b: b}
	i := s.space(0)
	if i == len(b) || b[i] != '[' {
		return false
	}
	if i = s.space(i + 1); i < len(b) && b[i] == ']' {
		return s.end(i + 1)
	}
	for more := true; more; {
		from := i
		if i = s.value(i, elsewhere); i < 0 {
			return false
		}
		if !f(b[from:i]) {
			return true
		}
		if i, more = s.next(i, ']'); i < 0 {
			return false
		}
	}
	return s.end(i)
}

// Int reads a whole number as JSON writes it, without fraction and exponent. It is false for everything else and for what
// does not fit.
func Int(b []byte) (n int64, ok bool) {
	minus := len(b) > 0 && b[0] == '-'
	if minus {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 1 && b[0] == '0' {
		return 0, false
	}
	for _, c := range b { // downwards, because there are more negative numbers
		d := int64(c - '0')
		if d > 9 || n < math.MinInt64/10 || n*10 < math.MinInt64+d {
			return 0, false
		}
		n = n*10 - d
	}
	switch {
	case minus:
		return n, true
	case n == math.MinInt64:
		return 0, false
	}
	return -n, true
}

// String decodes a JSON string in its quotes. It is false for everything else. A lone surrogate becomes U+FFFD, as in
// encoding/json.
func String(b []byte) (string, bool) {
	s := scanner{b: b}
	if len(b) == 0 || b[0] != '"' || s.str(0) != len(b) {
		return "", false
	}
	raw := b[1 : len(b)-1]
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return string(raw), true
	}
	var t strings.Builder
	t.Grow(len(raw))
	for ; i >= 0; i = bytes.IndexByte(raw, '\\') {
		t.Write(raw[:i])
		c, size := escaped(raw[i:])
		t.WriteRune(c)
		raw = raw[i+size:]
	}
	t.Write(raw)
	return t.String(), true
}

// unescape appends the decoded contents of a string that a scanner has read to dst.
func unescape(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		c, size := escaped(raw[i:])
		dst = utf8.AppendRune(dst, c)
		raw = raw[i+size:]
	}
}

// escaped decodes the escape that raw begins with, one that a scanner has read. A lone surrogate becomes U+FFFD.
func escaped(raw []byte) (c rune, size int) {
	switch c := rune(raw[1]); c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		u := hex(raw[2:])
		if utf16.IsSurrogate(u) {
			if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
				if c := utf16.DecodeRune(u, hex(raw[8:])); c != utf8.RuneError {
					return c, 12
				}
			}
			return utf8.RuneError, 6
		}
		return u, 6
	default:
		return c, 2
	}
}
