package ledger

import (
	"errors"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// describe fills what is known of an attempt when it begins.
func describe(r *rows.Row, x *gateway.Exchange, a *gateway.Attempt) {
	who(r, x)
	r.ID, r.At, r.Waited = a.ID, a.Start.Time().UTC(), a.Waited
	r.Provider, r.Account, r.Target = a.Provider, a.Key, a.Model
	r.Reserved = a.Reserved
	n, resumed := 1, false
	for _, b := range x.Attempts() {
		if b.Start < a.Start {
			n, resumed = n+1, resumed || b.Delivered && !b.Lost
		}
	}
	r.Attempt = uint8(min(n, 255))
	r.Flags |= flag(a.Hedged, rows.Hedged) | flag(resumed, rows.Resumed) | flag(a.Own, rows.Own) |
		flag(a.MaxTokens > 0, rows.Limited) | flag(a.Capped, rows.Capped)
}

// who fills what is the same for all rows of an exchange.
func who(r *rows.Row, x *gateway.Exchange) {
	r.Tenant, r.Key, r.User = x.Caller.Tenant.ID, x.Caller.Key, x.Caller.User
	r.Request, r.Endpoint, r.Dialect = x.ID, x.Request.Endpoint.Name, x.Request.Endpoint.Dialect
	r.Asked, r.Model = x.Request.Model(), x.Plan.Model
	r.Flags = flag(x.Request.Stream(), rows.Stream) | flag(x.Instead != "", rows.Downgraded) | flag(x.Inside, rows.Inside)
}

func flag(is bool, f rows.Flags) rows.Flags {
	if is {
		return f
	}
	return 0
}

// prospect fills what holds of an attempt if nothing more is heard of it than what passes of its answer, and says what each token of
// that adds. The estimate is what it costs as far as anybody knows, and so it is charged, but that under a strict budget all of
// what was reserved may have been used, and that what cannot be priced is worth what somebody has reserved for it. Of two that run
// beside each other one is paid for: the row of the other has the prompt, or all that was reserved.
func prospect(r *rows.Row, x *gateway.Exchange, a *gateway.Attempt) (each rows.Each) {
	if x.Request.Endpoint.Free {
		r.Cost.Known = true
		return each
	}
	u := chat.Usage{Input: a.Prompt, Provenance: chat.Estimated}
	r.Cost = a.Known.Cost(u, "", a.Start.Time())
	r.Usage = chat.Usage{Input: a.Prompt, Provenance: chat.Aborted}
	u.Output++
	if more := a.Known.Cost(u, "", a.Start.Time()); more.Known && r.Cost.Known { // an embedding has no price for an answer
		each.Cost = more.Picodollars - r.Cost.Picodollars
	}
	switch {
	case a.Own:
	case a.Capped, !r.Cost.Known:
		if !a.Hedged {
			r.Charge = a.Reserved
		}
	default:
		each.Charge = each.Cost
		if r.Flags&(rows.Resumed|rows.Hedged) == 0 { // or it was the gateway's to repeat
			r.Charge = r.Cost.Picodollars
		}
	}
	return each
}

// conclude fills how an attempt ended. err is what ended the exchange, if the attempt is its last.
func conclude(r *rows.Row, x *gateway.Exchange, a *gateway.Attempt, err error) {
	r.Outcome, r.Status, r.Upstream = outcome(x, a, err), a.Status, a.RequestID
	r.First, r.Total = a.First, a.Total
	if r.Total <= 0 {
		r.Total = gateway.Since(a.Start)
	}
	r.Flags |= flag(a.Resent, rows.Resent) | flag(a.Joined, rows.Joined) | flag(a.Delivered, rows.Delivered)
	r.Usage, r.Cost = used(a, r.Outcome)
	r.Charge = a.Charge
}

// used is what an attempt used and what that costs. What was not reported is an estimate where something came, or nothing could
// because the caller did not wait for it; of other attempts that failed nobody knows.
func used(a *gateway.Attempt, o rows.Outcome) (chat.Usage, catalog.Cost) {
	if a.Usage.Provenance == chat.Reported || a.Used.Provenance != chat.Estimated {
		return a.Used, a.Cost
	}
	u, c := a.Used, a.Cost
	switch {
	case a.Delivered, o == rows.Lost, o == rows.Complete:
	case o == rows.Gone, o == rows.Late:
		u.Output, u.Reasoning, u.OutputAudio, u.OutputImage = 0, 0, 0, 0
	default:
		return chat.Usage{}, c
	}
	if !c.Known || u != a.Usage {
		c = a.Known.Cost(u, u.Tier, a.Start.Time())
	}
	if o != rows.Complete && o != rows.Lost {
		u.Provenance = chat.Aborted
	}
	return u, c
}

// outcome is how an attempt ended: what the provider did comes first, and then what ended the exchange.
func outcome(x *gateway.Exchange, a *gateway.Attempt, err error) rows.Outcome {
	switch {
	case a.Lost:
		return rows.Lost
	case a.Unsent():
		return rows.Unsent
	case a.Status >= 500:
		return rows.Failed
	case a.Status >= 300:
		return rows.Refused
	case err != nil && !isUpstream(a.Err):
		if o, ended := interrupted(x, err); ended {
			return o
		}
	}
	switch {
	case a.Err == nil && err == nil:
		return rows.Complete
	case isSpent(a.Err): // and its caller got an end that was made
		return rows.Spent
	case a.Err == nil: // all that came from the provider was well: it could not be written
		return rows.Gone
	case strings.HasPrefix(a.Why(), "timeout"):
		return rows.Timeout
	case a.Why() == "cut":
		return rows.Cut
	default:
		return rows.Failed
	}
}

// interrupted says what ended an exchange, if it was not the provider.
func interrupted(x *gateway.Exchange, err error) (rows.Outcome, bool) {
	cause := x.Cause()
	switch {
	case errors.Is(cause, gateway.ErrGone), errors.Is(err, gateway.ErrGone):
		return rows.Gone, true
	case errors.Is(cause, gateway.ErrDrain):
		return rows.Drained, true
	case errors.Is(cause, gateway.ErrDeadline), x.Late():
		return rows.Late, true
	}
	return rows.Spent, isSpent(err)
}

// isUpstream says whether it was the provider, or the way to it, that failed.
func isUpstream(err error) bool {
	e, is := errors.AsType[*gateway.Error](err)
	return is && e.Origin == gateway.OriginUpstream
}

// isSpent says whether a budget ended an exchange.
func isSpent(err error) bool {
	e, is := errors.AsType[*gateway.Error](err)
	return is && (e.Code == "insufficient_quota" || e.Code == "budget_unavailable") && e.Origin != gateway.OriginUpstream
}

// replayed fills the row of an answer that was given before.
func replayed(r *rows.Row, x *gateway.Exchange, err error) {
	who(r, x)
	p := x.Replay
	if r.ID = p.ID; r.ID.IsZero() {
		r.ID = rows.NewID(x.Start.Time())
	}
	r.Kind, r.Of, r.At = p.How, p.Of, x.Start.Time().UTC()
	r.Provider, r.Target, r.Usage, r.Cost = p.Provider, p.Name, p.Usage, catalog.Cost{Known: true}
	if p.Saved.Known {
		r.Saved = p.Saved.Picodollars
	}
	r.Flags |= rows.Delivered
	r.Total = gateway.Since(x.Start)
	if x.Reply != nil {
		r.Status = x.Reply.Status
	}
	if r.Outcome = rows.Complete; err != nil {
		if r.Outcome, _ = interrupted(x, err); r.Outcome == rows.Unknown {
			r.Outcome = rows.Gone
		}
	}
}
