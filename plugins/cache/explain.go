package cache

import (
	"fmt"

	"github.com/maypok86/otter/v2"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// mostExplained is how many decisions are remembered.
const mostExplained = 10_000

// explained is one decision.
type explained struct {
	gateway.CacheDecision
	tenant tenant.ID
	of     *kept  // the answer that was given; nil: none
	text   string // the question, where it was compared to others
}

// decisions are the last ones, by the ids of their exchanges.
type decisions struct {
	of *otter.Cache[string, *explained]
}

func newDecisions() (*decisions, error) {
	c, err := otter.New(&otter.Options[string, *explained]{MaximumSize: mostExplained})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &decisions{c}, nil
}

// note writes down what was decided; of is the answer that was given, nil if none was.
func (l *lookup) note(result, reason string, of *kept) {
	x := l.x
	e := &explained{tenant: x.Caller.Tenant.ID, of: of}
	e.Exchange, e.At, e.Result, e.Reason = x.ID, l.h.now().UTC(), result, reason
	if of != nil {
		e.Answer = of.ID
	}
	if d := l.decision; d != nil {
		e.compared(d)
	}
	l.h.decisions.of.Set(x.ID, e)
}

// compared adds how a question was compared to others.
func (e *explained) compared(d *semantic.Decision) {
	e.text, e.Score, e.Threshold = d.Question.Text, d.Hit.Score, d.Threshold
	if e.Reason == "" {
		e.Reason = d.Reason
	}
	for i := range d.Candidates {
		c := &d.Candidates[i]
		e.Candidates = append(e.Candidates, gateway.CacheCandidate{
			Answer: idOf(c.Answer), Cosine: float64(c.Cosine), Refused: c.Refused, Verified: c.Verified, Score: c.Score,
		})
	}
}

// idOf is how callers and operators write an answer's id.
func idOf(id uint64) string { return fmt.Sprintf("ans_%016x", id) }

var _ gateway.Cache = (*Plugin)(nil)

// decision is what is known of a tenant's exchange; nil if nothing is.
func (p *Plugin) decision(t tenant.ID, exchange string) *explained {
	if p.decisions == nil {
		return nil
	}
	if e, ok := p.decisions.of.GetIfPresent(exchange); ok && e.tenant == t {
		return e
	}
	return nil
}

// Explain implements gateway.Cache.
func (p *Plugin) Explain(t tenant.ID, exchange string) (gateway.CacheDecision, bool) {
	if e := p.decision(t, exchange); e != nil {
		return e.CacheDecision, true
	}
	return gateway.CacheDecision{}, false
}

// Reject implements gateway.Cache. An answer to the very question is taken out.
func (p *Plugin) Reject(t tenant.ID, exchange string) bool {
	e := p.decision(t, exchange)
	if e == nil || e.of == nil {
		return false
	}
	if e.Result == "semantic" {
		p.meaning.Reject(e.text, e.of.id)
		return true
	}
	return p.Purge(gateway.CachePurge{Tenant: t, ID: e.of.ID}) > 0
}
