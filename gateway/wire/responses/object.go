package responses

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

const responsePrefix = "resp_"

// ID is the id of a response that is made of a provider's answer: its own if that is one, else one with the prefix that
// clients look for. It is random if the provider gave none. Ids of providers are not secret, nor always unique (Ollama's
// are not): who keeps responses keeps them apart by tenant, or gives the reply an id of its own.
func ID(provider string) string {
	if provider == "" {
		return responsePrefix + strings.ToLower(rand.Text())
	}
	id := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			return c
		}
		return '-'
	}, provider)
	if strings.HasPrefix(id, responsePrefix) {
		return id
	}
	return responsePrefix + id
}

// ResponseOf is the id of the response that an item belongs to, if this package named the item.
func ResponseOf(item string) (response string, ok bool) {
	_, rest, begun := strings.Cut(item, "_")
	end := strings.LastIndexByte(rest, '_')
	if !begun || end <= 0 {
		return "", false
	}
	return responsePrefix + rest[:end], true
}

// object is a response object being written.
type object struct {
	asked  string // the model, for providers that do not say which it was
	echo   []byte // of the request
	head   chat.Head
	status string
	reason string // why it is incomplete
	failed *chat.Error
	items  []*item
	usage  chat.Usage
	tier   string
}

// begin takes what the provider says of its answer. Some do not say when it was made, which clients rely on.
func (o *object) begin(h chat.Head) {
	o.head = h
	o.head.ID = ID(h.ID)
	o.head.Model = cmp.Or(h.Model, o.asked)
	if h.Created == 0 {
		o.head.Created = time.Now().Unix()
	}
}

// modelOf is the model that a request asks for.
func modelOf(q *chat.Request) string {
	if q == nil {
		return ""
	}
	return q.Model
}

// finish sets the status that a finish reason means.
func (o *object) finish(f chat.FinishReason) {
	o.status = completed
	switch f {
	case chat.FinishLength:
		o.status, o.reason = incomplete, "max_output_tokens"
	case chat.FinishFilter:
		o.status, o.reason = incomplete, "content_filter"
	}
}

// append writes the whole object. Members that OpenAI's schema requires, or that the Open Responses specification does,
// are always there.
func (o *object) append(dst []byte) []byte {
	dst = shape.AppendString(append(dst, `{"id":`...), o.head.ID)
	dst = strconv.AppendInt(append(dst, `,"object":"response","created_at":`...), o.head.Created, 10)
	dst = append(append(append(dst, `,"status":"`...), o.status...), `","background":false,"completed_at":null,"error":`...)
	if o.failed != nil {
		dst = shape.AppendString(append(dst, `{"code":`...), errorCode(o.failed))
		dst = append(shape.AppendString(append(dst, `,"message":`...), o.failed.Error()), '}')
	} else {
		dst = append(dst, "null"...)
	}
	if o.reason != "" {
		dst = append(append(append(dst, `,"incomplete_details":{"reason":"`...), o.reason...), `"}`...)
	} else {
		dst = append(dst, `,"incomplete_details":null`...)
	}
	dst = shape.AppendString(append(dst, `,"model":`...), o.head.Model)
	dst = append(dst, `,"output":[`...)
	for i, it := range o.items {
		dst = it.append(comma(dst, i))
	}
	dst = appendUsage(append(dst, `],"usage":`...), &o.usage)
	dst = append(append(append(dst, `,"service_tier":"`...), tierOf(o.tier)...), '"')
	return append(append(dst, o.echo...), '}')
}

// tierOf is a service tier in OpenAI's words.
func tierOf(tier string) string {
	if slices.Contains([]string{"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"}, tier) {
		return tier
	}
	return "default" // standard (Anthropic), on_demand (Groq), or not said
}

// appendEcho writes what a response repeats of its request, with OpenAI's defaults for what the request did not say. Without
// a request it is an empty one.
func appendEcho(dst []byte, q *chat.Request) []byte {
	if q == nil {
		q = &chat.Request{}
	}
	dst = append(dst, `,"instructions":`...)
	if q.Instructions && len(q.Messages) > 0 {
		dst = shape.AppendString(dst, q.Messages[0].Text(chat.PartText))
	} else {
		dst = append(dst, "null"...)
	}
	dst = shape.AppendOptional(append(dst, `,"previous_response_id":`...), q.Previous)
	dst = appendBool(append(dst, `,"store":`...), q.Store == nil || *q.Store)
	dst = appendBool(append(dst, `,"parallel_tool_calls":`...), q.Parallel == nil || *q.Parallel)
	dst = appendChoice(append(dst, `,"tool_choice":`...), &q.Choice, q.Tools)
	dst = append(dst, `,"tools":[`...)
	n := 0
	for i := range q.Tools {
		var ok bool
		if dst, ok = appendTool(comma(dst, n), &q.Tools[i]); ok {
			n++
		} else if n > 0 {
			dst = dst[:len(dst)-1]
		}
	}
	dst = append(appendText(append(dst, `],"text":`...), q, "medium"), `,"reasoning":{"effort":`...)
	dst = shape.AppendOptional(dst, q.Reasoning.Effort)
	dst = append(shape.AppendOptional(append(dst, `,"summary":`...), summaryOf(q)), '}')
	dst = appendFloat(append(dst, `,"temperature":`...), q.Sampling.Temperature, "1.0")
	dst = appendFloat(append(dst, `,"top_p":`...), q.Sampling.TopP, "1.0")
	dst = append(dst, `,"presence_penalty":0.0,"frequency_penalty":0.0`...)
	dst = appendInt(append(dst, `,"max_output_tokens":`...), q.MaxTokens, "null")
	dst = append(append(dst, `,"max_tool_calls":`...), extra(q, "max_tool_calls", "null")...)
	dst = appendInt(append(dst, `,"top_logprobs":`...), q.TopLogprobs, "0")
	dst = append(append(dst, `,"truncation":`...), extra(q, "truncation", `"disabled"`)...)
	dst = shape.AppendOptional(append(dst, `,"prompt_cache_key":`...), q.CacheKey)
	dst = append(append(dst, `,"safety_identifier":`...), extra(q, "safety_identifier", "null")...)
	if q.User != "" {
		dst = shape.AppendString(append(dst, `,"user":`...), q.User)
	}
	dst = append(dst, `,"metadata":`...)
	if q.Metadata != nil {
		return append(dst, q.Metadata...)
	}
	return append(dst, "{}"...)
}

// extra is the value of a member that the neutral form has no place for.
func extra(q *chat.Request, name, otherwise string) json.RawMessage {
	for i := range q.Extra {
		if q.Extra[i].Name == name {
			return q.Extra[i].Value
		}
	}
	return json.RawMessage(otherwise)
}

// summaryOf is how thoughts are summed up, "" for the default.
func summaryOf(q *chat.Request) string {
	switch s := q.Reasoning.Summary; s {
	case "auto", "concise", "detailed":
		return s
	}
	return ""
}

// appendText writes the format and, if there is one, the verbosity.
func appendText(dst []byte, q *chat.Request, verbosity string) []byte {
	if q.Verbosity != "" {
		verbosity = q.Verbosity
	}
	dst = appendFormat(append(dst, `{"format":`...), &q.Format)
	if verbosity != "" {
		dst = shape.AppendString(append(dst, `,"verbosity":`...), verbosity)
	}
	return append(dst, '}')
}

// appendFormat gives a schema without a name one: here it must have one, elsewhere it need not.
func appendFormat(dst []byte, f *chat.Format) []byte {
	switch f.Kind {
	case chat.FormatJSON:
		return append(dst, `{"type":"json_object"}`...)
	case chat.FormatText:
		return append(dst, `{"type":"text"}`...)
	}
	name := f.Name
	if name == "" {
		name = "answer"
	}
	dst = shape.AppendString(append(dst, `{"type":"json_schema","name":`...), name)
	if f.Description != "" {
		dst = shape.AppendString(append(dst, `,"description":`...), f.Description)
	}
	if f.Strict != nil {
		dst = appendBool(append(dst, `,"strict":`...), *f.Strict)
	}
	dst = append(dst, `,"schema":`...)
	if f.Schema == nil {
		return append(dst, "{}}"...)
	}
	return append(append(dst, f.Schema...), '}')
}

func appendFloat(dst []byte, f *float64, otherwise string) []byte {
	if f == nil {
		return append(dst, otherwise...)
	}
	return strconv.AppendFloat(dst, *f, 'g', -1, 64)
}

func appendInt(dst []byte, n *int64, otherwise string) []byte {
	if n == nil {
		return append(dst, otherwise...)
	}
	return strconv.AppendInt(dst, *n, 10)
}
