package anthropic_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// TestAppendReply has what replies of other dialects' providers bring and those of this one do not.
func TestAppendReply(t *testing.T) {
	f := func(content, reason string, c chat.Choice) {
		t.Helper()
		used := chat.Usage{Provenance: chat.Reported}
		r := chat.Reply{Head: chat.Head{ID: "r"}, Usage: used, Choices: []chat.Choice{c, {Index: 1, Message: assistant(chat.Part{Text: "other"})}}}
		got := string(anthropic.AppendReply([]byte("!"), &chat.Request{Model: "asked"}, &r))
		want := `!{"id":"r","type":"message","role":"assistant","model":"asked","content":[` + content + `],"stop_reason":"` + reason +
			`","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}`
		if got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
	said := func(finish chat.FinishReason, parts ...chat.Part) chat.Choice {
		return chat.Choice{Finish: finish, Message: assistant(parts...)}
	}
	f(``, "end_turn", said(""))
	f(``, "end_turn", said("new_reason", chat.Part{Text: ""}))
	f(``, "refusal", said(chat.FinishFilter))
	f(`{"type":"text","text":"Hi"}`, "max_tokens", said(chat.FinishLength, chat.Part{Kind: chat.PartAudio, Text: "Hi", Media: &chat.Media{ID: "a"}}))
	// Calls count more than the reason (vercel/ai #12218), but not than the limit.
	f(`{"type":"tool_use","id":"a","name":"f","input":{}}`, "tool_use", said(chat.FinishStop, call("a", "f", "")))
	f(`{"type":"tool_use","id":"a","name":"f","input":{}}`, "max_tokens", said(chat.FinishLength, call("a", "f", " {} ")))
	// What a model wrote that is no object stays to be seen.
	f(`{"type":"tool_use","id":"a","name":"f","input":{"input":"{\"x\":"}}`, "tool_use", said(chat.FinishCalls, call("a", "f", `{"x":`)))
	f(`{"type":"tool_use","id":"a","name":"p","input":{"input":"free"}}`, "tool_use",
		said(chat.FinishCalls, chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Kind: chat.Custom, Name: "p", Arguments: "free"}}))
	// Thoughts without a signature, the signature of a call (Gemini), ids with other characters.
	signed := call("f:0", "f", "{}")
	signed.Signature = "S"
	f(`{"type":"thinking","thinking":"Hm","signature":""},{"type":"thinking","thinking":"","signature":"sluice_call.sluice_Zjow.S"},{"type":"tool_use","id":"sluice_Zjow","name":"f","input":{}}`,
		"tool_use", said(chat.FinishCalls, chat.Part{Kind: chat.PartReasoning, Text: "Hm"}, signed))
	// Parts of other dialects have no place, those of this one do.
	f(`{"type":"mcp_tool_use","id":"a"},{"type":"text","text":"![picture](u)"},{"type":"text","text":"so"},{"type":"text","text":"`+chat.LostSound+`"}`, "end_turn", said(chat.FinishStop,
		chat.Part{Kind: chat.PartOther, Raw: json.RawMessage(`{"type":"web_search_call","id":"ws_1"}`)},
		chat.Part{Kind: chat.PartOther, Raw: json.RawMessage(`{"type":"mcp_tool_use","id":"a"}`)}, chat.Part{Kind: chat.PartImage, Media: &chat.Media{URL: "u"}},
		chat.Part{Kind: chat.PartAudio, Text: "so", Media: &chat.Media{}}, chat.Part{Kind: chat.PartAudio, Media: &chat.Media{}}))

	if got := string(anthropic.AppendReply(nil, nil, &chat.Reply{})); !strings.HasPrefix(got, `{"id":"msg_`) || !strings.Contains(got, `"content":[]`) {
		t.Errorf("an empty reply: %s", got)
	}
	// Of a provider that does not say it, usage is what prompt and answer are long, a token for four bytes.
	q := &chat.Request{Messages: []chat.Message{user("12345678")}}
	r := &chat.Reply{Choices: []chat.Choice{said(chat.FinishCalls, chat.Part{Text: "1234"}, call("a", "f", "{} "))}}
	const estimated = `"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}`
	if got := string(anthropic.AppendReply(nil, q, r)); !strings.HasSuffix(got, estimated) {
		t.Errorf("usage is not known: got %s, want %s", got, estimated)
	}
}

func TestDecodeReplyErrors(t *testing.T) {
	f := func(body string, want chat.Error) {
		t.Helper()
		r, err := anthropic.DecodeReply([]byte(body))
		var e *chat.Error
		if r != nil || !errors.As(err, &e) || *e != want {
			t.Errorf("%s: %+v, %v", body, r, err)
		}
	}
	f(`{"type":"error","error":{"type":"api_error","message":"boom"}}`, chat.Error{Message: "boom", Type: "server_error"})
	f(`{"error":"boom","content":[]}`, chat.Error{Message: "boom"})
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"content":null}`, `{"content":"x"}`, `{"content":[]`, `{"type":"error"}`,
		`{"content":{}}`, `{"content":["x"]}`, `{"content":[null]}`, `{"content":[{"type":"text","text":7}]}`, `{"content":[{"type":"text","text":{}}]}`,
		`{"content":[{"type":"thinking","thinking":[]}]}`,
	} {
		if r, err := anthropic.DecodeReply([]byte(body)); r != nil || !errors.Is(err, anthropic.ErrMalformed) {
			t.Errorf("%s: %+v, %v", body, r, err)
		}
	}
}

// What a reply need not have may be odd.
func TestDecodeReplyTolerates(t *testing.T) {
	for _, body := range []string{
		`{"content":[]}`, `{"content":[{"type":"text","text":null},{"type":"text","text":"x","citations":7},{"type":"new","text":7}],"usage":7,"stop_reason":7,"id":{}}`,
		`{"content":[{"type":"thinking","thinking":"x","signature":null},{"type":"tool_use","id":"a","name":"f","input":null}]}`,
	} {
		if _, err := anthropic.DecodeReply([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Ids that the dialect allows stay as they are; others come back as they were.
func TestIDs(t *testing.T) {
	f := func(id, wire string) {
		t.Helper()
		q := chat.Request{Dialect: anthropic.Name, MaxTokens: new(int64(1)), Messages: []chat.Message{user("x"), assistant(call(id, "f", "{}")), result(id, "y")}}
		body, _, err := anthropic.AppendRequest(nil, &q, &target)
		if err != nil || strings.Count(string(body), `:"`+wire+`"`) != 2 {
			t.Errorf("%q: %s, %v", id, body, err)
		}
		back, err := anthropic.DecodeRequest(body)
		if err != nil || back.Messages[1].Parts[0].Call.ID != id || back.Messages[2].CallID != id {
			t.Errorf("%q comes back as %+v, %v", id, back, err)
		}
	}
	f("toolu_01A-b", "toolu_01A-b")
	f("call_abc", "call_abc")
	f("functions.f:0", "sluice_ZnVuY3Rpb25zLmY6MA")
	f("sluice_YQ", "sluice_c2x1aWNlX1lR")
	f("ü\x00", "sluice_w7wA")
	f(strings.Repeat("x", 200), strings.Repeat("x", 200))

	// What only looks like one of ours stays.
	for _, id := range []string{"sluice_", "sluice_!", "sluice_Zm9v"} {
		q, err := anthropic.DecodeRequest([]byte(`{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"` + id + `","name":"f","input":{}}]}]}`))
		if err != nil || q.Messages[0].Parts[0].Call.ID != id {
			t.Errorf("%s: %+v, %v", id, q, err)
		}
	}
}
