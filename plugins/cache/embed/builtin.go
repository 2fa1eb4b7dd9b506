package embed

import (
	"context"
	"math"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// BuiltinDim is the length of Builtin's vectors.
const BuiltinDim = 256

// meaningDim is how many of the coordinates hold the sum of the words' own vectors, by which words that mean about the
// same come near each other. The others hold hashed words, neighbours and groups of letters.
const meaningDim = 48

// How much the parts weigh.
const (
	meaningWeight  = 1.2
	neighbourShare = .35
	lettersShare   = .3
)

// Builtin is an Embedder that needs neither a network nor a download: vectors of words, hashed words, neighbours and
// groups of letters, weighted by how rare they are. It is deterministic.
type Builtin struct{}

var _ Embedder = Builtin{}

// ID returns "builtin-" and a version.
func (Builtin) ID() string { return "builtin-2" }

// Dim returns BuiltinDim.
func (Builtin) Dim() int { return BuiltinDim }

// Embed implements Embedder. It does not fail.
func (b Builtin) Embed(_ context.Context, texts []string) ([][]float32, error) {
	flat := make([]float32, len(texts)*BuiltinDim)
	out := make([][]float32, len(texts))
	for i, s := range texts {
		out[i] = flat[i*BuiltinDim : (i+1)*BuiltinDim : (i+1)*BuiltinDim]
		b.EmbedText(text.Parse(s), out[i])
	}
	return out, nil
}

// EmbedText writes the vector of a parsed text to dst, which must have BuiltinDim elements. It does not allocate.
func (Builtin) EmbedText(t *text.Text, dst []float32) {
	clear(dst)
	meaning, hashed := dst[:meaningDim], dst[meaningDim:BuiltinDim]
	var last uint64
	for i := range t.Tokens {
		k := &t.Tokens[i]
		for d, x := range text.Vector(k.Word) {
			meaning[d] += k.Weight * float32(x)
		}
		h := hash(k.Lemma)
		if k.Kind == text.Number {
			h = number(t, i)
		}
		add(hashed, h, k.Weight)
		if k.Kind == text.Function {
			continue
		}
		if last != 0 {
			// Either order: "python list" and "list python" differ by little.
			add(hashed, (last^h)*0x9e3779b97f4a7c15, k.Weight*neighbourShare)
		}
		last = h
		letters(hashed, k)
	}
	normalise(meaning)
	normalise(hashed)
	for i := range meaning {
		meaning[i] *= meaningWeight
	}
	normalise(dst[:BuiltinDim])
}

// number hashes the value of a number in its base unit.
func number(t *text.Text, token int) uint64 {
	for _, q := range t.Quantities {
		if q.Token == token {
			return math.Float64bits(q.Value)*0x9e3779b97f4a7c15 ^ hash(q.Unit)
		}
	}
	return hash(t.Tokens[token].Lemma)
}

// letters adds groups of four letters of a word, which typos and other forms of it mostly share.
func letters(dst []float32, k *text.Token) {
	s := k.Lemma
	if len(s) < 4 || k.Kind == text.Number {
		return
	}
	groups := len(s) - 1
	w := k.Weight * lettersShare / float32(math.Sqrt(float64(groups)))
	h := uint32(' ')
	for i := range len(s) + 1 {
		c := uint32(' ')
		if i < len(s) {
			c = uint32(s[i])
		}
		if h = h<<8 | c; i >= 2 {
			add(dst, uint64(h)*0xff51afd7ed558ccd, w)
		}
	}
}

func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// add adds a feature: four coordinates by its hash, with signs.
func add(dst []float32, h uint64, w float32) {
	h ^= h >> 31
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 29
	n := uint64(len(dst))
	for range 4 {
		at := (h & 0x7fff) * n >> 15
		if h&0x8000 == 0 {
			dst[at] += w
		} else {
			dst[at] -= w
		}
		h >>= 16
	}
}

// normalise scales v to unit length; zeros stay zeros.
func normalise(v []float32) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return
	}
	inv := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= inv
	}
}
