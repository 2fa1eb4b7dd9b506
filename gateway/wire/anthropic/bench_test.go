package anthropic_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const (
	textEvent     = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello \"you\""}}`
	thoughtEvent  = `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}`
	fragmentEvent = `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\\u00e9\":\"b"}}`
	lastEvent     = `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":null,"output_tokens":9,"output_tokens_details":{"thinking_tokens":1}}}`
)

func BenchmarkLook(b *testing.B) {
	var u chat.Usage
	data := []byte(textEvent)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		anthropic.Look("content_block_delta", data, &u)
	}
}

func BenchmarkDecoder(b *testing.B) {
	d := anthropic.NewDecoder()
	data := []byte(textEvent)
	var pieces []chat.Piece
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		pieces, _ = d.Decode(pieces[:0], "content_block_delta", data)
	}
}

func BenchmarkEncoder(b *testing.B) {
	e := anthropic.NewEncoder(nil)
	p := said("Hello you")
	var batch chat.Batch
	for b.Loop() {
		batch.Reset()
		e.Encode(&batch, &p)
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	q := &chat.Request{Dialect: "openai", Messages: []chat.Message{system("You help."), user("Hi")}, Tools: []chat.Tool{function("f")}}
	for range 50 {
		q.Messages = append(q.Messages, assistant(chat.Part{Text: "I look."}, call("call_1", "f", `{"path":"a"}`)), result("call_1", "text of a"))
	}
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		body, _, _ = anthropic.AppendRequest(body[:0], q, &target)
	}
}
