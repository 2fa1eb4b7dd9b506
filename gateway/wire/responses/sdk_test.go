package responses_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3/packages/ssestream"
	sdk "github.com/openai/openai-go/v3/responses"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// framed is what a client receives.
func framed(b *chat.Batch) []byte {
	var out []byte
	for name, data, ok := b.Next(); ok; name, data, ok = b.Next() {
		out = sse.Append(out, name, data)
	}
	return out
}

func client(stream []byte) *ssestream.Stream[sdk.ResponseStreamEventUnion] {
	reply := &http.Response{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(bytes.NewReader(stream))}
	return ssestream.NewStream[sdk.ResponseStreamEventUnion](ssestream.NewDecoder(reply), nil)
}

// OpenAI's client for Go reads what was said, by deltas and in the object at the end.
func TestClient(t *testing.T) {
	for seed := range uint64(100) {
		m := newMaker(seed)
		var all chat.Collector
		var batch chat.Batch
		encoder := responses.NewEncoder(m.request())
		for _, p := range m.stream() {
			all.Add(&p)
			encoder.Encode(&batch, &p)
		}
		s := client(framed(&batch))
		var heard, refused, thought string
		calls := map[string]string{} // by item
		ids := map[string]string{}
		var final sdk.Response
		for s.Next() {
			switch ev := s.Current(); ev.Type {
			case "response.output_text.delta":
				heard += ev.Delta
			case "response.refusal.delta":
				refused += ev.Delta
			case "response.reasoning_summary_text.delta":
				thought += ev.Delta
			case "response.output_item.added":
				ids[ev.Item.ID] = ev.Item.CallID
			case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
				calls[ids[ev.ItemID]] += ev.Delta
			case "response.completed", "response.incomplete":
				final = ev.Response
			}
		}
		if err := s.Err(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		r := all.Reply()
		said := chat.Message{}
		if len(r.Choices) > 0 {
			said = r.Choices[0].Message
		}
		if heard != said.Text(chat.PartText) || heard != final.OutputText() || refused != said.Text(chat.PartRefusal) || thought != said.Text(chat.PartReasoning) {
			t.Fatalf("seed %d: heard %q, %q, %q, %q; said %+v", seed, heard, final.OutputText(), refused, thought, said)
		}
		for _, c := range said.Calls() {
			if calls[c.ID] != c.Arguments {
				t.Fatalf("seed %d: call %s: %q, want %q", seed, c.ID, calls[c.ID], c.Arguments)
			}
		}
		if u := final.Usage; u.InputTokens != r.Usage.Prompt() || u.OutputTokens != r.Usage.Completion() || u.TotalTokens != r.Usage.Total() {
			t.Fatalf("seed %d: usage %+v, want %+v", seed, u, r.Usage)
		}
	}
}

// A client sees a failure, whether the stream has begun or not.
func TestClientFailure(t *testing.T) {
	var batch chat.Batch
	encoder := responses.NewEncoder(nil)
	encoder.Encode(&batch, &chat.Piece{Kind: chat.PieceBegin})
	encoder.Fail(&batch, &chat.Error{Message: "gone", Code: "server_error"})
	s := client(framed(&batch))
	var last sdk.ResponseStreamEventUnion
	for s.Next() {
		last = s.Current()
	}
	if last.Type != "response.failed" || last.Response.Error.Message != "gone" || last.Response.Status != "failed" {
		t.Errorf("%+v, %v", last, s.Err())
	}
	s = client(responses.AppendFailure(nil, chat.Error{Message: "gone"}))
	if !s.Next() || s.Current().Type != "error" || s.Current().Message != "gone" {
		t.Errorf("%+v, %v", s.Current(), s.Err())
	}
}
