package sim_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

func TestConversation(t *testing.T) {
	f := func(message, want string) {
		t.Helper()
		d := unary(t, ask("sim-chat", message, ""))
		if !strings.Contains(d.Text, want) || d.Finish != chat.FinishStop || d.Calls != nil {
			t.Errorf("%q got %+v, want %q in it", message, d, want)
		}
	}
	f("hi", "imulat")
	f("Hello there!", "imulat")
	f("Guten Tag", "Simulator")
	f("ping", "pong")
	f("Thanks a lot", "c") // both answers
	f("What is Sluice?", "gateway")
	f("who are you", "sim-chat")
	f("How do I connect a real provider?", "OPENAI_API_KEY")

	f("what is 12*7?", "= 84")
	f("12 plus 30", "= 42")
	f("What's 0.1+0.2", "= 0.3")
	f("calculate (3+4)*-5", "= -35")
	f("What is 1,234 * 2", "= 2468")
	f("2^3^2 =", "= 512")
	f("how much is 20% of 50", "= 10")
	f("9999999 * 9999999", "= 99999980000001")
	f("7/0", "divided by zero")
	f("9^99999", "larger than I can count")
	f("Is the meeting on 2024-11-23?", "simulator")

	f("Say this is a test", "this is a test")
	f(`Repeat after me: "I am a gateway"`, "I am a gateway")
	f("Reply with the word pong", "pong")
	f("Reply with exactly this text: a b", "a b")

	f("Translate 'good morning' to French", "Bonjour")
	f("How do you say thank you in Japanese?", "ありがとう")
	f("translate the moon to German", "limited to")
	f("What is the capital of Germany?", "Berlin")
	f("Write a haiku", "\n")
	f("tell me a joke", ".")
	f("List four reasons to use Go", "\n4. ")
	f("give me 12 ideas", "\n12. ")
	f("Write a python function", "```python\ndef")
	f("write some code", "```go\nfunc")
	f("Summarize: The cat sat. It was red.", "In short: The cat sat.")
	f("My name is Ada", "Nice to meet you, Ada")
	f("Do you know my name?", "not told me")

	f("Explain quantum entanglement", `"Explain quantum entanglement"`)
	f("Explain quantum entanglement", "simulator")
	f("Explain quantum entanglement", "provider")
	f(strings.Repeat("long ", 1000), "long…")
	f("", "empty message")
}

func TestExactAnswers(t *testing.T) {
	f := func(message, want string) {
		t.Helper()
		if d := unary(t, ask("sim-chat", message, "")); d.Text != want {
			t.Errorf("%q got %q, want %q", message, d.Text, want)
		}
	}
	f("Say hello", "hello")
	f("repeat “two words”", "two words")
	f("Translate hello to Spanish", "Hola")
}

func TestEarlierTurns(t *testing.T) {
	f := func(messages, want string) {
		t.Helper()
		if d := unary(t, `{"model":"m","messages":[`+messages+`]}`); !strings.Contains(d.Text, want) {
			t.Errorf("got %q, want %q", d.Text, want)
		}
	}
	f(`{"role":"user","content":"My name is Ada."},{"role":"assistant","content":"Hi"},{"role":"user","content":"What is my name?"}`, "Ada")
	f(`{"role":"system","content":"Be brief."}`, "empty message")
	f(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}},{"type":"image_url","image_url":{"url":"data:,"}}]}`, "an image at data:,, an image at data:,.")
	f(`{"role":"user","content":[{"type":"text","text":"What is in this picture?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}`, "an image (image/png of 2 bytes)")
	f(`{"role":"user","content":[{"type":"text","text":"what is"},{"type":"text","text":" 2+2"}]}`, "= 4")

	call := `{"role":"user","content":"the weather?"},{"role":"assistant","tool_calls":[` +
		`{"id":"c1","type":"function","function":{"name":"get_weather","arguments":"{}"}},` +
		`{"id":"c2","type":"function","function":{"name":"get_time","arguments":"{}"}}]},`
	f(call+`{"role":"tool","tool_call_id":"c1","content":"{\"temperature_c\":21,\"sky\":\"clear\"}"},{"role":"tool","tool_call_id":"c2","content":"noon"}`,
		"According to get_weather: temperature c is 21, sky is clear.\nAccording to get_time: noon")
	f(call+`{"role":"tool","tool_call_id":"c3","content":""}`, "According to the tool: nothing.")
	f(call+`{"role":"function","name":"old","content":"[1]"}`, "According to old: [1]")
}

// Streams must add up to what the whole answer says.
func TestStreamsAddUp(t *testing.T) {
	f := func(request string) {
		t.Helper()
		r := simulate(t, sim.Options{}, request)
		want := choices(t, r.events[0])
		streamed := simulate(t, sim.Options{}, strings.Replace(request, `"messages"`, streaming+`,"messages"`, 1))
		got := joined(t, streamed.events)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nstreamed %+v\nwhole %+v", request, got, want)
		}
		if last := streamed.events[len(streamed.events)-1]; last != "[DONE]" {
			t.Errorf("the last event is %q", last)
		}
		if streamed.usage != r.usage || r.usage.Provenance != chat.Reported {
			t.Errorf("%s\nusage streamed %+v, whole %+v", request, streamed.usage, r.usage)
		}
		for _, e := range streamed.events {
			if !utf8.ValidString(e) || strings.Contains(e, "\ufffd") {
				t.Errorf("a character was parted: %q", e)
			}
		}
	}
	f(ask("sim-chat", "What is Sluice?", ""))
	f(ask("sim-chat", "What is Sluice?", `"n":4`))
	f(ask("sim-chat", "say żółć, 日本語 and 👩‍👩‍👧‍👦, \\\"quoted\\\"\\n\\n  twice", ""))
	f(ask("sim-chat", "weather in Paris and London", weatherTool))
	f(ask("sim-chat", "weather in Paris and London", weatherTool+`,"n":2`))
	f(ask("sim-chat", "weather in Paris and London", weatherTool+`,"max_tokens":7`))
	f(ask("sim-chat", "x", `"tools":[{"type":"custom","custom":{"name":"shell"}}],"tool_choice":"required"`))
	f(ask("sim-chat", "hi", `"max_tokens":0`))
	f(ask("sim-chat", "hi", `"max_tokens":5,"n":3,"reasoning_effort":"high"`))
	f(ask("sim-long-300", "hi", `"n":2`))
	f(ask("sim-chat", "hi", `"response_format":{"type":"json_object"}`))
}

func TestLimits(t *testing.T) {
	f := func(message, more, text string, finish chat.FinishReason, output int64) {
		t.Helper()
		r := simulate(t, sim.Options{}, ask("sim-chat", message, more))
		d := choices(t, r.events[0])[0]
		if d.Text != text || d.Finish != finish || r.usage.Output != output {
			t.Errorf("%q with %s got %q, %s, %d tokens", message, more, d.Text, d.Finish, r.usage.Output)
		}
	}
	f("say one two three four", "", "one two three four", chat.FinishStop, 4)
	f("say one two three four", `"max_tokens":3`, "one two three", chat.FinishLength, 3)
	f("say one two three four", `"max_tokens":4`, "one two three four", chat.FinishStop, 4)
	f("say one two three four", `"max_completion_tokens":2,"max_tokens":9`, "one two", chat.FinishLength, 2)
	f("say one two three four", `"max_tokens":0`, "", chat.FinishLength, 0)
	f("say one two three four", `"max_tokens":60,"reasoning_effort":"low"`, "", chat.FinishLength, 0)
	f("say one two three four", `"max_tokens":66,"reasoning_effort":"low"`, "one two", chat.FinishLength, 2)
	f("say one two three four", `"stop":" three"`, "one two", chat.FinishStop, 2)
	f("say one two three four", `"stop":["four","","two "]`, "one ", chat.FinishStop, 2)
	f("say one two three four", `"stop":"one"`, "", chat.FinishStop, 0)
	f("say one two three four", `"stop":"five"`, "one two three four", chat.FinishStop, 4)
}

func TestTokens(t *testing.T) {
	f := func(message, more string, want chat.Usage) {
		t.Helper()
		want.Provenance = chat.Reported
		r := simulate(t, sim.Options{}, ask("sim-long-10", message, more))
		if r.usage != want {
			t.Errorf("%.20s with %.40s: %+v, want %+v", message, more, r.usage, want)
		}
	}
	f("hi", "", chat.Usage{Input: 7, Output: 10})
	f("hi", `"n":3`, chat.Usage{Input: 7, Output: 30})
	f("hi", `"reasoning_effort":"medium"`, chat.Usage{Input: 7, Output: 10, Reasoning: 192})
	f("hi", `"reasoning_effort":"none"`, chat.Usage{Input: 7, Output: 10})
	f("hi", `"reasoning_effort":"high","n":2`, chat.Usage{Input: 7, Output: 20, Reasoning: 1024})
	f(strings.Repeat("word ", 2000), "", chat.Usage{Input: 2007, Output: 10}) // only what stands before the last message is a prefix

	text, _ := json.Marshal(strings.Repeat("word ", 2000))
	r := simulate(t, sim.Options{}, `{"model":"sim-long-10","messages":[{"role":"system","content":`+string(text)+`},{"role":"user","content":"hi"}]}`)
	if u := r.usage; u.CacheRead != 1920 || u.Prompt() != 2011 {
		t.Errorf("a long prefix: %+v", u)
	}
	english := "The gateway forwards each request to a provider, relays the stream, and records what it cost. It fails over when one is down."
	if n := simulate(t, sim.Options{}, ask("m", english, "")).usage.Prompt() - 6; n < int64(len(english)/6) || n > int64(len(english)/3) {
		t.Errorf("%d tokens for %d bytes of English", n, len(english))
	}
}

func TestRepeats(t *testing.T) {
	requests := []string{
		ask("sim-chat", "tell me a joke", `"n":5`), ask("sim-chat", "weather in Rome", weatherTool), ask("sim-long-50", "go", ""),
	}
	for _, request := range requests {
		r, err := openai.DecodeRequest([]byte(request))
		if err != nil {
			t.Fatal(err)
		}
		one := sim.Answer(r, 7)
		if again := sim.Answer(r, 7); !reflect.DeepEqual(one, again) {
			t.Errorf("%s: another answer with the same seed", request)
		}
		r.Stream, r.IncludeUsage = true, true
		if again := sim.Answer(r, 7); !reflect.DeepEqual(one, again) {
			t.Errorf("%s: another answer when it is streamed", request)
		}
		if other := sim.Answer(r, 8); other.ID == one.ID || !strings.HasPrefix(other.ID, "chatcmpl-") {
			t.Errorf("%s: ids %q and %q with two seeds", request, one.ID, other.ID)
		}
		r.Messages[0].Parts[0].Text += " "
		if other := sim.Answer(r, 7); other.ID == one.ID {
			t.Errorf("%s: another request got the same id", request)
		}
	}
	// Alternatives that are drawn differ from each other.
	r, err := openai.DecodeRequest([]byte(ask("sim-chat", "tell me a joke", `"n":20`)))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for _, c := range sim.Answer(r, 0).Choices {
		texts[c.Message.Text(chat.PartText)] = true
	}
	if len(texts) < 2 {
		t.Errorf("20 choices, all the same: %v", texts)
	}
}

func TestLong(t *testing.T) {
	f := func(model string, want int) {
		t.Helper()
		r := simulate(t, sim.Options{}, ask(model, "go on", streaming))
		words := 0
		for _, e := range r.events {
			if strings.Contains(e, `"delta":{"content":`) {
				words++
			}
		}
		if words != want || r.usage.Output != int64(want) {
			t.Errorf("%s: %d events with text, %d tokens", model, words, r.usage.Output)
		}
	}
	f("sim-long", 2000)
	f("sim-long-1", 1)
	f("sim-long-777", 777)
	f("sim-fast-long-64-slow-0", 64)
}

// A conversation that ends with the beginning of the answer is gone on with from there, and the two halves are the answer.
func TestPrefill(t *testing.T) {
	ask := func(more ...chat.Message) string {
		r := &chat.Request{Dialect: "anthropic", Model: "sim-chat", Messages: []chat.Message{
			{Role: chat.RoleUser, Parts: []chat.Part{{Text: "Explain how a lock works, please."}}},
		}}
		r.Messages = append(r.Messages, more...)
		a := sim.Answer(r, 7)
		return a.Choices[0].Message.Text(chat.PartText)
	}
	whole := ask()
	if len(whole) < 20 {
		t.Fatalf("too short to cut: %q", whole)
	}
	for _, at := range []int{1, len(whole) / 2, len(whole) - 1} {
		rest := ask(chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Text: whole[:at]}}})
		if whole[:at]+rest != whole {
			t.Errorf("%q is gone on with by %q", whole[:at], rest)
		}
	}
}
