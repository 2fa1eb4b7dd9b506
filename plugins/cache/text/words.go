package text

import (
	"bytes"
	"cmp"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./tables -moby words.txt -o words.bin

//go:embed words.bin
var packed []byte

//go:embed synonyms.txt
var synonyms string

// vectorDim is the length of a word's vector.
const vectorDim = 48

// Relation says how two words are related.
type Relation uint8

// The relations, as the program in tables numbers them. Alike and Opposite are written by hand in synonyms.txt.
const (
	Synonym  Relation = iota // share a meaning
	Derived                  // one is made of the other: "govern" and "government"
	Antonym                  // opposites
	Broader                  // one is a kind of the other
	Related                  // stand together in a thesaurus, or one meaning is near the other
	Alike                    // mean the same wherever people ask
	Opposite                 // never mean the same, though a dictionary may say so: "today" and "tomorrow"
)

// vocabulary is the unpacked table. Words are known by number, the most frequent one first; a Word is one more.
type vocabulary struct {
	letters string
	start   []uint32 // where a word stands in letters
	length  []uint8
	index   []uint32 // hash table of Words with linear probing
	weight  []float32
	pos     []uint8 // part of speech<<4, and 1 for a proper name
	base    []uint32
	over    [2][]uint32
	first   []uint32 // of each word, where its neighbours start in other
	other   []uint32 // sorted
	what    []uint8  // relation<<4 | strength
	vectors []int8
}

var words = sync.OnceValue(func() *vocabulary { //nolint:gochecknoglobals // unpacked once
	v, err := unpack(packed, synonyms)
	if err != nil {
		panic("text: the embedded vocabulary is broken: " + err.Error()) // cannot happen: a test reads it
	}
	return v
})

// reader takes numbers off the unpacked table.
type reader struct{ b []byte }

func (r *reader) uvarint() int {
	x, n := binary.Uvarint(r.b)
	r.b = r.b[max(n, 0):]
	return int(x) //nolint:gosec // tables are small
}

func (r *reader) varint() int {
	x, n := binary.Varint(r.b)
	r.b = r.b[max(n, 0):]
	return int(x)
}

func (r *reader) take(n int) []byte {
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func unpack(packed []byte, byHand string) (*vocabulary, error) {
	b, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, err
	}
	r := &reader{b}
	n, pairs, vectors := r.uvarint(), r.uvarint(), r.uvarint()
	if d := r.uvarint(); d != vectorDim {
		return nil, io.ErrUnexpectedEOF
	}
	v := &vocabulary{
		start:  make([]uint32, n),
		length: make([]uint8, n),
		index:  make([]uint32, 1<<18),
		weight: make([]float32, n),
		base:   make([]uint32, n),
	}
	v.readWords(r, n)
	for i, f := range r.take(n) {
		v.weight[i] = rarity(f)
	}
	v.pos = slices.Clone(r.take(n))
	for i := range v.base {
		v.base[i] = uint32(i + r.varint()) //nolint:gosec // within n
	}
	for k := range v.over {
		v.over[k] = make([]uint32, n)
		for i := range v.over[k] {
			v.over[k][i] = uint32(r.uvarint()) //nolint:gosec // within the number of synsets
		}
	}
	links := v.readLinks(r, pairs)
	v.vectors = make([]int8, vectors*vectorDim)
	for d := range vectorDim {
		for i, x := range r.take(vectors) {
			v.vectors[i*vectorDim+d] = int8(x) //nolint:gosec // was one
		}
	}
	v.link(merge(links, v.byHand(byHand)))
	return v, nil
}

func (v *vocabulary) readWords(r *reader, n int) {
	var letters strings.Builder
	starts := make([]uint32, n+1) // in alphabetical order
	var s []byte
	for i := range n {
		shared, rest := int(r.b[0]), int(r.b[1])
		r.take(2)
		s = append(s[:shared], r.take(rest)...)
		letters.Write(s)
		starts[i+1] = uint32(letters.Len()) //nolint:gosec // a megabyte
	}
	v.letters = letters.String()
	for k := range n {
		b := r.take(3)
		i := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		v.start[i], v.length[i] = starts[k], uint8(starts[k+1]-starts[k]) //nolint:gosec // short
	}
	for i := range n {
		v.insert(Word(i + 1))
	}
}

// A link is a pair of numbers of words, the smaller one first, and how they are related.
type link struct {
	a, b uint32
	what uint8
}

func (l link) compare(o link) int { return cmp.Or(cmp.Compare(l.a, o.a), cmp.Compare(l.b, o.b)) }

func (v *vocabulary) readLinks(r *reader, n int) []link {
	links := make([]link, n)
	a, at := 0, 0
	for i := range links {
		if d := r.uvarint(); d != 0 {
			a, at = a+d, 0
		}
		at += r.uvarint()
		links[i] = link{a: uint32(a), b: uint32(at)} //nolint:gosec // within n
	}
	for i, k := range r.take(n) {
		links[i].what = k << 4
	}
	for i, s := range r.take(n) {
		links[i].what |= s
	}
	return links
}

// merge puts two sorted lists together.
func merge(x, y []link) []link {
	out := make([]link, 0, len(x)+len(y))
	for len(x) > 0 && len(y) > 0 {
		if x[0].compare(y[0]) <= 0 {
			out, x = append(out, x[0]), x[1:]
		} else {
			out, y = append(out, y[0]), y[1:]
		}
	}
	return append(append(out, x...), y...)
}

// link builds the lists of neighbours of sorted links. They come out sorted: first those with smaller numbers, in
// order, and then those with larger ones.
func (v *vocabulary) link(links []link) {
	v.first = make([]uint32, len(v.start)+1)
	for _, l := range links {
		v.first[l.a+1]++
		v.first[l.b+1]++
	}
	for i := range len(v.start) {
		v.first[i+1] += v.first[i]
	}
	v.other = make([]uint32, 2*len(links))
	v.what = make([]uint8, 2*len(links))
	next := slices.Clone(v.first)
	for _, l := range links {
		v.other[next[l.b]], v.what[next[l.b]] = l.a, l.what
		next[l.b]++
	}
	for _, l := range links {
		v.other[next[l.a]], v.what[next[l.a]] = l.b, l.what
		next[l.a]++
	}
}

// byHand reads synonyms.txt: "a, b, c" mean the same, "a | b | c" never do. Words that are not there yet are added.
func (v *vocabulary) byHand(s string) []link {
	var unknown []string
	for group := range groups(s) {
		for _, w := range group {
			if v.lemma(w) == 0 {
				unknown = append(unknown, w)
			}
		}
	}
	v.extend(unknown)
	var links []link
	for group, kind := range groups(s) {
		for i, a := range group {
			for _, b := range group[i+1:] {
				if x, y := uint32(v.lemma(a)-1), uint32(v.lemma(b)-1); x != y {
					links = append(links, link{min(x, y), max(x, y), uint8(kind)<<4 | 15})
				}
			}
		}
	}
	slices.SortFunc(links, link.compare)
	return links
}

// groups are the lines of synonyms.txt.
func groups(s string) iter.Seq2[[]string, Relation] {
	return func(yield func([]string, Relation) bool) {
		for line := range strings.Lines(s) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			group, kind := strings.Split(line, ", "), Alike
			if strings.Contains(line, "|") {
				group, kind = strings.Split(line, " | "), Opposite
			}
			if !yield(group, kind) {
				return
			}
		}
	}
}

// extend adds words, each of which may be there several times.
func (v *vocabulary) extend(unknown []string) {
	slices.Sort(unknown)
	unknown = slices.Compact(unknown)
	at := len(v.letters)
	v.letters += strings.Join(unknown, "")
	for _, s := range unknown {
		i := len(v.start)
		v.start = append(v.start, uint32(at))      //nolint:gosec // small
		v.length = append(v.length, uint8(len(s))) //nolint:gosec // short
		v.weight = append(v.weight, .85)
		v.pos = append(v.pos, Noun<<4)
		v.base = append(v.base, uint32(i)) //nolint:gosec // small
		for k := range v.over {
			v.over[k] = append(v.over[k], 0)
		}
		v.insert(Word(i + 1)) //nolint:gosec // small
		at += len(s)
	}
}

func (v *vocabulary) text(w Word) string {
	i := w - 1
	return v.letters[v.start[i] : v.start[i]+uint32(v.length[i])]
}

func (v *vocabulary) insert(w Word) {
	h := hash(v.text(w))
	for ; v.index[h&uint32(len(v.index)-1)] != 0; h++ { //nolint:gosec // a power of two
	}
	v.index[h&uint32(len(v.index)-1)] = uint32(w) //nolint:gosec // a power of two
}

// find returns the Word that is spelled s, or 0.
func (v *vocabulary) find(s string) Word {
	for h := hash(s); ; h++ {
		w := Word(v.index[h&uint32(len(v.index)-1)]) //nolint:gosec // a power of two
		if w == 0 || v.text(w) == s {
			return w
		}
	}
}

// lemma returns the base form of a word, or 0 if the vocabulary has none.
func (v *vocabulary) lemma(s string) Word {
	if w := v.find(s); w != 0 {
		return Word(v.base[w-1] + 1)
	}
	var buf [32]byte
	if len(s) < 4 || len(s) > len(buf)-2 {
		return 0
	}
	for i := 0; i < len(endings); i += 2 {
		stem, ok := strings.CutSuffix(s, endings[i])
		if !ok || len(stem) < 2 {
			continue
		}
		b := append(append(buf[:0], stem...), endings[i+1]...)
		if w := v.find(string(b)); w != 0 {
			return Word(v.base[w-1] + 1)
		}
		if n := len(stem); n > 2 && stem[n-1] == stem[n-2] && endings[i][0] != 's' {
			if w := v.find(stem[:n-1]); w != 0 { // stopped, running
				return Word(v.base[w-1] + 1)
			}
		}
	}
	return 0
}

// endings of regular forms, and what the base form has instead (morphy(7)).
var endings = [...]string{
	"ies", "y", "s", "", "es", "", "ves", "f", "ied", "y", "ed", "", "ed", "e", "ing", "", "ing", "e", "er", "", "er", "e",
	"est", "", "est", "e", "ier", "y", "iest", "y", "ly", "",
}

func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h ^ h>>15
}

// rarity maps the logarithm of a frequency to a weight: from .25 for the most frequent words to 1 for words that are
// hardly ever used.
func rarity(log byte) float32 {
	return float32(1 - .75*math.Pow(float64(log)/255, 1.3))
}

// Relate returns the relation of two base forms and its strength from 0 to 1, which is 0 if there is none. If there
// are several, those written by hand win, then antonyms, then the strongest.
func Relate(a, b Word) (Relation, float32) {
	if a == 0 || b == 0 {
		return 0, 0
	}
	v := words()
	i, end := v.first[a-1], v.first[a]
	at, ok := slices.BinarySearch(v.other[i:end], uint32(b)-1)
	if !ok {
		return 0, 0
	}
	var kind Relation
	var strength float32
	best := -1
	for j := int(i) + at; j < int(end) && v.other[j] == uint32(b)-1; j++ {
		k := Relation(v.what[j] >> 4)
		rank := int(v.what[j] & 15)
		switch k {
		case Alike, Opposite:
			rank += 100
		case Antonym:
			rank += 50
		}
		if rank > best {
			best, kind, strength = rank, k, float32(v.what[j]&15)/15
		}
	}
	return kind, strength
}

// Genus numbers what a word is a kind of in its most frequent meaning; 0 is nothing that is known.
func Genus(w Word) uint32 {
	if w == 0 {
		return 0
	}
	return words().over[0][w-1]
}

// Near returns the cosine of two words' vectors, which is 0 for words without one.
func Near(a, b Word) float32 {
	x, y := Vector(a), Vector(b)
	if x == nil || y == nil {
		return 0
	}
	var dot int32
	for i := range x {
		dot += int32(x[i]) * int32(y[i])
	}
	return float32(dot) / (127 * 127)
}

// Vector returns the vector of a word, of length about 127 or 0, or nil. It must not be changed.
func Vector(w Word) []int8 {
	v := words()
	if w == 0 || int(w)*vectorDim > len(v.vectors) {
		return nil
	}
	return v.vectors[(int(w)-1)*vectorDim : int(w)*vectorDim]
}

// The parts of speech that a word can be.
const (
	Noun = 1 << iota
	Verb
	Adjective
	Adverb
)

// Part returns the part of speech that a word is most often, or 0.
func Part(w Word) int {
	if w == 0 {
		return 0
	}
	return int(words().pos[w-1] >> 4)
}

// proper says that a word is mostly written with a capital.
func proper(w Word) bool { return w != 0 && words().pos[w-1]&1 != 0 }
