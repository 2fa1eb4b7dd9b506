package routing

import (
	"math"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// price scores candidates by what the request will probably cost there: +Inf if that is not known.
func (d *draw) price(pool []candidate) {
	r := &d.x.Request
	usage := chat.Usage{Input: r.PromptTokens(), Provenance: chat.Estimated}
	answer := r.LikelyAnswer()
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

// catalogued is what the catalogue knows of a target's model; nil if nothing.
func catalogued(x *gateway.Exchange, t *gateway.Target) *catalog.Model {
	if t.Known != nil {
		return t.Known
	}
	return x.Directory.Known(t.Provider, x.ModelFor(t))
}
