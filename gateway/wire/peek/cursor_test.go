package peek_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// nested lists the members of b, and those of the objects and arrays in it whose keys are in, with Each and Elements.
func nested(b []byte, in, indent string) (list string, whole bool) {
	whole = peek.Each(b, func(key, val []byte) bool {
		list += listed(string(key), val, in, indent)
		return true
	})
	return list, whole
}

// listed is one member, or one element of the array of that name.
func listed(key string, val []byte, in, indent string) string {
	inner := ""
	switch {
	case !strings.Contains(key, in) || val[0] != '{' && val[0] != '[':
		return fmt.Sprintf("%s%s: %s\n", indent, key, val)
	case val[0] == '[':
		peek.Elements(val, func(element []byte) bool {
			inner += listed(key, element, in, indent+" ")
			return true
		})
	default:
		inner, _ = nested(val, in, indent+" ")
	}
	return fmt.Sprintf("%s%s%c\n%s", indent, key, val[0], inner)
}

// walked does so with a cursor. array is the name of the one that was entered.
func walked(c *peek.Cursor, in, array, indent string) (list string) {
	for c.Next() {
		key := array + string(c.Key())
		switch enters := strings.Contains(key, in); {
		case enters && c.Enter():
			list += fmt.Sprintf("%s%s{\n%s", indent, key, walked(c, in, "", indent+" "))
		case enters && c.EnterArray():
			list += fmt.Sprintf("%s%s[\n%s", indent, key, walked(c, in, key, indent+" "))
		default:
			list += fmt.Sprintf("%s%s: %s\n", indent, key, c.Value())
		}
	}
	return list
}

// skipped counts the members of b without a look at their values.
func skipped(b []byte) (n int, whole bool) {
	var c peek.Cursor
	c.Open(b)
	for c.Next() {
		n++
	}
	return n, c.Done()
}

func TestCursor(t *testing.T) {
	f := func(text, want string, whole bool) {
		t.Helper()
		var c peek.Cursor
		c.Open([]byte(text))
		if got := walked(&c, "o", "", ""); got != want || c.Done() != whole {
			t.Errorf("%s\ngot  %q, %v\nwant %q, %v", text, got, c.Done(), want, whole)
		}
		if c.Next() || c.Value() != nil || c.Enter() {
			t.Errorf("%s: there is more behind the end", text)
		}
	}
	f(`{}`, "", true)
	f(` { "a" : 1 , "b":[{"o":{}}] } `, "a: 1\nb: [{\"o\":{}}]\n", true)
	f(`{"o":{"a":{"b":1},"oo":{},"c":2},"o":3}`, "o{\n a: {\"b\":1}\n oo{\n c: 2\no: 3\n", true)
	f(`{"\u006f":{"a\"":"\n"}}`, "o{\n a\": \"\\n\"\n", true)
	f(`{"o":[],"a":[]}`, "o[\na: []\n", true)
	f(`{"o":[ {"a":1} , 2,[[]],{}],"a":"b"}`, "o[\n o{\n  a: 1\n o: 2\n o[\n  o[\n o{\na: \"b\"\n", true)
	f(`{"o":[1,]}`, "o[\n o: 1\n o: \n", false)
	f(`{"o":[1}}`, "o[\n o: 1\n", false)
	f(`{"o":{"a":1]}`, "o{\n a: 1\n", false)
	f(`[]`, "", false)
	f(``, "", false)
	f(`{"a":1}x`, "a: 1\n", false)
	f(`{"a":1},"b":2`, "a: 1\n", false)
	f(`{"o":{"a":1}`, "o{\n a: 1\n", false)
	f(`{"o":{"a":1,}}`, "o{\n a: 1\n", false)
	f(`{"o":{,"a":1}}`, "o{\n", false)
	f(`{"o"`, "", false)
	f(`{"a":`, "a: \n", false)
	f(`{"a":nil}`, "a: \n", false)

	deep := func(n int) string { return strings.Repeat(`{"o":`, n) + "0" + strings.Repeat("}", n) }
	for n, want := range map[int]bool{peek.MaxDepth + 1: true, peek.MaxDepth + 2: false} { // the outermost does not count
		var c peek.Cursor
		c.Open([]byte(deep(n)))
		if walked(&c, "o", "", ""); c.Done() != want {
			t.Errorf("%d objects in each other: %v", n, !want)
		}
		lists := peek.Cursor{}
		lists.Open([]byte(`{"o":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}"))
		if walked(&lists, "o", "", ""); lists.Done() != want {
			t.Errorf("%d arrays in each other: %v", n, !want)
		}
	}
}

// A cursor that enters and a cursor that skips accept what Each accepts, and enter to what it gives.
func FuzzCursor(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), "s")
	}
	f.Add(completion(300), "usage")
	f.Add([]byte(`{"o":{"a":{"b":1},"oo":{},"c":[2,{}]},"o":3}`), "o")
	f.Fuzz(func(t *testing.T, b []byte, in string) {
		want, whole := nested(b, in, "")
		var c peek.Cursor
		c.Open(b)
		if got := walked(&c, in, "", ""); c.Done() != whole || whole && got != want {
			t.Fatalf("%q\ngot  %q, %v\nwant %q, %v", b, got, c.Done(), want, whole)
		}
		members := 0
		all := peek.Each(b, func(_, _ []byte) bool { members++; return true })
		if n, ok := skipped(b); ok != all || ok && n != members {
			t.Fatalf("%q: %d members, %v, skipped; %d, %v, read", b, n, ok, members, all)
		}
	})
}
