package responses_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

func BenchmarkLook(b *testing.B) {
	f := func(name, data string) {
		b.Run(name, func(b *testing.B) {
			d := []byte(data)
			var u chat.Usage
			b.SetBytes(int64(len(d)))
			b.ReportAllocs()
			for b.Loop() {
				if signsOf(responses.Look("", d, &u)).Has(chat.Malformed) {
					b.Fatal("malformed")
				}
			}
		})
	}
	f("text", delta)
	f("completed", last)
}

func BenchmarkDecode(b *testing.B) {
	d := responses.NewDecoder()
	var list []chat.Piece
	event := []byte(delta)
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if list, err = d.Decode(list[:0], "response.output_text.delta", event); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e := responses.NewEncoder(nil)
	var batch chat.Batch
	e.Encode(&batch, &chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "resp_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654"}})
	p := chat.Piece{Kind: chat.PieceText, Text: []byte(" wonderful")}
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		e.Encode(&batch, &p)
	}
}

func BenchmarkRequest(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, and so on. ", 40)
	body := []byte(`{"model":"m","instructions":"` + text + `","input":[{"role":"user","content":[{"type":"input_text","text":"` + text +
		`"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"` + text + `"}]}`)
	var dst []byte
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		q, err := responses.DecodeRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		if dst, _, err = responses.AppendRequest(dst[:0], q, &chat.Target{Model: "m"}); err != nil {
			b.Fatal(err)
		}
	}
}
