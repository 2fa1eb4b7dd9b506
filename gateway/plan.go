package gateway

import (
	"strings"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
)

// Target is one place where an exchange can be sent: provider + key + model. Targets are immutable and shared by all
// exchanges of a generation; who tries one keeps what differs in the Attempt.
type Target struct {
	Provider string
	Kind     string // of provider: openai, anthropic and so on
	Key      string // the name of the provider's key, never its value; "" if it has none
	Holder   string // what ids call it, see [HeldID]; "" for the provider's name
	Model    string // what the provider calls it; "" for the plan's model; "*" in it stands for what a wildcard matched
	Weight   int    // among the targets of its step
	Via      Sender
	Serves   map[string]bool    // names of the endpoints that it can serve, true for those that the provider has itself; nil: it has all
	Known    *catalog.Model     // what the catalogue knows of Model; nil if nothing, or if Model is no name
	Health   *health.Target     // how it fares; for a Model with "*" see [health.Target.Of]; nil: always well
	Limiter  *admission.Limiter // of all requests to the provider; nil: none
}

// Can says whether the target serves an endpoint.
func (t *Target) Can(e *Endpoint) bool {
	_, ok := t.Serves[e.Name]
	return ok || t.Serves == nil
}

// Has says whether the target's provider has an endpoint itself, so that nothing is translated.
func (t *Target) Has(e *Endpoint) bool { return t.Serves == nil || t.Serves[e.Name] }

// Sender makes one attempt at a target; package upstream implements it for providers, package sim without a network.
type Sender interface {
	// Send returns when the reply has begun: for Events when the first event is there (the commit point), for Whole
	// when all of it is. It fills the attempt's record. An error is an *Error whose Sent says whether the provider may
	// have begun work. A reply with any status is a reply: forward decides what it means.
	Send(x *Exchange, t *Target, a *Attempt) (*Reply, error)
}

// Plan is where one exchange may go. Targets is shared with other exchanges and must not be changed.
type Plan struct {
	Model   string    // the canonical name of what was asked for; for a wildcard the caller's name
	Targets []*Target // in the order in which they are tried
	Matched string    // what the "*" of the model's name matched, if it has one
	Hedge   *Hedge    // nil: no second attempts
	Retries *int      // how many are made at most, if the request says so; nil: as many as configured
}

// ModelFor is the name by which the target's provider knows the model of this exchange.
func (x *Exchange) ModelFor(t *Target) string {
	if t.Model == "" {
		return x.Plan.Model
	}
	if before, after, ok := strings.Cut(t.Model, "*"); ok {
		return before + x.Plan.Matched + after
	}
	return t.Model
}
