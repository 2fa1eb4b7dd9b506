package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestLook(t *testing.T) {
	f := func(line string, want sight, number int64) {
		t.Helper()
		if got, n := look([]byte(line)); got != want || n != number {
			t.Errorf("%s: got %d, %d, want %d, %d", line, got, n, want, number)
		}
	}
	f("", nothing, 0)
	f(": heartbeat", nothing, 0)
	f("event: message", nothing, 0)
	f(`{"content":"t1700000000000000001"}`, nothing, 0)
	f(`data: {"choices":[{"delta":{"role":"assistant","content":"f0000000000000020311"}}]}`, first, 20311)
	f(`data:{"choices":[{"delta":{"content":"t1700000000000000001"}}]}`, content, 1700000000000000001)
	f(`data: {"choices":[{"delta":{"content":"t170000000000000000"}}]}`, other, 0) // 18 digits
	f(`data: {"choices":[{"delta":{"content":"t17000000000000000x0"}}]}`, other, 0)
	f(`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}`, other, 0)
	f(`data: {"choices":[],"usage":{"total_tokens":83}}`, usage, 0)
	f("data: [DONE]", done, 0)
	f("data:[DONE] ", done, 0)
	f(`data: {"content":"[DONE]"}`, other, 0)
}

// cutLines writes text in pieces of the given size and returns the lines.
func cutLines(text []byte, size int) []string {
	var (
		l    lines
		seen []string
	)
	for len(text) > 0 {
		n := min(size, len(text))
		piece := bytes.Clone(text[:n])
		l.write(piece, func(line []byte) { seen = append(seen, string(line)) })
		clear(piece) // a piece is gone after the call
		text = text[n:]
	}
	return seen
}

// FuzzLines holds the splitter to the plain definition, whatever the size of the pieces.
func FuzzLines(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: b\r\n\r\nrest"), 1)
	f.Add([]byte("\n\n\r\r\n"), 2)
	f.Add([]byte("a\nb"), 100)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		size = max(1, size)
		want := strings.Split(string(text), "\n")
		want = want[:len(want)-1]
		got := cutLines(text, size)
		if len(got) != len(want) {
			t.Fatalf("%d lines, want %d", len(got), len(want))
		}
		for i := range want {
			if w := strings.TrimSuffix(want[i], "\r"); got[i] != w {
				t.Fatalf("line %d: got %q, want %q", i, got[i], w)
			}
		}
	})
}
