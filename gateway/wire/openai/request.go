package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// DecodeRequest reads the body of POST /v1/chat/completions. What it knows must have the right shape; members that it
// does not know are ignored, for providers extend the format. The result does not keep the body alive.
//
// The error is a *chat.Error of the type invalid_request_error. Its Param and message say where: messages[2].content.
func DecodeRequest(body []byte) (*chat.Request, error) {
	if err := peek.Valid(body); err != nil {
		return nil, (&shape.Fault{Text: err.Error()}).Refusal()
	}
	var r chat.Request
	if bad := readRequest(bytes.TrimSpace(body), &r); bad != nil {
		return nil, bad.Refusal()
	}
	return &r, nil
}

func readRequest(v []byte, r *chat.Request) *shape.Fault {
	var limit, oldLimit, n *int64
	var oldTools []chat.Tool
	var oldChoice chat.ToolChoice
	var safety string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
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
			return shape.List(v, &oldTools, readFunction)
		case "function_call":
			return readFunctionChoice(v, &oldChoice)
		case "parallel_tool_calls":
			return shape.Bool(v, &r.Parallel)
		case "response_format":
			return readFormat(v, &r.Format)
		case "max_completion_tokens":
			return shape.Count(v, 0, maxTokens, &limit)
		case "max_tokens":
			return shape.Count(v, 0, maxTokens, &oldLimit)
		case "stop":
			return readStop(v, &r.Stop)
		case "n":
			return shape.Count(v, 1, maxChoices, &n)
		case "reasoning_effort":
			return shape.Text(v, &r.Reasoning.Effort)
		case "stream":
			return shape.Is(v, &r.Stream)
		case "stream_options":
			return readStreamOptions(v, r)
		case "user":
			return shape.Text(v, &r.User)
		case "safety_identifier":
			return shape.Text(v, &safety)
		}
		return readSampling(key, v, &r.Sampling)
	})
	if bad != nil {
		return bad
	}
	if r.MaxTokens = limit; limit == nil {
		r.MaxTokens = oldLimit
	}
	r.Tools = append(r.Tools, oldTools...)
	if r.Choice.Mode == chat.ChoiceUnset {
		r.Choice = oldChoice
	}
	if r.User == "" {
		r.User = safety
	}
	if n != nil {
		r.N = int(*n)
	}
	switch {
	case r.Model == "":
		return shape.Missing("model")
	case len(r.Messages) == 0:
		return shape.Missing("messages")
	}
	return nil
}

const (
	maxChoices = 128     // by OpenAI's schema
	maxTokens  = 1 << 40 // more is a mistake
)

func readSampling(key, v []byte, s *chat.Sampling) *shape.Fault {
	switch string(key) {
	case "temperature":
		return shape.Number(v, &s.Temperature)
	case "top_p":
		return shape.Number(v, &s.TopP)
	case "frequency_penalty":
		return shape.Number(v, &s.FrequencyPenalty)
	case "presence_penalty":
		return shape.Number(v, &s.PresencePenalty)
	case "seed":
		return shape.Whole(v, &s.Seed)
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
