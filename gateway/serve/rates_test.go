package serve_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// limited answers, or refuses, an exchange with those rates.
func limited(rates gateway.Rates, kind gateway.Kind, refusal error) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		x.Rates = rates
		if refusal != nil {
			return refusal
		}
		x.Reply = &gateway.Reply{
			Status: 200, ContentType: "application/json", Kind: kind, Stream: gateway.Once([]byte(`{}`)),
			Header: []gateway.Field{
				{Name: "x-ratelimit-limit-requests", Value: "9999"},
				{Name: "X-RateLimit-Reset-Tokens", Value: "9999"},
				{Name: "anthropic-ratelimit-input-tokens-limit", Value: "9999"},
				{Name: "openai-processing-ms", Value: "5"},
			},
		}
		return nil
	}
}

// TestRates tells callers what is left of their limits, in the words of the path's dialect, and nothing of the gateway's own
// limits at the provider.
func TestRates(t *testing.T) {
	rates := gateway.Rates{
		Requests: gateway.Rate{Limit: 600, Remaining: 599, Reset: 100 * time.Millisecond},
		Tokens:   gateway.Rate{Limit: 400_000, Remaining: -3, Reset: 6*time.Minute - time.Nanosecond},
	}
	refusal := &gateway.Error{Status: 429, Type: gateway.TypeRateLimit, Code: "rate_limit_exceeded", Message: "Slower.", RetryAfter: 1200 * time.Millisecond}
	get := func(path string, handler gateway.HandlerFunc) http.Header {
		t.Helper()
		s := start(t, handler)
		c := s.dial()
		c.send(request("POST", path, minimal, "Content-Type: application/json"))
		r, _ := c.response()
		return r.Header
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/responses", "/v1/embeddings"} {
		for name, handler := range map[string]gateway.HandlerFunc{
			"a reply": limited(rates, gateway.Whole, nil), "a stream": limited(rates, gateway.Events, nil), "a refusal": limited(rates, 0, refusal),
		} {
			h := get(path, handler)
			got := ""
			for _, n := range []string{"Limit", "Remaining", "Reset"} {
				got += strings.Join(h.Values("X-Ratelimit-"+n+"-Requests"), "+") + " " + strings.Join(h.Values("X-Ratelimit-"+n+"-Tokens"), "+") + ", "
			}
			if want := "600 400000, 599 0, 100ms 6m0s, "; got != want || strings.Contains(strings.ToLower(headersText(h)), "anthropic") {
				t.Errorf("%s at %s: %s\n%v", name, path, got, h)
			}
			if wait := h.Get("Retry-After") + " " + h.Get("Retry-After-Ms"); name == "a refusal" && wait != "2 1200" || name != "a refusal" && h.Get("Openai-Processing-Ms") != "5" {
				t.Errorf("%s at %s: %v", name, path, h)
			}
		}
	}
	for _, handler := range []gateway.HandlerFunc{limited(rates, gateway.Whole, nil), limited(rates, 0, refusal)} {
		h := get("/v1/messages", handler)
		for name, want := range map[string]string{"Requests-Limit": "600", "Requests-Remaining": "599", "Tokens-Limit": "400000", "Tokens-Remaining": "0"} {
			if got := h.Get("Anthropic-Ratelimit-" + name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		for name, in := range map[string]time.Duration{"Requests-Reset": 0, "Tokens-Reset": 6 * time.Minute} {
			at, err := time.Parse(time.RFC3339, h.Get("Anthropic-Ratelimit-"+name))
			if d := time.Until(at); err != nil || d < in-5*time.Second || d > in+2*time.Second || at.Location() != time.UTC {
				t.Errorf("%s: %v, in %v, %v", name, at, d, err)
			}
		}
		if text := strings.ToLower(headersText(h)); strings.Contains(text, "x-ratelimit") || strings.Contains(text, "9999") {
			t.Error(text)
		}
	}
	// Without limits nothing is said of them, and what the provider says passes.
	if h := get("/v1/chat/completions", limited(gateway.Rates{}, gateway.Whole, nil)); h.Get("X-Ratelimit-Limit-Requests") != "9999" || h.Get("X-Ratelimit-Limit-Tokens") != "" {
		t.Error(h)
	}
	// One limit alone, and no time at all.
	h := get("/v1/chat/completions", limited(gateway.Rates{Tokens: gateway.Rate{Limit: 5}}, gateway.Whole, nil))
	if h.Get("X-Ratelimit-Reset-Tokens") != "0ms" || h.Get("X-Ratelimit-Limit-Requests") != "" {
		t.Error(h)
	}
	reset := func(d time.Duration, want string) {
		t.Helper()
		h := get("/v1/chat/completions", limited(gateway.Rates{Requests: gateway.Rate{Limit: 1, Reset: d}}, gateway.Whole, nil))
		if got := h.Get("X-Ratelimit-Reset-Requests"); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
		if back, err := time.ParseDuration(want); err != nil || back < d { // as upstream reads it, see there
			t.Error(want, err)
		}
	}
	reset(time.Nanosecond, "1ms")
	reset(999*time.Millisecond, "999ms")
	reset(time.Second-1, "1s")
	reset(1500*time.Millisecond, "2s")
	reset(59*time.Second+1, "1m0s")
	reset(2*time.Hour+5*time.Second, "2h0m5s")
}

func headersText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

// TestMaxTokensHeader says what an answer was limited to.
func TestMaxTokensHeader(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		s := start(t, func(x *gateway.Exchange) error {
			x.Attempting(&gateway.Target{Provider: "p", Model: "m"}).MaxTokens = n
			x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once([]byte("{}"))}
			return nil
		})
		c := s.dial()
		c.send(request("POST", "/v1/chat/completions", minimal, "Content-Type: application/json"))
		if r, _ := c.response(); r.Header.Get("X-Sluice-Max-Tokens") != want {
			t.Errorf("%d: %v", n, r.Header)
		}
	}
	f(0, "")
	f(4096, "4096")
}

// TestRefusalsInDialects renders what limits, budgets and the ledger refuse, in every dialect.
func TestRefusalsInDialects(t *testing.T) {
	type want struct{ openAI, anthropic string }
	f := func(e gateway.Error, kind want, retryAfter, shouldRetry string) {
		t.Helper()
		e.Message = "The limit is reached."
		s := start(t, func(*gateway.Exchange) error { return &e })
		for path, kind := range map[string]string{"/v1/chat/completions": kind.openAI, "/v1/responses": kind.openAI, "/v1/messages": kind.anthropic} {
			c := s.dial()
			c.send(request("POST", path, minimal, "Content-Type: application/json"))
			r, body := c.response()
			var got struct {
				Error struct {
					Type, Code, Message string
					Details             struct {
						Code string `json:"error_code"`
					}
				}
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if code := got.Error.Code + got.Error.Details.Code; r.StatusCode != e.Status || got.Error.Type != kind || code != e.Code || got.Error.Message != e.Message {
				t.Errorf("%s at %s: %d %s, want %s", e.Code, path, r.StatusCode, body, kind)
			}
			if r.Header.Get("Retry-After") != retryAfter || r.Header.Get("X-Should-Retry") != shouldRetry {
				t.Errorf("%s at %s: %v", e.Code, path, r.Header)
			}
		}
	}
	limit := want{"rate_limit_error", "rate_limit_error"}
	f(gateway.Error{Status: 429, Type: gateway.TypeRateLimit, Code: "rate_limit_exceeded", RetryAfter: 90 * time.Second}, limit, "90", "")
	f(gateway.Error{Status: 429, Type: gateway.TypeRateLimit, Code: "request_too_large_for_limit", NoRetry: true}, limit, "", "false")
	f(gateway.Error{Status: 429, Type: gateway.TypeRateLimit, Code: "concurrency_limit_exceeded", RetryAfter: time.Second}, limit, "1", "")
	f(gateway.Error{Status: 429, Type: gateway.TypeRateLimit, Code: "too_many_failed_authentications", RetryAfter: 6 * time.Second}, limit, "6", "")
	f(gateway.Error{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota", NoRetry: true, RetryAfter: time.Hour},
		want{"insufficient_quota", "rate_limit_error"}, "3600", "false")
	f(gateway.Error{Status: 400, Type: gateway.TypeInvalidRequest, Code: "model_has_no_price", NoRetry: true},
		want{"invalid_request_error", "invalid_request_error"}, "", "false")
	f(gateway.Error{Status: 403, Type: gateway.TypePermission, Code: "model_not_allowed", NoRetry: true},
		want{"permission_error", "permission_error"}, "", "false")
	out := want{"server_error", "overloaded_error"}
	f(gateway.Error{Status: 503, Type: gateway.TypeServer, Code: "budget_unavailable", RetryAfter: time.Second}, out, "1", "")
	f(gateway.Error{Status: 503, Type: gateway.TypeServer, Code: "ledger_full", RetryAfter: 5 * time.Second}, out, "5", "")
	f(gateway.Error{Status: 503, Type: gateway.TypeServer, Code: "identity_provider_unavailable", RetryAfter: 5 * time.Second}, out, "5", "")
}

// A budget that is spent in the middle of a stream ends it with an event that says so, in every dialect.
func TestSpentInDialects(t *testing.T) {
	f := func(path string, want ...string) {
		t.Helper()
		out := make(chan *events, 1)
		s := start(t, streaming(out))
		c := s.dial()
		c.send(request("POST", path, streamed))
		e := <-out
		e.feed <- &gateway.Error{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota", Message: "The budget is spent."}
		all, _ := io.ReadAll(c.head().Body)
		body := string(all)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: %s lacks %s", path, body, w)
			}
		}
	}
	f("/v1/chat/completions", `data: {"error":{"message":"The budget is spent.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`)
	f("/v1/messages", "event: error\n", `"type":"rate_limit_error","message":"The budget is spent."`)
	f("/v1/responses", "event: error\n", `"code":"insufficient_quota","message":"The budget is spent."`)
}
