package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// DecodeRequest reads the body of POST /v1/chat/completions. What it knows must have the right shape; members that it
// does not know are ignored, for providers extend the format. The result does not keep the body alive.
//
// The error is a *chat.Error of the type invalid_request_error. Its Param and message say where: messages[2].content.
func DecodeRequest(body []byte) (*chat.Request, error) {
	if err := peek.Valid(body); err != nil {
		return nil, refuse(&fault{text: err.Error()})
	}
	var r chat.Request
	if bad := readRequest(bytes.TrimSpace(body), &r); bad != nil {
		return nil, refuse(bad)
	}
	return &r, nil
}

func refuse(bad *fault) *chat.Error {
	return &chat.Error{Message: bad.message(), Type: "invalid_request_error", Param: bad.path}
}

func readRequest(v []byte, r *chat.Request) *fault {
	var limit, oldLimit, n *int64
	var oldTools []chat.Tool
	var oldChoice chat.ToolChoice
	var safety string
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "model":
			return text(v, &r.Model)
		case "messages":
			return list(v, &r.Messages, readMessage)
		case "tools":
			return list(v, &r.Tools, readTool)
		case "tool_choice":
			return readToolChoice(v, &r.Choice)
		case "functions":
			return list(v, &oldTools, readFunction)
		case "function_call":
			return readFunctionChoice(v, &oldChoice)
		case "parallel_tool_calls":
			return boolean(v, &r.Parallel)
		case "response_format":
			return readFormat(v, &r.Format)
		case "max_completion_tokens":
			return count(v, 0, maxTokens, &limit)
		case "max_tokens":
			return count(v, 0, maxTokens, &oldLimit)
		case "stop":
			return readStop(v, &r.Stop)
		case "n":
			return count(v, 1, maxChoices, &n)
		case "reasoning_effort":
			return text(v, &r.Effort)
		case "stream":
			return is(v, &r.Stream)
		case "stream_options":
			return readStreamOptions(v, r)
		case "user":
			return text(v, &r.User)
		case "safety_identifier":
			return text(v, &safety)
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
		return missing("model")
	case len(r.Messages) == 0:
		return missing("messages")
	}
	return nil
}

const (
	maxChoices = 128     // by OpenAI's schema
	maxTokens  = 1 << 40 // more is a mistake
)

func readSampling(key, v []byte, s *chat.Sampling) *fault {
	switch string(key) {
	case "temperature":
		return number(v, &s.Temperature)
	case "top_p":
		return number(v, &s.TopP)
	case "frequency_penalty":
		return number(v, &s.FrequencyPenalty)
	case "presence_penalty":
		return number(v, &s.PresencePenalty)
	case "seed":
		return whole(v, &s.Seed)
	}
	return nil
}

func readStreamOptions(v []byte, r *chat.Request) *fault {
	return object(v, func(key, v []byte) *fault {
		if string(key) == "include_usage" {
			return is(v, &r.IncludeUsage)
		}
		return nil
	})
}

func readStop(v []byte, stop *[]string) *fault {
	if v[0] == '"' {
		*stop = make([]string, 1)
		return text(v, &(*stop)[0])
	}
	if v[0] != '[' {
		return must("a string or a list of strings")
	}
	return list(v, stop, text)
}

func readFormat(v []byte, f *chat.Format) *fault {
	var kind string
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "type":
			return text(v, &kind)
		case "json_schema":
			return object(v, func(key, v []byte) *fault {
				switch string(key) {
				case "name":
					return text(v, &f.Name)
				case "description":
					return text(v, &f.Description)
				case "schema":
					return raw(v, &f.Schema)
				case "strict":
					return boolean(v, &f.Strict)
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
			return missing("json_schema.name")
		}
	case "":
		return missing("type")
	default:
		return must("text, json_object or json_schema").in("type")
	}
	return nil
}
