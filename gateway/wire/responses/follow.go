package responses

import (
	"bytes"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// NewFollower follows a stream of a response. Its callers always get usage.
func NewFollower(bool) chat.Follower { return &follower{} }

// follower keeps what the last event must repeat: the response as it began, and its output.
type follower struct {
	response []byte // as it began; nil before that
	sequence int64  // of the next event
	items    []*followed
	size     int  // bytes that are kept
	over     bool // there is no end that could be made
}

// mostFollowed is how many bytes of an answer are kept.
const mostFollowed = 1 << 20

// followed is an item of the output.
type followed struct {
	index int64
	raw   []byte // as it was added, or when it was done
	done  bool
	parts [][]byte // of its content, or of its summary, that are done
	said  []byte   // of the part that is open, or of the arguments: the inside of a JSON string
	part  []byte   // that is open, as it was added; nil: none
	kind  []byte   // of the last part
}

// followedEvent are an event's members that matter here, nil if absent.
type followedEvent struct{ kind, response, item, part, delta, index, sequence []byte }

func (v *followedEvent) read(data []byte) bool {
	return peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			v.kind, _ = shape.Inside(val)
		case "response":
			v.response = val
		case "item":
			v.item = val
		case "part":
			v.part = val
		case "delta":
			v.delta, _ = shape.Inside(val)
		case "output_index":
			v.index = val
		case "sequence_number":
			v.sequence = val
		}
		return true
	})
}

// Follow implements chat.Follower.
func (f *follower) Follow(_ string, data []byte) {
	var v followedEvent
	if f.over || !v.read(data) {
		return
	}
	f.sequence++
	if n, ok := peek.Int(v.sequence); ok {
		f.sequence = n + 1
	}
	switch stepOf(v.kind) {
	case begins:
		if f.response == nil && len(v.response) > 0 && v.response[0] == '{' {
			f.response = f.keep(v.response)
		}
	case ends, fails:
		f.over = true
	case content:
		f.content(&v)
	}
}

func (f *follower) content(v *followedEvent) {
	if string(v.kind) == "response.output_item.added" && len(v.item) > 0 && v.item[0] == '{' {
		index, _ := peek.Int(v.index)
		f.items = append(f.items, &followed{index: index, raw: f.keep(v.item)})
		return
	}
	it := f.of(v.index)
	if it == nil || len(v.part) > 0 && v.part[0] != '{' {
		return
	}
	switch string(v.kind) {
	case "response.output_item.done":
		if len(v.item) > 0 && v.item[0] == '{' {
			*it = followed{index: it.index, raw: f.keep(v.item), done: true}
		}
	case "response.content_part.added", "response.reasoning_summary_part.added":
		if v.part == nil {
			return
		}
		it.part, it.said = f.keep(v.part), it.said[:0]
		it.kind, _ = shape.Inside(peek.Find(it.part, []byte(`"type"`)))
	case "response.content_part.done", "response.reasoning_summary_part.done":
		if v.part == nil {
			return
		}
		it.parts, it.part, it.said = append(it.parts, f.keep(v.part)), nil, it.said[:0]
	case "response.output_text.delta", "response.refusal.delta", "response.reasoning_summary_text.delta", "response.reasoning_text.delta",
		"response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		it.said = append(it.said, v.delta...)
		f.grow(len(v.delta))
	}
}

func (f *follower) of(index []byte) *followed {
	n, ok := peek.Int(index)
	for i := len(f.items) - 1; ok && i >= 0; i-- {
		if f.items[i].index == n && !f.items[i].done {
			return f.items[i]
		}
	}
	return nil
}

func (f *follower) keep(v []byte) []byte {
	f.grow(len(v))
	return bytes.Clone(v)
}

// grow gives up on answers that are too long to be kept.
func (f *follower) grow(n int) {
	if f.size += n; f.size > mostFollowed {
		*f = follower{over: true}
	}
}

// End implements chat.Follower. Items that are open are ended as incomplete; of a call there is no word that its arguments were
// done, upon which clients act.
func (f *follower) End(dst *chat.Batch, u *chat.Usage) bool {
	if f.response == nil || f.over {
		return false
	}
	f.over = true
	output := []byte{'['}
	for i, it := range f.items {
		if !it.done {
			f.close(dst, it)
		}
		if i > 0 {
			output = append(output, ',')
		}
		output = append(output, it.raw...)
	}
	f.event(dst, "response.incomplete")
	dst.Buf = append(dst.Buf, `,"response":`...)
	dst.Buf = append(shape.With(dst.Buf, f.response,
		shape.Member{Key: "status", Value: `"incomplete"`}, shape.Member{Key: "incomplete_details", Value: `{"reason":"max_output_tokens"}`},
		shape.Member{Key: "output", Value: string(output) + "]"}, shape.Member{Key: "usage", Value: string(appendUsage(nil, u))}), '}')
	return true
}

// event begins an event.
func (f *follower) event(dst *chat.Batch, kind string) {
	dst.Event(kind)
	dst.Buf = append(append(append(dst.Buf, `{"type":"`...), kind...), `","sequence_number":`...)
	dst.Buf = strconv.AppendInt(dst.Buf, f.sequence, 10)
	f.sequence++
}

// about begins an event about an item.
func (f *follower) about(dst *chat.Batch, kind string, it *followed) {
	f.event(dst, kind)
	dst.Buf = strconv.AppendInt(append(dst.Buf, `,"output_index":`...), it.index, 10)
}

// close ends an item.
func (f *follower) close(dst *chat.Batch, it *followed) {
	kind, _ := shape.Inside(peek.Find(it.raw, []byte(`"type"`)))
	said := `"` + string(it.said) + `"`
	members := []shape.Member{{Key: "status", Value: `"incomplete"`}}
	switch string(kind) {
	case "message":
		f.closePart(dst, it, "content", said)
		members = append(members, shape.Member{Key: "content", Value: list(it.parts)})
	case "reasoning":
		of := "summary"
		if string(it.kind) == "reasoning_text" { // of those who show what was thought
			of = "content"
		}
		f.closePart(dst, it, of, said)
		members = append(members, shape.Member{Key: of, Value: list(it.parts)})
	case "function_call":
		members = append(members, shape.Member{Key: "arguments", Value: said})
	case "custom_tool_call":
		members = append(members, shape.Member{Key: "input", Value: said})
	default: // what the provider's own tools do is done, or has failed
		members[0].Value = `"failed"`
	}
	it.raw = shape.With(nil, it.raw, members...)
	f.about(dst, "response.output_item.done", it)
	dst.Buf = append(append(append(dst.Buf, `,"item":`...), it.raw...), '}')
}

func list(parts [][]byte) string { return "[" + string(bytes.Join(parts, []byte{','})) + "]" }

// closePart ends the part of an item that is open, if there is one.
func (f *follower) closePart(dst *chat.Batch, it *followed, of, said string) {
	if it.part == nil {
		return
	}
	member, text, part := "text", "response.output_text.done", "response.content_part.done"
	switch {
	case of == "summary":
		text, part = "response.reasoning_summary_text.done", "response.reasoning_summary_part.done"
	case string(it.kind) == "refusal":
		member, text = "refusal", "response.refusal.done"
	case string(it.kind) == "reasoning_text":
		text = "response.reasoning_text.done"
	}
	whole := shape.With(nil, it.part, shape.Member{Key: member, Value: said})
	id := peek.Find(it.raw, []byte(`"id"`))
	begin := func(kind string) {
		f.about(dst, kind, it)
		if len(id) > 0 {
			dst.Buf = append(append(dst.Buf, `,"item_id":`...), id...)
		}
		dst.Buf = append(append(append(dst.Buf, `,"`...), of...), `_index":`...)
		dst.Buf = strconv.AppendInt(dst.Buf, int64(len(it.parts)), 10)
	}
	begin(text)
	dst.Buf = append(append(append(append(dst.Buf, `,"`...), member...), `":`...), said...)
	if text == "response.output_text.done" {
		dst.Buf = append(dst.Buf, `,"logprobs":[]`...)
	}
	dst.Buf = append(dst.Buf, '}')
	begin(part)
	dst.Buf = append(append(append(dst.Buf, `,"part":`...), whole...), '}')
	it.parts, it.part = append(it.parts, whole), nil
}
