package openai

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// NewEncoder writes a stream of chat.completion.chunk. If the caller asked for usage (stream_options.include_usage), one
// more chunk in front of [DONE] carries it, and all others have usage null. The request may be nil; nothing of it is kept but
// its model and the names of its custom tools, see [chat.Restore].
func NewEncoder(q *chat.Request) chat.Encoder {
	e := &encoder{}
	if q != nil {
		e.asked, e.model = q.IncludeUsage, q.Model
	}
	return chat.Restore(q, chat.JoinPairs(e))
}

type encoder struct {
	asked   bool   // for usage
	model   string // for providers that do not say it
	head    []byte // of each chunk, up to its choices
	usage   chat.Usage
	choices []*spoken

	begun beginning // what the last piece did
}

// beginning is a chunk that begins a call, in the batch.
type beginning struct {
	choice, index int // of the call
	at            int // where the call's object ends
	end           int // of the chunk; 0 if there is none
}

// spoken is how far one choice has come.
type spoken struct {
	index   int
	thought []byte // the reasoning that is not signed yet, escaped
	blocks  int    // of thoughts, told
	sources int    // told
	images  int    // told
	calls   []spokenCall
}

type spokenCall struct {
	index  int
	custom bool
	some   bool // arguments came
}

// Encode implements chat.Encoder.
func (e *encoder) Encode(dst *chat.Batch, p *chat.Piece) {
	if e.head == nil {
		e.begin(dst, p)
	}
	begun := e.begun
	e.begun = beginning{}
	switch p.Kind {
	case chat.PieceText:
		e.text(dst, p, `"content":"`)
	case chat.PieceRefusal:
		e.text(dst, p, `"refusal":"`)
	case chat.PieceReasoning:
		s := e.text(dst, p, `"reasoning_content":"`)
		s.thought = append(s.thought, p.Text...)
	case chat.PieceSignature:
		if p.Call != nil {
			e.signCall(dst, p, &begun)
			break
		}
		e.sign(dst, p)
	case chat.PieceRedacted:
		e.sign(dst, p)
	case chat.PieceCitation:
		s := e.open(dst, p.Choice)
		w := writer{b: append(dst.Buf, `"annotations":[{`...)}
		w.int("index", int64(s.sources))
		s.sources++
		w.citation(p.Citation)
		dst.Buf = w.b
		dst.Buf = append(dst.Buf, ']')
		e.shut(dst)
	case chat.PieceImage:
		s := e.open(dst, p.Choice)
		dst.Buf = strconv.AppendInt(append(dst.Buf, `"images":[{"index":`...), int64(s.images), 10)
		s.images++
		dst.Buf = append(append(append(dst.Buf, `,"type":"image_url","image_url":{"url":"`...), p.Text...), `"}}]`...)
		e.shut(dst)
	case chat.PieceCall, chat.PieceArguments:
		e.call(dst, p)
	case chat.PieceFinish:
		e.finish(dst, p)
	case chat.PieceUsage:
		e.usage = *p.Usage
	case chat.PieceEnd:
		e.end(dst)
	}
}

// Fail implements chat.Encoder.
func (e *encoder) Fail(dst *chat.Batch, failure *chat.Error) {
	dst.Event("")
	dst.Buf = AppendError(dst.Buf, *failure)
}

func (e *encoder) begin(dst *chat.Batch, p *chat.Piece) {
	if p.Usage != nil {
		e.usage = *p.Usage
	}
	h := p.Head
	if h == nil {
		h = &chat.Head{}
	}
	w := writer{}
	w.head(h, e.model, "chat.completion.chunk")
	e.head = w.b
	e.choice(dst, p.Choice)
}

// choice finds a choice, or begins it by telling its role: the first with the first piece of all (portkey #1399).
func (e *encoder) choice(dst *chat.Batch, index int) *spoken {
	for _, s := range e.choices {
		if s.index == index {
			return s
		}
	}
	s := &spoken{index: index}
	e.choices = append(e.choices, s)
	e.open(dst, index)
	dst.Buf = append(dst.Buf, `"role":"assistant","content":"","refusal":null`...)
	e.shut(dst)
	return s
}

// open begins a chunk with a delta of a choice, up to the delta's members.
func (e *encoder) open(dst *chat.Batch, choice int) *spoken {
	s := e.choice(dst, choice)
	dst.Event("")
	dst.Buf = append(append(dst.Buf, e.head...), `{"index":`...)
	dst.Buf = append(strconv.AppendInt(dst.Buf, int64(choice), 10), `,"delta":{`...)
	return s
}

// shut ends a chunk behind the delta's members.
func (e *encoder) shut(dst *chat.Batch) {
	dst.Buf = append(dst.Buf, `},"logprobs":null,"finish_reason":null}`...)
	e.last(dst)
}

// last ends a chunk behind the choice.
func (e *encoder) last(dst *chat.Batch) {
	if e.asked {
		dst.Buf = append(dst.Buf, `],"usage":null}`...)
	} else {
		dst.Buf = append(dst.Buf, `]}`...)
	}
}

// text writes a piece of text as the member that key begins.
func (e *encoder) text(dst *chat.Batch, p *chat.Piece, key string) *spoken {
	s := e.open(dst, p.Choice)
	dst.Buf = append(append(append(dst.Buf, key...), p.Text...), '"')
	if p.Logprobs == nil {
		e.shut(dst)
		return s
	}
	dst.Buf = append(append(dst.Buf, `},"logprobs":{"content":`...), p.Logprobs...)
	dst.Buf = append(dst.Buf, `,"refusal":null},"finish_reason":null}`...)
	e.last(dst)
	return s
}

// sign writes a whole block, which its provider wants back as it was, as LiteLLM does. Entries of lists in a delta have an
// index, by which openai-python joins them, and without which it fails (lib/streaming/_deltas.py).
func (e *encoder) sign(dst *chat.Batch, p *chat.Piece) {
	s := e.open(dst, p.Choice)
	dst.Buf = strconv.AppendInt(append(dst.Buf, `"thinking_blocks":[{"index":`...), int64(s.blocks), 10)
	s.blocks++
	if p.Kind == chat.PieceRedacted {
		dst.Buf = append(dst.Buf, `,"type":"redacted_thinking","data":"`...)
	} else {
		dst.Buf = append(append(dst.Buf, `,"type":"thinking","thinking":"`...), s.thought...)
		dst.Buf = append(dst.Buf, `","signature":"`...)
		s.thought = s.thought[:0]
	}
	dst.Buf = append(append(append(dst.Buf, p.Owner.Tag(chat.Anthropic)...), p.Text...), `"}]`...)
	e.shut(dst)
}

// signCall writes Gemini's signature of a call: into the chunk that begins the call, if that is still here, as Gemini does,
// for Vercel's AI SDK looks for it nowhere else.
func (e *encoder) signCall(dst *chat.Batch, p *chat.Piece, begun *beginning) {
	if begun.end > 0 && begun.end == len(dst.Buf) && !dst.Empty() && begun.choice == p.Choice && begun.index == p.Index {
		dst.Buf = dst.Buf[:begun.at]
	} else {
		e.open(dst, p.Choice)
		dst.Buf = strconv.AppendInt(append(dst.Buf, `"tool_calls":[{"index":`...), int64(p.Index), 10)
	}
	dst.Buf = append(append(dst.Buf, `,"extra_content":{"google":{"thought_signature":"`...), p.Text...)
	dst.Buf = append(dst.Buf, `"}}}]`...)
	e.shut(dst)
}

// call writes the beginning of a call or more of its arguments.
func (e *encoder) call(dst *chat.Batch, p *chat.Piece) {
	s := e.open(dst, p.Choice)
	if p.Kind == chat.PieceCall {
		s.calls = append(s.calls, spokenCall{index: p.Index, custom: p.Call.Kind == chat.Custom})
		dst.Buf = strconv.AppendInt(append(dst.Buf, `"tool_calls":[{"index":`...), int64(p.Index), 10)
		w := writer{b: dst.Buf, more: true}
		w.call(&chat.Part{Call: &chat.ToolCall{ID: p.Call.ID, Kind: p.Call.Kind, Name: p.Call.Name}}, true)
		dst.Buf = w.b
		e.begun = beginning{choice: p.Choice, index: p.Index, at: len(dst.Buf) - 1}
		dst.Buf = append(dst.Buf, ']')
		e.shut(dst)
		e.begun.end = len(dst.Buf)
		return
	}
	custom := false
	for i := len(s.calls) - 1; i >= 0; i-- {
		if c := &s.calls[i]; c.index == p.Index {
			c.some, custom = true, c.custom
			break
		}
	}
	e.arguments(dst, p.Index, custom, p.Text)
}

// arguments writes a fragment of a call and ends the chunk.
func (e *encoder) arguments(dst *chat.Batch, index int, custom bool, text []byte) {
	dst.Buf = strconv.AppendInt(append(dst.Buf, `"tool_calls":[{"index":`...), int64(index), 10)
	if custom {
		dst.Buf = append(dst.Buf, `,"custom":{"input":"`...)
	} else {
		dst.Buf = append(dst.Buf, `,"function":{"arguments":"`...)
	}
	dst.Buf = append(append(dst.Buf, text...), `"}}]`...)
	e.shut(dst)
}

// finish writes why a choice ended. A call that has no arguments by then takes none, which JSON says by {}; unless the
// answer was cut in front of them.
func (e *encoder) finish(dst *chat.Batch, p *chat.Piece) {
	s := e.choice(dst, p.Choice)
	for i := range s.calls {
		if c := &s.calls[i]; !c.some && !c.custom && p.Finish != chat.FinishLength {
			c.some = true
			e.open(dst, p.Choice)
			e.arguments(dst, c.index, false, []byte("{}"))
		}
	}
	e.open(dst, p.Choice)
	dst.Buf = append(dst.Buf, `},"logprobs":null,"finish_reason":`...)
	dst.Buf = append(shape.AppendOptional(dst.Buf, finishWord(p.Finish)), '}')
	e.last(dst)
}

func (e *encoder) end(dst *chat.Batch) {
	if e.asked && e.usage.Provenance != chat.Unknown {
		dst.Event("")
		dst.Buf = append(append(dst.Buf, e.head...), `],"usage":`...)
		dst.Buf = AppendUsage(dst.Buf, e.usage)
		if e.usage.Tier != "" {
			dst.Buf = shape.AppendString(append(dst.Buf, `,"service_tier":`...), e.usage.Tier)
		}
		dst.Buf = append(dst.Buf, '}')
	}
	dst.Event("")
	dst.Buf = append(dst.Buf, "[DONE]"...)
}
