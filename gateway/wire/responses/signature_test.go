package responses_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// The signature that Gemini gives a call comes back with its item, of a whole reply and of a stream.
func TestSignaturesOfCalls(t *testing.T) {
	const call = `{"id":"f:0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"},"extra_content":{"google":{"thought_signature":"s/1+="}}}`
	f := func(items json.RawMessage) {
		t.Helper()
		list := strings.TrimSuffix(string(items), "]") + `,{"type":"function_call_output","call_id":"f:0","output":"fine"}]`
		q, err := responses.DecodeRequest([]byte(`{"model":"m","input":` + list + `}`))
		if err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		body, _, err := openai.AppendRequest(nil, q, &chat.Target{Model: "gemini-3-pro"})
		if err != nil || !strings.Contains(string(body), `"tool_calls":[`+call+`]`) {
			t.Errorf("got %s, %v", body, err)
		}
	}
	r, err := openai.DecodeReply([]byte(`{"id":"r","model":"m","choices":[{"index":0,"message":{"tool_calls":[` + call + `]},"finish_reason":"stop"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var whole struct{ Output json.RawMessage }
	if err := json.Unmarshal(responses.AppendReply(nil, nil, r), &whole); err != nil {
		t.Fatal(err)
	}
	f(whole.Output)

	d, e, b := openai.NewDecoder(), responses.NewEncoder(nil), new(chat.Batch)
	for _, ev := range []string{
		`{"id":"r","model":"m","choices":[{"index":0,"delta":{"tool_calls":[` + call + `]}}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`, "[DONE]",
	} {
		pieces, err := d.Decode(nil, "", []byte(ev))
		if err != nil {
			t.Fatal(err)
		}
		for i := range pieces {
			e.Encode(b, &pieces[i])
		}
	}
	items := json.RawMessage("[]")
	for {
		_, data, ok := b.Next()
		if !ok {
			break
		}
		var v struct {
			Type     string
			Item     json.RawMessage
			Response struct{ Output json.RawMessage }
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		switch v.Type {
		case "response.output_item.done":
			items = json.RawMessage("[" + string(v.Item) + "]")
			f(items)
		case "response.completed":
			f(v.Response.Output)
		}
	}
	if string(items) == "[]" {
		t.Error("the call never ended")
	}
}
