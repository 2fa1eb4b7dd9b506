package openai

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readMessage puts what an assistant thought, said and called into that order, whatever the members' order is.
func readMessage(v []byte, m *chat.Message) *shape.Fault {
	var role, reasoning, refusal, audio string
	var content []chat.Part
	var calls []chat.ToolCall
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "role":
			return shape.Text(v, &role)
		case "name":
			return shape.Text(v, &m.Name)
		case "tool_call_id":
			return shape.Text(v, &m.CallID)
		case "content":
			return readContent(v, &content)
		case "refusal":
			return shape.Text(v, &refusal)
		case "reasoning_content", "reasoning": // DeepSeek; vLLM, OpenRouter, Groq
			return shape.Text(v, &reasoning)
		case "audio":
			return readID(v, &audio)
		case "tool_calls":
			return shape.List(v, &calls, readCall)
		case "function_call":
			calls = append(calls, chat.ToolCall{})
			return readCalled(v, &calls[len(calls)-1])
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	if reasoning != "" {
		m.Parts = append(m.Parts, chat.Part{Kind: chat.PartReasoning, Text: reasoning})
	}
	m.Parts = append(m.Parts, content...)
	if refusal != "" {
		m.Parts = append(m.Parts, chat.Part{Kind: chat.PartRefusal, Text: refusal})
	}
	if audio != "" {
		m.Parts = append(m.Parts, chat.Part{Kind: chat.PartAudio, Media: &chat.Media{ID: audio}})
	}
	for i := range calls {
		m.Parts = append(m.Parts, chat.Part{Kind: chat.PartCall, Call: &calls[i]})
	}
	return setRole(m, role)
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

func readPart(v []byte, p *chat.Part) *shape.Fault {
	var kind string
	var media *chat.Media
	var said, refusal string
	load := func(v []byte, read func(v []byte, m *chat.Media) *shape.Fault) *shape.Fault {
		media = new(chat.Media)
		return read(v, media)
	}
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "text":
			return shape.Text(v, &said)
		case "refusal":
			return shape.Text(v, &refusal)
		case "image_url":
			return load(v, readImage)
		case "input_audio":
			return load(v, readAudio)
		case "file":
			return load(v, readFile)
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	p.Text, p.Media = said, media
	switch kind {
	case "text":
		p.Media = nil
		return nil
	case "refusal":
		*p = chat.Part{Kind: chat.PartRefusal, Text: refusal}
		return nil
	case "image_url":
		p.Kind = chat.PartImage
	case "input_audio":
		p.Kind = chat.PartAudio
	case "file":
		p.Kind = chat.PartFile
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("text, refusal, image_url, input_audio or file").In("type")
	}
	if media == nil {
		return shape.Missing(kind)
	}
	return nil
}

// readImage also takes a bare string, which Ollama's clients send.
func readImage(v []byte, m *chat.Media) *shape.Fault {
	if v[0] == '"' {
		return shape.Text(v, &m.URL)
	}
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "url":
			return shape.Text(v, &m.URL)
		case "detail":
			return shape.Text(v, &m.Detail)
		}
		return nil
	})
	if bad == nil && m.URL == "" {
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
			m.Type = "audio/" + m.Type
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
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "file_data":
			return shape.Text(v, &m.URL) // a data: URL
		case "file_id":
			return shape.Text(v, &m.ID)
		case "filename":
			return shape.Text(v, &m.Name)
		}
		return nil
	})
	if bad == nil && m.URL == "" && m.ID == "" {
		return shape.Missing("file_data")
	}
	return bad
}

func readID(v []byte, id *string) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "id" {
			return shape.Text(v, id)
		}
		return nil
	})
}
