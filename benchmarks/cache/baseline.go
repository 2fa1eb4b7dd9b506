package main

import (
	"math"
	"math/rand/v2"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// nearest is a store that knows the nearest wording and nothing else: what both baselines stand on.
type nearest struct {
	arena   *index.Arena
	intents []string // of entry n+1
}

func newNearest() nearest { return nearest{arena: index.New(index.Config{MaxBytes: 1 << 30})} }

func (n *nearest) find(q string) (vector []float32, best index.Match, ok bool) {
	vector = make([]float32, embed.BuiltinDim)
	embed.Builtin{}.EmbedText(text.Parse(q), vector)
	found := n.arena.Search(index.Key{}, vector, 1, nil)
	if len(found) == 0 {
		return vector, best, false
	}
	return vector, found[0], true
}

func (n *nearest) store(q query, vector []float32) {
	n.intents = append(n.intents, q.intent)
	_, _ = n.arena.Put(index.Key{}, index.Entry{ID: uint64(len(n.intents))}, vector) // a text of nothing is asked again
}

func (n *nearest) intent(id uint64) string { return n.intents[id-1] }

// cosine serves whatever is near enough: what most gateways do.
type cosine struct {
	nearest
	threshold float32
}

func (c *cosine) ask(q query) string {
	vector, best, ok := c.find(q.text)
	if ok && best.Cosine >= c.threshold {
		return c.intent(best.ID)
	}
	c.store(q, vector)
	return ""
}

func (c *cosine) judgements() int { return 0 }

// perEntry is a policy after vCache (arXiv 2502.03771), from its formulas: every entry has a logistic curve of its own,
// from what was judged of it, and is served with the probability that keeps wrong answers below delta of all queries.
// Where a curve separates its few observations perfectly, which that paper handles by a table, a weak prior on the curve
// does it here.
type perEntry struct {
	nearest
	delta  float64
	rand   *rand.Rand
	seen   map[uint64][]observation
	curves map[uint64]curve
	judged int
}

type observation struct {
	s    float64
	same bool
}

// curve is P(same | s) = σ(slope·(s-middle)), with the variance of middle.
type curve struct{ slope, middle, variance float64 }

func newPerEntry(delta float64, seed uint64) *perEntry {
	return &perEntry{
		nearest: newNearest(), delta: delta,
		rand: rand.New(rand.NewPCG(seed, 79)), //nolint:gosec // an experiment, to be repeated
		seen: map[uint64][]observation{}, curves: map[uint64]curve{},
	}
}

func (p *perEntry) judgements() int { return p.judged }

func (p *perEntry) ask(q query) string {
	vector, best, ok := p.find(q.text)
	if !ok {
		p.store(q, vector)
		return ""
	}
	s := float64(best.Cosine)
	const fewest = 6
	if len(p.seen[best.ID]) >= fewest && p.rand.Float64() >= p.explore(p.curves[best.ID], s) {
		return p.intent(best.ID)
	}
	p.judged++
	same := p.intent(best.ID) == q.intent
	p.seen[best.ID] = append(p.seen[best.ID], observation{s, same})
	p.curves[best.ID] = fit(p.seen[best.ID])
	if !same {
		p.store(q, vector)
	}
	return ""
}

// explore is the least probability of asking upstream that keeps the bound, over fifty levels of confidence.
func (p *perEntry) explore(c curve, s float64) float64 {
	least := 1.0
	const levels = 50
	for i := 1; i < levels; i++ {
		e := float64(i) / levels
		middle := min(max(c.middle+quantile(1-e)*math.Sqrt(c.variance), 0), 1)
		right := (1 - e) / (1 + math.Exp(-c.slope*(s-middle)))
		least = min(least, 1-p.delta/(1-right))
	}
	return max(least, 0)
}

// quantile of the standard normal distribution.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// fit finds a + b·s by Newton's method, with a Gaussian prior of slope 10 ± 20 and middle somewhere in the upper half.
func fit(seen []observation) curve {
	a, b := -7.5, 10.0
	var xx [2][2]float64
	for range 25 {
		xx = [2][2]float64{{1. / 400, 0}, {0, 1. / 400}}
		ga, gb := -(a+7.5)/400, -(b-10)/400
		for _, o := range seen {
			p := 1 / (1 + math.Exp(-a-b*o.s))
			y := 0.
			if o.same {
				y = 1
			}
			ga += y - p
			gb += (y - p) * o.s
			w := p * (1 - p)
			xx[0][0] += w
			xx[0][1] += w * o.s
			xx[1][0] += w * o.s
			xx[1][1] += w * o.s * o.s
		}
		det := xx[0][0]*xx[1][1] - xx[0][1]*xx[1][0]
		a += (xx[1][1]*ga - xx[0][1]*gb) / det
		b += (xx[0][0]*gb - xx[1][0]*ga) / det
	}
	b = max(b, 0.1)
	det := xx[0][0]*xx[1][1] - xx[0][1]*xx[1][0]
	// The delta method for middle = -a/b.
	ga, gb := -1/b, a/(b*b)
	variance := (xx[1][1]*ga*ga - 2*xx[0][1]*ga*gb + xx[0][0]*gb*gb) / det
	return curve{slope: b, middle: -a / b, variance: variance}
}
