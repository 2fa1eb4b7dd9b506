package sim_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// said is what one choice says, however it came.
type said struct {
	Index           int
	Text, Reasoning string
	Signature       string // of the reasoning
	Calls           []chat.ToolCall
	Finish          chat.FinishReason
}

// unary is the answer of a request that must succeed.
func unary(t testing.TB, request string) said {
	t.Helper()
	r := simulate(t, sim.Options{}, request)
	if !errors.Is(r.err, io.EOF) || len(r.events) != 1 || r.reply.Status != 200 {
		t.Fatalf("%s\n%+v", request, r)
	}
	return choices(t, r.events[0])[0]
}

// choices reads a chat.completion.
func choices(t testing.TB, reply string) []said { return choicesOf(t, wire.OpenAI, reply) }

func choicesOf(t testing.TB, d *wire.Dialect, reply string) []said {
	t.Helper()
	r, err := d.DecodeReply([]byte(reply))
	if err != nil {
		t.Fatalf("%s: %v", reply, err)
	}
	var all []said
	for i := range r.Choices {
		c := &r.Choices[i]
		s := said{
			Index: c.Index, Text: c.Message.Text(chat.PartText), Reasoning: c.Message.Text(chat.PartReasoning),
			Calls: c.Message.Calls(), Finish: c.Finish,
		}
		for _, p := range c.Message.Parts {
			if p.Kind == chat.PartReasoning {
				s.Signature = p.Signature
			}
		}
		all = append(all, s)
	}
	return all
}

// joined adds up a stream of chat completions.
func joined(t testing.TB, events []string) []said {
	t.Helper()
	named := make([]named, len(events))
	for i, data := range events {
		named[i].data = data
	}
	return joinedOf(t, wire.OpenAI, named)
}

// named is an event with its name.
type named struct{ name, data string }

// joinedOf adds up a stream, to its end.
func joinedOf(t testing.TB, d *wire.Dialect, events []named) []said {
	t.Helper()
	var all []said
	decoder, ended := d.NewDecoder(), false
	var pieces []chat.Piece
	for i, ev := range events {
		var err error
		if pieces, err = decoder.Decode(pieces[:0], ev.name, []byte(ev.data)); err != nil {
			t.Fatalf("event %d %q: %v", i, ev.data, err)
		}
		for k := range pieces {
			p := &pieces[k]
			for len(all) <= p.Choice {
				all = append(all, said{Index: len(all)})
			}
			if all[p.Choice].Finish != "" && p.Kind != chat.PieceUsage && p.Kind != chat.PieceEnd {
				t.Fatalf("behind the end of the choice comes %q", ev.data)
			}
			ended = p.Kind == chat.PieceEnd
			all[p.Choice].add(p)
		}
	}
	if !ended {
		t.Error("the stream does not end")
	}
	return all
}

func (s *said) add(p *chat.Piece) {
	text, _ := peek.String(bytes.Join([][]byte{[]byte(`"`), p.Text, []byte(`"`)}, nil))
	switch p.Kind {
	case chat.PieceText:
		s.Text += text
	case chat.PieceReasoning:
		s.Reasoning += text
	case chat.PieceSignature:
		s.Signature += text
	case chat.PieceCall:
		s.Calls = append(s.Calls, *p.Call)
	case chat.PieceArguments:
		s.Calls[p.Index].Arguments += text
	case chat.PieceFinish:
		s.Finish = p.Finish
	}
}
