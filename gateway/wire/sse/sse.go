// Package sse reads and writes event streams, the framing of streamed replies (WHATWG HTML, section 9.2).
//
// The bytes are looked at where they lie: Split finds a block, Parse reads it, nothing is copied and nothing allocated.
// Fields that providers do not use (id, retry) are ignored.
package sse

import (
	"bytes"
	"strings"
)

// Event is one event of a stream.
type Event struct {
	Name string // the last event field, or ""
	Data []byte // the data fields, joined with LF; never empty
}

// Split finds the first complete block of b: the lines up to a blank line, which may be none. n is how many bytes the
// block takes with its blank line, and 0 if it is incomplete; block leaves out the blank line and the last line's end.
//
// from is how far b is known to hold no end of a block: 0, or the next of the preceding call if that was incomplete and
// bytes were only added to b. So any number of calls reads each byte once.
//
// Lines end with LF, CRLF or CR. A blank line is complete at its CR: if an LF follows later, it makes an empty block.
func Split(b []byte, from int) (block []byte, n, next int) {
	for i := from; i < len(b); {
		k := lineEnd(b[i:])
		if k < 0 {
			break
		}
		k += i
		blank := k == 0 || b[k-1] == '\n' || b[k-1] == '\r'
		i = k + 1
		if b[k] == '\r' {
			if i < len(b) && b[i] == '\n' {
				i++
			} else if i == len(b) && !blank {
				return nil, 0, k // perhaps the first half of CRLF
			}
		}
		if blank {
			return chomp(b[:k]), i, 0
		}
	}
	return nil, 0, len(b)
}

// lineEnd is the index of the first LF or CR in b, or -1.
func lineEnd(b []byte) int {
	const window = 1024 // two searches, neither of which runs far past what the other would find
	for at := 0; at < len(b); at += window {
		w := b[at:min(at+window, len(b))]
		lf := bytes.IndexByte(w, '\n')
		if lf >= 0 {
			w = w[:lf]
		}
		if cr := bytes.IndexByte(w, '\r'); cr >= 0 {
			return at + cr
		}
		if lf >= 0 {
			return at + lf
		}
	}
	return -1
}

// chomp removes one line end.
func chomp(b []byte) []byte {
	if n := len(b); n > 1 && b[n-1] == '\n' && b[n-2] == '\r' {
		return b[:n-2]
	}
	return b[:max(len(b)-1, 0)]
}

// Parse reads a block of lines. It is false for what is no event: comments and blocks without data. An event whose data
// is empty would be one by the standard, but it says nothing and official clients fail on it, so it is none here.
//
// Data is part of block. If there are several data lines, Parse joins them in place and so writes over block.
func Parse(block []byte) (Event, bool) {
	var ev Event
	if v, ok := field(block, "data:"); ok && lineEnd(v) < 0 { // by far the most common
		ev.Data = v
		return ev, len(v) > 0
	}
	for lines := 0; len(block) > 0; {
		line := block
		if k := lineEnd(block); k >= 0 { // CRLF counts as two ends with an empty line between, which means nothing
			line, block = block[:k], block[k+1:]
		} else {
			block = nil
		}
		v, ok := field(line, "data:")
		if !ok && string(line) == "data" {
			v, ok = line[4:], true
		}
		switch {
		case ok && lines == 0:
			ev.Data, lines = v, 1
		case ok:
			ev.Data = append(append(ev.Data, '\n'), v...) // lies before v, for v had a name
		default:
			if v, ok := field(line, "event:"); ok {
				ev.Name = intern(v)
			} else if string(line) == "event" {
				ev.Name = ""
			}
		}
	}
	return ev, len(ev.Data) > 0
}

// field is the value of a line whose name and colon are given: what follows, without one leading space.
func field(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return nil, false
	}
	v := line[len(name):]
	if len(v) > 0 && v[0] == ' ' {
		v = v[1:]
	}
	return v, true
}

// Append adds one event. Each line of data becomes a data field, so that CR and CRLF arrive as LF. Without data nothing
// is added (see Parse). A name ends at its first line end.
func Append(dst []byte, name string, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	if name != "" {
		if k := strings.IndexAny(name, "\r\n"); k >= 0 {
			name = name[:k]
		}
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	return append(appendLines(dst, data), '\n')
}

// appendLines adds a line of data for each line.
func appendLines(dst, b []byte) []byte {
	const prefix = "data: "
	for {
		k := lineEnd(b)
		if k < 0 {
			return append(append(append(dst, prefix...), b...), '\n')
		}
		dst = append(append(append(dst, prefix...), b[:k]...), '\n')
		if b[k] == '\r' && k+1 < len(b) && b[k+1] == '\n' {
			k++
		}
		b = b[k+1:]
	}
}
