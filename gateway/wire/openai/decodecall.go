package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// callFragment is one of a delta's tool_calls; what is absent is nil.
type callFragment struct {
	index           int // -1 if absent
	kind            chat.ToolKind
	id              []byte // a JSON string
	function        []byte // the object with name and arguments, or of a custom tool with name and input
	name, arguments []byte // in it
	signature       []byte // inside of a JSON string: Gemini's of the thought behind the call
}

func (d *decoder) call(a *answer, v []byte) {
	if !isObject(v) {
		d.err = ErrMalformed
		return
	}
	f := callFragment{index: -1}
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "index":
			setIndex(&f.index, val)
		case "id":
			if len(val) > 2 && val[0] == '"' {
				f.id = val
			}
		case "function":
			f.function = val
		case "custom":
			f.function, f.kind = val, chat.Custom
		case "extra_content":
			f.signature, _ = shape.Inside(thoughtSignature(val))
		}
		return true
	})
	d.called(a, &f)
}

// called passes on what a fragment adds to a call, whose beginning is told once its name, or more, is known.
func (d *decoder) called(a *answer, f *callFragment) {
	peek.Each(f.function, func(key, val []byte) bool {
		switch string(key) {
		case "name":
			if len(val) > 2 && val[0] == '"' {
				f.name = val
			}
		case "arguments", "input":
			f.arguments = d.arguments(val)
		}
		return true
	})
	n := a.find(f)
	if n == chat.MaxCalls {
		d.err = ErrMalformed
		return
	}
	c := &a.calls[n]
	if !c.told && (f.name != nil || len(f.arguments) > 0) {
		c.told, c.place = true, a.told
		a.told++
		if !c.given {
			c.id = d.head.CallID(n)
		}
		name, _ := peek.String(f.name)
		d.calls = append(d.calls, chat.ToolCall{ID: c.id, Kind: f.kind, Name: name})
		d.out = append(d.out, chat.Piece{Kind: chat.PieceCall, Choice: a.index, Index: c.place, Call: &d.calls[len(d.calls)-1]})
	}
	if len(f.signature) > 0 && c.told { // at once: other dialects have it in front of the call
		d.calls = append(d.calls, chat.ToolCall{ID: c.id, Kind: f.kind})
		d.out = append(d.out, chat.Piece{
			Kind: chat.PieceSignature, Choice: a.index, Index: c.place, Call: &d.calls[len(d.calls)-1], Text: f.signature,
		})
	}
	if len(f.arguments) > 0 {
		d.out = append(d.out, chat.Piece{Kind: chat.PieceArguments, Choice: a.index, Index: c.place, Text: f.arguments})
	}
}

// arguments are the inside of a JSON string, also where they are an object (Mistral).
func (d *decoder) arguments(v []byte) []byte {
	if v[0] != '{' {
		text, _ := shape.Inside(v)
		return text
	}
	from := len(d.buf)
	d.buf = shape.AppendString(d.buf, string(v))
	return d.buf[from+1 : len(d.buf)-1]
}

// find is the place of the call that a fragment belongs to; it begins another if it belongs to none. Fragments go by their
// index. Some providers leave it out, and some give the same to all calls, which are whole then and have ids.
func (a *answer) find(f *callFragment) int {
	for n := len(a.calls) - 1; n >= 0; n-- {
		c := &a.calls[n]
		if f.id != nil && c.given && same(f.id, c.id) {
			return n
		}
		switch {
		case f.index < 0 && f.id == nil && f.name == nil, // more of the last one
			f.index == c.index && (f.id == nil || !c.given):
			if f.id != nil {
				c.id, _ = peek.String(f.id)
				c.given = true
			}
			return n
		}
	}
	c := begunCall{index: f.index, given: f.id != nil}
	if f.index < 0 {
		c.index = len(a.calls)
	}
	c.id, _ = peek.String(f.id)
	a.calls = append(a.calls, c)
	return len(a.calls) - 1
}

// same compares a JSON string with what it should say.
func same(quoted []byte, s string) bool {
	text, _ := shape.Inside(quoted)
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text) == s
	}
	said, _ := peek.String(quoted)
	return said == s
}
