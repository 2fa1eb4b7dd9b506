package upstream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
)

// answers are whole replies, by the endpoint that a kind of provider is asked at.
var answers = map[string]string{"/messages": message, "/responses": `{"id":"resp_1","object":"response","status":"completed","output":[]}`}

// limitless is a fake that answers at any endpoint.
func limitless(t *testing.T) *fake {
	f := newFake(t, nil, nil)
	f.script = func(c net.Conn, _ int) bool {
		seen := f.seen()
		path := strings.Fields(seen[len(seen)-1].head)[1]
		body := answers[strings.TrimPrefix(path, "/v1")]
		if body == "" {
			body = answer
		}
		return say(whole("200 OK", body))(c, 0)
	}
	return f
}

// clampedTo sends a request whose answer is limited to n tokens, and gives what the provider has got.
func clampedTo(t *testing.T, f *fake, kind, endpoint, ask string, n int64, refuse bool) (body string, r result) {
	t.Helper()
	f.forget()
	p := speaker(t, f, kind, refuse)
	x := at(t, endpoint, ask, "", "")
	target := &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k")}
	r = result{x: x, a: x.Attempting(target)}
	r.a.MaxTokens = n
	if r.reply, r.err = target.Via.Send(x, target, r.a); r.err == nil {
		_ = r.reply.Stream.Close()
	}
	if seen := f.seen(); len(seen) == 1 {
		body = seen[0].body
	}
	return body, r
}

// TestClamp asks providers of all kinds for answers of 2,000 tokens at most.
func TestClamp(t *testing.T) {
	f := limitless(t)
	sent := func(kind, endpoint, ask, want string) {
		t.Helper()
		if got, r := clampedTo(t, f, kind, endpoint, ask, 2000, false); r.err != nil || got != want {
			t.Errorf("%s at %s: %s: %v\n got %s\nwant %s", endpoint, kind, ask, r.err, got, want)
		}
	}
	sent("openai", "chat.completions", `{"model":"m","n":3,"messages":[]}`, `{"max_completion_tokens":2000,"model":"m","n":3,"messages":[]}`)
	sent("openai", "chat.completions", `{"model":"x","messages":[],"max_tokens": 4096}`, `{"model":"m","messages":[],"max_tokens": 2000}`)
	sent("openai", "chat.completions", `{"model":"m","messages":[],"max_completion_tokens":100}`, `{"model":"m","messages":[],"max_completion_tokens":100}`)
	sent("openai", "responses.create", `{"model":"m","input":"hi","max_output_tokens":null}`, `{"model":"m","input":"hi","max_output_tokens":2000}`)
	sent("anthropic", "messages", `{"model":"m","max_tokens":64000,"messages":[]}`, `{"model":"m","max_tokens":2000,"messages":[]}`)

	// Providers that know the old name only.
	sent("mistral", "chat.completions", `{"model":"m","messages":[]}`, `{"max_tokens":2000,"model":"m","messages":[]}`)
	sent("mistral", "chat.completions", `{"max_completion_tokens":4000,"model":"m","messages":[]}`, `{"max_tokens":2000,"model":"m","messages":[]}`)
	sent("mistral", "chat.completions", `{"max_completion_tokens":null,"model":"m","messages":[]}`, `{"max_tokens":2000,"model":"m","messages":[]}`)
	sent("mistral", "chat.completions", `{"model":"m","messages":[],"max_completion_tokens":null}`, `{"max_tokens":2000,"model":"m","messages":[]}`)
	sent("mistral", "chat.completions", `{"max_completion_tokens":null,"max_tokens":null,"model":"m","messages":[]}`, `{"max_tokens":2000,"model":"m","messages":[]}`)
	sent("mistral", "chat.completions", `{"max_completion_tokens":4000,"max_tokens":5000,"model":"m","messages":[]}`, `{"max_tokens":2000,"model":"m","messages":[]}`)
	sent("mistral", "chat.completions", `{"max_completion_tokens":null,"max_tokens":5000,"model":"m","messages":[]}`, `{"max_tokens":2000,"model":"m","messages":[]}`)

	// A budget for thinking must be less than the limit.
	think := func(budget int) string {
		return fmt.Sprintf(`{"model":"m","max_tokens":64000,"thinking":{"type":"enabled", "budget_tokens" : %d},"messages":[]}`, budget)
	}
	sent("anthropic", "messages", think(1999), strings.Replace(think(1999), "64000", "2000", 1))
	sent("anthropic", "messages", think(2000), strings.Replace(think(1500), "64000", "2000", 1))
	sent("anthropic", "messages", think(32000), strings.Replace(think(1500), "64000", "2000", 1))
	sent("openrouter", "chat.completions", `{"model":"m","messages":[],"reasoning":{"max_tokens":9000}}`,
		`{"max_completion_tokens":2000,"model":"m","messages":[],"reasoning":{"max_tokens":1500}}`)
	for _, n := range []int64{16, 1024} {
		got, r := clampedTo(t, f, "anthropic", "messages", think(1024), n, false)
		if e, ok := errors.AsType[*gateway.Error](r.err); !ok || e.Status != 400 || e.Param != "thinking" || e.Sent || got != "" {
			t.Errorf("%d tokens: %v, sent %s", n, r.err, got)
		}
	}
	if got, r := clampedTo(t, f, "anthropic", "messages", think(32000), 1025, false); r.err != nil || !strings.Contains(got, `"budget_tokens" : 1024}`) {
		t.Error(got, r.err)
	}
	if got, r := clampedTo(t, f, "openai", "responses.create", `{"model":"m","input":"hi"}`, 15, false); codeOf(r.err) != gateway.CodeUnsupported || got != "" {
		t.Error(got, r.err)
	}
}

// TestClampTranslated limits answers of providers that speak another dialect than the caller.
func TestClampTranslated(t *testing.T) {
	f := limitless(t)
	sent := func(kind, endpoint, ask string, n int64, want ...string) {
		t.Helper()
		got, r := clampedTo(t, f, kind, endpoint, ask, n, false)
		for _, w := range want {
			if r.err != nil || !strings.Contains(got, w) {
				t.Errorf("%s at %s: %v\n%s\nlacks %s", endpoint, kind, r.err, got, w)
			}
		}
		if q, err := r.x.Request.Chat(); err != nil || q.MaxTokens != nil && *q.MaxTokens <= n && !strings.Contains(ask, fmt.Sprint(*q.MaxTokens)) {
			t.Errorf("the caller's request was changed: %+v, %v", q, err)
		}
	}
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	sent("anthropic", "chat.completions", `{"model":"m",`+hi+`}`, 2000, `"max_tokens":2000`)
	sent("anthropic", "chat.completions", `{"model":"m","max_tokens":9000,`+hi+`}`, 2000, `"max_tokens":2000`)
	sent("anthropic", "chat.completions", `{"model":"m","max_tokens":9,`+hi+`}`, 2000, `"max_tokens":9`)
	sent("openai", "messages", `{"model":"m","max_tokens":9000,`+hi+`}`, 2000, `"max_completion_tokens":2000`)
	sent("together", "messages", `{"model":"m","max_tokens":9000,`+hi+`}`, 2000, `"max_tokens":2000`)
	sent("anthropic", "responses.create", `{"model":"m","input":"hi"}`, 2000, `"max_tokens":2000`)
	sent("together", "responses.create", `{"model":"m","input":"hi","max_output_tokens":9000}`, 2000, `"max_tokens":2000`)
	sent("openrouter", "responses.create", `{"model":"m","input":"hi"}`, 2000, `"max_completion_tokens":2000`)
	sent("anthropic", "chat.completions", `{"model":"m","reasoning_effort":"high",`+hi+`}`, 2000, `"max_tokens":2000`, `"budget_tokens":1`)
}

// TestClampLeavesTheRest sends bodies to providers of all kinds with and without a limit: beside the limit they are the same,
// byte for byte.
func TestClampLeavesTheRest(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	f := limitless(t)
	asks := []struct{ kind, endpoint, limit string }{
		{"openai", "chat.completions", "max_completion_tokens"},
		{"mistral", "chat.completions", "max_tokens"},
		{"anthropic", "messages", "max_tokens"},
		{"openai", "responses.create", "max_output_tokens"},
	}
	for range 120 {
		a := asks[rng.IntN(len(asks))]
		members := []string{`"model":"m"`, `"messages":[ ]`, `"input" :"x"`, `"temperature":0.5`, `"user":null`, `"y":{"max_tokens": 1e3}`}
		value := []string{"", "null", "3000"}[rng.IntN(3)]
		if value != "" {
			members = append(members, `"`+a.limit+`" : `+value)
		}
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		ask := "{\n" + strings.Join(members, " , ") + "}"
		without, r := clampedTo(t, f, a.kind, a.endpoint, ask, 0, false)
		if r.err != nil {
			t.Fatal(r.err)
		}
		with, r := clampedTo(t, f, a.kind, a.endpoint, ask, 2000, false)
		want := strings.Replace(without, `"`+a.limit+`" : `+value, `"`+a.limit+`" : 2000`, 1)
		if value == "" {
			want = strings.Replace(without, "{", `{"`+a.limit+`":2000,`, 1)
		}
		if r.err != nil || with != want || !json.Valid([]byte(with)) {
			t.Fatalf("%s at %s: %v\nwithout %s\n   with %s\n   want %s", a.endpoint, a.kind, r.err, without, with, want)
		}
	}
}

// Where a model is known to think by a budget, and the operator wants to be told, too little room for it is an error.
func TestClampOfKnownModel(t *testing.T) {
	f := limitless(t)
	p := speaker(t, f, "anthropic", true)
	x := at(t, "chat.completions", `{"model":"m","reasoning_effort":"high","messages":[{"role":"user","content":"hi"}]}`, "", "")
	target := &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k"), Known: &catalog.Model{Output: 9000, Thinking: catalog.ThinkingBudget}}
	a := x.Attempting(target)
	a.MaxTokens = 500
	if _, err := target.Via.Send(x, target, a); codeOf(err) != gateway.CodeUnsupported {
		t.Errorf("there is no room to think: %v", err)
	}
	a.MaxTokens = 5000
	reply, err := target.Via.Send(x, target, a)
	if err != nil {
		t.Fatal(err)
	}
	_ = reply.Stream.Close()
	if got := f.seen()[0].body; !strings.Contains(got, `"max_tokens":5000`) {
		t.Error(got)
	}
}
