package openai_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
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
		got := openai.AppendReply(nil, &r)
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

func TestAppendChunk(t *testing.T) {
	f := func(c chat.Chunk, usage bool, signs chat.Signs, rest string) {
		t.Helper()
		c.Head = head
		want := `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763900000,"model":"gpt-4.1","choices":[` + rest
		got := openai.AppendChunk(nil, &c, usage)
		if string(got) != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
		if s := openai.Look("", got, new(chat.Usage)); s != signs {
			t.Errorf("%s\nhas signs %s, want %s", got, s, signs)
		}
		if back, err := openai.DecodeChunk(got); err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("%s\nis read as %+v, %v", got, back, err)
		}
	}
	delta := func(d chat.Delta) chat.Chunk { return chat.Chunk{Choices: []chat.Delta{d}} }

	f(delta(chat.Delta{Role: chat.RoleAssistant}), true, 0,
		`{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}`)
	f(delta(chat.Delta{Text: "a \"b\"\n"}), true, chat.Progress,
		`{"index":0,"delta":{"content":"a \"b\"\n"},"logprobs":null,"finish_reason":null}],"usage":null}`)
	f(delta(chat.Delta{Text: "x"}), false, chat.Progress,
		`{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}]}`)
	f(delta(chat.Delta{Finish: chat.FinishStop}), true, chat.Progress|chat.Finish,
		`{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}`)
	f(chat.Chunk{Usage: spent}, true, chat.UsageSeen|chat.UsageOnly, `],`+spentText+`}`)
	f(chat.Chunk{Choices: []chat.Delta{{Text: "x"}}, Usage: spent}, false, chat.Progress|chat.UsageSeen,
		`{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}],`+spentText+`}`)
	f(delta(chat.Delta{Role: chat.RoleAssistant, Reasoning: "Hm"}), false, chat.Progress,
		`{"index":0,"delta":{"role":"assistant","content":null,"refusal":null,"reasoning_content":"Hm"},"logprobs":null,"finish_reason":null}]}`)
	f(delta(chat.Delta{Role: chat.RoleAssistant, Refusal: "No"}), false, chat.Progress,
		`{"index":0,"delta":{"role":"assistant","content":null,"refusal":"No"},"logprobs":null,"finish_reason":null}]}`)
	f(delta(chat.Delta{Role: chat.RoleAssistant, Calls: []chat.CallDelta{{ToolCall: chat.ToolCall{ID: "a", Name: "f"}}}}), false, chat.Progress,
		`{"index":0,"delta":{"role":"assistant","content":null,"refusal":null,"tool_calls":[`+
			`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]},"logprobs":null,"finish_reason":null}]}`)
	f(chat.Chunk{Choices: []chat.Delta{
		{Index: 1, Calls: []chat.CallDelta{
			{Index: 0, ToolCall: chat.ToolCall{Arguments: `{"x":`}},
			{Index: 1, ToolCall: chat.ToolCall{ID: "b", Kind: chat.Custom, Name: "g"}},
		}},
		{Index: 0, Calls: []chat.CallDelta{{Index: 1, ToolCall: chat.ToolCall{Kind: chat.Custom, Arguments: "y"}}}},
	}}, false, chat.Progress,
		`{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}},`+
			`{"index":1,"id":"b","type":"custom","custom":{"name":"g","input":""}}]},"logprobs":null,"finish_reason":null},`+
			`{"index":0,"delta":{"tool_calls":[{"index":1,"custom":{"input":"y"}}]},"logprobs":null,"finish_reason":null}]}`)
}

func TestDecodeChunkErrors(t *testing.T) {
	f := func(data string, want error) {
		t.Helper()
		if _, err := openai.DecodeChunk([]byte(data)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", data, err, want)
		}
	}
	f(`[DONE]`, io.EOF)
	f(` [DONE]`, io.EOF)
	f(`{"choices":[]}`, nil)
	f(`[]`, openai.ErrMalformed)
	f(`{"choices":`, openai.ErrMalformed)

	provider := func(data string, want chat.Error) {
		t.Helper()
		_, err := openai.DecodeChunk([]byte(data))
		var got *chat.Error
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%s: got %v, want %v", data, err, want)
		}
	}
	provider(`{"error":{"message":"busy","code":429}}`, chat.Error{Message: "busy", Code: "429"})
	provider(`{"choices":[],"x_groq":{"error":"over capacity"}}`, chat.Error{Message: "over capacity"})
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

func FuzzChunk(f *testing.F) {
	f.Add("Hi", "", "Hm", "call_a", "f", `{"x":"y"}`, "stop", int64(3))
	f.Add("", "\x00\xff", "\"\\", "", "", "", "", int64(0))
	f.Fuzz(func(t *testing.T, text, refusal, reasoning, id, name, arguments, finish string, n int64) {
		c := chat.Chunk{Head: chat.Head{ID: valid(id), Model: valid(name), Created: n}, Choices: []chat.Delta{{
			Index: int(uint16(n)), Text: valid(text), Refusal: valid(refusal), Reasoning: valid(reasoning), Finish: chat.FinishReason(valid(finish)),
			Calls: []chat.CallDelta{{Index: 1, ToolCall: chat.ToolCall{ID: valid(id), Name: valid(name), Arguments: valid(arguments)}}},
		}}}
		b := openai.AppendChunk(nil, &c, n%2 == 0)
		if back, err := openai.DecodeChunk(b); err != nil || !reflect.DeepEqual(back, c) {
			t.Fatalf("%s is read as %+v, %v; was %+v", b, back, err, c)
		}
	})
}
