package openai_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// signsOf is the first of what Look says.
func signsOf(s chat.Signs, _ int) chat.Signs { return s }

// TestLookSaid holds how many bytes of the answer an event carries.
func TestLookSaid(t *testing.T) {
	f := func(data string, want int) {
		t.Helper()
		var u chat.Usage
		if _, said := openai.Look("", []byte(data), &u); said != want {
			t.Errorf("%s: %d, want %d", data, said, want)
		}
	}
	delta := func(inside string, want int) {
		t.Helper()
		f(`{"id":"content","choices":[{"index":0,"delta":{`+inside+`},"finish_reason":null}],"obfuscation":"xyz"}`, want)
		f(`{"choices" : [ { "delta" : { `+inside+` } , "finish_reason" : "stop" } ] }`, want)
	}
	delta(`"role":"assistant","content":""`, 0)
	delta(`"content":"hello"`, 5)
	delta(`"content" : "say \"hello\"\\"`, 15)
	delta(`"content":"Привет, 世界 é"`, 6+2+6+2)
	delta(`"content":null,"refusal":"no"`, 2)
	delta(`"content":"","reasoning_content":"hm"`, 2)
	delta(`"reasoning":"hmm","reasoning_details":[{"type":"reasoning.text","text":"hmm","signature":"c2lnbmF0dXJl"}]`, 3)
	delta(`"content":[{"type":"text","text":"abc"},{"type":"thinking","thinking":[{"type":"text","text":"de"}]}]`, 5)
	delta(`"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]`, 9)
	delta(`"tool_calls":[{"index":0,"id":"call_1","function":{"name":"look","arguments":""}}]`, 4+chat.CallSaid)
	delta(`"tool_calls":[{"index":0,"id":"call_1","function":{"name":"look","arguments":"{}"}}]`, 6+chat.CallSaid)
	delta(`"tool_calls":[{"id":"call_1","custom":{"name":"look","input":"abc"}}]`, 7+chat.CallSaid)
	delta(`"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]`, 0)
	delta(`"audio":{"id":"a","data":"AAAA","transcript":"hi"}`, 2)
	delta(`"annotations":[{"type":"url_citation","url_citation":{"title":"title","url":"https://a.b"}}]`, 0)
	f(`{"choices":[{"index":0,"delta":{"content":"ab"}},{"index":1,"delta":{"content":"c"}}]}`, 3)
	f(`{"choices":[{"index":0,"text":"abc","finish_reason":null}]}`, 3)
	f(`{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","bytes":[97],"top_logprobs":[]}]}}]}`, 1)
	f(`{"choices":[],"usage":{"completion_tokens":5}}`, 0)
	f(`[DONE]`, 0)
	f(`{"error":{"content":"x"}}`, 0)
}
