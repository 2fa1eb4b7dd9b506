package main

import (
	"math/rand/v2"
	"strings"

	"github.com/sluice-ai/sluice/plugins/cache/pairs"
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
