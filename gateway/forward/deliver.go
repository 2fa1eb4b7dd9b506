package forward

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
)

// deliver commits to an outcome.
func deliver(x *gateway.Exchange, o *outcome) error {
	settled := len(x.Attempts()) > 1 || o.final || o.stays // the caller's own retry would only repeat ours
	if o.reply == nil {
		return unretried(o.err, settled)
	}
	if o.reply.Status >= 300 {
		last := x.Attempts()[len(x.Attempts())-1]
		if e := replacement(o, last.Provider); e != nil {
			last.Err = e
			return unretried(e, settled)
		}
		if settled {
			o.reply.Header = append(o.reply.Header, gateway.Field{Name: "x-should-retry", Value: "false"})
		}
	}
	if o.good() {
		x.Attempts()[len(x.Attempts())-1].Delivered = true
	}
	x.Reply = o.reply
	x.Commit()
	return nil
}

// replacement is our own error instead of an error reply that must not or cannot be passed on; nil if it can. A
// provider's own words go through, because they say what is wrong with the request; but a refusal of our credentials
// is not the caller's affair, and neither is an HTML page.
func replacement(o *outcome, provider string) *gateway.Error {
	status := o.reply.Status
	e := &gateway.Error{
		Status: 502, Type: gateway.TypeServer, Code: gateway.CodeBadResponse, Origin: gateway.OriginUpstream,
		Sent: true, RetryAfter: o.after, Err: o.err,
	}
	said := "The provider \"" + provider + "\" answered " + strconv.Itoa(status)
	switch {
	case status == 403 && o.verdict == health.Neutral && o.said != nil:
		return nil
	case status == 401, status == 402, status == 403, status == 400 && o.verdict != health.Neutral:
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

// nobody says why no target was asked.
func (w *walk) nobody(now gateway.Instant) error {
	if w.paid { // for a retry that does not come
		w.paid = false
		w.h.budget.refund()
	}
	if w.refused != nil {
		return w.refused
	}
	e := &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: gateway.CodeUnavailable, Origin: gateway.OriginUpstream, RetryAfter: health.Never,
	}
	var why []string
	refuse := map[string]int{}
	for i := range w.targets {
		p := w.place(i)
		s := p.health.Snapshot(now)
		if s.Operator == "" {
			refuse[s.Refuses]++
		}
		wait := p.health.Wait(now)
		e.RetryAfter = min(e.RetryAfter, wait)
		if words := "\"" + p.target.Provider + "\" " + standing(&s, wait); len(why) < mostReasons && !slices.Contains(why, words) {
			why = append(why, words)
		}
	}
	e.Message = "No provider of this model can be asked at the moment: " + strings.Join(why, "; ") + "."
	switch len(w.targets) { // what they said at first, they are taken at their word for
	case refuse["model"]:
		e.Status, e.Type, e.Code, e.Param = 404, gateway.TypeInvalidRequest, "model_not_found", "model"
		e.RetryAfter, e.NoRetry = 0, true
		e.Message = "No provider has this model: " + strings.Join(why, "; ") + "."
	case refuse["key"]:
		e.Status, e.Code, e.RetryAfter, e.NoRetry = 502, gateway.CodeCredentials, 0, true
		e.Message += " Its operator must look at it."
	}
	if e.RetryAfter == health.Never {
		e.RetryAfter, e.NoRetry = 0, true
	}
	return e
}

// mostReasons is how many providers an error speaks of.
const mostReasons = 4

// standing says why a target is not asked. Operators' own words are not for callers.
func standing(s *health.Snapshot, wait time.Duration) string {
	in := " for another " + max(wait.Round(time.Second), time.Second).String()
	switch {
	case wait <= 0:
		return "has been failing"
	case s.Operator != "":
		return "is switched off"
	case s.Refuses == "key":
		return "refuses the gateway's key"
	case s.Refuses == "model":
		return "does not have the model, or not for the gateway's key"
	case !s.CoolUntil.IsZero():
		return "asked to be left alone" + in
	default:
		return "fails, and is left alone" + in
	}
}

// crowd is the error for who may not wait at a provider that has no room.
func crowd(provider string, err error) error {
	e := &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: gateway.CodeOverloaded, Origin: gateway.OriginUpstream, Err: err,
		Message: "The provider \"" + provider + "\" has as many requests as it bears, and too many wait for it.",
	}
	if refused, ok := errors.AsType[*admission.Refusal](err); ok {
		e.RetryAfter = refused.After
	}
	return e
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
