package embed

import (
	"context"
	"math"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// BuiltinDim is the length of Builtin's vectors.
const BuiltinDim = 256

// Builtin is an Embedder that needs neither a network nor a download: hashed words, pairs of words and groups of
// letters, weighted by how rare they are. It is deterministic.
type Builtin struct{}

var _ Embedder = Builtin{}

// ID returns "builtin-" and a version.
func (Builtin) ID() string { return "builtin-1" }

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
	for i := range t.Tokens {
		k := &t.Tokens[i]
		h := uint64(14695981039346656037)
		for j := range len(k.Lemma) {
			h = (h ^ uint64(k.Lemma[j])) * 1099511628211
		}
		add(dst, h, k.Weight)
	}
	normalise(dst)
}

// add adds a feature: eight coordinates by its hash, with signs.
func add(dst []float32, h uint64, w float32) {
	for range 8 {
		h ^= h >> 31
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 29
		if h&256 == 0 {
			dst[h&(BuiltinDim-1)] += w
		} else {
			dst[h&(BuiltinDim-1)] -= w
		}
	}
}

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
