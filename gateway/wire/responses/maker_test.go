package responses_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// maker makes neutral values of all that the Responses API can express.
type maker struct {
	*rand.Rand
	ids int
}

func newMaker(seed uint64) *maker { return &maker{Rand: rand.New(rand.NewPCG(seed, 1))} }

func (m *maker) some() bool { return m.IntN(2) == 0 }

// word is a text that says something.
func (m *maker) word() string {
	runes := []rune("ab \"\\\n\t\x01\u007f\u00e9\u6f22\U0001F600/<&")
	var b strings.Builder
	for range 1 + m.IntN(8) {
		b.WriteRune(runes[m.IntN(len(runes))])
	}
	return b.String()
}

func (m *maker) id(prefix string) string {
	m.ids++
	return prefix + strconv.Itoa(m.ids)
}

func oneOf[T any](m *maker, list ...T) T { return list[m.IntN(len(list))] }

// maybe is a value that f makes, or nothing.
func maybe[T any](m *maker, f func() T) T {
	var none T
	if m.some() {
		return none
	}
	return f()
}

func (m *maker) request() *chat.Request {
	q := &chat.Request{Dialect: "responses", Model: m.word()}
	if m.some() {
		q.Instructions = true
		q.Messages = append(q.Messages, chat.Message{Role: chat.RoleSystem, Parts: []chat.Part{{Text: m.word()}}})
	}
	for range 1 + m.IntN(4) {
		q.Messages = append(q.Messages, m.turn()...)
	}
	m.tools(q)
	m.options(q)
	return q
}

// turn is what a user says, or what the model does and what comes of its calls.
func (m *maker) turn() []chat.Message {
	user := chat.Message{Role: oneOf(m, chat.RoleUser, chat.RoleSystem, chat.RoleDeveloper), Parts: m.inputs()}
	if m.some() {
		return []chat.Message{user}
	}
	assistant := chat.Message{Role: chat.RoleAssistant, Parts: m.outputs(false)}
	list := []chat.Message{user, assistant}
	for _, c := range assistant.Calls() {
		list = append(list, chat.Message{Role: chat.RoleTool, CallID: c.ID, Parts: m.inputs()})
	}
	return list
}

func (m *maker) inputs() []chat.Part {
	parts := make([]chat.Part, m.IntN(4))
	for i := range parts {
		parts[i] = m.input()
	}
	return parts
}

func (m *maker) input() chat.Part {
	p := chat.Part{Cache: oneOf(m, "", "", chat.Cache("default"))}
	switch p.Kind = oneOf(m, chat.PartText, chat.PartImage, chat.PartFile); p.Kind {
	case chat.PartImage:
		p.Media = oneOf(m, &chat.Media{URL: "https://example.org/" + m.word()}, &chat.Media{ID: m.word()}, &chat.Media{Type: "image/png", Data: "aGk="})
		p.Media.Detail = oneOf(m, "low", "high", "auto")
	case chat.PartFile:
		p.Media = oneOf(m, &chat.Media{ID: m.word()}, &chat.Media{Type: "application/pdf", Data: "aGk="}, &chat.Media{Data: "aGk="},
			&chat.Media{URL: "https://example.org/" + m.word()}, &chat.Media{URL: "data:,hi"})
		p.Media.Name = maybe(m, m.word)
	default:
		p.Text = m.word()
	}
	return p
}

// outputs are the parts of what a model makes in one turn. Before its first call it says one message only: a second one
// would be a message of its own.
func (m *maker) outputs(named bool) []chat.Part {
	var parts []chat.Part
	thoughts := func() {
		for range m.IntN(2) {
			parts = append(parts, m.thought(named))
		}
	}
	thoughts()
	if m.some() {
		parts = append(parts, m.said(named)...)
	}
	thoughts()
	for range m.IntN(3) {
		parts = append(parts, m.called(named))
		thoughts()
		if m.some() {
			parts = append(parts, m.said(true)...)
		}
	}
	if m.some() {
		raw := `{"type":"web_search_call","id":"` + m.id("ws_") + `","status":"completed","action":{"type":"search","query":"q"}}`
		parts = append(parts, chat.Part{Kind: chat.PartOther, Raw: json.RawMessage(raw)})
	}
	if parts == nil {
		return m.said(named)
	}
	return parts
}

func (m *maker) name(named bool, prefix string) string {
	if named || m.some() {
		return m.id(prefix)
	}
	return ""
}

func (m *maker) thought(named bool) chat.Part {
	p := chat.Part{Kind: chat.PartReasoning, Text: maybe(m, m.word), Signature: m.word(), ID: m.name(named, "rs_")}
	if p.ID != "" && m.some() {
		p.Signature = ""
	}
	p.Own(chat.OpenAI)
	return p
}

func (m *maker) said(named bool) []chat.Part {
	id := m.name(named, "msg_")
	parts := make([]chat.Part, 1+m.IntN(3))
	for i := range parts {
		p := &parts[i]
		if p.ID, p.Text = id, m.word(); m.IntN(4) == 0 {
			p.Kind = chat.PartRefusal
			continue
		}
		for range m.IntN(3) {
			from := m.IntN(utf8.RuneCountInString(p.Text))
			p.Citations = append(p.Citations, chat.Citation{URL: m.word(), Title: m.word(), Start: from, End: from + 1})
		}
		p.Logprobs = maybe(m, func() json.RawMessage {
			return json.RawMessage(`[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]`)
		})
	}
	return parts
}

func (m *maker) called(named bool) chat.Part {
	c := &chat.ToolCall{ID: m.id("call_"), Kind: oneOf(m, chat.Function, chat.Custom), Name: m.word(), Arguments: m.word()}
	return chat.Part{Kind: chat.PartCall, Call: c, ID: m.name(named, "fc_"), Signature: maybe(m, m.word)}
}

func (m *maker) tools(q *chat.Request) {
	for range m.IntN(4) {
		t := chat.Tool{Kind: oneOf(m, chat.Function, chat.Custom, chat.Hosted), Name: m.id(m.word()), Description: maybe(m, m.word)}
		switch t.Kind {
		case chat.Function:
			t.Parameters, t.Strict = json.RawMessage(`{"type":"object","properties":{}}`), new(m.some())
		case chat.Custom:
			t.Parameters = maybe(m, func() json.RawMessage { return json.RawMessage(`{"type":"text"}`) })
		default:
			t = chat.Tool{Kind: chat.Hosted, Name: "web_search_preview", Parameters: json.RawMessage(`{"type":"web_search_preview","search_context_size":"low"}`)}
		}
		q.Tools = append(q.Tools, t)
	}
	q.Choice.Mode = oneOf(m, chat.ChoiceUnset, chat.ChoiceAuto, chat.ChoiceNone, chat.ChoiceRequired)
	if q.Choice.Mode == chat.ChoiceAuto || q.Choice.Mode == chat.ChoiceRequired {
		for i := range q.Tools {
			if m.some() {
				q.Choice.Only = append(q.Choice.Only, q.Tools[i].Name)
			}
		}
	}
	q.Parallel = maybe(m, func() *bool { return new(m.some()) })
}

func (m *maker) options(q *chat.Request) {
	count := func(least int64) *int64 { return maybe(m, func() *int64 { return new(least + m.Int64N(9)) }) }
	number := func() *float64 { return maybe(m, func() *float64 { return new(m.Float64()) }) }
	q.Previous, q.User, q.CacheKey = maybe(m, m.word), maybe(m, m.word), maybe(m, m.word)
	q.Store = maybe(m, func() *bool { return new(m.some()) })
	q.Format = oneOf(m, chat.Format{}, chat.Format{Kind: chat.FormatJSON}, chat.Format{
		Kind: chat.FormatSchema, Name: m.word(), Description: maybe(m, m.word), Schema: json.RawMessage(`{"type":"object"}`),
		Strict: maybe(m, func() *bool { return new(m.some()) }),
	})
	q.Verbosity = oneOf(m, "", "low", "high")
	q.MaxTokens, q.TopLogprobs = count(16), count(0)
	if m.some() || q.TopLogprobs != nil && *q.TopLogprobs > 0 {
		q.Logprobs = new(true)
	}
	q.Sampling.Temperature, q.Sampling.TopP = number(), number()
	q.Reasoning = chat.Reasoning{Effort: oneOf(m, "", "none", "low", "xhigh"), Summary: oneOf(m, "", "auto", "detailed")}
	if q.Reasoning.Effort == "none" {
		q.Reasoning.Mode = chat.ThinkOff
	}
	q.Stream = m.some()
	q.IncludeUsage = q.Stream
	q.ServiceTier = oneOf(m, "", "auto", "flex")
	q.Metadata = maybe(m, func() json.RawMessage { return json.RawMessage(`{"a":"b"}`) })
	for _, e := range []chat.Member{
		{Name: "reasoning.context", Value: json.RawMessage(`"all_turns"`)},
		{Name: "include", Value: json.RawMessage(`["file_search_call.results"]`)},
		{Name: "background", Value: json.RawMessage(`true`)},
		{Name: "context_management", Value: json.RawMessage(`[]`)},
		{Name: "conversation", Value: json.RawMessage(`"conv_1"`)},
		{Name: "max_tool_calls", Value: json.RawMessage(`3`)},
		{Name: "moderation", Value: json.RawMessage(`{"model":"m"}`)},
		{Name: "prompt", Value: json.RawMessage(`{"id":"p"}`)},
		{Name: "prompt_cache_options", Value: json.RawMessage(`{"mode":"explicit"}`)},
		{Name: "prompt_cache_retention", Value: json.RawMessage(`"24h"`)},
		{Name: "truncation", Value: json.RawMessage(`"auto"`)},
	} {
		if m.some() {
			q.Extra = append(q.Extra, e)
		}
	}
	if q.User != "" && m.some() {
		q.Extra = append(q.Extra, chat.Member{Name: "safety_identifier", Value: json.RawMessage(`"s"`)})
	}
}

func (m *maker) head() chat.Head {
	return chat.Head{ID: m.id("resp_"), Model: m.word(), Created: m.Int64N(1 << 40)}
}

func (m *maker) usage() chat.Usage {
	if m.some() {
		return chat.Usage{}
	}
	n := func() int64 { return m.Int64N(1 << 20) }
	return chat.Usage{Input: n(), CacheRead: n(), CacheWrite: n(), Output: 1 + n(), Reasoning: n(), Provenance: chat.Reported}
}

func (m *maker) reply() *chat.Reply {
	r := &chat.Reply{Head: m.head(), Usage: m.usage(), ServiceTier: oneOf(m, "default", "flex", "priority")}
	parts := m.outputs(true)
	if m.some() {
		parts = append(parts, chat.Part{Kind: chat.PartRedacted, Signature: m.word(), Owner: chat.Anthropic, ID: m.id("rs_")})
	}
	if m.some() {
		parts = append(parts, chat.Part{Kind: chat.PartImage, ID: m.id("ig_"), Media: &chat.Media{Data: "aGk=", Type: "image/png"}})
	}
	msg := chat.Message{Role: chat.RoleAssistant, Parts: parts}
	r.Choices = []chat.Choice{{Message: msg, Finish: m.finish(len(msg.Calls()) > 0)}}
	return r
}

func (m *maker) finish(calls bool) chat.FinishReason {
	done := chat.FinishStop
	if calls {
		done = chat.FinishCalls
	}
	return oneOf(m, done, done, chat.FinishLength, chat.FinishFilter)
}

// stream is a stream by the grammar of pieces. Texts are cut anywhere between characters, and between halves of a
// surrogate pair.
func (m *maker) stream() []chat.Piece {
	list := []chat.Piece{{Kind: chat.PieceBegin, Head: new(m.head())}}
	calls, said := 0, 0
	for range m.IntN(12) {
		switch m.IntN(8) {
		case 0, 1:
			from := said
			for range 1 + m.IntN(3) {
				p := chat.Piece{Kind: chat.PieceText, Text: m.inside()}
				p.Logprobs = maybe(m, func() []byte { return []byte(`[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]`) })
				list = append(list, p)
				said += chat.Characters(p.Text)
			}
			if m.some() {
				from += m.IntN(said - from)
				list = append(list, chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: m.word(), Title: m.word(), Start: from, End: from + 1}})
			}
		case 2:
			list = append(list, chat.Piece{Kind: chat.PieceRefusal, Text: m.inside()})
		case 3:
			list = append(list, chat.Piece{Kind: chat.PieceReasoning, Text: m.inside()})
		case 4:
			list = append(list, oneOf(m, chat.Piece{Kind: chat.PieceSignature, Owner: chat.OpenAI}, chat.Piece{Kind: chat.PieceRedacted, Owner: chat.Anthropic}))
			list[len(list)-1].Text = m.inside()
		case 5:
			c := &chat.ToolCall{ID: m.id("call_"), Kind: oneOf(m, chat.Function, chat.Custom), Name: m.word()}
			list = append(list, chat.Piece{Kind: chat.PieceCall, Index: calls, Call: c},
				chat.Piece{Kind: chat.PieceArguments, Index: calls, Text: m.inside()})
			if m.some() {
				list = append(list, chat.Piece{Kind: chat.PieceSignature, Index: calls, Call: c, Text: m.inside()})
			}
			calls++
		case 6:
			if m.some() {
				list = append(list, chat.Piece{Kind: chat.PieceImage, Text: []byte("data:image/png;base64,aGk=")})
			}
			if calls > 0 {
				list = append(list, chat.Piece{Kind: chat.PieceArguments, Index: m.IntN(calls), Text: m.inside()})
			}
		default:
			list = append(list, chat.Piece{Kind: chat.PieceUsage, Usage: &chat.Usage{Input: 1, Provenance: chat.Reported}})
		}
	}
	list = append(list, chat.Piece{Kind: chat.PieceFinish, Finish: m.finish(calls > 0)})
	u := m.usage()
	if u.Provenance == chat.Unknown {
		u = chat.Usage{Input: 3, Output: 4, Provenance: chat.Reported}
	}
	u.Tier = oneOf(m, "", "flex", "priority")
	return append(list, chat.Piece{Kind: chat.PieceUsage, Usage: &u}, chat.Piece{Kind: chat.PieceEnd})
}

// inside is a piece of a text as it stands in a JSON string.
func (m *maker) inside() []byte {
	pieces := []string{`a`, ` b`, `\"`, `\\`, `\n`, `\u00e9`, "é", "\U0001F600", `\/`, `\ud83d\ude00`}
	var b []byte
	for range 1 + m.IntN(6) {
		b = append(b, pieces[m.IntN(len(pieces))]...)
	}
	return b
}
