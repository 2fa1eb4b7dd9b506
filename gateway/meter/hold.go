package meter

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Ask is what one exchange is limited by in one scope.
type Ask struct {
	Scope  tenant.Scope // with a name
	Limits tenant.Limits
}

// fewScopes is for how many scopes and budgets of an exchange there is room without an allocation.
const fewScopes = 5

// Hold is what an exchange has taken: a request, tokens and a place in each of its scopes. The zero value is nothing. It is
// part of the caller's own record, and belongs to one goroutine.
type Hold struct {
	Outage Outage // what holds if the pool cannot be asked; to be set before Admit

	tenant *Tenant
	tokens int64
	held   bool
	in     []taken
	room   [fewScopes]taken
}

// taken says which limits there are in a scope.
type taken struct {
	*scope
	of [Money]bool
}

// Rate is how a limit stands: what remains of it, and when it is whole again.
type Rate struct {
	Limit, Remaining int64 // Limit 0: there is none
	Reset            time.Duration
}

// Admit takes one request, the tokens and a place in every scope, or nothing in any. A scope that is there twice counts once, with
// the tighter limits. It answers from what the node has in hand, and waits for the pool only if that does not do, for
// Options.Wait at most. h must not be copied afterwards.
func (t *Tenant) Admit(ctx context.Context, h *Hold, tokens int64, asks []Ask) (Refusal, bool) {
	var room [fewScopes * int(Money)]claim
	claims := room[:0]
	now := clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	h.tenant, h.tokens, h.held, h.in = t, max(tokens, 0), false, h.room[:0]
	for i := range asks {
		limits, first := merged(asks, i)
		if !first || limits.None() {
			continue
		}
		in := taken{scope: t.scope(asks[i].Scope, now)}
		if limits.Requests > 0 {
			in.of[Requests] = true
			claims = append(claims, claim{in.rate(Requests, limits.Requests), 1})
		}
		if limits.Tokens > 0 {
			in.of[Tokens] = true
			if a := in.rate(Tokens, limits.Tokens); h.tokens > 0 {
				claims = append(claims, claim{a, h.tokens})
			}
		}
		if limits.Concurrent > 0 {
			in.of[Concurrent] = true
			claims = append(claims, claim{in.rate(Concurrent, limits.Concurrent), 1})
		}
		in.holds++
		h.in = append(h.in, in)
	}
	r, ok := t.take(ctx, now, claims, h.Outage)
	if h.held = ok; !ok {
		h.leave()
	}
	return r, ok
}

// merged are the limits of the i-th scope, and whether it was not there before.
func merged(asks []Ask, i int) (limits tenant.Limits, first bool) {
	for j := range i {
		if asks[j].Scope == asks[i].Scope {
			return limits, false
		}
	}
	limits = asks[i].Limits
	for j := i + 1; j < len(asks); j++ {
		if asks[j].Scope == asks[i].Scope {
			limits = limits.Within(asks[j].Limits)
		}
	}
	return limits, true
}

// Undo gives everything back: the exchange was refused by somebody else, and is as if it had not been.
func (h *Hold) Undo() { h.end(-h.tokens, true) }

// Settle says how many tokens there really were, and leaves the places. More than were taken become debts, which keep others
// out until they have flowed back; fewer come back. The first of Undo and Settle counts.
func (h *Hold) Settle(tokens int64) { h.end(max(tokens, 0)-h.tokens, false) }

// end corrects the tokens and leaves.
func (h *Hold) end(tokens int64, undo bool) {
	t := h.tenant
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !h.held {
		return
	}
	h.held = false
	now := clock.Now()
	for i := range h.in {
		in := &h.in[i]
		if in.of[Requests] && undo {
			t.flow(in.rates[Requests], -1, now)
		}
		if in.of[Tokens] && tokens != 0 {
			t.flow(in.rates[Tokens], tokens, now)
		}
		if in.of[Concurrent] {
			t.correct(in.rates[Concurrent], -1)
		}
	}
	h.leave()
}

// flow corrects a rate. What comes back after others have flowed in does not make it more than the limit.
func (t *Tenant) flow(a *account, by int64, now clock.Instant) {
	if by < 0 {
		by = min(max(by, a.remains(now)-a.limit), 0)
	}
	t.correct(a, by)
}

// correct changes what was used. The pool hears of it with the next beat.
func (t *Tenant) correct(a *account, by int64) {
	if a.used = plus(a.used, by); !a.active {
		t.activate(a)
	}
}

func (h *Hold) leave() {
	for i := range h.in {
		h.in[i].holds--
	}
}

// Rates are the limits of requests and tokens as they stand, each in the scope where the least of it remains: after Admit,
// whatever it said.
func (h *Hold) Rates() (requests, tokens Rate) {
	t := h.tenant
	if t == nil {
		return
	}
	now := clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range h.in {
		in := &h.in[i]
		if in.of[Requests] {
			requests = requests.tighter(in.rates[Requests].rate(now))
		}
		if in.of[Tokens] {
			tokens = tokens.tighter(in.rates[Tokens].rate(now))
		}
	}
	return requests, tokens
}

func (r Rate) tighter(s Rate) Rate {
	if r.Limit == 0 || s.Remaining < r.Remaining {
		return s
	}
	return r
}

// rate is how an account stands.
func (a *account) rate(now clock.Instant) Rate {
	left := min(a.remains(now), a.limit)
	return Rate{Limit: a.limit, Remaining: max(left, 0), Reset: wait(a.limit-left, a.limit)}
}
