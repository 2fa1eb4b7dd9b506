package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/pairs"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// edits makes pairs of the questions that are there: a typo, filler or another frame leaves a question the same.
func edits(ps []pairs.Pair) []pairs.Pair {
	rnd := rand.New(rand.NewPCG(3, 5)) //nolint:gosec // the same pairs every time
	var out []pairs.Pair
	seen := make(map[string]bool)
	for _, p := range ps {
		if seen[p.A] {
			continue
		}
		seen[p.A] = true
		out = append(out, pairs.Pair{A: p.A, B: typed(rnd, p.A), Same: true, Group: p.Group, Topic: "edit"})
	}
	return out
}

// typed writes s as people type: in lower case, perhaps without the question mark, with a typo in a longer word.
func typed(rnd *rand.Rand, s string) string {
	if rnd.IntN(2) == 0 {
		s = strings.ToLower(s)
	}
	if rnd.IntN(2) == 0 {
		s = strings.TrimSuffix(s, "?")
	}
	words := strings.Fields(s)
	for range 1 + rnd.IntN(2) {
		i := rnd.IntN(len(words))
		w := []byte(words[i])
		if len(w) < 6 || strings.ContainsAny(words[i], "0123456789") {
			continue
		}
		k := 1 + rnd.IntN(len(w)-3)
		switch rnd.IntN(3) {
		case 0:
			w[k], w[k+1] = w[k+1], w[k]
		case 1:
			w = append(w[:k], w[k+1:]...)
		case 2:
			w = append(w[:k+1], w[k:]...)
		}
		words[i] = string(w)
	}
	return strings.Join(words, " ")
}

// question is a sentence of the corpus with its vector.
type question struct {
	text, group string
	vector      []float32
}

// strangers puts every head together with the questions of other groups that are nearest to it: most questions that a
// cache compares are less alike than those that were written to be confused.
func strangers(ps []pairs.Pair, each int) []pairs.Pair {
	all := questions(ps)
	var out []pairs.Pair
	for _, q := range all {
		if q.text != q.group {
			continue
		}
		for _, o := range nearest(q, all, each) {
			out = append(out, pairs.Pair{A: q.text, B: o.text, Group: q.group, Topic: "stranger"})
		}
	}
	return out
}

func questions(ps []pairs.Pair) []question {
	var all []question
	seen := make(map[string]bool)
	for _, p := range ps {
		for _, s := range []string{p.A, p.B} {
			if !seen[s] {
				seen[s] = true
				v := make([]float32, embed.BuiltinDim)
				embed.Builtin{}.EmbedText(text.Parse(s), v)
				all = append(all, question{s, p.Group, v})
			}
		}
	}
	return all
}

// nearest returns the questions of other groups with the highest cosine, but none that is all but equal: it may have
// the same answer.
func nearest(q question, all []question, n int) []question {
	type found struct {
		question
		cosine float32
	}
	var near []found
	for _, o := range all {
		if o.group == q.group {
			continue
		}
		if c := dot(q.vector, o.vector); c > .3 && c < .97 {
			near = append(near, found{o, c})
		}
	}
	slices.SortStableFunc(near, func(a, b found) int { return cmp.Compare(b.cosine, a.cosine) })
	var out []question
	for _, f := range near[:min(n, len(near))] {
		out = append(out, f.question)
	}
	return out
}

func dot(x, y []float32) float32 {
	var sum float32
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}
