package openai

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendReply adds a chat.completion. Usage of unknown provenance is left out. Thoughts are written as DeepSeek has them,
// and as LiteLLM if they are signed; pictures as OpenRouter has them. The request, which may be nil, says which tools are
// custom; see [chat.Restore].
func AppendReply(dst []byte, q *chat.Request, r *chat.Reply) []byte {
	r = chat.RestoreCalls(q, r)
	w, asked := writer{b: dst}, ""
	if q != nil {
		asked = q.Model
	}
	w.head(&r.Head, asked, "chat.completion")
	for i := range r.Choices {
		c := &r.Choices[i]
		w.element()
		w.int("index", int64(c.Index))
		w.message(&c.Message, c.Finish == chat.FinishLength)
		w.logprobs(c.Message.Parts)
		w.key("finish_reason")
		w.b = shape.AppendOptional(w.b, finishWord(c.Finish))
		w.shut('}')
	}
	w.shut(']')
	if r.Usage.Provenance != chat.Unknown {
		w.key("usage")
		w.b = AppendUsage(w.b, r.Usage)
	}
	w.text("service_tier", r.ServiceTier)
	w.shut('}')
	return w.b
}

// head begins a reply or a chunk, up to its choices; asked is the model for providers that do not say which it was. What other
// dialects do not say, clients here rely on.
func (w *writer) head(h *chat.Head, asked, object string) {
	id, created := h.ID, h.Created
	if id == "" {
		id = "chatcmpl-" + rand.Text()
	}
	if created == 0 { // Anthropic has no such thing
		created = time.Now().Unix()
	}
	w.open('{')
	w.str("id", id)
	w.str("object", object)
	w.int("created", created)
	w.str("model", cmp.Or(h.Model, asked))
	w.list("choices")
}

// finishWord is a finish reason as OpenAI's clients know it, some of which refuse what is not on their list. What no dialect
// had a word for when this was written is a stop.
func finishWord(f chat.FinishReason) string {
	switch f {
	case "", chat.FinishStop, chat.FinishLength, chat.FinishCalls, chat.FinishFilter:
		return string(f)
	}
	return string(chat.FinishStop)
}

func (w *writer) message(m *chat.Message, cut bool) {
	said, refusal, called := m.Text(chat.PartText), m.Text(chat.PartRefusal), false
	var audio *chat.Part
	images := false
	for i := range m.Parts {
		switch p := &m.Parts[i]; p.Kind {
		case chat.PartCall:
			called = true
		case chat.PartAudio:
			audio = p
		case chat.PartImage:
			images = true
		}
	}
	w.object("message")
	w.str("role", "assistant")
	w.key("content")
	if said == "" && (refusal != "" || called || audio != nil) {
		w.b = append(w.b, "null"...)
	} else {
		w.b = shape.AppendString(w.b, said)
	}
	w.key("refusal")
	w.b = shape.AppendOptional(w.b, refusal)
	w.annotations(m.Parts)
	w.thoughts(m.Parts)
	if called {
		w.calls(m.Parts, cut)
	}
	if audio != nil {
		w.audio(audio)
	}
	if images {
		w.images(m.Parts)
	}
	w.shut('}')
}

// annotations writes the sources of what is said. Their places count characters of the whole text.
func (w *writer) annotations(parts []chat.Part) {
	w.list("annotations")
	before := 0
	for i := range parts {
		p := &parts[i]
		if p.Kind != chat.PartText {
			continue
		}
		length := utf8.RuneCountInString(p.Text)
		for k := range p.Citations {
			c := p.Citations[k]
			if c.Start == 0 && c.End == 0 {
				c.End = length
			}
			c.Start, c.End = c.Start+before, c.End+before
			w.element()
			w.citation(&c)
		}
		before += length
	}
	w.shut(']')
}

// citation writes one, up to the end of its object.
func (w *writer) citation(c *chat.Citation) {
	w.str("type", "url_citation")
	w.object("url_citation")
	w.int("start_index", int64(c.Start))
	w.int("end_index", int64(c.End))
	w.str("title", c.Title)
	w.str("url", c.URL)
	w.shut('}')
	w.shut('}')
}

// logprobs writes those of what is said and of what is refused.
func (w *writer) logprobs(parts []chat.Part) {
	said, refused := joinLogprobs(parts, chat.PartText), joinLogprobs(parts, chat.PartRefusal)
	w.key("logprobs")
	if said == nil && refused == nil {
		w.b = append(w.b, "null"...)
		return
	}
	w.open('{')
	w.key("content")
	w.b = append(w.b, orNull(said)...)
	w.key("refusal")
	w.b = append(w.b, orNull(refused)...)
	w.shut('}')
}

func orNull(v []byte) []byte {
	if v == nil {
		return []byte("null")
	}
	return v
}

// joinLogprobs makes one list of those of the parts of a kind.
func joinLogprobs(parts []chat.Part, k chat.PartKind) []byte {
	var all []byte
	for i := range parts {
		list := parts[i].Logprobs
		switch {
		case parts[i].Kind != k || len(list) < 2 || list[0] != '[':
		case all == nil:
			all = list
		case !emptyArray(all) && !emptyArray(list):
			all = slices.Concat(all[:len(all)-1], []byte(","), list[1:])
		case emptyArray(all):
			all = list
		}
	}
	return all
}

func (w *writer) audio(p *chat.Part) {
	w.object("audio")
	w.str("id", p.Media.ID)
	w.int("expires_at", 0) // it is not kept here
	w.str("data", p.Media.Data)
	w.str("transcript", p.Text)
	w.shut('}')
}

func (w *writer) images(parts []chat.Part) {
	w.list("images")
	for i := range parts {
		if p := &parts[i]; p.Kind == chat.PartImage {
			w.element()
			w.str("type", "image_url")
			w.object("image_url")
			w.link("url", p.Media)
			w.shut('}')
			w.shut('}')
		}
	}
	w.shut(']')
}
