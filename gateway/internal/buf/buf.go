// Package buf lends byte buffers by size class. It is the only pool in the program: structs that others may point to
// are never pooled.
//
// Whoever got a buffer owns it until Put. A buffer whose capacity is no longer that of a class (append grew it) is
// left to the garbage collector.
package buf

import "sync"

// Min is the capacity of the smallest class.
const Min = 1 << 10

// pool lends buffers of 1, 4, 16, 64, 256 KiB, 1, 4 and 16 MiB; larger ones are made and forgotten.
type pool struct{ classes [8]sync.Pool }

var buffers pool //nolint:gochecknoglobals // the process has one memory

func class(n int) int {
	c, size := 0, Min
	for size < n && c < len(buffers.classes) {
		size <<= 2
		c++
	}
	return c
}

// Get lends a buffer of length 0 with a capacity of at least n.
func Get(n int) *[]byte {
	c := class(n)
	if c == len(buffers.classes) {
		b := make([]byte, 0, n)
		return &b
	}
	if b, ok := buffers.classes[c].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, Min<<(2*c))
	return &b
}

// Put takes a buffer back; nobody may hold a slice of it any more. Put of nil does nothing.
func Put(p *[]byte) {
	if p == nil {
		return
	}
	if c := class(cap(*p)); c < len(buffers.classes) && cap(*p) == Min<<(2*c) {
		*p = (*p)[:0]
		buffers.classes[c].Put(p)
	}
}

// Grow exchanges p for a buffer with a capacity of at least n and the same contents.
func Grow(p *[]byte, n int) *[]byte {
	q := Get(n)
	*q = append((*q)[:0], *p...)
	Put(p)
	return q
}
