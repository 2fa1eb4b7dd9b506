package peek_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// seeds are bodies that parsers read differently, that must not pass at all, or that show the ways to pass.
var seeds = []string{
	`{"model":"m","stream":true,"stream_options":{"include_usage":true},"n":2,"max_tokens":5,"max_completion_tokens":6,"user":"u"}`,
	" {\t\"seed\" : 12345678901234567890,\r\n\"model\" :\n\"gpt-4\"\t, \"x\":\"\\u00e9\\/é\",\"a\":[ 1 ,2]\n} \n",
	`{"model":"m","stream_options":{ },"max_tokens":null,"n":null,"stream":null}`,
	`{"model":"m","stream_options":{"include_usage":null,"x":[{"y":-0.5e+7}]}}`,
	`{"model":"Qwen\/Qwen3 \u901a\ud83d\ude00","service_tier":"auto"}`,
	`{"model":"cheap","model":"dear"}`, `{"mod\u0065l":"hidden","model":"a"}`, `{"Model":"x","model":"a"}`, "{\"model\":\"a\",\"\u017ftream\":true}",
	`{"model":"a\u0062"}`, `{"model":"a\\"}`, "{\"model\":\"a\xff\"}", `{"model":"a","x":"\ud800"}`, `{"model":"a"}{"model":"b"}`, `{"model":"a",}`,
	"{\"model\":\"a\x01\"}", `{"model":"a","t":NaN}`, `{"model":"a","t":01}`, `{"model":"a","messages":[{"role":"u`, "\ufeff{\"model\":\"a\"}",
	`{"model":5}`, `{"model":""}`, `{"model":"a","stream":"true"}`, `{"model":"a","n":0}`, `{"model":"a","max_tokens":-1}`, `{"model":"a","stream_options":[]}`,
	`{"model":"a","x":{"\u0061":1,"a":2}}`, `{"model":"a","x":{"name 12345678":1,"name 12345679":{}}}`, `{}`, `[]`, `{"model":"a","x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	`{"a":"\"usage\":1","b\"usage":{"usage":2},"usage":{"usage":3},"c":["usage",{"usage":4}]}`, `{"a":"\\","usage":null,"usage":1,"us\u0061ge":2}`,
}

// Scan accepts exactly what the oracle finds nothing wrong with, reads the same, and refuses for a reason that it sees too.
func FuzzScan(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Add(talk(700))
	f.Add(schemas(500))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := peek.Scan(b)
		faults, want := judge(b)
		var e *peek.Error
		switch {
		case err == nil:
			if len(faults) > 0 {
				t.Fatalf("%q accepted; the oracle sees %v", b, faults)
			}
			if got.Model != want.Model || got.Stream != want.Stream || got.N != want.N || got.MaxTokens != want.MaxTokens || got.IncludeUsage != want.IncludeUsage {
				t.Fatalf("%q read as %+v; the oracle reads %+v", b, got, want)
			}
			positions(t, b, got)
		case !errors.As(err, &e):
			t.Fatalf("%T", err)
		case e.Offset < 0 || e.Offset > len(b) || e.Reason == "" || !utf8.ValidString(e.Reason):
			t.Fatalf("%q: error %+v", b, e)
		case !faults[e.Kind] && !faults[peek.Syntax]: // a fault of syntax may stand behind what is refused first
			t.Fatalf("%q refused: %v; the oracle sees %v", b, err, faults)
		}
	})
}

// positions checks them against the texts that encoding/json finds.
func positions(t *testing.T, b []byte, f peek.Fields) {
	t.Helper()
	var top struct {
		Model   json.RawMessage `json:"model"`
		Options json.RawMessage `json:"stream_options"`
	}
	var options struct {
		Usage json.RawMessage `json:"include_usage"`
	}
	if err := json.Unmarshal(b, &top); err != nil {
		t.Fatal(err)
	}
	if top.Options != nil {
		if err := json.Unmarshal(top.Options, &options); err != nil {
			t.Fatal(err)
		}
	}
	at := func(from, to int, want json.RawMessage) {
		t.Helper()
		if (to > 0) != (want != nil) || !bytes.Equal(b[from:to], want) {
			t.Fatalf("%q: at %q, want %q", b, b[from:to], want)
		}
	}
	at(f.ModelAt, f.ModelEnd, top.Model)
	at(f.OptionsAt, f.OptionsEnd, top.Options)
	at(f.UsageAt, f.UsageEnd, options.Usage)
	if f.Empty || string(bytes.TrimLeft(b[:f.Open], " \t\r\n")) != "{" {
		t.Fatalf("%q: %+v", b, f)
	}
}

// What Edits makes of a body is valid, says what it should and else means the same.
func FuzzEdits(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s), "new/model", i%3 > 0)
	}
	f.Add([]byte(`{"stream_options":null}`), "a\"\\\x00é\xff", true)
	f.Add([]byte(`{"stream_options":{"x":1},"model":"m"}`), "", true)
	f.Fuzz(func(t *testing.T, b []byte, model string, usage bool) {
		fields, err := peek.Scan(b)
		var refusal *peek.Error
		if errors.As(err, &refusal) && refusal.Kind != peek.Missing {
			return
		}
		e := fields.Edits(nil, model, usage)
		got := peek.Append(nil, b, e)
		if n := peek.Size(b, e); n != len(got) || len(e) > 2 {
			t.Fatalf("%q: %d edits, size %d for %q", b, len(e), n, got)
		}
		want := decoded(t, b)
		if model != "" {
			want["model"] = string([]rune(model)) // U+FFFD for what is not UTF-8
		}
		if options, _ := want["stream_options"].(map[string]any); usage && options != nil {
			options["include_usage"] = true
		} else if usage {
			want["stream_options"] = map[string]any{"include_usage": true}
		}
		if is := decoded(t, got); !reflect.DeepEqual(is, want) {
			t.Fatalf("%q edited (%q, %v) to %q", b, model, usage, got)
		}
		untouched(t, b, got, fields, e)
		if !strings.ContainsFunc(model, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' }) { // Scan refuses those names
			again(t, fields, got, model, usage)
		}
	})
}

func decoded(t *testing.T, b []byte) (m map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return m
}

// untouched checks that the edits are in order, that each replaces at most the model's name, the options or the usage, and
// that every other byte is as it was.
func untouched(t *testing.T, before, after []byte, f peek.Fields, e []peek.Edit) {
	t.Helper()
	from, rest := 0, after
	for _, edit := range e {
		in := func(from, to int) bool { return to > 0 && from <= edit.At && edit.End <= to }
		if edit.At < from || !in(f.ModelAt+1, f.ModelEnd-1) && !in(f.OptionsAt, f.OptionsEnd) && !in(f.Open, f.Open) {
			t.Fatalf("%q: edit %+v", before, edit)
		}
		head := append(bytes.Clone(before[from:edit.At]), edit.Text...)
		if !bytes.HasPrefix(rest, head) {
			t.Fatalf("%q edited to %q", before, after)
		}
		from, rest = edit.End, rest[len(head):]
	}
	if !bytes.Equal(rest, before[from:]) {
		t.Fatalf("%q edited to %q", before, after)
	}
}

// again checks that the edited body still steers as it should, and needs no more edits.
func again(t *testing.T, before peek.Fields, edited []byte, model string, usage bool) {
	t.Helper()
	f, err := peek.Scan(edited)
	if (err == nil) != (before.Model != "" || model != "") {
		t.Fatalf("edited to %q: %v", edited, err)
	}
	if usage && !f.IncludeUsage || f.Stream != before.Stream || f.N != before.N || f.MaxTokens != before.MaxTokens {
		t.Fatalf("edited to %q: %+v", edited, f)
	}
	if more := f.Edits(nil, string([]rune(model)), usage); len(more) > 0 {
		t.Fatalf("edited to %q, needs %v", edited, more)
	}
}

// Find, Each and Elements read what encoding/json reads, and none of them fails on what is no JSON.
func FuzzFind(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), "usage")
		f.Add([]byte(s), "model")
	}
	f.Add(completion(700), "usage")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' }) {
			return
		}
		readsAlike(t, b, `"`+name+`"`)
	})
}

func readsAlike(t *testing.T, b []byte, quoted string) {
	t.Helper()
	found := peek.Find(b, []byte(quoted))
	var members, elements []string
	isObject := peek.Each(b, func(key, val []byte) bool {
		members = append(members, string(key)+"="+string(val))
		return true
	})
	isArray := peek.Elements(b, func(val []byte) bool {
		elements = append(elements, string(val))
		return true
	})
	switch first := bytes.TrimLeft(b, " \t\r\n"); {
	case bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > peek.MaxDepth:
		// perhaps nested more deeply than is read
	case !json.Valid(b) || !utf8.Valid(b):
		if isObject || isArray {
			t.Fatalf("%q taken for JSON", b)
		}
	case isObject != (first[0] == '{') || isArray != (first[0] == '['):
		t.Fatalf("%q: object %v, array %v", b, isObject, isArray)
	case isArray:
		if want := decodedElements(t, b); !slices.Equal(elements, want) {
			t.Fatalf("%q has elements %q, want %q", b, elements, want)
		}
	case isObject:
		want, last := decodedMembers(t, b, quoted)
		if !slices.Equal(members, want) {
			t.Fatalf("%q has members %q, want %q", b, members, want)
		}
		if !bytes.Equal(found, last) || (found == nil) != (last == nil) {
			t.Fatalf("%q: found %q, want %q", b, found, last)
		}
	case found != nil:
		t.Fatalf("%q: found %q", b, found)
	}
}

func decodedElements(t *testing.T, b []byte) (elements []string) {
	t.Helper()
	var array []json.RawMessage
	if err := json.Unmarshal(b, &array); err != nil {
		t.Fatal(err)
	}
	for _, val := range array {
		elements = append(elements, string(val))
	}
	return elements
}

// decodedMembers are the members of the object b, and the value of the last one whose key stands there as quoted.
func decodedMembers(t *testing.T, b []byte, quoted string) (members []string, last json.RawMessage) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		from := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.TrimLeft(string(b[from:d.InputOffset()]), " \t\r\n,")
		var val json.RawMessage
		if err := d.Decode(&val); err != nil {
			t.Fatal(err)
		}
		members = append(members, key.(string)+"="+string(val))
		if raw == quoted {
			last = val
		}
	}
	return members, last
}

// String and Int decode what encoding/json decodes.
func FuzzString(f *testing.F) {
	for _, s := range []string{
		`""`, `"\"\\\/\b\f\n\r\t"`, `"a\u0041\u00e9\u6F22\u0000"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d\ud83d\\u0041"`, "\"\n\"", "\"\xff\"", `"a`, "0", "-12",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.0", "01", "-",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		trimmed := bytes.Equal(bytes.Trim(b, " \t\r\n"), b)
		var text *string
		ok := json.Unmarshal(b, &text) == nil && text != nil && utf8.Valid(b) && trimmed
		if got, is := peek.String(b); is != ok || ok && got != *text {
			t.Fatalf("%q: String is %q, %v", b, got, is)
		}
		var number *int64
		ok = json.Unmarshal(b, &number) == nil && number != nil && trimmed
		if got, is := peek.Int(b); is != ok || ok && got != *number {
			t.Fatalf("%q: Int is %d, %v", b, got, is)
		}
	})
}
