package main

import (
	"strings"
	"testing"
)

// A provider may part a character outside of the basic plane between two events, in escapes.
func TestChatJoinsHalves(t *testing.T) {
	f := func(want string, deltas ...string) {
		t.Helper()
		var stream strings.Builder
		for _, d := range append(deltas, "") {
			stream.WriteString(`data: {"id":"a","choices":[{"index":0,"delta":{"content":"` + d + `"}}]}` + "\n\n")
		}
		stream.WriteString(`data: {"id":"a","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":7,"total_tokens":8}}` + "\n\ndata: [DONE]\n\n")
		var a account
		var out strings.Builder
		if err := a.read(strings.NewReader(stream.String()), &out); err != nil || out.String() != want || a.text.String() != want || a.tokens != 7 {
			t.Errorf("%q: %q, %d tokens, %v", deltas, out.String(), a.tokens, err)
		}
	}
	f("a b", "a", " b")
	f("😀!", `\ud83d`, `\ude00!`)
	f("x😀", `x\uD83D`, `\uDE00`)
	f(`\ud83d`+"y", `\\ud83d`, "y")
	f("é", `\u00e9`)
}
