package main

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

// How the weights of differences are learnt.
const (
	parts  = 3  // models whose trees do not know what they say something about
	passes = 8  // over all samples
	speed  = .1 // of the first step
	pull   = 8. // to zero
)

// apart returns what trees say of each sample that have not been grown on its group. Weights must not be learnt from
// what the trees have learnt by heart already.
func apart(s []sample, trees int) []float64 {
	out := make([]float64, len(s))
	for k := range parts {
		var rest []sample
		for i := range s {
			if fold(s[i].pair.Group, parts) != k {
				rest = append(rest, s[i])
			}
		}
		m := boost(rest, trees)
		for i := range s {
			if fold(s[i].pair.Group, parts) == k {
				out[i] = m.Grown(&s[i].e.Features)
			}
		}
	}
	return out
}

// fold puts a group into one of n parts.
func fold(group string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(group + "/fold")) // never fails
	return int(h.Sum32()>>5) % n
}

// weigh learns what each difference adds to the log odds that the trees begin with: a logistic regression by gradient
// descent with steps of its own for each weight (Duchi 2011).
func weigh(m *verify.Model, s []sample, begin []float64) {
	w := make([]float64, verify.DifferenceKinds)
	steps := make([]float64, len(w)) // sums of squares
	seen := make([]float64, len(w))
	for i := range s {
		for _, d := range s[i].e.Differences.All() {
			seen[d] += s[i].weight
		}
	}
	order := rand.New(rand.NewPCG(13, 17)) //nolint:gosec // the same weights every time
	for range passes {
		for _, i := range order.Perm(len(s)) {
			x := begin[i]
			differ := s[i].e.Differences.All()
			for _, d := range differ {
				x += w[d]
			}
			y := 0.
			if s[i].pair.Same {
				y = 1
			}
			p := 1 / (1 + math.Exp(-x))
			for _, d := range differ {
				g := s[i].weight * (p - y + pull*w[d]/seen[d])
				steps[d] += g * g
				w[d] -= speed * g / math.Sqrt(1+steps[d])
			}
		}
	}
	var most float64
	for _, x := range w {
		most = max(most, math.Abs(x))
	}
	m.Unit = most / math.MaxInt8
	m.Weights = make([]int8, len(w))
	for i, x := range w {
		m.Weights[i] = int8(math.Round(x / m.Unit))
	}
}
