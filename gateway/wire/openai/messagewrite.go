package openai

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// messages writes the conversation. Only a user's message may hold media: those of others, such as what a tool has drawn,
// come with the next one, or with one of their own behind the results.
func (w *requestWriter) messages() {
	w.list("messages")
	if w.t.SystemFirst {
		w.instructions()
	}
	for i := range w.q.Messages {
		m := &w.q.Messages[i]
		if len(m.Parts) > 0 && w.silent(m) || w.t.SystemFirst && instructs(m) {
			continue // some refuse what says nothing; what instructs stands in front
		}
		switch m.Role {
		case chat.RoleTool:
			w.result(m)
		case chat.RoleAssistant:
			w.seen()
			w.assistant(m)
		default:
			w.turn(i, m)
		}
	}
	w.seen()
	if !w.more && len(w.q.Messages) > 0 {
		w.refuse("messages", "says nothing that this provider can read")
	}
	w.shut(']')
}

// instructs says whether a message holds instructions.
func instructs(m *chat.Message) bool {
	return m.Role == chat.RoleSystem || m.Role == chat.RoleDeveloper
}

// instructions writes all that there are as one message.
func (w *requestWriter) instructions() {
	all := chat.Message{Role: chat.RoleSystem}
	for i := range w.q.Messages {
		if m := &w.q.Messages[i]; instructs(m) && !w.silent(m) {
			all.Name = cmp.Or(all.Name, m.Name)
			all.Parts = append(all.Parts, m.Parts...)
		}
	}
	if len(all.Parts) > 0 {
		w.turn(elsewhere, &all)
	}
}

// silent says whether nothing would be left of a message for the target. The result of a call is never left out.
func (w *requestWriter) silent(m *chat.Message) bool {
	if m.Role == chat.RoleTool {
		return false
	}
	parts := w.readable(m.Parts)
	return !slices.ContainsFunc(parts, func(p chat.Part) bool {
		return !w.t.NoThoughts || p.Kind != chat.PartReasoning && p.Kind != chat.PartRedacted
	})
}

// seen writes pending media as a turn of the user.
func (w *requestWriter) seen() {
	if len(w.pending) > 0 {
		w.turn(elsewhere, &chat.Message{Role: chat.RoleUser})
	}
}

// elsewhere is the index of a message whose parts are not those of one of the request's, or not only.
const elsewhere = -1

// turn writes a message of the user, with pending media in front, or instructions.
func (w *requestWriter) turn(at int, m *chat.Message) {
	role := m.Role
	if role == chat.RoleDeveloper && w.t.NoDeveloper {
		role = chat.RoleSystem
	}
	parts := m.Parts
	switch {
	case m.Role != chat.RoleUser:
		parts = w.withoutMedia(parts, "")
	case len(w.pending) > 0:
		at, parts, w.pending = elsewhere, slices.Concat(w.pending, parts), nil
	}
	w.element()
	w.str("role", string(role))
	w.text("name", m.Name)
	w.content(at, parts)
	w.shut('}')
}

// withoutMedia puts media aside, under a heading if there is one, and leaves a text where they were.
func (w *requestWriter) withoutMedia(parts []chat.Part, heading string) []chat.Part {
	var rest []chat.Part
	for _, p := range w.readable(parts) {
		if p.Media == nil {
			rest = append(rest, p)
			continue
		}
		if heading != "" {
			w.pending = append(w.pending, chat.Part{Text: heading})
			heading = ""
		}
		w.pending = append(w.pending, p)
		rest = append(rest, chat.Part{Text: "(" + mediaName(p.Kind) + " in the next message of the user)"})
	}
	return rest
}

func mediaName(k chat.PartKind) string {
	switch k {
	case chat.PartImage:
		return "image"
	case chat.PartAudio:
		return "recording"
	}
	return "file"
}

// readable turns documents that are plain texts, and parts that only another dialect knows, into what they say, and leaves
// out those of the latter that say nothing.
func (w *requestWriter) readable(parts []chat.Part) []chat.Part {
	if !slices.ContainsFunc(parts, func(p chat.Part) bool { return p.Kind == chat.PartFile || p.Kind == chat.PartOther }) {
		return parts
	}
	rest := make([]chat.Part, 0, len(parts))
	for _, p := range parts {
		switch {
		case p.Kind == chat.PartFile:
			if text, ok := plainText(&p); ok {
				p = chat.Part{Text: text, Cache: p.Cache}
			}
		case p.Kind != chat.PartOther || w.own():
		case p.Text != "":
			p = chat.Part{Text: p.Text, Cache: p.Cache}
		default:
			w.drop("messages.content." + typeOf(p.Raw))
			continue
		}
		rest = append(rest, p)
	}
	return rest
}

// result writes what a tool answered: text only, and without a word for failure.
func (w *requestWriter) result(m *chat.Message) {
	parts := w.withoutMedia(m.Parts, "Returned by the call "+m.CallID+":")
	if m.Failed && !strings.HasPrefix(strings.ToLower(m.Text(chat.PartText)), "error") {
		parts = append([]chat.Part{{Text: "Error: "}}, parts...)
		if len(parts) == 2 && parts[1].Kind == chat.PartText {
			parts = []chat.Part{{Text: "Error: " + parts[1].Text, Cache: parts[1].Cache}}
		}
	}
	if n := len(parts); n > 0 && m.Cache != "" && w.t.CacheMarks == breakpoint { // which only parts have
		parts = append(parts[:n-1:n-1], parts[n-1])
		parts[n-1].Cache = m.Cache
	}
	w.element()
	if m.CallID == "" {
		w.str("role", "function") // deprecated, and all that a result without an id can be
		w.str("name", m.Name)
	} else {
		w.str("role", "tool")
		w.str("tool_call_id", m.CallID)
	}
	w.content(elsewhere, parts)
	if w.t.CacheMarks == cacheControl {
		w.mark(m.Cache)
	}
	w.shut('}')
}

// assistant writes what was thought, said and called; their order is lost.
func (w *requestWriter) assistant(m *chat.Message) {
	var said []chat.Part
	var audio string
	calls := 0
	for i := range m.Parts {
		switch p := &m.Parts[i]; p.Kind {
		case chat.PartCall:
			calls++
		case chat.PartReasoning, chat.PartRedacted:
		case chat.PartAudio:
			if p.Media.ID != "" {
				audio = p.Media.ID
			} else {
				said = append(said, chat.Part{Text: p.Text})
			}
		default:
			said = append(said, *p)
			if w.t.CacheMarks == breakpoint { // which the assistant's parts do not have
				said[len(said)-1].Cache = ""
			}
		}
	}
	said = w.withoutMedia(said, "Made by the assistant:")
	w.element()
	w.str("role", "assistant")
	w.text("name", m.Name)
	if len(said) == 0 && (calls > 0 || audio != "") {
		w.key("content")
		w.b = append(w.b, "null"...)
	} else {
		w.content(elsewhere, said)
	}
	if audio != "" {
		w.object("audio")
		w.str("id", audio)
		w.shut('}')
	}
	parts := w.signed(m.Parts)
	switch {
	case w.t.NoThoughts:
	case w.t.Thinking == "reasoning":
		w.details(parts)
	default:
		w.thoughts(parts)
	}
	if calls > 0 {
		w.calls(parts, false)
		if last := &m.Parts[len(m.Parts)-1]; last.Kind == chat.PartCall && w.t.CacheMarks == cacheControl {
			w.mark(last.Cache)
		}
	}
	w.shut('}')
}

// signed are the parts without the signatures that the target does not take.
func (w *requestWriter) signed(parts []chat.Part) []chat.Part {
	if !slices.ContainsFunc(parts, func(p chat.Part) bool { return p.Signature != "" && !w.takes(&p) }) {
		return parts
	}
	rest := make([]chat.Part, 0, len(parts))
	for _, p := range parts {
		if !w.takes(&p) {
			p.Signature, p.Owner = "", ""
		}
		if p.Kind != chat.PartRedacted || p.Signature != "" {
			rest = append(rest, p)
		}
	}
	return rest
}

// takes says whether the target takes the part's signature: it refuses those that it has not made.
func (w *requestWriter) takes(p *chat.Part) bool {
	switch {
	case w.t.NoThoughts:
		return false
	case p.Kind == chat.PartCall:
		return w.t.Signer == "" || w.t.Signer == chat.Google
	case w.t.Thinking == "reasoning" && p.SignedBy(chat.OpenRouter):
		return true
	}
	return p.SignedBy(chat.Anthropic) && (w.t.Signer == "" || w.t.Signer == chat.Anthropic)
}

// calls writes those among the parts.
func (w *writer) calls(parts []chat.Part, cut bool) {
	w.list("tool_calls")
	for i := range parts {
		if p := &parts[i]; p.Kind == chat.PartCall {
			w.element()
			w.call(p, cut)
		}
	}
	w.shut(']')
}

// call writes a call as a message has it, up to the end of its object. Arguments that are missing are none, unless the
// answer was cut in front of them.
func (w *writer) call(p *chat.Part, cut bool) {
	c := p.Call
	w.str("id", c.ID)
	if c.Kind == chat.Custom {
		w.str("type", "custom")
		w.object("custom")
		w.str("name", c.Name)
		w.str("input", c.Arguments)
	} else {
		w.str("type", "function")
		w.object("function")
		w.str("name", c.Name)
		if c.Arguments == "" && !cut {
			w.str("arguments", "{}")
		} else {
			w.str("arguments", c.Arguments)
		}
	}
	w.shut('}')
	if p.Signature != "" {
		w.object("extra_content")
		w.object("google")
		w.str("thought_signature", p.Signature)
		w.shut('}')
		w.shut('}')
	}
	w.shut('}')
}

// thoughts writes the text of what was thought, and beside it the blocks, if any has a signature: a provider that signs
// its thoughts takes them back only as they were.
func (w *writer) thoughts(parts []chat.Part) {
	m := chat.Message{Parts: parts}
	w.text("reasoning_content", m.Text(chat.PartReasoning))
	if !slices.ContainsFunc(parts, func(p chat.Part) bool { return p.Kind != chat.PartCall && p.Signature != "" }) {
		return
	}
	w.list("thinking_blocks")
	for i := range parts {
		switch p := &parts[i]; p.Kind {
		case chat.PartReasoning:
			w.element()
			w.str("type", "thinking")
			w.str("thinking", p.Text)
			if p.Signature != "" {
				w.str("signature", p.Owner.Tag(chat.Anthropic)+p.Signature)
			}
			w.shut('}')
		case chat.PartRedacted:
			w.element()
			w.str("type", "redacted_thinking")
			w.str("data", p.Owner.Tag(chat.Anthropic)+p.Signature)
			w.shut('}')
		}
	}
	w.shut(']')
}

// content writes parts as a string where that says it all.
func (w *requestWriter) content(at int, parts []chat.Part) {
	parts = w.readable(parts)
	if slices.ContainsFunc(parts, func(p chat.Part) bool { return len(p.Citations) > 0 }) {
		w.drop("messages.content.annotations")
	}
	if text, ok := w.plain(parts); ok {
		w.str("content", text)
		return
	}
	w.list("content")
	for i := range parts {
		w.part(at, i, &parts[i])
	}
	w.shut(']')
}

// plain is what parts say, if nothing is lost by saying it in one string.
func (w *requestWriter) plain(parts []chat.Part) (string, bool) {
	for i := range parts {
		if parts[i].Kind != chat.PartText || parts[i].Cache != "" && w.t.CacheMarks != "" {
			return "", false
		}
	}
	switch {
	case len(parts) == 0:
		return "", true
	case len(parts) == 1:
		return parts[0].Text, true
	case !w.t.JoinText:
		return "", false
	}
	texts := make([]string, len(parts))
	for i := range parts {
		texts[i] = parts[i].Text
	}
	return strings.Join(texts, "\n"), true
}

// part writes the k-th part of message i.
func (w *requestWriter) part(i, k int, p *chat.Part) {
	switch p.Kind {
	case chat.PartText:
		w.textPart(p.Text, p.Cache)
	case chat.PartRefusal:
		w.element()
		w.str("type", "refusal")
		w.str("refusal", p.Text)
		w.shut('}')
	case chat.PartImage, chat.PartAudio, chat.PartFile:
		w.media(i, k, p)
	case chat.PartOther:
		w.next()
		w.b = append(w.b, p.Raw...)
	}
}

func (w *requestWriter) textPart(text string, c chat.Cache) {
	w.element()
	w.str("type", "text")
	w.str("text", text)
	w.mark(c)
	w.shut('}')
}

func (w *requestWriter) media(i, k int, p *chat.Part) {
	m := p.Media
	place := w.q.PlaceOf(i, k)
	switch {
	case p.Kind == chat.PartImage && m.ID != "":
		w.refuse(place, "is an image that is stored with another provider")
	case p.Kind == chat.PartAudio && m.Data == "":
		w.refuse(place, "is a recording that must come with its data")
	}
	w.element()
	switch p.Kind {
	case chat.PartImage:
		w.str("type", "image_url")
		w.object("image_url")
		w.link("url", m)
		w.text("detail", m.Detail)
	case chat.PartAudio:
		w.str("type", "input_audio")
		w.object("input_audio")
		w.str("data", m.Data)
		w.str("format", audioFormat(m.Type))
	default:
		w.str("type", "file")
		w.object("file")
		w.text("filename", m.Name)
		w.text("file_id", m.ID)
		w.link("file_data", m)
	}
	w.shut('}')
	w.mark(p.Cache)
	w.shut('}')
}

// audioFormat is OpenAI's word for a media type: wav, mp3.
func audioFormat(kind string) string {
	switch kind = strings.TrimPrefix(kind, "audio/"); kind {
	case "mpeg":
		return "mp3"
	case "x-wav", "wave", "vnd.wave":
		return "wav"
	}
	return kind
}
