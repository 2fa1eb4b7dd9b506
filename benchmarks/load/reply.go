package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// How long a reply's body is, if no number says so.
const (
	chunked    = -1
	untilClose = -2
)

// head is what the generator needs to know of a reply before its body.
type head struct {
	status int
	length int64 // bytes, or chunked, or untilClose
	close  bool  // the connection ends with this reply
	again  bool  // the gateway made more than one attempt
}

var (
	errStatus = errors.New("bad status line")
	errLength = errors.New("bad content-length")
	errChunk  = errors.New("bad chunk")
)

// readHead reads the status line and the headers. It is as strict as it takes to find the body, no stricter.
func readHead(r *bufio.Reader) (head, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return head{}, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return head{}, errStatus
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 200 { // nothing here asks for an interim reply
		return head{}, errStatus
	}
	h := head{status: status, length: untilClose}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return head{}, cut(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			h.close = h.close || h.length == untilClose
			return h, nil
		}
		if err := h.field(line); err != nil {
			return head{}, err
		}
	}
}

func (h *head) field(line []byte) error {
	switch line[0] | 0x20 {
	case 'c', 't', 'x':
	default:
		return nil
	}
	name, value, _ := strings.Cut(string(line), ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(name) {
	case "content-length":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return errLength
		}
		if h.length != chunked {
			h.length = n
		}
	case "transfer-encoding":
		h.length = chunked
	case "x-sluice-attempts":
		h.again = true
	case "connection":
		h.close = h.close || strings.EqualFold(value, "close")
	}
	return nil
}

// readBody passes the body to f in pieces, as they arrive, without the framing of chunks. A piece is valid during the
// call. It returns io.ErrUnexpectedEOF if the body is cut short.
func readBody(r *bufio.Reader, length int64, f func([]byte)) error {
	switch length {
	case chunked:
		return readChunks(r, f)
	case untilClose:
		err := pass(r, -1, f)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	return cut(pass(r, length, f))
}

func readChunks(r *bufio.Reader, f func([]byte)) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return cut(err)
		}
		n, err := chunkSize(line)
		if err != nil {
			return err
		}
		if n == 0 {
			return cut(skipTrailer(r))
		}
		if err := cut(pass(r, n, f)); err != nil {
			return err
		}
		if line, err = r.ReadSlice('\n'); err != nil {
			return cut(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			return errChunk
		}
	}
}

// chunkSize reads the line before a chunk (RFC 9112, 7.1): a hexadecimal number, and extensions that mean nothing here.
func chunkSize(line []byte) (int64, error) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(digits)), 16, 64)
	if err != nil || n < 0 {
		return 0, errChunk
	}
	return n, nil
}

func skipTrailer(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}

// pass hands on exactly n bytes as they arrive; all that come, if n is negative.
func pass(r *bufio.Reader, n int64, f func([]byte)) error {
	for n != 0 {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		size := r.Buffered()
		if n > 0 {
			size = int(min(n, int64(size)))
			n -= int64(size)
		}
		piece, err := r.Peek(size)
		if err != nil {
			return err
		}
		f(piece)
		if _, err := r.Discard(size); err != nil {
			return err
		}
	}
	return nil
}

// cut names the end of the connection in the middle of a reply.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("reply cut short: %w", io.ErrUnexpectedEOF)
	}
	return err
}
