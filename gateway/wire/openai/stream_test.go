package openai_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// encoded is the events that pieces become, one a line, without what all have in common.
func encoded(q *chat.Request, pieces ...chat.Piece) string {
	var batch chat.Batch
	e := openai.NewEncoder(q)
	for i := range pieces {
		e.Encode(&batch, &pieces[i])
	}
	var lines []string
	for {
		name, data, ok := batch.Next()
		if !ok {
			return strings.Join(lines, "\n")
		}
		line := strings.TrimPrefix(name+string(data), `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763900000,"model":"gpt-4.1","choices":[`)
		lines = append(lines, strings.TrimSuffix(line, `,"logprobs":null,"finish_reason":null}]}`))
	}
}

func TestEncoder(t *testing.T) {
	begin := chat.Piece{Kind: chat.PieceBegin, Head: &head}
	const role = `{"index":0,"delta":{"role":"assistant","content":"","refusal":null}`
	f := func(q *chat.Request, want []string, pieces ...chat.Piece) {
		t.Helper()
		if got := encoded(q, append([]chat.Piece{begin}, pieces...)...); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
	asked := &chat.Request{IncludeUsage: true}
	finish := chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishStop}
	const stop = `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}`
	end := chat.Piece{Kind: chat.PieceEnd}
	used := chat.Piece{Kind: chat.PieceUsage, Usage: &spent}

	f(nil, []string{role})
	f(nil, []string{role, stop, "[DONE]"}, finish, used, end)
	f(asked, []string{
		role + `,"logprobs":null,"finish_reason":null}],"usage":null}`,
		`{"index":0,"delta":{"content":"a\n"},"logprobs":null,"finish_reason":null}],"usage":null}`,
		`{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}`,
		`],` + spentText + `}`, "[DONE]",
	}, used, chat.Piece{Kind: chat.PieceText, Text: []byte(`a\n`)}, finish, used, end)
	f(asked, []string{
		role + `,"logprobs":null,"finish_reason":null}],"usage":null}`, "[DONE]", // nothing is known of usage
	}, end)
	f(nil, []string{
		role, `{"index":0,"delta":{"content":"a"},"logprobs":{"content":[1],"refusal":null},"finish_reason":null}]}`,
	}, chat.Piece{Kind: chat.PieceText, Text: []byte(`a`), Logprobs: []byte(`[1]`)})
	f(nil, []string{role, `{"index":0,"delta":{"refusal":"no"}`}, chat.Piece{Kind: chat.PieceRefusal, Text: []byte(`no`)})

	// Calls keep their index; one that has no arguments takes none (litellm #5231, and cai #182 for what comes back).
	call := func(i int, k chat.ToolKind, name string) chat.Piece {
		return chat.Piece{Kind: chat.PieceCall, Index: i, Call: &chat.ToolCall{ID: "c" + name, Kind: k, Name: name, Arguments: "ignored"}}
	}
	more := func(i int, text string) chat.Piece {
		return chat.Piece{Kind: chat.PieceArguments, Index: i, Text: []byte(text)}
	}
	f(nil, []string{
		role,
		`{"index":0,"delta":{"tool_calls":[{"index":0,"id":"cf","type":"function","function":{"name":"f","arguments":""}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":1,"id":"cg","type":"custom","custom":{"name":"g","input":""}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":1,"custom":{"input":"y"}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"id":"ch","type":"function","function":{"name":"h","arguments":""}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"function":{"arguments":"{\"a\":"}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"function":{"arguments":"1}"}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"extra_content":{"google":{"thought_signature":"s"}}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`,
		stop,
	}, call(0, chat.Function, "f"), call(1, chat.Custom, "g"), more(1, "y"), call(2, chat.Function, "h"), more(2, `{\"a\":`), more(2, `1}`),
		chat.Piece{Kind: chat.PieceSignature, Index: 2, Call: &chat.ToolCall{}, Text: []byte("s")}, finish)
	f(nil, []string{
		role, `{"index":0,"delta":{"tool_calls":[{"index":0,"id":"cf","type":"function","function":{"name":"f","arguments":""}}]}`,
		`{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}`,
	}, call(0, chat.Function, "f"), chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishLength})

	// A signature that comes at once stands where the call begins, as Gemini has it.
	signed := chat.Piece{Kind: chat.PieceSignature, Index: 2, Call: &chat.ToolCall{}, Text: []byte("s")}
	f(nil, []string{
		role,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"id":"ch","type":"function","function":{"name":"h","arguments":""},"extra_content":{"google":{"thought_signature":"s"}}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"extra_content":{"google":{"thought_signature":"s"}}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":3,"id":"ci","type":"function","function":{"name":"i","arguments":""}}]}`,
		`{"index":0,"delta":{"tool_calls":[{"index":2,"extra_content":{"google":{"thought_signature":"s"}}}]}`,
	}, call(2, chat.Function, "h"), signed, signed, call(3, chat.Function, "i"), signed)

	// Other choices tell their role when they begin.
	f(nil, []string{
		role, `{"index":1,"delta":{"role":"assistant","content":"","refusal":null}`, `{"index":1,"delta":{"content":"b"}`, `{"index":0,"delta":{"content":"a"}`,
	}, chat.Piece{Kind: chat.PieceText, Choice: 1, Text: []byte(`b`)}, chat.Piece{Kind: chat.PieceText, Text: []byte(`a`)})

	got := encoded(nil, chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "msg_1"}})
	if !strings.HasPrefix(got, `{"id":"msg_1","object":"chat.completion.chunk","created":1`) || strings.Contains(got, `"created":1,`) {
		t.Errorf("a date is missing: %s", got)
	}
	var batch chat.Batch
	openai.NewEncoder(nil).Fail(&batch, &chat.Error{Message: "m", Type: "server_error"})
	if _, data, ok := batch.Next(); !ok || string(data) != `{"error":{"message":"m","type":"server_error","param":null,"code":null}}` {
		t.Errorf("got %s", data)
	}
}

// A chunk that is on its way to the client stays as it is.
func TestEncoderSignsLate(t *testing.T) {
	var batch chat.Batch
	e := openai.NewEncoder(nil)
	e.Encode(&batch, &chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{ID: "c", Name: "f"}})
	var begun []byte
	for !batch.Empty() {
		_, begun, _ = batch.Next()
	}
	was := string(begun)
	e.Encode(&batch, &chat.Piece{Kind: chat.PieceSignature, Call: &chat.ToolCall{}, Text: []byte("s")})
	_, data, ok := batch.Next()
	if string(begun) != was || !ok || !strings.Contains(string(data), `"tool_calls":[{"index":0,"extra_content":{"google":{"thought_signature":"s"}}}]`) {
		t.Errorf("got %s, then %s", begun, data)
	}
}

func TestDecoderErrors(t *testing.T) {
	decode := func(name, data string) error {
		_, err := openai.NewDecoder().Decode(nil, name, []byte(data))
		return err
	}
	for _, data := range []string{
		`[]`, `{"choices":`, `[DONE]`, ``,
		`{"choices":{}}`, `{"choices":"x"}`, `{"choices":[7]}`, `{"choices":[null]}`, `{"choices":[{"delta":"x"}]}`, `{"choices":[{"delta":[]}]}`,
		`{"choices":[{"delta":{"content":{"text":"x"}}}]}`, `{"choices":[{"delta":{"content":7}}]}`, `{"choices":[{"delta":{"content":["x"]}}]}`,
		`{"choices":[{"delta":{"tool_calls":{}}}]}`, `{"choices":[{"delta":{"tool_calls":["x"]}}]}`, `{"choices":[{"delta":{"function_call":"f"}}]}`,
		`{"choices":[` + strings.Repeat(`{"index":7},`, 4) + strings.Join(choices(129), ",") + `]}`,
		`{"choices":[{"delta":{"tool_calls":[` + strings.Join(calls(1025), ",") + `]}}]}`,
	} {
		if err := decode("", data); !errors.Is(err, openai.ErrMalformed) {
			t.Errorf("%s: got %v", data, err)
		}
	}
	f := func(name, data string, want chat.Error) {
		t.Helper()
		var got *chat.Error
		if err := decode(name, data); !errors.As(err, &got) || *got != want {
			t.Errorf("%s: got %v, want %v", data, err, want)
		}
	}
	f("", `{"error":{"message":"busy","code":429}}`, chat.Error{Message: "busy", Code: "429"})
	f("", `{"choices":[],"x_groq":{"error":"over capacity"}}`, chat.Error{Message: "over capacity"})
	f("error", `{"message":"gone"}`, chat.Error{Message: "gone"})
	f("", `{"choices":[{"delta":{},"finish_reason":"error"}]}`,
		chat.Error{Message: "The provider broke off its answer: error.", Type: "server_error", Code: "error"})
}

func TestFinishReasons(t *testing.T) {
	f := func(reason string, want chat.FinishReason, failed bool) {
		t.Helper()
		pieces, err := openai.NewDecoder().Decode(nil, "", []byte(`{"choices":[{"delta":{},"finish_reason":"`+reason+`"}]}`))
		var e *chat.Error
		if errors.As(err, &e) != failed || !failed && pieces[len(pieces)-1].Finish != want {
			t.Errorf("%s: %+v, %v", reason, pieces, err)
		}
		r, err := openai.DecodeReply([]byte(`{"choices":[{"message":{},"finish_reason":"` + reason + `"}]}`))
		if errors.As(err, &e) != failed || !failed && r.Choices[0].Finish != want {
			t.Errorf("%s, whole: %+v, %v", reason, r, err)
		}
	}
	f("stop", chat.FinishStop, false)
	f("eos", chat.FinishStop, false)
	f("model_length", chat.FinishLength, false)
	f("function_call", chat.FinishCalls, false)
	f("error", "", true)
	// Gemini's.
	f("STOP", chat.FinishStop, false)
	f("MAX_TOKENS", chat.FinishLength, false)
	f("SAFETY", chat.FinishFilter, false)
	f("content_filter: PROHIBITED_CONTENT", chat.FinishFilter, false)
	f("content_filter: OTHER", chat.FinishFilter, false)
	f("new_reason", "new_reason", false)
	f("IMAGE_SAFETY", chat.FinishFilter, false)
	f("MALFORMED_FUNCTION_CALL", "", true)
}

// What a reply need not have may be null or odd, and much is not too much.
func TestDecoderTolerates(t *testing.T) {
	for _, data := range []string{
		`{"choices":[{"delta":null}]}`, `{"choices":null,"usage":null}`,
		`{"choices":[{"delta":{"content":null,"tool_calls":null,"function_call":null,"refusal":7,"annotations":"x","other":[]},"logprobs":7,"finish_reason":7}]}`,
		`{"choices":[` + strings.Join(choices(128), ",") + `]}`,
		`{"choices":[{"delta":{"tool_calls":[` + strings.Join(calls(1024), ",") + `]}}]}`,
	} {
		if _, err := openai.NewDecoder().Decode(nil, "", []byte(data)); err != nil {
			t.Errorf("%.100s: %v", data, err)
		}
	}
}

// choices are n of them that say nothing, calls n that have begun.
func choices(n int) (list []string) {
	for i := range n {
		list = append(list, `{"index":`+strconv.Itoa(i)+`}`)
	}
	return list
}

func calls(n int) (list []string) {
	for i := range n {
		list = append(list, `{"index":`+strconv.Itoa(i)+`,"id":"c`+strconv.Itoa(i)+`","function":{"name":"f"}}`)
	}
	return list
}

// TestStreamKeepsEscapes checks that text is passed on as it stands, because half of a surrogate pair alone cannot be read.
func TestStreamKeepsEscapes(t *testing.T) {
	d := openai.NewDecoder()
	var got string
	for _, text := range []string{`\ud83d`, `\ude00`, `\u00e9\/`} {
		pieces, err := d.Decode(nil, "", []byte(`{"choices":[{"index":0,"delta":{"content":"`+text+`"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		got += string(pieces[len(pieces)-1].Text)
	}
	if got != `\ud83d\ude00\u00e9\/` {
		t.Errorf("got %s", got)
	}
}
