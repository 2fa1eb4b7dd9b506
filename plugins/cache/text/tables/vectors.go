package main

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// dim is the length of a word's vector.
const dim = 48

// A matrix of counts, by rows.
type matrix struct {
	rows [][]cell
}

type cell struct {
	col int
	val float64
}

// embed makes vectors of the most frequent words: what stands in a word's gloss, entry and neighbourhood, weighted by
// pointwise mutual information, and reduced to the directions that explain most.
func embed(n *net, moby map[string][]string, v *vocabulary) [][]int8 {
	m := contexts(n, moby, v)
	m.weigh()
	u := m.reduce(dim, 6)
	out := make([][]int8, v.vectors)
	for i := range out {
		out[i] = quantise(u[i])
	}
	return out
}

// frequent is how many of the most frequent words say nothing of their neighbours.
const frequent = 40

// counter counts how often words stand together.
type counter struct {
	v      *vocabulary
	counts []map[int]float64
}

func contexts(n *net, moby map[string][]string, v *vocabulary) *matrix {
	c := &counter{v: v, counts: make([]map[int]float64, v.vectors)}
	for i := range c.counts {
		c.counts[i] = make(map[int]float64)
	}
	for _, w := range slices.Sorted(maps.Keys(moby)) {
		a, list := c.find(w), moby[w]
		for _, s := range list {
			c.add(a, c.find(s), 40/(20+float64(len(list))))
		}
	}
	for _, w := range slices.Sorted(maps.Keys(n.senses)) {
		for _, s := range n.senses[w] {
			c.sense(n, w, s)
		}
	}
	return c.matrix()
}

// find returns the number of a word's base form, or -1.
func (c *counter) find(s string) int {
	i, ok := c.v.number[s]
	if !ok {
		return -1
	}
	if i = c.v.words[i].base; i >= c.v.vectors || i < frequent {
		return -1
	}
	return i
}

func (c *counter) add(a, b int, w float64) {
	if a >= 0 && b >= 0 && a != b {
		c.counts[a][b] += w
		c.counts[b][a] += w
	}
}

// sense adds the words of a meaning's gloss, those that share it, and those of meanings that it points to.
func (c *counter) sense(n *net, w string, s sense) {
	a := c.find(w)
	if a < 0 || s.share < .05 {
		return
	}
	set := n.synsets[s.id]
	for _, g := range letters(set.gloss) {
		c.add(a, c.find(g), s.share)
	}
	for _, o := range set.words {
		c.add(a, c.find(o), 3*s.share)
	}
	for _, p := range set.pointers {
		for _, o := range n.synsets[p.to].words {
			c.add(a, c.find(o), 1.5*s.share)
		}
	}
}

func (c *counter) matrix() *matrix {
	m := &matrix{rows: make([][]cell, len(c.counts))}
	for i, row := range c.counts {
		if i >= frequent && c.v.words[i].base == i {
			row[i] += 2
		}
		for _, j := range slices.Sorted(maps.Keys(row)) {
			m.rows[i] = append(m.rows[i], cell{j, row[j]})
		}
	}
	return m
}

// weigh turns counts into positive pointwise mutual information.
func (m *matrix) weigh() {
	sums := make([]float64, len(m.rows))
	var all, smooth float64
	for i, r := range m.rows {
		for _, c := range r {
			sums[i] += c.val
		}
		all += sums[i]
	}
	for _, s := range sums {
		smooth += math.Pow(s, .75)
	}
	for i, r := range m.rows {
		kept := r[:0]
		for _, c := range r {
			p := math.Log(c.val / sums[i] / (math.Pow(sums[c.col], .75) / smooth))
			if p > 0 {
				kept = append(kept, cell{c.col, p})
			}
		}
		m.rows[i] = kept
	}
}

// reduce finds the k leading directions by subspace iteration and returns the rows in them, each direction scaled by
// the root of its strength.
func (m *matrix) reduce(k, rounds int) [][]float64 {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same table every time
	q := make([][]float64, len(m.rows))
	for i := range q {
		q[i] = make([]float64, k)
		for j := range q[i] {
			q[i][j] = rnd.NormFloat64()
		}
	}
	orthonormal(q)
	for range rounds {
		q = m.times(q)
		orthonormal(q)
	}
	u := m.times(q)
	norms := make([]float64, k)
	for _, r := range u {
		for j, x := range r {
			norms[j] += x * x
		}
	}
	for _, r := range u {
		for j := range r {
			r[j] /= math.Pow(norms[j], .25)
		}
	}
	return u
}

func (m *matrix) times(q [][]float64) [][]float64 {
	out := make([][]float64, len(q))
	for i, r := range m.rows {
		o := make([]float64, len(q[0]))
		for _, c := range r {
			for j, x := range q[c.col] {
				o[j] += c.val * x
			}
		}
		out[i] = o
	}
	return out
}

// orthonormal makes the columns of q orthogonal and of unit length (modified Gram-Schmidt).
func orthonormal(q [][]float64) {
	for j := range q[0] {
		for l := range j {
			var dot float64
			for _, r := range q {
				dot += r[j] * r[l]
			}
			for _, r := range q {
				r[j] -= dot * r[l]
			}
		}
		var norm float64
		for _, r := range q {
			norm += r[j] * r[j]
		}
		norm = math.Sqrt(norm)
		for _, r := range q {
			r[j] /= norm
		}
	}
}

// quantise scales v to a length of 127 and rounds. A vector of zeros stays one.
func quantise(v []float64) []int8 {
	var norm float64
	for _, x := range v {
		norm += x * x
	}
	out := make([]int8, len(v))
	if norm == 0 {
		return out
	}
	norm = math.Sqrt(norm)
	for i, x := range v {
		out[i] = int8(math.Round(x / norm * 127))
	}
	return out
}
