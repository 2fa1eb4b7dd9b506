package sse_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

func BenchmarkRead(b *testing.B) {
	f := func(name, stream string) {
		b.Run(name, func(b *testing.B) {
			buf := []byte(stream)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				block, n, _ := sse.Split(buf, 0)
				if _, ok := sse.Parse(block); n == 0 || !ok {
					b.Fatal("no event")
				}
			}
		})
	}
	data := strings.Repeat("x", 320)
	f("unnamed", "data: "+data+"\n\n")
	f("named", "event: content_block_delta\ndata: "+data+"\n\n")
}

func BenchmarkAppend(b *testing.B) {
	data := []byte(strings.Repeat("x", 320))
	var dst []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		dst = sse.Append(dst[:0], "", data)
	}
}
