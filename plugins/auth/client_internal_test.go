package auth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// FuzzBasic compares with what net/http makes of the header.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{"Basic YWNtZTpr", "basic YWNtZQ==", "Basic  Og==", "Basic", "Bearer x", "Basic YSUzYWI6Yw==", "Basic \xff", "BasicYWNtZTpr"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, secret, ok := parseBasic([]byte(s))
		scheme, _, _ := strings.Cut(s, " ")
		if !strings.EqualFold(scheme, "Basic") || strings.Trim(strings.TrimPrefix(s, scheme), " ") != strings.TrimPrefix(s, scheme+" ") {
			return // more spaces than net/http knows
		}
		wantID, wantSecret, want := (&http.Request{Header: http.Header{"Authorization": {s}}}).BasicAuth()
		var err1, err2 error
		wantID, err1 = url.QueryUnescape(wantID)
		wantSecret, err2 = url.QueryUnescape(wantSecret)
		if want = want && err1 == nil && err2 == nil; ok != want || ok && (id != wantID || secret != wantSecret) {
			t.Errorf("%q: %q %q %t, want %q %q %t", s, id, secret, ok, wantID, wantSecret, want)
		}
	})
}

// FuzzScope looks for scopes that allow a model which the key or the scope does not.
func FuzzScope(f *testing.F) {
	f.Add("gpt-* o3", "gpt-4* claude-*", "gpt-4o")
	f.Add("*", "a*b*c", "axbxc")
	f.Add("", "*", "x")
	f.Add("a*", "*b", "ab")
	f.Add("gpt-4", "*", "*")
	f.Fuzz(func(t *testing.T, key, asked, model string) {
		allow := words(key)
		scope, err := parseScope(allow, asked)
		if err != nil || strings.Contains(model, "*") {
			return
		}
		if again, err := parseScope(nil, scope); err != nil || again != scope {
			t.Fatalf("%q is no scope: %q, %v", scope, again, err)
		}
		match := func(p gateway.Pattern) bool { return p.Match(model) }
		any := func(list []gateway.Pattern) bool { return len(list) == 0 || slices.ContainsFunc(list, match) }
		granted := any(narrowed(allow, strings.Fields(scope)))
		if granted && !(any(allow) && any(words(asked))) {
			t.Errorf("%q may have %q of %q: %q", asked, model, key, scope)
		}
	})
}

// FuzzStrict compares with encoding/json: what is strict is one object, and nothing else is.
func FuzzStrict(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":{"b":[{}]},"b":null}`, `{"a":1,"a":2}`, `[]`, `{} {}`, `{"a":[1,{"x":1,"x":2}]}`, "{\"\xff\":1}", `{"a":`, strings.Repeat(`{"a":`, 16) + "1" + strings.Repeat("}", 16)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if strict(b) == nil && !isObject(b) {
			t.Errorf("%q is taken for an object", b)
		}
	})
}
