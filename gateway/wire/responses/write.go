package responses

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendRequest writes the body of POST /v1/responses, for providers that serve nothing else. The provider is told not to
// keep the answer, unless q says so or came as a Responses request itself: elsewhere that is the default. Thoughts that
// only their provider can read, and those without a signature, are left out, for the API refuses them.
//
// Some things cannot be left out without changing what is asked for: several choices, audio, hosted tools of others. They
// are errors, as is everything that is left out if t.Refuse.
func AppendRequest(dst []byte, q *chat.Request, t *chat.Target) (body []byte, dropped []string, err error) {
	w := writer{dst: dst, q: chat.Shorten(q, maxCallID), t: t}
	w.request()
	dropped = w.dropped.Names()
	if w.err == nil && t.Refuse && len(dropped) > 0 {
		w.refuse(dropped[0], "cannot be carried over to the Responses API")
	}
	if w.err != nil {
		return dst, nil, w.err
	}
	return w.dst, dropped, nil
}

// maxCallID is how many bytes an id of a call may have, by OpenAI's schema.
const maxCallID = 64

// writer is a request being written.
type writer struct {
	dst     []byte
	q       *chat.Request
	t       *chat.Target
	dropped chat.Dropped
	err     *chat.Error

	written int             // items
	custom  map[string]bool // ids of the calls of custom tools
	secrets bool            // the history has thoughts
}

// own says that the request came in this dialect.
func (w *writer) own() bool { return w.q.Dialect == Name }

// drop notes what is left out.
func (w *writer) drop(name string) { w.dropped.Add(name) }

// refuse notes the first thing that is wrong.
func (w *writer) refuse(param, text string) {
	if w.err == nil {
		w.err = (&shape.Fault{Path: param, Text: text}).Refusal()
	}
}

func (w *writer) raw(s string) { w.dst = append(w.dst, s...) }

func (w *writer) text(key, s string) {
	if s != "" {
		w.raw(key)
		w.dst = shape.AppendString(w.dst, s)
	}
}

func (w *writer) flag(key string, b *bool) {
	if b != nil {
		w.raw(key)
		w.dst = appendBool(w.dst, *b)
	}
}

func (w *writer) request() {
	q := w.q
	if q.N > 1 {
		w.refuse("n", "the Responses API gives one choice only")
	}
	w.text(`{"model":`, w.t.Model)
	from := 0
	if q.Instructions && len(q.Messages) > 0 {
		w.raw(`,"instructions":`)
		w.dst = shape.AppendString(w.dst, q.Messages[0].Text(chat.PartText))
		from = 1
	}
	w.raw(`,"input":[`)
	for i := from; i < len(q.Messages); i++ {
		w.message(i)
	}
	w.raw("]")
	w.text(`,"previous_response_id":`, q.Previous)
	if q.Store != nil {
		w.flag(`,"store":`, q.Store)
	} else if !w.own() {
		w.raw(`,"store":false`)
	}
	w.tools()
	w.flag(`,"parallel_tool_calls":`, q.Parallel)
	w.answer()
	w.sampling()
	w.think()
	w.include()
	w.rest()
	if q.Stream {
		w.raw(`,"stream":true`)
	}
	w.raw("}")
}

func (w *writer) tools() {
	tools := w.q.Tools
	if len(tools) > 0 {
		w.raw(`,"tools":[`)
		for i := range tools {
			var ok bool
			if w.dst, ok = appendTool(comma(w.dst, i), &tools[i]); !ok {
				w.refuse("tools["+strconv.Itoa(i)+"].type", "the tool "+tools[i].Name+" is run by its own provider only")
			}
		}
		w.raw("]")
	}
	if w.q.Choice.Mode != chat.ChoiceUnset {
		w.raw(`,"tool_choice":`)
		w.dst = appendChoice(w.dst, &w.q.Choice, tools)
	}
}

// leastTokens is the least that OpenAI takes for max_output_tokens.
const leastTokens = 16

// answer writes what the answer is to look like.
func (w *writer) answer() {
	q := w.q
	if n := q.MaxTokens; n != nil {
		if *n < leastTokens {
			w.drop("max_completion_tokens")
		}
		w.dst = strconv.AppendInt(append(w.dst, `,"max_output_tokens":`...), max(*n, leastTokens), 10)
	}
	switch {
	case q.Format.Kind != chat.FormatText:
		w.raw(`,"text":`)
		w.dst = appendText(w.dst, q, "")
	case q.Verbosity != "":
		w.text(`,"text":{"verbosity":`, q.Verbosity)
		w.raw("}")
	}
	if len(q.Stop) > 0 {
		w.drop("stop")
	}
}

func (w *writer) sampling() {
	s := &w.q.Sampling
	number := func(key, name string, f *float64) {
		switch {
		case f == nil:
		case w.t.NoSampling:
			w.drop(name)
		default:
			w.dst = appendFloat(append(w.dst, key...), f, "")
		}
	}
	number(`,"temperature":`, "temperature", s.Temperature)
	number(`,"top_p":`, "top_p", s.TopP)
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"top_k", s.TopK != nil},
		{"frequency_penalty", s.FrequencyPenalty != nil},
		{"presence_penalty", s.PresencePenalty != nil},
		{"seed", s.Seed != nil},
		{"logit_bias", s.LogitBias != nil},
	} {
		if other.set {
			w.drop(other.name)
		}
	}
}

// think writes how much is to be thought. A budget in tokens becomes the effort that is nearest; who gives one, Claude's
// clients, is shown the thoughts unless he says otherwise, and here they come only if a summary is asked for.
func (w *writer) think() {
	r := &w.q.Reasoning
	effort := r.Effort
	switch {
	case effort != "":
	case r.Mode == chat.ThinkOff:
		effort = effortNone
	case r.Mode == chat.ThinkBudget:
		effort = chat.EffortOf(r.Budget)
	}
	effort, exact := w.t.Effort(effort)
	if !exact {
		w.drop("reasoning_effort")
	}
	members := `,"reasoning":{`
	member := func(key string) {
		w.raw(members + key)
		members = ","
	}
	if effort != "" {
		member(`"effort":`)
		w.dst = shape.AppendString(w.dst, effort)
	}
	summary := summaryOf(w.q)
	if r.Mode == chat.ThinkBudget && r.Summary == "" && effort != "" && effort != effortNone {
		summary = "auto"
	}
	if summary != "" {
		member(`"summary":`)
		w.dst = shape.AppendString(w.dst, summary)
	}
	for i := range w.q.Extra {
		if e := &w.q.Extra[i]; strings.HasPrefix(e.Name, "reasoning.") {
			member("")
			w.dst = shape.AppendString(w.dst, strings.TrimPrefix(e.Name, "reasoning."))
			w.dst = append(append(w.dst, ':'), e.Value...)
		}
	}
	if members == "," {
		w.raw("}")
	}
}

// include asks for what the answer would not have otherwise. Encrypted thoughts are refused by models that do not think, so
// they are asked for only of one that is told to, or did.
func (w *writer) include() {
	var names []string
	_ = json.Unmarshal(extra(w.q, "include", "[]"), &names) // what is no list of names was not one in the request
	if l := w.q.Logprobs; l != nil && *l {
		names = append(names, includeLogprobs)
	}
	r := &w.q.Reasoning
	thinks := r.Mode > chat.ThinkOff || r.Mode == chat.ThinkUnset && r.Effort != "" && r.Effort != effortNone
	if thinks || w.secrets {
		names = append(names, includeEncrypted)
	}
	if n := w.q.TopLogprobs; n != nil {
		w.dst = strconv.AppendInt(append(w.dst, `,"top_logprobs":`...), *n, 10)
	}
	if len(names) == 0 {
		return
	}
	w.raw(`,"include":[`)
	for i, name := range names {
		w.dst = shape.AppendString(comma(w.dst, i), name)
	}
	w.raw("]")
}

// shared are the members without a place in the neutral form that mean here what they mean elsewhere. A value of another
// type is another dialect's: Anthropic's context_management is an object.
var shared = map[string]string{
	"background": "tf", "context_management": "[", "conversation": `"{`, "max_tool_calls": "0123456789", "moderation": "{",
	"prompt": "{", "prompt_cache_options": "{", "prompt_cache_retention": `"`, "safety_identifier": `"`, "truncation": `"`,
}

// rest writes what is left.
func (w *writer) rest() {
	q := w.q
	w.text(`,"user":`, chat.ShortUser(q.User))
	w.text(`,"prompt_cache_key":`, q.CacheKey)
	switch {
	case q.ServiceTier == "standard_only": // Anthropic
		w.raw(`,"service_tier":"default"`)
	case q.ServiceTier != "" && tierOf(q.ServiceTier) != q.ServiceTier:
		w.drop("service_tier")
	default:
		w.text(`,"service_tier":`, q.ServiceTier)
	}
	if q.Metadata != nil {
		w.dst = append(append(w.dst, `,"metadata":`...), q.Metadata...)
	}
	for i := range q.Extra {
		w.extra(&q.Extra[i])
	}
	for _, name := range q.Lost {
		w.drop(name)
	}
}

func (w *writer) extra(e *chat.Member) {
	first, fits := shared[e.Name]
	switch {
	case len(e.Value) == 0 || string(e.Value) == "null":
	case fits && strings.IndexByte(first, e.Value[0]) >= 0:
		w.text(",", e.Name)
		w.dst = append(append(w.dst, ':'), e.Value...)
	case e.Name == "include", e.Name == "stream_options", strings.HasPrefix(e.Name, "reasoning."): // written, or about the form
	case e.Name == "mcp_servers", e.Name == "container":
		w.refuse(e.Name, "is nothing that the Responses API knows")
	case e.Name == "audio", e.Name == "modalities" && bytes.Contains(e.Value, []byte(`"audio"`)):
		w.refuse(e.Name, "the Responses API gives no audio")
	default:
		w.drop(e.Name)
	}
}
