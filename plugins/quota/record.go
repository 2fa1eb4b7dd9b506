package quota

import (
	"errors"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// record is what one exchange has taken. It watches the attempts.
type record struct {
	p      *Plugin
	x      *gateway.Exchange
	hold   meter.Hold
	purse  meter.Purse
	each   string             // what the model counts as in rules for each
	user   string             // what the user counts as in rules for each
	pays   bool               // it counts in budgets
	mode   tenant.Mode        // of the strictest of them
	leases [2]lease           // of the attempts that are under way, the last first
	lack   prometheus.Counter // of what was missing at the last target that was refused; nil: nothing was
}

var _ gateway.Witness = (*record)(nil)

// Begin implements gateway.Witness: it reserves what the attempt may cost.
func (r *record) Begin(x *gateway.Exchange, a *gateway.Attempt) error {
	if !r.pays || a.Own || x.Request.Endpoint.Free {
		return nil
	}
	if r.mode != tenant.Warn && inBackground(&x.Request) {
		return unbounded("it is answered in the background")
	}
	var err *gateway.Error
	switch streams := x.Request.Stream(); {
	case r.mode == tenant.Strict:
		err = r.reserveMost(a)
	case r.mode == tenant.Metered && streams:
		err = r.reserveLease(a)
	case r.mode == tenant.Metered: // nothing can be renewed in a single event
		if err = r.reserveMost(a); err != nil && (err.Code == codeUnbounded || err.Code == codeNoPrice) {
			err = r.reserveGuess(a)
		}
	default:
		err = r.reserveGuess(a)
	}
	if err != nil {
		err.Elsewhere = true // another target may be cheaper, have a price, or a bound
		return err
	}
	return nil
}

// lacks is the error of a refusal at one target. It counts as one if it is the end of the exchange.
func (r *record) lacks(no *meter.Refusal) *gateway.Error {
	r.lack = r.p.counter(no)
	return refused(no)
}

// leastAnswer is how many tokens an answer must be allowed to have: fewer are no answer.
const leastAnswer = 16

// price is the most that a prompt and an answer of so many tokens may cost.
func price(a *gateway.Attempt, prompt, answer int64, tier string) catalog.Cost {
	if answer == 0 { // models that generate nothing have no price for it
		return a.Known.Cost(chat.Usage{Input: prompt, Provenance: chat.Estimated}, tier, a.Start.Time())
	}
	return a.Known.Most(prompt, answer, tier)
}

// reserveMost reserves what the attempt may cost at worst, and limits the answer to what is left. Under a strict budget no more
// than that is charged, and the limit is always sent, because the provider may not read the one that the request has.
func (r *record) reserveMost(a *gateway.Attempt) *gateway.Error {
	q := &r.x.Request
	prompt, ok := r.prompt(a)
	if !ok {
		return unbounded("its prompt is not all in it, or is no text")
	}
	tier := q.Member(`"service_tier"`)
	each, answers := answerBound(q, a.Known, r.p.c.StrictAnswer)
	strict := r.mode == tenant.Strict
	var no meter.Refusal
	for try := range 4 { // others reserve at the same time
		c := price(a, prompt, each*answers, tier)
		if !c.Known {
			return unpriced(r.model())
		}
		if no, ok = r.reserve(a, c.Picodollars); ok {
			switch a.Capped = strict; {
			case strict, try > 0:
				a.MaxTokens = each
			case q.AnswerTokens() <= 0 && each > 0: // it may be longer than what is reserved
				amount := r.purse.Affordable(r.x.Context())
				a.MaxTokens = r.left(a, c.Picodollars+min(amount, math.MaxInt64-c.Picodollars), prompt, answers, tier)
			}
			return nil
		}
		if no.What != meter.Money || each == 0 {
			break
		}
		amount := r.purse.Affordable(r.x.Context())
		left := most(each, r.fits(a, amount, prompt, answers, tier))
		if left < leastAnswer {
			break
		}
		each = left
	}
	return r.lacks(&no)
}

// fits says of the length of each answer whether an amount pays for it.
func (r *record) fits(a *gateway.Attempt, amount, prompt, answers int64, tier string) func(int64) bool {
	return func(n int64) bool {
		c := price(a, prompt, n*answers, tier)
		return c.Known && c.Picodollars <= amount
	}
}

// left is how long each answer may be if all that is left is spent on it; 0 if that is as long as the model's can be.
func (r *record) left(a *gateway.Attempt, amount, prompt, answers int64, tier string) int64 {
	longest := int64(gateway.MostAnswer)
	if a.Known.Output > 0 {
		longest = min(longest, a.Known.Output)
	}
	fits := r.fits(a, amount, prompt, answers, tier)
	if fits(longest) {
		return 0
	}
	return most(longest, fits)
}

// prompt is how many tokens of a prompt are paid for before it is sent. Under a strict budget, and where no more can be paid for
// later, they are as many as it can be, if that can be told from what was sent; else as many as it likely is.
func (r *record) prompt(a *gateway.Attempt) (tokens int64, ok bool) {
	q := &r.x.Request
	plain, n := isPlain(q), int64(0)
	if !plain && r.mode != tenant.Strict {
		n = outside(q)
	}
	if n == 0 && !q.Stream() || r.mode == tenant.Strict {
		return promptBound(q, a.Known, plain)
	}
	if n += a.Prompt; a.Known != nil && a.Known.Context > 0 {
		n = min(n, a.Known.Context)
	}
	return n, true
}

// most is the largest number below n that fits, if all smaller ones do; 0 if none does.
func most(n int64, fits func(int64) bool) int64 {
	low, high := int64(0), n
	for low+1 < high {
		if mid := low + (high-low)/2; fits(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// lease is what is paid for of a stream.
type lease struct {
	of    *gateway.Attempt
	price int64 // picodollars for Config.Lease tokens of the answer
	paid  int64 // tokens of it that are paid for
}

// reserveLease reserves for the prompt and the first piece of a stream.
func (r *record) reserveLease(a *gateway.Attempt) *gateway.Error {
	q := &r.x.Request
	tier := q.Member(`"service_tier"`)
	piece := r.p.c.Lease * choices(q)
	prompt, _ := r.prompt(a)
	begin, next := a.Known.Most(prompt, piece, tier), a.Known.Most(prompt, 2*piece, tier)
	if !begin.Known || !next.Known {
		return r.reserveGuess(a)
	}
	if no, ok := r.reserve(a, begin.Picodollars); !ok {
		return r.lacks(&no)
	}
	r.leases[1] = r.leases[0] // of the attempt beside this one, or before it
	r.leases[0] = lease{of: a, price: next.Picodollars - begin.Picodollars, paid: r.p.c.Lease}
	return nil
}

// reserveGuess reserves an estimate. For what has no price it asks whether anything is left at all.
func (r *record) reserveGuess(a *gateway.Attempt) *gateway.Error {
	c := likely(&r.x.Request, a)
	if !c.Known {
		if r.mode != tenant.Warn && r.p.c.Unpriced == deny {
			return unpriced(r.model())
		}
		c.Picodollars = 1
	}
	if no, ok := r.reserve(a, c.Picodollars); !ok {
		return r.lacks(&no)
	}
	return nil
}

// reserve takes an amount. A second attempt, which can as well be left, waits for nothing.
func (r *record) reserve(a *gateway.Attempt, pd int64) (meter.Refusal, bool) {
	if a.Hedged {
		if !r.purse.TryReserve(pd) {
			return meter.Refusal{What: meter.Unavailable}, false
		}
	} else if no, ok := r.purse.Reserve(r.x.Context(), pd); !ok {
		return no, false
	}
	a.Reserved += pd
	return meter.Refusal{}, true
}

// Settle implements gateway.Witness.
func (r *record) Settle(_ *gateway.Exchange, a *gateway.Attempt) {
	r.purse.Settle(a.Reserved, a.Charge)
}

// End implements gateway.Witness. What was sent counts, and what was answered; what was refused does not.
func (r *record) End(x *gateway.Exchange, err error) {
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Elsewhere && r.lack != nil {
		r.lack.Inc()
	}
	if len(x.Attempts()) == 0 && (err != nil || x.Reply == nil) {
		r.hold.Undo()
		return
	}
	used := int64(0)
	for _, a := range x.Attempts() {
		if a.Delivered || a.Charge > 0 {
			used += a.Used.Total()
		}
	}
	r.hold.Settle(used)
}
