package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// A tool that takes free text is offered to providers that know only functions as one with that text for its only argument,
// "input". What follows makes functions of custom tools, and calls of such a function again what the caller expects.

// CustomParameters is the schema of the arguments of a function that a custom tool becomes.
const CustomParameters = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`

// CustomArguments are the arguments of that function that say a custom tool's input.
func CustomArguments(input string) string { return `{"input":"` + string(escape(input)) + `"}` }

// WithoutCustom is q with functions in the place of custom tools and of their calls. It is q itself if there are none; else
// it shares with q whatever is the same.
func WithoutCustom(q *Request) *Request {
	c := *q
	same := true
	for i := range c.Tools {
		if t := &c.Tools[i]; t.Kind == Custom {
			if same {
				same, c.Tools = false, slices.Clone(c.Tools)
				t = &c.Tools[i]
			}
			t.Kind, t.Parameters = Function, json.RawMessage(CustomParameters)
		}
	}
	owned := false
	for i := range c.Messages {
		if !slices.ContainsFunc(c.Messages[i].Parts, isCustomCall) {
			continue
		}
		if same = false; !owned {
			owned, c.Messages = true, slices.Clone(c.Messages)
		}
		m := &c.Messages[i]
		m.Parts = slices.Clone(m.Parts)
		for k := range m.Parts {
			if p := &m.Parts[k]; isCustomCall(*p) {
				call := *p.Call
				call.Kind, call.Arguments = Function, CustomArguments(call.Arguments)
				p.Call = &call
			}
		}
	}
	if same {
		return q
	}
	return &c
}

func isCustomCall(p Part) bool { return p.Kind == PartCall && p.Call.Kind == Custom }

// RestoreCustom is an encoder that gives e the calls of q's custom tools as such, with the plain input, also where they
// come as calls of functions. It is e itself if q, which may be nil and is not kept, has no custom tools.
func RestoreCustom(q *Request, e Encoder) Encoder {
	if names := customTools(q); len(names) > 0 {
		return &restorer{names: names, to: e}
	}
	return e
}

// RestoreCustomCalls is RestoreCustom for a whole reply. It leaves r as it is.
func RestoreCustomCalls(q *Request, r *Reply) *Reply {
	names := customTools(q)
	if len(names) == 0 {
		return r
	}
	c := *r
	c.Choices = slices.Clone(r.Choices)
	for i := range c.Choices {
		m := &c.Choices[i].Message
		m.Parts = slices.Clone(m.Parts)
		for k := range m.Parts {
			if p := &m.Parts[k]; p.Kind == PartCall && p.Call.Kind == Function && names[p.Call.Name] {
				call := *p.Call
				call.Kind, call.Arguments = Custom, inputOf(call.Arguments)
				p.Call = &call
			}
		}
	}
	return &c
}

// customTools are the names of a request's custom tools.
func customTools(q *Request) (names map[string]bool) {
	if q == nil {
		return nil
	}
	for i := range q.Tools {
		if t := &q.Tools[i]; t.Kind == Custom {
			if names == nil {
				names = map[string]bool{}
			}
			names[t.Name] = true
		}
	}
	return names
}

// inputOf is the input in the arguments of a function.
func inputOf(arguments string) string {
	var in input
	text := bytes.Clone(in.read(escape(arguments)))
	return unescape(append(text, in.rest()...))
}

// restorer makes calls of functions into calls of custom tools on their way to an encoder.
type restorer struct {
	names map[string]bool
	to    Encoder
	calls []restored
	piece Piece // that is given to the encoder in the place of another
	call  ToolCall
}

// restored is a call of a custom tool that came as one of a function.
type restored struct {
	choice, index int
	input         input
}

// Encode implements Encoder.
func (r *restorer) Encode(dst *Batch, p *Piece) {
	switch p.Kind {
	case PieceCall:
		if p.Call.Kind != Function || !r.names[p.Call.Name] {
			break
		}
		r.call, r.piece = *p.Call, *p
		r.call.Kind, r.call.Arguments = Custom, ""
		r.piece.Call, r.piece.Text = &r.call, nil
		r.to.Encode(dst, &r.piece)
		r.calls = append(r.calls, restored{choice: p.Choice, index: p.Index})
		c := &r.calls[len(r.calls)-1]
		r.give(dst, c, c.input.read(escape(p.Call.Arguments)))
		r.give(dst, c, c.input.read(p.Text))
		return
	case PieceArguments:
		for i := range r.calls {
			if c := &r.calls[i]; c.choice == p.Choice && c.index == p.Index {
				r.give(dst, c, c.input.read(p.Text))
				return
			}
		}
	case PieceFinish:
		for i := range r.calls {
			if c := &r.calls[i]; c.choice == p.Choice {
				r.give(dst, c, c.input.rest())
			}
		}
	}
	r.to.Encode(dst, p)
}

// Fail implements Encoder.
func (r *restorer) Fail(dst *Batch, e *Error) { r.to.Fail(dst, e) }

func (r *restorer) give(dst *Batch, c *restored, text []byte) {
	if len(text) > 0 {
		r.piece = Piece{Kind: PieceArguments, Choice: c.choice, Index: c.index, Text: text}
		r.to.Encode(dst, &r.piece)
	}
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
