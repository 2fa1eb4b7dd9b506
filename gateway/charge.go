package gateway

import (
	"errors"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// chargeFor is what the tenant pays for an attempt that is over, in picodollars. It is decided here, once, so that who counts the
// money and who writes it down cannot differ:
//
//   - only what was delivered is paid for: not the failed attempts before it, nor the other one of two that ran at once;
//   - who leaves before the first event pays for the prompt, unless the exchange is Lenient: the provider was at work;
//   - nothing is paid for what goes to the tenant's own account at a provider, for endpoints that are free, for error replies, and
//     for what cannot be priced;
//   - the rest of an answer that broke off is paid for without its prompt, which was the gateway's to repeat;
//   - with a cap, never more than was reserved.
func (x *Exchange) chargeFor(a *Attempt) int64 {
	switch {
	case a.Own, a.Refused, a.Lost, x.Request.Endpoint.Free, a.Unsent(), a.Status >= 300:
		return 0
	case !a.Delivered && (x.Lenient || !x.abandoned(a)):
		return 0
	}
	c, u := a.Cost, a.Used
	if !a.Delivered {
		u.Output, u.Reasoning, u.OutputAudio, u.OutputImage = 0, 0, 0, 0
	}
	if x.resumes(a) {
		u.Input, u.CacheRead, u.CacheWrite, u.CacheWriteHour, u.InputAudio, u.InputImage = 0, 0, 0, 0, 0, 0
	}
	if !c.Known || u != a.Usage {
		c = a.Known.Cost(u, u.Tier, a.Start.Time())
	}
	switch {
	case !c.Known:
		return 0
	case a.Capped:
		return min(c.Picodollars, a.Reserved)
	}
	return c.Picodollars
}

// abandoned says whether a caller left, or did not want to wait any longer, while an attempt had not begun to answer.
func (x *Exchange) abandoned(a *Attempt) bool {
	if e, ok := errors.AsType[*Error](a.Err); ok && e.Origin == OriginUpstream { // it had failed before that
		return false
	}
	return a == x.attempts[len(x.attempts)-1] && (errors.Is(x.Cause(), ErrGone) || x.Late())
}

// resumes says whether an attempt went on with what another had delivered.
func (x *Exchange) resumes(a *Attempt) bool {
	for _, b := range x.attempts {
		if b == a {
			return false
		}
		if a.Delivered && b.Delivered {
			return true
		}
	}
	return false
}

// used is the usage of an attempt as far as anybody knows: what the provider reported, or else the prompt by an estimate and the
// answer by what has passed.
func (x *Exchange) used(a *Attempt) chat.Usage {
	u := a.Usage
	switch {
	case u.Provenance == chat.Reported, u.Provenance == chat.Estimated:
		return u
	case a.Refused, a.Unsent(), a.Status >= 300, x.Request.Endpoint.Free:
		return chat.Usage{}
	case a.Cost.Known && x.Request.Endpoint.Counts != 0: // by the piece
		return u
	}
	if u.Prompt() == 0 {
		u.Input = a.Prompt
	}
	u.Output = max(u.Output, a.Said-(u.Completion()-u.Output))
	u.Provenance = chat.Estimated
	return u
}
