package responses_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

func TestDecodeError(t *testing.T) {
	f := func(body, message, typ, param, code string) {
		t.Helper()
		got, ok := responses.DecodeError([]byte(body))
		if want := (chat.Error{Message: message, Type: typ, Param: param, Code: code}); !ok || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", body, got, ok, want)
		}
	}
	f(`{"error":{"message":"bad","type":"invalid_request_error","param":"n","code":"x"}}`, "bad", "invalid_request_error", "n", "x")
	f(`{"error":{"message":"bad","type":null}}`, "bad", "", "", "")
	f(`[{"error":{"code":400,"message":"key","status":"INVALID_ARGUMENT"}}]`, "key", "INVALID_ARGUMENT", "", "400")
	f(`{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":3}`, "slow", "rate_limit_error", "", "rate_limit_exceeded")
	f(`{"type":"error","code":null,"message":"oh","param":"input","sequence_number":3}`, "oh", "server_error", "input", "")
	f(`{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"previous_response_not_found","message":"gone"}}`,
		"gone", "invalid_request_error", "", "previous_response_not_found")
	f(`{"type":"response.failed","response":{"object":"response","status":"failed","error":{"code":"invalid_image_url","message":"no"}}}`,
		"no", "invalid_request_error", "", "invalid_image_url")
	f(`{"object":"response","status":"failed","error":{"code":"insufficient_quota","message":"empty"},"output":[]}`,
		"empty", "insufficient_quota", "", "insufficient_quota")
	f(`{"object":"response","status":"failed","error":{"code":"context_length_exceeded","message":"long"}}`,
		"long", "invalid_request_error", "", "context_length_exceeded")
	f(`{"object":"response","status":"failed","error":null}`, "The response has the status failed.", "server_error", "", "")
	f(`{"detail":"Not Found"}`, "Not Found", "", "", "")

	none := func(body string) {
		t.Helper()
		if e, ok := responses.DecodeError([]byte(body)); ok {
			t.Errorf("%s: got %+v", body, e)
		}
	}
	none(``)
	none(`<html>`)
	none(`{"error":null}`)
	none(`{"id":"resp_1","object":"response","status":"completed","error":null,"output":[]}`)
	none(`{"type":"response.completed","response":{"object":"response","status":"completed","error":null}}`)
}

func TestAppendFailure(t *testing.T) {
	f := func(e chat.Error, want string) {
		t.Helper()
		got := responses.AppendFailure([]byte("!"), e)
		if string(got) != "!event: error\ndata: "+want+"\n\n" {
			t.Errorf("got %s", got)
		}
		fits(t, "ResponseErrorEvent", []byte(want))
		if !responses.Ends("error", []byte(want)) || signsOf(responses.Look("error", []byte(want), nil)) != chat.Failed {
			t.Errorf("%s does not end a stream", want)
		}
	}
	f(chat.Error{Message: "a\nb", Type: "server_error", Code: "c", Param: "p"},
		`{"type":"error","code":"c","message":"a\nb","param":"p","sequence_number":0}`)
	f(chat.Error{Message: "x", Type: "server_error"}, `{"type":"error","code":"server_error","message":"x","param":null,"sequence_number":0}`)
	f(chat.Error{}, `{"type":"error","code":null,"message":"","param":null,"sequence_number":0}`)
}

// A stream that fails ends with response.failed, and its code is one that clients act on.
func TestFail(t *testing.T) {
	f := func(e chat.Error, code string) {
		t.Helper()
		encoder := responses.NewEncoder(nil)
		var batch chat.Batch
		encoder.Encode(&batch, &chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "resp_1"}})
		encoder.Encode(&batch, &chat.Piece{Kind: chat.PieceText, Text: []byte("Hi")})
		encoder.Fail(&batch, &e)
		last := batch.Last()
		encoder.Fail(&batch, &e)
		encoder.Encode(&batch, &chat.Piece{Kind: chat.PieceEnd})
		if !bytes.Equal(batch.Last(), last) {
			t.Error("something follows the failure")
		}
		var got struct {
			Type     string
			Response struct {
				Status string
				Error  struct{ Code, Message string }
				Output []struct{ Status string }
			}
		}
		if err := json.Unmarshal(last, &got); err != nil {
			t.Fatal(err)
		}
		r := got.Response
		if got.Type != "response.failed" || r.Status != "failed" || r.Error.Code != code || r.Error.Message != e.Message ||
			len(r.Output) != 1 || r.Output[0].Status != "incomplete" {
			t.Errorf("%s", last)
		}
	}
	f(chat.Error{Message: "x"}, "server_error")
	f(chat.Error{Message: "x", Type: "server_error", Code: "upstream_cut"}, "server_error")
	f(chat.Error{Message: "x", Code: "rate_limit_exceeded"}, "rate_limit_exceeded")
	f(chat.Error{Message: "x", Code: "429"}, "rate_limit_exceeded")
	f(chat.Error{Message: "x", Type: "rate_limit_error"}, "rate_limit_exceeded")
	f(chat.Error{Message: "x", Type: "overloaded_error"}, "server_is_overloaded") // Anthropic
	f(chat.Error{Message: "x", Type: "invalid_request_error", Code: "y"}, "invalid_prompt")
	f(chat.Error{Message: "x", Type: "invalid_request_error", Code: "context_length_exceeded"}, "context_length_exceeded")
	f(chat.Error{Message: "x", Code: "invalid_image"}, "invalid_image")

	encoder := responses.NewEncoder(nil)
	var batch chat.Batch
	encoder.Fail(&batch, &chat.Error{Message: "early", Code: "c"})
	if name, data, _ := batch.Next(); name != "error" || !strings.Contains(string(data), `"message":"early"`) {
		t.Errorf("%s %s", name, data)
	}
}

// A body of an error is that of chat completions.
func TestAppendError(t *testing.T) {
	body := responses.AppendError(nil, chat.Error{Message: "x", Type: "t"})
	fits(t, "ErrorResponse", body)
	if e, ok := responses.DecodeError(body); !ok || e != (chat.Error{Message: "x", Type: "t"}) {
		t.Errorf("%s is %+v", body, e)
	}
}

// An error event of any text stays one event.
func FuzzAppendFailure(f *testing.F) {
	f.Add("message", "type", "", "code")
	f.Add("\"\\\n\x00\xff\u2028é\r\n\n", "\xed\xa0\x80", "<a>&", "\xf0\x9f")
	f.Fuzz(func(t *testing.T, message, typ, param, code string) {
		valid := func(s string) string { return string([]rune(s)) }
		e := chat.Error{Message: valid(message), Type: valid(typ), Param: valid(param), Code: valid(code)}
		r := sse.NewReader(bytes.NewReader(responses.AppendFailure(nil, chat.Error{Message: message, Type: typ, Param: param, Code: code})), 1<<20)
		ev, err := r.Next()
		if err != nil || ev.Name != "error" {
			t.Fatal(ev, err)
		}
		got, ok := responses.DecodeError(ev.Data)
		wantCode := e.Code
		if wantCode == "" {
			wantCode = e.Type
		}
		if !ok || got.Message != e.Error() || got.Param != e.Param || got.Code != wantCode {
			t.Fatalf("%s is read as %+v", ev.Data, got)
		}
	})
}
