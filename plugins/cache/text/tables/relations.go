package main

import (
	"cmp"
	"math"
	"slices"
)

// The kinds of relations; package text has the same numbers.
const (
	synonym = iota
	derived
	antonym
	broader
	related
)

// A pair says how two words are related; strength is up to 15.
type pair struct {
	a, b     int // numbers of words, a < b
	kind     byte
	strength byte
}

// least is the strength below which a pair is left out, by kind.
var least = [...]float64{synonym: .1, derived: .25, antonym: .1, broader: .45, related: .3}

type relator struct {
	v     *vocabulary
	found map[[3]int]float64 // a, b and kind, to the strength from 0 to 1
}

func relations(n *net, moby map[string][]string, v *vocabulary) []pair {
	r := &relator{v: v, found: make(map[[3]int]float64)}
	r.net(n)
	r.moby(moby)
	for _, w := range v.words {
		for _, p := range parts {
			for _, b := range bases(n, p.pos, w.text) {
				r.add(w.text, b, derived, .5) // "building" and "build"
			}
		}
	}
	pairs := make([]pair, 0, len(r.found))
	for k, s := range r.found {
		if s >= least[k[2]] {
			pairs = append(pairs, pair{k[0], k[1], byte(k[2]), byte(math.Round(s * 15))}) //nolint:gosec // a kind
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b), cmp.Compare(x.kind, y.kind))
	})
	return pairs
}

func (r *relator) add(a, b string, kind int, strength float64) {
	i, ok1 := r.v.number[a]
	j, ok2 := r.v.number[b]
	if !ok1 || !ok2 {
		return
	}
	i, j = r.v.words[i].base, r.v.words[j].base
	if i == j {
		return
	}
	k := [3]int{min(i, j), max(i, j), kind}
	r.found[k] = max(r.found[k], min(strength, 1))
}

// net adds what WordNet says. Two words are the more synonymous, the larger the share of each one's uses that the
// common meaning has.
func (r *relator) net(n *net) {
	share := make(map[string]map[id]float64, len(n.senses))
	for w, ss := range n.senses {
		m := make(map[id]float64, len(ss))
		for _, s := range ss {
			m[s.id] = s.share
		}
		share[w] = m
	}
	for _, o := range n.order {
		s := n.synsets[o]
		for i, a := range s.words {
			for _, b := range s.words[i+1:] {
				r.add(a, b, synonym, math.Sqrt(share[a][o]*share[b][o]))
			}
		}
		for _, p := range s.pointers {
			r.pointer(n, o, p, share)
		}
	}
}

func (r *relator) pointer(n *net, o id, p pointer, share map[string]map[id]float64) {
	to := n.synsets[p.to]
	for i, a := range n.synsets[o].words {
		if p.from != 0 && p.from != i+1 {
			continue
		}
		for j, b := range to.words {
			if p.at != 0 && p.at != j+1 {
				continue
			}
			both := math.Sqrt(share[a][o] * share[b][p.to])
			switch p.symbol {
			case "!":
				r.add(a, b, antonym, max(both, .1))
			case "+", "\\", "<":
				r.add(a, b, derived, max(both, .5*stem(a, b)))
			case "&", "^", "$":
				r.add(a, b, related, .6*both)
			case "@", "@i", "*", ">":
				r.add(a, b, broader, both)
			}
		}
	}
}

// stem is the share of letters that two words begin with alike: forms of one word share most.
func stem(a, b string) float64 {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return float64(n) / float64(max(len(a), len(b)))
}

// moby adds words that list each other, by how much of their lists they share.
func (r *relator) moby(entries map[string][]string) {
	sets := make(map[string]map[string]bool, len(entries))
	for w, l := range entries {
		m := make(map[string]bool, len(l))
		for _, s := range l {
			m[s] = true
		}
		sets[w] = m
	}
	for a, list := range entries {
		for _, b := range list {
			if a < b && sets[b][a] {
				if j := jaccard(sets[a], sets[b]); j > .12 {
					r.add(a, b, related, 1.6*j)
				}
			}
		}
	}
}

func jaccard(a, b map[string]bool) float64 {
	if len(a) > len(b) {
		a, b = b, a
	}
	common := 0
	for s := range a {
		if b[s] {
			common++
		}
	}
	return float64(common) / float64(len(a)+len(b)-common)
}
