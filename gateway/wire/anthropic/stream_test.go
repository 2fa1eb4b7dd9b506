package anthropic_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func begin(u *chat.Usage) chat.Piece {
	return chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "r", Model: "m"}, Usage: u}
}

func said(s string) chat.Piece { return chat.Piece{Kind: chat.PieceText, Text: inside(s)} }

func thought(s string) chat.Piece { return chat.Piece{Kind: chat.PieceReasoning, Text: inside(s)} }

func called(index int, id, name string) chat.Piece {
	return chat.Piece{Kind: chat.PieceCall, Index: index, Call: &chat.ToolCall{ID: id, Name: name}}
}

func arguments(index int, s string) chat.Piece {
	return chat.Piece{Kind: chat.PieceArguments, Index: index, Text: inside(s)}
}

func finish(f chat.FinishReason) chat.Piece { return chat.Piece{Kind: chat.PieceFinish, Finish: f} }

var end = chat.Piece{Kind: chat.PieceEnd}

// inside is a text as it stands in a JSON string.
func inside(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b[1 : len(b)-1]
}

// short tells events in few words: blocks by their index and type, deltas by their text.
func short(t *testing.T, b *chat.Batch) string {
	t.Helper()
	var list []string
	for {
		name, data, ok := b.Next()
		if !ok {
			return strings.Join(list, " ")
		}
		var v struct {
			Type    string
			Index   int
			Block   struct{ Type, Name, Data string } `json:"content_block"`
			Delta   struct{ Text, Thinking, Signature, Partial_json, Stop_reason string }
			Message struct{ ID string }
			Error   struct{ Type string }
		}
		if err := json.Unmarshal(data, &v); err != nil || v.Type != name {
			t.Fatalf("event %s: %s: %v", name, data, err)
		}
		d := v.Delta
		switch name {
		case "content_block_start":
			list = append(list, fmt.Sprintf("%d:%s%s%s", v.Index, v.Block.Type, v.Block.Name, v.Block.Data))
		case "content_block_delta":
			list = append(list, fmt.Sprintf("%d[%s%s%s%s]", v.Index, d.Text, d.Thinking, d.Signature, d.Partial_json))
		case "content_block_stop":
			list = append(list, fmt.Sprintf("%d.", v.Index))
		case "message_delta":
			list = append(list, d.Stop_reason)
		default:
			list = append(list, strings.TrimPrefix(name, "message_")+v.Error.Type)
		}
	}
}

func TestEncoderBlocks(t *testing.T) {
	f := func(want string, list ...chat.Piece) {
		t.Helper()
		e, b := anthropic.NewEncoder(nil), new(chat.Batch)
		for i := range list {
			e.Encode(b, &list[i])
		}
		if got := short(t, b); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
	f("start 0:text 0[Hi] 0[ you] 0. end_turn stop", begin(nil), said("Hi"), said(" you"), finish(chat.FinishStop), end)
	f("start end_turn stop", begin(nil), finish(chat.FinishStop), end)
	// A block begins with the first real piece, of its kind (litellm #34433, #32357).
	f("start 0:thinking 0[Hm] 0. 1:text 1[Hi] 1. end_turn stop", begin(nil), said(""), thought("Hm"), said(""), said("Hi"), finish(chat.FinishStop), end)
	// What causes another block is not lost (litellm #25321, #30014).
	f("start 0:text 0[a] 0. 1:tool_usef 1[{}] 1. 2:text 2[b] 2. 3:thinking 3[c] 3. tool_use stop",
		begin(nil), said("a"), called(0, "x", "f"), arguments(0, "{}"), said("b"), thought("c"), finish(chat.FinishCalls), end)
	// There is one message_start, even if a stream lacks its beginning or repeats it (litellm #32357, bifrost #4556).
	f("start 0:text 0[a] 0[b] 0. end_turn stop", said("a"), begin(nil), said("b"), finish(chat.FinishStop), end, said("c"), end)
	// A refusal is said.
	f("start 0:text 0[No] 0. refusal stop", begin(nil), chat.Piece{Kind: chat.PieceRefusal, Text: inside("No")}, finish(chat.FinishFilter), end)
	// Other choices have no place.
	f("start 0:text 0[a] 0. end_turn stop", begin(nil), said("a"), chat.Piece{Kind: chat.PieceText, Choice: 1, Text: inside("b")}, finish(chat.FinishStop), end)
	// Without an end nothing is complete.
	f("start 0:text 0[a] 0.", begin(nil), said("a"), finish(chat.FinishStop))
	f("start 0:text 0[a]", begin(nil), said("a"))
	// Thoughts end with their signature; hidden ones are a block of their own.
	f("start 0:thinking 0[a] 0[S] 0. 1:thinking 1[b] 1. 2:redacted_thinkingzz 2. 3:redacted_thinkingyy 3. 4:thinking 4[T] 4. end_turn stop", begin(nil),
		thought("a"), chat.Piece{Kind: chat.PieceSignature, Text: inside("S")}, thought("b"), chat.Piece{Kind: chat.PieceRedacted, Text: inside("zz")},
		chat.Piece{Kind: chat.PieceRedacted, Text: inside("yy")}, chat.Piece{Kind: chat.PieceSignature, Text: inside("T")}, finish(chat.FinishStop), end)
}

func TestEncoderCalls(t *testing.T) {
	f := func(want string, list ...chat.Piece) {
		t.Helper()
		e, b := anthropic.NewEncoder(nil), new(chat.Batch)
		list = append(append([]chat.Piece{begin(nil)}, list...), finish(chat.FinishStop), end)
		for i := range list {
			e.Encode(b, &list[i])
		}
		want = "start " + want + " tool_use stop" // also if the provider says stop (vercel/ai #12218)
		if got := short(t, b); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
	f(`0:tool_usef 0[{}] 0.`, called(0, "a", "f")) // no fragment
	f(`0:tool_usef 0[{"a"] 0[:1}] 0.`, called(0, "a", "f"), arguments(0, `{"a"`), arguments(0, ``), arguments(0, `:1}`))
	f(`0:tool_usef 0[{"a":"]}"}] 0. 1:tool_useg 1[{}] 1[ ] 1.`, called(0, "a", "f"), arguments(0, `{"a":"]}"}`), called(1, "b", "g"), arguments(1, `{}`), arguments(1, ` `))
	// Calls that interleave come one after the other, nothing is lost.
	f(`0:tool_usef 0[{"a"] 0[:1}] 0. 1:tool_useg 1[{"b":] 1[2}] 1. 2:text 2[x] 2.`,
		called(0, "a", "f"), called(1, "b", "g"), arguments(0, `{"a"`), arguments(1, `{"b":`), arguments(0, `:1}`), arguments(1, `2}`), said("x"))
	f(`0:tool_usef 0[{] 0[}] 0. 1:tool_useg 1[{}] 1. 2:tool_useh 2[{"c"] 2[:3}] 2.`,
		called(0, "a", "f"), called(1, "b", "g"), called(2, "c", "h"), arguments(0, `{`), arguments(2, `{"c"`), arguments(1, `{}`), arguments(0, `}`), arguments(2, `:3}`))
	// Text that comes between waits, too.
	f(`0:tool_usef 0[{] 0[}] 0. 1:text 1[xy] 1. 2:thinking 2[hmm] 2. 3:tool_useg 3[{}] 3.`,
		called(0, "a", "f"), arguments(0, `{`), said("x"), said("y"), thought("hm"), thought("m"), called(1, "b", "g"), arguments(1, `{}`), arguments(0, `}`))
	// Whether arguments are complete is seen through both layers of escapes.
	for _, s := range []string{`{"a":"\"}"`, `{"a":"\\\"}"`, `{"a":"é}"`, "{\n\t\"}\":[{}]"} {
		f(`0:tool_usef 0[`+s+`] 0[}] 0. 1:tool_useg 1[{}] 1.`, called(0, "a", "f"), arguments(0, s), called(1, "b", "g"), arguments(0, `}`))
	}
	escaped := chat.Piece{Kind: chat.PieceArguments, Text: []byte(`\u007b\u0022a\u0022:\u0022\u007d\u0022`)}
	f(`0:tool_usef 0[{"a":"}"] 0[}] 0. 1:tool_useg 1[{}] 1.`, called(0, "a", "f"), escaped, called(1, "b", "g"), arguments(0, `}`))
	// A call may bring its arguments with it, and unknown ones are passed over.
	f(`0:tool_usef 0[{"a":1}] 0.`, chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{ID: "a", Name: "f", Arguments: `{"a":1}`}}, arguments(5, "{}"))
	// The signature of a call (Gemini's) comes before it, for clients that send thoughts back; or behind it if it is late.
	sign := chat.Piece{Kind: chat.PieceSignature, Call: &chat.ToolCall{ID: "a"}, Text: inside("S")}
	f(`0:thinking 0[sluice_call.a.S] 0. 1:tool_usef 1[{}] 1.`, called(0, "a", "f"), sign, arguments(0, `{}`))
	f(`0:thinking 0[sluice_call.a.SS] 0. 1:tool_usef 1[{}] 1.`, called(0, "a", "f"), sign, sign)
	f(`0:tool_usef 0[{}] 0. 1:thinking 1[sluice_call.a.S] 1.`, called(0, "a", "f"), arguments(0, `{}`), sign)
	f(`0:tool_usef 0[{] 0[}] 0. 1:thinking 1[sluice_call.a.S] 1. 2:text 2[x] 2.`, called(0, "a", "f"), arguments(0, `{`), sign, said("x"), arguments(0, `}`))
	f(`0:tool_usef 0[{}] 0. 1:text 1[x] 1. 2:thinking 2[sluice_call.a.S] 2. 3:text 3[y] 3.`, called(0, "a", "f"), arguments(0, `{}`), said("x"), sign, said("y"))
	// Signatures and citations of what waits.
	f(`0:tool_usef 0[{] 0[}] 0. 1:thinking 1[T] 1[S] 1. 2:text 2[x] 2[] 2. 3:redacted_thinkingzz 3.`, called(0, "a", "f"), arguments(0, `{`),
		thought("T"), chat.Piece{Kind: chat.PieceSignature, Text: inside("S")}, said("x"),
		chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: "https://x"}}, chat.Piece{Kind: chat.PieceRedacted, Text: inside("zz")}, arguments(0, `}`))
}

// message_start needs usage, which other dialects tell at the end: it has what is known or an estimate, and the real one
// follows (litellm #31069, PR 41071).
func TestEncoderUsage(t *testing.T) {
	f := func(q *chat.Request, known, last *chat.Usage, wantStart, wantDelta string) {
		t.Helper()
		e, b := anthropic.NewEncoder(q), new(chat.Batch)
		list := []chat.Piece{begin(known), said("x"), finish(chat.FinishStop)}
		if last != nil {
			list = append(list, chat.Piece{Kind: chat.PieceUsage, Usage: last})
		}
		for _, p := range append(list, end) {
			e.Encode(b, &p)
		}
		for {
			name, data, ok := b.Next()
			if !ok {
				return
			}
			var v struct {
				Usage   json.RawMessage
				Message struct {
					Model string
					Usage json.RawMessage
				}
			}
			if err := json.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			if got := string(v.Message.Usage); name == "message_start" && got != wantStart {
				t.Errorf("message_start: got %s, want %s", got, wantStart)
			}
			if got := string(v.Usage); name == "message_delta" && got != wantDelta {
				t.Errorf("message_delta: got %s, want %s", got, wantDelta)
			}
		}
	}
	const zeros = `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`
	const estimated = `{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`
	q := &chat.Request{
		Messages: []chat.Message{user("12345678"), assistant(call("a", "f", "{}"))},
		Tools:    []chat.Tool{{Name: "f", Description: "abc", Parameters: json.RawMessage(`{ }`)}},
	}
	real := &chat.Usage{Input: 1, InputAudio: 10, CacheRead: 2, CacheWrite: 3, CacheWriteHour: 4, Output: 5, Reasoning: 6, Provenance: chat.Reported}
	const told = `{"input_tokens":11,"cache_creation_input_tokens":7,"cache_read_input_tokens":2,` +
		`"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens":11,"output_tokens_details":{"thinking_tokens":6}}`
	const said1 = `"output_tokens":1}` // of one byte
	f(nil, nil, nil, zeros, strings.Replace(zeros, `"output_tokens":0}`, said1, 1))
	f(q, nil, nil, estimated, strings.Replace(estimated, `"output_tokens":0}`, said1, 1))
	f(q, nil, &chat.Usage{}, estimated, strings.Replace(estimated, `"output_tokens":0}`, said1, 1))
	f(q, &chat.Usage{}, real, estimated, told)
	f(q, real, nil, told, told)
}

// Anthropic tells the sources of a text before it.
func TestEncoderCitesEarly(t *testing.T) {
	e, b := anthropic.NewEncoder(nil), new(chat.Batch)
	cited, text := chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: "https://x"}}, said("so")
	for _, p := range []*chat.Piece{&cited, &text, &end} {
		e.Encode(b, p)
	}
	out := frames(b)
	if at := strings.Index(out, `"url":"https://x"`); at < 0 || at < strings.Index(out, `"content_block":{"type":"text"`) || strings.Count(out, `"https://x"`) != 1 {
		t.Errorf("got %s", out)
	}
}

func TestEncoderHead(t *testing.T) {
	e, b := anthropic.NewEncoder(&chat.Request{Model: "asked"}), new(chat.Batch)
	e.Encode(b, &chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{}})
	e.Encode(b, &chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{Name: "f"}})
	e.Encode(b, &chat.Piece{Kind: chat.PieceCall, Index: 1, Call: &chat.ToolCall{ID: "a.b", Name: "f"}})
	e.Encode(b, &chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishCalls})
	out := frames(b)
	for _, want := range []string{`"id":"msg_`, `"model":"asked"`, `"id":"toolu_`, `"id":"sluice_YS5i"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
}

func TestEncoderFail(t *testing.T) {
	e, b := anthropic.NewEncoder(nil), new(chat.Batch)
	p := said("x")
	e.Encode(b, &p)
	e.Fail(b, &chat.Error{Message: "broke off", Type: "server_error"})
	e.Fail(b, &chat.Error{Message: "again"})
	e.Encode(b, &p)
	e.Encode(b, &end)
	if got := short(t, b); got != "start 0:text 0[x] errorapi_error" {
		t.Errorf("got %s", got)
	}
}

func TestDecoderErrors(t *testing.T) {
	f := func(name, data string, want chat.Error) {
		t.Helper()
		pieces, err := anthropic.NewDecoder().Decode(nil, name, []byte(data))
		var e *chat.Error
		if !errors.As(err, &e) || *e != want || len(pieces) != 0 {
			t.Errorf("%s: got %v, %v", data, pieces, err)
		}
	}
	f("error", `{"type":"error","error":{"type":"api_error","message":"boom"}}`, chat.Error{Message: "boom", Type: "server_error"})
	f("error", `{"message":"boom"}`, chat.Error{Message: "boom"})
	f("", `{"error":"boom"}`, chat.Error{Message: "boom"})
	f("error", `{}`, chat.Error{Message: "the provider broke off the stream with an error", Type: "server_error"})

	malformed := func(data string) {
		t.Helper()
		if _, err := anthropic.NewDecoder().Decode(nil, "", []byte(data)); !errors.Is(err, anthropic.ErrMalformed) {
			t.Errorf("%s: %v", data, err)
		}
	}
	malformed(``)
	malformed(`[]`)
	malformed(`{"type":"message_stop"`)
	malformed(`{"choices":[]}`)
	malformed(`[DONE]`)
	malformed(`{"type":"message_start","message":[]}`)
	malformed(`{"type":"content_block_start","content_block":"x"}`)
	malformed(`{"type":"content_block_start","content_block":{"type":"text","text":7}}`)
	malformed(`{"type":"content_block_delta","delta":"x"}`)
	malformed(`{"type":"content_block_delta","delta":{"type":"text_delta","text":{}}}`)
	malformed(`{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":["x"]}}`)
	malformed(`{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":{}}}`)
	malformed(`{"type":"message_delta","delta":7}`)

	d, call := anthropic.NewDecoder(), []byte(`{"type":"content_block_start","content_block":{"type":"tool_use","id":"a","name":"f"}}`)
	for range 1024 {
		if _, err := d.Decode(nil, "", call); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Decode(nil, "", call); !errors.Is(err, anthropic.ErrMalformed) {
		t.Errorf("too many calls: %v", err)
	}
}
