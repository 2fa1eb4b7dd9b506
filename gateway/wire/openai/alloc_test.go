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
			if openai.Look("", d, &u).Has(chat.Malformed) || bits.OnesCount64(openai.Finished(d)) > 1 {
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
	chunk := chat.Chunk{Head: head, Choices: []chat.Delta{{Role: chat.RoleAssistant, Text: "x"}}}
	dst := make([]byte, 0, 1024)
	f("chunk", func() { dst = openai.AppendChunk(dst[:0], &chunk, true) })
	f("append error", func() { dst = openai.AppendError(dst[:0], chat.Error{Message: "x"}) })
}
