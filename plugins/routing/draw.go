package routing

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
)

// candidate is a target whose turn is not decided yet.
type candidate struct {
	t      *gateway.Target
	health *health.Target // nil: nothing is known
	class  class
	weight float64
	place  float64 // in the draw, least first; +Inf without weight
	score  float64 // least first: what the strategy expects, before the draw decides

	running, late, silent float64 // for least_latency, see load
}

// class goes before everything else.
type class uint8

const (
	due     class = iota // may be tried again after it was ill; least_latency alone tells it apart, and would never choose it
	well                 // may be used
	suspect              // may be used, but has failed of late; likewise
	other                // may be used, but so may another key of the same provider, which was drawn; likewise
	barred               // must not be asked now
)

// draw decides about the order of one model's targets for one exchange.
type draw struct {
	p        *Plugin
	x        *gateway.Exchange
	strategy gateway.Strategy
	session  uint64
	bound    bool // the exchange belongs to the session, which stays where it is
}

// weigh draws among the targets of one step, which share their weight by what is left of their rate limits, and have less
// of it while they recover. Each place of the draw goes to one of those left, with a probability of its weight among theirs:
// the least of exponentially distributed numbers, divided by the weights, does that. For a session the number is a hash, so
// that it finds the same order each time, and the loss of a target moves only its own sessions (weighted rendezvous hashing).
// Of rate limits sessions know nothing: what is left changes with each reply, and each change would move some of them.
func (d *draw) weigh(step []candidate) {
	if len(step) == 1 && d.strategy == gateway.Ordered {
		return
	}
	now := d.x.Start
	whole, rest := 0.0, 0.0
	for i := range step {
		c := &step[i]
		c.health = healthOf(d.x, c.t)
		c.class = well
		if c.health.Wait(now) > 0 {
			c.class = barred
		}
		c.weight = float64(max(c.t.Weight, 0))
		whole += c.weight
		if len(step) > 1 && !d.bound {
			c.weight *= left(c.health.Limits(), now)
		}
		rest += c.weight
	}
	for i := range step {
		c := &step[i]
		if rest > 0 {
			c.weight *= whole / rest
		}
		c.weight *= c.health.Share(now)
		if c.place = math.Inf(1); c.weight > 0 {
			c.place = d.number(c.t) / c.weight
		}
	}
	if d.strategy == gateway.LeastLatency && !d.bound {
		tellApart(step, now)
	}
}

// number is exponentially distributed.
func (d *draw) number(t *gateway.Target) float64 {
	if d.bound {
		return -math.Log(uniform(d.session ^ hash(t.Provider, t.Key, t.Model)))
	}
	return rand.ExpFloat64() //nolint:gosec // no secret
}

// order puts candidates into the order in which they are tried.
func (d *draw) order(pool []candidate) {
	if len(pool) < 2 {
		return
	}
	switch {
	case d.strategy == gateway.LeastLatency && !d.bound:
		d.byLatency(pool)
		return
	case d.strategy == gateway.LeastCost:
		d.price(pool)
	}
	slices.SortStableFunc(pool, byScore)
}

func byScore(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.score, b.score), cmp.Compare(a.place, b.place))
}

func byPlace(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.place, b.place))
}

// left is the share of its rate limits that a key has left: 1 if that is not known. It is never 0, because a key that gets
// nothing says nothing new; one that has nothing left is barred for a while.
func left(l health.Limits, now gateway.Instant) float64 {
	const least = 0.01
	return max(min(leftOf(l.Requests, now), leftOf(l.Tokens, now)), least)
}

func leftOf(l health.Limit, now gateway.Instant) float64 {
	if l.Max <= 0 || l.Remaining < 0 || l.Reset != 0 && l.Reset <= now {
		return 1
	}
	return min(float64(l.Remaining)/float64(l.Max), 1)
}

// healthOf is what is known of a target, or of the tenant's own account in its place.
func healthOf(x *gateway.Exchange, t *gateway.Target) *health.Target {
	h := t.Health
	if own := x.Caller.Tenant.Own[t.Provider]; own != nil {
		h = own.Health
	}
	if h == nil {
		return nil
	}
	return h.Of(x.ModelFor(t))
}

// eased is a list of which the first target does not get everything at once after it was ill: what exceeds its share goes to
// the next of the same model that is well. own is how many of the targets are that model's.
func eased(x *gateway.Exchange, targets []*gateway.Target, own int) []*gateway.Target {
	if own < 2 || targets[0].Health == nil {
		return targets
	}
	now, h := x.Start, healthOf(x, targets[0])
	share := h.Share(now)
	if share >= 1 || h.Wait(now) > 0 || rand.Float64() < share { //nolint:gosec // no secret
		return targets
	}
	for i, t := range targets[1:own] {
		if h := healthOf(x, t); h.Wait(now) == 0 && h.Share(now) == 1 {
			eased := slices.Clone(targets)
			copy(eased, targets[1:i+2])
			eased[i+1] = targets[0]
			return eased
		}
	}
	return targets
}
