package openai

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Name is that of the dialect.
const Name = "openai"

const (
	maxChoices = 128     // by OpenAI's schema
	maxTokens  = 1 << 40 // more is a mistake
)

// DecodeRequest reads the body of POST /v1/chat/completions. What it knows must have the right shape; other members go
// to Extra, for providers extend the format. Of those extensions it knows top_k, Anthropic's cache marks and thinking as
// LiteLLM writes them, OpenRouter's reasoning and DeepSeek's thinking. The result does not keep the body alive.
//
// The error is a *chat.Error of the type invalid_request_error. Its Param and message say where: messages[2].content.
func DecodeRequest(body []byte) (*chat.Request, error) {
	if err := peek.Valid(body); err != nil {
		return nil, (&shape.Fault{Text: err.Error()}).Refusal()
	}
	d := requestReader{r: &chat.Request{Dialect: Name}}
	bad := shape.Object(bytes.TrimSpace(body), d.member)
	if bad == nil {
		bad = d.settle()
	}
	if bad != nil {
		return nil, bad.Refusal()
	}
	d.r.Lost = known.Lost(body)
	return d.r, nil
}

// requestReader gathers what has two names, of which one counts.
type requestReader struct {
	r                  *chat.Request
	limit, oldLimit, n *int64
	oldTools           []chat.Tool
	oldChoice          chat.ToolChoice
	safety             json.RawMessage
}

func (d *requestReader) member(key, v []byte) *shape.Fault {
	r := d.r
	switch string(key) {
	case "model":
		return shape.Text(v, &r.Model)
	case "messages":
		return shape.List(v, &r.Messages, readMessage)
	case "tools":
		return shape.List(v, &r.Tools, readTool)
	case "tool_choice":
		return readToolChoice(v, &r.Choice)
	case "functions":
		return shape.List(v, &d.oldTools, readFunction)
	case "function_call":
		return readFunctionChoice(v, &d.oldChoice)
	case "parallel_tool_calls":
		return shape.Bool(v, &r.Parallel)
	case "response_format":
		return readFormat(v, &r.Format)
	case "max_completion_tokens":
		return shape.Count(v, 0, maxTokens, &d.limit)
	case "max_tokens":
		return shape.Count(v, 0, maxTokens, &d.oldLimit)
	case "stop":
		return readStop(v, &r.Stop)
	case "n":
		return shape.Count(v, 1, maxChoices, &d.n)
	case "stream":
		return shape.Is(v, &r.Stream)
	case "stream_options":
		return readStreamOptions(v, r)
	}
	return d.option(key, v)
}

// option reads what neither asks nor draws.
func (d *requestReader) option(key, v []byte) *shape.Fault {
	r := d.r
	switch string(key) {
	case "reasoning_effort":
		return shape.Text(v, &r.Reasoning.Effort)
	case "reasoning":
		return readReasoning(v, &r.Reasoning)
	case "thinking":
		return readThinking(v, &r.Reasoning)
	case "verbosity":
		return shape.Text(v, &r.Verbosity)
	case "user":
		return shape.Text(v, &r.User)
	case "safety_identifier":
		d.safety = bytes.Clone(v)
		return shape.Text(v, new(string))
	case "service_tier":
		return shape.Text(v, &r.ServiceTier)
	case "prompt_cache_key":
		return shape.Text(v, &r.CacheKey)
	case "cache_control":
		return readMark(v, &r.Cache)
	case "metadata":
		return shape.Raw(v, &r.Metadata)
	case "store":
		return shape.Bool(v, &r.Store)
	case "logprobs":
		return shape.Bool(v, &r.Logprobs)
	case "top_logprobs":
		return shape.Whole(v, &r.TopLogprobs)
	}
	return d.sampling(key, v)
}

func (d *requestReader) sampling(key, v []byte) *shape.Fault {
	s := &d.r.Sampling
	switch string(key) {
	case "temperature":
		return shape.Number(v, &s.Temperature)
	case "top_p":
		return shape.Number(v, &s.TopP)
	case "top_k":
		return shape.Whole(v, &s.TopK)
	case "frequency_penalty":
		return shape.Number(v, &s.FrequencyPenalty)
	case "presence_penalty":
		return shape.Number(v, &s.PresencePenalty)
	case "seed":
		return shape.Whole(v, &s.Seed)
	case "logit_bias":
		return shape.Raw(v, &s.LogitBias)
	}
	d.r.Extra = append(d.r.Extra, chat.Member{Name: string(key), Value: bytes.Clone(v)})
	return nil
}

// settle decides between names for the same thing, and says what is missing.
func (d *requestReader) settle() *shape.Fault {
	r := d.r
	switch {
	case r.Model == "":
		return shape.Missing("model")
	case len(r.Messages) == 0:
		return shape.Missing("messages")
	}
	if r.MaxTokens = d.limit; d.limit == nil {
		r.MaxTokens = d.oldLimit
	}
	r.Tools = append(r.Tools, d.oldTools...)
	if r.Choice.Mode == chat.ChoiceUnset {
		r.Choice = d.oldChoice
	}
	if d.safety != nil {
		if r.User == "" {
			r.User, _ = peek.String(d.safety)
		} else {
			r.Extra = append(r.Extra, chat.Member{Name: "safety_identifier", Value: d.safety})
		}
	}
	if d.n != nil {
		r.N = int(*d.n)
	}
	switch t := &r.Reasoning; {
	case t.Effort == "none" && t.Mode == chat.ThinkUnset:
		t.Mode = chat.ThinkOff
	case t.Effort == "" && t.Mode == chat.ThinkOff:
		t.Effort = "none"
	}
	identify(r.Messages)
	return nil
}

// identify gives ids to calls and results of the deprecated form, which go by the function's name.
func identify(messages []chat.Message) {
	ids := map[string]string{} // of the last call of each function
	for i := range messages {
		m := &messages[i]
		for k := range m.Parts {
			if c := m.Parts[k].Call; c != nil && c.ID == "" {
				c.ID = "call_" + strconv.Itoa(i)
				ids[c.Name] = c.ID
			}
		}
		if m.Role == chat.RoleTool && m.CallID == "" {
			m.CallID = ids[m.Name]
		}
	}
}

// readReasoning reads OpenRouter's {"effort":…,"max_tokens":…,"exclude":…,"enabled":…,"summary":…}.
func readReasoning(v []byte, r *chat.Reasoning) *shape.Fault {
	var budget *int64
	var enabled *bool
	var exclude bool
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "effort":
			return shape.Text(v, &r.Effort)
		case "max_tokens":
			return shape.Count(v, 0, maxTokens, &budget)
		case "exclude":
			return shape.Is(v, &exclude)
		case "enabled":
			return shape.Bool(v, &enabled)
		case "summary":
			return shape.Text(v, &r.Summary)
		}
		return nil
	})
	switch {
	case enabled != nil && !*enabled:
		r.Mode = chat.ThinkOff
	case budget != nil:
		r.Mode, r.Budget = chat.ThinkBudget, *budget
	case enabled != nil && r.Effort == "":
		r.Mode = chat.ThinkAdaptive
	}
	if exclude {
		r.Summary = "omitted"
	}
	return bad
}

// readThinking reads {"type":"enabled"}, as DeepSeek has it, and the rest of what Anthropic has.
func readThinking(v []byte, r *chat.Reasoning) *shape.Fault {
	var kind, display string
	var budget *int64
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "budget_tokens":
			return shape.Count(v, 0, maxTokens, &budget)
		case "display":
			return shape.Text(v, &display)
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	switch kind {
	case "disabled":
		r.Mode = chat.ThinkOff
	case "adaptive", "enabled":
		r.Mode = chat.ThinkAdaptive
		if kind == "enabled" && budget != nil {
			r.Mode, r.Budget = chat.ThinkBudget, *budget
		}
	case "between_tools":
		r.Mode = chat.ThinkBetweenTools
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("enabled, adaptive, between_tools or disabled").In("type")
	}
	switch display {
	case "omitted":
		r.Summary = display
	case "summarized":
		r.Summary = "auto"
	}
	return nil
}

func readStreamOptions(v []byte, r *chat.Request) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "include_usage" {
			return shape.Is(v, &r.IncludeUsage)
		}
		return nil
	})
}

func readStop(v []byte, stop *[]string) *shape.Fault {
	if v[0] == '"' {
		*stop = make([]string, 1)
		return shape.Text(v, &(*stop)[0])
	}
	if v[0] != '[' {
		return shape.Must("a string or a list of strings")
	}
	return shape.List(v, stop, shape.Text)
}

func readFormat(v []byte, f *chat.Format) *shape.Fault {
	var kind string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "json_schema":
			return shape.Object(v, func(key, v []byte) *shape.Fault {
				switch string(key) {
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
		if f.Name == "" {
			return shape.Missing("json_schema.name")
		}
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("text, json_object or json_schema").In("type")
	}
	return nil
}
