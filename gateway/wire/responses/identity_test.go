package responses_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// What the Responses API can express is the same after it was written and read.

func TestRequestIdentity(t *testing.T) {
	for seed := range uint64(700) {
		m := newMaker(seed)
		q := m.request()
		for i := range q.Messages {
			for k := range q.Messages[i].Parts {
				if p := &q.Messages[i].Parts[k]; p.Kind == chat.PartCall {
					p.Signature = "" // Gemini's, which OpenAI refuses
				}
			}
		}
		body, dropped, err := responses.AppendRequest(nil, q, &chat.Target{Model: q.Model, CacheMarks: "prompt_cache_breakpoint", Refuse: true})
		if err != nil || dropped != nil {
			t.Fatalf("seed %d: dropped %s, %v", seed, dropped, err)
		}
		back, err := responses.DecodeRequest(body)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, body, err)
		}
		back.Dialect = q.Dialect
		unplaced(back.Messages)
		if d := cmp.Diff(q, back); d != "" {
			t.Fatalf("seed %d: %s\n%s", seed, body, d)
		}
	}
}

func TestReplyIdentity(t *testing.T) {
	for seed := range uint64(700) {
		m := newMaker(seed)
		r := m.reply()
		body := responses.AppendReply([]byte("!"), m.request(), r)[1:]
		if seed < 50 {
			fits(t, "Response", body)
		}
		back, err := responses.DecodeReply(body)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, body, err)
		}
		if d := cmp.Diff(r, back); d != "" {
			t.Fatalf("seed %d: %s\n%s", seed, body, d)
		}
		var u chat.Usage
		r.Usage.Tier = chat.ServedTier([]byte(r.ServiceTier))
		if s := responses.LookWhole(body, &u); usageText(u) != usageText(r.Usage) || s.Has(chat.Failed|chat.Malformed) {
			t.Fatalf("seed %d: %s: %s, %+v", seed, body, s, u)
		}
	}
}

func TestStreamIdentity(t *testing.T) {
	for seed := range uint64(700) {
		m := newMaker(seed)
		var before, after chat.Collector
		var batch chat.Batch
		encoder, decoder := responses.NewEncoder(m.request()), responses.NewDecoder()
		var list []chat.Piece
		var err error
		sequence, ended := 0, false
		for _, p := range m.stream() {
			before.Add(&p)
			encoder.Encode(&batch, &p)
			for name, data, ok := batch.Next(); ok; name, data, ok = batch.Next() {
				if ended {
					t.Fatalf("seed %d: %s behind the end", seed, data)
				}
				ended = responses.Ends(name, data)
				if seed < 50 {
					checkEvent(t, name, data, sequence)
				}
				sequence++
				if list, err = decoder.Decode(list[:0], name, data); err != nil {
					t.Fatalf("seed %d: %s: %v", seed, data, err)
				}
				for i := range list {
					after.Add(&list[i])
				}
			}
			if ended != (p.Kind == chat.PieceEnd) {
				t.Fatalf("seed %d: complete before its end", seed)
			}
			batch.Reset()
		}
		if d := cmp.Diff(before.Reply(), after.Reply()); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

// The object at the end of a stream is the one that a unary reply would be.
func TestStreamIsReply(t *testing.T) {
	for seed := range uint64(200) {
		m := newMaker(seed)
		q := m.request()
		var all chat.Collector
		var batch chat.Batch
		encoder := responses.NewEncoder(q)
		for _, p := range m.stream() {
			all.Add(&p)
			encoder.Encode(&batch, &p)
		}
		_, whole, _ := batch.Next()
		for ok := true; ok; {
			var data []byte
			if _, data, ok = batch.Next(); ok {
				whole = data
			}
		}
		streamed := member(t, whole, "response")
		read, err := responses.DecodeReply(streamed)
		if err != nil {
			t.Fatal(err)
		}
		unary, err := responses.DecodeReply(responses.AppendReply(nil, q, all.Reply()))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(unnamed(unary), unnamed(read)); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

// unnamed is r without the ids of its items, which tell their order.
func unnamed(r *chat.Reply) *chat.Reply {
	for i := range r.Choices {
		parts := r.Choices[i].Message.Parts
		for k := range parts {
			parts[k].ID = ""
		}
	}
	return r
}
