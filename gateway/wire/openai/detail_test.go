package openai_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// OpenRouter wants the details of what was thought back as they were, and says whose they are only there
// (OpenRouterTeam/typescript-sdk #120, RooCodeInc/Roo-Code PR 9506).
func TestReasoningDetails(t *testing.T) {
	back := func(parts []chat.Part) string {
		t.Helper()
		q := foreign(user(text("x")), chat.Message{Role: chat.RoleAssistant, Parts: parts})
		body, dropped, err := openai.AppendRequest(nil, q, &chat.Target{Model: "m", Thinking: "reasoning"})
		var sent struct {
			Messages []struct {
				Details json.RawMessage `json:"reasoning_details"`
				Text    json.RawMessage `json:"reasoning_content"`
			}
		}
		if err != nil || len(dropped) > 0 || json.Unmarshal(body, &sent) != nil {
			t.Fatalf("%s, %v, %v", body, dropped, err)
		}
		return string(sent.Messages[1].Details) + string(sent.Messages[1].Text)
	}
	// f gives details, and what comes back of them: of a whole reply, of a stream, and of a client's own request.
	f := func(details, want string) {
		t.Helper()
		r, err := openai.DecodeReply([]byte(`{"id":"r","choices":[{"index":0,"message":{"content":"x","reasoning_details":` + details + `},"finish_reason":"stop"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := back(r.Choices[0].Message.Parts); got != want {
			t.Errorf("of a reply: got\n%s, want\n%s", got, want)
		}
		d, joined := openai.NewDecoder(), new(chat.Collector)
		for _, ev := range []string{
			`{"id":"r","choices":[{"index":0,"delta":{"content":"","reasoning_details":` + details + `}}]}`,
			`{"id":"r","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}`, "[DONE]",
		} {
			pieces, err := d.Decode(nil, "", []byte(ev))
			if err != nil {
				t.Fatal(err)
			}
			for i := range pieces {
				joined.Add(&pieces[i])
			}
		}
		if got := back(joined.Reply().Choices[0].Message.Parts); got != want {
			t.Errorf("of a stream: got\n%s, want\n%s", got, want)
		}
		q, err := openai.DecodeRequest([]byte(`{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_details":` + details + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := back(q.Messages[0].Parts); got != want {
			t.Errorf("of a request: got\n%s, want\n%s", got, want)
		}
	}
	claude := `[{"type":"reasoning.text","text":"Hm\n","signature":"EqQB","format":"anthropic-claude-v1"},{"type":"reasoning.encrypted","data":"opaque","format":"anthropic-claude-v1"}]`
	f(claude, claude)
	f(`[{"type":"reasoning.text","text":"Hm\n","signature":"EqQB","id":null,"index":0},{"type":"reasoning.encrypted","data":"opaque"}]`, claude)
	f(`[{"type":"reasoning.text","text":"Hm","data":null,"format":null},{"type":"reasoning.new","text":"?"},7]`, `"Hm"`)

	// OpenAI's are summed up and encrypted; Gemini's belong to a call. The text without a signature stays behind.
	secret := `{"type":"reasoning.encrypted","data":"gAAA\"","id":"rs_1","format":"openai-responses-v1","index":0}`
	f(`[{"type":"reasoning.summary","summary":"**Hm**","format":"openai-responses-v1","index":0},`+secret+`]`, `[`+secret+`]`)
	secret = `{"type":"reasoning.encrypted","id":"call_1","format":"google-gemini-v1","index":1,"data":"c2ln"}`
	f(`[{"type":"reasoning.text","text":"Hm","format":"google-gemini-v1","index":0},`+secret+`]`, `[`+secret+`]`)
	f(`[{"type":"reasoning.text","text":"Hm","signature":"s","format":"new-v1"}]`, `[{"type":"reasoning.text","signature":"s","format":"new-v1","text":"Hm"}]`)
	f(`[{"type":"reasoning.summary","summary":"Hm","signature":"s","format":"new-v1"}]`, `[{"type":"reasoning.summary","signature":"s","format":"new-v1","summary":"Hm"}]`)

	// What a client has changed must not break the request.
	for _, s := range []string{`{"type":"reasoning.text"`, `{"type":"reasoning.text"}],"x":[{}`, `{"type":"reasoning.`} {
		got := back([]chat.Part{{Kind: chat.PartReasoning, Text: "a", Signature: s}, {Kind: chat.PartRedacted, Signature: s}})
		if strings.Count(got, `"type":"reasoning.`) != 2 || !json.Valid([]byte(got)) {
			t.Errorf("got %s", got)
		}
	}
}

// Text that stands beside details which have none is not lost.
func TestReasoningBesideDetails(t *testing.T) {
	r, err := openai.DecodeReply([]byte(`{"choices":[{"message":{"content":"x","reasoning":"Hm","reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]},"finish_reason":"stop"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if m := &r.Choices[0].Message; len(m.Parts) != 3 || m.Text(chat.PartReasoning) != "Hm" || m.Parts[1].Signature != "d" {
		t.Errorf("got %+v", m)
	}
}
