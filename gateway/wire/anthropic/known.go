package anthropic

import "github.com/sluice-ai/sluice/gateway/wire/shape"

// known is what is read of a request; see readBlock, readTool and the readers of settings.
var known = func() *shape.Known {
	format := &shape.Known{Path: "output_config.format", Members: map[string]*shape.Known{"type": nil, "schema": nil}}
	source := &shape.Known{Path: "messages.content.source", Members: map[string]*shape.Known{
		"type": nil, "data": nil, "media_type": nil, "url": nil, "file_id": nil,
	}}
	content := &shape.Known{
		Path:  "messages.content",
		Kinds: []string{"text", "thinking", "redacted_thinking", "image", "document", "tool_use", "tool_result"},
		Members: map[string]*shape.Known{
			"type": nil, "text": nil, "thinking": nil, "signature": nil, "data": nil, "id": nil, "name": nil, "input": nil, "source": source,
			"tool_use_id": nil, "is_error": nil, "cache_control": nil, "title": nil,
		},
		Defaults: map[string]string{"caller": `{"type":"direct"}`, "citations": `{"enabled":false}`},
	}
	content.Members["content"], source.Members["content"] = content, content
	return &shape.Known{Members: map[string]*shape.Known{
		"messages": {Path: "messages", Members: map[string]*shape.Known{"role": nil, "content": content}},
		"system":   content,
		"tools": {Path: "tools", Kinds: []string{"custom"}, Members: map[string]*shape.Known{
			"type": nil, "name": nil, "description": nil, "input_schema": nil, "strict": nil, "cache_control": nil,
		}},
		"tool_choice": {Path: "tool_choice", Members: map[string]*shape.Known{"type": nil, "name": nil, "disable_parallel_tool_use": nil}},
		"thinking":    {Path: "thinking", Members: map[string]*shape.Known{"type": nil, "budget_tokens": nil, "display": nil}},
		"output_config": {Path: "output_config", Members: map[string]*shape.Known{
			"effort": nil, "format": format,
		}},
		"output_format": format,
		"metadata":      {Path: "metadata", Members: map[string]*shape.Known{"user_id": nil}},
	}}
}()
