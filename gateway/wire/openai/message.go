package openai

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// messageReader gathers the members of a message, which may come in any order.
type messageReader struct {
	m                        *chat.Message
	role, reasoning, refusal string
	audio                    string
	cache                    chat.Cache
	blocks, details          []chat.Part // thoughts, as LiteLLM and as OpenRouter have them
	content, calls           []chat.Part
}

// readMessage puts what an assistant thought, said and called into that order, whatever the members' order is.
func readMessage(v []byte, m *chat.Message) *shape.Fault {
	d := messageReader{m: m}
	if bad := shape.Object(v, d.member); bad != nil {
		return bad
	}
	if m.Parts = d.content; d.role == "assistant" {
		m.Parts = d.said()
	}
	bad := setRole(m, d.role)
	if bad == nil && d.role != "assistant" {
		bad = d.misplaced()
	}
	if bad != nil {
		return bad
	}
	switch {
	case d.cache == "":
	case m.Role == chat.RoleTool || len(m.Parts) == 0:
		m.Cache = d.cache
	default:
		m.Parts[len(m.Parts)-1].Cache = d.cache
	}
	return nil
}

// said is what an assistant thought, said and called.
func (d *messageReader) said() []chat.Part {
	parts := thoughts(d.blocks, d.details, d.reasoning)
	if c := d.content; len(c) != 1 || c[0].Kind != chat.PartText || c[0].Text != "" {
		parts = append(parts, c...) // clients write "" beside calls, and others refuse empty texts
	}
	if d.refusal != "" {
		parts = append(parts, chat.Part{Kind: chat.PartRefusal, Text: d.refusal})
	}
	if d.audio != "" {
		parts = append(parts, chat.Part{Kind: chat.PartAudio, Media: &chat.Media{ID: d.audio}})
	}
	return append(parts, d.calls...)
}

// misplaced is the fault of what only an assistant says.
func (d *messageReader) misplaced() *shape.Fault {
	fault := &shape.Fault{Text: "may only stand in a message of the role assistant"}
	if len(d.calls) > 0 {
		return fault.In("tool_calls")
	}
	for i := range d.content {
		if d.content[i].Kind == chat.PartReasoning || d.content[i].Kind == chat.PartRedacted {
			return fault.In("[" + strconv.Itoa(i) + "]").In("content")
		}
	}
	return nil
}

func (d *messageReader) member(key, v []byte) *shape.Fault {
	switch string(key) {
	case "role":
		return shape.Text(v, &d.role)
	case "name":
		return shape.Text(v, &d.m.Name)
	case "tool_call_id":
		return shape.Text(v, &d.m.CallID)
	case "content":
		return readContent(v, &d.content)
	case "refusal":
		return shape.Text(v, &d.refusal)
	case "reasoning_content", "reasoning": // DeepSeek; vLLM, OpenRouter, Groq
		return shape.Text(v, &d.reasoning)
	case "thinking_blocks":
		bad := shape.List(v, &d.blocks, readThought)
		for i := range d.blocks {
			b := &d.blocks[i]
			b.Signature, b.Owner = chat.Untag(b.Signature, b.Owner)
		}
		return bad
	case "reasoning_details":
		d.details = detailParts(v)
	case "audio":
		return readID(v, &d.audio)
	case "tool_calls":
		return shape.List(v, &d.calls, readCall)
	case "function_call": // deprecated
		c := new(chat.ToolCall)
		d.calls = append(d.calls, chat.Part{Kind: chat.PartCall, Call: c})
		if bad := readCalled(v, c); bad != nil || c.Name != "" {
			return bad
		}
		return shape.Missing("name")
	case "cache_control":
		return readMark(v, &d.cache)
	}
	return nil
}

// thoughts picks one of the ways to say the same: blocks with signatures before bare text.
func thoughts(blocks, details []chat.Part, text string) []chat.Part {
	switch {
	case len(blocks) > 0:
		return blocks
	case len(details) > 0:
		if told := func(p chat.Part) bool { return p.Text != "" }; text != "" && !slices.ContainsFunc(details, told) {
			details = slices.Insert(details, 0, chat.Part{Kind: chat.PartReasoning, Text: text})
		}
		return details
	case text != "":
		return []chat.Part{{Kind: chat.PartReasoning, Text: text}}
	}
	return nil
}

func setRole(m *chat.Message, role string) *shape.Fault {
	m.Role = chat.Role(role)
	switch m.Role {
	case chat.RoleAssistant:
		return nil
	case chat.RoleSystem, chat.RoleDeveloper, chat.RoleUser:
	case chat.RoleTool:
		if m.CallID == "" {
			return shape.Missing("tool_call_id")
		}
	case "function": // deprecated; its results have a name instead of an id
		m.Role = chat.RoleTool
		if m.Name == "" {
			return shape.Missing("name")
		}
		return nil
	case "":
		return shape.Missing("role")
	default:
		return shape.Must("system, developer, user, assistant or tool").In("role")
	}
	if m.Parts == nil {
		return shape.Missing("content")
	}
	return nil
}

func readContent(v []byte, parts *[]chat.Part) *shape.Fault {
	switch v[0] {
	case '"':
		*parts = make([]chat.Part, 1)
		return shape.Text(v, &(*parts)[0].Text)
	case '[':
		*parts = []chat.Part{} // an empty list is some content
		return shape.List(v, parts, readPart)
	}
	return shape.Must("a string or a list of parts")
}

// partReader gathers the members of a part of a content.
type partReader struct {
	kind, text, refusal string
	media               *chat.Media
	p                   *chat.Part
}

func readPart(v []byte, p *chat.Part) *shape.Fault {
	d := partReader{p: p}
	if bad := shape.Object(v, d.member); bad != nil {
		return bad
	}
	switch d.kind {
	case "text":
		p.Text = d.text
		return nil
	case "refusal":
		p.Kind, p.Text = chat.PartRefusal, d.refusal
		return nil
	case "thinking": // Mistral
		return readThought(v, p)
	case "image_url":
		p.Kind = chat.PartImage
	case "input_audio":
		p.Kind = chat.PartAudio
	case "file":
		p.Kind = chat.PartFile
	case "video_url": // vLLM, OpenRouter
		*p = chat.Part{Kind: chat.PartOther, Raw: bytes.Clone(v)}
		return nil
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("text, refusal, image_url, input_audio or file").In("type")
	}
	if p.Media = d.media; d.media == nil {
		return shape.Missing(d.kind)
	}
	return nil
}

func (d *partReader) member(key, v []byte) *shape.Fault {
	switch string(key) {
	case "type":
		return shape.Text(v, &d.kind)
	case "text":
		return shape.Text(v, &d.text)
	case "refusal":
		return shape.Text(v, &d.refusal)
	case "image_url":
		d.media = new(chat.Media)
		return readImage(v, d.media)
	case "input_audio":
		d.media = new(chat.Media)
		return readAudio(v, d.media)
	case "file":
		d.media = new(chat.Media)
		return readFile(v, d.media)
	case "cache_control":
		return readMark(v, &d.p.Cache)
	case "prompt_cache_breakpoint":
		return readBreakpoint(v, &d.p.Cache)
	}
	return nil
}

// readThought reads a block as LiteLLM passes those of Anthropic on, {"type":"thinking","thinking":…,"signature":…} and
// {"type":"redacted_thinking","data":…}, or one of Mistral, whose thinking is a list of texts. A signed one may be empty.
func readThought(v []byte, p *chat.Part) *shape.Fault {
	var kind string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "thinking":
			if v[0] != '[' {
				return shape.Text(v, &p.Text)
			}
			var texts []chat.Part
			bad := shape.List(v, &texts, readPart)
			p.Text = (&chat.Message{Parts: texts}).Text(chat.PartText)
			return bad
		case "signature", "data":
			return shape.Text(v, &p.Signature)
		}
		return nil
	})
	p.Own(chat.Anthropic)
	switch {
	case bad != nil:
		return bad
	case kind == "thinking":
		p.Kind = chat.PartReasoning
	case kind != "redacted_thinking":
		return shape.Must("thinking or redacted_thinking").In("type")
	case p.Signature == "":
		return shape.Missing("data")
	default:
		p.Kind = chat.PartRedacted
	}
	return nil
}

// readMark reads Anthropic's {"type":"ephemeral","ttl":"5m"}.
func readMark(v []byte, c *chat.Cache) *shape.Fault {
	*c = "default"
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) != "ttl" {
			return nil
		}
		switch string(v) {
		case `"5m"`, `"1h"`:
			return shape.Text(v, (*string)(c))
		}
		return shape.Must("5m or 1h")
	})
}

// readBreakpoint reads OpenAI's {"mode":"explicit","ttl":"30m"}. The longest time that others know is an hour.
func readBreakpoint(v []byte, c *chat.Cache) *shape.Fault {
	*c = "default"
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "ttl" && string(v) == `"12h"` {
			*c = "1h"
		}
		return nil
	})
}

func readID(v []byte, id *string) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "id" {
			return shape.Text(v, id)
		}
		return nil
	})
}
