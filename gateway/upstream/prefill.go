package upstream

import (
	"bytes"
	"errors"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Prefill says how a provider is made to go on from a last message that is the assistant's, without saying it again.
type Prefill uint8

// Ways to go on from the beginning of an answer.
const (
	PrefillNone   Prefill = iota // it answers anew, refuses, or says nothing about it
	PrefillPlain                 // it does so by itself
	PrefillMember                // the message has "prefix": true (DeepSeek, only below its base URL /beta)
	PrefillFinal                 // the request has "continue_final_message": true (vLLM)
)

var errPrefill = errors.New("it does not go on from the beginning of an answer")

// prefills says whether the provider goes on from the assistant's message with which body ends. Claude does not from 4.6 on,
// the models that think adaptively, nor any that is told to think (platform.claude.com, "Migration guide").
func (p *Provider) prefills(r *route, a *gateway.Attempt, body []byte) bool {
	k := &p.c.Kind
	switch {
	case r.dialect == wire.Anthropic && k.Prefill == PrefillPlain:
		if kind := peek.Find(peek.Find(body, []byte(`"thinking"`)), []byte(`"type"`)); kind != nil && string(kind) != `"disabled"` {
			return false
		}
	case r.dialect != wire.OpenAI:
		return false
	case k.Prefill == PrefillMember && !strings.Contains(p.c.BaseURL.Path, "beta"):
		return false
	}
	if m := a.Known; m != nil && (m.Thinking == catalog.ThinkingAdaptive || m.Thinking == catalog.ThinkingAlways) {
		return false
	}
	if k.Name == "openrouter" { // these providers of its answer anew
		for _, owner := range [...]string{"openai/", "google/", "x-ai/", "openrouter/"} {
			if strings.HasPrefix(a.Model, owner) {
				return false
			}
		}
	}
	return k.Prefill != PrefillNone
}

// edits are what a body that ends with an assistant's message must have beside it.
func (f Prefill) edits(e []peek.Edit, d *wire.Dialect, body []byte) []peek.Edit {
	if d != wire.OpenAI {
		return e
	}
	switch f {
	case PrefillMember:
		var last []byte
		peek.Elements(peek.Find(body, []byte(`"messages"`)), func(message []byte) bool {
			last = message
			return true
		})
		if len(last) > 0 && last[len(last)-1] == '}' {
			at := cap(body) - cap(last) + len(last) - 1
			e = append(e, peek.Edit{At: at, End: at, Text: `,"prefix":true`})
		}
	case PrefillFinal:
		for _, m := range [...][2]string{{`"add_generation_prompt"`, "false"}, {`"continue_final_message"`, "true"}} {
			if v := peek.Find(body, []byte(m[0])); v != nil {
				at := cap(body) - cap(v)
				e = append(e, peek.Edit{At: at, End: at + len(v), Text: m[1]})
				continue
			}
			at := bytes.LastIndexByte(body, '}')
			e = append(e, peek.Edit{At: at, End: at, Text: "," + m[0] + ":" + m[1]})
		}
	}
	return e
}

// begun makes the provider go on from the last message of the translated body. What was asked is the conversation without it.
func (t *translation) begun(k *Kind) {
	if e := k.Prefill.edits(nil, t.to, *t.body); len(e) > 0 {
		*t.body = append((*t.body)[:0], peek.Append(nil, *t.body, e)...)
	}
	shared := t.q == t.own
	t.own = unanswered(t.own)
	if t.q = unanswered(t.q); shared {
		t.q = t.own
	}
}

// unanswered is a request without its last message.
func unanswered(q *chat.Request) *chat.Request {
	c := *q
	c.Messages = c.Messages[:max(len(c.Messages)-1, 0)]
	return &c
}

// wholeAnswer makes the response that is stored of an answer whose beginning another attempt has given.
type wholeAnswer struct {
	begun   []byte
	encoder chat.Encoder
	batch   chat.Batch
}

// add takes a piece of the rest, which said has already, and gives the last event of the whole.
func (w *wholeAnswer) add(p *chat.Piece, said *chat.Collector) []byte {
	w.batch.Reset()
	w.encoder.Encode(&w.batch, p)
	if p.Kind == chat.PieceBegin {
		first := chat.Piece{Kind: chat.PieceText, Text: w.begun}
		said.Add(&first)
		w.encoder.Encode(&w.batch, &first)
	}
	return w.batch.Last()
}
