package openai

import (
	"bytes"
	"io"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// DecodeChunk reads the data of one event of a stream, for a client. What has an unexpected type is left out. The error
// is io.EOF for [DONE], a *chat.Error for an error event, or ErrMalformed.
func DecodeChunk(data []byte) (chat.Chunk, error) {
	var c chat.Chunk
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		return c, io.EOF
	}
	var m members
	if !m.read(data) {
		return c, ErrMalformed
	}
	if m.failed() {
		e, ok := DecodeError(data)
		if !ok {
			e, _ = DecodeError(m.groq)
		}
		return c, &e
	}
	m.usage(&c.Usage)
	peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "id":
			c.ID, _ = peek.String(val)
		case "model":
			c.Model, _ = peek.String(val)
		case "created":
			c.Created, _ = peek.Int(val)
		}
		return true
	})
	peek.Elements(m.choices, func(val []byte) bool {
		c.Choices = append(c.Choices, decodeChoice(val, len(c.Choices)))
		return true
	})
	return c, nil
}

// decodeChoice reads one of choices; at is its place there, which some providers leave to stand for the index.
func decodeChoice(v []byte, at int) chat.Delta {
	d := chat.Delta{Index: at}
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "index":
			setIndex(&d.Index, val)
		case "delta":
			peek.Each(val, func(key, val []byte) bool {
				decodeMember(&d, key, val)
				return true
			})
		case "finish_reason":
			s, _ := peek.String(val)
			d.Finish = chat.FinishReason(s)
		}
		return true
	})
	return d
}

func decodeMember(d *chat.Delta, key, v []byte) {
	switch string(key) {
	case "role":
		s, _ := peek.String(v)
		d.Role = chat.Role(s)
	case "content":
		decodeContent(d, v)
	case "refusal":
		d.Refusal, _ = peek.String(v)
	case "reasoning_content", "reasoning", "reasoning_text": // several may stand for the same
		if s, _ := peek.String(v); s != "" {
			d.Reasoning = s
		}
	case "tool_calls":
		peek.Elements(v, func(val []byte) bool {
			d.Calls = append(d.Calls, decodeCall(val, len(d.Calls)))
			return true
		})
	case "function_call": // deprecated
		c := chat.CallDelta{}
		decodeCalled(&c, v)
		d.Calls = append(d.Calls, c)
	}
}

// decodeContent reads a text, or Mistral's list of {"type":"text"} and {"type":"thinking","thinking":[…]}.
func decodeContent(d *chat.Delta, v []byte) {
	if s, ok := peek.String(v); ok {
		d.Text = s
		return
	}
	peek.Elements(v, func(part []byte) bool {
		d.Text += partText(part)
		peek.Elements(peek.Find(part, []byte(`"thinking"`)), func(thought []byte) bool {
			d.Reasoning += partText(thought)
			return true
		})
		return true
	})
}

func partText(part []byte) string {
	s, _ := peek.String(peek.Find(part, []byte(`"text"`)))
	return s
}

func decodeCall(v []byte, at int) chat.CallDelta {
	c := chat.CallDelta{Index: at}
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "index":
			setIndex(&c.Index, val)
		case "id":
			c.ID, _ = peek.String(val)
		case "function":
			decodeCalled(&c, val)
		case "custom":
			c.Kind = chat.Custom
			decodeCalled(&c, val)
		}
		return true
	})
	return c
}

// decodeCalled reads arguments as text, also where they are an object (Mistral).
func decodeCalled(c *chat.CallDelta, v []byte) {
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "name":
			c.Name, _ = peek.String(val)
		case "arguments", "input":
			s, ok := peek.String(val)
			if !ok && val[0] == '{' {
				s = string(val)
			}
			c.Arguments = s
		}
		return true
	})
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
