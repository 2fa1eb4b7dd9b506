package chat

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Request asks a model to continue a conversation.
type Request struct {
	Dialect  string // in which it came: the name of a wire.Dialect
	Model    string
	Messages []Message

	// Instructions says that the first message holds the instructions of a Responses request, which a later request that
	// continues the conversation does not inherit.
	Instructions bool
	Previous     string // previous_response_id: the conversation goes on from there
	Store        *bool  // whether the provider is to keep the answer

	Tools    []Tool
	Choice   ToolChoice
	Parallel *bool // whether several calls may come in one reply

	Format      Format
	Verbosity   string   // low, medium, high, or empty
	MaxTokens   *int64   // of the completion, reasoning included
	Stop        []string // sequences that end the answer
	N           int      // how many choices; 0 is one
	Sampling    Sampling
	Reasoning   Reasoning
	Logprobs    *bool
	TopLogprobs *int64 // how many alternatives to each token

	Stream       bool
	IncludeUsage bool // the caller of a stream wants usage in it

	User        string          // the caller's own name for its end user
	ServiceTier string          // auto, default, flex, priority, …
	CacheKey    string          // prompt_cache_key: requests that share a prefix
	Cache       Cache           // mark the end of the prompt (Anthropic's top-level cache_control)
	Metadata    json.RawMessage // an object of strings; nil if not given

	// Extra holds the top-level members that have no place above, as they came. An encoder writes those that its dialect
	// knows under the same name and with the same meaning, and names the others as dropped.
	Extra []Member

	// Lost names the members further down that have no place above, as Dropped has names: tools.defer_loading.
	Lost []string
}

// Member is one member of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Sampling is how tokens are drawn. Newer models refuse all of it.
type Sampling struct {
	Temperature      *float64 // 0 to 2, as OpenAI has it; Anthropic's 0 to 1 is the same scale, cut off
	TopP             *float64
	TopK             *int64
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64
	LogitBias        json.RawMessage // an object of token id → bias; nil if not given
}

// ThinkMode says how a model is told to think.
type ThinkMode uint8

// Modes of thinking.
const (
	ThinkUnset        ThinkMode = iota // the model's default, or as Effort says
	ThinkOff                           // not at all
	ThinkAdaptive                      // as much as the model sees fit
	ThinkBudget                        // up to Budget tokens
	ThinkBetweenTools                  // only between calls
)

// Reasoning is how much a model thinks before it answers, and how much of that it shows.
type Reasoning struct {
	Mode    ThinkMode
	Effort  string // none, minimal, low, medium, high, xhigh, max; empty: the default. "none" comes with ThinkOff
	Budget  int64  // tokens, for ThinkBudget
	Summary string // of the thoughts: auto, concise, detailed, omitted; empty: the default
}

// Cache marks the end of a prefix that the provider should keep: empty (no mark), "5m", "1h", or "default" where the
// provider chooses the time.
type Cache string

// Role says who speaks.
type Role string

// Roles. Dialects without developer merge it with system; those without tool put results into a user turn.
const (
	RoleSystem    Role = "system"
	RoleDeveloper Role = "developer"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool" // the result of a call
)

// Message is one turn.
type Message struct {
	Role   Role
	Name   string // of the speaker, or of the function for results without CallID
	CallID string // for RoleTool: which call this answers
	Failed bool   // for RoleTool: the call failed, and Parts say why
	Cache  Cache  // behind the message as a whole: for RoleTool, whose parts are in one block
	Parts  []Part

	At int // its place in the caller's own list, from 1; 0: the same as here; Unlisted: it is not there
}

// Unlisted is the place of what a caller says outside of the list of messages, or has said before.
const Unlisted = -1

// Place is what the caller calls the i-th message: messages[2], or input[4] for Responses; for i below 0 the whole list.
func (q *Request) Place(i int) string {
	list := "messages"
	if q.Dialect == "responses" {
		list = "input"
	}
	if i < 0 {
		return list
	}
	at := q.Messages[i].At
	switch {
	case at == 0:
		at = i + 1
	case at == Unlisted && list == "messages":
		return "system"
	case at == Unlisted && i == 0 && q.Instructions:
		return "instructions"
	case at == Unlisted:
		return "previous_response_id"
	case list == "input" && q.Messages[i].Role == RoleAssistant: // which is made of several items
		return list
	}
	return list + "[" + strconv.Itoa(at-1) + "]"
}

// PlaceOf is what the caller calls the k-th part of the i-th message, as exactly as that is known.
func (q *Request) PlaceOf(i, k int) string {
	place, content := q.Place(i), ".content"
	part := "[" + strconv.Itoa(k) + "]"
	switch {
	case !strings.HasSuffix(place, "]"):
		return place
	case q.Dialect == "anthropic": // whose results of calls are parts, too
		part = ""
	case q.Dialect == "responses" && q.Messages[i].Role == RoleTool:
		content = ".output"
	}
	return place + content + part
}

// Text is what the message says: its parts of kind k, joined.
func (m *Message) Text(k PartKind) string {
	var texts []string
	for i := range m.Parts {
		if m.Parts[i].Kind == k {
			texts = append(texts, m.Parts[i].Text)
		}
	}
	return strings.Join(texts, "")
}

// Calls are the message's tool calls, in order.
func (m *Message) Calls() []ToolCall {
	var calls []ToolCall
	for i := range m.Parts {
		if m.Parts[i].Kind == PartCall {
			calls = append(calls, *m.Parts[i].Call)
		}
	}
	return calls
}

// PartKind says what a part is, and so which of its fields count.
type PartKind uint8

// Kinds of part.
const (
	PartText      PartKind = iota // Text, Citations, Logprobs
	PartRefusal                   // Text: the model declines, and says so
	PartReasoning                 // Text: what the model thought, perhaps nothing; Signature
	PartRedacted                  // Signature: thoughts that only their provider can read
	PartImage                     // Media
	PartAudio                     // Media; Text: what is said, if a model made it
	PartFile                      // Media; Text: what it says, if it is a plain text
	PartCall                      // Call, Signature
	PartOther                     // Raw: what only its own dialect knows; Text: what to say instead elsewhere, or nothing
)

// Part is one piece of a message. Media and Call are set for the kinds that name them, else nil.
type Part struct {
	Kind PartKind
	Text string

	// Signature goes back to the provider as it came, or the provider refuses the turn: the signature of a thought
	// (Anthropic), its encrypted content (Responses), what OpenRouter says of it, the thought signature of a call (Gemini).
	Signature string
	Owner     Owner // of the signature of a thought

	ID        string // of the item that holds it (Responses), or empty
	Media     *Media
	Call      *ToolCall
	Citations []Citation
	Logprobs  json.RawMessage // a list as in OpenAI's logprobs.content; nil if not given
	Raw       json.RawMessage
	Cache     Cache // behind this part
}

// Citation is a source of a text on the web.
type Citation struct {
	URL, Title string
	Quote      string // what the source says, or empty
	Start, End int    // what it belongs to, in characters of its part's text; both 0 if not known
}

// Behind is the citation with places that are counted from behind so many characters more, or from before so many if that is
// negative. Places that are not known stay so.
func (c Citation) Behind(from int) Citation {
	if c.Start != 0 || c.End != 0 {
		c.Start, c.End = max(c.Start-from, 0), max(c.End-from, 0)
	}
	return c
}

// Media is an image, a recording or a document, by value or by reference: one of Data, URL and ID is set.
type Media struct {
	Data   string // base64
	Type   string // media type of Data: image/png, audio/wav, application/pdf; empty if not known
	URL    string // https:, or a data: URL that is not in base64
	ID     string // of a file stored with the provider, or of audio it made
	Name   string // of the file, or empty
	Detail string // how closely to look at an image: low, high, auto, or empty
}

// ToolKind says what a tool takes.
type ToolKind uint8

// Kinds of tool.
const (
	Function ToolKind = iota // a JSON object
	Custom                   // free text, or text that follows a grammar
	Hosted                   // whatever its provider says, who also runs it: web search and the like
)

// Tool is something the model may call. The format of a custom tool's input is written as in the Responses API:
// {"type":"grammar","syntax":…,"definition":…} or {"type":"text"}.
type Tool struct {
	Kind        ToolKind
	Name        string // Hosted: its type
	Description string
	Parameters  json.RawMessage // Function: JSON Schema; Custom: the input's format; Hosted: the whole tool; nil if not given
	Strict      *bool           // whether arguments must follow the schema
	Cache       Cache           // behind this tool
}

// ToolCall is the model calling a tool.
type ToolCall struct {
	ID        string
	Kind      ToolKind
	Name      string
	Arguments string // Function: JSON text as the model wrote it, perhaps not valid; Custom: the input
}

// ChoiceMode says whether tools are called.
type ChoiceMode uint8

// Modes of tool choice.
const (
	ChoiceUnset    ChoiceMode = iota // the dialect's default: auto if there are tools
	ChoiceAuto                       // the model decides
	ChoiceNone                       // no call
	ChoiceRequired                   // at least one call
)

// ToolChoice restricts calls. One named tool is ChoiceRequired with its name in Only; a list of allowed tools is
// ChoiceAuto or ChoiceRequired with their names.
type ToolChoice struct {
	Mode ChoiceMode
	Only []string // names of tools that may be called; empty: all
}

// Named says whether one tool, Only[0], must be called, and no other.
func (c *ToolChoice) Named() bool { return c.Mode == ChoiceRequired && len(c.Only) == 1 }

// Allowed is Only as a set; nil if all tools may be called.
func (c *ToolChoice) Allowed() map[string]bool {
	if len(c.Only) == 0 {
		return nil
	}
	set := make(map[string]bool, len(c.Only))
	for _, name := range c.Only {
		set[name] = true
	}
	return set
}

// FormatKind says what an answer must look like.
type FormatKind uint8

// Kinds of format.
const (
	FormatText   FormatKind = iota // anything
	FormatJSON                     // a JSON object
	FormatSchema                   // JSON that follows Schema
)

// Format is what an answer must look like.
type Format struct {
	Kind        FormatKind
	Name        string
	Description string
	Schema      json.RawMessage // nil if not given
	Strict      *bool
}
