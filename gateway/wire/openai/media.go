package openai

import (
	"encoding/base64"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readImage also takes a bare string, which Ollama's clients send.
func readImage(v []byte, m *chat.Media) *shape.Fault {
	var link string
	read := func(v []byte) *shape.Fault {
		bad := shape.Text(v, &link)
		refer(m, link)
		return bad
	}
	if v[0] == '"' {
		bad := read(v)
		if bad == nil && link == "" {
			bad = shape.Must("a URL")
		}
		return bad
	}
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "url":
			return read(v)
		case "detail":
			return shape.Text(v, &m.Detail)
		}
		return nil
	})
	if bad == nil && link == "" {
		return shape.Missing("url")
	}
	return bad
}

func readAudio(v []byte, m *chat.Media) *shape.Fault {
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "data":
			return shape.Text(v, &m.Data)
		case "format":
			bad := shape.Text(v, &m.Type)
			if m.Type = "audio/" + m.Type; m.Type == "audio/mp3" {
				m.Type = "audio/mpeg"
			}
			return bad
		}
		return nil
	})
	if bad == nil && m.Data == "" {
		return shape.Missing("data")
	}
	return bad
}

func readFile(v []byte, m *chat.Media) *shape.Fault {
	var data string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "file_data":
			return shape.Text(v, &data)
		case "file_id":
			return shape.Text(v, &m.ID)
		case "filename":
			return shape.Text(v, &m.Name)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case data == "" && m.ID == "":
		return shape.Missing("file_data")
	case strings.Contains(data, ":"):
		refer(m, data)
	default:
		m.Data = data // some clients leave out what makes it a URL
	}
	return nil
}

// refer reads a URL; the data of a data: URL in base64 (RFC 2397) are taken out of it.
func refer(m *chat.Media, link string) {
	if len(link) > 5 && strings.EqualFold(link[:5], "data:") {
		head, data, ok := strings.Cut(link[5:], ",")
		if kind, is := cutBase64(head); ok && is && data != "" {
			m.Type, m.Data = kind, data
			return
		}
	}
	m.URL = link
}

func cutBase64(head string) (kind string, ok bool) {
	const mark = ";base64"
	at := len(head) - len(mark)
	if at < 0 || !strings.EqualFold(head[at:], mark) {
		return "", false
	}
	return head[:at], true
}

// link writes a medium as a URL, unless it is stored with the provider. Media of an unknown type are octets.
func (w *writer) link(name string, m *chat.Media) {
	if m.Data == "" {
		w.text(name, m.URL)
		return
	}
	kind := m.Type
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.str(name, "data:"+kind+";base64,")
	// The data may be many megabytes: they are written behind the comma at once, whose place their quote takes for a moment.
	comma := len(w.b) - len(`,"`)
	w.b = shape.AppendString(w.b[:comma], m.Data)
	w.b[comma] = ','
}

// plainText is what a document says, under its name, if it is a plain text: all models read those, and few providers take
// them as files.
func plainText(p *chat.Part) (string, bool) {
	text := p.Text
	if text == "" {
		if !strings.HasPrefix(p.Media.Type, "text/") || p.Media.Data == "" {
			return "", false
		}
		b, err := base64.StdEncoding.DecodeString(p.Media.Data)
		if err != nil {
			return "", false
		}
		text = string(b)
	}
	if p.Media.Name != "" {
		text = p.Media.Name + ":\n\n" + text
	}
	return text, true
}
