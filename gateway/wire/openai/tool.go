package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// readCall reads a call in an assistant's message.
func readCall(v []byte, c *chat.ToolCall) *fault {
	var kind string
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "id":
			return text(v, &c.ID)
		case "type":
			return text(v, &kind)
		case "function", "custom":
			return readCalled(v, c)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case c.ID == "":
		return missing("id")
	case kind == "custom":
		c.Kind = chat.Custom
	case kind != "function":
		return must("function or custom").in("type")
	}
	if c.Name == "" {
		return missing(kind + ".name")
	}
	return nil
}

func readCalled(v []byte, c *chat.ToolCall) *fault {
	return object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "name":
			return text(v, &c.Name)
		case "arguments", "input":
			return text(v, &c.Arguments)
		}
		return nil
	})
}

func readTool(v []byte, t *chat.Tool) *fault {
	var kind string
	bad := object(v, func(key, val []byte) *fault {
		switch string(key) {
		case "type":
			return text(val, &kind)
		case "function":
			return readFunction(val, t)
		case "custom":
			t.Kind = chat.Custom
			return readCustom(val, t)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case kind == "":
		return missing("type")
	case kind != "function" && kind != "custom":
		*t = chat.Tool{Kind: chat.Hosted, Name: kind, Parameters: bytes.Clone(v)}
	case t.Name == "" || (kind == "custom") != (t.Kind == chat.Custom):
		return missing(kind + ".name")
	}
	return nil
}

func readFunction(v []byte, t *chat.Tool) *fault {
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "name":
			return text(v, &t.Name)
		case "description":
			return text(v, &t.Description)
		case "parameters":
			return raw(v, &t.Parameters)
		case "strict":
			return boolean(v, &t.Strict)
		}
		return nil
	})
	if bad == nil && t.Name == "" {
		return missing("name")
	}
	return bad
}

func readCustom(v []byte, t *chat.Tool) *fault {
	return object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "name":
			return text(v, &t.Name)
		case "description":
			return text(v, &t.Description)
		case "format":
			return raw(v, &t.Parameters)
		}
		return nil
	})
}

// readToolChoice reads none, auto, required, one named tool, or a list of allowed ones.
func readToolChoice(v []byte, c *chat.ToolChoice) *fault {
	switch v[0] {
	case '"':
		return readMode(v, c)
	case '{':
	default:
		return must("a string or an object")
	}
	var allowed []byte
	_ = object(v, func(key, v []byte) *fault {
		if string(key) == "allowed_tools" {
			allowed = v
		}
		return nil
	})
	if allowed != nil {
		return readAllowed(allowed, c).in("allowed_tools")
	}
	c.Mode, c.Only = chat.ChoiceRequired, make([]string, 1)
	return readToolName(v, &c.Only[0])
}

func readAllowed(v []byte, c *chat.ToolChoice) *fault {
	bad := object(v, func(key, v []byte) *fault {
		switch string(key) {
		case "mode":
			return readMode(v, c)
		case "tools":
			return list(v, &c.Only, readToolName)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case c.Mode == chat.ChoiceUnset:
		return missing("mode")
	case len(c.Only) == 0:
		return missing("tools")
	}
	return nil
}

// readToolName reads, of {"type":"function","function":{"name":…}}, the name, which for hosted tools is the type.
func readToolName(v []byte, name *string) *fault {
	var t chat.Tool
	if bad := readTool(v, &t); bad != nil {
		return bad
	}
	*name = t.Name
	return nil
}

func readMode(v []byte, c *chat.ToolChoice) *fault {
	switch string(v) {
	case `"none"`:
		c.Mode = chat.ChoiceNone
	case `"auto"`:
		c.Mode = chat.ChoiceAuto
	case `"required"`:
		c.Mode = chat.ChoiceRequired
	default:
		return must("none, auto or required")
	}
	return nil
}

// readFunctionChoice reads the deprecated function_call: none, auto, or {"name":…}.
func readFunctionChoice(v []byte, c *chat.ToolChoice) *fault {
	if v[0] == '"' {
		return readMode(v, c)
	}
	var t chat.Tool
	if bad := readFunction(v, &t); bad != nil {
		return bad
	}
	*c = chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{t.Name}}
	return nil
}
