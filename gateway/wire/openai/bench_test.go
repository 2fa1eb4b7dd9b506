package openai_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

const (
	typical = `{"id":"chatcmpl-BvN7Qy0cJ4kPzLw2sXeT9dUaHf3Gm","object":"chat.completion.chunk","created":1763900000,` +
		`"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_3502f4eb73",` +
		`"choices":[{"index":0,"delta":{"content":" wonderful"},"logprobs":null,"finish_reason":null}],` +
		`"usage":null,"obfuscation":"a8fK2lQ9xZ"}`
	call = `{"id":"chatcmpl-BvN7Qy0cJ4kPzLw2sXeT9dUaHf3Gm","object":"chat.completion.chunk","created":1763900000,` +
		`"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_3502f4eb73",` +
		`"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" city"}}]},"logprobs":null,"finish_reason":null}]}`
	last = `{"id":"chatcmpl-BvN7Qy0cJ4kPzLw2sXeT9dUaHf3Gm","object":"chat.completion.chunk","created":1763900000,` +
		`"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_3502f4eb73","choices":[],` + usage + `}`
	usage = `"usage":{"prompt_tokens":1117,"completion_tokens":46,"total_tokens":1163,` +
		`"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`
)

var whole = `{"id":"chatcmpl-BvN7Qy0cJ4kPzLw2sXeT9dUaHf3Gm","object":"chat.completion","created":1763900000,` +
	`"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"` +
	strings.Repeat(`The quick brown fox jumps over the lazy dog, and so on.\n`, 8) +
	`","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],` + usage +
	`,"service_tier":"default","system_fingerprint":"fp_3502f4eb73"}`

func BenchmarkLook(b *testing.B) {
	f := func(name, data string, want chat.Signs) {
		b.Run(name, func(b *testing.B) {
			d := []byte(data)
			var u chat.Usage
			b.SetBytes(int64(len(d)))
			b.ReportAllocs()
			for b.Loop() {
				if signsOf(openai.Look("", d, &u)) != want {
					b.Fatal("other signs")
				}
			}
		})
	}
	f("content", typical, chat.Progress)
	f("call", call, chat.Progress)
	f("usage", last, chat.UsageSeen|chat.UsageOnly)
}

func BenchmarkLookWhole(b *testing.B) {
	d := []byte(whole)
	var u chat.Usage
	b.SetBytes(int64(len(d)))
	b.ReportAllocs()
	for b.Loop() {
		if openai.LookWhole(d, &u) != chat.UsageSeen|chat.Answer {
			b.Fatal("other signs")
		}
	}
}

func BenchmarkClean(b *testing.B) {
	d := []byte(typical)
	b.ReportAllocs()
	for b.Loop() {
		if len(openai.Clean(d)) != len(d) {
			b.Fatal("changed")
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	d := []byte(`{"model":"gpt-4.1","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"` +
		strings.Repeat(`The quick brown fox jumps over the lazy dog, and so on.\n`, 16) +
		`"}],"temperature":0.7,"max_tokens":256,"stream":true,"stream_options":{"include_usage":true},"user":"u-123"}`)
	b.SetBytes(int64(len(d)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openai.DecodeRequest(d); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream decodes one event of a stream and encodes what it says.
func BenchmarkStream(b *testing.B) {
	f := func(name, data string) {
		b.Run(name, func(b *testing.B) {
			event := []byte(data)
			decoder, encoder := openai.NewDecoder(), openai.NewEncoder(nil)
			var pieces []chat.Piece
			var batch chat.Batch
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if pieces, err = decoder.Decode(pieces[:0], "", event); err != nil {
					b.Fatal(err)
				}
				for i := range pieces {
					encoder.Encode(&batch, &pieces[i])
				}
				batch.Reset()
			}
		})
	}
	f("content", typical)
	f("call", call)
}
