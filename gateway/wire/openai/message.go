package openai

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// readMessage puts what an assistant thought, said and called into that order, whatever the members' order is.
func readMessage(v []byte, m *chat.Message) *fault {
	var role, reasoning, refusal, audio string
	var content []chat.Part
	var calls []chat.ToolCall
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "role":
			return text(v, &role)
		case "name":
			return text(v, &m.Name)
		case "tool_call_id":
			return text(v, &m.CallID)
		case "content":
			return readContent(v, &content)
		case "refusal":
			return text(v, &refusal)
		case "reasoning_content", "reasoning": // DeepSeek; vLLM, OpenRouter, Groq
			return text(v, &reasoning)
		case "audio":
			return readID(v, &audio)
		case "tool_calls":
			return list(v, &calls, readCall)
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

func setRole(m *chat.Message, role string) *fault {
	m.Role = chat.Role(role)
	switch m.Role {
	case chat.RoleAssistant:
		return nil
	case chat.RoleSystem, chat.RoleDeveloper, chat.RoleUser:
	case chat.RoleTool:
		if m.CallID == "" {
			return missing("tool_call_id")
		}
	case "function": // deprecated; its results have a name instead of an id
		m.Role = chat.RoleTool
		if m.Name == "" {
			return missing("name")
		}
		return nil
	case "":
		return missing("role")
	default:
		return must("system, developer, user, assistant or tool").in("role")
	}
	if m.Parts == nil {
		return missing("content")
	}
	return nil
}

func readContent(v []byte, parts *[]chat.Part) *fault {
	switch v[0] {
	case '"':
		*parts = make([]chat.Part, 1)
		return text(v, &(*parts)[0].Text)
	case '[':
		*parts = []chat.Part{} // an empty list is some content
		return list(v, parts, readPart)
	}
	return must("a string or a list of parts")
}

func readPart(v []byte, p *chat.Part) *fault {
	var kind string
	var media *chat.Media
	var said, refusal string
	load := func(v []byte, read func(v []byte, m *chat.Media) *fault) *fault {
		media = new(chat.Media)
		return read(v, media)
	}
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "type":
			return text(v, &kind)
		case "text":
			return text(v, &said)
		case "refusal":
			return text(v, &refusal)
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
		return missing("type")
	default:
		return must("text, refusal, image_url, input_audio or file").in("type")
	}
	if media == nil {
		return missing(kind)
	}
	return nil
}

// readImage also takes a bare string, which Ollama's clients send.
func readImage(v []byte, m *chat.Media) *fault {
	if v[0] == '"' {
		return text(v, &m.URL)
	}
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "url":
			return text(v, &m.URL)
		case "detail":
			return text(v, &m.Detail)
		}
		return nil
	})
	if bad == nil && m.URL == "" {
		return missing("url")
	}
	return bad
}

func readAudio(v []byte, m *chat.Media) *fault {
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "data":
			return text(v, &m.Data)
		case "format":
			return text(v, &m.Format)
		}
		return nil
	})
	if bad == nil && m.Data == "" {
		return missing("data")
	}
	return bad
}

func readFile(v []byte, m *chat.Media) *fault {
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "file_data":
			return text(v, &m.URL) // a data: URL
		case "file_id":
			return text(v, &m.ID)
		case "filename":
			return text(v, &m.Name)
		}
		return nil
	})
	if bad == nil && m.URL == "" && m.ID == "" {
		return missing("file_data")
	}
	return bad
}

func readID(v []byte, id *string) *fault {
	return object(v, func(key, v []byte) *fault {
		if string(key) == "id" {
			return text(v, id)
		}
		return nil
	})
}
