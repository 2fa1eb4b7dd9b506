package responses

import (
	"bytes"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// encoder writes the events of one stream. Thoughts and messages are ended by what comes after them; calls stay open until
// the reply is finished, because their fragments may interleave.
type encoder struct {
	o        object
	sequence int64
	current  *item           // the thought or message that is open, or nil
	calls    []*item         // by their index in the neutral form; nil for indices that did not come
	sources  []chat.Citation // of the next text
	said     int             // characters of text
	begun    bool
	finished bool
	ended    bool
}

// NewEncoder writes a stream that answers q; nil is an empty request. Only the first of several choices is written. Nothing
// of q is kept but what a response repeats of it. Calls of its custom tools are restored, see [chat.Restore].
//
// Fail writes response.failed with all that was said until then, or, before the first event, an error event.
func NewEncoder(q *chat.Request) chat.Encoder {
	return chat.Restore(q, chat.JoinPairs(&encoder{o: object{echo: appendEcho(nil, q), asked: modelOf(q), status: inProgress}}))
}

// Encode implements chat.Encoder.
func (e *encoder) Encode(dst *chat.Batch, p *chat.Piece) {
	if e.ended || p.Choice != 0 {
		return
	}
	if !e.begun {
		e.begin(dst, p.Head)
	}
	switch p.Kind {
	case chat.PieceText:
		e.say(dst, p, false)
	case chat.PieceRefusal:
		e.say(dst, p, true)
	case chat.PieceReasoning:
		e.think(dst, p.Text)
	case chat.PieceSignature:
		e.sign(dst, p)
	case chat.PieceRedacted:
		e.close(dst)
		it := e.open(dst, item{kind: reasoningItem, hidden: true})
		it.secret.inside = append([]byte(sealed(p.Owner)), p.Text...)
		e.current = it
	case chat.PieceImage:
		e.image(dst, p.Text)
	case chat.PieceCitation:
		e.cite(dst, p.Citation)
	case chat.PieceCall:
		e.call(dst, p)
	case chat.PieceArguments:
		if p.Index >= 0 && p.Index < len(e.calls) && e.calls[p.Index] != nil {
			e.argue(dst, e.calls[p.Index], p.Text)
		}
	case chat.PieceFinish:
		e.o.finish(p.Finish)
		e.finish(dst)
	case chat.PieceEnd:
		e.end(dst)
	}
	if p.Usage != nil && p.Kind != chat.PieceBegin { // what is known before the answer is no usage of it
		e.o.usage, e.o.tier = *p.Usage, p.Usage.Tier
	}
}

// Fail implements chat.Encoder.
func (e *encoder) Fail(dst *chat.Batch, failure *chat.Error) {
	if e.ended {
		return
	}
	e.ended = true
	if !e.begun {
		dst.Event("error")
		dst.Buf = appendFlat(dst.Buf, failure, 0)
		return
	}
	e.o.status, e.o.reason, e.o.failed = failed, "", failure
	for _, it := range e.o.items {
		if it.open {
			it.status = incomplete
		}
	}
	e.whole(dst, "response.failed")
}

func (e *encoder) begin(dst *chat.Batch, h *chat.Head) {
	e.begun = true
	if h == nil {
		h = &chat.Head{}
	}
	e.o.begin(*h)
	e.whole(dst, "response.created")
	e.whole(dst, "response.in_progress")
}

// end writes the terminal event, with usage, which may have come behind the finish.
func (e *encoder) end(dst *chat.Batch) {
	if !e.finished {
		e.o.finish(chat.FinishStop)
		e.finish(dst)
	}
	e.ended = true
	e.whole(dst, "response."+e.o.status)
}

// finish ends all items. What the last one lacks of the answer is what makes that incomplete.
func (e *encoder) finish(dst *chat.Batch) {
	if e.finished {
		return
	}
	e.finished = true
	n := len(e.o.items)
	for i, it := range e.o.items {
		if it.open {
			if it.status = completed; i == n-1 {
				it.status = e.o.status
			}
			e.done(dst, it)
		}
	}
	e.current = nil
}

// event begins an event.
func (e *encoder) event(dst *chat.Batch, kind string) {
	dst.Event(kind)
	dst.Buf = append(append(append(dst.Buf, `{"type":"`...), kind...), `","sequence_number":`...)
	dst.Buf = strconv.AppendInt(dst.Buf, e.sequence, 10)
	e.sequence++
}

// whole writes an event with the response as it is now. Until its end, it has no output and no usage.
func (e *encoder) whole(dst *chat.Batch, kind string) {
	e.event(dst, kind)
	dst.Buf = append(e.o.append(append(dst.Buf, `,"response":`...)), '}')
}

// of begins an event that concerns an item.
func (e *encoder) of(dst *chat.Batch, kind string, it *item) {
	e.event(dst, kind)
	dst.Buf = strconv.AppendInt(append(dst.Buf, `,"output_index":`...), int64(it.index), 10)
	dst.Buf = shape.AppendString(append(dst.Buf, `,"item_id":`...), it.id)
}

// item writes an event with an item as it is now.
func (e *encoder) item(dst *chat.Batch, kind string, it *item) {
	e.event(dst, kind)
	dst.Buf = strconv.AppendInt(append(dst.Buf, `,"output_index":`...), int64(it.index), 10)
	dst.Buf = append(it.append(append(dst.Buf, `,"item":`...)), '}')
}

// open adds an item, and says so.
func (e *encoder) open(dst *chat.Batch, it item) *item {
	it.index, it.open, it.status = len(e.o.items), true, inProgress
	nameItem(&it, e.o.head.ID, it.index)
	e.o.items = append(e.o.items, &it)
	e.item(dst, "response.output_item.added", &it)
	return &it
}

// close ends the thought or message that is open.
func (e *encoder) close(dst *chat.Batch) {
	if e.current != nil {
		e.current.status = completed
		e.done(dst, e.current)
		e.current = nil
	}
}

// done writes the events that end an item; its status is that of its end.
func (e *encoder) done(dst *chat.Batch, it *item) {
	if it.lacksArguments() {
		e.argue(dst, it, []byte(noArguments))
	}
	it.open = false
	switch it.kind {
	case messageItem:
		e.partDone(dst, it)
	case reasoningItem:
		if !it.text.empty() {
			e.of(dst, "response.reasoning_summary_text.done", it)
			dst.Buf = append(it.text.append(append(dst.Buf, `,"summary_index":0,"text":`...)), '}')
			e.of(dst, "response.reasoning_summary_part.done", it)
			dst.Buf = append(appendSummary(append(dst.Buf, `,"summary_index":0,"part":`...), it.text), '}')
		}
	case callItem:
		kind, member := "response.function_call_arguments.done", `,"arguments":`
		if it.call.Kind == chat.Custom {
			kind, member = "response.custom_tool_call_input.done", `,"input":`
		}
		e.of(dst, kind, it)
		if it.call.Kind == chat.Function {
			dst.Buf = shape.AppendString(append(dst.Buf, `,"name":`...), it.call.Name)
		}
		dst.Buf = append(it.text.append(append(dst.Buf, member...)), '}')
	}
	e.item(dst, "response.output_item.done", it)
}

// say adds to a message.
func (e *encoder) say(dst *chat.Batch, p *chat.Piece, refusal bool) {
	if len(p.Text) == 0 && len(p.Logprobs) == 0 {
		return
	}
	it := e.current
	if it == nil || it.kind != messageItem {
		e.close(dst)
		it = e.open(dst, item{kind: messageItem})
		e.current = it
	}
	n := len(it.parts)
	if n == 0 || it.parts[n-1].refusal != refusal {
		e.partDone(dst, it)
		it.parts = append(it.parts, part{refusal: refusal, from: e.said})
		n++
		e.of(dst, "response.content_part.added", it)
		e.inPart(dst, it)
		dst.Buf = append(it.parts[n-1].append(append(dst.Buf, `,"part":`...)), '}')
	}
	if !refusal {
		for i := range e.sources {
			e.source(dst, it, &e.sources[i])
		}
		e.sources = e.sources[:0]
	}
	t := &it.parts[n-1]
	t.text.inside = append(t.text.inside, p.Text...)
	kind := "response.output_text.delta"
	if refusal {
		kind = "response.refusal.delta"
	}
	e.of(dst, kind, it)
	e.inPart(dst, it)
	dst.Buf = append(append(append(dst.Buf, `,"delta":"`...), p.Text...), '"')
	if !refusal {
		e.said += chat.Characters(p.Text)
		list := inner(p.Logprobs)
		if len(list) > 0 {
			if len(t.logprobs) > 0 {
				t.logprobs = append(t.logprobs, ',')
			}
			t.logprobs = append(t.logprobs, list...)
		}
		dst.Buf = append(append(append(dst.Buf, `,"logprobs":[`...), list...), ']')
	}
	dst.Buf = append(dst.Buf, '}')
}

// image adds a picture, which is an item of its own; of one that is elsewhere it is said where.
func (e *encoder) image(dst *chat.Batch, url []byte) {
	head, data, ok := bytes.Cut(url, []byte(";base64,"))
	if !ok || !bytes.HasPrefix(head, []byte("data:")) {
		e.say(dst, &chat.Piece{Kind: chat.PieceText, Text: chat.LostImage(url)}, false)
		return
	}
	e.close(dst)
	it := e.open(dst, item{kind: imageItem})
	it.text.inside, it.status = bytes.Clone(data), completed
	e.done(dst, it)
}

// inPart says which part of a message is meant: its last.
func (e *encoder) inPart(dst *chat.Batch, it *item) {
	dst.Buf = strconv.AppendInt(append(dst.Buf, `,"content_index":`...), int64(len(it.parts)-1), 10)
}

// partDone ends the last part of a message, if it has one.
func (e *encoder) partDone(dst *chat.Batch, it *item) {
	if len(it.parts) == 0 {
		return
	}
	t := &it.parts[len(it.parts)-1]
	if t.refusal {
		e.of(dst, "response.refusal.done", it)
		e.inPart(dst, it)
		dst.Buf = append(t.text.append(append(dst.Buf, `,"refusal":`...)), '}')
	} else {
		e.of(dst, "response.output_text.done", it)
		e.inPart(dst, it)
		dst.Buf = t.text.append(append(dst.Buf, `,"text":`...))
		dst.Buf = append(append(append(dst.Buf, `,"logprobs":[`...), t.logprobs...), "]}"...)
	}
	e.of(dst, "response.content_part.done", it)
	e.inPart(dst, it)
	dst.Buf = append(t.append(append(dst.Buf, `,"part":`...)), '}')
}

// cite adds a source to the text that is being said. One that is told before any text waits for it.
func (e *encoder) cite(dst *chat.Batch, c *chat.Citation) {
	it := e.current
	switch {
	case c == nil:
	case it != nil && it.kind == messageItem && !it.parts[len(it.parts)-1].refusal:
		e.source(dst, it, c)
	case len(e.sources) < maxSources:
		e.sources = append(e.sources, *c)
	}
}

// maxSources bounds those that wait.
const maxSources = 1 << 10

// source adds a source to the last part of a message.
func (e *encoder) source(dst *chat.Batch, it *item, c *chat.Citation) {
	t := &it.parts[len(it.parts)-1]
	note := t.cite(c.Behind(t.from), e.said-t.from)
	e.of(dst, "response.output_text.annotation.added", it)
	e.inPart(dst, it)
	dst.Buf = strconv.AppendInt(append(dst.Buf, `,"annotation_index":`...), int64(t.sources-1), 10)
	dst.Buf = append(append(append(dst.Buf, `,"annotation":`...), note...), '}')
}

// thought is the open thought, or a new one if there is none, or if what is to come cannot belong to it.
func (e *encoder) thought(dst *chat.Batch, fits func(it *item) bool) *item {
	if it := e.current; it != nil && it.kind == reasoningItem && fits(it) {
		return it
	}
	e.close(dst)
	e.current = e.open(dst, item{kind: reasoningItem})
	return e.current
}

// think adds to a thought, as a summary: that is what clients show, while raw reasoning is for those who ask.
func (e *encoder) think(dst *chat.Batch, said []byte) {
	if len(said) == 0 {
		return
	}
	it := e.thought(dst, func(it *item) bool { return it.secret.empty() }) // what is signed has ended
	if it.text.empty() {
		e.of(dst, "response.reasoning_summary_part.added", it)
		dst.Buf = append(dst.Buf, `,"summary_index":0,"part":{"type":"summary_text","text":""}}`...)
	}
	it.text.inside = append(it.text.inside, said...)
	e.of(dst, "response.reasoning_summary_text.delta", it)
	dst.Buf = append(append(append(dst.Buf, `,"summary_index":0,"delta":"`...), said...), `"}`...)
}

// sign signs the thought that is open, or else one without words; or a call. Clients see it when the item is done.
func (e *encoder) sign(dst *chat.Batch, p *chat.Piece) {
	if p.Call == nil {
		it := e.thought(dst, func(it *item) bool { return !it.hidden })
		if it.secret.empty() {
			it.secret.inside = append(it.secret.inside, p.Owner.Tag(chat.OpenAI)...)
		}
		it.secret.inside = append(it.secret.inside, p.Text...)
		return
	}
	if p.Index >= 0 && p.Index < len(e.calls) && e.calls[p.Index] != nil {
		it := e.calls[p.Index]
		it.secret.inside = append(it.secret.inside, p.Text...)
	}
}

func (e *encoder) call(dst *chat.Batch, p *chat.Piece) {
	if p.Call == nil || p.Index < 0 || p.Index >= chat.MaxCalls { // which no decoder gives
		return
	}
	e.close(dst)
	for len(e.calls) <= p.Index {
		e.calls = append(e.calls, nil)
	}
	call := *p.Call
	call.Arguments = ""
	it := e.open(dst, item{kind: callItem, call: call})
	e.calls[p.Index] = it
	if p.Call.Arguments != "" {
		e.argue(dst, it, inside(p.Call.Arguments))
	}
	e.argue(dst, it, p.Text)
}

// argue adds to the arguments of a call.
func (e *encoder) argue(dst *chat.Batch, it *item, said []byte) {
	if len(said) == 0 || !it.open {
		return
	}
	it.text.inside = append(it.text.inside, said...)
	kind := "response.function_call_arguments.delta"
	if it.call.Kind == chat.Custom {
		kind = "response.custom_tool_call_input.delta"
	}
	e.of(dst, kind, it)
	dst.Buf = append(append(append(dst.Buf, `,"delta":"`...), said...), `"}`...)
}
