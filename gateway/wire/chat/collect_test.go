package chat_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestCollector(t *testing.T) {
	var c chat.Collector
	add := func(list ...chat.Piece) {
		for i := range list {
			c.Add(&list[i])
		}
	}
	inside := func(s string) []byte { return []byte(s) }
	add(
		chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "r", Model: "m", Created: 7}},
		chat.Piece{Kind: chat.PieceReasoning, Text: inside("hm")},
		chat.Piece{Kind: chat.PieceSignature, Text: inside("s1")},
		chat.Piece{Kind: chat.PieceReasoning, Text: inside("hm!")},
		chat.Piece{Kind: chat.PieceRedacted, Text: inside("xx")},
		chat.Piece{Kind: chat.PieceText, Text: inside(`a\n\ud83d`), Logprobs: []byte(`[1]`)},
		chat.Piece{Kind: chat.PieceText, Text: inside(`\ude00"`[:6]), Logprobs: []byte(`[2]`)},
		chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: "https://x"}},
		chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: "https://y", Start: 1, End: 3}},
		chat.Piece{Kind: chat.PieceReasoning, Text: inside("so")},
		chat.Piece{Kind: chat.PieceText, Text: inside(`b`)},
		chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: "https://z", Start: 3, End: 4}},
		chat.Piece{Kind: chat.PieceCall, Index: 0, Call: &chat.ToolCall{ID: "a", Name: "f"}},
		chat.Piece{Kind: chat.PieceCall, Index: 1, Call: &chat.ToolCall{ID: "b", Name: "g", Arguments: `{"`}},
		chat.Piece{Kind: chat.PieceArguments, Index: 0, Text: inside(`{\"x\":`)},
		chat.Piece{Kind: chat.PieceArguments, Index: 1, Text: inside(`y\":2}`)},
		chat.Piece{Kind: chat.PieceArguments, Index: 0, Text: inside(`1}`)},
		chat.Piece{Kind: chat.PieceSignature, Index: 1, Call: &chat.ToolCall{}, Text: inside("s2")},
		chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishCalls},
		chat.Piece{Kind: chat.PieceText, Choice: 1, Text: inside("other")},
		chat.Piece{Kind: chat.PieceFinish, Choice: 1, Finish: chat.FinishStop, Stop: "."},
		chat.Piece{Kind: chat.PieceUsage, Usage: &chat.Usage{Input: 3, Provenance: chat.Reported, Tier: "flex"}},
		chat.Piece{Kind: chat.PieceEnd},
	)
	want := &chat.Reply{
		Head: chat.Head{ID: "r", Model: "m", Created: 7},
		Choices: []chat.Choice{
			{Finish: chat.FinishCalls, Message: chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{
				{Kind: chat.PartReasoning, Text: "hm", Signature: "s1"},
				{Kind: chat.PartReasoning, Text: "hm!"},
				{Kind: chat.PartRedacted, Signature: "xx"},
				{Text: "a\n😀", Logprobs: json.RawMessage(`[1,2]`), Citations: []chat.Citation{{URL: "https://x"}, {URL: "https://y", Start: 1, End: 3}}},
				{Kind: chat.PartReasoning, Text: "so"},
				{Text: "b", Citations: []chat.Citation{{URL: "https://z", End: 1}}},
				{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Name: "f", Arguments: `{"x":1}`}},
				{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "b", Name: "g", Arguments: `{"y":2}`}, Signature: "s2"},
			}}},
			{Index: 1, Finish: chat.FinishStop, Stop: ".", Message: chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Text: "other"}}}},
		},
		Usage:       chat.Usage{Input: 3, Provenance: chat.Reported},
		ServiceTier: "flex",
	}
	if got := c.Reply(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
