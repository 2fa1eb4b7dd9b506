package anthropic

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readTurn reads one of messages. A user's turn with results of calls becomes several messages: each result is one, and
// what stands between them another.
func readTurn(v []byte, to *[]chat.Message) *shape.Fault {
	var role string
	var blocks []block
	given := false
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "role":
			return shape.Text(v, &role)
		case "content":
			given = true
			return readContent(v, &blocks)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case role == "":
		return shape.Missing("role")
	case role != "user" && role != "assistant" && role != "system":
		return shape.Must("user, assistant or system").In("role")
	case !given:
		return shape.Missing("content")
	}
	var open *chat.Message // what takes the next part
	for i := range blocks {
		b := &blocks[i]
		if bad := b.allowed(role); bad != nil {
			return bad.In("type").In("[" + strconv.Itoa(i) + "]").In("content")
		}
		if b.result != nil {
			*to, open = append(*to, *b.result), nil
			continue
		}
		if open == nil {
			*to = append(*to, chat.Message{Role: chat.Role(role)})
			open = &(*to)[len(*to)-1]
		}
		open.Parts = append(open.Parts, b.Part)
	}
	if len(*to) == 0 {
		*to = []chat.Message{{Role: chat.Role(role)}}
	}
	return nil
}

// readContent reads a string, which stands for one text, or a list of blocks.
func readContent(v []byte, blocks *[]block) *shape.Fault {
	switch v[0] {
	case '"':
		*blocks = []block{{kind: "text"}}
		return shape.Text(v, &(*blocks)[0].Text)
	case '[':
		return shape.List(v, blocks, readBlock)
	}
	return shape.Must("a string or a list of blocks")
}

func readSystem(v []byte, parts *[]chat.Part) *shape.Fault {
	return readParts(v, parts, func(b *block) bool { return b.kind == "text" }, "text")
}

// readParts reads content that may hold some kinds of blocks only.
func readParts(v []byte, parts *[]chat.Part, allowed func(b *block) bool, kinds string) *shape.Fault {
	var blocks []block
	if bad := readContent(v, &blocks); bad != nil {
		return bad
	}
	for i := range blocks {
		if !allowed(&blocks[i]) {
			return shape.Must(kinds).In("type").In("[" + strconv.Itoa(i) + "]")
		}
		*parts = append(*parts, blocks[i].Part)
	}
	return nil
}

// block is a part, or the result of a call.
type block struct {
	chat.Part
	result *chat.Message
	kind   string
}

// allowed is the fault of a block that may not stand in a turn of that role.
func (b *block) allowed(role string) *shape.Fault {
	switch b.kind {
	case "tool_result":
		if role != "user" {
			return &shape.Fault{Text: "tool_result may only stand in a turn of the role user"}
		}
	case "tool_use", "thinking", "redacted_thinking":
		if role != "assistant" {
			return &shape.Fault{Text: b.kind + " may only stand in a turn of the role assistant"}
		}
	}
	if role == "system" && b.kind != "text" {
		return shape.Must("text")
	}
	return nil
}

// members are those of a block that have a meaning in some kind of it, nil if absent.
type members struct {
	text, thinking, signature, data, id, name, input, source, content, useID, failed, cache, title []byte
}

func (m *members) take(key, v []byte) {
	switch string(key) {
	case "text":
		m.text = v
	case "thinking":
		m.thinking = v
	case "signature":
		m.signature = v
	case "data":
		m.data = v
	case "id":
		m.id = v
	case "name":
		m.name = v
	case "input":
		m.input = v
	case "source":
		m.source = v
	case "content":
		m.content = v
	case "tool_use_id":
		m.useID = v
	case "is_error":
		m.failed = v
	case "cache_control":
		m.cache = v
	case "title":
		m.title = v
	}
}

func readBlock(v []byte, b *block) *shape.Fault {
	var m members
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "type" {
			return shape.Text(v, &b.kind)
		}
		m.take(key, v)
		return nil
	})
	if bad == nil {
		bad = may(m.cache, "cache_control", &b.Cache, readCache)
	}
	if bad != nil {
		return bad
	}
	switch b.kind {
	case "text":
		return need(m.text, "text", &b.Text, shape.Text)
	case "thinking":
		b.Kind = chat.PartReasoning // without a signature if another dialect's provider thought it
		bad := first(need(m.thinking, "thinking", &b.Text, shape.Text), may(m.signature, "signature", &b.Signature, shape.Text))
		b.untag()
		return bad
	case "redacted_thinking":
		b.Kind = chat.PartRedacted
		bad := need(m.data, "data", &b.Signature, shape.Text)
		b.untag()
		return bad
	case "image":
		b.Kind, b.Media = chat.PartImage, new(chat.Media)
		return need(m.source, "source", &b.Part, readSource)
	case "document":
		b.Kind, b.Media = chat.PartFile, new(chat.Media)
		return readDocument(v, &m, &b.Part)
	case "tool_use":
		return readCall(&m, &b.Part)
	case "tool_result":
		return readResult(&m, b)
	case "":
		return shape.Missing("type")
	}
	b.Part = chat.Part{Kind: chat.PartOther, Raw: bytes.Clone(v)} // its cache mark is in Raw
	if b.kind == "search_result" {
		b.Text = searchResult(&m)
	}
	return nil
}

// untag says whose the signature is. That of a call keeps its tag until the call is found.
func (b *block) untag() {
	if !strings.HasPrefix(b.Signature, carrier) {
		b.Signature, b.Owner = chat.Untag(b.Signature, chat.Anthropic)
	}
}

// need reads a member that must be there, may one that need not.
func need[T any](v []byte, name string, to *T, read func([]byte, *T) *shape.Fault) *shape.Fault {
	if v == nil {
		return shape.Missing(name)
	}
	return read(v, to).In(name)
}

func may[T any](v []byte, name string, to *T, read func([]byte, *T) *shape.Fault) *shape.Fault {
	if v == nil {
		return nil
	}
	return read(v, to).In(name)
}

// first is the first fault.
func first(faults ...*shape.Fault) *shape.Fault {
	for _, bad := range faults {
		if bad != nil {
			return bad
		}
	}
	return nil
}

func readCall(m *members, p *chat.Part) *shape.Fault {
	p.Kind, p.Call = chat.PartCall, new(chat.ToolCall)
	bad := first(
		need(m.id, "id", &p.Call.ID, shape.Text), need(m.name, "name", &p.Call.Name, shape.Text),
		need(m.input, "input", &p.Call.Arguments, readInput),
	)
	p.Call.ID = plainID(p.Call.ID)
	return bad
}

func readInput(v []byte, to *string) *shape.Fault {
	if v[0] != '{' {
		return shape.Must("an object")
	}
	*to = string(v)
	return nil
}

func readResult(m *members, b *block) *shape.Fault {
	r := &chat.Message{Role: chat.RoleTool, Cache: b.Cache}
	b.result, b.Cache = r, ""
	inside := func(b *block) bool {
		return b.result == nil && b.Kind != chat.PartCall && b.Kind != chat.PartReasoning && b.Kind != chat.PartRedacted
	}
	bad := first(
		need(m.useID, "tool_use_id", &r.CallID, shape.Text), may(m.failed, "is_error", &r.Failed, shape.Is),
		may(m.content, "content", &r.Parts, func(v []byte, to *[]chat.Part) *shape.Fault {
			return readParts(v, to, inside, "text, image, document, search_result or another kind that a result may hold")
		}),
	)
	r.CallID = plainID(r.CallID)
	return bad
}

// source is where an image or a document comes from.
type source struct {
	kind, data, mediaType, url, fileID string
	content                            []block
}

func (s *source) read(v []byte) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &s.kind)
		case "data":
			return shape.Text(v, &s.data)
		case "media_type":
			return shape.Text(v, &s.mediaType)
		case "url":
			return shape.Text(v, &s.url)
		case "file_id":
			return shape.Text(v, &s.fileID)
		case "content":
			return readContent(v, &s.content)
		}
		return nil
	})
}

// readSource reads the source of an image, and of a document those that an image may have, too.
func readSource(v []byte, p *chat.Part) *shape.Fault {
	var s source
	if bad := s.read(v); bad != nil {
		return bad
	}
	switch s.kind {
	case "base64":
		p.Media.Data, p.Media.Type = s.data, s.mediaType
		switch {
		case s.data == "":
			return shape.Missing("data")
		case s.mediaType == "":
			return shape.Missing("media_type")
		}
	case "url":
		if s.url == "" {
			return shape.Missing("url")
		}
		p.Media.SetURL(s.url)
	case "file":
		if p.Media.ID = s.fileID; s.fileID == "" {
			return shape.Missing("file_id")
		}
	case "text", "content":
		if p.Kind != chat.PartFile {
			return shape.Must("base64, url or file").In("type")
		}
		p.Media.Type, p.Text = plainText, s.data
		if s.kind == "content" {
			p.Text = joined(s.content)
		}
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("base64, url, file, text or content").In("type")
	}
	return nil
}

// readDocument reads a document. One with images in its content is only for its own dialect; elsewhere its texts are said.
func readDocument(v []byte, m *members, p *chat.Part) *shape.Fault {
	bad := first(need(m.source, "source", p, readSource), may(m.title, "title", &p.Media.Name, shape.Text))
	if bad != nil {
		return bad
	}
	var s source
	if s.read(m.source) == nil && hasMedia(s.content) {
		*p = chat.Part{Kind: chat.PartOther, Text: p.Text, Raw: bytes.Clone(v)}
	}
	return nil
}

func hasMedia(blocks []block) bool {
	for i := range blocks {
		if blocks[i].Media != nil {
			return true
		}
	}
	return false
}

// searchResult is what a search result says, for dialects that have none: its title, its source and its texts.
func searchResult(m *members) string {
	title, _ := peek.String(m.title)
	from, _ := peek.String(m.source)
	var blocks []block
	if m.content != nil {
		_ = readContent(m.content, &blocks) // its own provider judges its shape
	}
	return strings.TrimSpace(title + "\n" + from + "\n" + joined(blocks))
}

// joined is what the blocks say, a paragraph each.
func joined(blocks []block) string {
	var texts []string
	for i := range blocks {
		if blocks[i].kind == "text" {
			texts = append(texts, blocks[i].Text)
		}
	}
	return strings.Join(texts, "\n\n")
}
