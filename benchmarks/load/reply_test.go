package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// parseReply reads one reply, arriving a byte at a time, and what is left behind it.
func parseReply(wire string) (h head, body, rest string, err error) {
	r := bufio.NewReader(iotest.OneByteReader(strings.NewReader(wire)))
	if h, err = readHead(r); err != nil {
		return h, "", "", err
	}
	var b strings.Builder
	if err = readBody(r, h.length, func(piece []byte) { b.Write(piece) }); err != nil {
		return h, b.String(), "", err
	}
	left, err := io.ReadAll(r)
	return h, b.String(), string(left), err
}

func TestReplies(t *testing.T) {
	f := func(wire string, want head, body, rest string) {
		t.Helper()
		h, gotBody, gotRest, err := parseReply(wire)
		if err != nil || h != want || gotBody != body || gotRest != rest {
			t.Errorf("%q:\ngot %+v, %q, %q, %v\nwant %+v, %q, %q", wire, h, gotBody, gotRest, err, want, body, rest)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1", head{200, 2, false, false}, "ok", "HTTP/1.1")
	f("HTTP/1.1 200 \r\ncontent-length:0\r\nX-Content-Length: 9\r\n\r\n", head{200, 0, false, false}, "", "")
	f("HTTP/1.1 503 Busy\nCONNECTION: Close\nContent-Length: 1\n\nx", head{503, 1, true, false}, "x", "")
	f("HTTP/1.1 200 OK\r\nX-Sluice-Attempts: 2\r\nContent-Length: 2\r\n\r\nok", head{200, 2, false, true}, "ok", "")
	f("HTTP/1.0 200 OK\r\n\r\nto the end", head{200, untilClose, true, false}, "to the end", "")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nnext",
		head{200, chunked, false, false}, "a0123456789", "next")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", head{200, chunked, false, false}, "", "")
}

func TestBadReplies(t *testing.T) {
	f := func(wire string, want error) {
		t.Helper()
		if _, _, _, err := parseReply(wire); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", wire, err, want)
		}
	}
	const ok, chunks = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	f("", io.EOF)
	f("SSH-2.0-OpenSSH\r\n", errStatus)
	f("HTTP/1.1 OK!\r\n\r\n", errStatus)
	f("HTTP/1.1 100 Continue\r\n\r\n", errStatus)
	f(ok+"Content-Length: 5", io.ErrUnexpectedEOF)
	f(ok+"Content-Length: -5\r\n\r\n", errLength)
	f(ok+"Content-Length: 5\r\n\r\nfour", io.ErrUnexpectedEOF)
	f(chunks+"5\r\nfour", io.ErrUnexpectedEOF)
	f(chunks+"4\r\nfour\r\n", io.ErrUnexpectedEOF)
	f(chunks+"4\r\nfour\r\n0\r\n", io.ErrUnexpectedEOF)
	f(chunks+"4\r\nfour!\r\n0\r\n\r\n", errChunk)
	f(chunks+"\r\n", errChunk)
	f(chunks+"-1\r\n", errChunk)
	f(chunks+"ffffffffffffffffff\r\n", errChunk)
}

// FuzzReply reads anything without a panic, and never more than there is.
func FuzzReply(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := bufio.NewReader(bytes.NewReader(wire))
		h, err := readHead(r)
		if err != nil {
			return
		}
		n := 0
		if err := readBody(r, h.length, func(piece []byte) { n += len(piece) }); err == nil && h.length >= 0 && int64(n) != h.length {
			t.Errorf("%d bytes of %d", n, h.length)
		}
		if n > len(wire) {
			t.Errorf("%d bytes out of %d", n, len(wire))
		}
	})
}
