package routing

import (
	"math"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// usualAnswer is how long an answer is taken for, in tokens, if the request does not bound it.
const usualAnswer = 500

// price scores candidates by what the request will probably cost there: +Inf if that is not known.
func (d *draw) price(pool []candidate) {
	r := &d.x.Request
	usage := chat.Usage{Input: r.PromptTokens(), Provenance: chat.Estimated}
	answer := int64(0)
	if generates(r.Endpoint) {
		if answer = max(r.AnswerTokens(), 0); answer == 0 {
			answer = usualAnswer
		}
	}
	tier, at := chat.ServedTier([]byte(r.Member(`"service_tier"`))), time.Now()
	for i := range pool {
		c := &pool[i]
		m := catalogued(d.x, c.t)
		usage.Output = answer
		if m != nil && m.Output > 0 {
			usage.Output = min(answer, m.Output)
		}
		c.score = math.Inf(1)
		if cost := m.Cost(usage, tier, at); cost.Known {
			c.score = float64(cost.Picodollars)
		}
	}
}

// generates says whether the answer is charged by its length.
func generates(e *gateway.Endpoint) bool { return e.Decode != nil || e.Name == "completions" }

// catalogued is what the catalogue knows of a target's model; nil if nothing.
func catalogued(x *gateway.Exchange, t *gateway.Target) *catalog.Model {
	if t.Known != nil {
		return t.Known
	}
	return x.Directory.Known(t.Provider, x.ModelFor(t))
}
