package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// A tool that takes free text is offered to providers that know only functions as one with that text for its only argument,
// "input". What follows makes functions of custom tools, and finds the text in the arguments of such a function; see [Restore].

// CustomParameters is the schema of the arguments of a function that a custom tool becomes.
const CustomParameters = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`

// customArguments are the arguments of that function that say a custom tool's input.
func customArguments(input string) string { return `{"input":"` + string(escape(input)) + `"}` }

// WithoutCustom is q with functions in the place of custom tools and of their calls. It is q itself if there are none; else
// it shares with q whatever is the same.
func WithoutCustom(q *Request) *Request {
	return revised(q, func(t Tool) (Tool, bool) {
		custom := t.Kind == Custom
		if custom {
			t.Description = t.CustomDescription()
			t.Kind, t.Parameters = Function, json.RawMessage(CustomParameters)
		}
		return t, custom
	}, func(m Message) (Message, bool) { return m, false }, func(c ToolCall) (ToolCall, bool) {
		custom := c.Kind == Custom
		if custom {
			c.Kind, c.Arguments = Function, customArguments(c.Arguments)
		}
		return c, custom
	})
}

// LostGrammar is what [Dropped] calls the grammar of a custom tool that becomes a function: the model is told it, but nothing
// forces the model to keep to it.
const LostGrammar = "tools.custom.format.grammar"

// Schema is that of a function's arguments as OpenAI takes it: an object says its properties, also if it has none, which tools
// of MCP servers leave out (openai-agents-python#449).
func (t *Tool) Schema() json.RawMessage {
	p := t.Parameters
	if string(peek.Find(p, []byte(`"type"`))) != `"object"` || peek.Find(p, []byte(`"properties"`)) != nil {
		return p
	}
	return append([]byte(`{"properties":{},`), p[1:]...)
}

// HasGrammar says whether the tool is a custom one whose input is to follow a grammar.
func (t *Tool) HasGrammar() bool { return t.grammar() != "" }

// grammar is how the grammar of a custom tool's input is defined; "" if it has none.
func (t *Tool) grammar() string {
	if t.Kind != Custom {
		return ""
	}
	definition, _ := peek.String(peek.Find(t.Parameters, []byte(`"definition"`)))
	return definition
}

// CustomDescription is the description of the function that a custom tool becomes: the tool's own, and the grammar of the
// input, which a function has no other place for.
func (t *Tool) CustomDescription() string {
	definition := t.grammar()
	if definition == "" {
		return t.Description
	}
	syntax, _ := peek.String(peek.Find(t.Parameters, []byte(`"syntax"`)))
	told := "The input must match this grammar (" + syntax + "):\n" + definition
	if t.Description == "" {
		return told
	}
	return t.Description + "\n\n" + told
}

// revised is q with some of its tools, messages and calls changed, in copies of them: each function says whether it has. It is
// q itself if nothing was.
func revised(q *Request, tool func(Tool) (Tool, bool), message func(Message) (Message, bool), call func(ToolCall) (ToolCall, bool)) *Request {
	r := *q
	tools, messages := false, false // are the copy's own
	for i := range q.Tools {
		t, changed := tool(q.Tools[i])
		if !changed {
			continue
		}
		if !tools {
			tools, r.Tools = true, slices.Clone(q.Tools)
		}
		r.Tools[i] = t
	}
	for i := range q.Messages {
		m, changed := message(q.Messages[i])
		if parts := revisedCalls(m.Parts, call); parts != nil {
			m.Parts, changed = parts, true
		}
		if !changed {
			continue
		}
		if !messages {
			messages, r.Messages = true, slices.Clone(q.Messages)
		}
		r.Messages[i] = m
	}
	if !tools && !messages {
		return q
	}
	return &r
}

// revisedCalls are the parts with some calls changed; nil if none was.
func revisedCalls(parts []Part, call func(ToolCall) (ToolCall, bool)) (revised []Part) {
	for i := range parts {
		if parts[i].Kind != PartCall {
			continue
		}
		c, changed := call(*parts[i].Call)
		if !changed {
			continue
		}
		if revised == nil {
			revised = slices.Clone(parts)
		}
		revised[i].Call = &c
	}
	return revised
}

// inputOf is the input in the arguments of a function.
func inputOf(arguments string) string {
	var in input
	text := bytes.Clone(in.read(escape(arguments)))
	return unescape(append(text, in.rest()...))
}

// input follows arguments to the value of their member "input" and through it. The value is JSON in JSON: with the outer
// escapes undone, its own are those of a piece's Text.
type input struct {
	head   []byte // the arguments as long as the value has not begun, or all of them if it is not the first member
	at     int    // in inputHead; beyond its end when the value is over, or -1 if the arguments are something else
	escape []byte // one of the value's own that is not complete
	out    []byte
}

// inputHead is what stands before the value, but for white space.
const inputHead = `{"input":"`

// read is what a fragment of the arguments, as the inside of a JSON string, says of the value. It is borrowed.
func (in *input) read(inside []byte) []byte {
	in.out = in.out[:0]
	if in.at < len(inputHead) {
		in.head = append(in.head, inside...)
	}
	for i := 0; i < len(inside); i++ {
		c := inside[i]
		if c == '\\' && i+1 < len(inside) {
			i++
			c = outer(inside[i])
			if inside[i] == 'u' && i+4 < len(inside) {
				if c = low(inside[i+1 : i+5]); c == 0x80 && in.at == len(inputHead) {
					in.out = append(in.out, inside[i-1:i+5]...) // no ASCII: it means the same in the value
					i += 4
					continue
				}
				i += 4
			}
		}
		in.take(c)
	}
	return in.out
}

// outer is what an escape with one character stands for.
func outer(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// low is the character with a code of four hexadecimal digits if it is one of ASCII, else 0x80.
func low(digits []byte) byte {
	if n, err := strconv.ParseUint(string(digits), 16, 16); err == nil && n < 0x80 {
		return byte(n)
	}
	return 0x80
}

// take reads a character of the arguments.
func (in *input) take(c byte) {
	switch {
	case in.at < 0 || in.at > len(inputHead):
	case in.at < len(inputHead):
		space := c == ' ' || c == '\t' || c == '\n' || c == '\r'
		switch in.at {
		case 0, 1, len(inputHead) - 2, len(inputHead) - 1: // between tokens
			if space {
				return
			}
		}
		if c != inputHead[in.at] {
			in.at = -1
			return
		}
		in.at++
	case len(in.escape) > 0:
		in.escaped(c)
	case c == '\\':
		in.escape = append(in.escape, c)
	case c == '"':
		in.at++
	case c < ' ': // which a model must not write here, and some do
		const hex = "0123456789abcdef"
		in.out = append(in.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	default:
		in.out = append(in.out, c)
	}
}

// escaped reads a character of an escape of the value's own. One that JSON does not have is what it looks like.
func (in *input) escaped(c byte) {
	allowed := `"\/bfnrtu`
	if len(in.escape) > 1 {
		allowed = "0123456789abcdefABCDEF"
	}
	if strings.IndexByte(allowed, c) < 0 {
		in.out = append(append(in.out, '\\'), in.escape...)
		in.escape = in.escape[:0]
		in.take(c)
		return
	}
	in.escape = append(in.escape, c)
	if n := len(in.escape); n == len(`\u0000`) || n == 2 && c != 'u' {
		in.out, in.escape = append(in.out, in.escape...), in.escape[:0]
	}
}

// rest is what the arguments say behind all that read gave: the input of those with something before it, and of those
// without an input they themselves.
func (in *input) rest() []byte {
	if in.at >= 0 { // given, cut off in front of it, or nothing at all
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(unescape(in.head)), &members) != nil {
		return in.head
	}
	v, text := members["input"], ""
	switch {
	case json.Unmarshal(v, &text) == nil:
		return escape(text)
	case v != nil:
		return escape(string(v))
	case len(members) == 0:
		return nil
	}
	return in.head
}
