package anthropic

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// readTool reads a function, or a tool that its provider defines and mostly runs, too.
func readTool(v []byte, t *chat.Tool) *shape.Fault {
	var kind string
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "name":
			return shape.Text(v, &t.Name)
		case "description":
			return shape.Text(v, &t.Description)
		case "input_schema":
			return shape.Raw(v, &t.Parameters)
		case "strict":
			return shape.Bool(v, &t.Strict)
		case "cache_control":
			return readCache(v, &t.Cache)
		}
		return nil
	})
	switch {
	case bad != nil:
		return bad
	case kind != "" && kind != "custom":
		*t = chat.Tool{Kind: chat.Hosted, Name: kind, Parameters: bytes.Clone(v)}
	case t.Name == "":
		return shape.Missing("name")
	case t.Parameters == nil:
		return shape.Missing("input_schema")
	}
	return nil
}

func readToolChoice(v []byte, q *chat.Request) *shape.Fault {
	var kind, name string
	var single *bool
	bad := shape.Object(v, func(key, v []byte) *shape.Fault {
		switch string(key) {
		case "type":
			return shape.Text(v, &kind)
		case "name":
			return shape.Text(v, &name)
		case "disable_parallel_tool_use":
			return shape.Bool(v, &single)
		}
		return nil
	})
	if bad != nil {
		return bad
	}
	if single != nil {
		parallel := !*single
		q.Parallel = &parallel
	}
	c := &q.Choice
	switch kind {
	case "auto":
		c.Mode = chat.ChoiceAuto
	case "any":
		c.Mode = chat.ChoiceRequired
	case "none":
		c.Mode = chat.ChoiceNone
	case "tool":
		if name == "" {
			return shape.Missing("name")
		}
		c.Mode, c.Only = chat.ChoiceRequired, []string{name}
	case "":
		return shape.Missing("type")
	default:
		return shape.Must("auto, any, tool or none").In("type")
	}
	return nil
}
