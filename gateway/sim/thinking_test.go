package sim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// A client that loses what was thought before a call is told so, as Anthropic does (litellm #15601, openai-agents #1704).
func TestThoughtsMustComeBack(t *testing.T) {
	const tools = `"max_tokens":4000,"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`
	messages, via := endpoint(t, "messages"), sim.New("p", sim.Options{})
	say := func(thinking, history string) result {
		t.Helper()
		return send(exchangeAt(t, messages, `{"model":"m",`+tools+`,"thinking":`+thinking+`,"messages":[`+history+`]}`), via, -1)
	}
	const budget, question = `{"type":"enabled","budget_tokens":1024}`, `{"role":"user","content":"What is the weather in Oslo?"}`
	first := say(budget, question)
	var said struct {
		Content []struct{ Type, Signature, ID string }
	}
	var raw struct{ Content []json.RawMessage }
	if err := json.Unmarshal([]byte(first.events[0]), &said); err != nil || json.Unmarshal([]byte(first.events[0]), &raw) != nil {
		t.Fatal(err)
	}
	if len(said.Content) != 2 || said.Content[0].Type != "thinking" || said.Content[0].Signature == "" || said.Content[1].Type != "tool_use" {
		t.Fatalf("got %s", first.events[0])
	}
	thought, call := string(raw.Content[0]), string(raw.Content[1])
	results := `{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + said.Content[1].ID + `","content":"4 degrees"}]}`
	f := func(thinking, blocks, more, refusal string) {
		t.Helper()
		r := say(thinking, question+`,{"role":"assistant","content":[`+blocks+`]},`+results+more)
		text := strings.Join(r.events, "")
		if want := 200; refusal == "" && r.reply.Status != want || refusal != "" && (r.reply.Status != 400 || !strings.Contains(text, refusal)) {
			t.Errorf("%s: got %d %s, not %q", blocks, r.reply.Status, text, refusal)
		}
	}
	f(budget, thought+","+call, "", "")
	f(budget, call, "", "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.")
	f(budget, `{"type":"text","text":"I look."},`+call, "", "but found `text`")
	f(budget, strings.Replace(thought, said.Content[0].Signature, "", 1)+","+call, "", "messages.1.content.0: Invalid `signature`")
	f(budget, strings.Replace(thought, said.Content[0].Signature, "EqQB", 1)+","+call, "", "Invalid `signature`")
	f(`{"type":"adaptive"}`, call, "", "")
	f(`{"type":"disabled"}`, call, "", "")
	f(budget, call, `,{"role":"assistant","content":"4 degrees."},{"role":"user","content":"Thanks"}`, "") // another turn
	f(budget, call, `,{"role":"user","content":"and?"}`, "but found `tool_use`")
}
