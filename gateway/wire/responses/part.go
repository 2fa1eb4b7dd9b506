package responses

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readContent reads what a message or an output holds: a string, or a list of parts.
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

// partMembers are those of all kinds of part.
type partMembers struct {
	kind, refusal, image, file, data, url, name, detail string
	text                                                *string
	notes                                               []byte
	logprobs                                            []byte
	marked                                              bool
}

func (m *partMembers) read(v []byte) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &m.kind)
		case "text":
			m.text = new(string)
			return shape.Text(v, m.text)
		case "refusal":
			return shape.Text(v, &m.refusal)
		case "image_url":
			return shape.Text(v, &m.image)
		case "file_id":
			return shape.Text(v, &m.file)
		case "file_data":
			return shape.Text(v, &m.data)
		case "file_url":
			return shape.Text(v, &m.url)
		case "filename":
			return shape.Text(v, &m.name)
		case "detail":
			return shape.Text(v, &m.detail)
		case "prompt_cache_breakpoint":
			m.marked = v[0] == '{'
		case "annotations":
			m.notes = v
		case "logprobs":
			m.logprobs = v
		}
		return nil
	})
}

func readPart(v []byte, p *chat.Part) *shape.Fault {
	var m partMembers
	if bad := m.read(v); bad != nil {
		return bad
	}
	if m.marked {
		p.Cache = cacheMark
	}
	switch m.kind {
	case "input_text", "output_text":
		if m.text == nil {
			return shape.Missing("text")
		}
		p.Text, p.Citations, p.Logprobs = *m.text, citations(m.notes), someList(m.logprobs)
		return nil
	case "refusal":
		p.Kind, p.Text = chat.PartRefusal, m.refusal
		return nil
	case "input_image":
		p.Kind, p.Media = chat.PartImage, &chat.Media{ID: m.file, Detail: m.detail}
		if p.Media.SetURL(m.image); m.image == "" && m.file == "" {
			return shape.Missing("image_url")
		}
	case "input_file":
		p.Kind, p.Media = chat.PartFile, m.document()
		if m.url == "" && m.data == "" && m.file == "" {
			return shape.Missing("file_data")
		}
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("input_text, input_image, input_file, output_text or refusal").In("type")
	}
	return nil
}

// cacheMark is what prompt_cache_breakpoint says: OpenAI chooses the time.
const cacheMark chat.Cache = "default"

// document is a file by value, by reference, or by its id. Its data is a data: URL, or bare base64.
func (m *partMembers) document() *chat.Media {
	d := &chat.Media{ID: m.file, Name: m.name}
	if m.data == "" {
		d.SetURL(m.url)
		return d
	}
	d.SetURL(m.data)
	if d.Data == "" && !bytes.HasPrefix([]byte(m.data), []byte("data:")) {
		d.URL, d.Data = "", m.data
	}
	return d
}

// citations are the sources on the web among the annotations of a text.
func citations(notes []byte) []chat.Citation {
	var list []chat.Citation
	peek.Elements(notes, func(v []byte) bool {
		var c chat.Citation
		if readCitation(v, &c) {
			list = append(list, c)
		}
		return true
	})
	return list
}

// readCitation is false for annotations that refer to files.
func readCitation(v []byte, c *chat.Citation) bool {
	var kind string
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind, _ = peek.String(val)
		case "url":
			c.URL, _ = peek.String(val)
		case "title":
			c.Title, _ = peek.String(val)
		case "start_index":
			c.Start = position(val)
		case "end_index":
			c.End = position(val)
		}
		return true
	})
	return kind == "url_citation"
}

// position is an offset in a text, or 0.
func position(v []byte) int {
	n, ok := peek.Int(v)
	if !ok || n < 0 || n > 1<<31 {
		return 0
	}
	return int(n)
}

// someList is a list in bytes of its own, nil if it is none or empty.
func someList(v []byte) []byte {
	if len(v) == 0 || v[0] != '[' || len(inner(v)) == 0 {
		return nil
	}
	return bytes.Clone(v)
}

// inner is what stands between the brackets of a list of logprobs. Chat completions may have null for the bytes of a token,
// here they are a list.
func inner(list []byte) []byte {
	list = bytes.TrimSpace(list)
	if len(list) < 2 {
		return nil
	}
	list = bytes.TrimSpace(list[1 : len(list)-1])
	if null := []byte(`"bytes":null`); bytes.Contains(list, null) { // no text has it: its quotes would be escaped
		list = bytes.ReplaceAll(list, null, []byte(`"bytes":[]`))
	}
	return list
}
