package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func isObject(b []byte) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(b, &m) == nil && m != nil
}

func TestStrict(t *testing.T) {
	f := func(s string, want error) {
		t.Helper()
		if err := strict([]byte(s)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", s, err, want)
		}
	}
	f(`{}`, nil)
	f(`{"a":1,"A":2,"b":{"a":1},"c":[{"a":1},{"a":1}]}`, nil)
	f(`{"a":1,"b":2,"a":3}`, errTwice)
	f(`{"a":1,"\u0061":3}`, errTwice)
	f(`{"x":[[{"a":1,"a":1}]]}`, errTwice)
	f(strings.Repeat(`{"a":`, deepest)+"1"+strings.Repeat("}", deepest), nil)
	f(strings.Repeat(`{"a":`, deepest+1)+"1"+strings.Repeat("}", deepest+1), errDeep)
	f(`{"a":`+strings.Repeat("[", deepest)+strings.Repeat("]", deepest)+"}", errDeep)
	for _, s := range []string{"", "[]", "1", "null", `"a"`, "{} {}", "{}1", "{\"a\":\"\xff\"}"} {
		f(s, errNotObject)
	}
	for _, s := range []string{`{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{1:2}`, `{"a":[1}`} {
		if strict([]byte(s)) == nil {
			t.Errorf("%s is strict", s)
		}
	}
}
