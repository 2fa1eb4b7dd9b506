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
