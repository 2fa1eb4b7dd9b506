// Package forward carries out a plan: one attempt after another until one has begun to answer. It fails over freely
// until the first event has arrived (the commit); afterwards nothing is sent twice.
//
// Whom to ask next is a question of health and of room: targets that are ill or want to be left alone are passed over, and so
// are those whose providers have as many requests as they bear, as long as others have room. If all are full, an exchange
// queues at all of them; if none may be asked, it waits for the earliest, until its caller's deadline or, if there is none, for
// [Options.BackoffMax]. The outcome of each attempt goes back to its target's health, so that what one exchange has seen spares the others.
//
// If the plan says so, a second attempt is made beside a first one whose first event is late (hedging).
package forward

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
)

// Options say when and how often a failed attempt is followed by another.
type Options struct {
	// Max is how many attempts may come on top of one for each target of the plan. Going on to the next target is
	// failover, not a retry: it waits for nothing and costs no budget, unless that target has been failing, too.
	Max int
	// BackoffMin and BackoffMax bound the wait before a retry: it doubles from the one to the other, with jitter.
	// BackoffMax is also for how long an exchange whose caller has set no deadline waits for a target when none may be asked;
	// 0: nobody waits, whatever his deadline.
	BackoffMin, BackoffMax time.Duration
	// Budget is the share of retries to exchanges that may not be exceeded for long (0.2 is one in five), lest an outage
	// multiplies the load on what is left. Ten a second are always allowed, and with 0 no more than those.
	Budget float64
	// On lists the failures after which another attempt is made.
	On Causes
	// Recover says that a conversation's stream that breaks off after its first event is gone on with by another attempt, if
	// all that was delivered is text, and whatever On says. Max bounds how often (0: never), Budget too.
	Recover bool
}

// Causes is a set of failures.
type Causes uint8

// Failures that can be followed by another attempt.
const (
	OnConnect   Causes = 1 << iota // no connection
	OnTimeout                      // a deadline passed before the first event
	OnCut                          // the answer broke off, or was malformed, before its first event
	OnRateLimit                    // 429
	On5xx                          // 500 to 599, and errors that a provider reports inside a 200
)

// Handler is the innermost handler of a generation.
type Handler struct {
	o      Options
	budget *budget
	hedges sync.Map // name of a model -> *budget, of second attempts
}

var _ gateway.Handler = (*Handler)(nil)

// New makes a handler.
func New(o Options) *Handler { return &Handler{o: o, budget: retryBudget()} }

// Options are what the handler was made with.
func (h *Handler) Options() Options { return h.o }

// Serve implements gateway.Handler.
func (h *Handler) Serve(x *gateway.Exchange) error {
	if x.Caller.Tenant == nil {
		return errNobody
	}
	if len(x.Plan.Targets) == 0 {
		return errNoTarget
	}
	h.budget.deposit(h.o.Budget)
	w := newWalk(h, x)
	var o outcome
	for {
		p, err := w.next()
		switch {
		case err == nil:
		case x.Err() != nil:
			return err
		case len(x.Attempts()) == 0:
			return cmp.Or(w.prevented, err)
		default:
			return deliver(x, &o)
		}
		if after, ok := w.hedgeAfter(&p); ok {
			o = w.race(p, after)
		} else {
			o = w.attempt(&p)
		}
		if !w.goesOn(&o) {
			return deliver(x, w.lasts(&o))
		}
	}
}

// attempt makes one attempt and judges it.
func (w *walk) attempt(p *place) outcome {
	a, err := w.begin(p, false)
	if err != nil {
		return w.prevent(err)
	}
	reply, err := p.via.Send(w.x, p.target, a)
	return w.settle(p, a, reply, err)
}

// begin records an attempt at a place that was taken. If a witness prevents it, the place is given back.
func (w *walk) begin(p *place, hedged bool) (*gateway.Attempt, error) {
	x := w.x
	a := x.Attempting(p.target)
	a.Key, a.Waited, a.Prompt, a.Own, a.Hedged = p.key, p.waited, p.tokens, p.own, hedged
	a.Hold(p.health, p.limiter, p.tokens, x.Request.Stream())
	if err := x.Begin(a); err != nil {
		return nil, err
	}
	return a, nil
}

// prevent is the outcome of an attempt that a witness did not allow. What it does not allow for this target it may for another; if
// not, the first refusal is the answer, because it is about the target that was meant.
func (w *walk) prevent(err error) outcome {
	e, ok := errors.AsType[*gateway.Error](err)
	if ok && w.prevented == nil {
		w.prevented = err
	}
	return outcome{err: err, final: ok && e.Elsewhere}
}

// settle judges an attempt, and tells of it. What was taken for it is given back, unless its reply goes on.
func (w *walk) settle(p *place, a *gateway.Attempt, reply *gateway.Reply, err error) outcome {
	x := w.x
	var o outcome
	if err != nil {
		a.Err, a.Total = err, gateway.Since(a.Start)
		o = judgeError(x, err)
	} else {
		o = judgeReply(x.Request.Endpoint, a.Model, reply)
	}
	w.report(p, a, &o)
	if o.reply == nil || o.reply.Status >= 300 || o.reply.Kind == gateway.Whole {
		a.Release()
	}
	return o
}

// goesOn says whether another attempt may follow, and prepares for it.
func (w *walk) goesOn(o *outcome) bool {
	switch x := w.x; {
	case o.cause == 0 && !o.final, o.cause != 0 && w.h.o.On&o.cause == 0:
		return false
	case x.Err() != nil, x.Late(), x.Request.Spent():
		return false
	}
	if o.final {
		w.dismissed |= 1 << w.current
	}
	if o.tooLong {
		w.tooSmall = max(w.tooSmall, w.window(w.current))
	}
	now := gateway.Now()
	w.rest = now.Add(w.h.backoff(w.retry + 1))
	if o.after > 0 && o.verdict == health.Neutral { // it says nothing of the target's health, which else would know
		if w.asked == nil {
			w.asked = askedFor{}
		}
		w.asked[w.current] = now.Add(o.after)
	}
	return true
}
