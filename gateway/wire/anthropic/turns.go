package anthropic

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// turn is one of the API's messages: those of ours that it is made of, by index.
type turn struct {
	role chat.Role
	of   []int
}

// openCall is a call whose result has not been written.
type openCall struct{ id, name string }

// wantJSON is what takes the place of OpenAI's json_object.
const wantJSON = "Answer with one valid JSON object and nothing else: no words around it, and no code fence."

// conversation writes system and messages.
func (e *requestWriter) conversation() {
	system, turns := e.arrange()
	if len(turns) == 0 && len(system) > 0 { // the API wants a message
		system, turns = nil, []turn{{role: chat.RoleUser, of: system}}
	}
	if len(turns) == 0 {
		e.refuse("messages", "must say something: there is no text but white space")
		return
	}
	if len(system) > 0 || e.q.Format.Kind == chat.FormatJSON {
		e.key("system")
		e.raw("[")
		for _, i := range system {
			e.parts(i)
		}
		if e.q.Format.Kind == chat.FormatJSON {
			e.element("text")
			e.text("text", wantJSON)
			e.raw("}")
		}
		e.raw("]")
	}
	e.prefill = -1
	if last := &turns[len(turns)-1]; last.role == chat.RoleAssistant {
		e.prefill = last.of[len(last.of)-1]
	}
	e.key("messages")
	e.raw("[")
	for i := range turns {
		e.next()
		e.raw("{")
		e.text("role", string(turns[i].role))
		e.key("content")
		e.raw("[")
		e.turn(&turns[i])
		e.raw("]}")
	}
	e.raw("]")
}

// arrange finds the system messages that go to the front, and the turns. Those that stay, where e.t.MidSystem is true, stand
// behind a turn of the user's, one for each, and before one of the assistant's or at the end: anywhere else the API refuses
// them (platform.claude.com, "Mid-conversation system messages").
func (e *requestWriter) arrange() (system []int, turns []turn) {
	order := make([]int, 0, len(e.q.Messages)) // of what the turns are made of, to which they refer
	for i := range e.q.Messages {
		m := &e.q.Messages[i]
		role := roleOf(m)
		if role == chat.RoleAssistant {
			order, system, turns = hoist(order, system, turns)
		}
		switch {
		case m.Role != chat.RoleTool && !slices.ContainsFunc(m.Parts, func(p chat.Part) bool { return e.written(&p) }):
			e.dropParts(i)
		case role == chat.RoleSystem && (len(turns) == 0 || !e.t.MidSystem):
			system = append(system, i)
		case len(turns) > 0 && turns[len(turns)-1].role == role:
			last := &turns[len(turns)-1]
			order = append(order, i)
			last.of = order[len(order)-len(last.of)-1:]
		case role == chat.RoleUser && len(turns) > 0 && turns[len(turns)-1].role == chat.RoleSystem:
			turns = beforeLast(turns, i)
		default:
			order = append(order, i)
			turns = append(turns, turn{role: role, of: order[len(order)-1:]})
		}
	}
	_, system, turns = hoist(order, system, turns)
	return system, turns
}

// roleOf is the API's role of a message, of which there are three.
func roleOf(m *chat.Message) chat.Role {
	switch m.Role {
	case chat.RoleDeveloper:
		return chat.RoleSystem
	case chat.RoleTool:
		return chat.RoleUser
	}
	return m.Role
}

// hoist takes a last turn of system messages to the front if it stands behind none of the user's. It is the end of order.
func hoist(order, system []int, turns []turn) (rest, front []int, left []turn) {
	n := len(turns)
	if n == 0 || turns[n-1].role != chat.RoleSystem || n > 1 && turns[n-2].role == chat.RoleUser {
		return order, system, turns
	}
	of := turns[n-1].of
	return order[:len(order)-len(of)], append(system, of...), turns[:n-1]
}

// beforeLast puts what the user says before the last turn: into the user's before it, or into one of its own.
func beforeLast(turns []turn, i int) []turn {
	at := len(turns) - 1
	if at > 0 && turns[at-1].role == chat.RoleUser {
		turns[at-1].of = append(slices.Clip(turns[at-1].of), i)
		return turns
	}
	return slices.Insert(turns, at, turn{role: chat.RoleUser, of: []int{i}})
}

// turn writes the content of a turn: results of calls first.
func (e *requestWriter) turn(t *turn) {
	for _, i := range t.of {
		if e.q.Messages[i].Role == chat.RoleTool {
			e.result(i)
		}
	}
	if t.role == chat.RoleAssistant {
		e.open = e.open[:0]
	}
	for _, i := range t.of {
		if e.q.Messages[i].Role != chat.RoleTool {
			e.parts(i)
		}
	}
}

// result writes the result of a call as a block.
func (e *requestWriter) result(i int) {
	m := &e.q.Messages[i]
	e.element("tool_result")
	e.text("tool_use_id", wireID(e.answered(m)))
	if m.Failed {
		e.bool("is_error", true)
	}
	if slices.ContainsFunc(m.Parts, func(p chat.Part) bool { return e.written(&p) }) {
		e.key("content")
		e.raw("[")
		for k := range m.Parts {
			e.part(m, i, k)
		}
		e.raw("]")
	}
	e.cache(m.Cache)
	e.raw("}")
}

// answered is the id of the call that a result answers. One without an id answers the first open call of its name.
func (e *requestWriter) answered(m *chat.Message) string {
	if m.CallID != "" {
		return m.CallID
	}
	for i, c := range e.open {
		if c.name == m.Name || m.Name == "" {
			e.open = slices.Delete(e.open, i, i+1)
			return c.id
		}
	}
	return m.Name
}

// parts writes what a message says as blocks.
func (e *requestWriter) parts(i int) {
	m := &e.q.Messages[i]
	if m.Name != "" {
		e.drop("name")
	}
	for k := range m.Parts {
		e.part(m, i, k)
	}
}

// written says whether a part becomes a block. The API refuses texts of nothing but white space (litellm #23835), and
// thoughts that it has not signed itself.
func (e *requestWriter) written(p *chat.Part) bool {
	switch p.Kind {
	case chat.PartText, chat.PartRefusal:
		return !blank(p.Text)
	case chat.PartReasoning, chat.PartRedacted:
		return p.SignedBy(chat.Anthropic)
	case chat.PartOther:
		return e.ours() || !blank(p.Text)
	default:
		return true
	}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// dropParts names what is lost of a message of which nothing is written.
func (e *requestWriter) dropParts(i int) {
	for k := range e.q.Messages[i].Parts {
		e.dropPart(&e.q.Messages[i].Parts[k])
	}
}

func (e *requestWriter) dropPart(p *chat.Part) {
	switch {
	case p.Kind == chat.PartOther:
		kind, _ := peek.String(peek.Find(p.Raw, []byte(`"type"`)))
		e.drop("messages.content." + kind)
	case p.Kind == chat.PartReasoning && !blank(p.Text):
		e.drop("reasoning_content")
	}
}

// part writes the k-th part of the i-th message.
func (e *requestWriter) part(m *chat.Message, i, k int) {
	p := &m.Parts[k]
	system := m.Role == chat.RoleSystem || m.Role == chat.RoleDeveloper
	mark := markOf(m, k)
	switch {
	case !e.written(p):
		e.dropPart(p)
	case p.Kind == chat.PartText, p.Kind == chat.PartRefusal:
		if len(p.Citations) > 0 { // which come back only with what the API alone can know
			e.drop("messages.content.annotations")
		}
		e.said(p.Text, mark, i == e.prefill && !slices.ContainsFunc(m.Parts[k+1:], func(p chat.Part) bool { return e.written(&p) }))
	case system, m.Role != chat.RoleAssistant && (p.Kind == chat.PartCall || p.Kind == chat.PartReasoning || p.Kind == chat.PartRedacted):
		e.drop(e.q.PlaceOf(i, k)) // may not stand there
	case p.Kind == chat.PartReasoning:
		e.thought(p.Text, p.Signature)
	case p.Kind == chat.PartRedacted:
		e.element("redacted_thinking")
		e.text("data", p.Signature)
		e.raw("}")
	case p.Kind == chat.PartImage, p.Kind == chat.PartFile:
		e.media(p, mark, e.q.PlaceOf(i, k))
	case p.Kind == chat.PartCall:
		e.call(p, mark, i, k)
	case p.Kind == chat.PartOther && e.ours():
		e.next()
		e.b = append(e.b, p.Raw...)
	case !blank(p.Text): // what was spoken, or another dialect's part
		e.said(p.Text, mark, false)
	default:
		e.refuse(e.q.PlaceOf(i, k), "the model hears no audio; send what is said as text")
	}
}

// said writes a text. The API refuses white space at the end of one that the model is to continue.
func (e *requestWriter) said(text string, mark chat.Cache, last bool) {
	if last {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	}
	e.element("text")
	e.text("text", text)
	e.cache(mark)
	e.raw("}")
}

func (e *requestWriter) call(p *chat.Part, mark chat.Cache, i, k int) {
	c := p.Call
	id := c.ID
	if id == "" {
		e.unnamed++
		id = "call_" + strconv.Itoa(e.unnamed)
	}
	e.open = append(e.open, openCall{id, c.Name})
	e.element("tool_use")
	e.text("id", wireID(id))
	e.text("name", c.Name)
	e.key("input")
	if !e.input(c) {
		e.refuse(e.argumentsAt(i, k), "the arguments of a call must be a JSON object, in a string")
	}
	e.cache(mark)
	e.raw("}")
}

// input writes a call's arguments as an object; it is false, with nothing written, if they are none.
func (w *writer) input(c *chat.ToolCall) bool {
	if c.Kind == chat.Custom {
		w.raw("{")
		w.text("input", c.Arguments)
		w.raw("}")
		return true
	}
	text := strings.TrimSpace(c.Arguments)
	if text == "" || text == "null" {
		text = "{}"
	}
	from := len(w.b)
	w.raw(text)
	chat.MendPairs(w.b[from:]) // which the API refuses, while models write them
	if !peek.Each(w.b[from:], func(_, _ []byte) bool { return true }) {
		w.b = w.b[:from]
		return false
	}
	return true
}

// argumentsAt is where a call's arguments stand in the caller's words.
func (e *requestWriter) argumentsAt(i, k int) string {
	if e.q.Dialect != "openai" {
		return e.q.PlaceOf(i, k)
	}
	n := 0
	for _, p := range e.q.Messages[i].Parts[:k] {
		if p.Kind == chat.PartCall {
			n++
		}
	}
	return e.q.Place(i) + ".tool_calls[" + strconv.Itoa(n) + "].function.arguments"
}
