package responses

import (
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// message writes the i-th message as items.
func (w *writer) message(i int) {
	m := &w.q.Messages[i]
	if m.Name != "" && m.Role != chat.RoleTool {
		w.drop("name")
	}
	switch m.Role {
	case chat.RoleAssistant:
		w.assistant(m)
	case chat.RoleTool:
		w.output(i)
	default:
		w.spoken(i)
	}
}

// item begins an item.
func (w *writer) item() {
	w.dst = comma(w.dst, w.written)
	w.written++
}

func (w *writer) assistant(m *chat.Message) {
	items := itemsOf(readable(m.Parts), w.own(), w.drop)
	for i := range items {
		it := &items[i]
		if it.kind == reasoningItem && (it.id == "" && it.secret.empty() || it.hidden) {
			w.drop("reasoning_content")
			continue
		}
		w.note(it)
		w.item()
		if it.plain() {
			w.dst = append(it.parts[0].text.append(append(w.dst, `{"type":"message","role":"assistant","content":`...)), '}')
			continue
		}
		w.dst = it.append(w.dst)
	}
}

// readable are the parts without what OpenAI refuses: the signatures of others, also those of calls, and the ids that others
// gave to thoughts.
func readable(parts []chat.Part) []chat.Part {
	foreign := func(p chat.Part) bool {
		return p.Signature != "" && (p.Kind == chat.PartCall || p.Kind == chat.PartReasoning && !p.SignedBy(chat.OpenAI))
	}
	if !slices.ContainsFunc(parts, foreign) {
		return parts
	}
	parts = slices.Clone(parts)
	for i := range parts {
		p := &parts[i]
		if !foreign(*p) {
			continue
		}
		if p.Signature, p.Owner = "", ""; p.Kind == chat.PartReasoning {
			p.ID = ""
		}
	}
	return parts
}

// note remembers what an item means for others.
func (w *writer) note(it *item) {
	switch it.kind {
	case reasoningItem:
		w.secrets = w.secrets || !it.secret.empty()
	case callItem:
		if it.call.Kind == chat.Custom {
			if w.custom == nil {
				w.custom = map[string]bool{}
			}
			w.custom[it.call.ID] = true
		}
	case messageItem:
		if it.id != "" {
			it.status = completed // one with an id has it, too
		}
	}
}

// plain says whether an item is nothing but a text.
func (it *item) plain() bool {
	return it.kind == messageItem && it.id == "" && len(it.parts) == 1 && !it.parts[0].refusal && it.parts[0].sources == 0 &&
		len(it.parts[0].logprobs) == 0
}

// output writes the result of a call, whose kind only the call itself tells.
func (w *writer) output(i int) {
	m := &w.q.Messages[i]
	w.item()
	kind := `{"type":"function_call_output","call_id":`
	if w.custom[m.CallID] {
		kind = `{"type":"custom_tool_call_output","call_id":`
	}
	w.text(kind, m.CallID)
	if m.CallID == "" {
		w.refuse(w.q.Place(i)+".tool_call_id", "is required")
	}
	w.raw(`,"output":`)
	w.content(i)
	w.raw("}")
}

// spoken writes what a user or a developer says. What is not a message stands by itself.
func (w *writer) spoken(i int) {
	m := &w.q.Messages[i]
	if len(m.Parts) == 1 && m.Parts[0].Kind == chat.PartOther && (w.own() || isHostedItem(kindOf(m.Parts[0].Raw))) {
		w.item()
		w.dst = append(w.dst, m.Parts[0].Raw...)
		return
	}
	w.item()
	w.text(`{"type":"message","role":`, string(m.Role))
	w.raw(`,"content":`)
	w.content(i)
	w.raw("}")
}

// breakpoint marks the end of a prefix to cache.
const breakpoint = "prompt_cache_breakpoint"

func (w *writer) marked(p *chat.Part) bool { return p.Cache != "" && w.t.CacheMarks == breakpoint }

// content writes what the i-th message says: one text as a string and all else as a list of parts.
func (w *writer) content(i int) {
	parts := w.q.Messages[i].Parts
	if len(parts) == 1 && parts[0].Kind == chat.PartText && !w.marked(&parts[0]) {
		w.dst = shape.AppendString(w.dst, parts[0].Text)
		return
	}
	w.dst = append(w.dst, '[')
	n := 0
	for k := range parts {
		p := &parts[k]
		size := len(w.dst)
		var not string
		if w.dst, not = appendInput(comma(w.dst, n), p, w.marked(p)); not == "" {
			n++
			continue
		}
		w.dst = w.dst[:size]
		if p.Kind == chat.PartOther {
			w.drop("messages.content." + not)
		} else {
			w.refuse(w.q.PlaceOf(i, k), "the Responses API takes no "+not)
		}
	}
	w.dst = append(w.dst, ']')
}

// appendInput writes a part of what a user says or a tool gave. If there is no such part here, not is what it is.
func appendInput(dst []byte, p *chat.Part, marked bool) (out []byte, not string) {
	switch p.Kind {
	case chat.PartText, chat.PartRefusal, chat.PartReasoning:
		dst = shape.AppendString(append(dst, `{"type":"input_text","text":`...), p.Text)
	case chat.PartImage:
		dst = appendImage(dst, p.Media)
	case chat.PartFile:
		dst = appendFile(dst, p)
	case chat.PartAudio:
		return dst, "audio"
	case chat.PartOther:
		if p.Text == "" {
			return dst, kindOf(p.Raw)
		}
		dst = shape.AppendString(append(dst, `{"type":"input_text","text":`...), p.Text)
	default:
		return dst, "such part"
	}
	if marked {
		dst = append(dst, `,"`+breakpoint+`":{"mode":"explicit"}`...)
	}
	return append(dst, '}'), ""
}

func appendImage(dst []byte, m *chat.Media) []byte {
	dst = append(dst, `{"type":"input_image"`...)
	if m.ID != "" {
		dst = shape.AppendString(append(dst, `,"file_id":`...), m.ID)
	} else {
		dst = shape.AppendString(append(dst, `,"image_url":`...), m.DataURL())
	}
	detail := m.Detail
	if detail == "" {
		detail = "auto"
	}
	return shape.AppendString(append(dst, `,"detail":`...), detail)
}

// appendFile writes a file; one that is a plain text is said.
func appendFile(dst []byte, p *chat.Part) []byte {
	m := p.Media
	if m.ID == "" && m.URL == "" && m.Data == "" {
		return shape.AppendString(append(dst, `{"type":"input_text","text":`...), p.Text)
	}
	dst = append(dst, `{"type":"input_file"`...)
	switch {
	case m.ID != "":
		dst = shape.AppendString(append(dst, `,"file_id":`...), m.ID)
	case m.Data != "" && m.Type == "":
		dst = shape.AppendString(append(dst, `,"file_data":`...), m.Data)
	case m.Data != "" || len(m.URL) > 5 && m.URL[:5] == "data:":
		dst = shape.AppendString(append(dst, `,"file_data":`...), m.DataURL())
	default:
		dst = shape.AppendString(append(dst, `,"file_url":`...), m.URL)
	}
	if m.Name != "" {
		dst = shape.AppendString(append(dst, `,"filename":`...), m.Name)
	}
	return dst
}
