package responses_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// signsOf is the first of what Look says.
func signsOf(s chat.Signs, _ int) chat.Signs { return s }

// TestLookSaid holds how many bytes of the answer an event carries: what was said is said again when an item is done, and
// again at the end.
func TestLookSaid(t *testing.T) {
	f := func(data string, want int) {
		t.Helper()
		var u chat.Usage
		if _, said := responses.Look("", []byte(data), &u); said != want {
			t.Errorf("%s: %d, want %d", data, said, want)
		}
	}
	f(`{"type":"response.output_text.delta","sequence_number":5,"delta":"hello","obfuscation":"xyz"}`, 5)
	f(`{"type":"response.refusal.delta","delta":"no"}`, 2)
	f(`{"type":"response.reasoning_summary_text.delta","delta":"hmm"}`, 3)
	f(`{"type":"response.function_call_arguments.delta","delta":"{\"a\""}`, 6)
	f(`{"type":"response.audio.delta","delta":"AAAA"}`, 0)
	f(`{"type":"response.audio.transcript.delta","delta":"hi"}`, 2)
	f(`{"type":"response.output_item.added","item":{"type":"function_call","name":"look","arguments":""}}`, 4+chat.CallSaid)
	f(`{"type":"response.output_item.added","item":{"type":"message","content":[]}}`, 0)
	f(`{"type":"response.output_text.done","text":"hello"}`, 0)
	f(`{"type":"response.output_item.done","item":{"type":"function_call","name":"look","arguments":"{}"}}`, 0)
	f(`{"type":"response.image_generation_call.partial_image","partial_image_b64":"AAAA"}`, 0)
	f(`{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"hello"}]}]}}`, 0)
	f(`{"type":"response.created","response":{"instructions":"long"}}`, 0)
}
