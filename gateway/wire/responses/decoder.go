package responses

import (
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// decoder reads the events of one stream.
type decoder struct {
	items map[int64]*progress // by their index
	calls int
	begun bool
	ended bool
	odd   bool   // something had an unexpected type
	said  int    // characters of text
	name  []byte // of an event whose data has no type

	// What pieces point to.
	head  chat.Head
	usage chat.Usage
}

// progress is how far an item has come.
type progress struct {
	call  int  // among the calls, -1 for other items
	said  bool // a delta of it has come
	done  bool
	raw   bool  // its thoughts come as they are, not as a summary
	part  int64 // of its thoughts or of its texts, the last
	cited bool  // a source has come
	first int   // characters of text before its own
	from  int   // those before that of the part
}

// NewDecoder reads a stream of a provider's. Events of unknown types say nothing. An item of which nothing came before it
// was done is one piece, and so is everything if a stream has nothing but its end. Responses, items, contents and texts of an
// unexpected type are ErrMalformed, and so are more calls than [chat.MaxCalls].
func NewDecoder() chat.Decoder { return &decoder{} }

// event is an event being read.
type event struct {
	kind                                             []byte
	delta, item, response, annotation, logprobs, err []byte
	output, part, summary                            int64
	odd                                              bool // delta is no text
}

func (e *event) read(data []byte) bool {
	return peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			e.kind, _ = shape.Inside(val)
		case "delta":
			e.delta, _ = shape.Inside(val)
			e.odd = !shape.Maybe(val, `"`)
		case "item":
			e.item = val
		case "response":
			e.response = val
		case "annotation":
			e.annotation = val
		case "logprobs":
			e.logprobs = val
		case "error":
			e.err = val
		case "output_index":
			e.output, _ = peek.Int(val)
		case "content_index":
			e.part, _ = peek.Int(val)
		case "summary_index":
			e.summary, _ = peek.Int(val)
		}
		return true
	})
}

// Decode implements chat.Decoder.
func (d *decoder) Decode(dst []chat.Piece, name string, data []byte) ([]chat.Piece, error) {
	var e event
	if !e.read(data) {
		if isDone(data) {
			return dst, nil
		}
		return dst, ErrMalformed
	}
	if d.ended {
		return dst, nil
	}
	if len(e.kind) == 0 {
		d.name = append(d.name[:0], name...)
		e.kind = d.name
	}
	step := stepOf(e.kind)
	if step == fails || isError(e.err) {
		return d.fail(dst, &e, data)
	}
	if step == aside {
		return dst, nil
	}
	if !d.begun {
		dst = d.begin(dst, e.response)
	}
	var err error
	switch step {
	case content:
		dst = d.content(dst, &e)
	case ends:
		dst, err = d.end(dst, &e)
	}
	if d.odd || d.calls > chat.MaxCalls {
		err = ErrMalformed
	}
	return dst, err
}

// fail reads the error that ends a stream, and the usage until then.
func (d *decoder) fail(dst []chat.Piece, e *event, data []byte) ([]chat.Piece, error) {
	d.ended = true
	if d.begun && lookUsage(e.response, &d.usage) {
		dst = append(dst, chat.Piece{Kind: chat.PieceUsage, Usage: &d.usage})
	}
	failed, ok := DecodeError(data)
	if !ok {
		return dst, ErrMalformed
	}
	return dst, &failed
}

func (d *decoder) begin(dst []chat.Piece, response []byte) []chat.Piece {
	d.begun = true
	var a answer
	a.read(response)
	d.head = a.Head
	return append(dst, chat.Piece{Kind: chat.PieceBegin, Head: &d.head})
}

// end reads the terminal event.
func (d *decoder) end(dst []chat.Piece, e *event) ([]chat.Piece, error) {
	var a answer
	if !a.read(e.response) || !shape.Maybe(a.output, "[") {
		return dst, ErrMalformed
	}
	if failed, ok := failure(e.response, &a); ok {
		d.ended = true
		return dst, &failed
	}
	if len(d.items) == 0 {
		at := int64(0)
		peek.Elements(a.output, func(v []byte) bool {
			dst = d.done(dst, at, v)
			at++
			return !d.odd
		})
	}
	if a.status == "" && string(e.kind) == "response.incomplete" {
		a.status = incomplete
	}
	d.ended = true
	dst = append(dst, chat.Piece{Kind: chat.PieceFinish, Finish: a.finish(d.calls > 0)})
	if lookUsage(e.response, &d.usage) {
		dst = append(dst, chat.Piece{Kind: chat.PieceUsage, Usage: &d.usage})
	}
	return append(dst, chat.Piece{Kind: chat.PieceEnd}), nil
}

// content reads the events between the first and the last.
func (d *decoder) content(dst []chat.Piece, e *event) []chat.Piece {
	switch string(e.kind) {
	case "response.output_text.delta":
		return d.say(dst, e, chat.PieceText, e.delta)
	case "response.refusal.delta":
		return d.say(dst, e, chat.PieceRefusal, e.delta)
	case "response.reasoning_summary_text.delta":
		return d.think(dst, e, e.summary, false, e.delta)
	case "response.reasoning_text.delta":
		return d.think(dst, e, e.part, true, e.delta)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		d.odd = d.odd || e.odd
		return d.argue(dst, e.output, e.delta)
	case "response.output_item.added":
		return d.added(dst, e)
	case "response.output_item.done":
		return d.done(dst, e.output, e.item)
	case "response.output_text.annotation.added":
		it := d.item(e.output)
		from := it.from
		if !it.said || it.part != e.part { // before its text
			from = d.said
		}
		var c chat.Citation
		if readCitation(e.annotation, &c) {
			it.cited = true
			return append(dst, citationFrom(from, c))
		}
	}
	return dst
}

// item is the progress of an item, from its first event on.
func (d *decoder) item(index int64) *progress {
	if it := d.items[index]; it != nil {
		return it
	}
	return d.fresh(index)
}

func (d *decoder) fresh(index int64) *progress {
	if d.items == nil {
		d.items = map[int64]*progress{}
	}
	it := &progress{call: -1}
	d.items[index] = it
	return it
}

func (d *decoder) say(dst []chat.Piece, e *event, kind chat.PieceKind, said []byte) []chat.Piece {
	d.odd = d.odd || e.odd
	p := chat.Piece{Kind: kind, Text: said}
	if len(inner(e.logprobs)) > 0 {
		p.Logprobs = e.logprobs
	}
	if len(said) == 0 && p.Logprobs == nil {
		return dst
	}
	it := d.item(e.output)
	if !it.said {
		it.first = d.said
	}
	if !it.said || it.part != e.part {
		it.from = d.said
	}
	it.said, it.part = true, e.part
	if kind == chat.PieceText {
		d.said += chat.Characters(said)
	}
	return append(dst, p)
}

// citationFrom is a source of a text that so many characters of others come before.
func citationFrom(from int, c chat.Citation) chat.Piece {
	c = c.Behind(-from)
	return chat.Piece{Kind: chat.PieceCitation, Citation: &c}
}

// think reads a delta of a thought or of its summary, whichever comes first.
func (d *decoder) think(dst []chat.Piece, e *event, part int64, raw bool, said []byte) []chat.Piece {
	d.odd = d.odd || e.odd
	it := d.item(e.output)
	if len(said) == 0 || it.said && it.raw != raw {
		return dst
	}
	if it.said && it.part != part {
		dst = append(dst, chat.Piece{Kind: chat.PieceReasoning, Text: []byte(escapedGap)})
	}
	it.said, it.raw, it.part = true, raw, part
	return append(dst, chat.Piece{Kind: chat.PieceReasoning, Text: said})
}

const escapedGap = `\n\n` // thoughtGap

func (d *decoder) argue(dst []chat.Piece, index int64, said []byte) []chat.Piece {
	it := d.item(index)
	if it.call < 0 || len(said) == 0 {
		return dst
	}
	it.said = true
	return append(dst, chat.Piece{Kind: chat.PieceArguments, Index: it.call, Text: said})
}

// added begins an item. Only a call says something by that.
func (d *decoder) added(dst []chat.Piece, e *event) []chat.Piece {
	it := d.fresh(e.output)
	d.odd = d.odd || !shape.Maybe(e.item, "{")
	if kind := kindOf(e.item); kind != "function_call" && kind != "custom_tool_call" {
		return dst
	}
	parts, _ := readOutput(e.item)
	return d.called(dst, it, parts[0].Call)
}

func (d *decoder) called(dst []chat.Piece, it *progress, c *chat.ToolCall) []chat.Piece {
	it.call = d.calls
	d.calls++
	begun := chat.ToolCall{ID: c.ID, Kind: c.Kind, Name: c.Name}
	if begun.ID == "" {
		begun.ID = d.head.CallID(it.call)
	}
	return append(dst, chat.Piece{Kind: chat.PieceCall, Index: it.call, Call: &begun})
}

// done ends an item. What was not said in pieces is said now, and so are signatures.
func (d *decoder) done(dst []chat.Piece, index int64, v []byte) []chat.Piece {
	it := d.item(index)
	if it.done {
		return dst
	}
	it.done = true
	parts, fits := readOutput(v)
	d.odd = d.odd || !fits
	from := it.first
	if !it.said {
		from = d.said
	}
	for _, p := range parts {
		said := chat.Piece{Text: inside(p.Text)}
		switch p.Kind {
		case chat.PartText:
			said.Kind, said.Logprobs = chat.PieceText, p.Logprobs
		case chat.PartRefusal:
			said.Kind = chat.PieceRefusal
		case chat.PartReasoning:
			said.Kind = chat.PieceReasoning
		case chat.PartImage:
			said.Kind, said.Text = chat.PieceImage, []byte(p.Media.DataURL())
		case chat.PartCall:
			if it.call < 0 {
				dst = d.called(dst, it, p.Call)
			}
			said.Kind, said.Index, said.Text = chat.PieceArguments, it.call, inside(p.Call.Arguments)
		}
		if said.Kind != 0 && !it.said && len(said.Text) > 0 {
			dst = append(dst, said)
		}
		if !it.cited {
			for _, c := range p.Citations {
				dst = append(dst, citationFrom(from, c))
			}
		}
		if p.Kind == chat.PartText {
			from += utf8.RuneCountInString(p.Text)
		}
		dst = d.signed(dst, it, &p)
	}
	d.said = max(d.said, from)
	return dst
}

func (d *decoder) signed(dst []chat.Piece, it *progress, p *chat.Part) []chat.Piece {
	if p.Signature == "" {
		return dst
	}
	s := chat.Piece{Kind: chat.PieceSignature, Text: inside(p.Signature), Owner: p.Owner}
	switch p.Kind {
	case chat.PartRedacted:
		s.Kind = chat.PieceRedacted
	case chat.PartCall:
		s.Index, s.Call = it.call, p.Call
	}
	return append(dst, s)
}

// inside is what stands between the quotes of a text as a JSON string.
func inside(text string) []byte {
	quoted := shape.AppendString(nil, text)
	return quoted[1 : len(quoted)-1]
}
