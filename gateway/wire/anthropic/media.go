package anthropic

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const (
	pdf       = "application/pdf"
	plainText = "text/plain"
)

// media writes an image or a document. Which of them it is, its type says, whatever the caller called it.
func (e *requestWriter) media(p *chat.Part, mark chat.Cache, path string) {
	m := p.Media
	kind := mediaType(m)
	block := "document"
	if p.Kind == chat.PartImage && kind != pdf || strings.HasPrefix(kind, "image/") {
		block = "image"
	}
	e.element(block)
	e.key("source")
	switch {
	case m.ID != "":
		e.source("file")
		e.text("file_id", m.ID)
	case m.URL != "":
		if strings.HasPrefix(strings.ToLower(m.URL), "data:") {
			e.refuse(path, "must be a data: URL in base64, or an https: URL")
		}
		e.source("url")
		e.text("url", m.URL)
	case m.Data == "" && p.Kind == chat.PartFile:
		e.plain(p.Text)
	case block == "image" && !readable(kind):
		e.refuse(path, "must be an image of the type image/jpeg, image/png, image/gif or image/webp")
		e.source("base64")
	case block == "image" || kind == pdf:
		e.source("base64")
		e.text("media_type", kind)
		e.text("data", m.Data)
	default:
		text, err := base64.StdEncoding.DecodeString(m.Data)
		if err != nil || !utf8.Valid(text) || !strings.HasPrefix(kind, "text/") {
			e.refuse(path, "must be a PDF or a plain text: the model reads no other files")
		}
		e.plain(string(text))
	}
	e.raw("}")
	if block == "document" && m.Name != "" {
		e.text("title", m.Name)
	}
	e.cache(mark)
	e.raw("}")
}

// source begins the value of a source.
func (e *requestWriter) source(kind string) {
	e.raw("{")
	e.text("type", kind)
}

func (e *requestWriter) plain(text string) {
	e.source("text")
	e.text("media_type", plainText)
	e.text("data", text)
}

func readable(kind string) bool {
	switch kind {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return true
	}
	return false
}

// mediaType is the type of the data, found by its first bytes if the caller does not say.
func mediaType(m *chat.Media) string {
	kind, _, _ := strings.Cut(strings.ToLower(m.Type), ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "image/jpg":
		return "image/jpeg"
	case "", "application/octet-stream":
		for _, known := range [...]struct{ begin, kind string }{
			{"JVBERi", pdf}, {"iVBORw", "image/png"}, {"/9j/", "image/jpeg"}, {"R0lGOD", "image/gif"}, {"UklGR", "image/webp"},
		} {
			if strings.HasPrefix(m.Data, known.begin) {
				return known.kind
			}
		}
	}
	return kind
}
