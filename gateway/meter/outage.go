package meter

import (
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Outage is what holds while the pool cannot be asked and what the node has in hand does not do.
type Outage uint8

// What to do without the pool. A share is what each node may have if all have the same: of a rate and of places limit/nodes, of
// money what was left, divided by the nodes, once. With shares of money a budget may be exceeded if some nodes reach
// the pool and others do not.
const (
	ShareRates Outage = iota // share requests, tokens and places; deny money
	Deny                     // refuse all as Unavailable
	Share                    // share all
)

func (o Outage) shares(k Kind) bool { return o == Share || o == ShareRates && k != Money }

// without decides when the pool is of no help.
func (t *Tenant) without(claims []claim, how Outage) (Refusal, bool) {
	now, nodes := clock.Now(), int64(t.meters.o.Pool.Nodes())
	for _, c := range claims {
		if how.shares(c.a.id.Kind) {
			c.a.share(now, nodes)
		}
	}
	c := missing(claims)
	if c == nil {
		t.use(now, claims)
		return Refusal{}, true
	}
	if !how.shares(c.a.id.Kind) || c.a.id.Kind == Money {
		return c.refusal(Refusal{What: Unavailable, After: time.Second}), false
	}
	r := c.refusal(Refusal{What: c.a.id.Kind, After: time.Second})
	if c.a.id.Kind.Rate() {
		r.After = wait(c.n-c.a.hand(), part(c.a.limit, nodes))
	}
	return r, false
}

// part is what each node gets of a limit, and one at least.
func part(limit, nodes int64) int64 { return max(limit/nodes, 1) }

// share gives the account this node's part, without the pool. It is believed later that this was granted.
func (a *account) share(now clock.Instant, nodes int64) {
	most := part(a.limit, nodes)
	switch {
	case a.id.Kind == Money:
		if !a.shared && a.asOf != 0 {
			a.has, a.shared = plus(a.has, max(a.free, 0)/nodes), true
		}
	case a.id.Kind == Concurrent:
		a.has = max(a.has, most)
	default:
		switch {
		case a.flow.at == 0 && a.asOf == 0:
			a.flow = bucket{at: now, level: most}
		case a.flow.at == 0, a.asOf != 0 && a.asOf > a.flow.at:
			a.flow = bucket{at: a.asOf}
		}
		a.flow.fill(now, most, most)
		if more := min(a.flow.level, most-a.hand()); more > 0 {
			a.has, a.flow.level = plus(a.has, more), a.flow.level-more
		}
	}
}
