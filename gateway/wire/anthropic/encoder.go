package anthropic

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// NewEncoder writes a stream of the Messages API: message_start, blocks one after the other, message_delta, message_stop.
// It tells the first choice only, for the dialect has no more.
//
// A block begins with its first piece, whose kind it takes. What belongs to another block than the open one ends that, or
// waits behind it while the arguments of an open call are incomplete: other dialects let calls interleave. The usage that
// message_start must have is what PieceBegin says, else an estimate of the prompt by its length; the real one comes with
// message_delta. Where a provider says none, that is an estimate, too, of prompt and answer: the dialect must have numbers,
// and clients take a zero for true. q may be nil; nothing of it is kept but the model's name and those of tools, see [chat.Restore].
func NewEncoder(q *chat.Request) chat.Encoder {
	e := &encoder{}
	if q != nil {
		e.model, e.usage = q.Model, estimate(q)
	}
	return chat.Restore(q, chat.JoinPairs(e))
}

type encoder struct {
	model       string // for providers that do not say it
	begun, over bool

	index  int                  // of the first block that is not finished
	blocks []*streamBlock       // that are not finished: the open one, and those that wait behind it
	called map[int]*streamBlock // the calls among them, by their index
	spoken spoken               // what all blocks are
	finish chat.FinishReason
	stop   string
	usage  chat.Usage
	told   bool            // the provider has said the usage
	length int             // bytes of the answer
	early  []chat.Citation // of the next text: some tell them before it
}

// mostEarly bounds those that wait.
const mostEarly = 1 << 10

// streamBlock is a block that is not finished.
type streamBlock struct {
	kind      chat.PartKind // PartText, PartReasoning, PartRedacted or PartCall
	started   bool
	signed    bool   // nothing is thought behind a signature
	filled    bool   // a call has some argument
	custom    bool   // a call takes free text, which becomes the only argument of a function
	call      int    // index of the call
	id, name  string // of the call
	arguments object

	waiting, signature []byte // escaped, not written yet
	cited              []chat.Citation
}

// Encode implements chat.Encoder.
func (e *encoder) Encode(dst *chat.Batch, p *chat.Piece) {
	if e.over || p.Choice != 0 {
		return
	}
	if !e.begun {
		e.begin(dst, p)
	}
	e.length += answered(p)
	switch p.Kind {
	case chat.PieceText, chat.PieceRefusal:
		if len(p.Text) > 0 {
			e.spoken.text = e.spoken.text || p.Kind == chat.PieceText
			e.spoken.refusal = e.spoken.refusal || p.Kind == chat.PieceRefusal
			b := e.last(dst, chat.PartText)
			b.cited, e.early = append(b.cited, e.early...), nil
			e.add(dst, b, p.Text)
		}
	case chat.PieceImage:
		e.spoken.text = true
		e.add(dst, e.last(dst, chat.PartText), chat.LostImage(p.Text))
	case chat.PieceReasoning:
		if len(p.Text) > 0 {
			e.add(dst, e.last(dst, chat.PartReasoning), p.Text)
		}
	case chat.PieceRedacted:
		b := e.push(dst, &streamBlock{kind: chat.PartRedacted})
		b.waiting = append(b.waiting, p.Owner.Tag(chat.Anthropic)...)
		e.add(dst, b, p.Text)
	case chat.PieceSignature:
		e.sign(dst, p)
	case chat.PieceCitation:
		e.cite(dst, p.Citation)
	case chat.PieceCall:
		e.spoken.calls = true
		if e.called == nil {
			e.called = map[int]*streamBlock{}
		}
		b := &streamBlock{kind: chat.PartCall, custom: p.Call.Kind == chat.Custom, call: p.Index, id: callID(p.Call.ID), name: p.Call.Name}
		e.called[p.Index] = b
		e.push(dst, b)
		if args := p.Call.Arguments; args != "" {
			inside, _ := shape.Inside(shape.AppendString(nil, args))
			e.add(dst, b, inside)
		}
		e.add(dst, b, p.Text)
	case chat.PieceArguments:
		if b := e.called[p.Index]; b != nil {
			e.add(dst, b, p.Text)
			e.advance(dst)
		}
	case chat.PieceFinish:
		e.finish, e.stop = p.Finish, p.Stop
		e.closeAll(dst)
	case chat.PieceUsage:
		e.use(p.Usage)
	case chat.PieceEnd:
		e.end(dst)
	}
}

// Fail implements chat.Encoder.
func (e *encoder) Fail(dst *chat.Batch, failure *chat.Error) {
	if e.over {
		return
	}
	e.over = true
	dst.Event("error")
	dst.Buf = AppendError(dst.Buf, *failure)
}

// begin writes message_start, of which there must be exactly one (litellm #32357).
func (e *encoder) begin(dst *chat.Batch, p *chat.Piece) {
	e.begun = true
	var h chat.Head
	if p.Kind == chat.PieceBegin && p.Head != nil {
		h = *p.Head
	}
	if p.Kind == chat.PieceBegin && p.Usage != nil {
		e.use(p.Usage)
	}
	dst.Event("message_start")
	w := writer{dst.Buf}
	w.raw(`{"type":"message_start","message":{`)
	w.head(e.model, &h)
	w.raw(`,"content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{`)
	w.usage(&e.usage)
	w.raw("}}}")
	dst.Buf = w.b
}

// use takes what the provider says of the usage.
func (e *encoder) use(u *chat.Usage) {
	if u.Provenance != chat.Unknown {
		e.usage, e.told = *u, true
	}
}

// answered is how many bytes a piece adds to the answer.
func answered(p *chat.Piece) int {
	switch p.Kind {
	case chat.PieceText, chat.PieceRefusal, chat.PieceReasoning, chat.PieceArguments:
		return len(p.Text)
	case chat.PieceCall:
		return len(p.Call.Name) + len(p.Call.Arguments) + len(p.Text)
	}
	return 0
}

// tokens counts one for four bytes.
func tokens(bytes int) int64 { return int64(bytes+3) / 4 }

// length is how many bytes parts say, pictures and the like left aside.
func length(parts []chat.Part) int {
	n := 0
	for i := range parts {
		p := &parts[i]
		n += len(p.Text)
		if p.Call != nil {
			n += len(p.Call.Name) + len(p.Call.Arguments)
		}
	}
	return n
}

// estimate counts the tokens of the prompt by its length, which is near enough for clients that show how full the context
// is.
func estimate(q *chat.Request) chat.Usage {
	n := 0
	for i := range q.Messages {
		n += length(q.Messages[i].Parts)
	}
	for i := range q.Tools {
		n += len(q.Tools[i].Name) + len(q.Tools[i].Description) + len(q.Tools[i].Parameters)
	}
	return chat.Usage{Input: tokens(n), Provenance: chat.Estimated}
}

// last is the block that what is said or thought now belongs to.
func (e *encoder) last(dst *chat.Batch, kind chat.PartKind) *streamBlock {
	if n := len(e.blocks); n > 0 {
		if b := e.blocks[n-1]; b.kind == kind && !b.signed {
			return b
		}
	}
	return e.push(dst, &streamBlock{kind: kind})
}

// push puts a block behind the others, and ends those before that are complete.
func (e *encoder) push(dst *chat.Batch, b *streamBlock) *streamBlock {
	e.blocks = append(e.blocks, b)
	e.advance(dst)
	return b
}

// advance ends blocks that others wait for, up to a call whose arguments are incomplete.
func (e *encoder) advance(dst *chat.Batch) {
	for len(e.blocks) > 1 && (e.blocks[0].kind != chat.PartCall || e.blocks[0].arguments.complete()) {
		e.close(dst)
		if b := e.blocks[0]; len(b.waiting) > 0 || len(b.signature) > 0 && b.kind == chat.PartReasoning {
			e.start(dst, b)
		}
	}
}

func (e *encoder) closeAll(dst *chat.Batch) {
	for len(e.blocks) > 0 {
		e.close(dst)
	}
}

// add writes content of a block, or keeps it until the blocks before are finished.
func (e *encoder) add(dst *chat.Batch, b *streamBlock, text []byte) {
	if len(text) == 0 {
		return
	}
	if b.kind == chat.PartCall {
		if b.custom {
			text = b.argument(text)
		}
		b.filled = true
		b.arguments.read(text)
	}
	if b != e.blocks[0] || b.kind == chat.PartRedacted {
		b.waiting = append(b.waiting, text...)
		return
	}
	e.start(dst, b)
	e.delta(dst, b.kind, text)
}

// sign writes a signature: of the thoughts before it, or of a call.
func (e *encoder) sign(dst *chat.Batch, p *chat.Piece) {
	if p.Call != nil {
		e.signCall(dst, p)
		return
	}
	var b *streamBlock
	if n := len(e.blocks); n > 0 && e.blocks[n-1].kind == chat.PartReasoning {
		b = e.blocks[n-1]
	} else {
		b = e.push(dst, &streamBlock{kind: chat.PartReasoning})
	}
	var owner string
	if !b.signed {
		b.signed, owner = true, p.Owner.Tag(chat.Anthropic)
	}
	if b != e.blocks[0] {
		b.signature = append(append(b.signature, owner...), p.Text...)
		return
	}
	e.start(dst, b)
	e.signature(dst, owner, p.Text)
}

// signCall carries the signature of a call in a block before it, or in one behind it if the call has been started.
func (e *encoder) signCall(dst *chat.Batch, p *chat.Piece) {
	b := e.called[p.Index]
	if b != nil && !b.started {
		if len(b.signature) == 0 {
			b.signature = append(b.signature, carried(b.id)...)
		}
		b.signature = append(b.signature, p.Text...)
		return
	}
	id := wireID(p.Call.ID)
	if b != nil {
		id = b.id
	}
	late := &streamBlock{kind: chat.PartReasoning, signed: true, signature: append([]byte(carried(id)), p.Text...)}
	if e.push(dst, late); late == e.blocks[0] {
		e.start(dst, late)
	}
}

// cite writes a citation of the text before it, or keeps it for the next if there is none.
func (e *encoder) cite(dst *chat.Batch, c *chat.Citation) {
	n := len(e.blocks)
	if n == 0 || e.blocks[n-1].kind != chat.PartText {
		if len(e.early) < mostEarly {
			e.early = append(e.early, *c)
		}
		return
	}
	b := e.blocks[n-1]
	if b.cited = append(b.cited, *c); n == 1 {
		e.citations(dst, b)
	}
}

// start writes the beginning of the first block, and what waited for it.
func (e *encoder) start(dst *chat.Batch, b *streamBlock) {
	if b.started {
		return
	}
	b.started = true
	if b.kind == chat.PartCall && len(b.signature) > 0 {
		e.event(dst, "content_block_start", `,"content_block":{"type":"thinking","thinking":"","signature":""}}`)
		e.signature(dst, "", b.signature)
		e.event(dst, "content_block_stop", "}")
		e.index++
		b.signature = nil
	}
	switch b.kind {
	case chat.PartReasoning:
		e.event(dst, "content_block_start", `,"content_block":{"type":"thinking","thinking":"","signature":""}}`)
	case chat.PartRedacted:
		e.event(dst, "content_block_start", `,"content_block":{"type":"redacted_thinking","data":"`)
		dst.Buf = append(append(dst.Buf, b.waiting...), `"}}`...)
		b.waiting = nil
	case chat.PartCall:
		e.event(dst, "content_block_start", `,"content_block":{"type":"tool_use"`)
		w := writer{dst.Buf}
		w.text("id", b.id)
		w.text("name", b.name)
		w.raw(`,"input":{}}}`)
		dst.Buf = w.b
	default:
		e.event(dst, "content_block_start", `,"content_block":{"type":"text","text":""}}`)
	}
	if len(b.waiting) > 0 {
		e.delta(dst, b.kind, b.waiting)
		b.waiting = nil
	}
	if len(b.signature) > 0 {
		e.signature(dst, "", b.signature)
	}
	e.citations(dst, b)
}

// close ends the first block. A call without arguments gets {}.
func (e *encoder) close(dst *chat.Batch) {
	b := e.blocks[0]
	e.start(dst, b)
	switch {
	case b.kind == chat.PartCall && !b.filled:
		e.delta(dst, b.kind, []byte("{}"))
	case b.custom:
		e.delta(dst, b.kind, []byte(`\"}`))
	}
	e.event(dst, "content_block_stop", "}")
	e.index++
	if b.kind == chat.PartCall {
		delete(e.called, b.call)
	}
	if e.blocks[0] = nil; len(e.blocks) == 1 {
		e.blocks = e.blocks[:0]
	} else {
		e.blocks = e.blocks[1:] // not moved: many may wait
	}
}

// argument is free text as a part of the arguments of a function, JSON in JSON; close ends it.
func (b *streamBlock) argument(text []byte) []byte {
	var inside []byte
	if !b.filled {
		inside = []byte(`{\"input\":\"`)
	}
	for _, c := range text {
		if c == '\\' || c == '"' {
			inside = append(inside, '\\')
		}
		inside = append(inside, c)
	}
	return inside
}

// event begins an event of the first block, with what follows its index.
func (e *encoder) event(dst *chat.Batch, name, rest string) {
	dst.Event(name)
	dst.Buf = append(append(append(dst.Buf, `{"type":"`...), name...), `","index":`...)
	dst.Buf = append(strconv.AppendInt(dst.Buf, int64(e.index), 10), rest...)
}

// delta writes content of the first block.
func (e *encoder) delta(dst *chat.Batch, kind chat.PartKind, text []byte) {
	head := `,"delta":{"type":"text_delta","text":"`
	switch kind {
	case chat.PartReasoning:
		head = `,"delta":{"type":"thinking_delta","thinking":"`
	case chat.PartCall:
		head = `,"delta":{"type":"input_json_delta","partial_json":"`
	}
	e.event(dst, "content_block_delta", head)
	dst.Buf = append(append(dst.Buf, text...), `"}}`...)
}

func (e *encoder) signature(dst *chat.Batch, owner string, text []byte) {
	e.event(dst, "content_block_delta", `,"delta":{"type":"signature_delta","signature":"`)
	dst.Buf = append(append(append(dst.Buf, owner...), text...), `"}}`...)
}

// citations writes those of the first block that are not written.
func (e *encoder) citations(dst *chat.Batch, b *streamBlock) {
	for i := range b.cited {
		e.event(dst, "content_block_delta", `,"delta":{"type":"citations_delta","citation":`)
		w := writer{dst.Buf}
		w.citation(&b.cited[i])
		w.raw("}}")
		dst.Buf = w.b
	}
	b.cited = b.cited[:0]
}

// end writes why the reply ended and its usage, and that it is complete.
func (e *encoder) end(dst *chat.Batch) {
	e.closeAll(dst)
	e.over = true
	if !e.told {
		e.usage.Output = tokens(e.length)
	}
	dst.Event("message_delta")
	w := writer{dst.Buf}
	w.raw(`{"type":"message_delta","delta":{`)
	w.stopped(reasonOf(e.finish, e.stop, e.spoken), e.stop)
	w.raw(`},"usage":{`)
	w.usage(&e.usage)
	w.raw("}}")
	dst.Buf = w.b
	dst.Event("message_stop")
	dst.Buf = append(dst.Buf, `{"type":"message_stop"}`...)
}

// object follows an object through the fragments of its text, to know when it is complete.
type object struct {
	depth                  int
	begun, inText, escaped bool
}

func (o *object) complete() bool { return o.begun && o.depth == 0 }

// read takes a fragment that is escaped itself, as the inside of a JSON string.
func (o *object) read(inside []byte) {
	for i := 0; i < len(inside); i++ {
		c := inside[i]
		if c == '\\' && i+1 < len(inside) {
			i++
			if c = inside[i]; c == 'u' && i+4 < len(inside) {
				n, _ := strconv.ParseUint(string(inside[i+1:i+5]), 16, 32)
				c, i = byte(min(n, 0x7f)), i+4
			} else if c != '"' && c != '\\' {
				c = ' ' // a line break or the like
			}
		}
		o.take(c)
	}
}

func (o *object) take(c byte) {
	switch {
	case o.escaped:
		o.escaped = false
	case o.inText:
		o.escaped, o.inText = c == '\\', c != '"'
	case c == '"':
		o.inText = true
	case c == '{' || c == '[':
		o.begun = true
		o.depth++
	case c == '}' || c == ']':
		o.depth--
	}
}
