package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

// How the trees are grown.
const (
	rate      = .06 // how much of a tree counts
	ridge     = 8.  // pulls leaves to zero
	leastHess = 12. // of a leaf
	bins      = 48  // thresholds that are tried for a feature
	rows      = .7  // share of the samples that a tree sees
	columns   = .6  // share of the features
	depth     = 4
)

// grower grows trees with monotone leaves: where a feature speaks for one answer, the side above a threshold gets no
// less than the side below.
type grower struct {
	s          []sample
	bin        [][]uint8 // by feature, then sample
	cuts       [][]float32
	grad, hess []float64
	features   []int // that the tree may ask for
	rnd        *rand.Rand
}

// boost fits the log odds tree by tree (Friedman 2001; second order as in XGBoost, 2016).
func boost(s []sample, trees int) *verify.Model {
	g := &grower{s: s, grad: make([]float64, len(s)), hess: make([]float64, len(s)), rnd: rand.New(rand.NewPCG(7, 11))} //nolint:gosec // the same weights every time
	g.cut()
	m := &verify.Model{Scale: 1}
	var yes, all float64
	for i := range s {
		all += s[i].weight
		if s[i].pair.Same {
			yes += s[i].weight
		}
	}
	m.Bias = math.Log(yes / (all - yes))
	raw := make([]float64, len(s))
	for i := range raw {
		raw[i] = m.Bias
	}
	for range trees {
		for i := range s {
			p := 1 / (1 + math.Exp(-raw[i]))
			y := 0.
			if s[i].pair.Same {
				y = 1
			}
			g.grad[i], g.hess[i] = (p-y)*s[i].weight, p*(1-p)*s[i].weight
		}
		t := g.tree()
		m.Trees = append(m.Trees, t)
		one := verify.Model{Trees: []verify.Tree{t}}
		for i := range s {
			raw[i] += one.Grown(&s[i].e.Features)
		}
	}
	return m
}

// cut chooses thresholds at quantiles.
func (g *grower) cut() {
	g.cuts = make([][]float32, verify.FeatureCount)
	g.bin = make([][]uint8, verify.FeatureCount)
	for f := range g.cuts {
		vals := make([]float32, len(g.s))
		for i := range g.s {
			vals[i] = g.s[i].e.Features[f]
		}
		slices.Sort(vals)
		for b := 1; b < bins; b++ {
			v := vals[b*len(vals)/bins]
			if n := len(g.cuts[f]); v < vals[len(vals)-1] && (n == 0 || v > g.cuts[f][n-1]) {
				g.cuts[f] = append(g.cuts[f], v)
			}
		}
		g.bin[f] = make([]uint8, len(g.s))
		for i := range g.s {
			v := g.s[i].e.Features[f]
			g.bin[f][i] = uint8(sort.Search(len(g.cuts[f]), func(k int) bool { return g.cuts[f][k] >= v })) //nolint:gosec // below bins
		}
	}
}

func (g *grower) tree() verify.Tree {
	n := node{lo: math.Inf(-1), hi: math.Inf(1)}
	for i := range g.s {
		if g.rnd.Float64() < rows {
			n.in = append(n.in, i)
		}
	}
	g.features = g.features[:0]
	for f := range verify.FeatureCount {
		if g.rnd.Float64() < columns && len(g.cuts[f]) > 0 {
			g.features = append(g.features, f)
		}
	}
	var t verify.Tree
	for i := range t.Threshold {
		t.Threshold[i] = float32(math.Inf(1)) // ask nothing: always go left
	}
	g.grow(&t, n)
	return t
}

// A node is a place in a tree that is being grown.
type node struct {
	at, level  int
	in         []int   // the samples that come here
	lo, hi     float64 // between which the leaves below must be
	grad, hess float64
}

func (g *grower) grow(t *verify.Tree, n node) {
	n.grad, n.hess = 0, 0
	for _, i := range n.in {
		n.grad += g.grad[i]
		n.hess += g.hess[i]
	}
	if n.level == depth {
		t.Leaf[n.at-(1<<depth-1)] = float32(rate * n.value(n.grad, n.hess))
		return
	}
	left := node{at: 2*n.at + 1, level: n.level + 1, lo: n.lo, hi: n.hi}
	right := node{at: 2*n.at + 2, level: n.level + 1, lo: n.lo, hi: n.hi}
	q := g.best(&n)
	if q.feature < 0 {
		left.in = n.in // nothing to ask: all go left, down to one leaf
		g.grow(t, left)
		return
	}
	t.Feature[n.at], t.Threshold[n.at] = uint8(q.feature), g.cuts[q.feature][q.bin] //nolint:gosec // few features
	for _, i := range n.in {
		if int(g.bin[q.feature][i]) <= q.bin {
			left.in = append(left.in, i)
		} else {
			right.in = append(right.in, i)
		}
	}
	mid := (q.left + q.right) / 2
	switch verify.Sign(q.feature) {
	case 1:
		left.hi, right.lo = mid, mid
	case -1:
		left.lo, right.hi = mid, mid
	}
	g.grow(t, left)
	g.grow(t, right)
}

// value is what a leaf of samples with these sums says.
func (n *node) value(grad, hess float64) float64 {
	return min(max(-grad/(hess+ridge), n.lo), n.hi)
}

func gain(grad, hess, v float64) float64 { return -(2*grad*v + (hess+ridge)*v*v) }

// A split is a question: is a feature in a bin up to this one? On either side is the value that the samples would have.
type split struct {
	feature, bin int
	left, right  float64
}

// best finds the question that tells the most; its feature is -1 if none tells anything.
func (g *grower) best(n *node) split {
	q := split{feature: -1}
	most := 1e-3 + gain(n.grad, n.hess, n.value(n.grad, n.hess))
	for _, f := range g.features {
		var gs, hs [bins]float64
		for _, i := range n.in {
			b := g.bin[f][i]
			gs[b] += g.grad[i]
			hs[b] += g.hess[i]
		}
		var gl, hl float64
		for b := range g.cuts[f] {
			gl += gs[b]
			hl += hs[b]
			if hl < leastHess || n.hess-hl < leastHess {
				continue
			}
			l, r := n.value(gl, hl), n.value(n.grad-gl, n.hess-hl)
			if float64(verify.Sign(f))*(r-l) < 0 {
				continue
			}
			if x := gain(gl, hl, l) + gain(n.grad-gl, n.hess-hl, r); x > most {
				most, q = x, split{f, b, l, r}
			}
		}
	}
	return q
}

// calibrate fits scale and shift by Newton's method (Platt 1999).
func calibrate(m *verify.Model, s []sample) {
	a, b := 1., 0.
	for range 50 {
		var ga, gb, haa, hab, hbb float64
		for i := range s {
			x := m.Raw(&s[i].e)
			p := 1 / (1 + math.Exp(-(a*x + b)))
			y := 0.
			if s[i].pair.Same {
				y = 1
			}
			w := p * (1 - p)
			ga += (p - y) * x
			gb += p - y
			haa += w * x * x
			hab += w * x
			hbb += w
		}
		det := haa*hbb - hab*hab + 1e-9
		a -= (hbb*ga - hab*gb) / det
		b -= (haa*gb - hab*ga) / det
	}
	m.Scale, m.Shift = a, b
}
