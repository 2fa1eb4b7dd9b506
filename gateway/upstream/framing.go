package upstream

import (
	"bytes"
	"errors"
	"time"
)

const (
	lingerEnd      = time.Second      // for the framing's end behind the terminal event
	lingerTerminal = 10 * time.Second // for the terminal event when every choice has finished
)

// bodyState is where in the body's framing the reader stands (RFC 9112, section 7).
type bodyState uint8

const (
	chunkSize bodyState = iota // before a chunk's size line
	chunkData                  // inside a chunk
	chunkEnd                   // before the CRLF behind a chunk
	trailer                    // behind the last chunk
	bodyFixed                  // inside a body of known length
	bodyToEOF                  // inside a body that lasts until the connection ends
	bodyOver                   // behind the body
)

var errFraming = errors.New("upstream: the reply's chunks are malformed")

const maxSizeLine = 256 // bytes of a chunk's size line or of a trailer line

// decode takes the framing off what is buffered: bytes move from [next:] to [start:end].
func (st *stream) decode() error {
	b := *st.c.buf
	for st.next < len(b) && st.state != bodyOver {
		switch st.state {
		case chunkSize, chunkEnd, trailer:
			n := bytes.IndexByte(b[st.next:], '\n')
			if n < 0 {
				if len(b)-st.next > maxSizeLine {
					return errFraming
				}
				return nil
			}
			line := b[st.next : st.next+n]
			if n == 0 || n > maxSizeLine || line[n-1] != '\r' {
				return errFraming
			}
			st.next += n + 1
			if err := st.line(line[:n-1]); err != nil {
				return err
			}
		default:
			st.data(b)
		}
	}
	return nil
}

// line reads a line of framing.
func (st *stream) line(line []byte) error {
	switch st.state {
	case chunkEnd:
		if len(line) != 0 {
			return errFraming
		}
		st.state = chunkSize
	case chunkSize:
		size, ok := hex(line)
		if !ok {
			return errFraming
		}
		if st.left, st.state = size, chunkData; size == 0 {
			st.state = trailer
		}
	default: // trailer: its fields mean nothing to us
		if len(line) == 0 {
			st.state = bodyOver
		}
	}
	return nil
}

// data takes content: without a copy if nothing decoded is waiting before it.
func (st *stream) data(b []byte) {
	n := len(b) - st.next
	if st.state != bodyToEOF {
		n = int(min(int64(n), st.left))
		st.left -= int64(n)
	}
	if st.start == st.end {
		st.start, st.end, st.searched = st.next, st.next+n, 0
	} else {
		st.end += copy(b[st.end:], b[st.next:st.next+n])
	}
	st.next += n
	if st.left == 0 && st.state == chunkData {
		st.state = chunkEnd
	} else if st.left == 0 && st.state == bodyFixed {
		st.state = bodyOver
	}
}

// hex reads a chunk's size; extensions behind a semicolon are ignored.
func hex(line []byte) (int64, bool) {
	n := int64(0)
	for i, c := range line {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int64(c|0x20-'a'+10)
		case (c == ';' || c == ' ' || c == '\t') && i > 0:
			return n, true
		default:
			return 0, false
		}
		if n > 1<<40 {
			return 0, false
		}
	}
	return n, len(line) > 0
}
