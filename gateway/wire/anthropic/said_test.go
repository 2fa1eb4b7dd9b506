package anthropic_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// signsOf is the first of what Look says.
func signsOf(s chat.Signs, _ int) chat.Signs { return s }

// TestLookSaid holds how many bytes of the answer an event carries.
func TestLookSaid(t *testing.T) {
	f := func(data string, want int) {
		t.Helper()
		var u chat.Usage
		if _, said := anthropic.Look("", []byte(data), &u); said != want {
			t.Errorf("%s: %d, want %d", data, said, want)
		}
	}
	delta := func(delta string, want int) {
		t.Helper()
		f(`{"type":"content_block_delta","index":0,"delta":`+delta+`}`, want)
	}
	delta(`{"type":"text_delta","text":"hello"}`, 5)
	delta(`{"type":"text_delta","text":""}`, 0)
	delta(`{ "text" : "say \"hello\"" , "type" : "text_delta" }`, 13)
	delta(`{"type":"text_delta","text":"hello","more":"x"}`, 5+len(`","more":"x`)) // which nobody sends
	delta(`{"type":"text_delta","text":"hello","more":1}`, 5)
	delta(`{"type":"thinking_delta","thinking":"hmm"}`, 3)
	delta(`{"type":"input_json_delta","partial_json":"{\"a\""}`, 6)
	delta(`{"type":"signature_delta","signature":"c2lnbmF0dXJl"}`, 0)
	delta(`{"type":"citations_delta","citation":{"type":"char_location","cited_text":"as it was"}}`, 0)
	block := func(block string, want int) {
		t.Helper()
		f(`{"type":"content_block_start","index":0,"content_block":`+block+`}`, want)
	}
	block(`{"type":"text","text":""}`, 0)
	block(`{"type":"tool_use","id":"toolu_1","name":"look","input":{}}`, 4+chat.CallSaid)
	block(`{"name":"web_search","type":"server_tool_use","id":"srvtoolu_1","input":{}}`, 10+chat.CallSaid)
	block(`{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","name":"x","text":"long"}]}`, 0)
	f(`{"type":"message_start","message":{"content":[],"usage":{"input_tokens":1}}}`, 0)
	f(`{"type":"message_delta","delta":{"stop_reason":"end_turn","text":"x"},"usage":{"output_tokens":1}}`, 0)
	f(`{"type":"ping"}`, 0)
}
