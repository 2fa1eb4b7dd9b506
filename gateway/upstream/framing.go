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

var (
	lineEnd    = []byte("\r\n")
	errFraming = errors.New("upstream: the reply's chunks are malformed")
)

const maxSizeLine = 256 // bytes of a chunk's size line or of a trailer line

// decode takes the framing off what is buffered: bytes move from [next:] to [start:end].
func (st *stream) decode() error {
	b := *st.c.buf
	for st.next < len(b) && st.state != bodyOver {
		if st.state == chunkData || st.state == bodyFixed || st.state == bodyToEOF {
			st.data(b)
			continue
		}
		n, err := st.between(b[st.next:])
		if n == 0 || err != nil {
			return err
		}
		st.next += n
	}
	return nil
}

// between takes one line off what stands between the chunks and behind them, and gives its length: 0 if it is incomplete.
func (st *stream) between(b []byte) (int, error) {
	if st.state == chunkEnd {
		end := b[:min(len(b), len(lineEnd))]
		if !bytes.HasPrefix(lineEnd, end) {
			return 0, errFraming
		}
		if len(end) < len(lineEnd) {
			return 0, nil
		}
		st.state = chunkSize
		return len(end), nil
	}
	n := bytes.IndexByte(b, '\n')
	if n > maxSizeLine || n < 0 && len(b) > maxSizeLine {
		return 0, errFraming
	}
	if n < 0 {
		return 0, nil
	}
	if n == 0 || bytes.IndexByte(b[:n], '\r') != n-1 {
		return 0, errFraming
	}
	return n + 1, st.line(b[:n-1])
}

// line reads a line of framing: a chunk's size or, behind the last chunk, a field, which means nothing to us.
func (st *stream) line(line []byte) error {
	if st.state == trailer {
		if len(line) == 0 {
			st.state = bodyOver
		} else if _, _, ok := splitField(string(line)); !ok {
			return errFraming
		}
		return nil
	}
	size, ok := chunkLength(line)
	if !ok {
		return errFraming
	}
	if st.left, st.state = size, chunkData; size == 0 {
		st.state = trailer
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

// chunkLength reads a chunk's size of up to 16 digits; blanks at the end of the line are ignored, and extensions behind a
// semicolon.
func chunkLength(line []byte) (int64, bool) {
	n := int64(0)
	for i, c := range line {
		switch {
		case i > 0 && c == ';':
			return n, true
		case i > 0 && (c == ' ' || c == '\t'):
			return n, len(bytes.TrimRight(line[i:], " \t")) == 0
		case i == 16:
			return 0, false
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int64(c|0x20-'a'+10)
		default:
			return 0, false
		}
		if n > 1<<40 {
			return 0, false
		}
	}
	return n, len(line) > 0
}
