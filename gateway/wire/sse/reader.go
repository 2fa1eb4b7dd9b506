package sse

import (
	"bytes"
	"errors"
	"io"
	"math"
)

// ErrTooLong says that a block is longer than a Reader allows.
var ErrTooLong = errors.New("sse: event too long")

var byteOrderMark = []byte("\xef\xbb\xbf")

const (
	firstRead = 4096
	ends      = 4   // the most bytes that may follow a block: two times CRLF
	idleReads = 100 // after so many reads of nothing a source is broken (bufio does the same)
)

// Reader reads events from a byte stream. It is for clients; the gateway itself splits the buffers it already has.
type Reader struct {
	src   io.Reader
	limit int
	buf   []byte
	start int   // of what is not read yet
	from  int   // see Split; relative to start
	err   error // what ended the stream
	begun bool  // past the place of a byte order mark
}

// NewReader reads blocks of up to limit bytes from r.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{src: r, limit: min(max(limit, 1), math.MaxInt/2)}
}

// Next is the next event; its Data is valid until the following call. The error is io.EOF if the stream ended after a
// complete block, io.ErrUnexpectedEOF if something was left over, ErrTooLong, or what the source returned. It stays.
func (r *Reader) Next() (Event, error) {
	for {
		if !r.begun {
			r.begin()
		}
		if r.begun {
			if ev, ok := r.event(); ok {
				return ev, nil
			}
		}
		if r.err != nil {
			return Event{}, r.end()
		}
		r.fill()
	}
}

// begin skips a byte order mark, once enough has arrived to tell.
func (r *Reader) begin() {
	if len(r.buf) < len(byteOrderMark) && r.err == nil && bytes.HasPrefix(byteOrderMark, r.buf) {
		return
	}
	r.begun = true
	if bytes.HasPrefix(r.buf, byteOrderMark) {
		r.start = len(byteOrderMark)
	}
}

// event takes blocks off the buffer up to one that is an event.
func (r *Reader) event() (Event, bool) {
	for {
		rest := r.buf[r.start:]
		block, n, next := Split(rest, r.from)
		r.from = next
		if len(block) > r.limit || n == 0 && len(rest) >= r.limit+ends {
			r.start, r.err = len(r.buf), ErrTooLong
			return Event{}, false
		}
		if n == 0 {
			return Event{}, false
		}
		r.start += n
		if ev, ok := Parse(block); ok {
			return ev, true
		}
	}
}

func (r *Reader) end() error {
	if errors.Is(r.err, io.EOF) && r.start < len(r.buf) {
		return io.ErrUnexpectedEOF
	}
	return r.err
}

// fill reads something, or sets err.
func (r *Reader) fill() {
	if r.start > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.start:])]
		r.start = 0
	}
	if free := cap(r.buf) - len(r.buf); free == 0 {
		size := min(max(2*cap(r.buf), firstRead), r.limit+ends+len(byteOrderMark))
		r.buf = append(make([]byte, 0, size), r.buf...)
	}
	for range idleReads {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 || err != nil {
			r.err = err
			return
		}
	}
	r.err = io.ErrNoProgress
}
