package telemetry

import (
	"encoding/json"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// mostContent bounds the texts of a prompt, and those of an answer, in bytes. Behind it they are left out.
const mostContent = 32 << 10

// serve calls the rest of the chain. If the spans of the exchange will be sent, and its tenant has asked for that, what was said is
// noted for them; who the tenant is is known afterwards, so that the request's bytes are held until then.
func (r *record) serve(next gateway.Handler) error {
	x := r.x
	if r.p.tracer == nil || !x.Trace.Sampled {
		return next.Serve(x)
	}
	x.Retain()
	defer x.Release()
	err := next.Serve(x)
	if t := x.Caller.Tenant; t != nil && t.TraceContent {
		r.note(err)
	}
	return err
}

// note keeps the prompt, and listens to the answer.
func (r *record) note(err error) {
	x := r.x
	if x.Request.Open() != nil {
		return
	}
	q, e := x.Request.Chat()
	if e != nil || q == nil {
		return
	}
	r.said = &said{prompt: messagesOf(q.Messages, nil)}
	d := wire.ByName(x.Request.Endpoint.Dialect)
	if err != nil || x.Reply == nil || x.Reply.Status >= 300 || x.Reply.Kind == gateway.Bytes || d == nil {
		return
	}
	l := &listener{Stream: x.Reply.Stream, said: r.said, dialect: d}
	if x.Reply.Kind == gateway.Events {
		l.decoder = d.NewDecoder()
	}
	x.Reply.Stream = l
}

// said is what was said in an exchange.
type said struct {
	prompt string // JSON
	reply  *chat.Reply
	parts  chat.Collector
	size   int  // of the events that were heard
	over   bool // no more of them are
}

// listener hears an answer as it passes. What it cannot read it leaves out.
type listener struct {
	gateway.Stream
	said    *said
	dialect *wire.Dialect
	decoder chat.Decoder // of a stream
	pieces  []chat.Piece
}

// Next implements gateway.Stream.
func (l *listener) Next() (gateway.Event, error) {
	ev, err := l.Stream.Next()
	if s := l.said; err == nil && !s.over {
		if l.decoder == nil {
			s.reply, _ = l.dialect.DecodeReply(ev.Data)
			return ev, nil
		}
		var bad error
		l.pieces, bad = l.decoder.Decode(l.pieces[:0], ev.Name, ev.Data)
		for i := range l.pieces {
			s.parts.Add(&l.pieces[i])
		}
		s.size += len(ev.Data)
		s.over = bad != nil || s.size > 16*mostContent // most of an event is not text
	}
	return ev, err
}

// attributes are the prompt and the answer, as the conventions have them.
func (s *said) attributes() attributes {
	a := attributes{attribute.String(genAIInputText, s.prompt)}
	reply := s.reply
	if reply == nil {
		reply = s.parts.Reply()
	}
	if len(reply.Choices) == 0 {
		return a
	}
	var list []chat.Message
	var ends []string
	for i := range reply.Choices {
		list, ends = append(list, reply.Choices[i].Message), append(ends, string(reply.Choices[i].Finish))
	}
	return append(a, attribute.String(genAIOutputText, messagesOf(list, ends)))
}

// message is one of the conventions' messages.
type message struct {
	Role   string `json:"role"`
	Parts  []part `json:"parts"`
	Finish string `json:"finish_reason,omitempty"`
}

type part struct {
	Type      string `json:"type"`
	Content   string `json:"content,omitempty"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
	Response  string `json:"response,omitempty"`
}

// messagesOf writes messages as the conventions have them; ends are why each ended, of an answer. Pictures, recordings and files are
// mentioned, but not held.
func messagesOf(list []chat.Message, ends []string) string {
	room := mostContent
	cut := func(text string) string {
		if len(text) > room {
			text = strings.ToValidUTF8(text[:room], "") + "…"
			room = 0
			return text
		}
		room -= len(text)
		return strings.Clone(text)
	}
	all := make([]message, 0, len(list))
	for i := range list {
		m := message{Role: string(list[i].Role), Parts: []part{}}
		if ends != nil {
			m.Finish = ends[i]
		}
		for k := range list[i].Parts {
			if room == 0 {
				break
			}
			m.Parts = append(m.Parts, partOf(&list[i], &list[i].Parts[k], cut))
		}
		all = append(all, m)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "" // words alone: it does not happen
	}
	return string(text)
}

// partOf is one part of a message, with its texts cut.
func partOf(m *chat.Message, p *chat.Part, cut func(string) string) part {
	switch p.Kind {
	case chat.PartReasoning:
		return part{Type: "reasoning", Content: cut(p.Text)}
	case chat.PartImage:
		return part{Type: "image"}
	case chat.PartAudio:
		return part{Type: "audio", Content: cut(p.Text)}
	case chat.PartFile:
		return part{Type: "file", Content: cut(p.Text)}
	case chat.PartCall:
		return part{Type: "tool_call", ID: p.Call.ID, Name: p.Call.Name, Arguments: cut(p.Call.Arguments)}
	}
	if m.Role == chat.RoleTool {
		return part{Type: "tool_call_response", ID: m.CallID, Response: cut(p.Text)}
	}
	return part{Type: "text", Content: cut(p.Text)}
}
