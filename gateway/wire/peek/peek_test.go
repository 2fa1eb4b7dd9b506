package peek_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

func TestScanFields(t *testing.T) {
	f := func(body string, want peek.Fields, value string) {
		t.Helper()
		got, err := peek.Scan([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		if got.Model != want.Model || got.Stream != want.Stream || got.N != want.N || got.MaxTokens != want.MaxTokens ||
			got.IncludeUsage != want.IncludeUsage || got.Empty {
			t.Errorf("%s: read as %+v, want %+v", body, got, want)
		}
		at := body[got.ModelAt:got.ModelEnd] + " " + body[got.OptionsAt:got.OptionsEnd] + " " + body[got.UsageAt:got.UsageEnd] + " " + body[:got.Open]
		if at != value {
			t.Errorf("%s: positions give %q, want %q", body, at, value)
		}
	}
	m := peek.Fields{Model: "m"}
	f(`{"model":"m"}`, m, `"m"   {`)
	f(" \t\r\n{ \"model\"\n:\t\"m\" } \n", m, "\"m\"    \t\r\n{")
	f(`{"model":"m","stream":true}`, peek.Fields{Model: "m", Stream: true}, `"m"   {`)
	f(`{"stream":false,"model":"m"}`, m, `"m"   {`)
	f(`{"stream":null,"model":"m","n":null,"max_tokens":null,"max_completion_tokens":null,"user":null}`, m, `"m"   {`)
	f(`{"model":"m","stream_options":null}`, m, `"m" null  {`)
	f(`{"model":"m","stream_options":{}}`, m, `"m" {}  {`)
	f(`{"model":"m","stream_options":{"include_obfuscation":false}}`, m, `"m" {"include_obfuscation":false}  {`)
	f(`{"model":"m","stream_options": {"a":1, "include_usage" : true} }`, peek.Fields{Model: "m", IncludeUsage: true}, `"m" {"a":1, "include_usage" : true} true {`)
	f(`{"model":"m","stream_options":{"include_usage":false}}`, m, `"m" {"include_usage":false} false {`)
	f(`{"model":"m","stream_options":{"include_usage":null}}`, m, `"m" {"include_usage":null} null {`)
	f(`{"model":"m","n":3,"max_tokens":7}`, peek.Fields{Model: "m", N: 3, MaxTokens: 7}, `"m"   {`)
	f(`{"model":"m","n":2147483647}`, peek.Fields{Model: "m", N: 1<<31 - 1}, `"m"   {`)
	f(`{"model":"m","max_tokens":0}`, m, `"m"   {`)
	f(`{"model":"m","max_tokens":7,"max_completion_tokens":9}`, peek.Fields{Model: "m", MaxTokens: 9}, `"m"   {`)
	f(`{"max_completion_tokens":9,"model":"m","max_tokens":7}`, peek.Fields{Model: "m", MaxTokens: 9}, `"m"   {`)
	f(`{"max_completion_tokens":null,"model":"m","max_tokens":7}`, peek.Fields{Model: "m", MaxTokens: 7}, `"m"   {`)
	f(`{"max_tokens":7,"max_completion_tokens":null,"model":"m"}`, peek.Fields{Model: "m", MaxTokens: 7}, `"m"   {`)
	f(`{"max_completion_tokens":0,"model":"m","max_tokens":7}`, m, `"m"   {`)
	f(`{"model":"m","max_tokens":9223372036854775807}`, peek.Fields{Model: "m", MaxTokens: 1<<63 - 1}, `"m"   {`)
	// What steers does so only in its place.
	f(`{"model":"m","x":{"model":"o","stream":true,"MODEL":1},"y":["model",{"n":5}],"include_usage":true}`, m, `"m"   {`)
	f(`{"model":"m","x":"\"model\":\"o\",\"stream\":true"}`, m, `"m"   {`)
	f(`{"model":"m","stream_options":{"x":{"include_usage":true},"model":"o"}}`, m, `"m" {"x":{"include_usage":true},"model":"o"}  {`)
	// Names.
	f(`{"model":"Qwen/Qwen3-8B"}`, peek.Fields{Model: "Qwen/Qwen3-8B"}, `"Qwen/Qwen3-8B"   {`)
	f(`{"model":"Qwen\/Qwen3-8B"}`, peek.Fields{Model: "Qwen/Qwen3-8B"}, `"Qwen\/Qwen3-8B"   {`)
	f(`{"model":"通义"}`, peek.Fields{Model: "通义"}, `"通义"   {`)
	f(`{"model":"\u901a\u4E49 \uD83D\ude00"}`, peek.Fields{Model: "通义 😀"}, `"\u901a\u4E49 \uD83D\ude00"   {`)
	// Keys that only resemble the ones that steer.
	f(`{"model":"m","models":1,"mode":2,"streams":3,"N1":4,"":5,"m\u006fdeling":6,"max-tokens":7,"Temperature":8}`, m, `"m"   {`)
	f(`{"model":"m","`+strings.Repeat("s", 100)+`":1}`, m, `"m"   {`)
}

func TestScanAccepts(t *testing.T) {
	f := func(value string) {
		t.Helper()
		for _, body := range []string{`{"model":"m","x":` + value + `}`, `{"x":[` + value + `,` + value + `],"model":"m"}`} {
			if _, err := peek.Scan([]byte(body)); err != nil {
				t.Errorf("%.200s: %v", body, err)
			}
		}
		if err := peek.Valid([]byte(" " + value + "\n")); err != nil {
			t.Errorf("Valid(%.200s): %v", value, err)
		}
	}
	for _, number := range []string{"0", "-0", "1", "-12", "0.5", "-0.0", "1e9", "1E+9", "10.25e-30", "12345678901234567890", "1e999"} {
		f(number)
	}
	f("true")
	f("null")
	f("[ ]")
	f("{\t}")
	f("[[],{},[{}]]")
	f(`""`)
	f(`"\"\\\/\b\f\n\r\t\u0000\uFfFf"`)
	f(`"\ud83d\ude00\uD83D\uDE00"`)
	f(`"\ue000\ud7ff"`)
	f("\"\x7f\u0080é漢😀\uffff\U0010ffff\"")
	f("\"\u07ff\u0800\ud7ff\ue000\ufffd\"")
	for n := range 40 { // every alignment
		f(`"` + strings.Repeat("a", n) + `"`)
		f(`"` + strings.Repeat("a", n) + `\n\""`)
		f(`"` + strings.Repeat("a", n) + `é漢😀` + strings.Repeat("b", n) + `"`)
		f(`{"` + strings.Repeat("k", n) + `":"","` + strings.Repeat("k", n) + `l":[]}`)
	}
	f(strings.Repeat("[", 62) + strings.Repeat("]", 62))
	f(strings.Repeat(`{"a":`, 62) + "1" + strings.Repeat("}", 62))
	f(members(1000))
}

// members is an object with n members whose names are short and long, plain and escaped.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		form := []string{`"%d":0,`, `"name %09d":0,`, `"é%d":0,`, `"\u00e8%d":0,`}[i%4]
		fmt.Fprintf(&b, form, i)
	}
	return "{" + strings.TrimSuffix(b.String(), ",") + "}"
}

// refused checks that Scan refuses the body for the reason, where at stands: at the end if it is "", else where the body
// has it last.
func refused(t *testing.T, kind peek.Kind, field, at, reason, body string) {
	t.Helper()
	offset := len(body)
	if at != "" {
		offset = strings.LastIndex(body, at)
	}
	_, err := peek.Scan([]byte(body))
	var e *peek.Error
	if !errors.As(err, &e) {
		t.Errorf("%.200q: not refused: %v", body, err)
		return
	}
	want := fmt.Sprintf("%s (at offset %d)", reason, offset)
	if e.Kind != kind || e.Field != field || e.Offset != offset || e.Reason != want || e.Error() != want {
		t.Errorf("%.200q: refused as %v, field %q, offset %d, %q; want %v, %q, %d, %q", body, e.Kind, e.Field, e.Offset, e.Reason, kind, field, offset, want)
	}
}

func TestScanRefusesFrames(t *testing.T) {
	f := func(reason, at, body string) {
		t.Helper()
		refused(t, peek.Syntax, "", at, reason, body)
	}
	f("the body is empty", "", "")
	f("the body is empty", "", " \n")
	f("the body begins with a byte order mark, which JSON does not allow", "\ufeff", "\ufeff{\"model\":\"m\"}")
	f("the body must be one JSON object", "[", `[{"model":"m"}]`)
	f("the body must be one JSON object", `"m`, `"model"`)
	f("the body must be one JSON object", "nul", `null`)
	f("the body must be one JSON object", "model=", `model=m`)
	f("the body must be one JSON object", "\u00a0", "\u00a0{}")
	f("the body must be one JSON object", "\x00", "\x00{}")

	const more = "invalid JSON: there is more behind its end"
	f(more, `{"model":"b"}`, `{"model":"a"}{"model":"b"}`)
	f(more, `]`, `{"model":"a"} ]`)
	f(more, "\x00", "{\"model\":\"a\"}\x00")
	f(more, "x", "{}x")

	const ends = "invalid JSON: it ends in the middle"
	whole := `{"model":"m","a":[1,{"b":"c\n\u00e9"}]}`
	for _, n := range []int{1, 2, 6, 7, 8, 9, 11, 12, 13, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28, 29, len(whole) - 4, len(whole) - 2, len(whole) - 1} {
		f(ends, "", whole[:n])
	}
	f("invalid JSON: four hexadecimal digits must follow \\u", `\u`, whole[:strings.Index(whole, `\u`)+5])
}

func TestScanRefusesStructure(t *testing.T) {
	f := func(reason, at, body string) {
		t.Helper()
		refused(t, peek.Syntax, "", at, reason, body)
	}
	const key = "invalid JSON: a key in double quotes must stand here"
	f(key, "}", `{"model":"m",}`)
	f(key, ",", `{,"model":"m"}`)
	f(key, "m", `{m:1}`)
	f(key, "'m", `{'m':1}`)
	f(key, "1", `{"model":"m",1:2}`)
	f(key, "/**/", `{"model":"m",/**/"a":1}`)
	const colon = "invalid JSON: a colon must stand here"
	f(colon, ",", `{"model","m"}`)
	f(colon, "}", `{"model"}`)
	f(colon, `"m"`, `{"model" "m"}`)
	f(colon, "e", `{"mod"el":"m"}`)
	const value = "invalid JSON: a value must stand here"
	f(value, "}", `{"model":}`)
	f(value, ":", `{"model"::"m"}`)
	f(value, "'", `{"model":'m`)
	f(value, "]", `{"a":[1,]}`)
	f(value, ",,", `{"a":[,,]}`)
	f(value, "NaN", `{"a":NaN}`)
	f(value, "Inf", `{"a":Infinity}`)
	f(value, "True", `{"a":True}`)
	f(value, "tru}", `{"a":tru}`)
	f(value, "nul", `{"a":nul`)
	f(value, "falsE", `{"a":falsE}`)
	f(value, "undefined", `{"a":undefined}`)
	f(value, "+", `{"a":+1}`)
	f(value, ".", `{"a":.5}`)
	f(value, "\v", "{\"a\":\v1}")
	f(value, "\u2028", "{\"a\":\u20281}")
	const brace = "invalid JSON: a comma or a closing brace must stand here"
	f(brace, `"stream"`, `{"model":"m" "stream":true}`)
	f(brace, "]", `{"a":1]`)
	f(brace, "x", `{"a":truex}`)
	f(brace, ";", `{"a":1;"b":2}`)
	f(brace, "x", `{"a":0x10}`)
	f(brace, "_", `{"a":1_000}`)
	const bracket = "invalid JSON: a comma or a closing bracket must stand here"
	f(bracket, "}", `{"a":[1}`)
	f(bracket, "2", `{"a":[1 2]}`)
	f(bracket, ":", `{"a":["b":1]}`)
}

func TestScanRefusesNumbers(t *testing.T) {
	f := func(reason, at, body string) {
		t.Helper()
		refused(t, peek.Syntax, "", at, reason, body)
	}
	const digit = "invalid JSON: a digit must stand here"
	f(digit, "}", `{"a":-}`)
	f(digit, "I", `{"a":-Infinity}`)
	f(digit, "}", `{"a":1.}`)
	f(digit, "e", `{"a":1.e5}`)
	f(digit, "}", `{"a":1e}`)
	f(digit, "}", `{"a":1E+}`)
	f(digit, "-2", `{"a":1e--2}`)
	f("invalid JSON: a number must not begin with 0", "01", `{"a":01}`)
	f("invalid JSON: a number must not begin with 0", "00", `{"a":-00}`)
}

func TestScanRefusesStrings(t *testing.T) {
	f := func(reason, at, body string) {
		t.Helper()
		refused(t, peek.Syntax, "", at, reason, body)
	}
	const control = "invalid JSON: a control character in a string must be escaped"
	f(control, "\n", "{\"model\":\"a\nb\"}")
	f(control, "\x00", "{\"a\x00\":1}")
	f(control, "\x1f", "{\"a\":\"0123456789\x1f0123456789\"}")
	f(control, "\t", "{\"a\":\"\\n\t\"}")
	const escape = "invalid JSON: there is no such escape"
	f(escape, `\x`, `{"a":"\x41"}`)
	f(escape, `\'`, `{"a":"\'"}`)
	f(escape, `\U`, `{"a":"\U0041"}`)
	f(escape, "\\\n", "{\"a\":\"\\\n\"}")
	f(escape, `\0`, `{"\0":"x"}`)
	const hex = `invalid JSON: four hexadecimal digits must follow \u`
	f(hex, `\u`, `{"a":"\u"}`)
	f(hex, `\u12`, `{"a":"\u12"}`)
	f(hex, `\u123g`, `{"a":"\u123g"}`)
	f(hex, `\u+123`, `{"a":"x\n\u+123"}`)
	const surrogate = "invalid JSON: half a surrogate pair stands alone"
	f(surrogate, `\ud83d`, `{"model":"\ud83d"}`)
	f(surrogate, `\uDE00`, `{"a":"\uDE00\ud83d"}`)
	f(surrogate, `\ud83d x`, `{"a":"\ud83d x\ude00"}`)
	f(surrogate, `\ud83d\ud83d`, `{"a":"\ud83d\ud83d\ude00"}`)
	f(surrogate, `\ud83d\n`, `{"a":"\ud83d\nde00"}`)
	f(surrogate, `\ud83d\u0041`, `{"a":"\ud83d\u0041"}`)
	f(surrogate, `\udfff`, `{"a":[{"\udfff":1}]}`)
	f(surrogate, `\ud800`, `{"a":"\ud800`)
	const utf8 = "invalid JSON: this is not UTF-8"
	for _, bad := range []string{
		"\xff", "\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe2\x82", "\xe2\x82a", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\xaf",
		"\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe",
	} {
		f(utf8, bad, `{"a":"`+bad+`"}`)
		f(utf8, bad, `{"model":"0123456`+bad+`"}`)
		f(utf8, bad, `{"漢é`+bad+`":1}`)
	}
	f(utf8, "\xe2", "{\"a\":\"\xe2")
}

func TestScanRefusesLimits(t *testing.T) {
	deep := "more than 64 objects and arrays are open here"
	for _, n := range []int{64, 100, 100_000} {
		body := `{"model":"m","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
		_, err := peek.Scan([]byte(body))
		limited(t, err, deep, 17+63)
		body = `{"model":"m","x":` + strings.Repeat(`{"":`, n) + `0` + strings.Repeat("}", n) + `}`
		_, err = peek.Scan([]byte(body))
		limited(t, err, deep, 17+4*63)
	}
	limited(t, peek.Valid([]byte(strings.Repeat("[", 65)+strings.Repeat("]", 65))), deep, 64)

	body := members(peek.MaxKeys - 2)
	if _, err := peek.Scan([]byte(`{"model":"m","x":` + body + `}`)); err != nil {
		t.Errorf("65536 members: %v", err)
	}
	body = members(peek.MaxKeys - 1)
	last := strings.LastIndex(body, `,"`) + 1
	_, err := peek.Scan([]byte(`{"model":"m","x":` + body + `}`))
	limited(t, err, "the objects that are open here have more than 65536 members", 17+last)
	// Only objects that are open count.
	if err := peek.Valid([]byte("[" + members(40_000) + "," + members(40_000) + "]")); err != nil {
		t.Errorf("two objects of 40000 members: %v", err)
	}
}

func limited(t *testing.T, err error, reason string, offset int) {
	t.Helper()
	var e *peek.Error
	if !errors.As(err, &e) || e.Kind != peek.Limit || e.Offset != offset || !strings.HasPrefix(e.Reason, reason+" (") {
		t.Errorf("got %v, want %q at %d", err, reason, offset)
	}
}

func TestScanRefusesDuplicates(t *testing.T) {
	f := func(field, at, body string) {
		t.Helper()
		name := "a key" // its own name may be anything
		if field != "" {
			name = strconv.Quote(field)
		}
		refused(t, peek.Duplicate, field, at, name+" stands twice in one object", body)
	}
	f("model", `"model"`, `{"model":"cheap","model":"dear"}`)
	f("model", `"model"`, `{"model":"same","x":1,"model":"same"}`)
	f("stream", `"stream"`, `{"stream":true,"model":"m","stream":true}`)
	f("stream_options", `"stream_options"`, `{"stream_options":null,"model":"m","stream_options":null}`)
	f("n", `"n"`, `{"n":1,"model":"m","n":2}`)
	f("max_tokens", `"max_tokens"`, `{"max_tokens":1,"model":"m","max_tokens":2}`)
	f("max_completion_tokens", `"max_completion_tokens"`, `{"max_completion_tokens":1,"model":"m","max_completion_tokens":2}`)
	f("user", `"user"`, `{"user":"a","model":"m","user":"b"}`)
	f("service_tier", `"service_tier"`, `{"service_tier":"a","model":"m","service_tier":"b"}`)
	f("stream_options.include_usage", `"include_usage"`, `{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}`)
	f("", `"messages"`, `{"model":"m","messages":[],"messages":[]}`)
	f("", `"a"`, `{"model":"m","x":{"a":1,"a":2}}`)
	f("", `"model"`, `{"model":"m","x":[[{"model":1,"model":2}]]}`)
	f("", `"":2`, `{"model":"m","x":{"":1,"":2}}`)
	f("", `"content"`, `{"messages":[{"role":"user","content":"a"},{"content":"b","role":"user","content":"c"}],"model":"m"}`)
	// However they are escaped, and whatever their length.
	f("", `"a"`, `{"model":"m","x":{"\u0061":1,"a":2}}`)
	f("", `"\u0061"`, `{"model":"m","x":{"a":1,"\u0061":2}}`)
	f("", `"\u0061"`, `{"model":"m","x":{"\u0061":1,"b":0,"\u0061":2}}`)
	f("", `"é"`, `{"model":"m","x":{"\u00e9":1,"é":2}}`)
	f("", `"\ud83d`, `{"model":"m","x":{"😀":1,"\ud83d\ude00":2}}`)
	f("", `"a\/b`, `{"model":"m","x":{"a/b, a long name":1,"a\/b, a long name":2}}`)
	f("", `"\n`, `{"model":"m","x":{"\u000a":1,"\n":2}}`)
	long := strings.Repeat("k", 65)
	f("", `"`+long, `{"model":"m","x":{"`+long+`":1,"`+long+`":2}}`)
	f("", `"`+long[1:], `{"model":"m","x":{"`+long[1:]+`":1,"`+long[1:]+`":2}}`)
	f("", `"\u006b`, `{"model":"m","x":{"`+long+`":1,"\u006b`+long[1:]+`":2}}`)
	// In small, larger and large objects.
	for _, n := range []int{2, 30, 31, 32, 33, 63, 64, 65, 100, 5000} {
		x := strings.TrimSuffix(members(n), "}")
		f("", `"1"`, `{"model":"m","x":{"1":1,`+x[1:]+`,"1":2}}`)
		f("", `"name 000000001"`, `{"model":"m","x":`+x+`,"name 000000001":2}}`)
		f("", `"nam\u0065 000000001"`, `{"model":"m","x":`+x+`,"nam\u0065 000000001":2}}`)
	}
	// Names that only look alike are different.
	g := func(body string) {
		t.Helper()
		if err := peek.Valid([]byte(body)); err != nil {
			t.Errorf("%.200s: %v", body, err)
		}
	}
	g(`{"a":1,"A":2,"a ":3,"":4,"a\u0000":5,"\u0000":6,"\\u0061":7}`)
	g(`{"12345678x12345678":1,"12345678y12345678":2,"12345678\u007812345678!":3}`)
	g(`[{"a":1},{"a":1,"b":{"a":1}}]`)
	g(`{"a":{"a":{"a":1}},"b":{"a":1}}`)
}

func TestScanRefusesSpellings(t *testing.T) {
	f := func(field, name, at, body string) {
		t.Helper()
		refused(t, peek.Spelling, field, at, `"`+field+`" must be written `+name, body)
	}
	const lower, plain = "in lower case", "without escapes"
	f("model", lower, `"MODEL"`, `{"model":"a","MODEL":"b"}`)
	f("model", lower, `"Model"`, `{"Model":"a"}`)
	f("stream", lower, `"Stream"`, `{"model":"a","Stream":true}`)
	f("stream", lower, "\"\u017ftream\"", "{\"model\":\"a\",\"\u017ftream\":true}")
	f("stream_options", lower, `"stream_Options"`, `{"model":"a","stream_Options":null}`)
	f("n", lower, `"N"`, `{"model":"a","N":2}`)
	f("max_tokens", lower, `"Max_Tokens"`, `{"model":"a","Max_Tokens":2}`)
	f("max_tokens", lower, "\"max_to\u212aen\u017f\"", "{\"model\":\"a\",\"max_to\u212aen\u017f\":2}")
	f("max_completion_tokens", lower, "\"max_completion_to\u212aen\u017f\"", "{\"model\":\"a\",\"max_completion_to\u212aen\u017f\":2}")
	f("user", lower, `"USER"`, `{"model":"a","USER":"b"}`)
	f("service_tier", lower, `"SERVICE_tier"`, `{"model":"a","SERVICE_tier":"b"}`)
	f("stream_options.include_usage", lower, `"Include_usage"`, `{"model":"a","stream_options":{"Include_usage":true}}`)
	f("model", plain, `"mod\u0065l"`, `{"mod\u0065l":"a","model":"b"}`)
	f("model", plain, `"\u004dodel"`, `{"model":"b","\u004dodel":"a"}`)
	f("stream", plain, `"\u017ftream"`, `{"model":"b","\u017ftream":true}`)
	f("n", plain, `"\u006e"`, `{"model":"b","\u006e":1}`)
	f("stream_options.include_usage", plain, `"include\u005fusage"`, `{"model":"a","stream_options":{"include\u005fusage":true}}`)
	// The model's name.
	f("model", plain, `\u0034`, `{"model":"gpt-\u0034"}`)
	f("model", plain, `\u002f`, `{"model":"Qwen\/Qwen\u002f"}`)
	f("model", plain, `\u0000`, `{"model":"\u00e9\u0000"}`)
	f("model", plain, `\u007f`, `{"model":"\u007f"}`)
	f("model", plain, `\n`, `{"model":"a\n"}`)
	f("model", plain, `\"`, `{"model":"\"a"}`)
	f("model", plain, `\\`, `{"model":"a\\"}`)
}

func TestScanRefusesTypes(t *testing.T) {
	f := func(field, value, reason string) {
		t.Helper()
		key, rest := field, ""
		before := `{"a":"model",`
		if field == "stream_options.include_usage" {
			key, before, rest = "include_usage", before+`"stream_options":{"x":1,`, "}"
		}
		head := before + `"` + key + `" : `
		_, err := peek.Scan([]byte(head + value + rest + `,"b":1}`))
		var e *peek.Error
		want := fmt.Sprintf("%q %s (at offset %d)", field, reason, len(head))
		if !errors.As(err, &e) || e.Kind != peek.Type || e.Field != field || e.Offset != len(head) || e.Reason != want {
			t.Errorf("%s: %s: got %v, want %s", field, value, err, want)
		}
	}
	for _, v := range []string{"null", "5", "true", `["m"]`, `{"m":1}`} {
		f("model", v, "must be a string")
	}
	f("model", `""`, "must not be empty")
	for _, field := range []string{"stream", "stream_options.include_usage"} {
		for _, v := range []string{`"true"`, "1", "0", `""`, "[]", "{}"} {
			f(field, v, "must be true, false or null")
		}
	}
	for _, v := range []string{"0", "-1", "1.0", "1.5", "1e1", `"1"`, "true", "[1]", "{}", "2147483648", "9223372036854775808", "18446744073709551617", "-0"} {
		f("n", v, "must be a positive whole number or null")
	}
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		for _, v := range []string{"-1", "-0", "1.0", "0.5", "1e3", `"1"`, "false", "[]", "{}", "9223372036854775808"} {
			f(field, v, "must be a whole number or null")
		}
	}
	for _, v := range []string{"true", "false", "0", "5", `"x"`, `""`, "[]", `[{"include_usage":true}]`} {
		f("stream_options", v, "must be an object or null")
	}
}

func TestScanMissing(t *testing.T) {
	f := func(body string, empty bool) {
		t.Helper()
		fields, err := peek.Scan([]byte(body))
		var e *peek.Error
		if !errors.As(err, &e) || e.Kind != peek.Missing || e.Field != "model" || e.Reason != `"model" is missing (at offset 1)` {
			t.Errorf("%s: %v", body, err)
		}
		if fields.Empty != empty || fields.Stream == empty || fields.ModelEnd != 0 || fields.Open != 1 {
			t.Errorf("%s: %+v", body, fields)
		}
	}
	f(`{}`, true)
	f("{ \n}", true)
	f(`{"x":{"model":"m"},"stream":true}`, false)
	f(`{"x":{},"stream":true}`, false)
}

// A body that ends anywhere is refused, never read beyond its end.
func TestScanTruncated(t *testing.T) {
	for _, body := range [][]byte{talk(1000), schemas(1000), of(`漢字é\n\ud83d\ude00 `, 200)} {
		if _, err := peek.Scan(body); err != nil {
			t.Fatal(err)
		}
		for n := range body {
			if _, err := peek.Scan(body[:n:n]); err == nil {
				t.Fatalf("accepted %q", body[:n])
			}
		}
	}
}

func TestKindString(t *testing.T) {
	f := func(k peek.Kind, want string) {
		t.Helper()
		if got := k.String(); got != want {
			t.Errorf("%d: got %q, want %q", k, got, want)
		}
	}
	f(peek.Syntax, "syntax")
	f(peek.Limit, "limit")
	f(peek.Duplicate, "duplicate")
	f(peek.Spelling, "spelling")
	f(peek.Type, "type")
	f(peek.Missing, "missing")
	f(0, "unknown")
}
