package catalog

// Model is what is known of one model at one kind of provider. It is shared and read-only. The methods of a nil Model
// know nothing, so that the result of [Catalog.Lookup] needs no test.
type Model struct {
	Provider string // kind of provider: openai, anthropic, gemini, …
	Name     string // as the provider spells it; "*" stands for every model of the provider
	Aliases  []string

	Mode    string // chat, responses, completion, embedding, image, speech, transcription, moderation, rerank, realtime; or ""
	Context int64  // window, in tokens: prompt and answer; 0 if unknown
	Output  int64  // most tokens of an answer; 0 if unknown

	Sampling      Sampling
	Efforts       []string // accepted efforts of reasoning, least first; empty if unknown
	DefaultEffort string   // what an effort left out means; "" if unknown
	Thinking      Thinking

	Tariffs []Tariff // what is charged: by tier, then by length of the prompt; empty if unknown
	Retires string   // day on which the provider stops serving it, 2026-12-11; "" if unknown
	Sources []string // names of the sources that agree on its prices; see [Catalog.Sources]

	yes, no Ability
}

// Ability is something that a model may be able to do.
type Ability uint16

// Abilities.
const (
	Tools         Ability = 1 << iota // calls functions
	ParallelTools                     // calls several in one answer
	ToolChoice                        // can be told which to call
	Vision                            // takes images
	Audio                             // takes sound
	Files                             // takes PDF documents
	Structured                        // answers by a JSON schema
	Reasoning                         // thinks before it answers
	AudioOutput                       // answers in sound
	Caching                           // charges less for a prompt that it has seen
)

var abilityNames = [...]string{
	"tools", "parallel_tools", "tool_choice", "vision", "audio", "files", "structured", "reasoning", "audio_output", "caching",
}

// Answer is yes or no, where it is known.
type Answer uint8

// Answers.
const (
	Unknown Answer = iota
	Yes
	No
)

// Can answers whether the model has all of some abilities: No if one is known to be missing.
func (m *Model) Can(a Ability) Answer {
	switch {
	case m == nil:
		return Unknown
	case m.no&a != 0:
		return No
	case m.yes&a == a:
		return Yes
	default:
		return Unknown
	}
}

// Sampling says whether a model takes temperature, top_p and the like. Vendors have taken them away model by model.
type Sampling uint8

// Kinds of sampling.
const (
	SamplingUnknown          Sampling = iota
	SamplingAccepted                  // always
	SamplingRefused                   // 400, whatever the value
	SamplingWithoutReasoning          // only if the effort of reasoning is none
)

var samplingNames = [...]string{"", "accepted", "refused", "without_reasoning"}

// String is the name as in an [Entry].
func (s Sampling) String() string { return samplingNames[s] }

// TakesSampling answers whether the model takes temperature, top_p and the like beside an effort of reasoning, "" if the
// request has none.
func (m *Model) TakesSampling(effort string) Answer {
	if m == nil {
		return Unknown
	}
	switch m.Sampling {
	case SamplingAccepted:
		return Yes
	case SamplingRefused:
		return No
	case SamplingWithoutReasoning:
		if effort == "" {
			effort = m.DefaultEffort
		}
		if effort == "none" {
			return Yes
		}
		return No
	default:
		return Unknown
	}
}

// Thinking is how a model's thought is asked for.
type Thinking uint8

// Kinds of thinking.
const (
	ThinkingUnknown  Thinking = iota
	ThinkingEffort            // by an effort alone
	ThinkingBudget            // by a budget in tokens
	ThinkingAdaptive          // the model decides how long; an effort steers it
	ThinkingAlways            // as adaptive, and it cannot be switched off
)

var thinkingNames = [...]string{"", "effort", "budget", "adaptive", "always"}

// String is the name as in an [Entry].
func (t Thinking) String() string { return thinkingNames[t] }
