package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

func TestClampEdits(t *testing.T) {
	f := func(endpoint, member, body string, want string) {
		t.Helper()
		x := opened(t, endpoint, "", body)
		e := x.Request.ClampEdits(nil, member, 100)
		if got := string(peek.Append(nil, x.Request.Body(), e)); got != want {
			t.Errorf("%s: %s\n got %s\nwant %s", endpoint, body, got, want)
		}
	}
	chat := func(body, want string) {
		t.Helper()
		f("chat.completions", "max_completion_tokens", body, want)
	}
	chat(`{"model":"m"}`, `{"max_completion_tokens":100,"model":"m"}`)
	chat(` { "model" : "m" }`, ` {"max_completion_tokens":100, "model" : "m" }`)
	chat(`{"model":"m","max_completion_tokens": 4096 }`, `{"model":"m","max_completion_tokens": 100 }`)
	chat(`{"max_tokens":101,"model":"m"}`, `{"max_tokens":100,"model":"m"}`)
	chat(`{"max_tokens":100,"model":"m"}`, `{"max_tokens":100,"model":"m"}`)
	chat(`{"max_tokens":7,"model":"m","max_completion_tokens":4096}`, `{"max_tokens":7,"model":"m","max_completion_tokens":100}`)
	chat(`{"max_tokens":700,"model":"m","max_completion_tokens":4096}`, `{"max_tokens":100,"model":"m","max_completion_tokens":100}`)
	chat(`{"max_tokens":700,"model":"m","max_completion_tokens":null}`, `{"max_tokens":100,"model":"m","max_completion_tokens":null}`)
	chat(`{"max_completion_tokens":null,"model":"m"}`, `{"max_completion_tokens":100,"model":"m"}`)
	chat(`{"max_tokens":null,"model":"m"}`, `{"max_completion_tokens":100,"max_tokens":null,"model":"m"}`)
	chat(`{"max_output_tokens":7,"model":"m","n":3}`, `{"max_completion_tokens":100,"max_output_tokens":7,"model":"m","n":3}`)
	f("chat.completions", "max_tokens", `{"model":"m"}`, `{"max_tokens":100,"model":"m"}`)
	f("completions", "max_tokens", `{"model":"m","max_completion_tokens":7}`, `{"max_tokens":100,"model":"m","max_completion_tokens":7}`)
	f("messages", "max_tokens", `{"model":"m","max_tokens":0}`, `{"model":"m","max_tokens":0}`) // warms a cache
	f("messages", "max_tokens", `{"model":"m","max_tokens":64000}`, `{"model":"m","max_tokens":100}`)
	f("responses.create", "max_output_tokens", `{"model":"m","max_output_tokens":64000}`, `{"model":"m","max_output_tokens":100}`)
	f("responses.create", "max_output_tokens", `{"model":"m","max_output_tokens":1e9}`, `{"model":"m","max_output_tokens":100}`)
	f("responses.create", "max_output_tokens", `{"model":"m","max_tokens":7}`, `{"max_output_tokens":100,"model":"m","max_tokens":7}`)
	for _, name := range []string{"embeddings", "responses.input_tokens", "messages.count_tokens", "moderations"} {
		f(name, "max_tokens", `{"model":"m","max_tokens":4096}`, `{"model":"m","max_tokens":4096}`)
		if opened(t, name, "", `{"model":"m"}`).Request.Endpoint.Clamps() {
			t.Errorf("the answers of %s have no limit", name)
		}
	}
}

// TestClampProperty makes bodies of members in any order, with any white space, and with limits that are numbers, null, or
// absent. Whatever the dialect: beside its limits the body stays as it is, byte for byte, also when its model is renamed, and
// what is read of it afterwards says the limit.
func TestClampProperty(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		d := clampDialects[rng.IntN(len(clampDialects))]
		members := []string{`"model":"m"`, `"messages":[{"role":"user","content":"say \"max_tokens\":5, {}"}]`, `"n":3`, `"x":{"max_tokens":9000,"max_output_tokens":null}`}
		if rng.IntN(2) == 0 {
			members = append(members, `"stream":true`)
		}
		said := map[string]string{}
		for _, name := range d.limits {
			switch rng.IntN(3) {
			case 0:
				said[name] = "null"
			case 1:
				said[name] = fmt.Sprint(rng.Int64N(9000))
			}
			if v := said[name]; v != "" {
				members = append(members, `"`+name+`"`+blank(rng)+":"+blank(rng)+v)
			}
		}
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		body := "{" + blank(rng) + strings.Join(members, blank(rng)+","+blank(rng)) + blank(rng) + "}"
		n := 1 + rng.Int64N(9000)
		x := opened(t, d.endpoint, "", body)
		e := x.Request.Edits(nil, []string{"m", "other"}[rng.IntN(2)], rng.IntN(2) == 0 && d.endpoint == "chat.completions")
		without := string(peek.Append(nil, x.Request.Body(), e))
		for _, one := range x.Request.ClampEdits(nil, d.member, n) { // the rest is copied
			if was := body[one.At:one.End]; was != "" && was != "null" && strings.Trim(was, "0123456789") != "" || was == "" && one.At != 1 {
				t.Fatalf("%s: %+v replaces %q", body, one, was)
			}
		}
		e = x.Request.ClampEdits(e, d.member, n)
		if !slices.IsSortedFunc(e, func(a, b peek.Edit) int { return a.At - b.At }) {
			t.Fatalf("%s: %+v", body, e)
		}
		got := string(peek.Append(nil, x.Request.Body(), e))
		if stripped(got, d.limits) != stripped(without, d.limits) {
			t.Fatalf("beside the limits it differs:\n%s\n%s", without, got)
		}
		var after map[string]any
		if err := json.Unmarshal([]byte(got), &after); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		limited := false
		for _, name := range d.limits {
			v, ok := after[name].(float64)
			limited = limited || ok
			if ok && int64(v) > n || ok && said[name] != "" && said[name] != "null" && fmt.Sprint(min(n, number(said[name]))) != fmt.Sprint(int64(v)) {
				t.Fatalf("at most %d: %s became %s", n, body, got)
			}
		}
		if !limited || fmt.Sprint(after["n"]) != "3" {
			t.Fatalf("%s became %s", body, got)
		}
		if _, err := peek.Scan([]byte(got)); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
	}
}

var clampDialects = []struct {
	endpoint, member string
	limits           []string
}{
	{"chat.completions", "max_completion_tokens", []string{"max_completion_tokens", "max_tokens"}},
	{"chat.completions", "max_tokens", []string{"max_completion_tokens", "max_tokens"}},
	{"messages", "max_tokens", []string{"max_tokens"}},
	{"responses.create", "max_output_tokens", []string{"max_output_tokens"}},
}

func number(s string) (n int64) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

func blank(rng *rand.Rand) string { return []string{"", " ", "\n\t"}[rng.IntN(3)] }

// stripped is a body without its own limits, and without white space and commas around members.
func stripped(body string, limits []string) string {
	var b strings.Builder
	peek.Each([]byte(body), func(key, val []byte) bool {
		if !slices.Contains(limits, string(key)) {
			fmt.Fprintf(&b, "%s=%s;", key, val)
		}
		return true
	})
	return b.String()
}

// A key that stands twice is no request, so nothing is clamped in one place and asked for in another; and neither is one in
// another spelling, which some servers take for it.
func TestClampNeedsOneLimit(t *testing.T) {
	for _, body := range []string{
		`{"model":"m","max_output_tokens":5,"max_output_tokens":5000}`, `{"model":"m","max_tokens":5,"max_tokens":5000}`,
		`{"model":"m","Max_Output_Tokens":5}`, `{"model":"m","max_output_token\u0073":5}`, `{"model":"m","MAX_TOKENS":5}`,
	} {
		if _, err := peek.Scan([]byte(body)); err == nil {
			t.Error(body)
		}
	}
	if f, err := peek.Scan(bytes.TrimSpace([]byte(`{"model":"m","max_output_tokens":"five"}`))); err != nil || f.MaxTokens != 0 {
		t.Error(f, err) // for its provider to say
	}
}
