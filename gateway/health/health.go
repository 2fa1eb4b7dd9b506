package health

import (
	"errors"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Never is what Wait answers for a target that will not be asked until an operator says so.
const Never = clock.Forever

// ID names a target: provider × key × model. As the ID of an event, one without a model means all targets of the key.
type ID struct {
	Provider string `json:"provider"`
	Key      string `json:"key,omitempty"` // the name of the key, never its value; "tenant <id>" for a tenant's own
	// Model is what the provider calls it. With a "*" in it, it stands for names that only a request can tell, see
	// [Target.Of].
	Model string `json:"model,omitempty"`
}

// State is what is thought of a target. The order is that of preference.
type State uint8

// The states; the package's documentation says what leads from one to another.
const (
	Healthy  State = iota
	Suspect        // has failed of late, but is still used
	HalfOpen       // is being tried
	Open           // is left alone for a while, because it fails
	Disabled       // not used: an operator's word, or the provider refuses the key or the model
)

var states = [...]string{"healthy", "suspect", "half_open", "open", "disabled"}

// String is the state as one word: healthy, suspect, half_open, open, disabled.
func (s State) String() string { return states[min(int(s), len(states)-1)] }

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *State) UnmarshalText(text []byte) error {
	for i, word := range states {
		if word == string(text) {
			*s = State(i)
			return nil
		}
	}
	return errors.New("health: no such state: " + string(text))
}

// Verdict is what one outcome means for the target that was asked.
type Verdict uint8

// The verdicts.
const (
	// Neutral says nothing: the request was at fault (400, 413, 422, a prompt that is too long), or the caller left.
	Neutral Verdict = iota
	// OK is a reply that has begun: the first event of a stream, or all of a whole reply.
	OK
	// Failed is illness: no connection, a timeout, a reply that broke off before its first event, 5xx, garbage.
	Failed
	// Broken is a stream that was reported as OK and has broken off since. It turns that OK into a failure, and Consecutive
	// streams that broke off, without one in between that has [Target.Ended], open the target.
	Broken
	// Limited is 429 or 529: the target is not ill, but wants to be left alone for Outcome.After, or for a while if it
	// does not say how long.
	Limited
	// Spent is a quota or a credit that is used up (402, insufficient_quota): all targets of the key cool down for long.
	Spent
	// Refused is a key that the provider does not take (401, or 403 without a word about the model): it disables all
	// targets of the key.
	Refused
	// Denied is a model that the provider does not have, or not for this key (403 or 404 that says so): it disables the
	// target alone. What callers can provoke at will (moderation, an unknown file) is Neutral, lest one of them switches
	// off what others use.
	Denied
)

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict Verdict
	// Began is the instant that Begin was given; 0 if not known. What began before the target opened, and ends after it
	// has recovered (a timeout, say), is no news.
	Began clock.Instant
	// After is how long the provider asked to be left alone (Retry-After, retry-after-ms); 0 if it did not. It counts
	// with Limited, Spent and Failed. More than a day is taken for a day.
	After time.Duration
	// Reason says in a few words why it is not OK, for people: "connection refused", "http 500". It may be shown to
	// operators, so there must be nothing of a prompt in it.
	Reason string
	// First is the time to the first event, and of a Whole reply the time to its end; 0 if it is not known. The two have
	// little in common, so they are kept apart. With Neutral it is for how long an attempt was waited for that was given up
	// because another was quicker: left out, the slowest would be missing in what is known, which would get ever quicker.
	First time.Duration
	Whole bool
	// Cheap says that it is of a probe that did not ask what callers ask, see [Target.Probed].
	Cheap bool
	// Unreachable says that nothing was heard of the provider, which may be the fault of the node that asked. Of probes only.
	Unreachable bool
}

// Settings say when a target counts as ill. Zero means the default of a field.
type Settings struct {
	// Window is how far back outcomes count; 30 s.
	Window time.Duration
	// FailureRate is the share of failures in the window at which the target opens, from MinRequests requests on; 0.5
	// of 20. More than 1 means never.
	FailureRate float64
	MinRequests int
	// Consecutive is how many failures in a row open it, however few requests there are, and how many streams in a row that
	// broke off; 5. Less than 0 means never.
	Consecutive int
	// OpenFor is how long it is left alone at first, 1 s. It doubles with every trial that fails, up to MaxOpen, 1 min;
	// up to a quarter is taken off at random, so that replicas do not try together.
	OpenFor, MaxOpen time.Duration
	// SlowStart is how long it takes until a recovered target has its full share again; 10 s. Less than 0 means at once.
	SlowStart time.Duration
	// Trials is how many requests may try it at a time; 1.
	Trials int
	// Trusted targets never get ill, and nothing bars their key: what the simulator was told to play says nothing of it.
	Trusted bool
	// Version stands for what was configured of provider and key: their address, the secret (a hash of it). When it
	// changes, what was held against the target and the key is forgotten; what an operator said is not.
	Version uint64
}

func (s Settings) withDefaults() Settings {
	if s.Window <= 0 {
		s.Window = 30 * time.Second
	}
	if s.FailureRate <= 0 {
		s.FailureRate = 0.5
	}
	if s.MinRequests <= 0 {
		s.MinRequests = 20
	}
	if s.Consecutive == 0 {
		s.Consecutive = 5
	}
	if s.OpenFor <= 0 {
		s.OpenFor = time.Second
	}
	if s.MaxOpen <= 0 {
		s.MaxOpen = time.Minute
	}
	s.MaxOpen = max(s.MaxOpen, s.OpenFor)
	if s.SlowStart == 0 {
		s.SlowStart = 10 * time.Second
	}
	if s.Trials <= 0 {
		s.Trials = 1
	}
	return s
}

// Event is a change that operators should know of. Where From and To are the same, a cool-down began, or a trial of what
// is disabled failed.
type Event struct {
	Seq uint64    `json:"seq"` // counts up by one
	At  time.Time `json:"at"`
	ID
	From   State     `json:"from"`
	To     State     `json:"to"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // when the target may be asked again, if that is known
}
