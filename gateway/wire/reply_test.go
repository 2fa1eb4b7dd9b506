package wire_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Of a provider that does not say which model answered, it is the one asked for.
func TestModelAskedFor(t *testing.T) {
	q := &chat.Request{Model: "asked"}
	for _, d := range dialects {
		if got := string(d.AppendReply(nil, q, &chat.Reply{Choices: []chat.Choice{{}}})); !strings.Contains(got, `"model":"asked"`) {
			t.Errorf("%s: %s", d.Name, got)
		}
		var b chat.Batch
		d.NewEncoder(q).Encode(&b, &chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "r"}})
		if _, got, _ := b.Next(); !strings.Contains(string(got), `"model":"asked"`) {
			t.Errorf("%s, streamed: %s", d.Name, got)
		}
	}
}
