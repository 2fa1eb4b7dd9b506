package chat_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestSaid(t *testing.T) {
	var s chat.Said
	f := func(said int, u chat.Usage, want int64) {
		t.Helper()
		if got := s.Tokens(said, &u); got != want {
			t.Errorf("behind %d bytes and %+v: %d tokens, want %d", said, u, got, want)
		}
	}
	f(0, chat.Usage{}, 0)
	f(0, chat.Usage{Output: 1}, 1) // as Anthropic's streams begin
	f(2, chat.Usage{Output: 1}, 1)
	f(2, chat.Usage{Output: 1}, 2) // one for each event
	f(0, chat.Usage{}, 2)
	f(17, chat.Usage{}, 6)                           // one for four bytes
	f(1, chat.Usage{Output: 10, Reasoning: 90}, 100) // what was thought was not shown
}

func TestReplyTokens(t *testing.T) {
	r := chat.Reply{Choices: []chat.Choice{
		{Message: chat.Message{Parts: []chat.Part{{Text: "12345678"}, {Kind: chat.PartReasoning, Text: "1234"}}}},
		{Message: chat.Message{Parts: []chat.Part{{Kind: chat.PartCall, Call: &chat.ToolCall{Name: "look", Arguments: "{}"}}}}},
	}}
	if got := r.Tokens(); got != (8+4+4+2+chat.CallSaid+3)/4 {
		t.Error(got)
	}
	if got := new(chat.Reply).Tokens(); got != 0 {
		t.Error(got)
	}
}
