package peek_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

func TestValid(t *testing.T) {
	f := func(text, reason string) {
		t.Helper()
		got := ""
		if err := peek.Valid([]byte(text)); err != nil {
			if _, ok := errors.AsType[*peek.Error](err); !ok {
				t.Fatalf("%q: %T", text, err)
			}
			got = err.Error()
		}
		if got != reason {
			t.Errorf("%q: got %q, want %q", text, got, reason)
		}
	}
	f(" 1 ", "")
	f(`"x"`, "")
	f("null", "")
	f(`{"MODEL":1,"stream":"x","n":-1}`, "")
	f("", "invalid JSON: it ends in the middle (at offset 0)")
	f(" ", "invalid JSON: it ends in the middle (at offset 1)")
	f("1 2", "invalid JSON: there is more behind its end (at offset 2)")
	f("\ufeff1", "invalid JSON: a value must stand here (at offset 0)")
	f(`"`, "invalid JSON: it ends in the middle (at offset 1)")
	f(`"\`, "invalid JSON: it ends in the middle (at offset 2)")
	f(`-`, "invalid JSON: it ends in the middle (at offset 1)")
	f(`1e`, "invalid JSON: it ends in the middle (at offset 2)")
	f(`1.`, "invalid JSON: it ends in the middle (at offset 2)")
	f(`[{"model":1,"model":2}]`, "a key stands twice in one object (at offset 12)")
	f(`"\ud800"`, "invalid JSON: half a surrogate pair stands alone (at offset 1)")
}

func TestFind(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := peek.Find([]byte(text), []byte(`"usage"`)); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%s: found %q, want %q", text, got, want)
		}
	}
	f(`{"usage":1}`, "1")
	f(`{"usage":null}`, "null")
	f(" {\"a\":1,\"usage\" \n:\t{\"x\":[1,{}]} ,\"b\":{\"usage\":3}\r\n} ", `{"x":[1,{}]}`)
	f(`{"choices":[{"usage":1}],"usage":"s"}`, `"s"`)
	f(`{"usage":[1,"]"],"z":"}"}`, `[1,"]"]`)
	// Not a member of the object.
	f(`{}`, "")
	f(`{"a":1}`, "")
	f(`{"a":"usage"}`, "")
	f(`{"a":"usage" ,"b":"usage"}`, "")
	f(`{"a":["usage","usage"]}`, "")
	f(`{"a":{"usage":1}}`, "")
	f(`{"a":{"usage":1},"b":2}`, "")
	f(`{"a":{"usage":1,"usage":{"usage":2}}}`, "")
	f(`{"a":[{"usage":1},{"usage":2}]}`, "")
	f(`{"usages":1,"usag":2,"xusage":3,"Usage":4}`, "")
	f(`{"a":"\"usage\":1"}`, "")
	f(`{"a":"\"usage","b":1}`, "")
	f(`{"a\"usage":1}`, "")
	f(`{"a\\\"usage":1}`, "")
	f(`[{"usage":1}]`, "")
	f(`"usage"`, "")
	f("", "")
	f(" ", "")
	// Found behind what resembles it.
	f(`{"a":"usage","usage":1}`, "1")
	f(`{"a\"usage":0,"usage":1}`, "1")
	f(`{"a":"\\","usage":1}`, "1")
	f(`{"a":"\"usage\":0}","usage":1}`, "1")
	f(`{"a":{"usage":0,"b":{"usage":-1}},"usage":1}`, "1")
	f(`{"a":[{"usage":0},{"b":[{"usage":-1}]}],"usage":1,"c":{"usage":2}}`, "1")
	f(`{"usage":{"usage":2}}`, `{"usage":2}`)
	// Of repeated ones the last counts.
	f(`{"usage":1,"usage":2}`, "2")
	f(`{"usage":null,"a":0,"usage":{"usage":3},"b":{"usage":4}}`, `{"usage":3}`)
	// What a reply may have.
	f(`{"a":"\ud83d","usage":1,"b":"\ude00","b":0}`, "1")
	// Malformed from the key on.
	f(`{"usage":}`, "")
	f(`{"usage":1`, "")
	f(`{"usage":1,}`, "")
	f(`{"usage":1,"a"}`, "")
	f(`{"usage":1} x`, "")
	f(`{"usage":1]`, "")
	f(`{"usage"`, "")
	f(`{"usage":`, "")
	f("{\"usage\":\"\xff\"}", "")
}

// Finding is linear however often the key occurs where it does not count.
func TestFindHostile(t *testing.T) {
	const n = 100_000
	text := `{"a":{` + strings.Repeat(`"usage":0,`, n) + `"usage":"usage"},"b":[` + strings.Repeat(`{"usage":0},`, n) + strings.Repeat(`"usage",`, n) + `"` +
		strings.Repeat(`\`, 2*n) + `"],"usage":1}`
	if got := string(peek.Find([]byte(text), []byte(`"usage"`))); got != "1" {
		t.Fatalf("found %q", got)
	}
}

func TestEach(t *testing.T) {
	f := func(text, want string, ok bool) {
		t.Helper()
		var got strings.Builder
		if each := peek.Each([]byte(text), func(key, val []byte) bool {
			fmt.Fprintf(&got, "%s=%s;", key, val)
			return string(key) != "stop"
		}); each != ok || ok && got.String() != want {
			t.Errorf("%s: %v %q, want %v %q", text, each, got.String(), ok, want)
		}
	}
	f(`{}`, "", true)
	f(" { } ", "", true)
	f(`{"a":1}`, "a=1;", true)
	f(" {\"a\" : [1, 2] ,\n\"b\":{\"c\":\"}\"},\"\":null , \"a\":\"x\" } ", `a=[1, 2];b={"c":"}"};=null;a="x";`, true)
	f(`{"mod\u0065l":1,"\ud83d\ude00\/":2,"\ud83d":3}`, "model=1;😀/=2;\ufffd=3;", true)
	f(`{"a":1,"stop":2,"b":3,]`, "a=1;stop=2;", true)
	f(`{"a":1,"b"}`, "", false)
	f(`{"a":1,}`, "", false)
	f(`{"a":1`, "", false)
	f(`{"a":1]`, "", false)
	f(`{"a":x}`, "", false)
	f(`{"a":1} 1`, "", false)
	f(`{} {}`, "", false)
	f(`{`, "", false)
	f(`[1]`, "", false)
	f(`1`, "", false)
	f(``, "", false)
	f(strings.Repeat(`{"a":`, 65)+"1"+strings.Repeat("}", 65), `a=`+strings.Repeat(`{"a":`, 64)+"1"+strings.Repeat("}", 64)+";", true)
	f(strings.Repeat(`{"a":`, 66)+"1"+strings.Repeat("}", 66), "", false)
}

func TestElements(t *testing.T) {
	f := func(text, want string, ok bool) {
		t.Helper()
		var got strings.Builder
		if each := peek.Elements([]byte(text), func(val []byte) bool {
			fmt.Fprintf(&got, "%s;", val)
			return string(val) != `"stop"`
		}); each != ok || ok && got.String() != want {
			t.Errorf("%s: %v %q, want %v %q", text, each, got.String(), ok, want)
		}
	}
	f(`[]`, "", true)
	f(" [ ] ", "", true)
	f(` [1 , "]",{"a":[2 ]},[ ] ] `, `1;"]";{"a":[2 ]};[ ];`, true)
	f(`[1,"stop",2}`, `1;"stop";`, true)
	f(`[1,]`, "", false)
	f(`[,1]`, "", false)
	f(`[1`, "", false)
	f(`[`, "", false)
	f(`[1}`, "", false)
	f(`[1] 2`, "", false)
	f(`[] ]`, "", false)
	f(`{"a":1}`, "", false)
	f(``, "", false)
}

func TestInt(t *testing.T) {
	f := func(text string, want int64, ok bool) {
		t.Helper()
		if got, is := peek.Int([]byte(text)); got != want || is != ok {
			t.Errorf("%q: got %d, %v", text, got, is)
		}
	}
	f("0", 0, true)
	f("-0", 0, true)
	f("7", 7, true)
	f("-12", -12, true)
	f("9223372036854775807", math.MaxInt64, true)
	f("-9223372036854775808", math.MinInt64, true)
	f("9223372036854775808", 0, false)
	f("-9223372036854775809", 0, false)
	f("9999999999999999999", 0, false)
	f("10000000000000000000", 0, false)
	f("18446744073709551617", 0, false)
	for _, text := range []string{"", "-", "+1", "01", "-01", "1.0", "1e3", " 1", "1 ", "null", `"1"`, "x", "--1", "\xff"} {
		f(text, 0, false)
	}
}

func TestString(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got, ok := peek.String([]byte(text)); got != want || !ok {
			t.Errorf("%s: got %q, %v", text, got, ok)
		}
	}
	f(`""`, "")
	f(`"plain é 漢 😀"`, "plain é 漢 😀")
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	f(`"a\u0041\u00e9\u6F22\u0000\ufffd"`, "aAé漢\x00\ufffd")
	f(`"\ud83d\ude00x\uD83D\uDE00"`, "😀x😀")
	f(`"\udbff\udfff\ud800\udc00"`, "\U0010ffff\U00010000")
	f(`"\ud83d"`, "\ufffd")
	f(`"\ud83dx"`, "\ufffdx")
	f(`"\ude00\ud83d"`, "\ufffd\ufffd")
	f(`"\ud83d\ud83d\ude00"`, "\ufffd😀")
	f(`"\ud83d\u0041"`, "\ufffdA")
	f(`"\ud83d\\u0041"`, "\ufffd\\u0041")
	for _, text := range []string{"", `"`, `"a`, `a"`, "a", "1", "null", `"a" `, ` "a"`, `"a"b`, `"a"b"`, `"\"`, `"\x"`, `"\u12"`, "\"\n\"", "\"\xff\"", `'a'`} {
		if got, ok := peek.String([]byte(text)); got != "" || ok {
			t.Errorf("%q: got %q, %v", text, got, ok)
		}
	}
}

func TestSkip(t *testing.T) {
	f := func(before, value, after string) {
		t.Helper()
		if end := peek.Skip([]byte(before+value+after), len(before)); end != len(before)+len(value) {
			t.Errorf("%s is skipped to %d", before+value+after, end)
		}
	}
	f(``, `{}`, ``)
	f(`{"a": `, `"b\"}"`, ` , "c":1}`)
	f(`[`, `-1.5e3`, `,2]`)
	f(`[`, `[[],{"a":[true]}]`, `]`)
	f(`{"a":`, `null`, `}`)
}
