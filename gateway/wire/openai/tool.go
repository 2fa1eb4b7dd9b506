package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readCall reads a call in an assistant's message. Gemini's signature of the thought behind it comes with it.
func readCall(v []byte, p *chat.Part) *shape.Fault {
	var kind string
	c := new(chat.ToolCall)
	p.Kind, p.Call = chat.PartCall, c
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "id":
			return shape.Text(v, &c.ID)
		case "type":
			return shape.Text(v, &kind)
		case "function", "custom":
			return readCalled(v, c)
		case "extra_content":
			p.Signature, _ = peek.String(thoughtSignature(v))
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case c.ID == "":
		return shape.Missing("id")
	case kind == "custom":
		c.Kind = chat.Custom
	case kind != "function":
		return shape.Must("function or custom").In("type")
	}
	if c.Name == "" {
		return shape.Missing(kind + ".name")
	}
	return nil
}

// thoughtSignature is that of {"google":{"thought_signature":…}}, still a JSON string; nil if there is none.
func thoughtSignature(extra []byte) []byte {
	google := peek.Find(extra, []byte(`"google"`))
	if google == nil {
		return nil
	}
	return peek.Find(google, []byte(`"thought_signature"`))
}

func readCalled(v []byte, c *chat.ToolCall) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "name":
			return shape.Text(v, &c.Name)
		case "arguments", "input":
			return shape.Text(v, &c.Arguments)
		}
		return nil
	})
}

func readTool(v []byte, t *chat.Tool) *shape.Fault {
	var kind string
	bad := shape.Object(v, func(key, val []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(val, &kind)
		case "function":
			return readFunction(val, t)
		case "custom":
			t.Kind = chat.Custom
			return readCustom(val, t)
		case "cache_control":
			return readMark(val, &t.Cache)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case kind == "":
		return shape.Missing("type")
	case kind != "function" && kind != "custom":
		*t = chat.Tool{Kind: chat.Hosted, Name: kind, Parameters: bytes.Clone(v), Cache: t.Cache}
	case t.Name == "" || (kind == "custom") != (t.Kind == chat.Custom):
		return shape.Missing(kind + ".name")
	}
	return nil
}

func readFunction(v []byte, t *chat.Tool) *shape.Fault {
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "name":
			return shape.Text(v, &t.Name)
		case "description":
			return shape.Text(v, &t.Description)
		case "parameters":
			return shape.Raw(v, &t.Parameters)
		case "strict":
			return shape.Bool(v, &t.Strict)
		case "cache_control": // LiteLLM takes it here, too
			return readMark(v, &t.Cache)
		}
		return nil
	})
	if bad == nil && t.Name == "" {
		return shape.Missing("name")
	}
	return bad
}

func readCustom(v []byte, t *chat.Tool) *shape.Fault {
	return shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "name":
			return shape.Text(v, &t.Name)
		case "description":
			return shape.Text(v, &t.Description)
		case "format":
			bad := shape.Raw(v, &t.Parameters)
			if grammar := peek.Find(v, []byte(`"grammar"`)); bad == nil && grammar != nil && grammar[0] == '{' {
				t.Parameters = withMember([]byte(`{"type":"grammar"`), grammar)
			}
			return bad
		}
		return nil
	})
}

// withMember adds the members of an object to one that is being written, and ends it.
func withMember(dst, object []byte) []byte {
	peek.Each(object, func(key, v []byte) bool {
		dst = append(append(shape.AppendString(append(dst, ','), string(key)), ':'), v...)
		return true
	})
	return append(dst, '}')
}

// readToolChoice reads none, auto, required, one named tool, or a list of allowed ones.
func readToolChoice(v []byte, c *chat.ToolChoice) *shape.Fault {
	switch v[0] {
	case '"':
		return ReadToolMode(v, c)
	case '{':
	default:
		return shape.Must("a string or an object")
	}
	var allowed []byte
	_ = shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "allowed_tools" {
			allowed = v
		}
		return nil
	})
	if allowed != nil {
		return ReadAllowedTools(allowed, c, readToolName).In("allowed_tools")
	}
	c.Mode, c.Only = chat.ChoiceRequired, make([]string, 1)
	return readToolName(v, &c.Only[0])
}

// ReadAllowedTools reads a mode and a list of tools, of each of which name reads what a choice calls it; Responses has them
// in the same shape.
func ReadAllowedTools(v []byte, c *chat.ToolChoice, name func(v []byte, to *string) *shape.Fault) *shape.Fault {
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "mode":
			return ReadToolMode(v, c)
		case "tools":
			return shape.List(v, &c.Only, name)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case c.Mode == chat.ChoiceUnset:
		return shape.Missing("mode")
	case len(c.Only) == 0:
		return shape.Missing("tools")
	}
	return nil
}

// readToolName reads, of {"type":"function","function":{"name":…}}, the name, which for hosted tools is the type.
func readToolName(v []byte, name *string) *shape.Fault {
	var t chat.Tool
	if bad := readTool(v, &t); bad != nil {
		return bad
	}
	*name = t.Name
	return nil
}

// ReadToolMode reads whether tools are called: none, auto or required.
func ReadToolMode(v []byte, c *chat.ToolChoice) *shape.Fault {
	switch string(v) {
	case `"none"`:
		c.Mode = chat.ChoiceNone
	case `"auto"`:
		c.Mode = chat.ChoiceAuto
	case `"required"`:
		c.Mode = chat.ChoiceRequired
	default:
		return shape.Must("none, auto or required")
	}
	return nil
}

// readFunctionChoice reads the deprecated function_call: none, auto, or {"name":…}.
func readFunctionChoice(v []byte, c *chat.ToolChoice) *shape.Fault {
	if v[0] == '"' {
		return ReadToolMode(v, c)
	}
	var t chat.Tool
	if bad := readFunction(v, &t); bad != nil {
		return bad
	}
	*c = chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{t.Name}}
	return nil
}
