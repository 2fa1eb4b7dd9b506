package responses

import (
	"bytes"
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readTool reads a function or a custom tool, whose members are not nested as in chat completions; every other tool is its
// provider's, and kept whole.
func readTool(v []byte, t *chat.Tool) *shape.Fault {
	var kind string
	if bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "type" {
			return shape.Text(v, &kind)
		}
		return nil
	}); bad != nil {
		return bad
	}
	switch kind {
	case "function":
	case "custom":
		t.Kind = chat.Custom
	case "":
		return shape.Missing("type")
	default:
		*t = chat.Tool{Kind: chat.Hosted, Name: kind, Parameters: bytes.Clone(v)}
		return nil
	}
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "name":
			return shape.Text(v, &t.Name)
		case "description":
			return shape.Text(v, &t.Description)
		case "parameters", "format":
			if (t.Kind == chat.Custom) == (string(key) == "format") {
				return shape.Raw(v, &t.Parameters)
			}
		case "strict":
			return shape.Bool(v, &t.Strict)
		}
		return nil
	})
	if bad == nil && t.Name == "" {
		return shape.Missing("name")
	}
	return bad
}

// readToolChoice reads none, auto, required, one tool by its name or type, or a list of allowed ones.
func readToolChoice(v []byte, c *chat.ToolChoice) *shape.Fault {
	switch v[0] {
	case '"':
		return openai.ReadToolMode(v, c)
	case '{':
	default:
		return shape.Must("a string or an object")
	}
	var kind string
	if bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		if string(key) == "type" {
			return shape.Text(v, &kind)
		}
		return nil
	}); bad != nil {
		return bad
	}
	if kind == "allowed_tools" {
		return openai.ReadAllowedTools(v, c, readToolName)
	}
	c.Mode, c.Only = chat.ChoiceRequired, make([]string, 1)
	return readToolName(v, &c.Only[0])
}

// readToolName reads the name that a choice refers to a tool by, which for hosted tools is the type.
func readToolName(v []byte, name *string) *shape.Fault {
	var t chat.Tool
	if bad := readTool(v, &t); bad != nil {
		return bad
	}
	*name = t.Name
	return nil
}

// appendTool writes a tool. Functions are strict here unless it says otherwise, while elsewhere they are not, so it always
// says. A hosted tool of another dialect's is not written: false.
func appendTool(dst []byte, t *chat.Tool) ([]byte, bool) {
	if t.Kind == chat.Hosted {
		if !isHostedTool(t.Name) {
			return dst, false
		}
		return append(dst, t.Parameters...), true
	}
	kind, parameters := `{"type":"function","name":`, `,"parameters":`
	if t.Kind == chat.Custom {
		kind, parameters = `{"type":"custom","name":`, `,"format":`
	}
	dst = shape.AppendString(append(dst, kind...), t.Name)
	if t.Description != "" {
		dst = shape.AppendString(append(dst, `,"description":`...), t.Description)
	}
	switch {
	case t.Parameters != nil:
		dst = append(append(dst, parameters...), t.Schema()...)
	case t.Kind == chat.Function:
		dst = append(dst, `,"parameters":{"type":"object","properties":{}}`...)
	}
	if t.Kind == chat.Function {
		dst = appendBool(append(dst, `,"strict":`...), t.Strict != nil && *t.Strict)
	}
	return append(dst, '}'), true
}

// isHostedTool knows the types of OpenAI's own tools, with or without a date: web_search_2025_08_26. Anthropic's end with
// 20250305.
func isHostedTool(name string) bool {
	if cut := len(name) - len("_2025_08_26"); cut > 0 && name[cut] == '_' && name[cut+5] == '_' && name[cut+8] == '_' {
		name = name[:cut]
	}
	return slices.Contains(hostedTools[:], name)
}

var hostedTools = [...]string{
	"web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "computer",
	"computer_use", "computer_use_preview", "local_shell", "shell", "apply_patch", "namespace", "tool_search",
	"programmatic_tool_calling",
}

// appendChoice writes a tool choice. One tool that must be called is named; several are allowed.
func appendChoice(dst []byte, c *chat.ToolChoice, tools []chat.Tool) []byte {
	mode := `"auto"`
	switch c.Mode {
	case chat.ChoiceNone:
		return append(dst, `"none"`...)
	case chat.ChoiceRequired:
		mode = `"required"`
	}
	if len(c.Only) == 0 {
		return append(dst, mode...)
	}
	special := map[string]*chat.Tool{} // those that are no functions
	for i := range tools {
		if t := &tools[i]; t.Kind != chat.Function {
			special[t.Name] = t
		}
	}
	if c.Named() {
		return appendToolName(dst, c.Only[0], special)
	}
	dst = append(append(append(dst, `{"type":"allowed_tools","mode":`...), mode...), `,"tools":[`...)
	for i, name := range c.Only {
		dst = appendToolName(comma(dst, i), name, special)
	}
	return append(dst, "]}"...)
}

func appendToolName(dst []byte, name string, special map[string]*chat.Tool) []byte {
	switch t := special[name]; {
	case t == nil:
		dst = shape.AppendString(append(dst, `{"type":"function","name":`...), name)
	case t.Kind == chat.Custom:
		dst = shape.AppendString(append(dst, `{"type":"custom","name":`...), name)
	default:
		dst = shape.AppendString(append(dst, `{"type":`...), name)
		if server := peek.Find(t.Parameters, []byte(`"server_label"`)); server != nil { // mcp
			dst = append(append(dst, `,"server_label":`...), server...)
		}
	}
	return append(dst, '}')
}

// comma divides the elements of a list.
func comma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}
