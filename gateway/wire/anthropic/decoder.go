package anthropic

import (
	"cmp"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// NewDecoder reads a stream of the Messages API. Calls are numbered by a counter of their own, not by the index of their
// block (litellm #5231), and one without any fragment has the arguments {}. Blocks that only this dialect knows (server
// tools and their results) say nothing. Messages, blocks, deltas and texts of an unexpected type are ErrMalformed, and so are
// more calls than [chat.MaxCalls]; other members of an unexpected type are left out.
func NewDecoder() chat.Decoder { return new(decoder) }

type decoder struct {
	begun, finished, over bool

	head  chat.Head
	usage chat.Usage
	call  chat.ToolCall // of the last PieceCall

	calls int             // so far
	open  openBlock       // that is being read
	input []byte          // of an open call that began with all its arguments, escaped
	said  int             // characters of text
	from  int             // those before the open block
	cited []chat.Citation // of the open block, all of whose text they belong to
	odd   bool            // something had an unexpected type
}

// openBlock is what the open block is.
type openBlock uint8

const (
	blockNone openBlock = iota // or one that says nothing
	blockText
	blockThinking
	blockCall       // without arguments up to now
	blockCallFilled // with some
)

// Decode implements chat.Decoder.
func (d *decoder) Decode(dst []chat.Piece, name string, data []byte) ([]chat.Piece, error) {
	var v event
	if d.over {
		return dst, nil
	}
	if !v.read(name, data) {
		return dst, ErrMalformed
	}
	if v.kind == failed {
		e, ok := DecodeError(data)
		if !ok {
			e = chat.Error{Message: "the provider broke off the stream with an error", Type: typeServer}
		}
		return dst, &e
	}
	if v.kind != other && !(shape.Maybe(v.message, "{") && shape.Maybe(v.block, "{") && shape.Maybe(v.delta, "{")) {
		return dst, ErrMalformed
	}
	if !d.begun && v.kind != pinged && v.kind != other {
		d.begun = true
		dst = append(dst, d.begin(&v))
	}
	switch v.kind {
	case blockStarted:
		dst = d.start(dst, v.block)
	case blockDelta:
		dst = d.delta(dst, v.delta)
	case blockStopped:
		dst = d.close(dst)
	case ending:
		dst = d.ending(d.close(dst), &v)
	case ended:
		dst = d.end(d.close(dst))
	}
	if d.odd || d.calls > chat.MaxCalls {
		return dst, ErrMalformed
	}
	return dst, nil
}

// begin reads message_start. A stream that lacks it begins with nothing known.
func (d *decoder) begin(v *event) chat.Piece {
	p := chat.Piece{Kind: chat.PieceBegin, Head: &d.head}
	if v.kind != started {
		return p
	}
	peek.Each(v.message, func(key, val []byte) bool {
		switch string(key) {
		case "id":
			d.head.ID, _ = peek.String(val)
		case "model":
			d.head.Model, _ = peek.String(val)
		case "usage":
			if addUsage(val, &d.usage) {
				d.usage.Tier = tierIn(val)
				p.Usage = &d.usage
			}
		}
		return true
	})
	return p
}

// start reads a content_block, which some providers send with its content.
func (d *decoder) start(dst []chat.Piece, v []byte) []chat.Piece {
	dst = d.close(dst)
	var kind, text, id, name, input, signature []byte
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind = val
		case "text", "thinking", "data":
			text = val
		case "signature":
			signature = val
		case "id":
			id = val
		case "name":
			name = val
		case "input":
			input = val
		}
		return true
	})
	switch string(kind) {
	case `"text"`:
		d.open, d.from = blockText, d.said
		return d.add(dst, chat.PieceText, text)
	case `"thinking"`:
		d.open = blockThinking
		return d.add(d.add(dst, chat.PieceReasoning, text), chat.PieceSignature, signature)
	case `"redacted_thinking"`:
		return d.add(dst, chat.PieceRedacted, text)
	case `"tool_use"`:
		d.open = blockCall
		d.input = d.input[:0]
		if len(input) > 0 && input[0] == '{' && !isEmpty(input) {
			d.input = shape.AppendString(d.input, string(input))
		}
		d.call = chat.ToolCall{}
		d.call.ID, _ = peek.String(id)
		if d.call.ID = plainID(d.call.ID); d.call.ID == "" {
			d.call.ID = d.head.CallID(d.calls)
		}
		d.call.Name, _ = peek.String(name)
		d.calls++
		return append(dst, chat.Piece{Kind: chat.PieceCall, Index: d.calls - 1, Call: &d.call})
	}
	return dst
}

// isEmpty says whether an object has no members.
func isEmpty(object []byte) bool {
	empty := true
	peek.Each(object, func(_, _ []byte) bool {
		empty = false
		return false
	})
	return empty
}

func (d *decoder) delta(dst []chat.Piece, v []byte) []chat.Piece {
	var kind, text, cited []byte
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind = val
		case "text", "thinking", "signature", "partial_json":
			text = val
		case "citation":
			cited = val
		}
		return true
	})
	switch string(kind) {
	case `"text_delta"`:
		return d.add(dst, chat.PieceText, text)
	case `"thinking_delta"`:
		return d.add(dst, chat.PieceReasoning, text)
	case `"signature_delta"`:
		return d.add(dst, chat.PieceSignature, text)
	case `"input_json_delta"`:
		d.odd = d.odd || !shape.Maybe(text, `"`)
		if inside, _ := shape.Inside(text); len(inside) > 0 && (d.open == blockCall || d.open == blockCallFilled) {
			d.open = blockCallFilled
			return append(dst, chat.Piece{Kind: chat.PieceArguments, Index: d.calls - 1, Text: inside})
		}
	case `"citations_delta"`:
		if c, ok := citation(cited); ok && len(d.cited) < mostEarly {
			d.cited = append(d.cited, c)
		}
	}
	return dst
}

// add adds a piece with a text, unless that is empty.
func (d *decoder) add(dst []chat.Piece, kind chat.PieceKind, text []byte) []chat.Piece {
	d.odd = d.odd || !shape.Maybe(text, `"`)
	inside, _ := shape.Inside(text)
	if len(inside) == 0 {
		return dst
	}
	if kind == chat.PieceText {
		d.said += chat.Characters(inside)
	}
	p := chat.Piece{Kind: kind, Text: inside}
	if kind == chat.PieceSignature || kind == chat.PieceRedacted {
		p.Owner = chat.Anthropic
	}
	return append(dst, p)
}

// close ends the open block: its sources are told, which mostly come before its text, and a call that got no fragment gets its
// arguments now.
func (d *decoder) close(dst []chat.Piece) []chat.Piece {
	was := d.open
	d.open = blockNone
	for i := range d.cited {
		c := &d.cited[i]
		c.Start, c.End = d.from, d.said
		dst = append(dst, chat.Piece{Kind: chat.PieceCitation, Citation: c})
	}
	d.cited = nil
	if was != blockCall {
		return dst
	}
	p := chat.Piece{Kind: chat.PieceArguments, Index: d.calls - 1, Text: []byte("{}")}
	if inside, _ := shape.Inside(d.input); len(inside) > 0 {
		p.Text = inside
	}
	return append(dst, p)
}

// ending reads message_delta: why the reply ends, and its usage up to now.
func (d *decoder) ending(dst []chat.Piece, v *event) []chat.Piece {
	var reason, sequence string
	var details []byte
	peek.Each(v.delta, func(key, val []byte) bool {
		switch string(key) {
		case "stop_reason":
			reason, _ = peek.String(val)
		case "stop_sequence":
			sequence, _ = peek.String(val)
		case "stop_details":
			details = val
		}
		return true
	})
	if reason != "" && !d.finished {
		d.finished = true
		if reason == stopRefusal && d.said == 0 {
			dst = d.add(dst, chat.PieceRefusal, explanation(details))
		}
		dst = append(dst, chat.Piece{Kind: chat.PieceFinish, Finish: finishOf(reason), Stop: sequence})
	}
	if addUsage(v.usage, &d.usage) {
		d.usage.Tier = cmp.Or(tierIn(v.usage), d.usage.Tier)
		dst = append(dst, chat.Piece{Kind: chat.PieceUsage, Usage: &d.usage})
	}
	return dst
}

// explanation is why the model refused, as it stands in stop_details.
func explanation(details []byte) []byte {
	if len(details) == 0 || details[0] != '{' {
		return nil
	}
	return peek.Find(details, []byte(`"explanation"`))
}

// end reads message_stop.
func (d *decoder) end(dst []chat.Piece) []chat.Piece {
	if !d.finished { // the provider says that the reply is complete, not why
		dst = append(dst, chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishStop})
	}
	d.over = true
	return append(dst, chat.Piece{Kind: chat.PieceEnd})
}
