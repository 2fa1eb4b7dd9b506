package openai

import (
	"bytes"
	"errors"
	"io"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// ErrMalformed says that an event is not what the dialect allows.
var ErrMalformed = errors.New("openai: malformed event")

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

func setIndex(to *int, v []byte) {
	if n, ok := peek.Int(v); ok && n >= 0 && n < 1<<31 {
		*to = int(n)
	}
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
