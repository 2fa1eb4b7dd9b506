package chat

// Usage counts the tokens of one reply in disjoint classes, so that each is multiplied by its own price and their sum
// is the total. Providers overlap them in different ways; dialects take them apart.
type Usage struct {
	Input      int64 // prompt, neither read from nor written to the provider's cache
	CacheRead  int64 // prompt, read from the provider's cache
	CacheWrite int64 // prompt, written to the provider's cache
	Output     int64 // answer, without reasoning
	Reasoning  int64 // thought before or between the answer
	Provenance Provenance
}

// Prompt is the whole prompt in tokens: what OpenAI calls prompt_tokens.
func (u Usage) Prompt() int64 { return u.Input + u.CacheRead + u.CacheWrite }

// Completion is all that was generated, in tokens: what OpenAI calls completion_tokens.
func (u Usage) Completion() int64 { return u.Output + u.Reasoning }

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
