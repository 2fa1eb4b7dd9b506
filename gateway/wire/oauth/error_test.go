package oauth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/oauth"
)

func TestAppendError(t *testing.T) {
	f := func(status int, code, want string) {
		t.Helper()
		got := string(oauth.AppendError([]byte("x"), chat.Error{Status: status, Code: code, Message: "m"}))
		if want = `x{"error":"` + want + `","error_description":"m"}`; got != want {
			t.Errorf("%d %q: %s, want %s", status, code, got, want)
		}
	}
	for _, code := range []string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		"server_error", "temporarily_unavailable",
	} {
		f(400, code, code)
	}
	f(400, "invalid_value", "invalid_request")
	f(401, "invalid_api_key", "invalid_client")
	f(403, "", "unauthorized_client")
	f(404, "unknown_endpoint", "invalid_request")
	f(413, "request_too_large", "invalid_request")
	f(429, "too_many_failed_authentications", "temporarily_unavailable")
	f(503, "store_unavailable", "temporarily_unavailable")
	f(500, "internal_error", "server_error")
	f(0, "", "server_error")
	if got := string(oauth.AppendError(nil, chat.Error{Status: 400})); got != `{"error":"invalid_request"}` {
		t.Error(got)
	}
	if got := string(oauth.AppendFailure(nil, chat.Error{Status: 400})); got != "event: error\ndata: {\"error\":\"invalid_request\"}\n\n" {
		t.Error(got)
	}
}

// Whatever the message is, the body is JSON, and its description has no character that RFC 6749 does not allow.
func FuzzAppendError(f *testing.F) {
	f.Add("say \"please\"", "invalid_scope", 400)
	f.Add("a\\b\n\x7fé\xff", "x\"y", 503)
	f.Fuzz(func(t *testing.T, message, code string, status int) {
		var got struct {
			Error       string
			Description string `json:"error_description"`
		}
		body := oauth.AppendError(nil, chat.Error{Message: message, Code: code, Status: status})
		if err := json.Unmarshal(body, &got); err != nil || got.Error == "" || (got.Description == "") != (message == "") {
			t.Fatalf("%s: %v", body, err)
		}
		bad := func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
		if strings.ContainsFunc(got.Description+got.Error, bad) {
			t.Fatalf("%s", body)
		}
	})
}
