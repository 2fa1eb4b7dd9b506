package answer

import (
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Whole is the answer as the body of a reply to q.
func Whole(d *wire.Dialect, q *chat.Request, r *chat.Reply) []byte {
	return d.AppendReply(make([]byte, 0, 512), q, r)
}

// Events is the answer as the events of a stream, a reply to q: the same that a provider sends, with texts in pieces of about
// so many bytes.
func Events(d *wire.Dialect, q *chat.Request, r *chat.Reply, size int) []gateway.Event {
	e := d.NewEncoder(q)
	var b chat.Batch
	for p := range Pieces(r, size) {
		e.Encode(&b, p)
	}
	var list []gateway.Event
	for {
		name, data, ok := b.Next()
		if !ok {
			return list
		}
		list = append(list, gateway.Event{Name: name, Data: data})
	}
}

// Pieces says an answer again, as a stream would have: texts in pieces of about so many bytes. Each piece is valid until the
// next. What no piece can say, such as a recording, is left out: see [Kept].
func Pieces(r *chat.Reply, size int) func(yield func(*chat.Piece) bool) {
	return func(yield func(*chat.Piece) bool) {
		s := speaker{size: max(size, 1), yield: yield, on: true}
		s.say(&chat.Piece{Kind: chat.PieceBegin, Head: &r.Head, Usage: promptOf(r)})
		for i := range r.Choices {
			s.choice(&r.Choices[i])
		}
		if u := r.Usage; u.Provenance != chat.Unknown {
			u.Tier = r.ServiceTier
			s.say(&chat.Piece{Kind: chat.PieceUsage, Usage: &u})
		}
		s.say(&chat.Piece{Kind: chat.PieceEnd})
	}
}

// promptOf is what is known of a prompt before the answer; nil if nothing is.
func promptOf(r *chat.Reply) *chat.Usage {
	if r.Usage.Provenance == chat.Unknown {
		return nil
	}
	u := r.Usage
	u.Output, u.Reasoning, u.OutputAudio, u.OutputImage = 0, 0, 0, 0
	u.Tier = r.ServiceTier
	return &u
}

// speaker says one answer.
type speaker struct {
	size  int
	yield func(*chat.Piece) bool
	on    bool // somebody listens
	buf   []byte
	index int // of the choice
	said  int // characters of its text so far
	calls int
}

func (s *speaker) say(p *chat.Piece) {
	if p.Choice = s.index; s.on {
		s.on = s.yield(p)
	}
}

func (s *speaker) choice(c *chat.Choice) {
	s.index, s.said, s.calls = c.Index, 0, 0
	signed := false
	for i := range c.Message.Parts {
		p := &c.Message.Parts[i]
		s.part(p, signed)
		signed = p.Kind == chat.PartReasoning && p.Signature != ""
	}
	s.say(&chat.Piece{Kind: chat.PieceFinish, Finish: c.Finish, Stop: c.Stop})
	s.index = 0
}

// part says one; signed says that a thought before it has ended, so that another one begins.
func (s *speaker) part(p *chat.Part, signed bool) {
	switch p.Kind {
	case chat.PartText:
		s.text(p)
	case chat.PartRefusal:
		s.pieces(chat.Piece{Kind: chat.PieceRefusal}, p.Text)
	case chat.PartReasoning:
		if p.Text == "" && signed {
			s.say(&chat.Piece{Kind: chat.PieceReasoning})
		}
		s.pieces(chat.Piece{Kind: chat.PieceReasoning}, p.Text)
		if p.Signature != "" {
			s.say(&chat.Piece{Kind: chat.PieceSignature, Text: s.escape(p.Signature), Owner: p.Owner})
		}
	case chat.PartRedacted:
		s.say(&chat.Piece{Kind: chat.PieceRedacted, Text: s.escape(p.Signature), Owner: p.Owner})
	case chat.PartImage:
		s.say(&chat.Piece{Kind: chat.PieceImage, Text: s.escape(p.Media.DataURL())})
	case chat.PartCall:
		s.call(p)
	}
}

func (s *speaker) text(p *chat.Part) {
	from := s.said
	if len(p.Logprobs) > 0 { // which token is where is not known here
		s.say(&chat.Piece{Kind: chat.PieceText, Text: s.escape(p.Text), Logprobs: p.Logprobs})
	} else {
		s.pieces(chat.Piece{Kind: chat.PieceText}, p.Text)
	}
	s.said += utf8.RuneCountInString(p.Text)
	for i := range p.Citations {
		c := p.Citations[i].Behind(-from)
		s.say(&chat.Piece{Kind: chat.PieceCitation, Citation: &c})
	}
}

func (s *speaker) call(p *chat.Part) {
	c := *p.Call
	c.Arguments = ""
	index := s.calls
	s.calls++
	s.say(&chat.Piece{Kind: chat.PieceCall, Index: index, Call: &c})
	if p.Signature != "" {
		s.say(&chat.Piece{Kind: chat.PieceSignature, Index: index, Call: &c, Text: s.escape(p.Signature), Owner: p.Owner})
	}
	s.pieces(chat.Piece{Kind: chat.PieceArguments, Index: index}, p.Call.Arguments)
}

// pieces says a text by and by.
func (s *speaker) pieces(p chat.Piece, text string) {
	for text != "" && s.on {
		n := s.cut(text)
		p.Text = s.escape(text[:n])
		s.say(&p)
		text = text[n:]
	}
}

// cut is where the next piece of a text ends: behind a space if there is one in reach, and never inside a character.
func (s *speaker) cut(text string) int {
	if len(text) <= s.size {
		return len(text)
	}
	for i := s.size; i < min(len(text), s.size+s.size/2+1); i++ {
		if text[i] == ' ' || text[i] == '\n' {
			return i + 1
		}
	}
	n := s.size
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}

// escape is the inside of a JSON string; it is valid until the next call.
func (s *speaker) escape(text string) []byte {
	s.buf = shape.AppendString(s.buf[:0], text)
	return s.buf[1 : len(s.buf)-1]
}
