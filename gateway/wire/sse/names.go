package sse

// intern makes a string of an event name, without allocating for those that providers use.
func intern(b []byte) string {
	if s, ok := known[string(b)]; ok {
		return s
	}
	return string(b)
}

var known = set(
	"message", "error", "ping", "done",

	// Anthropic Messages
	"message_start", "message_delta", "message_stop",
	"content_block_start", "content_block_delta", "content_block_stop",

	// OpenAI Responses
	"response.created", "response.queued", "response.in_progress",
	"response.completed", "response.failed", "response.incomplete",
	"response.output_item.added", "response.output_item.done",
	"response.content_part.added", "response.content_part.done",
	"response.output_text.delta", "response.output_text.done", "response.output_text.annotation.added",
	"response.refusal.delta", "response.refusal.done",
	"response.function_call_arguments.delta", "response.function_call_arguments.done",
	"response.custom_tool_call_input.delta", "response.custom_tool_call_input.done",
	"response.reasoning_text.delta", "response.reasoning_text.done",
	"response.reasoning_summary_part.added", "response.reasoning_summary_part.done",
	"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",

	// OpenAI audio and images
	"speech.audio.delta", "speech.audio.done", "transcript.text.delta", "transcript.text.done",
	"image_generation.partial_image", "image_generation.completed",
	"image_edit.partial_image", "image_edit.completed",
)

func set(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, s := range names {
		m[s] = s
	}
	return m
}
