package buf_test

import (
	"bytes"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/buf"
)

func TestCapacity(t *testing.T) {
	for _, n := range []int{0, 1, buf.Min, buf.Min + 1, 64 << 10, 16 << 20, 16<<20 + 1, 40 << 20} {
		p := buf.Get(n)
		if len(*p) != 0 || cap(*p) < n {
			t.Errorf("Get(%d): length %d, capacity %d", n, len(*p), cap(*p))
		}
		buf.Put(p)
	}
	buf.Put(nil)
}

func TestGrowKeepsContents(t *testing.T) {
	p := buf.Get(10)
	*p = append(*p, "contents"...)
	p = buf.Grow(p, 100_000)
	if string(*p) != "contents" || cap(*p) < 100_000 {
		t.Errorf("got %q with capacity %d", *p, cap(*p))
	}
}

// A buffer that append has grown is of no class: lending it again would break the promise of capacity.
func TestPutForgetsOddSizes(t *testing.T) {
	p := buf.Get(buf.Min)
	*p = append(*p, bytes.Repeat([]byte("x"), buf.Min+1)...)
	buf.Put(p)
	for range 100 {
		if q := buf.Get(buf.Min); cap(*q) != buf.Min {
			t.Fatalf("lent a buffer of capacity %d", cap(*q))
		}
	}
}
