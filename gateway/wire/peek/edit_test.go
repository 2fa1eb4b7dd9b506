package peek_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// edited is the body after the edits that make it carry model and usage.
func edited(t *testing.T, body, model string, usage bool) string {
	t.Helper()
	f, err := peek.Scan([]byte(body))
	var refusal *peek.Error
	if errors.As(err, &refusal) && refusal.Kind != peek.Missing {
		t.Fatal(err)
	}
	e := f.Edits(nil, model, usage)
	got := string(peek.Append([]byte("kept:"), []byte(body), e))
	if !strings.HasPrefix(got, "kept:") {
		t.Fatalf("Append overwrote what was there: %q", got)
	}
	got = got[len("kept:"):]
	if n := peek.Size([]byte(body), e); n != len(got) {
		t.Errorf("%s: Size is %d, the result has %d", body, n, len(got))
	}
	return got
}

func TestEdits(t *testing.T) {
	f := func(body, model string, usage bool, want string) {
		t.Helper()
		if got := edited(t, body, model, usage); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", body, got, want)
		}
		if err := peek.Valid([]byte(want)); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	// Every other byte stays: huge and odd numbers, white space, escapes, order.
	odd := " {\t\"seed\" : 12345678901234567890,\r\n\"t\":1.50e+02, \"z\":-0 , \"model\" :\n\"gpt-4\"\t, \"x\":\"\\u00e9\\/é\",\"a\":[ 1 ,2]\n} \n"
	f(odd, "o", false, strings.Replace(odd, "gpt-4", "o", 1))
	f(odd, "a much longer name", true, strings.Replace(strings.Replace(odd, "gpt-4", "a much longer name", 1), "{", `{"stream_options":{"include_usage":true},`, 1))
	f(odd, "", true, strings.Replace(odd, "{", `{"stream_options":{"include_usage":true},`, 1))
	f(odd, "", false, odd)
	f(odd, "gpt-4", false, odd)

	// The model.
	f(`{"x":"m","model":"m","y":"m"}`, "n", false, `{"x":"m","model":"n","y":"m"}`)
	f(`{"model":"Qwen\/Qwen3"}`, "Qwen/Qwen3", false, `{"model":"Qwen\/Qwen3"}`)
	f(`{"model":"Qwen\/Qwen3"}`, "q", false, `{"model":"q"}`)
	f(`{"model":"m"}`, "Qwen/Qwen3", false, `{"model":"Qwen/Qwen3"}`)
	f(`{"model":"m"}`, "通义😀\x7f", false, "{\"model\":\"通义😀\x7f\"}")
	f(`{"model":"m"}`, "a\"b\\c\n\x00\x1f", false, `{"model":"a\"b\\c\u000a\u0000\u001f"}`)
	f(`{"model":"m"}`, "bad \xff\xed\xa0\x80.", false, "{\"model\":\"bad \ufffd\ufffd\ufffd\ufffd.\"}")
	f(`{"stream":true}`, "m", false, `{"model":"m","stream":true}`)
	f(`{"stream":true}`, `"`, true, `{"model":"\"","stream_options":{"include_usage":true},"stream":true}`)
	f(`{}`, "m", false, `{"model":"m"}`)
	f(`{ }`, "m", true, `{"model":"m","stream_options":{"include_usage":true} }`)
	f(`{ }`, "", true, `{"stream_options":{"include_usage":true} }`)
	f(`{"stream_options":null}`, "m", true, `{"model":"m","stream_options":{"include_usage":true}}`)

	// The usage.
	f(`{"model":"m","stream_options": null }`, "", true, `{"model":"m","stream_options": {"include_usage":true} }`)
	f(`{"model":"m","stream_options": { } }`, "", true, `{"model":"m","stream_options": {"include_usage":true} }`)
	f(`{"model":"m","stream_options":{ "a":1}}`, "", true, `{"model":"m","stream_options":{"include_usage":true, "a":1}}`)
	f(`{"model":"m","stream_options":{"include_usage" : false}}`, "", true, `{"model":"m","stream_options":{"include_usage" : true}}`)
	f(`{"model":"m","stream_options":{"a":{},"include_usage":null}}`, "", true, `{"model":"m","stream_options":{"a":{},"include_usage":true}}`)
	f(`{"model":"m","stream_options":{"include_usage":true}}`, "", true, `{"model":"m","stream_options":{"include_usage":true}}`)
	f(`{"model":"m","stream_options":{"include_usage":false}}`, "", false, `{"model":"m","stream_options":{"include_usage":false}}`)

	// Both, in either order.
	f(`{"stream_options":{"include_usage":false},"model":"m"}`, "n", true, `{"stream_options":{"include_usage":true},"model":"n"}`)
	f(`{"model":"m","stream_options":{"a":0}}`, "n", true, `{"model":"n","stream_options":{"include_usage":true,"a":0}}`)
	f(`{"stream_options":null,"model":"m"}`, "n", true, `{"stream_options":{"include_usage":true},"model":"n"}`)
}

func TestEditsAppends(t *testing.T) {
	body := []byte(`{"model":"m"}`)
	f, err := peek.Scan(body)
	if err != nil {
		t.Fatal(err)
	}
	e := f.Edits([]peek.Edit{{At: 0, End: 0, Text: " "}}, "n", true)
	if len(e) != 3 || e[0].Text != " " {
		t.Fatalf("%v", e)
	}
	if got, want := string(peek.Append(nil, body, e)), ` {"stream_options":{"include_usage":true},"model":"n"}`; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}
