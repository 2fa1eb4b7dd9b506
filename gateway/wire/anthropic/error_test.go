package anthropic_test

import (
	"encoding/json"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestDecodeError(t *testing.T) {
	f := func(body, message, typ, param, code string) {
		t.Helper()
		got, ok := anthropic.DecodeError([]byte(body))
		if want := (chat.Error{Message: message, Type: typ, Param: param, Code: code}); !ok || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", body, got, ok, want)
		}
	}
	of := func(typ, message string) string {
		return `{"type":"error","error":{"type":"` + typ + `","message":"` + message + `"},"request_id":"req_1"}`
	}
	f(of("invalid_request_error", "max_tokens: Field required"), "max_tokens: Field required", "invalid_request_error", "", "")
	f(of("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), "prompt is too long: 9 tokens > 8 maximum", "invalid_request_error", "", "context_length_exceeded")
	f(of("authentication_error", "m"), "m", "authentication_error", "", "invalid_api_key")
	f(of("billing_error", "m"), "m", "billing_error", "", "insufficient_quota")
	f(of("permission_error", "m"), "m", "permission_error", "", "")
	f(of("not_found_error", "m"), "m", "not_found_error", "", "")
	f(of("not_found_error", "model: claude-0"), "model: claude-0", "not_found_error", "", "model_not_found")
	f(of("request_too_large", "m"), "m", "request_too_large", "", "request_too_large")
	f(of("rate_limit_error", "m"), "m", "rate_limit_error", "", "rate_limit_exceeded")
	f(of("api_error", "m"), "m", "server_error", "", "")
	f(of("timeout_error", "m"), "m", "timeout_error", "", "")
	f(of("overloaded_error", "m"), "m", "overloaded_error", "", "server_is_overloaded")
	f(`{"type":"error","error":{"type":"not_found_error","message":"m","details":{"error_code":"thread_not_found"}}}`, "m", "not_found_error", "", "thread_not_found")
	f(`{"error":{"message":"m","type":"t","param":"p","code":"c"}}`, "m", "t", "p", "c")
	f(`{"error":{"message":7,"details":7}}`, "", "", "", "")
	f(`{"error":"text"}`, "text", "", "", "")
	f(`{"message":"Too many tokens"}`, "Too many tokens", "", "", "")
	f(`{"detail":"Not Found"}`, "Not Found", "", "", "")

	none := func(body string) {
		t.Helper()
		if e, ok := anthropic.DecodeError([]byte(body)); ok {
			t.Errorf("%s: got %+v", body, e)
		}
	}
	none(``)
	none(`null`)
	none(`<html>502</html>`)
	none(`{"error":null}`)
	none(`{"type":"message_start","message":{}}`)
	none(`{"type":"message","content":[]}`)
}

func TestAppendError(t *testing.T) {
	f := func(e chat.Error, want string) {
		t.Helper()
		if got := string(anthropic.AppendError([]byte("!"), e)); got != "!"+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	typed := func(typ, code, want string) {
		t.Helper()
		details := ""
		if code != "" {
			details = `,"details":{"error_code":"` + code + `"}`
		}
		f(chat.Error{Message: "m", Type: typ, Code: code}, `{"type":"error","error":{"type":"`+want+`","message":"m"`+details+`}}`)
	}
	typed("invalid_request_error", "", "invalid_request_error")
	typed("invalid_request_error", "invalid_value", "invalid_request_error")
	typed("invalid_request_error", "invalid_api_key", "authentication_error")
	typed("invalid_request_error", "model_not_found", "not_found_error")
	typed("invalid_request_error", "unknown_endpoint", "not_found_error")
	typed("invalid_request_error", "request_too_large", "request_too_large")
	typed("permission_error", "model_not_allowed", "permission_error")
	typed("insufficient_quota", "insufficient_quota", "billing_error")
	typed("insufficient_quota", "", "billing_error")
	typed("rate_limit_error", "organization_spend_limit_exceeded", "billing_error")
	typed("rate_limit_error", "project_spend_limit_exceeded", "billing_error")
	typed("requests", "", "rate_limit_error")
	typed("tokens", "rate_limit_exceeded", "rate_limit_error")
	typed("rate_limit_error", "", "rate_limit_error")
	typed("server_error", "", "api_error")
	typed("", "", "api_error")
	typed("server_error", "upstream_timeout", "timeout_error")
	typed("service_unavailable_error", "", "overloaded_error")
	typed("server_error", "gateway_busy", "overloaded_error")
	typed("overloaded_error", "", "overloaded_error")
	f(chat.Error{Message: "m", Type: "insufficient_quota", Code: "insufficient_quota", Status: 429},
		`{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"insufficient_quota"}}}`)
	for status, want := range map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
		405: "invalid_request_error", 408: "timeout_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error",
		500: "api_error", 502: "api_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
	} {
		typ := "server_error"
		if status < 500 {
			typ = "invalid_request_error"
		}
		f(chat.Error{Message: "m", Type: typ, Status: status}, `{"type":"error","error":{"type":"`+want+`","message":"m"}}`)
	}
	f(chat.Error{Message: "m", Type: "server_error", RequestID: "req_1"}, `{"type":"error","error":{"type":"api_error","message":"m"},"request_id":"req_1"}`)
	f(chat.Error{Message: "must be 1", Type: "invalid_request_error", Param: "n"}, `{"type":"error","error":{"type":"invalid_request_error","message":"n: must be 1"}}`)
	f(chat.Error{Message: "stop[0]: empty", Type: "invalid_request_error", Param: "stop"}, `{"type":"error","error":{"type":"invalid_request_error","message":"stop[0]: empty"}}`)
	// Clients of this dialect look for these words to shorten the prompt.
	f(chat.Error{Message: "8 tokens at most", Type: "invalid_request_error", Code: "context_length_exceeded"},
		`{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 8 tokens at most","details":{"error_code":"context_length_exceeded"}}}`)

	failure := string(anthropic.AppendFailure(nil, chat.Error{Message: "a\nb", Type: "server_error"}))
	if want := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"a\\nb\"}}\n\n"; failure != want {
		t.Errorf("got %q", failure)
	}
}

func FuzzError(f *testing.F) {
	f.Add([]byte(`{"type":"error","error":{"type":"api_error","message":"m"}}`), "message", "type", "code")
	f.Add([]byte(`{"error":{"details":{"error_code":"x"}}}`), "\"\\\n\x00\xff\u2028é", "not_found_error", "")
	f.Add([]byte(`{"message":{"error":1},"detail":"x"}`), "", "overloaded_error", "insufficient_quota")
	f.Fuzz(func(t *testing.T, data []byte, message, typ, code string) {
		anthropic.DecodeError(data)
		b := anthropic.AppendError(nil, chat.Error{Message: message, Type: typ, Code: code})
		var got struct {
			Error struct{ Type, Message string }
		}
		if err := json.Unmarshal(b, &got); err != nil || got.Error.Type == "" {
			t.Fatalf("%s: %v", b, err)
		}
		e, ok := anthropic.DecodeError(b)
		if !ok || e.Message != got.Error.Message || code != "" && e.Code != valid(code) {
			t.Fatalf("%s is read as %+v", b, e)
		}
		if s, _ := anthropic.Look("error", b, nil); s != chat.Failed {
			t.Fatalf("%s is %s", b, s)
		}
		if s := anthropic.LookWhole(b, nil); s != chat.Failed {
			t.Fatalf("whole, %s is %s", b, s)
		}
	})
}

// valid replaces each byte that is not UTF-8, as encoding/json does.
func valid(s string) string { return string([]rune(s)) }
