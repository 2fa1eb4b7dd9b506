package openai

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendReply adds a chat.completion. Usage of unknown provenance is left out.
func AppendReply(dst []byte, r *chat.Reply) []byte {
	dst = appendHead(dst, "chat.completion", &r.Head)
	for i := range r.Choices {
		c := &r.Choices[i]
		dst = appendIndex(dst, i, c.Index)
		dst = appendMessage(append(dst, `,"message":`...), &c.Message)
		dst = appendFinish(dst, c.Finish)
	}
	dst = append(dst, ']')
	if r.Usage.Provenance != chat.Unknown {
		dst = appendUsage(append(dst, `,"usage":`...), r.Usage)
	}
	return append(dst, '}')
}

// AppendChunk adds a chat.completion.chunk: the data of one event. If usage is true, the caller asked for usage in the
// stream (stream_options.include_usage), and then every chunk has that member, null except in the one that carries it.
func AppendChunk(dst []byte, c *chat.Chunk, usage bool) []byte {
	dst = appendHead(dst, "chat.completion.chunk", &c.Head)
	for i := range c.Choices {
		d := &c.Choices[i]
		dst = appendIndex(dst, i, d.Index)
		dst = appendDelta(append(dst, `,"delta":`...), d)
		dst = appendFinish(dst, d.Finish)
	}
	dst = append(dst, ']')
	switch {
	case c.Usage.Provenance != chat.Unknown:
		dst = appendUsage(append(dst, `,"usage":`...), c.Usage)
	case usage:
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, '}')
}

func appendHead(dst []byte, kind string, h *chat.Head) []byte {
	dst = shape.AppendString(append(dst, `{"id":`...), h.ID)
	dst = shape.AppendString(append(dst, `,"object":`...), kind)
	dst = strconv.AppendInt(append(dst, `,"created":`...), h.Created, 10)
	dst = shape.AppendString(append(dst, `,"model":`...), h.Model)
	return append(dst, `,"choices":[`...)
}

// appendIndex begins the i-th choice.
func appendIndex(dst []byte, i, index int) []byte {
	return strconv.AppendInt(append(comma(dst, i), `{"index":`...), int64(index), 10)
}

func appendFinish(dst []byte, f chat.FinishReason) []byte {
	return append(shape.AppendOptional(append(dst, `,"logprobs":null,"finish_reason":`...), string(f)), '}')
}

func appendMessage(dst []byte, m *chat.Message) []byte {
	calls, said := m.Calls(), m.Text(chat.PartText)
	refusal, reasoning := m.Text(chat.PartRefusal), m.Text(chat.PartReasoning)
	dst = append(dst, `{"role":"assistant","content":`...)
	if said == "" && (refusal != "" || len(calls) > 0) {
		dst = append(dst, "null"...)
	} else {
		dst = shape.AppendString(dst, said)
	}
	dst = shape.AppendOptional(append(dst, `,"refusal":`...), refusal)
	dst = append(dst, `,"annotations":[]`...)
	if reasoning != "" {
		dst = shape.AppendString(append(dst, `,"reasoning_content":`...), reasoning)
	}
	if len(calls) > 0 {
		dst = append(dst, `,"tool_calls":[`...)
		for i := range calls {
			dst = appendCall(append(comma(dst, i), '{'), &calls[i])
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendDelta writes content beside the role, as OpenAI does in a choice's first chunk.
func appendDelta(dst []byte, d *chat.Delta) []byte {
	next := "{"
	member := func(key string) {
		dst = append(append(dst, next...), key...)
		next = ","
	}
	if d.Role != "" {
		member(`"role":`)
		dst = shape.AppendString(dst, string(d.Role))
	}
	if d.Text != "" || d.Role != "" {
		member(`"content":`)
		if d.Text == "" && (len(d.Calls) > 0 || d.Reasoning != "" || d.Refusal != "") {
			dst = append(dst, "null"...)
		} else {
			dst = shape.AppendString(dst, d.Text)
		}
	}
	if d.Refusal != "" || d.Role != "" {
		member(`"refusal":`)
		dst = shape.AppendOptional(dst, d.Refusal)
	}
	if d.Reasoning != "" {
		member(`"reasoning_content":`)
		dst = shape.AppendString(dst, d.Reasoning)
	}
	if len(d.Calls) > 0 {
		member(`"tool_calls":[`)
		for i := range d.Calls {
			dst = appendCallDelta(comma(dst, i), &d.Calls[i])
		}
		dst = append(dst, ']')
	}
	if next == "{" {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// comma divides the elements of a list.
func comma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

// appendCallDelta writes id, type and name in the first fragment of a call only.
func appendCallDelta(dst []byte, c *chat.CallDelta) []byte {
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(c.Index), 10)
	if c.ID != "" || c.Name != "" {
		return appendCall(append(dst, ','), &c.ToolCall)
	}
	if c.Kind == chat.Custom {
		dst = append(dst, `,"custom":{"input":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	return append(shape.AppendString(dst, c.Arguments), "}}"...)
}

func appendCall(dst []byte, c *chat.ToolCall) []byte {
	dst = shape.AppendString(append(dst, `"id":`...), c.ID)
	if c.Kind == chat.Custom {
		dst = shape.AppendString(append(dst, `,"type":"custom","custom":{"name":`...), c.Name)
		dst = append(dst, `,"input":`...)
	} else {
		dst = shape.AppendString(append(dst, `,"type":"function","function":{"name":`...), c.Name)
		dst = append(dst, `,"arguments":`...)
	}
	return append(shape.AppendString(dst, c.Arguments), "}}"...)
}

// AppendModels adds the body of GET /v1/models.
func AppendModels(dst []byte, models []chat.Model) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range models {
		dst = AppendModel(comma(dst, i), m)
	}
	return append(dst, "]}"...)
}

// AppendModel adds the body of GET /v1/models/{id}.
func AppendModel(dst []byte, m chat.Model) []byte {
	dst = shape.AppendString(append(dst, `{"id":`...), m.ID)
	dst = strconv.AppendInt(append(dst, `,"object":"model","created":`...), m.Created, 10)
	return append(shape.AppendString(append(dst, `,"owned_by":`...), m.OwnedBy), '}')
}
