package shape

import "bytes"

// Said is, of valid JSON, how many bytes all strings have together that are the values of keys which end in tail, as they
// stand in the text. tail ends with the quote, which inside of strings is escaped; it leaves out the opening one, because
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
		n, v = n+size, v[1+size:]
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
