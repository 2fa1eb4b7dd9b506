package serve_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// TestTokens asks for tokens: the parameters reach whoever answers, and no cache keeps the answer.
func TestTokens(t *testing.T) {
	answer := func(x *gateway.Exchange) error {
		p, err := x.Request.Params()
		if err != nil {
			return err
		}
		if _, again := x.Request.Params(); again == nil {
			t.Error("the parameters were read twice")
		}
		if x.Request.Model() != "" || !x.Request.Endpoint.Free {
			t.Errorf("%+v", x.Request.Endpoint)
		}
		x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once([]byte(p.Encode()))}
		return nil
	}
	nobody := func(*gateway.Exchange) error { return nil }
	unknown := func(*gateway.Exchange) error {
		return &gateway.Error{Status: 500, Type: gateway.TypeServer, Code: "no_caller", Message: "No plugin of the chain has identified the caller."}
	}
	wrong := func(*gateway.Exchange) error {
		return &gateway.Error{Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Message: `The key "x" is unknown.`, NoRetry: true}
	}
	const form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
	f := func(handler gateway.HandlerFunc, method, path, body, field string, status int, want string) *http.Response {
		t.Helper()
		s := start(t, handler)
		c := s.dial()
		c.send(request(method, path, body, field))
		r, got := c.response()
		if r.StatusCode != status || got != want {
			t.Errorf("%s %s %.50q: %d %s, want %d %s", method, path, body, r.StatusCode, got, status, want)
		}
		if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Pragma") != "no-cache" {
			t.Errorf("%s %s: %v", method, path, r.Header)
		}
		return r
	}
	f(answer, "POST", "/oauth/token", "grant_type=client_credentials&client_secret=a%2Bb+c&scope=", form, 200, "client_secret=a%2Bb+c&grant_type=client_credentials")
	f(answer, "POST", "/oauth/revoke", "token=t", form, 200, "token=t")
	f(answer, "POST", "/oauth/token", "a=1&a=2", form, 400, `{"error":"invalid_request","error_description":"A parameter stands in the body twice."}`)
	f(answer, "POST", "/oauth/token", "a=%zz", form, 400, `{"error":"invalid_request","error_description":"The parameters in the body are malformed."}`)
	f(answer, "POST", "/oauth/token", "a=1;b=2", form, 400, `{"error":"invalid_request","error_description":"The parameters in the body are malformed."}`)
	f(answer, "POST", "/oauth/token", "{}", "Content-Type: application/json", 415,
		`{"error":"invalid_request","error_description":"The parameters must be sent as application/x-www-form-urlencoded."}`)
	f(answer, "POST", "/oauth/token", "a="+strings.Repeat("x", gateway.MaxParams), form, 413,
		`{"error":"invalid_request","error_description":"The request body is larger than the limit of 16384 bytes."}`)
	f(answer, "POST", "/oauth/token?client_secret=s", "a=1", form, 400,
		`{"error":"invalid_request","error_description":"The query contains a credential. URLs end up in logs: send it as 'Authorization: Bearer KEY', and replace it."}`)
	f(answer, "GET", "/oauth/token", "", form, 405, `{"error":"invalid_request","error_description":"This endpoint does not know the method. It allows POST, OPTIONS."}`)
	const none = `{"error":"invalid_request","error_description":"This gateway issues no tokens. Its operator can switch that on in the settings of 'auth'."}`
	f(nobody, "POST", "/oauth/token", "a=1", form, 404, none)
	f(unknown, "POST", "/oauth/revoke", "a=1", form, 404, none)
	r := f(wrong, "POST", "/oauth/token", "a=1", form, 401, `{"error":"invalid_client","error_description":"The key 'x' is unknown."}`)
	if got := r.Header.Get("Www-Authenticate"); !strings.HasPrefix(got, "Basic ") || r.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%v", r.Header)
	}
	f(func(*gateway.Exchange) error { return errors.New("secret") }, "POST", "/oauth/token", "a=1", form, 500,
		`{"error":"server_error","error_description":"The gateway failed. The request id leads to the cause in its log."}`)
}

// A bearer token that is no good is told apart from none (RFC 6750, section 3.1).
func TestChallenge(t *testing.T) {
	f := func(code, want string) {
		t.Helper()
		s := start(t, func(*gateway.Exchange) error {
			return &gateway.Error{Status: 401, Type: gateway.TypeInvalidRequest, Code: code, Message: "No."}
		})
		c := s.dial()
		c.send(request("POST", "/v1/chat/completions", minimal))
		if r, _ := c.response(); r.Header.Get("Www-Authenticate") != want {
			t.Errorf("%s: %v", code, r.Header)
		}
	}
	f("invalid_api_key", "Bearer")
	f("invalid_token", `Bearer error="invalid_token"`)
}
