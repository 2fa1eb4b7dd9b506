package responses_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

var begun = chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "resp_1", Model: "m", Created: 1}}

// written are the types of the events that pieces make, without "response.", and their data.
func written(t *testing.T, pieces ...chat.Piece) (types string, events []string) {
	t.Helper()
	var batch chat.Batch
	encoder := responses.NewEncoder(nil)
	for i := range pieces {
		encoder.Encode(&batch, &pieces[i])
	}
	var names []string
	for sequence := 0; ; sequence++ {
		name, data, ok := batch.Next()
		if !ok {
			return strings.Join(names, " "), events
		}
		checkEvent(t, name, data, sequence)
		names, events = append(names, strings.TrimPrefix(name, "response.")), append(events, string(data))
	}
}

func call(index int, kind chat.ToolKind) chat.Piece {
	return chat.Piece{Kind: chat.PieceCall, Index: index, Call: &chat.ToolCall{ID: "c", Kind: kind, Name: "f"}}
}

func text(kind chat.PieceKind, s string) chat.Piece { return chat.Piece{Kind: kind, Text: []byte(s)} }

func TestEventOrder(t *testing.T) {
	f := func(want string, pieces ...chat.Piece) {
		t.Helper()
		if got, _ := written(t, pieces...); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	stop := chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishStop}
	end := chat.Piece{Kind: chat.PieceEnd}
	const start, said = "created in_progress ", "output_text.done content_part.done output_item.done "

	f(start+"output_item.added content_part.added output_text.delta output_text.delta "+said+"completed",
		begun, text(chat.PieceText, "Hi"), text(chat.PieceText, " you"), stop, end)
	f(start+"output_item.added function_call_arguments.delta function_call_arguments.delta function_call_arguments.done output_item.done completed",
		begun, call(0, chat.Function), text(chat.PieceArguments, "{"), text(chat.PieceArguments, "}"), stop, end)
	f(start+"output_item.added reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.done "+
		"reasoning_summary_part.done output_item.done output_item.added content_part.added output_text.delta "+said+"completed",
		begun, text(chat.PieceReasoning, "hm"), text(chat.PieceText, "Hi"), stop, end)
	// A refusal after a text is another part of the same message.
	f(start+"output_item.added content_part.added output_text.delta output_text.done content_part.done "+
		"content_part.added refusal.delta refusal.done content_part.done output_item.done incomplete",
		begun, text(chat.PieceText, "a"), text(chat.PieceRefusal, "no"), chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishFilter}, end)
	// What has no words is only seen when it is done.
	f(start+"output_item.added output_item.done output_item.added output_item.done completed",
		begun, text(chat.PieceSignature, "s"), text(chat.PieceRedacted, "r"), stop, end)
	// Nothing is complete before its end, and nothing follows that.
	f(start+"output_item.added content_part.added output_text.delta "+said[:len(said)-1], begun, text(chat.PieceText, "x"), stop)
	f(start+"completed", begun, end, text(chat.PieceText, "x"), end)
	// A source that does not begin, says nothing, or speaks for other choices.
	f(start+"completed", text(chat.PieceText, ""), chat.Piece{Kind: chat.PieceText, Choice: 1, Text: []byte("x")}, end)
	f(start+"completed", begun, text(chat.PieceArguments, "x"), call(-1, 0), call(1<<20, 0),
		chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{}}, stop, end)
}

// The delta that changes the kind of item is written too (litellm #25321, #30014), and created comes once (litellm #32357).
func TestChangeOfItem(t *testing.T) {
	kinds := []chat.PieceKind{chat.PieceText, chat.PieceReasoning, chat.PieceRefusal, chat.PieceText, chat.PieceReasoning}
	pieces := []chat.Piece{begun}
	for i, k := range kinds {
		pieces = append(pieces, text(k, "delta"+string(rune('0'+i))))
	}
	types, events := written(t, append(pieces, begun)...)
	for i := range kinds {
		n := 0
		for _, ev := range events {
			if strings.Contains(ev, `"delta":"delta`+string(rune('0'+i))+`"`) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("delta %d came %d times", i, n)
		}
	}
	if strings.Count(types, "created") != 1 {
		t.Error(types)
	}
}

// A function that is called without arguments gets {}, for clients parse them; but not if the answer was cut before them.
func TestNoArguments(t *testing.T) {
	f := func(kind chat.ToolKind, finish chat.FinishReason, want string) {
		t.Helper()
		end := chat.Piece{Kind: chat.PieceEnd}
		_, events := written(t, begun, call(0, kind), chat.Piece{Kind: chat.PieceFinish, Finish: finish}, end)
		var whole struct {
			Response struct {
				Output []struct{ Arguments, Input string }
			}
		}
		if err := json.Unmarshal([]byte(events[len(events)-1]), &whole); err != nil {
			t.Fatal(err)
		}
		if o := whole.Response.Output; len(o) != 1 || o[0].Arguments+o[0].Input != want {
			t.Errorf("stream: got %+v, want %q", o, want)
		}
		r := &chat.Reply{Choices: []chat.Choice{{Finish: finish, Message: chat.Message{Parts: []chat.Part{
			{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c", Kind: kind, Name: "f"}},
		}}}}}
		back, err := responses.DecodeReply(responses.AppendReply(nil, nil, r))
		if err != nil {
			t.Fatal(err)
		}
		if got := back.Choices[0].Message.Calls()[0].Arguments; got != want {
			t.Errorf("unary: got %q, want %q", got, want)
		}
	}
	f(chat.Function, chat.FinishCalls, "{}")
	f(chat.Function, chat.FinishLength, "")
	f(chat.Custom, chat.FinishCalls, "")
}

// Usage that comes behind the finish, as Bedrock's does, is in the last event; what was known before the answer is not.
func TestUsageAtTheEnd(t *testing.T) {
	early := begun
	early.Usage = &chat.Usage{Input: 9, Provenance: chat.Estimated}
	finish, end := chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishStop}, chat.Piece{Kind: chat.PieceEnd}
	f := func(want string, pieces ...chat.Piece) {
		t.Helper()
		_, events := written(t, pieces...)
		var whole struct {
			Response struct{ Usage json.RawMessage }
		}
		if err := json.Unmarshal([]byte(events[len(events)-1]), &whole); err != nil || string(whole.Response.Usage) != want {
			t.Errorf("got %s, %v", whole.Response.Usage, err)
		}
	}
	f(`null`, early, finish, end)
	f(`{"input_tokens":8,"input_tokens_details":{"cached_tokens":2,"cache_write_tokens":5},"output_tokens":10,`+
		`"output_tokens_details":{"reasoning_tokens":4},"total_tokens":18}`, early, finish,
		chat.Piece{Kind: chat.PieceUsage, Usage: &chat.Usage{
			Input: 1, CacheRead: 2, CacheWrite: 3, CacheWriteHour: 2, Output: 6, Reasoning: 4, Provenance: chat.Reported,
		}}, end)
}
