package socket

import (
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// create is what we look at in a message of the Responses API. The bytes are borrowed from it.
type create struct {
	kind     string
	lane     string // its "stream_id"; "": none
	previous string // its "previous_response_id"
	input    []byte
	said     []byte // of a response that is to be remembered: the items of its conversation, with commas between them
	unstored bool   // "store" is false
	warmUp   bool   // "generate" is false
}

// parseCreate reads a message. The error is an *Error.
func parseCreate(text []byte) (c create, err error) {
	seen := map[string]bool{}
	check := func(key string, is bool, code string) {
		if err == nil && (!is || seen[key]) {
			e := badMember(key)
			if code != "" {
				e.Code = code
			}
			err = e
		}
		seen[key] = true
	}
	ok := peek.Each(text, func(key, value []byte) bool {
		var is bool
		switch key := string(key); key {
		case "type":
			c.kind, is = peek.String(value)
			check(key, is, "")
		case "stream_id":
			var lane string
			lane, is = peek.String(value)
			if check(key, is && isLane(lane), "invalid_stream_id"); isLane(lane) {
				c.lane = lane
			}
		case "previous_response_id":
			c.previous, is = peek.String(value)
			check(key, is || string(value) == "null", "")
		case "store":
			c.unstored = string(value) == "false"
			check(key, isBool(value) || string(value) == "null", "")
		case "generate":
			c.warmUp = string(value) == "false"
			check(key, isBool(value), "")
		case "stream", "background":
			check(key, false, "")
		case "input":
			c.input = value
			check(key, true, "")
		}
		return true
	})
	switch {
	case !ok:
		return create{}, errNoMessage
	case err == nil && c.kind == "":
		err = badMember("type")
	}
	return c, err
}

func isBool(value []byte) bool { return string(value) == "true" || string(value) == "false" }

func isLane(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return name != "" && len(name) <= longestLane
}

// ours says whether a member is about the message, and not of the request in it.
func ours(key string) bool { return key == "type" || key == "stream_id" || key == "generate" }

// rewrite makes a message the body of a request: without what is only about the message, with what it goes on from in its input,
// and as one for a stream. The error is an *Error.
func (c *create) rewrite(m *message, before []byte, stream bool) error {
	items := appendInput(append([]byte(nil), before...), c.input)
	if c.unstored || c.warmUp {
		c.said = items
	}
	known := before != nil
	err := m.replace(len(*m.text)+len(before)+64, func(b []byte) []byte {
		b = append(b, '{')
		if stream {
			b = append(b, `"stream":true`...)
		}
		peek.Each(*m.text, func(key, value []byte) bool {
			k := string(key)
			if ours(k) || known && k == "previous_response_id" {
				return true
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(shape.AppendString(b, k), ':')
			if known && k == "input" {
				b = append(append(append(b, '['), items...), ']')
			} else {
				b = append(b, value...)
			}
			return true
		})
		if known && c.input == nil {
			b = append(append(append(b, `,"input":[`...), items...), ']')
		}
		return append(b, '}')
	})
	c.input = nil // it was borrowed from what is no longer there
	return err
}

// appendInput adds the items of an "input", which may be a text, to others.
func appendInput(b, input []byte) []byte {
	if len(input) == 0 || input[0] != '"' {
		return appendItems(b, input)
	}
	if len(b) > 0 {
		b = append(b, ',')
	}
	return append(append(append(b, `{"type":"message","role":"user","content":`...), input...), '}')
}

// appendItems adds the items of a list to others. Thoughts that nobody stored, and that are not there in their encrypted form, mean
// nothing to the provider any more.
func appendItems(b, list []byte) []byte {
	peek.Elements(list, func(item []byte) bool {
		kind, _ := peek.String(peek.Find(item, []byte(`"type"`)))
		if sealed := peek.Find(item, []byte(`"encrypted_content"`)); kind == "reasoning" && (sealed == nil || string(sealed) == "null") {
			return true
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, item...)
		return true
	})
	return b
}

// memory is a response that a lane can go on from.
type memory struct {
	id   string
	text *message // the items of its conversation, which count among the bytes of requests; nil: they are not kept here
}

func (m *memory) kept() bool { return m.text != nil }

func (m *memory) items() []byte { return *m.text.text }

// keep keeps a conversation, unless it is too long, or the gateway has no room: then the client is told to send it again.
func (m *memory) keep(h *Hub, items []byte) {
	if int64(len(items)) > h.o.MaxMessage {
		return
	}
	text := &message{server: h.server}
	if text.lend(len(items)) != nil {
		text.free()
		return
	}
	*text.text = append(*text.text, items...)
	m.text = text
}

func (m *memory) free() {
	if m.text != nil {
		m.text.free()
	}
	*m = memory{}
}
