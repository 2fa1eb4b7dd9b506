package serve_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

// echo answers with what has reached the chain.
func echo(x *gateway.Exchange) error {
	e := x.Request.Endpoint
	text := e.Name + " in " + e.Dialect + " of " + x.Request.Param + "?" + x.Request.Query
	x.Reply = &gateway.Reply{Status: 200, ContentType: "text/plain", Stream: gateway.Once([]byte(text))}
	return nil
}

// TestEndpoints asks every endpoint once.
func TestEndpoints(t *testing.T) {
	s := start(t, echo)
	var seen []string
	for _, e := range serve.Endpoints() {
		policy := gateway.Callers
		if e.Dialect == "oauth" { // who asks for a token says in the body who it is
			policy = gateway.Public
		}
		if slices.Contains(seen, e.Name+e.Dialect) || e.Policy != policy || e.Forward != "" && e.Path != "/v1"+e.Forward {
			t.Errorf("%+v", e)
		}
		seen = append(seen, e.Name+e.Dialect)
		body, fields := minimal, []string{"Content-Type: application/json"}
		if e.Body == gateway.NoBody {
			body = ""
		}
		if e.Dialect == "anthropic" {
			fields = append(fields, "anthropic-version: 2023-06-01")
		}
		path, param := e.Path, ""
		if strings.Contains(path, "{id") {
			param = "x-1~a.b_c"
			path = strings.NewReplacer("{id}", param, "{id...}", param).Replace(path)
		}
		c := s.dial()
		c.send(request(e.Method, path+"?limit=2", body, fields...))
		want := e.Name + " in " + e.Dialect + " of " + param + "?limit=2"
		if r, got := c.response(); r.StatusCode != 200 || got != want {
			t.Errorf("%s %s: %d %q", e.Method, path, r.StatusCode, got)
		}
	}
	for _, name := range []string{"chat.completions", "responses.create", "messages", "files.content", "batches.cancel", "oauth.token", "oauth.revoke"} {
		if !slices.ContainsFunc(seen, func(s string) bool { return strings.HasPrefix(s, name) }) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestPaths(t *testing.T) {
	s := start(t, echo)
	ask := func(method, path, fields string) (status int, body, allow string) {
		t.Helper()
		c := s.dial()
		c.send(method + " " + path + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n")
		r, body := c.response()
		return r.StatusCode, body, r.Header.Get("Allow")
	}
	good := func(method, path, want string) {
		t.Helper()
		if status, body, _ := ask(method, path, ""); status != 200 || body != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	good("GET", "/v1/files/file-a", "files.retrieve in openai of file-a?")
	good("GET", "/v1/files/file-a/content", "files.content in openai of file-a?")
	good("GET", "/v1/files/content", "files.retrieve in openai of content?")
	good("GET", "/v1/files/file-a%7Eopenai", "files.retrieve in openai of file-a~openai?")
	good("GET", "/v1/files/a%40b:c+d", "files.retrieve in openai of a@b:c+d?")
	good("POST", "/v1/responses/resp_1/cancel", "responses.cancel in responses of resp_1?")
	good("GET", "/v1/models/a/b/content", "models.retrieve in openai of a/b/content?")
	good("GET", "http://any.host/v1/files/x?after=y", "files.retrieve in openai of x?after=y")
	good("GET", "/v1/models/m", "models.retrieve in openai of m?")
	if _, body, _ := ask("GET", "/v1/models/m", "Anthropic-Version: 2023-06-01\r\n"); body != "models.retrieve in anthropic of m?" {
		t.Error(body)
	}

	bad := func(method, path string, status int, want, allow string) {
		t.Helper()
		got, body, allowed := ask(method, path, "")
		if got != status || code(t, body) != want || allowed != allow {
			t.Errorf("%s %s: %d %s, Allow: %q", method, path, got, body, allowed)
		}
	}
	bad("GET", "/v1/realtime", 404, "unknown_endpoint", "")
	for _, path := range []string{
		"/v1/files/", "/v1/files/a/b", "/v1/files/a/content/", "/v1/files//content", "/v1/files/a//content", "/v1/responses//cancel",
		"/v1/batches/b/cancel/cancel", "/v1/responses/a/input_items/b", "/v1/models/",
	} {
		bad("GET", path, 404, "unknown_endpoint", "")
	}
	// What could not stand in the path towards the provider is no id.
	for _, id := range []string{"a%2Fb", "..", "%2e%2e", ".", "..~openai", "~openai", "%2E~openai", "a%20b", "a%3Fb", "a%23b", "a%25b", "a%00b", "%C3%A9", "%zz"} {
		bad("GET", "/v1/files/"+id, 400, "bad_path", "")
	}
	bad("PUT", "/v1/files", 405, "method_not_allowed", "POST, GET, OPTIONS")
	bad("POST", "/v1/files/a", 405, "method_not_allowed", "GET, DELETE, OPTIONS")
	bad("GET", "/v1/files/a/cancel", 404, "unknown_endpoint", "")
	bad("GET", "/v1/batches/a/cancel", 405, "method_not_allowed", "POST, OPTIONS")
	bad("GET", "/v1/responses/compact", 405, "method_not_allowed", "POST, OPTIONS")
	bad("POST", "/v1/models", 405, "method_not_allowed", "GET, OPTIONS")
}

func TestQuery(t *testing.T) {
	s := start(t, echo)
	f := func(query string, status int, want string) {
		t.Helper()
		c := s.dial()
		c.send(request("GET", "/v1/files?"+query, ""))
		r, body := c.response()
		if r.StatusCode != status || status == 200 && body != "files.list in openai of ?"+want || status != 200 && code(t, body) != want {
			t.Errorf("%q: %d %s", query, r.StatusCode, body)
		}
	}
	for _, q := range []string{"", "limit=2&after=file-1", "a=b%20c", "include[]=x&include%5B%5D=y", "a=?/:@!$'()*,;~+", "keys=1", strings.Repeat("x", 2048)} {
		f(q, 200, q)
	}
	for _, q := range []string{"a=\"", "a=<b>", "a=`", "a={}", "a=|", "a=\\", "a=é", "a=\xff", "a=%zz", "a=%4"} {
		f(q, 400, "bad_query")
	}
	f(strings.Repeat("x", 2049), 414, "bad_query")
	for _, q := range []string{"key=x", "a=b&api_key=x", "API-Key=x", "access_token=x", "x-api-key=", "apikey", "%6Bey=x", "api%5fkey=x"} {
		f(q, 400, "credential_in_query")
	}
}

// What is not named here costs nothing, whatever the provider's prices are.
func TestCharged(t *testing.T) {
	want := []string{
		"chat.completions", "completions", "embeddings", "moderations", "images.generations", "images.edits", "images.variations",
		"audio.speech", "audio.transcriptions", "audio.translations", "batches.create", "responses.create", "responses.compact", "messages",
	}
	var got []string
	for _, e := range serve.Endpoints() {
		if !e.Free {
			got = append(got, e.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
