package socket

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
)

const (
	batchLeast = 4 << 10  // bytes lent for what is written at once
	batchMost  = 32 << 10 // what is written at once, unless one event is longer
)

// flush writes what there is to be written, unless somebody is at it: then he goes on with it.
func (s *socket) flush() {
	s.mu.Lock()
	if s.writing || s.gone {
		s.mu.Unlock()
		return
	}
	s.writing = true
	s.mu.Unlock()
	batch := buf.Get(batchLeast)
	var ended []*exchange
	for {
		var n int64
		var more bool
		if batch, n, more = s.collect(batch, &ended); !more {
			break
		}
		for _, x := range ended { // before it is written: who reads it may ask at once for what was not possible before
			x.delivered(s)
		}
		s.write(*batch)
		s.written(n)
		*batch, ended = (*batch)[:0], ended[:0]
	}
	buf.Put(batch)
}

// collect puts together what is written next. n is how much of it is of exchanges; ended are those of them of which it is the last.
// Without anything to write it is false, and nobody writes any more.
func (s *socket) collect(batch *[]byte, ended *[]*exchange) (b *[]byte, n int64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch = lend(batch, s.control)
	s.control = nil
	if s.closing != nil && !s.closed {
		batch = lend(batch, s.closing)
		s.closed = true
		_ = s.raw.SetReadDeadline(time.Now().Add(closeWait))
	}
	if s.closed || s.hungUp {
		s.ready = nil
	}
	for len(*batch) < batchMost && len(s.ready) > 0 {
		x := s.ready[0]
		s.ready = slices.Delete(s.ready, 0, 1)
		s.mu.Unlock()
		before := len(*batch)
		var rest, last bool
		batch, rest, last = x.take(s, batch)
		n += int64(len(*batch) - before)
		s.mu.Lock()
		if rest && !s.hungUp {
			s.ready = append(s.ready, x)
		}
		if last {
			*ended = append(*ended, x)
		}
	}
	if len(*batch) > 0 {
		return batch, n, true
	}
	s.writing = false
	if s.hungUp {
		go s.shut()
	}
	return batch, 0, false
}

// lend adds to a lent buffer.
func lend(b *[]byte, more []byte) *[]byte {
	if need := len(*b) + len(more); need > cap(*b) {
		b = buf.Grow(b, need)
	}
	*b = append(*b, more...)
	return b
}

// write writes a batch. Who does not read it in time is told why he is closed, once he does.
func (s *socket) write(b []byte) {
	d := s.hub.o.WriteTimeout
	if want := gateway.Now().Add(d); s.armed == 0 || want.Sub(s.armed) > d/8 {
		s.armed = want
		s.arm(d)
	}
	n, err := s.raw.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if last, ok := s.lastWords(b[n:]); ok {
			s.arm(slowGrace)
			_, err = s.raw.Write(last)
		}
	}
	if err != nil {
		_ = s.raw.Close() // the reader notices
	}
}

// lastWords is what is left of a batch, whose last frame may be cut, and a close frame.
func (s *socket) lastWords(rest []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.hungUp {
		return nil, false
	}
	s.slow()
	s.closed = true
	_ = s.raw.SetReadDeadline(time.Now().Add(slowGrace + closeWait))
	return append(slices.Clip(rest), s.closing...), true
}

// arm sets the write deadline, unless the reader has set its last.
func (s *socket) arm(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hungUp {
		_ = s.raw.SetWriteDeadline(time.Now().Add(d))
	}
}

// written is told that so many bytes of exchanges need no room any more.
func (s *socket) written(n int64) {
	if s.unsent.Add(-n) < queueMost && s.waiting.Load() > 0 {
		s.mu.Lock()
		for x := range s.attached {
			x.nudge()
		}
		s.mu.Unlock()
	}
}

// enqueue notes that an exchange has something to be written.
func (s *socket) enqueue(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hungUp && !s.closed {
		s.ready = append(s.ready, x)
	}
}

// A server's frames have no mask (RFC 6455, section 5.1): a header of two, four or ten bytes, and the payload.
const (
	final        = 0x80
	length16     = 126
	length64     = 127
	shortHeader  = 2
	mediumHeader = 4
	longHeader   = 10
)

// appendFrame adds a message of text in one frame.
func appendFrame(b, text []byte) []byte { return append(appendHeader(b, len(text)), text...) }

func appendHeader(b []byte, n int) []byte {
	switch {
	case n < length16:
		return append(b, final|websocket.TextMessage, byte(n)) //nolint:gosec // less than 126
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, final|websocket.TextMessage, length16), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, final|websocket.TextMessage, length64), uint64(n))
	}
}

// seal makes a frame of what was written into b behind at and mediumHeader bytes of room: most events are of that length.
func seal(b []byte, at int) []byte {
	text := b[at+mediumHeader:]
	n := len(text)
	switch size := headerSize(n); size {
	case longHeader:
		b = append(b, make([]byte, longHeader-mediumHeader)...)
		copy(b[at+longHeader:], text)
	case shortHeader:
		copy(b[at+shortHeader:], text)
		b = b[:len(b)-(mediumHeader-shortHeader)]
	}
	appendHeader(b[:at], n)
	return b
}

func headerSize(n int) int {
	switch {
	case n < length16:
		return shortHeader
	case n < 1<<16:
		return mediumHeader
	default:
		return longHeader
	}
}

func ping() []byte { return []byte{final | websocket.PingMessage, 0} }

// closeFrame is short enough for a control frame: reasons are ours.
func closeFrame(code int, reason string) []byte {
	b := []byte{final | websocket.CloseMessage, byte(2 + len(reason))}       //nolint:gosec // less than 126
	return append(binary.BigEndian.AppendUint16(b, uint16(code)), reason...) //nolint:gosec // close codes have 16 bits
}

func opcode(frame []byte) int { return int(frame[0] & 0x0f) }

// codeOf is the code of a close frame.
func codeOf(frame []byte) int {
	if len(frame) < shortHeader+2 {
		return websocket.CloseNoStatusReceived
	}
	return int(binary.BigEndian.Uint16(frame[shortHeader:]))
}
