package upstream_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/upstream"
)

// of is a provider of a kind, at f.
func of(t *testing.T, f *fake, kind string) *upstream.Provider {
	return provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf(kind)
		c.Endpoints = conversations()
	})
}

// answered is what a provider of a kind makes of a request, and what a caller gets; reply is what it says.
func answered(t *testing.T, kind, endpoint, model, ask, reply string) (sent, got string) {
	t.Helper()
	f := newFake(t, nil, say(whole("200 OK", reply)))
	r := attempt(t, of(t, f, kind), at(t, endpoint, ask, "", ""), model)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if sent = f.seen()[0].body; !json.Valid([]byte(sent)) {
		t.Fatalf("sent %s", sent)
	}
	return sent, r.events[0]
}

const (
	completed = `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}`
	responded = `{"id":"resp_2","object":"response","model":"m","status":"completed","output":[]}`
)

// What another provider has signed, or nobody, does not reach the next one, and the conversation goes on.
func TestOwners(t *testing.T) {
	ask := func(turns, more string) string {
		return `{"model":"m","max_tokens":3000,` + more + `"messages":[{"role":"user","content":"go"}` + turns + `]}`
	}
	result := func(id string) string {
		return `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + id + `","content":"fine"}]}`
	}
	const budget = `"thinking":{"type":"enabled","budget_tokens":2000},"context_management":{"edits":[{"type":"clear_thinking_20251015"}]},`
	content := func(reply string) string { return `,{"role":"assistant","content":` + field(t, reply, "content") + `}` }
	without := func(body string, words ...string) {
		t.Helper()
		for _, w := range words {
			if strings.Contains(body, w) {
				t.Errorf("%s is still in %s", w, body)
			}
		}
	}

	// Messages: thoughts without a signature, the signature of a call, and one of OpenAI's, then Claude itself.
	_, unsigned := answered(t, "together", "messages", "m", ask("", ""), `{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"","reasoning_content":"Hm",`+
		`"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"Zw"}}}]},"finish_reason":"tool_calls"}]}`)
	sent, signed := answered(t, "anthropic", "messages", "claude-x", ask(content(unsigned)+result("a"), budget),
		`{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"So","signature":"EqQB"},{"type":"tool_use","id":"toolu_1","name":"f","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":5,"output_tokens":2}}`)
	without(sent, "sluice_", `"signature"`, `"Hm"`, "clear_thinking")
	if field(t, sent, "thinking") != `{"type":"disabled"}` || !strings.Contains(sent, `{"role":"assistant","content":[{"type":"tool_use"`) {
		t.Errorf("sent %s", sent)
	}
	both := content(unsigned) + result("a") + content(signed) + result("toolu_1")
	sent, _ = answered(t, "anthropic", "messages", "claude-x", ask(both, budget), message)
	without(sent, "sluice_", `"Hm"`)
	if field(t, sent, "thinking.type") != `"enabled"` || !strings.Contains(sent, content(signed)) || !strings.Contains(sent, "clear_thinking") {
		t.Errorf("what Claude has thought in this turn is its own: %s", sent)
	}
	sent, _ = answered(t, "together", "messages", "m", ask(both, ""), completed)
	without(sent, "EqQB", "sluice_", "Zw", "thinking_blocks")
	if strings.Count(sent, `"reasoning_content"`) != 2 {
		t.Errorf("thoughts are text where they need no signature: %s", sent)
	}
	sent, _ = answered(t, "gemini", "messages", "m", ask(both, ""), completed)
	if without(sent, "EqQB", "sluice_"); !strings.Contains(sent, `"thought_signature":"Zw"`) {
		t.Errorf("Gemini does not get its own: %s", sent)
	}

	// Those who imitate the dialect without signatures get their thoughts back.
	sent, _ = answered(t, "anthropic", "messages", "kimi", ask(content(unsigned)+result("a"), ""), message)
	if !strings.Contains(sent, `"thinking":"Hm","signature":""`) {
		t.Errorf("sent %s", sent)
	}
	// Bodies without any are not touched.
	same := ask(content(signed)+result("toolu_1"), budget)
	if sent, _ = answered(t, "anthropic", "messages", "m", same, message); sent != same {
		t.Errorf("sent %s", sent)
	}
	// A turn of nothing else goes as a whole.
	sent, _ = answered(t, "anthropic", "messages", "claude-x", ask(`,{"role":"assistant","content":[{"type":"redacted_thinking","data":"sluice_openai.x"} , {"type":"thinking","thinking":"","signature": ""}]},{"role":"user","content":"on"}`, ""), message)
	if field(t, sent, "messages") != `[{"role":"user","content":"go"},{"role":"user","content":"on"}]` {
		t.Errorf("sent %s", sent)
	}

	// Responses: of Claude, then OpenAI itself, then Claude again.
	input := func(items string) string {
		return `{"model":"m","input":[{"role":"user","content":"go"}` + items + `]}`
	}
	_, thought := answered(t, "anthropic", "responses.create", "claude-x", input(""), strings.Replace(field(t, `{"x":`+signed+`}`, "x"), `[{`, `[{"type":"redacted_thinking","data":"c2Vj"},{`, 1))
	items := "," + strings.Trim(field(t, thought, "output"), "[]") + `,{"type":"function_call_output","call_id":"toolu_1","output":"fine"}`
	if !strings.Contains(items, "sluice_anthropic.EqQB") || !strings.Contains(items, "sluice_anthropic.redacted.c2Vj") {
		t.Errorf("got %s", items)
	}
	items += `,{"type":"reasoning","id":"rs_x_0","summary":[{"type":"summary_text","text":"Hm"}]},{"type":"reasoning","id":"rs_0f","summary":[],"encrypted_content":"gAAA"}` +
		`,{"type":"function_call","call_id":"b","name":"f","arguments":"{}","extra_content":{"google":{"thought_signature":"Zw"}}}`
	sent, _ = answered(t, "openai", "responses.create", "m", input(items), responded)
	if without(sent, "sluice_", "rs_x_0", "Zw", "extra_content"); !strings.Contains(sent, `"encrypted_content":"gAAA"`) || !strings.Contains(sent, `"call_id":"toolu_1"`) {
		t.Errorf("sent %s", sent)
	}
	sent, _ = answered(t, "anthropic", "responses.create", "claude-x", input(items), message)
	if without(sent, "sluice_", "gAAA", "Zw"); !strings.Contains(sent, `"signature":"EqQB"`) || !strings.Contains(sent, `"data":"c2Vj"`) {
		t.Errorf("sent %s", sent)
	}

	// Chat completions, natively: each kind keeps what it knows.
	turn := `,{"role":"assistant","reasoning_content":"Hm","content":null,"thinking_blocks":[{"type":"thinking","thinking":"Hm","signature":"EqQB"}],` +
		`"reasoning_details":[{"type":"reasoning.text","text":"Hm"}],"tool_calls":[{"extra_content":{"google":{"thought_signature":"Zw"}},"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	f := func(kind string, keeps ...string) {
		t.Helper()
		sent, _ := answered(t, kind, "chat.completions", "m", `{"model":"m","messages":[{"role":"user","content":"go"}`+turn+`]}`, completed)
		for _, name := range []string{"reasoning_content", "thinking_blocks", "reasoning_details", "extra_content"} {
			if strings.Contains(sent, name) != slices.Contains(keeps, name) {
				t.Errorf("%s: %s in %s", kind, name, sent)
			}
		}
	}
	f("openai")
	f("mistral")
	f("deepseek", "reasoning_content")
	f("gemini", "reasoning_content", "extra_content")
	f("openrouter", "reasoning_content", "reasoning_details", "extra_content")
	f("openai-compatible", "reasoning_content", "thinking_blocks", "reasoning_details", "extra_content")
	turn = strings.Replace(turn, "EqQB", "sluice_openai.gAAA", 1)
	f("openai-compatible", "reasoning_content", "reasoning_details", "extra_content")
}
