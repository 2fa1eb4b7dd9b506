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
			raw[i] += one.Raw(&s[i].f)
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
			vals[i] = g.s[i].f[f]
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
			v := g.s[i].f[f]
			g.bin[f][i] = uint8(sort.Search(len(g.cuts[f]), func(k int) bool { return g.cuts[f][k] >= v })) //nolint:gosec // below bins
		}
	}
}

func (g *grower) tree() verify.Tree {
	var in []int
	for i := range g.s {
		if g.rnd.Float64() < rows {
			in = append(in, i)
		}
	}
	var features []int
	for f := range verify.FeatureCount {
		if g.rnd.Float64() < columns && len(g.cuts[f]) > 0 {
			features = append(features, f)
		}
	}
	var t verify.Tree
	for i := range t.Threshold {
		t.Threshold[i] = float32(math.Inf(1)) // ask nothing: always go left
	}
	g.grow(&t, 0, 0, in, features, math.Inf(-1), math.Inf(1))
	return t
}

func (g *grower) grow(t *verify.Tree, node, level int, in, features []int, lo, hi float64) {
	var sumG, sumH float64
	for _, i := range in {
		sumG += g.grad[i]
		sumH += g.hess[i]
	}
	if level == depth {
		t.Leaf[node-(1<<depth-1)] = float32(rate * value(sumG, sumH, lo, hi))
		return
	}
	f, b, left, right := g.best(in, features, sumG, sumH, lo, hi)
	if f < 0 {
		// Nothing to ask: everything goes left, down to one leaf.
		g.grow(t, 2*node+1, level+1, in, nil, lo, hi)
		return
	}
	t.Feature[node], t.Threshold[node] = uint8(f), g.cuts[f][b] //nolint:gosec // few features
	var below, above []int
	for _, i := range in {
		if int(g.bin[f][i]) <= b {
			below = append(below, i)
		} else {
			above = append(above, i)
		}
	}
	mid := (left + right) / 2
	loL, hiL, loR, hiR := lo, hi, lo, hi
	switch verify.Sign(f) {
	case 1:
		hiL, loR = mid, mid
	case -1:
		loL, hiR = mid, mid
	}
	g.grow(t, 2*node+1, level+1, below, features, loL, hiL)
	g.grow(t, 2*node+2, level+1, above, features, loR, hiR)
}

func value(sumG, sumH, lo, hi float64) float64 {
	return min(max(-sumG/(sumH+ridge), lo), hi)
}

func gain(sumG, sumH, v float64) float64 {
	return -(2*sumG*v + (sumH+ridge)*v*v)
}

// best finds the question that tells the most.
func (g *grower) best(in, features []int, sumG, sumH, lo, hi float64) (feature, bin int, left, right float64) {
	feature = -1
	most := 1e-3 + gain(sumG, sumH, value(sumG, sumH, lo, hi))
	for _, f := range features {
		var gs, hs [bins]float64
		for _, i := range in {
			b := g.bin[f][i]
			gs[b] += g.grad[i]
			hs[b] += g.hess[i]
		}
		var gl, hl float64
		for b := range g.cuts[f] {
			gl += gs[b]
			hl += hs[b]
			if hl < leastHess || sumH-hl < leastHess {
				continue
			}
			l, r := value(gl, hl, lo, hi), value(sumG-gl, sumH-hl, lo, hi)
			if s := verify.Sign(f); s != 0 && float64(s)*(r-l) < 0 {
				continue
			}
			if x := gain(gl, hl, l) + gain(sumG-gl, sumH-hl, r); x > most {
				most, feature, bin, left, right = x, f, b, l, r
			}
		}
	}
	return feature, bin, left, right
}

// calibrate fits scale and shift by Newton's method (Platt 1999).
func calibrate(m *verify.Model, s []sample) {
	a, b := 1., 0.
	for range 50 {
		var ga, gb, haa, hab, hbb float64
		for i := range s {
			x := m.Raw(&s[i].f)
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
