//go:build !race

package sse_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

func TestAllocations(t *testing.T) {
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	unnamed := []byte("data: {\"choices\":[]}\n\n")
	named := []byte("event: content_block_delta\r\ndata: {}\r\n\r\n")
	read := func(b []byte) {
		block, n, _ := sse.Split(b, 0)
		if ev, ok := sse.Parse(block); n == 0 || !ok || len(ev.Data) == 0 {
			t.Fatalf("not read: %q", b)
		}
	}
	dst := make([]byte, 0, 256)
	data := []byte(`{"choices":[]}`)
	f("unnamed", func() { read(unnamed) })
	f("named", func() { read(named) })
	f("several lines", func() { read(append(dst, "data: a\ndata: b\n\n"...)) })
	f("append", func() { dst = sse.Append(dst[:0], "message_stop", data) })
}
