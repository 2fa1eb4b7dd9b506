package openai_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

func TestDecodeError(t *testing.T) {
	f := func(body, message, typ, param, code string) {
		t.Helper()
		got, ok := openai.DecodeError([]byte(body))
		if want := (chat.Error{Message: message, Type: typ, Param: param, Code: code}); !ok || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", body, got, ok, want)
		}
	}
	f(`{"error":{"message":"bad","type":"invalid_request_error","param":"n","code":"unsupported_value"}}`,
		"bad", "invalid_request_error", "n", "unsupported_value")
	f(`{"error":{"message":"bad","type":"server_error","param":null,"code":null}}`, "bad", "server_error", "", "")
	f(`{"error":{"message":"busy","code":502,"metadata":{"provider_name":"x"}},"user_id":"u"}`, "busy", "", "", "502")
	f(`[{"error":{"code":400,"message":"key","status":"INVALID_ARGUMENT"}}]`, "key", "INVALID_ARGUMENT", "", "400")
	f(` [ {"error":{"message":"a"}}, {"error":{"message":"b"}} ] `, "a", "", "", "")
	f(`{"error":"model not found"}`, "model not found", "", "", "")
	f(`{"code":"invalid argument","error":"bad model"}`, "bad model", "", "", "invalid argument")
	f(`{"object":"error","message":"m","type":"NotFoundError","param":null,"code":404}`, "m", "NotFoundError", "", "404")
	f(`{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"too many","type":"value"}]},"type":"invalid_request_error"}`,
		"too many", "invalid_request_error", "", "")
	f(`{"detail":"Not Found"}`, "Not Found", "", "", "")
	f(`{"detail":[{"loc":["body"],"msg":"Field required","type":"missing"}]}`, "Field required", "", "", "")
	f(`{"message":"Too many tokens"}`, "Too many tokens", "", "", "")
	f(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "Overloaded", "overloaded_error", "", "")
	f(`{"error":{"message":17,"type":["odd"],"param":{},"code":true}}`, "17", "odd", "", "")
	f(`{"error":{}}`, "", "", "", "")
	f(`{"choices":[],"x_groq":{"id":"req_1","error":"over capacity"}}`, "over capacity", "", "", "")
	f(`{"error":null,"x_groq":{"error":{"message":"busy","type":"server_error","code":503}}}`, "busy", "server_error", "", "503")
	f(`{"error":"first","x_groq":{"error":"second"}}`, "first", "", "", "")

	none := func(body string) {
		t.Helper()
		if e, ok := openai.DecodeError([]byte(body)); ok {
			t.Errorf("%s: got %+v", body, e)
		}
	}
	none(``)
	none(`null`)
	none(`<html>502</html>`)
	none(`[]`)
	none(`["x"]`)
	none(`{"error":null}`)
	none(`{"error":[]}`)
	none(`{"id":"chatcmpl-1","choices":[]}`)
	none(`{"choices":[],"x_groq":{"id":"req_1","usage":{"total_tokens":1}}}`)
	none(`{"x_groq":{"x_groq":{"error":"deep"}}}`)
	none(`{"message":` + strings.Repeat(`{"message":`, 2000) + `"deep"` + strings.Repeat(`}`, 2001))
}

func TestAppendError(t *testing.T) {
	f := func(e chat.Error, want string) {
		t.Helper()
		if got := string(openai.AppendError([]byte("!"), e)); got != "!"+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(chat.Error{Message: "no", Type: "server_error"}, `{"error":{"message":"no","type":"server_error","param":null,"code":null}}`)
	for status, want := range map[int]string{
		0: "server_error", 400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
		413: "invalid_request_error", 429: "rate_limit_error", 500: "server_error", 503: "service_unavailable_error",
	} {
		f(chat.Error{Message: "no", Status: status}, `{"error":{"message":"no","type":"`+want+`","param":null,"code":null}}`)
	}
	f(chat.Error{Message: "a \"b\"\\\n\r\t\x00\x1f\x7fé\xff", Type: "t", Param: "p", Code: "c"},
		`{"error":{"message":"a \"b\"\\\n\r\t\u0000\u001f`+"\x7fé\ufffd"+`","type":"t","param":"p","code":"c"}}`)
}

func FuzzAppendError(f *testing.F) {
	f.Add("message", "type", "", "code")
	f.Add("\"\\\n\x00\xff\u2028é", "\xed\xa0\x80", "<a>&", "\xf0\x9f")
	f.Fuzz(func(t *testing.T, message, typ, param, code string) {
		b := openai.AppendError(nil, chat.Error{Message: message, Type: typ, Param: param, Code: code})
		if typ == "" {
			typ = "server_error"
		}
		if !strings.HasPrefix(string(b), `{"error":{"message":"`) {
			t.Fatalf("go-openai does not see an error in %s", b)
		}
		var got struct {
			Error struct {
				Message, Type string
				Param, Code   *string
			}
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		same := func(p *string, s string) bool {
			if s == "" {
				return p == nil
			}
			return p != nil && *p == valid(s)
		}
		if e := got.Error; e.Message != valid(message) || e.Type != valid(typ) || !same(e.Param, param) || !same(e.Code, code) {
			t.Fatalf("%s: message %q, type %q, param %q, code %q", b, message, typ, param, code)
		}
		e, ok := openai.DecodeError(b)
		if want := (chat.Error{Message: valid(message), Type: valid(typ), Param: valid(param), Code: valid(code)}); !ok || e != want {
			t.Fatalf("%s is read as %+v", b, e)
		}
		if s, _ := openai.Look("", b, nil); s != chat.Failed {
			t.Fatalf("%s is %s", b, s)
		}
	})
}

// valid replaces each byte that is not UTF-8, as encoding/json does.
func valid(s string) string { return string([]rune(s)) }

func FuzzDecode(f *testing.F) {
	for _, s := range []string{typical, call, last, whole, `[{"error":{"message":{"detail":[{"msg":1}]}}}]`, `{"x_groq":{"error":"x"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var u chat.Usage
		s, _ := openai.Look("", data, &u)
		_, err := openai.NewDecoder().Decode(nil, "", data)
		var said *chat.Error // a finish reason can be an error, too
		if bad := s.Has(chat.Failed | chat.Malformed); bad && err == nil ||
			err != nil && !errors.Is(err, openai.ErrMalformed) && !errors.As(err, &said) {
			t.Fatalf("%q: %s, but %v", data, s, err)
		}
		openai.DecodeError(data)
	})
}

func TestEnds(t *testing.T) {
	f := func(name, data string, want bool) {
		t.Helper()
		if got := openai.Ends(name, []byte(data)); got != want {
			t.Errorf("%q %s: got %v", name, data, got)
		}
	}
	f("", `[DONE]`, true)
	f("", `{"error":{"message":"x"}}`, true)
	f("error", `{}`, true)
	f("", `{"type":"speech.audio.done","usage":{}}`, true)
	f("transcript.text.done", `{"text":"x"}`, true)
	f("", `{"type":"transcript.text.delta","delta":"speech.audio.done"}`, false)
	f("", `{"id":"x","type":"speech.audio.done","choices":[]}`, false)
	f("image_generation.partial_image", `{"type":"image_generation.partial_image"}`, false)
}
