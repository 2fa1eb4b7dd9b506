package anthropic_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// client joins the events of a stream to the blocks that a client of Anthropic's sends back.
func client(t *testing.T, b *chat.Batch) []byte {
	t.Helper()
	type block map[string]any
	var blocks []block
	for {
		_, data, ok := b.Next()
		if !ok {
			break
		}
		var v struct {
			Type  string
			Block block `json:"content_block"`
			Delta struct {
				Type, Text, Thinking, Signature string
				JSON                            string `json:"partial_json"`
			}
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		switch v.Type {
		case "content_block_start":
			blocks = append(blocks, v.Block)
		case "content_block_delta":
			last := blocks[len(blocks)-1]
			switch v.Delta.Type {
			case "text_delta":
				last["text"] = last["text"].(string) + v.Delta.Text
			case "thinking_delta":
				last["thinking"] = last["thinking"].(string) + v.Delta.Thinking
			case "signature_delta":
				last["signature"] = last["signature"].(string) + v.Delta.Signature
			case "input_json_delta":
				last["input"] = json.RawMessage(v.Delta.JSON)
			}
		}
	}
	content, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// again is the request of a client that has run the tools which a turn calls, as a provider of chat completions gets it.
func again(t *testing.T, content []byte) string {
	t.Helper()
	q, err := anthropic.DecodeRequest([]byte(`{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"go"},` +
		`{"role":"assistant","content":` + string(content) + `},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"sluice_ZjowCg","content":"fine"},{"type":"tool_result","tool_use_id":"b","content":"fine"}]}]}`))
	if err != nil {
		t.Fatalf("%s: %v", content, err)
	}
	for i := range q.Messages {
		for _, p := range q.Messages[i].Parts {
			if strings.Contains(p.Text+p.ID, "sluice_call") || p.Kind == chat.PartReasoning {
				t.Errorf("message %d still has %+v", i, p)
			}
		}
	}
	body, _, err := openai.AppendRequest(nil, q, &chat.Target{Model: "gemini-3-pro"})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Gemini refuses a call that comes back without the signature it had (litellm #16893, portkey #1442, llmgateway #1267).
// Through clients of Anthropic's dialect, which has no place for it, it comes back all the same.
func TestSignaturesOfCalls(t *testing.T) {
	const first = `{"id":"f:0\n","type":"function","function":{"name":"f","arguments":"{\"a\":1}"},"extra_content":{"google":{"thought_signature":"s/1+\"="}}}`
	const second = `{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}`
	want := `{"role":"assistant","content":null,"tool_calls":[` + first + `,` + second + `]}`
	unary := `{"id":"r","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"","tool_calls":[` + first + `,` + second + `]},"finish_reason":"stop"}]}`
	r, err := openai.DecodeReply([]byte(unary))
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ Content json.RawMessage }
	if err := json.Unmarshal(anthropic.AppendReply(nil, nil, r), &reply); err != nil {
		t.Fatal(err)
	}
	if got := again(t, reply.Content); !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}

	stream := func(events ...string) []byte {
		t.Helper()
		d, e, b := openai.NewDecoder(), anthropic.NewEncoder(nil), new(chat.Batch)
		for _, ev := range append(events, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`, "[DONE]") {
			pieces, err := d.Decode(nil, "", []byte(ev))
			if err != nil {
				t.Fatal(err)
			}
			for i := range pieces {
				e.Encode(b, &pieces[i])
			}
		}
		return client(t, b)
	}
	delta := func(calls string) string {
		return `{"id":"r","model":"m","choices":[{"index":0,"delta":{"tool_calls":[` + calls + `]}}]}`
	}
	bare, signature, _ := strings.Cut(first, `,"extra_content"`)
	trailing := delta(`{"extra_content"` + signature)
	f := func(name string, events ...string) {
		t.Helper()
		if got := again(t, stream(events...)); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", name, got)
		}
	}
	f("whole calls", delta(first), delta(second))
	f("in one chunk", delta(first+`,`+second))
	f("behind the call", delta(bare+"}"), trailing, delta(second)) // HKUDS/OpenHarness PR 338

	// A turn may come back in several messages. What belongs to no call is dropped.
	var blocks []json.RawMessage
	if err := json.Unmarshal(stream(delta(first), delta(second)), &blocks); err != nil {
		t.Fatal(err)
	}
	split := string(blocks[0]) + `]},{"role":"assistant","content":[` + string(blocks[1]) + `,` + string(blocks[2])
	if got := again(t, []byte(`[`+split+`]`)); !strings.Contains(got, want) {
		t.Errorf("split: got %s", got)
	}
	lost := slices.Concat([]byte("["), blocks[0], []byte(","), blocks[2], []byte("]"))
	if got := again(t, lost); strings.Contains(got, "signature") || strings.Contains(got, "thinking") {
		t.Errorf("without its call: got %s", got)
	}
}

// To Anthropic's own models the signatures of others say nothing.
func TestSignaturesOfOthers(t *testing.T) {
	q := &chat.Request{Messages: []chat.Message{
		{Role: chat.RoleUser, Parts: []chat.Part{{Text: "go"}}},
		{Role: chat.RoleAssistant, Parts: []chat.Part{{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Name: "f"}, Signature: "S"}}},
		{Role: chat.RoleTool, CallID: "a", Parts: []chat.Part{{Text: "fine"}}},
	}}
	body, dropped, err := anthropic.AppendRequest(nil, q, &target)
	if err != nil || len(dropped) > 0 || strings.Contains(string(body), "thinking") || strings.Contains(string(body), `"S"`) {
		t.Errorf("got %s, %v, %v", body, dropped, err)
	}
}
