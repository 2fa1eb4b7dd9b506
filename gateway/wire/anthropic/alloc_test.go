//go:build !race

package anthropic_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestAllocations(t *testing.T) {
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	var u chat.Usage
	for _, s := range []string{textEvent, fragmentEvent, lastEvent, `{"type":"message_start","message":{"usage":{"input_tokens":1}}}`, `{"type":"message_stop"}`} {
		data := []byte(s)
		f("look at "+s, func() {
			if signsOf(anthropic.Look("x", data, &u)).Has(chat.Malformed) || anthropic.Finished(data) > 1 || anthropic.Ends("", data) && s != `{"type":"message_stop"}` {
				t.Fatal(s)
			}
		})
	}
	whole := []byte(`{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":2}}`)
	f("look at a body", func() { anthropic.LookWhole(whole, &u) })

	// Both halves of a translation, for each event of content.
	event := func(start, s string, kind chat.PieceKind) {
		t.Helper()
		d, e := anthropic.NewDecoder(), anthropic.NewEncoder(nil)
		var b chat.Batch
		pieces := make([]chat.Piece, 0, 8)
		step := func(name, s []byte) {
			var err error
			if pieces, err = d.Decode(pieces[:0], string(name), s); err != nil {
				t.Fatal(err)
			}
			b.Reset()
			for i := range pieces {
				e.Encode(&b, &pieces[i])
			}
		}
		step(nil, []byte(start))
		data := []byte(s)
		step(nil, data) // warm
		f(s, func() { step(nil, data) })
		if len(pieces) != 1 || pieces[0].Kind != kind || b.Empty() {
			t.Errorf("%s: pieces %+v", s, pieces)
		}
	}
	event(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, textEvent, chat.PieceText)
	event(`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}`, thoughtEvent, chat.PieceReasoning)
	event(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f"}}`, fragmentEvent, chat.PieceArguments)
}
