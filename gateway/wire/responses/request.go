package responses

import (
	"bytes"
	"encoding/json"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// DecodeRequest reads the body of POST /v1/responses, for a gateway that keeps no items: see Decode.
func DecodeRequest(body []byte) (*chat.Request, error) { return Decode(body, nil) }

// Decode reads the body of POST /v1/responses. What it knows must have the right shape; members that it does not know are
// in the result's Extra, those of reasoning as "reasoning.context". The result does not keep the body alive.
//
// An item_reference stands for an item that the caller knows by its id only, as Vercel's AI SDK sends them by default.
// find is asked for it, as JSON; nil, also of find itself, for an item that nobody knows, which is refused.
//
// The error is a *chat.Error of the type invalid_request_error. Its Param and message say where: input[2].content.
func Decode(body []byte, find func(id string) []byte) (*chat.Request, error) {
	if err := peek.Valid(body); err != nil {
		return nil, (&shape.Fault{Text: err.Error()}).Refusal()
	}
	r := reader{turns: turns{find: find}}
	if bad := r.read(bytes.TrimSpace(body)); bad != nil {
		return nil, bad.Refusal()
	}
	r.q.Lost = known.Lost(body)
	return &r.q, nil
}

// reader is a request being read.
type reader struct {
	q            chat.Request
	turns        turns
	instructions *string
	safety       string
	goesOn       bool // something that is not in the request comes before its input
}

const (
	maxTokens   = 1 << 40 // more is a mistake
	maxLogprobs = 20      // by OpenAI's schema
)

func (r *reader) read(v []byte) *shape.Fault {
	q := &r.q
	if bad := shape.Object(v, r.member); bad != nil {
		return bad
	}
	q.IncludeUsage = q.Stream // its terminal event always has usage
	if q.User == "" {
		q.User = r.safety
	} else if r.safety != "" {
		quoted := shape.AppendString(nil, r.safety)
		q.Extra = append(q.Extra, chat.Member{Name: "safety_identifier", Value: quoted})
	}
	if r.instructions != nil {
		said := chat.Message{Role: chat.RoleSystem, Parts: []chat.Part{{Text: *r.instructions}}, At: chat.Unlisted}
		q.Messages, q.Instructions = append(q.Messages, said), true
	}
	q.Messages = append(q.Messages, r.turns.list...)
	switch {
	case q.Model == "":
		return shape.Missing("model")
	case len(r.turns.list) == 0 && q.Previous == "" && !r.goesOn:
		return shape.Missing("input")
	}
	return nil
}

// member reads one of the request's own members.
func (r *reader) member(key, v []byte) *shape.Fault {
	q := &r.q
	switch string(key) {
	case "model":
		return shape.Text(v, &q.Model)
	case "input":
		return r.turns.read(v)
	case "instructions":
		r.instructions = new(string)
		return shape.Text(v, r.instructions)
	case "previous_response_id":
		return shape.Text(v, &q.Previous)
	case "tools":
		return shape.List(v, &q.Tools, readTool)
	case "tool_choice":
		return readToolChoice(v, &q.Choice)
	case "parallel_tool_calls":
		return shape.Bool(v, &q.Parallel)
	case "text":
		return r.text(v)
	case "reasoning":
		return r.reasoning(v)
	case "include":
		return r.include(v)
	case "stream":
		return shape.Is(v, &q.Stream)
	}
	return r.option(key, v)
}

// option reads the members that are numbers, names and switches.
func (r *reader) option(key, v []byte) *shape.Fault {
	q := &r.q
	switch string(key) {
	case "max_output_tokens":
		return shape.Count(v, 1, maxTokens, &q.MaxTokens)
	case "temperature":
		return shape.Number(v, &q.Sampling.Temperature)
	case "top_p":
		return shape.Number(v, &q.Sampling.TopP)
	case "top_logprobs":
		bad := shape.Count(v, 0, maxLogprobs, &q.TopLogprobs)
		if bad == nil && *q.TopLogprobs > 0 {
			q.Logprobs = new(true)
		}
		return bad
	case "store":
		return shape.Bool(v, &q.Store)
	case "metadata":
		return shape.Raw(v, &q.Metadata)
	case "user":
		return shape.Text(v, &q.User)
	case "safety_identifier":
		return shape.Text(v, &r.safety)
	case "service_tier":
		return shape.Text(v, &q.ServiceTier)
	case "prompt_cache_key":
		return shape.Text(v, &q.CacheKey)
	}
	return r.rest(key, v)
}

// rest keeps what the neutral form has no place for, if it says anything.
func (r *reader) rest(key, v []byte) *shape.Fault {
	switch string(key) {
	case "stream_options": // holds only include_obfuscation, and the gateway obfuscates nothing
		return shape.Object(v, func(_, _ []byte) *shape.Fault { return nil })
	case "background":
		var b bool
		if bad := shape.Is(v, &b); bad != nil || !b {
			return bad
		}
	case "truncation":
		var s string
		if bad := shape.Text(v, &s); bad != nil || s == "disabled" {
			return bad
		}
	case "conversation", "prompt":
		r.goesOn = true
	}
	r.extra(string(key), v)
	return nil
}

func (r *reader) extra(name string, v []byte) {
	r.q.Extra = append(r.q.Extra, chat.Member{Name: name, Value: bytes.Clone(v)})
}

func (r *reader) text(v []byte) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "format":
			return readFormat(v, &r.q.Format)
		case "verbosity":
			return shape.Text(v, &r.q.Verbosity)
		}
		r.extra("text."+string(key), v)
		return nil
	})
}

func (r *reader) reasoning(v []byte) *shape.Fault {
	t := &r.q.Reasoning
	var older string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "effort":
			return shape.Text(v, &t.Effort)
		case "summary":
			return shape.Text(v, &t.Summary)
		case "generate_summary": // deprecated
			return shape.Text(v, &older)
		}
		r.extra("reasoning."+string(key), v)
		return nil
	})
	if t.Effort == effortNone {
		t.Mode = chat.ThinkOff
	}
	if t.Summary == "" {
		t.Summary = older
	}
	return bad
}

// Values of members that mean something here.
const (
	effortNone       = "none"
	summaryOmitted   = "omitted" // Anthropic's; here the default
	includeLogprobs  = "message.output_text.logprobs"
	includeEncrypted = "reasoning.encrypted_content"
)

// include reads what is to be part of the answer beyond the usual. Encrypted reasoning always is.
func (r *reader) include(v []byte) *shape.Fault {
	var names, others []string
	if bad := shape.List(v, &names, shape.Text); bad != nil {
		return bad
	}
	for _, name := range names {
		switch name {
		case includeLogprobs:
			r.q.Logprobs = new(true)
		case includeEncrypted:
		default:
			others = append(others, name)
		}
	}
	if others != nil {
		list, err := json.Marshal(others)
		if err != nil {
			return &shape.Fault{Text: err.Error()}
		}
		r.extra("include", list)
	}
	return nil
}

func readFormat(v []byte, f *chat.Format) *shape.Fault {
	var kind string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "name":
			return shape.Text(v, &f.Name)
		case "description":
			return shape.Text(v, &f.Description)
		case "schema":
			return shape.Raw(v, &f.Schema)
		case "strict":
			return shape.Bool(v, &f.Strict)
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	switch kind {
	case "text":
		*f = chat.Format{}
	case "json_object":
		*f = chat.Format{Kind: chat.FormatJSON}
	case "json_schema":
		f.Kind = chat.FormatSchema
		switch {
		case f.Name == "":
			return shape.Missing("name")
		case f.Schema == nil:
			return shape.Missing("schema")
		}
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("text, json_object or json_schema").In("type")
	}
	return nil
}
