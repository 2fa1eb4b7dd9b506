package openai_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

var (
	head  = chat.Head{ID: "chatcmpl-1", Model: "gpt-4.1", Created: 1763900000}
	spent = chat.Usage{Input: 1, CacheRead: 2, CacheWrite: 3, Output: 4, Reasoning: 5, Provenance: chat.Reported}
)

const spentText = `"usage":{"prompt_tokens":6,"completion_tokens":9,"total_tokens":15,` +
	`"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":5}}`

func TestAppendReply(t *testing.T) {
	f := func(r chat.Reply, rest string) {
		t.Helper()
		r.Head = head
		want := `{"id":"chatcmpl-1","object":"chat.completion","created":1763900000,"model":"gpt-4.1","choices":[` + rest
		got := openai.AppendReply(nil, nil, &r)
		if string(got) != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
		if !json.Valid(got) {
			t.Error("not valid")
		}
		var u chat.Usage
		openai.LookWhole(got, &u)
		if u != r.Usage {
			t.Errorf("usage is read as %+v", u)
		}
	}
	f(chat.Reply{}, `]}`)
	f(chat.Reply{
		Choices: []chat.Choice{{Message: chat.Message{Parts: []chat.Part{{Text: "Hi"}, {Text: " you"}}}, Finish: chat.FinishStop}},
		Usage:   spent,
	}, `{"index":0,"message":{"role":"assistant","content":"Hi you","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],`+spentText+`}`)
	f(chat.Reply{Choices: []chat.Choice{
		{Message: chat.Message{Parts: []chat.Part{
			{Kind: chat.PartReasoning, Text: "Hm"},
			{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Name: "f", Arguments: `{"x":1}`}},
			{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "b", Kind: chat.Custom, Name: "g", Arguments: "y"}},
		}}, Finish: chat.FinishCalls},
		{Index: 1, Message: chat.Message{Parts: []chat.Part{{Kind: chat.PartRefusal, Text: "No"}}}, Finish: chat.FinishFilter},
		{Index: 2},
	}}, `{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"annotations":[],"reasoning_content":"Hm","tool_calls":[`+
		`{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},`+
		`{"id":"b","type":"custom","custom":{"name":"g","input":"y"}}]},"logprobs":null,"finish_reason":"tool_calls"},`+
		`{"index":1,"message":{"role":"assistant","content":null,"refusal":"No","annotations":[]},"logprobs":null,"finish_reason":"content_filter"},`+
		`{"index":2,"message":{"role":"assistant","content":"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":null}]}`)
}

func TestDecodeReplyShapes(t *testing.T) {
	for _, choice := range []string{
		`7`, `null`, `{"message":"x"}`, `{"message":[]}`, `{"message":{"content":{"text":"x"}}}`, `{"message":{"content":7}}`,
		`{"message":{"content":["x"]}}`, `{"message":{"tool_calls":{}}}`, `{"message":{"tool_calls":"x"}}`, `{"message":{"tool_calls":[7]}}`,
		`{"message":{"function_call":"f"}}`, `{}`, `{"finish_reason":"stop"}`, `{"message":null,"finish_reason":"stop"}`,
		`{"message":{}}`, `{"message":{"content":""},"finish_reason":null}`,
	} {
		if r, err := openai.DecodeReply([]byte(`{"choices":[` + choice + `]}`)); r != nil || !errors.Is(err, openai.ErrMalformed) {
			t.Errorf("%s: %+v, %v", choice, r, err)
		}
	}
	for _, choice := range []string{
		`{"message":{"content":null,"tool_calls":null,"function_call":null,"refusal":7,"audio":"x","other":[]},"logprobs":7,"finish_reason":"stop"}`,
		`{"message":{},"finish_reason":"stop"}`, `{"message":{"content":"x"},"finish_reason":null}`, `{"message":{"content":"x"}}`,
	} {
		r, err := openai.DecodeReply([]byte(`{"choices":[` + choice + `]}`))
		if err != nil || r.Choices[0].Finish != chat.FinishStop {
			t.Errorf("%s: %+v, %v", choice, r, err)
		}
	}
}

func TestAppendModels(t *testing.T) {
	f := func(models []chat.Model, want string) {
		t.Helper()
		if got := string(openai.AppendModels(nil, models)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(nil, `{"object":"list","data":[]}`)
	f([]chat.Model{{ID: "a/b", OwnedBy: "x", Created: 7}, {ID: `"`}}, `{"object":"list","data":[`+
		`{"id":"a/b","object":"model","created":7,"owned_by":"x"},{"id":"\"","object":"model","created":0,"owned_by":""}]}`)
}
