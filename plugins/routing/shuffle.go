package routing

import (
	"math/rand/v2"

	"github.com/sluice-ai/sluice/gateway"
)

// shuffle draws an order at random by weight, without repetition: each place goes to one of those left, with a
// probability of its weight among theirs. What has no weight keeps its place at the end: it is only there for when all
// others have failed.
func shuffle(targets []*gateway.Target) {
	total := 0
	for _, t := range targets {
		total += max(t.Weight, 0)
	}
	for i := 0; i < len(targets)-1 && total > 0; i++ {
		j := i
		for r := rand.IntN(total); ; j++ { //nolint:gosec // no secret
			if r -= max(targets[j].Weight, 0); r < 0 {
				break
			}
		}
		drawn := targets[j]
		copy(targets[i+1:], targets[i:j])
		targets[i] = drawn
		total -= max(drawn.Weight, 0)
	}
}
