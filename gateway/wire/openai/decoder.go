package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// NewDecoder reads a stream of chat.completion.chunk. Errors are a *chat.Error for what the provider reports, and
// ErrMalformed for choices, deltas, contents and calls of an unexpected type, and for more of them than [chat.MaxChoices]
// and [chat.MaxCalls]; other members of an unexpected type are left out.
func NewDecoder() chat.Decoder { return &decoder{} }

// decoder is how far a stream has come.
type decoder struct {
	head         chat.Head
	usage        chat.Usage
	choices      []*answer
	begun, ended bool
	cited        bool // a list of sources was looked for

	// Of one event.
	out   []chat.Piece
	calls []chat.ToolCall // that pieces point to
	cites []chat.Citation
	buf   []byte // texts that do not stand in the event as they are
	err   error
}

// answer is how far one choice has come.
type answer struct {
	index    int
	finished bool
	thought  source
	last     []byte // the last piece of reasoning
	calls    []begunCall
	told     int // of the calls

	sound, words bool // of a recording came
}

// source is where reasoning is read that stands in several places.
type source uint8

const (
	nowhere source = iota // yet
	inText                // reasoning_content and the like
	inBlocks
)

// begunCall is how far one call has come.
type begunCall struct {
	index int    // by the provider's count
	id    string // as the provider gave it, or made
	given bool   // by the provider
	told  bool   // its beginning was passed on
	place int    // among those that were told
}

// Decode implements chat.Decoder.
func (d *decoder) Decode(dst []chat.Piece, name string, data []byte) ([]chat.Piece, error) {
	if d.ended {
		return dst, nil
	}
	d.out, d.calls, d.cites, d.buf, d.err = dst, d.calls[:0], d.cites[:0], d.buf[:0], nil
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		d.end()
	} else {
		d.event(name, data)
	}
	dst, d.out = d.out, nil
	return dst, d.err
}

func (d *decoder) event(name string, data []byte) {
	var m members
	switch {
	case !m.read(data):
		d.err = ErrMalformed
		return
	case m.failed() || name == "error":
		failed, _ := DecodeError(data)
		d.err = &failed
		return
	}
	used := m.usage(&d.usage)
	if used {
		d.usage.Tier = m.served()
	}
	switch {
	case !shape.Maybe(m.choices, "["):
		d.err = ErrMalformed
		return
	case isList(m.choices) && (used || !emptyArray(m.choices)):
	case used && d.begun: // some leave the empty list out
	default:
		return // a ping; Azure's first chunk, which has no id
	}
	if !d.begun {
		d.begun = true
		peek.Each(data, func(key, val []byte) bool {
			readHead(&d.head, key, val)
			return true
		})
		d.out = append(d.out, chat.Piece{Kind: chat.PieceBegin, Head: &d.head})
	}
	at := 0
	peek.Elements(m.choices, func(val []byte) bool {
		d.choice(data, val, at)
		at++
		return d.err == nil
	})
	if used && d.err == nil {
		d.out = append(d.out, chat.Piece{Kind: chat.PieceUsage, Usage: &d.usage})
	}
}

// end ends the reply. A choice without a finish reason has one now: the provider says that it is done.
func (d *decoder) end() {
	if len(d.choices) == 0 { // nothing but an end, or a usage before it
		d.err = ErrMalformed
		return
	}
	d.ended = true
	for _, a := range d.choices {
		if !a.finished {
			a.finished = true
			finish, _ := finishReason([]byte("stop"), len(a.calls) > 0)
			d.out = append(d.out, chat.Piece{Kind: chat.PieceFinish, Choice: a.index, Finish: finish})
		}
	}
	d.out = append(d.out, chat.Piece{Kind: chat.PieceEnd})
}

// answer finds or begins a choice; nil if there are too many.
func (d *decoder) answer(index int) *answer {
	for _, a := range d.choices {
		if a.index == index {
			return a
		}
	}
	if len(d.choices) == chat.MaxChoices {
		return nil
	}
	a := &answer{index: index}
	d.choices = append(d.choices, a)
	return a
}

// fragment is one of choices, with the members of its delta; all nil if absent.
type fragment struct {
	delta, reason, logprobs, stop              []byte
	content, refusal, reasoning, audio, images []byte
	blocks, details, calls, function, citation []byte
}

// choice reads one of an event's choices; at is its place there, which some providers leave to stand for the index.
func (d *decoder) choice(event, v []byte, at int) {
	var f fragment
	index := at
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "index":
			setIndex(&index, val)
		case "delta":
			f.delta = val
		case "finish_reason":
			f.reason, _ = shape.Inside(val)
		case "stop_reason": // vLLM: the stop sequence that was met
			f.stop = val
		case "logprobs":
			f.logprobs = val
		}
		return true
	})
	if v[0] != '{' || !shape.Maybe(f.delta, "{") {
		d.err = ErrMalformed
		return
	}
	a := d.answer(index)
	if a == nil {
		d.err = ErrMalformed
		return
	}
	if a.finished {
		return // some repeat the reason, or add annotations
	}
	peek.Each(f.delta, f.member)
	if !shape.Maybe(f.content, `"[`) || !shape.Maybe(f.calls, "[") || !shape.Maybe(f.function, "{") {
		d.err = ErrMalformed
		return
	}
	if d.say(a, &f); d.err != nil {
		return
	}
	if len(f.reason) > 0 {
		if !d.cited && index == 0 {
			d.cite(peek.Find(event, []byte(`"citations"`)))
		}
		d.finish(a, &f)
	}
}

func (f *fragment) member(key, val []byte) bool {
	switch string(key) {
	case "content":
		f.content = val
	case "refusal":
		f.refusal = val
	case "reasoning_content", "reasoning", "reasoning_text": // several may stand for the same
		if len(val) > 2 && val[0] == '"' {
			f.reasoning = val
		}
	case "thinking_blocks":
		f.blocks = val
	case "reasoning_details":
		f.details = val
	case "tool_calls":
		f.calls = val
	case "function_call":
		f.function = val
	case "annotations":
		f.citation = val
	case "audio":
		f.audio = val
	case "images": // OpenRouter
		f.images = val
	}
	return true
}

// say passes on what a delta adds, in the order in which a model comes to it.
func (d *decoder) say(a *answer, f *fragment) {
	d.reason(a, f)
	d.content(a, f)
	if text, _ := shape.Inside(f.refusal); len(text) > 0 {
		d.out = append(d.out, chat.Piece{Kind: chat.PieceRefusal, Choice: a.index, Text: text})
	}
	if f.audio != nil { // its sound has no place in other dialects, its words have
		data, _ := shape.Inside(peek.Find(f.audio, []byte(`"data"`)))
		a.sound = a.sound || len(data) > 0
		a.words = d.inside(chat.PieceText, a, peek.Find(f.audio, []byte(`"transcript"`))) || a.words
	}
	peek.Elements(f.images, func(v []byte) bool {
		d.inside(chat.PieceImage, a, peek.Find(peek.Find(v, []byte(`"image_url"`)), []byte(`"url"`)))
		return true
	})
	if f.citation != nil {
		d.annotate(a, f.citation)
	}
	if f.calls != nil {
		peek.Elements(f.calls, func(val []byte) bool {
			d.call(a, val)
			return d.err == nil
		})
	}
	if isObject(f.function) { // deprecated: the one call, without id
		d.called(a, &callFragment{function: f.function})
	}
}

func (d *decoder) content(a *answer, f *fragment) {
	if text, ok := shape.Inside(f.content); ok {
		if len(text) > 0 {
			p := chat.Piece{Kind: chat.PieceText, Choice: a.index, Text: text}
			if len(f.logprobs) > 0 && f.logprobs[0] == '{' {
				if list := peek.Find(f.logprobs, []byte(`"content"`)); len(list) > 0 && list[0] == '[' {
					p.Logprobs = list
				}
			}
			d.out = append(d.out, p)
		}
		return
	}
	peek.Elements(f.content, func(part []byte) bool { // Mistral: texts and thoughts
		if !isObject(part) {
			d.err = ErrMalformed
			return false
		}
		d.inside(chat.PieceText, a, peek.Find(part, []byte(`"text"`)))
		peek.Elements(peek.Find(part, []byte(`"thinking"`)), func(thought []byte) bool {
			d.inside(chat.PieceReasoning, a, peek.Find(thought, []byte(`"text"`)))
			return true
		})
		return true
	})
}

// inside passes on a JSON string that says something.
func (d *decoder) inside(k chat.PieceKind, a *answer, v []byte) bool {
	text, _ := shape.Inside(v)
	if len(text) == 0 {
		return false
	}
	d.out = append(d.out, chat.Piece{Kind: k, Choice: a.index, Text: text})
	return true
}

// longest is how long a piece of reasoning may be to be one that only happens to be the same as that before it.
const longest = 24

// reason passes on thoughts: as text, or else from the blocks that hold their signatures.
func (d *decoder) reason(a *answer, f *fragment) {
	if f.reasoning != nil && a.thought != inBlocks {
		if len(f.reasoning) <= longest || !bytes.Equal(f.reasoning, a.last) { // xAI repeats some
			a.thought = inText
			d.inside(chat.PieceReasoning, a, f.reasoning)
		}
		a.last = append(a.last[:0], f.reasoning...)
	}
	blocks := f.blocks
	if !isList(blocks) || emptyArray(blocks) {
		blocks = f.details
	}
	if blocks != nil {
		peek.Elements(blocks, func(v []byte) bool {
			d.block(a, v)
			return true
		})
	}
}

func isList(v []byte) bool { return len(v) > 0 && v[0] == '[' }

func isObject(v []byte) bool { return len(v) > 0 && v[0] == '{' }

// block reads one of thinking_blocks (LiteLLM) or reasoning_details (OpenRouter).
func (d *decoder) block(a *answer, v []byte) {
	var t detail
	if !t.read(v) || !t.known() {
		return
	}
	if a.thought != inText && d.inside(chat.PieceReasoning, a, t.text) {
		a.thought = inBlocks
	}
	owner := chat.Anthropic
	if t.foreign() {
		owner = chat.OpenRouter
		from := len(d.buf)
		d.buf = shape.AppendString(d.buf, string(seal(v, t.kind)))
		if whole := d.buf[from:len(d.buf):len(d.buf)]; t.hidden() {
			t.signature, t.data = nil, whole
		} else {
			t.signature, t.data = whole, nil
		}
	}
	if d.inside(chat.PieceSignature, a, t.signature) {
		a.thought = nowhere // the next thought is another
		d.out[len(d.out)-1].Owner = owner
	}
	if d.inside(chat.PieceRedacted, a, t.data) {
		d.out[len(d.out)-1].Owner = owner
	}
}

func (d *decoder) annotate(a *answer, v []byte) {
	peek.Elements(v, func(val []byte) bool {
		var c chat.Citation
		if readCitation(val, &c); c.URL != "" {
			d.citation(a.index, c)
		}
		return true
	})
}

// cite passes on the list of sources that xAI and Perplexity have beside choices, in the last event at the latest: they
// belong to the first choice.
func (d *decoder) cite(v []byte) {
	d.cited = true
	for _, c := range links(v) {
		d.citation(0, c)
	}
}

func (d *decoder) citation(choice int, c chat.Citation) {
	d.cites = append(d.cites, c)
	d.out = append(d.out, chat.Piece{Kind: chat.PieceCitation, Choice: choice, Citation: &d.cites[len(d.cites)-1]})
}

func (d *decoder) finish(a *answer, f *fragment) {
	reason, failed := finishReason(f.reason, len(a.calls) > 0)
	if failed != nil {
		d.err = failed
		return
	}
	a.finished = true
	if a.sound && !a.words {
		d.out = append(d.out, chat.Piece{Kind: chat.PieceText, Choice: a.index, Text: []byte(chat.LostSound)})
	}
	p := chat.Piece{Kind: chat.PieceFinish, Choice: a.index, Finish: reason}
	if len(f.stop) > 0 {
		p.Stop, _ = peek.String(f.stop)
	}
	d.out = append(d.out, p)
}
