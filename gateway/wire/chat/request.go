package chat

import (
	"encoding/json"
	"strings"
)

// Request asks a model to continue a conversation.
type Request struct {
	Model    string
	Messages []Message

	Tools    []Tool
	Choice   ToolChoice
	Parallel *bool // whether several calls may come in one reply

	Format    Format
	MaxTokens *int64   // of the completion, reasoning included
	Stop      []string // sequences that end the answer
	N         int      // how many choices; 0 is one
	Sampling  Sampling
	Effort    string // of reasoning: none, minimal, low, medium, high, …; the dialect's own words

	Stream       bool
	IncludeUsage bool   // the caller of a stream wants usage in it
	User         string // the caller's own name for its end user
}

// Sampling is how tokens are drawn. Newer models refuse all of it.
type Sampling struct {
	Temperature      *float64
	TopP             *float64
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64
}

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
	Parts  []Part
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
	PartText      PartKind = iota // Text
	PartRefusal                   // Text: the model declines, and says so
	PartReasoning                 // Text: what the model thought
	PartImage                     // Media
	PartAudio                     // Media
	PartFile                      // Media
	PartCall                      // Call
)

// Part is one piece of a message. Media and Call are set for the kinds that name them, else nil.
type Part struct {
	Kind  PartKind
	Text  string
	Media *Media
	Call  *ToolCall
}

// Media is an image, a recording or a document, by value or by reference.
type Media struct {
	URL    string // https: or data:
	Data   string // base64, where the dialect keeps it apart from its type
	Format string // of Data, in the dialect's words: wav, mp3
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

// Tool is something the model may call.
type Tool struct {
	Kind        ToolKind
	Name        string // Hosted: its type
	Description string
	Parameters  json.RawMessage // Function: JSON Schema; Custom: the input's format; Hosted: the whole tool; nil if not given
	Strict      *bool           // whether arguments must follow the schema
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
