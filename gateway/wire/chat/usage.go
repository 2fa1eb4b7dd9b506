package chat

import "time"

// Usage counts the tokens of one reply in disjoint classes, so that each is multiplied by its own price and their sum
// is the total. Providers overlap them in different ways; dialects take them apart. What was read from a cache counts
// there, whatever it is.
type Usage struct {
	Input          int64 // prompt, in none of the classes below
	CacheRead      int64 // prompt, read from the provider's cache
	CacheWrite     int64 // prompt, written to the provider's cache for its shortest time
	CacheWriteHour int64 // prompt, written for an hour
	InputAudio     int64 // prompt, audio
	InputImage     int64 // prompt, images, where the provider counts them apart
	Output         int64 // answer, in none of the classes below
	Reasoning      int64 // thought before or between the answer
	OutputAudio    int64 // answer, audio
	OutputImage    int64 // answer, images

	Duration   time.Duration // of a recording, where the provider counts its length instead of tokens
	Provenance Provenance

	// Tier is the service tier that served the request, where it was not the ordinary one: flex, priority, batch. Prices
	// depend on it. It is read in passing (see wire.Dialect), and the pieces of a stream have it; a decoded reply has it in
	// [Reply.ServiceTier].
	Tier string
}

// ServedTier is a [Usage.Tier] of what a provider says, the inside of a JSON string: "" for all that the ordinary tier is
// called. It allocates only for names that are not known.
func ServedTier(name []byte) string {
	switch string(name) {
	case "", "default", "standard", "auto", "on_demand", "standard_only":
		return ""
	case "flex":
		return "flex"
	case "priority":
		return "priority"
	case "batch":
		return "batch"
	}
	return string(name)
}

// Prompt is the whole prompt in tokens: what OpenAI calls prompt_tokens.
func (u Usage) Prompt() int64 {
	return u.Input + u.CacheRead + u.CacheWrite + u.CacheWriteHour + u.InputAudio + u.InputImage
}

// Completion is all that was generated, in tokens: what OpenAI calls completion_tokens.
func (u Usage) Completion() int64 { return u.Output + u.Reasoning + u.OutputAudio + u.OutputImage }

// Total is prompt and completion, in tokens.
func (u Usage) Total() int64 { return u.Prompt() + u.Completion() }

// Overlapping are the counts of one reply as OpenAI's APIs report them, in tokens: by their rule all details are part of the
// prompt or of the completion. What is 0 was not said.
type Overlapping struct {
	Prompt, Completion, Total int64
	Cached, Written           int64 // of the prompt
	Reasoning                 int64 // of the completion
}

// Usage takes the classes apart; its provenance is Reported. A provider that counts a detail apart gives itself away when
// the part is larger than the whole, or by a total that contains the part once more: xAI does so for reasoning, others for
// what was cached. Gemini's imitation shows thoughts in the total alone, so what no part explains there was thought.
func (o Overlapping) Usage() Usage {
	kept := o.Cached + o.Written
	apart := o.Reasoning > o.Completion
	switch rest := o.Total - o.Prompt - o.Completion; {
	case rest <= 0:
	case rest == o.Reasoning:
		apart = true
	case rest == kept:
		o.Prompt += kept
	case rest == kept+o.Reasoning:
		o.Prompt, apart = o.Prompt+kept, true
	case apart:
		o.Reasoning = max(o.Reasoning, rest)
	default:
		o.Reasoning, o.Completion = o.Reasoning+rest, o.Completion+rest
	}
	u := Usage{
		Input: o.Prompt, CacheRead: o.Cached, CacheWrite: o.Written,
		Output: o.Completion, Reasoning: o.Reasoning, Provenance: Reported,
	}
	if kept <= o.Prompt {
		u.Input -= kept
	}
	if !apart {
		u.Output -= o.Reasoning
	}
	return u
}

// Provenance says where the numbers of a Usage come from.
type Provenance uint8

// Provenances of usage.
const (
	Unknown   Provenance = iota // nothing is known; the numbers are zero
	Reported                    // by the provider
	Estimated                   // counted by the gateway
	Aborted                     // the reply was cut short before the provider reported: a lower bound
)

// String is the provenance as written to logs and the ledger: unknown, reported, estimated or aborted.
func (p Provenance) String() string {
	switch p {
	case Reported:
		return "reported"
	case Estimated:
		return "estimated"
	case Aborted:
		return "aborted"
	default:
		return "unknown"
	}
}
