package gateway_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
)

func TestStrategies(t *testing.T) {
	for s, name := range map[gateway.Strategy]string{
		gateway.Ordered: "ordered", gateway.Weighted: "weighted", gateway.LeastLatency: "least_latency", gateway.LeastCost: "least_cost",
	} {
		if got, ok := gateway.ParseStrategy(name); got != s || !ok || s.String() != name {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	if _, ok := gateway.ParseStrategy("Ordered"); ok {
		t.Error("names have one spelling")
	}
}

func TestOverrides(t *testing.T) {
	var all gateway.Overrides
	for name := range strings.FieldsSeq("provider strategy hedge timeout retries fallback") {
		o, ok := gateway.ParseOverride(name)
		if !ok || all&o != 0 {
			t.Errorf("%s: %b, %v", name, o, ok)
		}
		all |= o
	}
	want := gateway.OverrideProvider | gateway.OverrideStrategy | gateway.OverrideHedge | gateway.OverrideTimeout | gateway.OverrideRetries | gateway.OverrideFallback
	if all != want {
		t.Errorf("all are %b, want %b", all, want)
	}
	if _, ok := gateway.ParseOverride("model"); ok {
		t.Error("the model is no override")
	}
}

// opened is an opened exchange at an endpoint.
func opened(t *testing.T, name, dialect, body string) *gateway.Exchange {
	t.Helper()
	x := gatewaytest.New(t, gatewaytest.Request{Endpoint: gatewaytest.Endpoint(name, dialect), Body: body})
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestPromptTokens(t *testing.T) {
	f := func(content string, want int64) {
		t.Helper()
		x := opened(t, "chat.completions", "", `{"model":"m","messages":[{"role":"user","content":`+content+`}]}`)
		if got := x.Request.PromptTokens(); got < want*2/3 || got > want*3/2 {
			t.Errorf("%.60s…: %d tokens, want about %d", content, got, want)
		}
	}
	picture := strings.Repeat("iVBORw0KGgoAAAANSUhEUgAA", 5000)
	f(`"`+strings.Repeat("The quick brown fox jumps. ", 1000)+`"`, 6000) // six tokens each
	f(`"`+strings.Repeat("汉字文本没有空格", 1000)+`"`, 6000)                    // three quarters of the characters
	f(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,`+picture+`"}}]`, 1000)
	f(`[{"type":"input_audio","input_audio":{"data":"`+picture+`","format":"wav"}},{"type":"text","text":"`+strings.Repeat("word ", 4000)+`"}]`, 6000)
	f(`"`+strings.Repeat(`is \";base64,\" short? `, 1000)+`"`, 5500)

	x := gatewaytest.New(t, gatewaytest.Request{})
	if n := x.Request.PromptTokens(); n != 0 {
		t.Errorf("%d tokens before Open", n)
	}
	x = opened(t, "chat.completions", "", gatewaytest.DefaultBody)
	x.Commit()
	if n := x.Request.PromptTokens() + x.Request.AnswerTokens(); n != 0 {
		t.Errorf("%d tokens after the release", n)
	}
}

func TestAnswerTokens(t *testing.T) {
	f := func(endpoint, body string, want int64) {
		t.Helper()
		if got := opened(t, endpoint, "", body).Request.AnswerTokens(); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
	f("chat.completions", `{"model":"m","max_tokens":7}`, 7)
	f("chat.completions", `{"model":"m","max_tokens":7,"max_completion_tokens":8}`, 8)
	f("messages", `{"model":"m","max_tokens":9}`, 9)
	f("responses.create", `{"model":"m","max_output_tokens":10}`, 10)
	f("chat.completions", `{"model":"m","max_output_tokens":10}`, 0)
	f("responses.create", `{"model":"m","x":{"max_output_tokens":10}}`, 0)
	f("chat.completions", `{"model":"m"}`, 0)
	f("chat.completions", `{"model":"m","max_tokens":9223372036854775807}`, gateway.MostAnswer)
	f("responses.create", `{"model":"m","max_output_tokens":-1}`, 0)
}

func TestLikelyAnswer(t *testing.T) {
	f := func(endpoint, body string, want int64) {
		t.Helper()
		if got := opened(t, endpoint, "", body).Request.LikelyAnswer(); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
	f("chat.completions", `{"model":"m","max_tokens":7}`, 7)
	f("responses.create", `{"model":"m"}`, 500)
	f("completions", `{"model":"m"}`, 500)
	f("embeddings", `{"model":"m"}`, 0)
}

func TestUser(t *testing.T) {
	f := func(endpoint, body, want string) {
		t.Helper()
		if got := opened(t, endpoint, "", body).Request.User(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	f("chat.completions", `{"model":"m","user":"u-1"}`, "u-1")
	f("responses.create", `{"model":"m","metadata":{"user_id":"u-2"},"user":"u-1"}`, "u-1")
	f("messages", `{"model":"m","metadata":{"user_id":"u-2"}}`, "u-2")
	f("messages", `{"model":"m","user":"u-1"}`, "")
	f("messages", `{"model":"m","user_id":"u-1","metadata":null}`, "")
	f("chat.completions", `{"model":"m","messages":[{"user":"u-1"}]}`, "")
}
