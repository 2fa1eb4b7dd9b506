package verify

import (
	"math"
	"math/bits"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

func ones(x uint64) int { return bits.OnesCount64(x) }

// sum adds words' vectors up.
type sum [48]float32

func (s *sum) add(k *text.Token) {
	for i, x := range text.Vector(k.Word) {
		s[i] += k.Weight * float32(x)
	}
}

func (s *sum) cosine(o *sum) float32 {
	var dot, n, m float64
	for i := range s {
		dot += float64(s[i]) * float64(o[i])
		n += float64(s[i]) * float64(s[i])
		m += float64(o[i]) * float64(o[i])
	}
	if n == 0 || m == 0 {
		return 0
	}
	return float32(dot / math.Sqrt(n*m))
}

// vectors returns the cosine of all words with meaning, and that of those without an equal: 1 if neither text has any,
// 0 if only one has.
func vectors(x, y *side) (all, rest float32) {
	var ax, ay, rx, ry sum
	n, m := x.sums(&ax, &rx), y.sums(&ay, &ry)
	switch {
	case n == 0 && m == 0:
		rest = 1
	case n > 0 && m > 0:
		rest = rx.cosine(&ry)
	}
	return ax.cosine(&ay), rest
}

func (s *side) sums(all, rest *sum) (n int) {
	for i := range s.tokens {
		k := &s.tokens[i]
		if k.Kind == text.Function || k.Kind == text.Number {
			continue
		}
		all.add(k)
		if s.links[i].How != text.Equal {
			rest.add(k)
			n++
		}
	}
	return n
}
