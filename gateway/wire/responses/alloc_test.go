//go:build !race

package responses_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

func TestAllocations(t *testing.T) {
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	var u chat.Usage
	look := func(name, data string) func() {
		d := []byte(data)
		return func() {
			if signsOf(responses.Look(name, d, &u)).Has(chat.Malformed) || responses.Finished(d) > 1 {
				t.Fatalf("%s is malformed", data)
			}
			responses.Ends(name, d)
			responses.Clean(d)
		}
	}
	f("text", look("response.output_text.delta", delta))
	f("no type", look("response.output_text.delta", `{"delta":"x"}`))
	f("usage", look("", last))
	f("error", look("error", `{"type":"error","message":"x"}`))
	body := []byte(`{"object":"response","status":"completed","output":[],` + usage + `}`)
	f("whole", func() { responses.LookWhole(body, &u) })
	dst := make([]byte, 0, 1024)
	f("append error", func() { dst = responses.AppendError(dst[:0], chat.Error{Message: "x"}) })
}

// TestStreamAllocations checks that an event of a stream costs none, once the stream runs; but for the text that is kept
// for its end, whose growth is rare.
func TestStreamAllocations(t *testing.T) {
	f := func(what, first, data string) {
		t.Helper()
		decoder, encoder := responses.NewDecoder(), responses.NewEncoder(nil)
		var pieces []chat.Piece
		var batch chat.Batch
		run := func(event []byte) {
			var err error
			if pieces, err = decoder.Decode(pieces[:0], "", event); err != nil || len(pieces) == 0 {
				t.Fatalf("%s: %d pieces, %v", event, len(pieces), err)
			}
			for i := range pieces {
				encoder.Encode(&batch, &pieces[i])
			}
			for _, _, ok := batch.Next(); ok; _, _, ok = batch.Next() {
			}
			batch.Reset()
		}
		run([]byte(first))
		event := []byte(data)
		if n := testing.AllocsPerRun(1000, func() { run(event) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("text", delta, delta)
	f("nameless", delta, `{"type":"response.refusal.delta","output_index":1,"content_index":0,"delta":"x"}`)
	f("summary", summary, summary)
	f("reasoning", `{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"x"}`,
		`{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"y"}`)
	f("arguments", `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":""}}`,
		arguments)
}
