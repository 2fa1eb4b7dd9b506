package sim

import (
	"math/rand/v2"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// act is what happens next in a stream.
type act uint8

const (
	emit  act = iota // the data of an event
	end              // the stream ends as it should
	cut              // the connection ends
	stall            // nothing happens any more
)

// phase is how far a stream has come.
type phase uint8

const (
	speaking phase = iota
	reporting
	ending
	over
)

// player gives a stream's events one after the other, made when they are asked for: 5,000 streams of long answers hold
// no more than their texts.
type player struct {
	s        *script
	rng      *rand.Rand
	voices   []voice
	turn     int  // of the voice that speaks next
	last     int  // index of the voice that spoke last; -1 before the first token
	newRound bool // every voice has spoken: time passes before the next token
	begun    bool
	phase    phase
	given    int // events
	chunk    chat.Chunk
	delta    [1]chat.Delta
	call     [1]chat.CallDelta
	buf      [2][]byte // of the last two events: the one before stays valid while the next is made
}

// voice is how far one choice has come.
type voice struct {
	text   string // not yet said
	calls  []chat.ToolCall
	args   string // of the call in progress, not yet said
	opened int    // calls begun
	begun  bool
	finish chat.FinishReason
	done   bool
}

func (s *script) play() *player {
	p := &player{s: s, last: -1, rng: source(s.digest, chanceTiming), voices: make([]voice, len(s.reply.Choices))}
	p.chunk.Head = s.reply.Head
	for i := range p.voices {
		c := &s.reply.Choices[i]
		p.voices[i] = voice{text: c.Message.Text(chat.PartText), calls: c.Message.Calls(), finish: c.Finish}
	}
	if s.empty || s.inBand || s.status != 200 {
		p.phase = over
	}
	return p
}

// next is what happens next and how long after the act before it. Data is valid until the call after the next.
func (p *player) next() (after time.Duration, what act, data []byte) {
	s := p.s
	if !s.events() {
		return p.whole()
	}
	switch p.given {
	case s.cut:
		return p.firstDelay(), cut, nil
	case s.stall:
		return p.firstDelay(), stall, nil
	case s.fail:
		if p.phase != over {
			p.phase = over
			return p.firstDelay(), emit, openai.AppendError(nil, broken())
		}
	}
	after, more := p.advance()
	if !more {
		return after, end, nil
	}
	p.given++
	if p.phase == over {
		return after, emit, []byte("[DONE]")
	}
	buf := &p.buf[p.given%2]
	*buf = openai.AppendChunk((*buf)[:0], &p.chunk, s.usage)
	if p.given == s.garble+1 {
		*buf = append((*buf)[:len(*buf)/2], `"]`...)
	}
	return after, emit, *buf
}

// whole is next for a reply that is no stream: one event holds all of it.
func (p *player) whole() (after time.Duration, what act, data []byte) {
	if p.given > 0 {
		return 0, end, nil
	}
	p.given, after = 1, p.s.wait()
	switch {
	case p.s.cut != never:
		return after, cut, nil
	case p.s.stall != never:
		return after, stall, nil
	}
	if data = p.s.body(); len(data) == 0 {
		return after, end, nil
	}
	return after, emit, data
}

// advance puts the next chunk into p.chunk, unless the phase is over by then: that is [DONE]. It is false at the end.
func (p *player) advance() (after time.Duration, more bool) {
	switch p.phase {
	case speaking:
		if after, ok := p.speak(); ok {
			return after, true
		}
		p.phase = reporting
		return p.advance()
	case reporting:
		p.phase = ending
		if !p.s.usage || p.s.noFinish {
			return p.advance()
		}
		p.chunk.Choices, p.chunk.Usage = nil, p.s.reply.Usage
		return 0, true
	case ending:
		p.phase = over
		return 0, !p.s.noDone && !p.s.noFinish
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

// speak lets the choices say one delta after the other, in turn.
func (p *player) speak() (after time.Duration, ok bool) {
	for range 2 * len(p.voices) {
		v := &p.voices[p.turn]
		d := &p.delta[0]
		*d = chat.Delta{Index: p.turn}
		if p.turn++; p.turn == len(p.voices) {
			p.turn = 0
		}
		if v.done || !p.say(v, d) {
			continue
		}
		p.chunk.Choices = p.delta[:]
		return p.delay(d), true
	}
	return 0, false
}

// delay is the time before a delta: the first token's, or that between two tokens. Roles and ends come without one, and
// so does what the other choices say at the same time.
func (p *player) delay(d *chat.Delta) time.Duration {
	if !p.begun {
		return p.firstDelay()
	}
	if d.Role != "" {
		return 0
	}
	p.newRound = p.newRound || d.Index <= p.last
	p.last = d.Index
	if !p.newRound || d.Finish != "" || len(d.Calls) > 0 && d.Calls[0].Name != "" {
		return 0
	}
	p.newRound = false
	return p.s.varied(p.s.gap, p.rng)
}

// say puts what a choice says next into d; false if the end of the choice is not told.
func (p *player) say(v *voice, d *chat.Delta) bool {
	switch {
	case !v.begun:
		v.begun = true
		d.Role = chat.RoleAssistant
		if v.text == "" && len(v.calls) > 0 {
			p.open(v, d)
		}
	case v.text != "":
		n := piece(v.text)
		d.Text, v.text = v.text[:n], v.text[n:]
	case v.args != "":
		n := piece(v.args)
		p.call[0] = chat.CallDelta{Index: v.opened - 1, ToolCall: chat.ToolCall{Kind: v.calls[v.opened-1].Kind, Arguments: v.args[:n]}}
		d.Calls, v.args = p.call[:], v.args[n:]
	case v.opened < len(v.calls):
		p.open(v, d)
	default:
		v.done = true
		d.Finish = v.finish
		return !p.s.noFinish
	}
	return true
}

// open begins the next call.
func (p *player) open(v *voice, d *chat.Delta) {
	c := v.calls[v.opened]
	v.opened, v.args = v.opened+1, c.Arguments
	c.Arguments = ""
	p.call[0] = chat.CallDelta{Index: v.opened - 1, ToolCall: c}
	d.Calls = p.call[:]
}
