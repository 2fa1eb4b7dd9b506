package config

import (
	"strings"
	"time"
)

// Further ways to choose among a model's targets.
const (
	// LeastLatency prefers the target whose first event comes soonest, by what was measured and by what is running there.
	LeastLatency = "least_latency"
	// LeastCost prefers the target that is cheapest for the request, by the catalogue.
	LeastCost = "least_cost"
)

// What keeps a session at one target, see [Model.Affinity].
const (
	// ByCacheKey is the request's prompt_cache_key.
	ByCacheKey = "prompt_cache_key"
	// ByUser is the request's user, or in Anthropic's dialect its metadata.user_id.
	ByUser = "user"
	// ByHeader is, with the name of a header behind it, that header.
	ByHeader = "header:"
)

// What is done about a stream that breaks off after its first event.
const (
	// RecoverNone ends it with an error.
	RecoverNone = "none"
	// RecoverContinue lets another target go on where it broke off.
	RecoverContinue = "continue"
)

// Health says when a target is left alone. A target is a model at a provider with one of its keys.
type Health struct {
	// Window is the time over which attempts are counted.
	Window time.Duration `yaml:"window"`
	// FailureRate is the share of failed attempts in the window at which a target is left alone. 0: whatever their share.
	FailureRate Percent `yaml:"failure_rate"`
	// MinRequests is how many attempts the window must have for their share to mean something.
	MinRequests int `yaml:"min_requests" jsonschema:"minimum=1"`
	// Consecutive is the number of failed attempts in a row at which a target is left alone. 0: whatever their number.
	Consecutive int `yaml:"consecutive" jsonschema:"minimum=0"`
	// OpenFor is how long a target is left alone at first; each time that it fails again at once, twice as long.
	OpenFor time.Duration `yaml:"open_for"`
	// MaxOpen is how long it is left alone at most. What the provider itself asks for may be longer.
	MaxOpen time.Duration `yaml:"max_open"`
	// SlowStart is the time in which a target that works again gets back its full share of the requests. 0: at once.
	SlowStart time.Duration `yaml:"slow_start"`
	// Probe asks the provider whether it works, also while nobody else does. Left out: callers' requests have to tell.
	Probe *Probe `yaml:"probe,omitempty"`
}

// Probe is a request of the gateway's own. Exactly one of path and model says what it asks for.
type Probe struct {
	// Path is that of a GET at the provider's host, such as /v1/models, or /health of vLLM. It costs nothing, and says
	// nothing of a single model: when it fails it takes out only what no request has succeeded at within the window.
	Path string `yaml:"path,omitempty"`
	// Model is asked for an answer of one token.
	Model string `yaml:"model,omitempty"`
	// Every is the time from one probe to the next, with up to a tenth more or less. At least 1s.
	Every time.Duration `yaml:"every"`
	// Timeout bounds one probe.
	Timeout time.Duration `yaml:"timeout"`
}

// Concurrency bounds the attempts that run at a provider at once. Without a reason there is no bound: it is learnt when
// the provider says that it is overloaded, and grows again as long as it does not.
type Concurrency struct {
	// Max is the bound that holds from the start. 0: none.
	Max int `yaml:"max" jsonschema:"minimum=0"`
	// Latency says that a bound is learnt from first events too, when they come ever later while ever more attempts run: for
	// servers of one's own, which do not say that they have too much to do. Without it only refusals (429, 529) count.
	Latency bool `yaml:"latency"`
	// Min is what the bound never falls below.
	Min int `yaml:"min" jsonschema:"minimum=1"`
	// Queue is how many requests may wait for their turn; more are refused. 0: none waits.
	Queue int `yaml:"queue" jsonschema:"minimum=0"`
	// Wait bounds the wait. Who would wait longer, or beyond the request's own deadline, is refused at once.
	Wait time.Duration `yaml:"wait"`
}

// Hedge makes a second attempt at another target when the first event is late, and delivers the one that comes first. The
// other one is cancelled, and charged.
type Hedge struct {
	// After is when the first event is late: p95 is the time in which 95 of 100 of the target's own came.
	After HedgeAfter `yaml:"after"`
	// Budget bounds the second attempts, as a share of the requests. More than 0: leave hedge out for none.
	Budget Percent `yaml:"budget"`
	// MaxCost is what a second attempt may cost by its estimate, in USD. Left out: anything.
	MaxCost USD `yaml:"max_cost,omitempty"`
}

// HedgeAfter is a time, or "p95".
type HedgeAfter struct {
	// P95 says that it is the target's own; then Time is 0.
	P95 bool
	// Time is the time.
	Time time.Duration
}

// String returns the time as it is written: p95, 800ms.
func (h HedgeAfter) String() string {
	if h.P95 {
		return "p95"
	}
	return durationText(h.Time)
}

// MarshalText returns String.
func (h HedgeAfter) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads p95 or a duration.
func (h *HedgeAfter) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == "p95" {
		*h = HedgeAfter{P95: true}
		return nil
	}
	d, wrong := parseDuration(string(text))
	if wrong != nil {
		return &mistake{string(text), "is neither p95 nor a duration", "write p95, or a number with a unit, such as 800ms"}
	}
	*h = HedgeAfter{Time: d}
	return nil
}

// SetDefaults fills in what a file may leave out.
func (h *Health) SetDefaults() {
	*h = Health{
		Window: 30 * time.Second, FailureRate: 0.5, MinRequests: 20, Consecutive: 5,
		OpenFor: time.Second, MaxOpen: time.Minute, SlowStart: 10 * time.Second,
	}
}

// SetDefaults fills in what a file may leave out.
func (p *Probe) SetDefaults() { *p = Probe{Every: 10 * time.Second, Timeout: 5 * time.Second} }

// SetDefaults fills in what a file may leave out.
func (c *Concurrency) SetDefaults() { *c = Concurrency{Min: 1, Queue: 1024, Wait: 10 * time.Second} }

// SetDefaults fills in what a file may leave out.
func (h *Hedge) SetDefaults() { *h = Hedge{After: HedgeAfter{P95: true}, Budget: 0.06} }
