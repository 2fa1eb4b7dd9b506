package chat_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// heard is an encoder that joins what it is told.
type heard struct {
	chat.Collector
	pieces int
}

func (h *heard) Encode(_ *chat.Batch, p *chat.Piece) { h.pieces++; h.Add(p) }

func (h *heard) Fail(*chat.Batch, *chat.Error) { h.pieces++ }

var customs = &chat.Request{Tools: []chat.Tool{{Name: "f"}, {Kind: chat.Custom, Name: "patch"}}}

// quoted is the inside of a JSON string.
func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[1 : len(b)-1])
}

// restore says a call of a tool in fragments, which end anywhere but within an escape, and is what arrives.
func restore(t *testing.T, name, arguments string, cut func(n int) int) chat.ToolCall {
	t.Helper()
	h := &heard{}
	e := chat.Restore(customs, h)
	var b chat.Batch
	e.Encode(&b, &chat.Piece{Kind: chat.PieceCall, Index: 3, Call: &chat.ToolCall{ID: "c", Name: name}})
	for rest := quoted(t, arguments); rest != ""; {
		n, to := cut(len(rest)), 0
		for to < n && to < len(rest) {
			size := 1
			if rest[to] == '\\' {
				if size = 2; rest[to+1] == 'u' {
					size = 6
				}
			}
			to += size
		}
		e.Encode(&b, &chat.Piece{Kind: chat.PieceArguments, Index: 3, Text: []byte(rest[:to])})
		rest = rest[to:]
	}
	e.Encode(&b, &chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishCalls})
	calls := h.Reply().Choices[0].Message.Calls()
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	return calls[0]
}

func TestRestoreCustom(t *testing.T) {
	f := func(arguments, want string) {
		t.Helper()
		for size := range 7 {
			got := restore(t, "patch", arguments, func(int) int { return size + 1 })
			if got.Kind != chat.Custom || got.Arguments != want || got.ID != "c" {
				t.Errorf("%s, %d bytes at a time: %+v", arguments, size+1, got)
			}
		}
		r := &chat.Reply{Choices: []chat.Choice{{Message: chat.Message{Parts: []chat.Part{
			{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c", Name: "patch", Arguments: arguments}},
		}}}}}
		whole := chat.RestoreCalls(customs, r).Choices[0].Message.Calls()[0]
		if whole.Kind != chat.Custom || whole.Arguments != want {
			t.Errorf("%s, whole: %+v", arguments, whole)
		}
		if was := r.Choices[0].Message.Calls()[0]; was.Kind != chat.Function || was.Arguments != arguments {
			t.Errorf("the reply was changed: %+v", was)
		}
	}
	f(`{"input":"plain"}`, "plain")
	f(` { "input" : "a\n\t\"q\" \\ / \/ é 😀 \u00e9 \ud83d\ude00 <&>" } `, "a\n\t\"q\" \\ / / é 😀 é 😀 <&>")
	f(`{"input":""}`, "")
	f(``, "")
	f(`{}`, "")
	f(`{"input":"cut in the mid`, "cut in the mid")
	f(`{"input":"cut in an escape \`, "cut in an escape ")
	f(`{"inp`, "")
	f("{\"input\":\"raw\nline\"}", "raw\nline")
	f(`{"input":"no \escape \u12"}`, `no \escape \u12`)
	f(`{"why":"x","input":"y"}`, "y") // what the model adds on its own is left out
	f(`{"input":{"a":1}}`, `{"a":1}`)
	f(`{"inputs":"y"}`, `{"inputs":"y"}`)
	f(`*** Begin Patch`, `*** Begin Patch`)
	f(`["\u0000"]`, `["\u0000"]`)
}

func TestRestoreCustomAny(t *testing.T) {
	m := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "\"", "\\", "\n", "\x00", "\x7f", "é", "😀", "/", "{", "}", "u00e9", "\u2028", " "}
	for range 5000 {
		var text strings.Builder
		for range m.IntN(12) {
			text.WriteString(alphabet[m.IntN(len(alphabet))])
		}
		arguments := `{"input":"` + quoted(t, text.String()) + `"}`
		got := restore(t, "patch", arguments, func(n int) int { return 1 + m.IntN(n) })
		if got.Arguments != text.String() {
			t.Fatalf("%q is restored as %q", text.String(), got.Arguments)
		}
	}
}

func TestRestoreCustomOthers(t *testing.T) {
	if got := restore(t, "f", `{"input":"x"}`, func(n int) int { return n }); got.Kind != chat.Function || got.Arguments != `{"input":"x"}` {
		t.Errorf("a function was changed: %+v", got)
	}
	h := &heard{}
	for _, q := range []*chat.Request{nil, {}, {Tools: customs.Tools[:1]}} {
		if chat.Restore(q, h) != chat.Encoder(h) {
			t.Error("without custom tools there is nothing to do")
		}
		if r := (&chat.Reply{}); chat.RestoreCalls(q, r) != r {
			t.Error("without custom tools there is nothing to do")
		}
	}
	e := chat.Restore(customs, h)
	e.Encode(nil, &chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{ID: "c", Kind: chat.Custom, Name: "patch"}})
	e.Encode(nil, &chat.Piece{Kind: chat.PieceArguments, Text: []byte(`{\"input\":\"x\"}`)})
	e.Encode(nil, &chat.Piece{Kind: chat.PieceFinish})
	if got := h.Reply().Choices[0].Message.Calls()[0]; got.Arguments != `{"input":"x"}` {
		t.Errorf("what is a custom call already was changed: %+v", got)
	}
	if e.Fail(nil, &chat.Error{}); h.pieces != 4 {
		t.Error("the failure was not passed on")
	}
}

func TestWithoutCustom(t *testing.T) {
	said := func(c chat.ToolCall) []chat.Message {
		return []chat.Message{{Parts: []chat.Part{{Text: "x"}}}, {Parts: []chat.Part{{Kind: chat.PartCall, Call: &c}}}}
	}
	custom, plain := chat.ToolCall{Kind: chat.Custom, Name: "p", Arguments: "a \"b\"\n"}, chat.ToolCall{Name: "p", Arguments: "{}"}
	q := &chat.Request{Tools: []chat.Tool{{Name: "f"}, {Kind: chat.Custom, Name: "p"}}, Messages: said(custom)}
	got := chat.WithoutCustom(q)
	if tool := got.Tools[1]; tool.Kind != chat.Function || string(tool.Parameters) != chat.CustomParameters || tool.Name != "p" {
		t.Errorf("tool %+v", tool)
	}
	if c := got.Messages[1].Calls()[0]; c.Kind != chat.Function || c.Arguments != `{"input":"a \"b\"\n"}` {
		t.Errorf("call %+v", c)
	}
	if q.Tools[1].Kind != chat.Custom || q.Messages[1].Calls()[0] != custom {
		t.Error("the request was changed")
	}
	if q := (&chat.Request{Tools: []chat.Tool{{Name: "f"}}, Messages: said(plain)}); chat.WithoutCustom(q) != q {
		t.Error("there was nothing to do")
	}
	if q := (&chat.Request{Messages: said(custom)}); chat.WithoutCustom(q).Messages[1].Calls()[0].Kind != chat.Function {
		t.Error("calls of a tool that is not offered any more stayed")
	}
}

func FuzzRestoreCustom(f *testing.F) {
	f.Add(`{"input":"a\n"}`, 3)
	f.Add(`{"input":"\ud83d`, 1)
	f.Add(`{"input":"\q\u12"`, 2)
	f.Fuzz(func(t *testing.T, arguments string, size int) {
		if arguments = strings.ToValidUTF8(arguments, "?"); size < 1 {
			size = 1
		}
		h := &heard{}
		e := chat.Restore(customs, valid{t, h})
		e.Encode(nil, &chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{Name: "patch"}})
		for len(arguments) > 0 {
			n := min(size, len(arguments))
			for n < len(arguments) && arguments[n]&0xc0 == 0x80 {
				n++
			}
			e.Encode(nil, &chat.Piece{Kind: chat.PieceArguments, Text: []byte(quoted(t, arguments[:n]))})
			arguments = arguments[n:]
		}
		e.Encode(nil, &chat.Piece{Kind: chat.PieceFinish})
	})
}

// valid is an encoder that checks that each piece's text is the inside of a JSON string.
type valid struct {
	t *testing.T
	*heard
}

func (v valid) Encode(b *chat.Batch, p *chat.Piece) {
	if text := `"` + string(p.Text) + `"`; !json.Valid([]byte(text)) {
		v.t.Fatalf("%s is no JSON string", text)
	}
	v.heard.Encode(b, p)
}
