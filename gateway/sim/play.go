package sim

import (
	"math/rand/v2"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// act is what happens next in a stream.
type act uint8

const (
	emit  act = iota // an event
	end              // the stream ends as it should
	cut              // the connection ends
	stall            // nothing happens any more
)

// phase is how far a stream has come.
type phase uint8

const (
	beginning phase = iota
	speaking
	reporting
	ending
	over
)

// event is one of a stream, or the body of a reply that is none.
type event struct {
	name string
	data []byte
}

// player gives a stream's events one after the other, made when they are asked for: 5,000 streams of long answers hold
// no more than their texts.
type player struct {
	s        *script
	encoder  chat.Encoder
	rng      *rand.Rand
	voices   []voice
	turn     int  // of the voice that speaks next
	last     int  // index of the voice that spoke last; -1 before the first token
	newRound bool // every voice has spoken: time passes before the next token
	begun    bool
	failed   bool
	phase    phase
	given    int // events
	piece    chat.Piece
	call     chat.ToolCall // of piece
	prompt   chat.Usage    // what is known of it at the beginning
	text     []byte        // of piece, as it is in JSON
	batches  [2]chat.Batch
	which    int // of batches is given; the events before stay valid while those of the next are made
}

// voice is how far one choice has come.
type voice struct {
	thought   string // not yet told
	signature string // of the thought, not yet told
	text      string // not yet said
	calls     []chat.ToolCall
	args      string // of the call in progress, not yet said
	opened    int    // calls begun
	finish    chat.FinishReason
	done      bool
}

func (s *script) play() *player {
	p := &player{s: s, last: -1, rng: source(s.digest, chanceTiming), voices: make([]voice, len(s.reply.Choices))}
	for i := range p.voices {
		c := &s.reply.Choices[i]
		v := voice{text: c.Message.Text(chat.PartText), calls: c.Message.Calls(), finish: c.Finish}
		for k := range c.Message.Parts {
			if t := &c.Message.Parts[k]; t.Kind == chat.PartReasoning {
				v.thought, v.signature = t.Text, t.Signature
			}
		}
		p.voices[i] = v
	}
	if s.empty || s.inBand || s.status != 200 {
		p.phase = over
	}
	if s.events() && s.ready == nil {
		p.encoder = s.dialect.NewEncoder(s.request)
	}
	return p
}

// next is what happens next and how long after the act before it. The event is valid until the call after the next.
func (p *player) next() (after time.Duration, what act, e event) {
	s := p.s
	switch {
	case !s.events():
		return p.whole()
	case s.ready != nil:
		return p.recite()
	}
	switch {
	case p.failed:
	case p.given == s.cut:
		return p.firstDelay(), cut, event{}
	case p.given == s.stall:
		return p.firstDelay(), stall, event{}
	case p.given == s.fail && (p.phase != over || !p.batches[p.which].Empty()):
		p.failed, p.phase, after = true, over, p.firstDelay()
		p.encode(func(b *chat.Batch) { p.encoder.Fail(b, new(broken())) })
	}
	for p.batches[p.which].Empty() {
		wait, more := p.advance()
		if after += wait; !more {
			return after, end, event{}
		}
		p.encode(func(b *chat.Batch) { p.encoder.Encode(b, &p.piece) })
	}
	e.name, e.data, _ = p.batches[p.which].Next()
	if s.noDone && !p.failed && s.dialect.Ends(e.name, e.data) {
		return after, end, event{}
	}
	if p.given++; p.given == s.garble+1 {
		e.data = append(e.data[:len(e.data)/2], `"]`...)
	}
	return after, emit, e
}

// encode makes events, perhaps none. They go into the batch whose events nobody looks at any more.
func (p *player) encode(write func(b *chat.Batch)) {
	b := &p.batches[1-p.which]
	b.Reset()
	if write(b); !b.Empty() {
		p.which = 1 - p.which
	}
}

// recite is next for a stream that is ready.
func (p *player) recite() (after time.Duration, what act, e event) {
	list := p.s.ready.events
	if p.given == len(list) {
		return 0, end, event{}
	}
	p.given++
	return 0, emit, list[p.given-1]
}

// whole is next for a reply that is no stream: one event holds all of it.
func (p *player) whole() (after time.Duration, what act, e event) {
	if p.given > 0 {
		return 0, end, event{}
	}
	p.given, after = 1, p.s.wait()
	switch {
	case p.s.cut != never:
		return after, cut, event{}
	case p.s.stall != never:
		return after, stall, event{}
	}
	if e.data = p.s.body(); len(e.data) == 0 {
		return after, end, event{}
	}
	return after, emit, e
}

// advance puts the next piece into p.piece. It is false at the end.
func (p *player) advance() (after time.Duration, more bool) {
	switch p.phase {
	case beginning:
		p.phase = speaking
		u := &p.s.reply.Usage
		p.prompt = chat.Usage{Input: u.Input, CacheRead: u.CacheRead, Provenance: u.Provenance}
		p.piece = chat.Piece{Kind: chat.PieceBegin, Head: &p.s.reply.Head, Usage: &p.prompt}
		return p.firstDelay(), true
	case speaking:
		if after, ok := p.speak(); ok {
			return after, true
		}
		p.phase = reporting
		return p.advance()
	case reporting:
		p.phase = ending
		p.piece = chat.Piece{Kind: chat.PieceUsage, Usage: &p.s.reply.Usage}
		if p.s.noFinish {
			return p.advance()
		}
		return 0, true
	case ending:
		p.phase = over
		p.piece = chat.Piece{Kind: chat.PieceEnd}
		return 0, !p.s.noFinish
	default:
		return p.firstDelay(), false
	}
}

// firstDelay is the time until the first token, once.
func (p *player) firstDelay() time.Duration {
	if p.begun {
		return 0
	}
	p.begun = true
	if p.s.slow >= 0 {
		return p.s.first // as the model's name says, exactly
	}
	return p.s.varied(p.s.first, p.rng)
}

// speak lets the choices say one piece after the other, in turn.
func (p *player) speak() (after time.Duration, ok bool) {
	for range 2 * len(p.voices) {
		turn := p.turn
		if p.turn++; p.turn == len(p.voices) {
			p.turn = 0
		}
		v := &p.voices[turn]
		p.piece = chat.Piece{Choice: turn}
		if !v.done && p.say(v) {
			return p.delay(), true
		}
	}
	return 0, false
}

// delay is the time before a piece: that between two tokens. Beginnings and ends come without one, and so does what the
// other choices say at the same time.
func (p *player) delay() time.Duration {
	p.newRound = p.newRound || p.piece.Choice <= p.last
	p.last = p.piece.Choice
	if !p.newRound || p.piece.Text == nil || p.piece.Kind == chat.PieceSignature {
		return 0
	}
	p.newRound = false
	return p.s.varied(p.s.gap, p.rng)
}

// say puts what a choice says next into the piece; false if the end of the choice is not told.
func (p *player) say(v *voice) bool {
	switch {
	case v.thought != "":
		p.token(chat.PieceReasoning, &v.thought)
	case v.signature != "":
		p.piece.Kind, p.piece.Text = chat.PieceSignature, p.escape(v.signature)
		v.signature = ""
	case v.text != "":
		p.token(chat.PieceText, &v.text)
	case v.args != "":
		p.piece.Index = v.opened - 1
		p.token(chat.PieceArguments, &v.args)
	case v.opened < len(v.calls):
		p.call = v.calls[v.opened]
		p.piece.Kind, p.piece.Call, p.piece.Index = chat.PieceCall, &p.call, v.opened
		v.opened, v.args = v.opened+1, p.call.Arguments
		p.call.Arguments = ""
	default:
		v.done = true
		p.piece.Kind, p.piece.Finish = chat.PieceFinish, v.finish
		return !p.s.noFinish
	}
	return true
}

// token takes one off the text.
func (p *player) token(k chat.PieceKind, text *string) {
	n := piece(*text)
	p.piece.Kind, p.piece.Text = k, p.escape((*text)[:n])
	*text = (*text)[n:]
}

func (p *player) escape(text string) []byte {
	p.text = shape.AppendString(p.text[:0], text)
	return p.text[1 : len(p.text)-1]
}
