package chat

import (
	"encoding/json"
	"slices"
)

// Collector joins the pieces of a stream to the reply that they make.
type Collector struct {
	reply   Reply
	choices []collected
}

// collected is how far one choice has come. Texts stay escaped until the end: half a surrogate pair is no text.
type collected struct {
	index  int
	parts  []collectedPart
	calls  map[int]int // where the calls are among the parts, by the index of each among the calls
	said   int         // characters of text
	finish FinishReason
	stop   string
}

type collectedPart struct {
	Part
	from            int // characters of text before it
	text, signature []byte
	logprobs        []json.RawMessage
}

// Add takes a piece; it keeps nothing that is borrowed.
func (c *Collector) Add(p *Piece) {
	switch p.Kind {
	case PieceBegin:
		if p.Head != nil {
			c.reply.Head = *p.Head
		}
		c.use(p.Usage)
	case PieceUsage:
		c.use(p.Usage)
	case PieceEnd:
	default:
		c.choice(p.Choice).add(p)
	}
}

// Reply is what has been said up to now.
func (c *Collector) Reply() *Reply {
	r := c.reply
	r.Choices = make([]Choice, 0, len(c.choices))
	for i := range c.choices {
		s := &c.choices[i]
		choice := Choice{Index: s.index, Finish: s.finish, Stop: s.stop, Message: Message{Role: RoleAssistant}}
		for k := range s.parts {
			choice.Message.Parts = append(choice.Message.Parts, s.parts[k].part())
		}
		r.Choices = append(r.Choices, choice)
	}
	slices.SortFunc(r.Choices, func(a, b Choice) int { return a.Index - b.Index })
	return &r
}

func (c *Collector) use(u *Usage) {
	if u != nil {
		c.reply.Usage, c.reply.ServiceTier = *u, u.Tier
		c.reply.Usage.Tier = ""
	}
}

func (c *Collector) choice(index int) *collected {
	for i := range c.choices {
		if c.choices[i].index == index {
			return &c.choices[i]
		}
	}
	c.choices = append(c.choices, collected{index: index})
	return &c.choices[len(c.choices)-1]
}

func (s *collected) add(p *Piece) {
	switch p.Kind {
	case PieceText:
		t := s.part(PartText)
		t.text = append(t.text, p.Text...)
		s.said += Characters(p.Text)
		t.addLogprobs(p.Logprobs)
	case PieceRefusal:
		t := s.part(PartRefusal)
		t.text = append(t.text, p.Text...)
	case PieceReasoning:
		t := s.part(PartReasoning)
		if len(t.signature) > 0 { // signed: it has ended
			t = s.open(PartReasoning)
		}
		t.text = append(t.text, p.Text...)
	case PieceSignature:
		t := s.signed(p)
		t.signature, t.Owner = append(t.signature, p.Text...), p.Owner
	case PieceRedacted:
		t := s.open(PartRedacted)
		t.signature, t.Owner = slices.Clone(p.Text), p.Owner
	case PieceCitation:
		t := s.part(PartText)
		t.Citations = append(t.Citations, p.Citation.Behind(t.from))
	case PieceImage:
		t := s.open(PartImage)
		t.text = slices.Clone(p.Text)
	case PieceCall:
		call := *p.Call
		t := s.open(PartCall)
		t.Call, t.text = &call, append(escape(call.Arguments), p.Text...)
		if s.calls == nil {
			s.calls = map[int]int{}
		}
		s.calls[p.Index] = len(s.parts) - 1
	case PieceArguments:
		if t := s.called(p.Index); t != nil {
			t.text = append(t.text, p.Text...)
		}
	case PieceFinish:
		s.finish, s.stop = p.Finish, p.Stop
	}
}

// part is the last part if it is of a kind, or a new one.
func (s *collected) part(k PartKind) *collectedPart {
	if n := len(s.parts); n > 0 && s.parts[n-1].Kind == k {
		return &s.parts[n-1]
	}
	return s.open(k)
}

func (s *collected) open(k PartKind) *collectedPart {
	s.parts = append(s.parts, collectedPart{Part: Part{Kind: k}, from: s.said})
	return &s.parts[len(s.parts)-1]
}

// signed is the part that a signature belongs to.
func (s *collected) signed(p *Piece) *collectedPart {
	if p.Call != nil {
		if t := s.called(p.Index); t != nil {
			return t
		}
	}
	return s.part(PartReasoning)
}

func (s *collected) called(index int) *collectedPart {
	if at, ok := s.calls[index]; ok {
		return &s.parts[at]
	}
	return nil
}

func (t *collectedPart) addLogprobs(list []byte) {
	var more []json.RawMessage
	if len(list) > 0 && json.Unmarshal(list, &more) == nil {
		t.logprobs = append(t.logprobs, more...)
	}
}

func (t *collectedPart) part() Part {
	p := t.Part
	switch text := unescape(t.text); p.Kind {
	case PartCall:
		call := *p.Call
		call.Arguments = text
		p.Call = &call
	case PartImage:
		p.Media = new(Media)
		p.Media.SetURL(text)
	default:
		p.Text = text
	}
	p.Signature = unescape(t.signature)
	if len(t.logprobs) > 0 {
		p.Logprobs, _ = json.Marshal(t.logprobs) // raw JSON that was decoded before
	}
	return p
}

// unescape is the text of the inside of a JSON string.
func unescape(inside []byte) string {
	var s string
	quoted := append(append(append(make([]byte, 0, len(inside)+2), '"'), inside...), '"')
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}

// escape is the inside of a JSON string that holds a text.
func escape(text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil || len(quoted) < 2 {
		return nil
	}
	return quoted[1 : len(quoted)-1]
}
