package responses

import "github.com/sluice-ai/sluice/gateway/wire/shape"

// known is what is read of a request; see itemMembers, partMembers and the readers of settings.
var known = func() *shape.Known {
	content := &shape.Known{
		Path: "input.content", Kinds: []string{"input_text", "output_text", "refusal", "input_image", "input_file"},
		Members: map[string]*shape.Known{
			"type": nil, "text": nil, "refusal": nil, "image_url": nil, "file_id": nil, "file_data": nil, "file_url": nil, "filename": nil,
			"detail": nil, "prompt_cache_breakpoint": nil, "annotations": nil, "logprobs": nil,
		},
	}
	return &shape.Known{Members: map[string]*shape.Known{
		"input": {
			Path: "input",
			Kinds: []string{
				"message", "reasoning", "function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output", "item_reference",
			},
			Members: map[string]*shape.Known{
				"type": nil, "id": nil, "status": nil, "role": nil, "call_id": nil, "name": nil, "arguments": nil, "input": nil,
				"content": content, "output": content, "summary": nil, "encrypted_content": nil, "extra_content": nil,
			},
			Defaults: map[string]string{"caller": `{"type":"direct"}`},
		},
		"tools": {Path: "tools", Kinds: []string{"function", "custom"}, Members: map[string]*shape.Known{
			"type": nil, "name": nil, "description": nil, "parameters": nil, "format": nil, "strict": nil,
		}},
		"text": {Members: map[string]*shape.Known{ // what else it has is in Extra
			"format": {Path: "text.format", Members: map[string]*shape.Known{
				"type": nil, "name": nil, "description": nil, "schema": nil, "strict": nil,
			}},
		}},
	}}
}()
