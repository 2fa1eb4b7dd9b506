package chat

import "slices"

// What a provider calls its tools may be other than what the caller does: a custom tool is a function there, a long name is
// short. What follows gives calls back as the caller expects them.

// Restore is an encoder that gives e the calls of q's tools under their own names, and those of custom tools as such, with the
// plain input. It is e itself if that changes nothing. q may be nil; nothing is kept of it but names of tools.
func Restore(q *Request, e Encoder) Encoder {
	if tools := renamed(q); len(tools) > 0 {
		return &restorer{tools: tools, to: e}
	}
	return e
}

// RestoreCalls is Restore for a whole reply. It leaves r as it is.
func RestoreCalls(q *Request, r *Reply) *Reply {
	tools := renamed(q)
	if len(tools) == 0 {
		return r
	}
	c := *r
	c.Choices = slices.Clone(r.Choices)
	for i := range c.Choices {
		m := &c.Choices[i].Message
		parts := revisedCalls(m.Parts, func(c ToolCall) (ToolCall, bool) {
			t, ok := tools[c.Name]
			if ok {
				c.Name = t.name
			}
			if t.custom && c.Kind == Function {
				c.Kind, c.Arguments = Custom, inputOf(c.Arguments)
			}
			return c, ok
		})
		if parts != nil {
			m.Parts = parts
		}
	}
	return &c
}

// ownTool is what a tool is to the caller.
type ownTool struct {
	name   string
	custom bool
}

// renamed are those of a request's tools that a provider may call by another name or kind, by that name.
func renamed(q *Request) (tools map[string]ownTool) {
	if q == nil {
		return nil
	}
	for i := range q.Tools {
		t := &q.Tools[i]
		own := ownTool{name: t.Name, custom: t.Kind == Custom}
		if t.Kind == Hosted || !own.custom && len(t.Name) <= MaxToolName {
			continue
		}
		if tools == nil {
			tools = map[string]ownTool{}
		}
		tools[t.Name], tools[shortName(t.Name)] = own, own
	}
	return tools
}

// restorer does so for the pieces of a stream.
type restorer struct {
	tools map[string]ownTool
	to    Encoder
	calls []restored
	piece Piece // that is given to the encoder in the place of another
	call  ToolCall
}

// restored is a call of a custom tool that came as one of a function.
type restored struct {
	choice, index int
	input         input
}

// Encode implements Encoder.
func (r *restorer) Encode(dst *Batch, p *Piece) {
	switch p.Kind {
	case PieceCall:
		t, ok := r.tools[p.Call.Name]
		if !ok {
			break
		}
		r.call, r.piece = *p.Call, *p
		r.call.Name, r.piece.Call = t.name, &r.call
		if p = &r.piece; t.custom && p.Call.Kind == Function {
			r.begin(dst, p)
			return
		}
	case PieceArguments:
		for i := range r.calls {
			if c := &r.calls[i]; c.choice == p.Choice && c.index == p.Index {
				r.give(dst, c, c.input.read(p.Text))
				return
			}
		}
	case PieceFinish:
		for i := range r.calls {
			if c := &r.calls[i]; c.choice == p.Choice {
				r.give(dst, c, c.input.rest())
			}
		}
	}
	r.to.Encode(dst, p)
}

// Fail implements Encoder.
func (r *restorer) Fail(dst *Batch, e *Error) { r.to.Fail(dst, e) }

// begin gives the call of a function as one of a custom tool; p is r's own.
func (r *restorer) begin(dst *Batch, p *Piece) {
	arguments, text := p.Call.Arguments, p.Text
	p.Call.Kind, p.Call.Arguments, p.Text = Custom, "", nil
	r.to.Encode(dst, p)
	r.calls = append(r.calls, restored{choice: p.Choice, index: p.Index})
	c := &r.calls[len(r.calls)-1]
	r.give(dst, c, c.input.read(escape(arguments)))
	r.give(dst, c, c.input.read(text))
}

func (r *restorer) give(dst *Batch, c *restored, text []byte) {
	if len(text) > 0 {
		r.piece = Piece{Kind: PieceArguments, Choice: c.choice, Index: c.index, Text: text}
		r.to.Encode(dst, &r.piece)
	}
}
