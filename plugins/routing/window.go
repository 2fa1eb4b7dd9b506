package routing

import (
	"cmp"
	"math"
	"slices"

	"github.com/sluice-ai/sluice/gateway"
)

// fitsAnywhere is a length in tokens, prompt and answer, that no model's window is too small for.
const fitsAnywhere = 4096

// fitting is a list that begins with the targets whose windows are, by the catalogue, large enough for the conversation. The
// others follow, the largest first: the length is an estimate.
func fitting(x *gateway.Exchange, targets []*gateway.Target) []*gateway.Target {
	if len(targets) < 2 || x.Request.Endpoint.Decode == nil {
		return targets
	}
	length := x.Request.PromptTokens() + x.Request.AnswerTokens()
	fits := func(t *gateway.Target) bool { return window(x, t) >= length }
	if length <= fitsAnywhere || !slices.ContainsFunc(targets, func(t *gateway.Target) bool { return !fits(t) }) {
		return targets
	}
	targets = slices.Clone(targets)
	slices.SortStableFunc(targets, func(a, b *gateway.Target) int {
		return cmp.Compare(min(window(x, b), length), min(window(x, a), length))
	})
	return targets
}

// window is how many tokens a target's model takes; very many if that is not known.
func window(x *gateway.Exchange, t *gateway.Target) int64 {
	if m := catalogued(x, t); m != nil && m.Context > 0 {
		return m.Context
	}
	return math.MaxInt64
}
