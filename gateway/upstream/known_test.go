package upstream_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

var (
	refusing  = &catalog.Model{Sampling: catalog.SamplingRefused}
	sometimes = &catalog.Model{Sampling: catalog.SamplingWithoutReasoning, DefaultEffort: "none"}
	reasoning = &catalog.Model{Sampling: catalog.SamplingWithoutReasoning}
)

// speaker is a provider of a kind, with the endpoints of conversations.
func speaker(t *testing.T, f *fake, kind string, refuse bool) *upstream.Provider {
	t.Helper()
	return provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf(kind)
		c.Endpoints, c.Refuse = conversations(), refuse
	})
}

// A model that accepts no sampling does not get any; one that accepts it beside no reasoning gets it then.
func TestDroppedParameters(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", `{"status":"completed",`+answer[1:])))
	check := func(m *catalog.Model, endpoint, ask, want, dropped string) {
		t.Helper()
		p := speaker(t, f, "openai", false)
		r := pull(at(t, endpoint, ask, "", ""), &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k"), Known: m})
		got := f.seen()
		if r.err != nil || got[len(got)-1].body != want {
			t.Errorf("%v %s, want %s", r.err, got[len(got)-1].body, want)
		}
		if h := r.reply.Header; dropped == "" != (len(h) == 0) || dropped != "" && (len(h) != 1 || h[0].Value != dropped) {
			t.Errorf("%s: headers %v", ask, h)
		}
	}
	const completions, responses = "chat.completions", "responses.create"
	check(refusing, completions, `{"temperature":0,"model":"m","top_p":1, "messages":[] , "temperature2":1}`, `{"model":"m", "messages":[] , "temperature2":1}`, "temperature, top_p")
	check(refusing, completions, `{"model":"m","messages":[],"top_p":1,"temperature": 0.5}`, `{"model":"m","messages":[]}`, "top_p, temperature")
	check(refusing, completions, `{"model":"m","messages":[]}`, `{"model":"m","messages":[]}`, "")
	stays := func(m *catalog.Model, endpoint, ask string) {
		t.Helper()
		check(m, endpoint, ask, ask, "")
	}
	stays(nil, completions, `{"model":"m","messages":[],"temperature":0}`)
	stays(&catalog.Model{Sampling: catalog.SamplingAccepted}, completions, `{"model":"m","messages":[],"temperature":0}`)
	stays(sometimes, completions, `{"model":"m","messages":[],"temperature":0}`)
	stays(sometimes, completions, `{"model":"m","messages":[],"temperature":0,"reasoning_effort":"none"}`)
	stays(reasoning, completions, `{"model":"m","messages":[],"temperature":0,"reasoning_effort":"none"}`)
	stays(reasoning, responses, `{"model":"m","input":"","temperature":0,"reasoning":{"effort":"none"}}`)
	check(sometimes, completions, `{"model":"m","temperature":0,"messages":[],"reasoning_effort":"low"}`, `{"model":"m","messages":[],"reasoning_effort":"low"}`, "temperature")
	check(reasoning, completions, `{"model":"m","messages":[],"temperature":0}`, `{"model":"m","messages":[]}`, "temperature")
	check(sometimes, responses, `{"model":"m","input":"","temperature":0,"reasoning":{"effort":"high"}}`, `{"model":"m","input":"","reasoning":{"effort":"high"}}`, "temperature")
	check(reasoning, responses, `{"model":"m","input":"","temperature":0,"reasoning":null}`, `{"model":"m","input":"","reasoning":null}`, "temperature")
}

// Where the operator wants to be told, it is an error instead, and the provider is not asked.
func TestRefusedParameters(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	check := func(kind, endpoint, ask string) {
		t.Helper()
		p := speaker(t, f, kind, true)
		r := pull(at(t, endpoint, ask, "", ""), &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k"), Known: refusing})
		r.a.Err = r.err
		if e, ok := r.err.(*gateway.Error); !ok || e.Status != 400 || e.Param != "temperature" || r.x.Cost() != (catalog.Cost{Known: true}) { //nolint:errorlint // bare, or the test fails
			t.Errorf("%s at %s: %v, cost %+v", endpoint, kind, r.err, r.x.Cost())
		}
	}
	check("openai", "chat.completions", `{"model":"m","messages":[],"temperature":0}`)
	check("anthropic", "chat.completions", `{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}`)
	check("openai", "messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}],"temperature":0}`)
	if n := len(f.seen()); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// A translated request is what the model can take: its limit, its way to think, its sampling.
func TestKnownModels(t *testing.T) {
	check := func(kind, endpoint, ask string, m *catalog.Model, with string, without ...string) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", map[string]string{"anthropic": message}[kind]+map[string]string{"together": answer}[kind])))
		r := pull(at(t, endpoint, ask, "", ""), &gateway.Target{Provider: "fake", Model: "m", Via: speaker(t, f, kind, false).WithKey("k"), Known: m})
		if r.err != nil {
			t.Fatal(r.err)
		}
		body := f.seen()[0].body
		if !strings.Contains(body, with) {
			t.Errorf("%s lacks %s", body, with)
		}
		for _, s := range without {
			if strings.Contains(body, s) {
				t.Errorf("%s has %s", body, s)
			}
		}
	}
	const ask = `{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"high","temperature":1}`
	check("anthropic", "chat.completions", ask, &catalog.Model{Output: 4321, Thinking: catalog.ThinkingAdaptive, Sampling: catalog.SamplingRefused}, `"type":"adaptive"`, `"temperature"`, "budget_tokens")
	check("anthropic", "chat.completions", ask, &catalog.Model{Output: 4321, Thinking: catalog.ThinkingAlways}, `"max_tokens":4321`)
	check("anthropic", "chat.completions", ask, &catalog.Model{Output: 4321, Thinking: catalog.ThinkingBudget}, "budget_tokens")

	check("anthropic", "chat.completions", strings.Replace(ask, "high", "none", 1), &catalog.Model{Thinking: catalog.ThinkingAlways}, `"effort":"low"`, "disabled")
	c, err := catalog.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	const thinking = `{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"enabled","budget_tokens":8000}}`
	check("together", "messages", thinking, c.Lookup("openai", "gpt-4o"), `"messages"`, "reasoning_effort")
	check("together", "messages", thinking, c.Lookup("openai", "o3"), `"reasoning_effort":"medium"`)
	check("together", "messages", thinking, nil, `"reasoning_effort":"medium"`)
	check("together", "messages", strings.Replace(thinking, "enabled", "disabled", 1), c.Lookup("openai", "o3"), `"reasoning_effort":"low"`)

	const hi = `{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}],"temperature":0.5`
	check("together", "messages", hi+`}`, sometimes, `"temperature":0.5`)
	check("together", "messages", hi+`}`, reasoning, `"messages"`, `"temperature"`)
	check("together", "messages", hi+`,"thinking":{"type":"disabled"}}`, reasoning, `"temperature":0.5`)
	check("together", "messages", hi+`,"output_config":{"effort":"low"}}`, sometimes, `"messages"`, `"temperature"`)
}

// The usage of a stream that was cut short is less than what will be charged, also where some was told.
func TestUsageOfCutStreams(t *testing.T) {
	check := func(kind, endpoint, ask, stream string, want chat.Provenance) {
		t.Helper()
		f := newFake(t, nil, say(stream))
		r := pull(at(t, endpoint, ask, "", ""), &gateway.Target{Provider: "fake", Model: "m", Via: speaker(t, f, kind, false).WithKey("k")})
		if !r.sent || r.a.Usage.Provenance != want || r.x.Usage != r.a.Usage {
			t.Errorf("%s: usage %+v, %+v, %v", kind, r.a.Usage, r.x.Usage, r.err)
		}
	}
	const ask = `{"model":"m","stream":true,"max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`
	cut := func(n int) string { return named(messageEvents[:n]...) + last }
	check("anthropic", "messages", ask, cut(4), chat.Aborted)
	check("anthropic", "chat.completions", ask, cut(5), chat.Aborted)
	check("anthropic", "messages", ask, cut(6), chat.Reported)
	check("anthropic", "messages", ask, cut(7), chat.Reported)
	check("openai", "chat.completions", ask, sseHead+events(hello)+last, chat.Aborted)
	check("openai", "chat.completions", ask, sseHead+events(`{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)+last, chat.Aborted)
	check("openai", "chat.completions", ask, sseHead+events(hello, finish, usage)+last, chat.Reported)
	check("openai", "chat.completions", ask, sseHead+events(hello, finish, usage, done)+last, chat.Reported)
}

// What a whole reply cost is known as soon as it is there: its headers can tell.
func TestUsageBeforeTheEnd(t *testing.T) {
	check := func(kind, endpoint, ask, reply string, want chat.Usage) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", reply)))
		x := at(t, endpoint, ask, "", "")
		target := &gateway.Target{Provider: "fake", Model: "m", Via: speaker(t, f, kind, false).WithKey("k")}
		a := x.Attempting(target)
		r, err := target.Via.Send(x, target, a)
		if err != nil {
			t.Fatal(err)
		}
		want.Provenance = chat.Reported
		if a.Usage != want {
			t.Errorf("%+v, want %+v", a.Usage, want)
		}
		_ = r.Stream.Close()
		if a.Usage != want {
			t.Errorf("closed: %+v, want %+v", a.Usage, want)
		}
	}
	const ask = `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`
	flex := strings.TrimSuffix(answer, "}") + `,"service_tier":"flex"}`
	check("openai", "chat.completions", ask, answer, chat.Usage{Input: 5, Output: 2})
	check("openai", "chat.completions", ask, flex, chat.Usage{Input: 5, Output: 2, Tier: "flex"})
	check("anthropic", "chat.completions", ask, message, chat.Usage{Input: 5, CacheRead: 3, Output: 2})
}

// Instructions in the middle of a conversation stay there for models that take them, and move to the front for others.
func TestMidSystem(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", message)))
	p := speaker(t, f, "anthropic", false)
	check := func(model string, stays bool) {
		t.Helper()
		f.forget()
		const ask = `{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"developer","content":"Be brief."}]}`
		r := pull(at(t, "chat.completions", ask, "", ""), &gateway.Target{Provider: "fake", Model: model, Via: p.WithKey("k")})
		if r.err != nil {
			t.Fatal(r.err)
		}
		if body := f.seen()[0].body; strings.Contains(body, `{"role":"system"`) != stays || strings.Contains(body, `"system":[`) == stays {
			t.Errorf("%s: %s", model, body)
		}
	}
	check("claude-opus-4-8", true)
	check("claude-opus-5-5", true)
	check("claude-haiku-5-5-20260901", true)
	check("claude-sonnet-5", false)
	check("claude-haiku-4-5", false)
	check("m", false)
}

// Models that refuse functions beside thoughts at chat completions are asked at Responses for what is translated.
func TestCallsInResponses(t *testing.T) {
	const (
		tools  = `,"tools":[{"name":"f","input_schema":{"type":"object"}}]`
		hosted = `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`
		called = `{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}","status":"completed"}]}`
	)
	check := func(kind, model, members, reply, path, stop string) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", reply)))
		p := speaker(t, f, kind, false)
		x := at(t, "messages", `{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}]`+members+`}`, "", "")
		r := pull(x, &gateway.Target{Provider: "fake", Model: model, Via: p.WithKey("k")})
		if r.err != nil {
			t.Fatal(r.err)
		}
		if seen := f.seen()[0]; !strings.Contains(seen.head, path+" HTTP/1.1") || field(t, r.events[0], "stop_reason") != stop {
			t.Errorf("%s, %s, %s: %s, %s", kind, model, members, seen.head, r.events)
		}
	}
	check("openai", "gpt-5.6-sol", tools, called, "/responses", `"tool_use"`)
	check("azure", "gpt-6-luna", tools, called, "/responses", `"tool_use"`)
	check("openai", "gpt-5.6-sol", "", answer, "/chat/completions", `"end_turn"`)
	check("openai", "gpt-5.6-sol", hosted, answer, "/chat/completions", `"end_turn"`)
	check("openai", "gpt-4.1", tools, answer, "/chat/completions", `"end_turn"`)
	check("azure-classic", "gpt-5.6-sol", tools, answer, "/chat/completions", `"end_turn"`)
	check("openai-compatible", "gpt-5.6-sol", tools, answer, "/chat/completions", `"end_turn"`)
}

// Who runs templates of models gets all instructions in one message in front; others where they stand.
func TestSystemFirst(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	check := func(kind string, first bool) {
		t.Helper()
		f.forget()
		const ask = `{"model":"m","max_tokens":9,"system":"a","messages":[{"role":"user","content":"hi"},{"role":"system","content":"b"}]}`
		p := speaker(t, f, kind, false)
		if r := pull(at(t, "messages", ask, "", ""), &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k")}); r.err != nil {
			t.Fatal(r.err)
		}
		const apart = `{"role":"user","content":"hi"},{"role":"system","content":"b"}]`
		if body := f.seen()[0].body; strings.Contains(body, apart) == first || first && strings.Count(body, `"system"`) != 1 {
			t.Errorf("%s: %s", kind, body)
		}
	}
	for _, kind := range []string{"openai", "azure", "gemini", "groq", "deepseek", "xai", "cohere"} {
		check(kind, false)
	}
	for _, kind := range []string{"mistral", "together", "ollama", "vllm", "openai-compatible"} {
		check(kind, true)
	}
}
