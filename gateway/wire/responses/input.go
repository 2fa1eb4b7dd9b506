package responses

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// turns joins items to messages. What a model makes in one turn (thoughts, messages, calls) becomes one message of the
// assistant, because providers demand that results follow a message with all the calls that they answer. A second message
// item begins a new one, unless calls before it still wait.
type turns struct {
	list []chat.Message
	find func(id string) []byte

	at     int  // how many items have been read
	speaks bool // the last message is the assistant's and has a message item
	calls  bool // it has calls
}

// read reads the whole input: a string, or a list of items.
func (t *turns) read(v []byte) *shape.Fault {
	switch v[0] {
	case '"':
		part := chat.Part{}
		bad := shape.Text(v, &part.Text)
		t.add(chat.Message{Role: chat.RoleUser, Parts: []chat.Part{part}})
		return bad
	case '[':
	default:
		return shape.Must("a string or a list of items")
	}
	var bad *shape.Fault
	peek.Elements(v, func(v []byte) bool {
		t.at++
		if bad = t.item(v); bad != nil {
			bad = bad.In("[" + strconv.Itoa(t.at-1) + "]")
		}
		return bad == nil
	})
	return bad
}

// add begins a message.
func (t *turns) add(m chat.Message) {
	m.At = t.at
	t.list = append(t.list, m)
	t.speaks, t.calls = false, false
}

// assistant is the message that what a model made is part of.
func (t *turns) assistant() *chat.Message {
	if n := len(t.list); n == 0 || t.list[n-1].Role != chat.RoleAssistant {
		t.add(chat.Message{Role: chat.RoleAssistant})
	}
	return &t.list[len(t.list)-1]
}

func (t *turns) think(p chat.Part) {
	m := t.assistant()
	m.Parts = append(m.Parts, p)
}

// itemMembers are those of all kinds of item that are read here.
type itemMembers struct {
	kind, id, role                   string
	callID, name, arguments, input   *string
	content, output, summary, secret []byte
	signature                        string // of a call, where Gemini's have it
}

func (m *itemMembers) read(v []byte) *shape.Fault {
	text := func(v []byte, to **string) *shape.Fault {
		*to = new(string)
		return shape.Text(v, *to)
	}
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &m.kind)
		case "id":
			return shape.Text(v, &m.id)
		case "role":
			return shape.Text(v, &m.role)
		case "call_id":
			return text(v, &m.callID)
		case "name":
			return text(v, &m.name)
		case "arguments":
			return text(v, &m.arguments)
		case "input":
			return text(v, &m.input)
		case "content":
			m.content = v
		case "output":
			m.output = v
		case "summary":
			m.summary = v
		case "encrypted_content":
			m.secret = v
		case "extra_content":
			m.signature, _ = peek.String(thoughtSignature(v))
		}
		return nil
	})
}

// kindOf is the type of an item, which messages and references need not say.
func kindOf(v []byte) string {
	var kind, role, id []byte
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind = val
		case "role":
			role = val
		case "id":
			id = val
		}
		return true
	})
	switch s, _ := peek.String(kind); {
	case s != "":
		return s
	case role == nil && id != nil:
		return "item_reference"
	default:
		return "message"
	}
}

// item reads one item.
func (t *turns) item(v []byte) *shape.Fault {
	var m itemMembers
	switch kind := kindOf(v); kind {
	case "message", "reasoning", "function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output",
		"item_reference":
		if bad := m.read(v); bad != nil {
			return bad
		}
		m.kind = kind
	default:
		if v[0] != '{' {
			return shape.Must("an object")
		}
		t.hosted(kind, v)
		return nil
	}
	switch m.kind {
	case "message":
		return t.message(&m)
	case "reasoning":
		return t.reasoning(&m)
	case "function_call":
		return t.call(&m, chat.Function, "arguments", m.arguments)
	case "custom_tool_call":
		return t.call(&m, chat.Custom, "input", m.input)
	case "item_reference":
		return t.reference(m.id)
	default:
		return t.result(&m)
	}
}

// hosted keeps an item that only OpenAI understands. What answers one comes from the caller.
func (t *turns) hosted(kind string, v []byte) {
	p := chat.Part{Kind: chat.PartOther, Raw: bytes.Clone(v)}
	if answers(kind) {
		t.add(chat.Message{Role: chat.RoleUser, Parts: []chat.Part{p}})
		return
	}
	t.think(p)
}

// answers says whether a hosted item is one that a caller makes.
func answers(kind string) bool {
	return strings.HasSuffix(kind, "_output") || kind == "mcp_approval_response"
}

func (t *turns) reference(id string) *shape.Fault {
	var v []byte
	if t.find != nil && id != "" {
		v = t.find(id)
	}
	if v == nil || kindOf(v) == "item_reference" {
		return (&shape.Fault{Text: "no item of this id is stored here: send the item itself, or previous_response_id"}).In("id")
	}
	if peek.Valid(v) != nil {
		return (&shape.Fault{Text: "the stored item of this id cannot be read"}).In("id")
	}
	return t.item(bytes.TrimSpace(v))
}

func (t *turns) message(m *itemMembers) *shape.Fault {
	role := chat.Role(m.role)
	switch role {
	case chat.RoleUser, chat.RoleSystem, chat.RoleDeveloper, chat.RoleAssistant:
	case "":
		return shape.Missing("role")
	default:
		return shape.Must("user, assistant, system or developer").In("role")
	}
	if m.content == nil {
		return shape.Missing("content")
	}
	var parts []chat.Part
	if bad := readContent(m.content, &parts); bad != nil {
		return bad.In("content")
	}
	if role != chat.RoleAssistant {
		t.add(chat.Message{Role: role, Parts: parts})
		return nil
	}
	if t.speaks && !t.calls {
		t.add(chat.Message{Role: chat.RoleAssistant})
	}
	for i := range parts {
		parts[i].ID = m.id
	}
	a := t.assistant()
	a.Parts = append(a.Parts, parts...)
	t.speaks = true
	return nil
}

// reasoning reads what a model thought: its own words, where the provider shows them, else their summary.
func (t *turns) reasoning(m *itemMembers) *shape.Fault {
	p := chat.Part{Kind: chat.PartReasoning, ID: m.id}
	for _, list := range []struct {
		name string
		v    []byte
	}{{"content", m.content}, {"summary", m.summary}} {
		if list.v == nil || p.Text != "" {
			continue
		}
		var texts []string
		if bad := shape.List(list.v, &texts, readThought); bad != nil {
			return bad.In(list.name)
		}
		p.Text = strings.Join(texts, thoughtGap)
	}
	if m.secret != nil {
		if bad := shape.Text(m.secret, &p.Signature); bad != nil {
			return bad.In("encrypted_content")
		}
	}
	t.think(unseal(p))
	return nil
}

// thoughtGap divides the parts of a summary, each of which has a heading.
const thoughtGap = "\n\n"

func readThought(v []byte, text *string) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "text" {
			return shape.Text(v, text)
		}
		return nil
	})
}

// redacted stands behind the owner of encrypted content that is the whole of a thought, such as Anthropic's
// redacted_thinking: only that tells it from the signature of a thought without words.
const redacted = "redacted."

// unseal is a reasoning part with its owner, or the redacted one that it stands for.
func unseal(p chat.Part) chat.Part {
	p.Signature, p.Owner = chat.Untag(p.Signature, chat.OpenAI)
	if data, ok := strings.CutPrefix(p.Signature, redacted); ok && p.Text == "" && p.Owner != chat.OpenAI {
		p.Kind, p.Signature = chat.PartRedacted, data
	}
	return p
}

// sealed begins the encrypted content that stands for a redacted thought.
func sealed(o chat.Owner) string { return cmp.Or(o, chat.Anthropic).Tag("") + redacted }

func (t *turns) call(m *itemMembers, kind chat.ToolKind, member string, arguments *string) *shape.Fault {
	switch {
	case m.callID == nil || *m.callID == "":
		return shape.Missing("call_id")
	case m.name == nil || *m.name == "":
		return shape.Missing("name")
	case arguments == nil:
		return shape.Missing(member)
	}
	c := &chat.ToolCall{ID: *m.callID, Kind: kind, Name: *m.name, Arguments: *arguments}
	a := t.assistant()
	a.Parts = append(a.Parts, chat.Part{Kind: chat.PartCall, Call: c, ID: m.id, Signature: m.signature})
	t.calls = true
	return nil
}

func (t *turns) result(m *itemMembers) *shape.Fault {
	switch {
	case m.callID == nil || *m.callID == "":
		return shape.Missing("call_id")
	case m.output == nil:
		return shape.Missing("output")
	}
	said := chat.Message{Role: chat.RoleTool, CallID: *m.callID}
	if bad := readContent(m.output, &said.Parts); bad != nil {
		return bad.In("output")
	}
	t.add(said)
	return nil
}

// thoughtSignature is the value of extra_content.google.thought_signature, which is where Gemini's OpenAI-compatible
// endpoint has it.
func thoughtSignature(extra []byte) []byte {
	return peek.Find(peek.Find(extra, []byte(`"google"`)), []byte(`"thought_signature"`))
}
