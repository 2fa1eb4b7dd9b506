//go:build !race

package openai_test

import (
	"math/bits"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

func TestAllocations(t *testing.T) {
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	var u chat.Usage
	look := func(data string) func() {
		d := []byte(data)
		return func() {
			if signsOf(openai.Look("", d, &u)).Has(chat.Malformed) || bits.OnesCount64(openai.Finished(d)) > 1 {
				t.Fatalf("%s is malformed", data)
			}
		}
	}
	f("content", look(typical))
	f("call", look(call))
	f("usage", look(last))
	f("finish", look(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":1}}}`))
	f("error", look(`{"error":{"message":"x"}}`))

	body := []byte(whole)
	f("whole", func() { openai.LookWhole(body, &u) })
	event, buf := []byte(`{"choices":[],"error":null,"usage":null}`), make([]byte, 64)
	f("clean", func() { openai.Clean(buf[:copy(buf, event)]) })
	dst := make([]byte, 0, 1024)
	f("append error", func() { dst = openai.AppendError(dst[:0], chat.Error{Message: "x"}) })
}

// TestStreamAllocations checks that an event of a stream costs none, once the stream runs.
func TestStreamAllocations(t *testing.T) {
	f := func(what, first, data string) {
		t.Helper()
		decoder, encoder := openai.NewDecoder(), openai.NewEncoder(nil)
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
	choice := func(delta string) string { return `{"id":"c","choices":[{"index":0,"delta":{` + delta + `}}]}` }
	begun := choice(`"content":"x"`)
	f("text", begun, typical)
	f("reasoning", begun, choice(`"reasoning_content":"hm"`))
	f("a list", begun, choice(`"content":[{"type":"text","text":"x"},{"type":"thinking","thinking":[{"type":"text","text":"y"}]}]`))
	f("arguments", choice(`"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]`), call)
	f("usage", begun, last)
}
