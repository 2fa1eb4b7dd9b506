package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// encode writes the file that package text reads: counts, then the words in alphabetical order with the letters that
// they share with the one before left out, then what is known of each word in order of number, then the pairs, then
// the vectors; all compressed.
func encode(v *vocabulary, pairs []pair, vectors [][]int8) ([]byte, error) {
	var b table
	for _, n := range []int{len(v.words), len(pairs), len(vectors), dim} {
		b.number(n)
	}
	b.words(v)
	for _, w := range v.words {
		b = append(b, logarithm(w.freq))
	}
	for _, w := range v.words {
		b = append(b, w.pos)
	}
	for i, w := range v.words {
		b = binary.AppendVarint(b, int64(w.base-i))
	}
	for k := range 2 {
		for _, w := range v.words {
			b.number(w.over[k])
		}
	}
	b.pairs(pairs)
	for d := range dim {
		for _, r := range vectors {
			b = append(b, byte(r[d])) //nolint:gosec // two's complement
		}
	}
	return deflate(b)
}

type table []byte

func (b *table) number(n int) { *b = binary.AppendUvarint(*b, uint64(n)) } //nolint:gosec // never negative

// words writes the words in alphabetical order, and then their numbers.
func (b *table) words(v *vocabulary) {
	order := make([]int, len(v.words))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.words[i].text, v.words[j].text) })
	last := ""
	for _, i := range order {
		s := v.words[i].text
		n := 0
		for n < len(last) && n < len(s) && s[n] == last[n] {
			n++
		}
		*b = append(*b, byte(n), byte(len(s)-n)) //nolint:gosec // shorter than 24
		*b = append(*b, s[n:]...)
		last = s
	}
	for _, i := range order {
		*b = append(*b, byte(i), byte(i>>8), byte(i>>16)) //nolint:gosec // fewer than 1<<24 words
	}
}

func (b *table) pairs(pairs []pair) {
	a, at := 0, 0
	for _, p := range pairs {
		if p.a != a {
			at = 0
		}
		b.number(p.a - a)
		b.number(p.b - at)
		a, at = p.a, p.b
	}
	for _, p := range pairs {
		*b = append(*b, p.kind)
	}
	for _, p := range pairs {
		*b = append(*b, p.strength)
	}
}

func deflate(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// logarithm packs a frequency into a byte: 16 steps for each doubling.
func logarithm(f float64) byte {
	return byte(min(math.Log2(f+1)*16, 255))
}
