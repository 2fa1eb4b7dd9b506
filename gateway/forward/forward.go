// Package forward carries out a plan: one attempt after another until one has begun to answer. It fails over freely
// until the first event has arrived (the commit); afterwards nothing is sent twice.
package forward

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Options say when and how often a failed attempt is followed by another.
type Options struct {
	// Max is how many attempts may come on top of one for each target of the plan. Going on to the next target is
	// failover, not a retry: it waits for nothing and costs no budget.
	Max int
	// BackoffMin and BackoffMax bound the wait before a retry: it doubles from the one to the other, with jitter.
	BackoffMin, BackoffMax time.Duration
	// Budget is the share of retries to exchanges that may not be exceeded for long (0.2 is one in five); ten a second
	// are always allowed. Without it an outage would multiply the load on what is left.
	Budget float64
	// On lists the failures after which another attempt is made.
	On Causes
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
	budget budget
}

var _ gateway.Handler = (*Handler)(nil)

// New makes a handler.
func New(o Options) *Handler { return &Handler{o: o, budget: budget{share: o.Budget}} }

// Options are what the handler was made with.
func (h *Handler) Options() Options { return h.o }

// outcome is how an attempt ended, and what that means for the next.
type outcome struct {
	reply *gateway.Reply // nil if none came
	said  *chat.Error    // what an error reply says, if it says so in its dialect
	err   error          // why there is no reply, or why an error reply could not be read
	cause Causes         // 0: another attempt would end the same
	final bool           // this target will not answer differently: do not ask it again
	after time.Duration  // the provider asked to be left alone for so long
}

// Serve implements gateway.Handler.
func (h *Handler) Serve(x *gateway.Exchange) error {
	if x.Caller.Tenant == nil {
		return errNobody
	}
	if len(x.Plan.Targets) == 0 {
		return errNoTarget
	}
	h.budget.deposit()
	walk := walk{targets: distinct(x), retries: h.o.Max}
	for {
		t := walk.next()
		o := h.attempt(x, t)
		if o.cause == 0 && !o.final || o.cause != 0 && h.o.On&o.cause == 0 {
			return h.deliver(x, o)
		}
		wait, again := h.again(x, &walk, o)
		if !again {
			return h.deliver(x, o)
		}
		if o.reply != nil {
			_ = o.reply.Stream.Close()
		}
		if err := pause(x, wait); err != nil {
			return err
		}
	}
}

// distinct is the plan's targets. A tenant's own key replaces each of the operator's, so that targets which differ only in
// their key are one: the tenant's account is not asked again for each of them.
func distinct(x *gateway.Exchange) []*gateway.Target {
	own := x.Caller.Tenant.Own
	if len(own) == 0 || len(x.Plan.Targets) == 1 {
		return x.Plan.Targets
	}
	var targets []*gateway.Target
	for _, t := range x.Plan.Targets {
		same := func(u *gateway.Target) bool { return u.Provider == t.Provider && u.Model == t.Model }
		if own[t.Provider] == nil || !slices.ContainsFunc(targets, same) {
			targets = append(targets, t)
		}
	}
	return targets
}

// attempt makes one attempt and judges it.
func (h *Handler) attempt(x *gateway.Exchange, t *gateway.Target) outcome {
	a := x.Attempting(t)
	via := t.Via
	if own := x.Caller.Tenant.Own[t.Provider]; own != nil {
		via, a.Key = own.Via, "tenant"
	}
	reply, err := via.Send(x, t, a)
	if err != nil {
		a.Err, a.Total = err, gateway.Since(a.Start)
		return judgeError(err)
	}
	return judgeReply(wire.ByName(x.Request.Endpoint.Dialect), reply)
}

// again decides whether another attempt is made and how long to wait before it.
func (h *Handler) again(x *gateway.Exchange, w *walk, o outcome) (wait time.Duration, again bool) {
	if x.Err() != nil || x.Request.Spent() {
		return 0, false
	}
	if o.final || o.after > h.o.BackoffMax {
		w.dismiss() // neither a wrong key nor a long rate limit gets better while the caller waits
	} else if o.after > 0 {
		w.leave(gateway.Now().Add(o.after))
	}
	retry, ok := w.more()
	if !ok {
		return 0, false
	}
	if retry == 0 {
		return 0, true
	}
	wait = max(h.backoff(retry), w.left())
	if d := x.Deadline(); d != 0 && gateway.Now().Add(wait) >= d {
		return 0, false
	}
	return wait, h.budget.withdraw()
}

// backoff is the wait before the n-th retry, n from 1: exponential, with up to half of it taken off at random so that
// callers which failed together do not come back together.
func (h *Handler) backoff(n int) time.Duration {
	d := h.o.BackoffMin << min(n-1, 16)
	if d > h.o.BackoffMax || d <= 0 {
		d = h.o.BackoffMax
	}
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2) //nolint:gosec // jitter
}

func pause(x *gateway.Exchange, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-x.Context().Done():
		return x.Cause()
	}
}

// deliver commits to an outcome.
func (h *Handler) deliver(x *gateway.Exchange, o outcome) error {
	settled := len(x.Attempts()) > 1 || o.final // the caller's own retry would only repeat ours
	if o.reply == nil {
		return unretried(o.err, settled)
	}
	if o.reply.Status >= 300 {
		last := x.Attempts()[len(x.Attempts())-1]
		if e := replacement(o, last.Provider); e != nil {
			_ = o.reply.Stream.Close()
			last.Err = e
			return unretried(e, settled)
		}
		if settled {
			o.reply.Header = append(o.reply.Header, gateway.Field{Name: "x-should-retry", Value: "false"})
		}
	}
	x.Reply = o.reply
	x.Commit()
	return nil
}

// replacement is our own error instead of an error reply that must not or cannot be passed on; nil if it can. A
// provider's own words go through, because they say what is wrong with the request; but a refusal of our credentials
// is not the caller's affair, and neither is an HTML page.
func replacement(o outcome, provider string) *gateway.Error {
	status := o.reply.Status
	e := &gateway.Error{
		Status: 502, Type: gateway.TypeServer, Code: gateway.CodeBadResponse, Origin: gateway.OriginUpstream,
		Sent: true, RetryAfter: o.after, Err: o.err,
	}
	said := "The provider \"" + provider + "\" answered " + strconv.Itoa(status)
	switch {
	case status == 401 || status == 402 || status == 403:
		e.Code, e.NoRetry = gateway.CodeCredentials, true
		e.Message = said + ": it refuses the gateway's key or account. Its operator must look at it."
	case status < 400:
		e.NoRetry = true
		e.Message = said + ", a redirect, which is not followed. Its base URL is probably wrong."
	case o.said != nil:
		return nil
	case status == 429 || status >= 500:
		e.Status, e.Message = status, said+" without saying why."
	default:
		e.Message = said + " without saying why."
	}
	return e
}

// unretried makes an *Error of err; settled tells clients not to retry.
func unretried(err error, settled bool) error {
	e := gateway.AsError(err)
	if !settled || e.NoRetry {
		return e
	}
	c := *e
	c.NoRetry = true
	return &c
}

var (
	errNobody = &gateway.Error{
		Status: 500, Type: gateway.TypeServer, Code: "no_caller",
		Message: "No plugin of the chain has identified the caller, so nothing is forwarded. The chain needs \"auth\".",
	}
	errNoTarget = &gateway.Error{
		Status: 500, Type: gateway.TypeServer, Code: "no_target",
		Message: "No plugin of the chain has planned where to send this. The chain needs \"routing\".",
	}
)
