package openai

import "github.com/sluice-ai/sluice/gateway/wire/shape"

// known is what is read of a request; see readMessage, readTool and the readers of settings.
var known = func() *shape.Known {
	function := &shape.Known{Path: "tools.function", Members: map[string]*shape.Known{
		"name": nil, "description": nil, "parameters": nil, "strict": nil, "cache_control": nil,
	}}
	called := &shape.Known{Path: "messages.tool_calls.function", Members: map[string]*shape.Known{"name": nil, "arguments": nil, "input": nil}}
	return &shape.Known{Members: map[string]*shape.Known{
		"messages": {Path: "messages", Members: map[string]*shape.Known{
			"role": nil, "name": nil, "tool_call_id": nil, "refusal": nil, "reasoning_content": nil, "reasoning": nil, "thinking_blocks": nil,
			"reasoning_details": nil, "audio": nil, "cache_control": nil,
			"content": {
				Path: "messages.content", Kinds: []string{"text", "refusal", "thinking", "image_url", "input_audio", "file"},
				Members: map[string]*shape.Known{
					"type": nil, "text": nil, "refusal": nil, "thinking": nil, "signature": nil, "data": nil, "cache_control": nil,
					"prompt_cache_breakpoint": nil,

					"image_url":   {Path: "messages.content.image_url", Members: map[string]*shape.Known{"url": nil, "detail": nil}},
					"input_audio": {Path: "messages.content.input_audio", Members: map[string]*shape.Known{"data": nil, "format": nil}},
					"file":        {Path: "messages.content.file", Members: map[string]*shape.Known{"file_data": nil, "file_id": nil, "filename": nil}},
				},
			},
			"tool_calls": {Path: "messages.tool_calls", Members: map[string]*shape.Known{
				"id": nil, "type": nil, "index": nil, "extra_content": nil, "function": called, "custom": called,
			}},
			"function_call": called,
		}},
		"tools": {Path: "tools", Kinds: []string{"function", "custom"}, Members: map[string]*shape.Known{
			"type": nil, "function": function, "cache_control": nil,
			"custom": {Path: "tools.custom", Members: map[string]*shape.Known{"name": nil, "description": nil, "format": nil}},
		}},
		"functions": function,
		"tool_choice": {Path: "tool_choice", Members: map[string]*shape.Known{
			"type": nil, "function": nil, "custom": nil, "allowed_tools": nil,
		}},
		"response_format": {Path: "response_format", Members: map[string]*shape.Known{
			"type": nil,
			"json_schema": {Path: "response_format.json_schema", Members: map[string]*shape.Known{
				"name": nil, "description": nil, "schema": nil, "strict": nil,
			}},
		}},
		"stream_options": {Path: "stream_options", Members: map[string]*shape.Known{"include_usage": nil, "include_obfuscation": nil}},
		"reasoning": {Path: "reasoning", Members: map[string]*shape.Known{
			"effort": nil, "max_tokens": nil, "exclude": nil, "enabled": nil, "summary": nil,
		}},
		"thinking": {Path: "thinking", Members: map[string]*shape.Known{"type": nil, "budget_tokens": nil, "display": nil}},
	}}
}()
