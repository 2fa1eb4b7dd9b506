package anthropic

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// DecodeRequest reads the body of POST /v1/messages, of either version. What it knows must have the right shape; members
// at the top that have no place in the neutral form are kept in Extra. The result does not keep the body alive.
//
// The error is a *chat.Error of the type invalid_request_error. Its Param and message say where:
// messages[2].content[0].type.
func DecodeRequest(body []byte) (*chat.Request, error) {
	q, bad := decode(body)
	if bad == nil && q.MaxTokens == nil {
		bad = shape.Missing("max_tokens")
	}
	if bad != nil {
		return nil, bad.Refusal()
	}
	return q, nil
}

// DecodeCount reads the body of POST /v1/messages/count_tokens: a request without max_tokens.
func DecodeCount(body []byte) (*chat.Request, error) {
	q, bad := decode(body)
	if bad != nil {
		return nil, bad.Refusal()
	}
	return q, nil
}

func decode(body []byte) (*chat.Request, *shape.Fault) {
	if err := peek.Valid(body); err != nil {
		return nil, &shape.Fault{Text: err.Error()}
	}
	r := requestReader{Request: chat.Request{Dialect: Name}}
	if bad := shape.Object(bytes.TrimSpace(body), r.member); bad != nil {
		return nil, bad
	}
	q := &r.Request
	switch {
	case q.Model == "":
		return nil, shape.Missing("model")
	case len(r.turns) == 0:
		return nil, shape.Missing("messages")
	}
	if r.system != nil {
		q.Messages = append(q.Messages, chat.Message{Role: chat.RoleSystem, Parts: r.system, At: chat.Unlisted})
	}
	for i, turn := range r.turns {
		for k := range turn {
			turn[k].At = i + 1
		}
		q.Messages = append(q.Messages, turn...)
	}
	q.Messages = restoreSignatures(q.Messages)
	if q.Reasoning.Mode == chat.ThinkOff && q.Reasoning.Effort == "" {
		q.Reasoning.Effort = "none"
	}
	q.Lost = known.Lost(body)
	q.IncludeUsage = q.Stream // it is always part of a stream here
	return q, nil
}

// requestReader is a request whose messages are not in their order yet.
type requestReader struct {
	chat.Request
	system []chat.Part
	turns  [][]chat.Message
}

const maxTokens = 1 << 40 // more is a mistake

// codeUnthreaded is how Anthropic says that a request cannot be part of a thread (beta message-threads-2026-08-12). The
// tool runners of its clients, which make threads unasked, then send whole conversations.
const codeUnthreaded = "thread_unsupported_request"

func (r *requestReader) member(key, v []byte) *shape.Fault {
	switch string(key) {
	case "model":
		return shape.Text(v, &r.Model)
	case "messages":
		return shape.List(v, &r.turns, readTurn)
	case "system":
		return readSystem(v, &r.system)
	case "max_tokens":
		return shape.Count(v, 0, maxTokens, &r.MaxTokens)
	case "stop_sequences":
		return shape.List(v, &r.Stop, shape.Text)
	case "stream":
		return shape.Is(v, &r.Stream)
	case "tools":
		return shape.List(v, &r.Tools, readTool)
	case "tool_choice":
		return readToolChoice(v, &r.Request)
	case "thinking":
		return readThinking(v, &r.Reasoning)
	case "output_config":
		return readOutput(v, &r.Request)
	case "output_format": // of the beta before output_config
		return readFormat(v, &r.Format)
	case "metadata":
		return readMetadata(v, &r.User)
	case "cache_control":
		return readCache(v, &r.Cache)
	case "service_tier":
		return readTier(v, &r.ServiceTier)
	case "thread": // who continues one sends only what is new
		return &shape.Fault{Text: "only Anthropic keeps conversations; send the whole of it as messages", Code: codeUnthreaded}
	case "temperature":
		return shape.Number(v, &r.Sampling.Temperature)
	case "top_p":
		return shape.Number(v, &r.Sampling.TopP)
	case "top_k":
		return shape.Whole(v, &r.Sampling.TopK)
	}
	r.Extra = append(r.Extra, chat.Member{Name: string(key), Value: bytes.Clone(v)})
	return nil
}

func readMetadata(v []byte, user *string) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "user_id" {
			return shape.Text(v, user)
		}
		return nil
	})
}

func readCache(v []byte, c *chat.Cache) *shape.Fault {
	var kind, ttl string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "ttl":
			return shape.Text(v, &ttl)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case kind == "":
		return shape.Missing("type")
	case kind != "ephemeral":
		return shape.Must("ephemeral").In("type")
	case ttl == "":
		*c = cacheDefault
	case ttl != "5m" && ttl != "1h":
		return shape.Must("5m or 1h").In("ttl")
	default:
		*c = chat.Cache(ttl)
	}
	return nil
}

// The marks of chat.Cache that are no times.
const cacheDefault chat.Cache = "default"

// readTier takes OpenAI's word for the tier that is not priority.
func readTier(v []byte, tier *string) *shape.Fault {
	if bad := shape.Text(v, tier); bad != nil {
		return bad
	}
	if *tier == "standard_only" {
		*tier = tierDefault
	}
	return nil
}

const tierDefault = "default"

func readThinking(v []byte, r *chat.Reasoning) *shape.Fault {
	var kind, display string
	var budget *int64
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "budget_tokens":
			return shape.Count(v, leastBudget, maxTokens, &budget)
		case "display":
			return shape.Text(v, &display)
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	switch kind {
	case "enabled":
		if budget == nil {
			return shape.Missing("budget_tokens")
		}
		r.Mode, r.Budget = chat.ThinkBudget, *budget
	case "adaptive":
		r.Mode = chat.ThinkAdaptive
	case "disabled":
		r.Mode = chat.ThinkOff
	case "between_tools":
		r.Mode = chat.ThinkBetweenTools
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("enabled, adaptive, disabled or between_tools").In("type")
	}
	switch display {
	case "":
	case "summarized":
		r.Summary = "auto"
	case "omitted":
		r.Summary = display
	default:
		return shape.Must("summarized or omitted").In("display")
	}
	return nil
}

func readOutput(v []byte, q *chat.Request) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "effort":
			return shape.Text(v, &q.Reasoning.Effort)
		case "format":
			return readFormat(v, &q.Format)
		}
		return nil
	})
}

func readFormat(v []byte, f *chat.Format) *shape.Fault {
	var kind string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "schema":
			return shape.Raw(v, &f.Schema)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case kind == "":
		return shape.Missing("type")
	case kind != "json_schema":
		return shape.Must("json_schema").In("type")
	case f.Schema == nil:
		return shape.Missing("schema")
	}
	f.Kind = chat.FormatSchema
	return nil
}
