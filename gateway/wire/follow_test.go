package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// counted is what a stream is said to have used when it is ended.
var counted = chat.Usage{Input: 7, CacheRead: 2, Output: 5, Reasoning: 1, Provenance: chat.Estimated}

// followed follows events, and gives the ones that end them; nil if there is no such end.
func followed(d *wire.Dialect, usage bool, events []sse.Event, u chat.Usage) (ends []sse.Event) {
	f := d.NewFollower(usage)
	lent := []byte{}
	for _, ev := range events {
		lent = append(lent[:0], ev.Data...)
		f.Follow(ev.Name, lent)
		for i := range lent { // what is borrowed is gone
			lent[i] = '#'
		}
	}
	var b chat.Batch
	ok := f.End(&b, &u)
	if ends = eventsOf(&b); !ok && len(ends) > 0 || ok && len(ends) == 0 {
		panic("End says one thing and does another")
	}
	if f.End(&b, &u) {
		panic("a stream ended twice")
	}
	return ends
}

// TestEndedAnywhere ends every recorded stream, in every dialect, behind each of its events: what a caller has got then keeps
// to the rules of the dialect, says what was said until then, and that the limit was reached.
func TestEndedAnywhere(t *testing.T) {
	ended := 0
	for _, from := range dialects {
		recorded(t, from, "streams", func(t *testing.T, text []byte) {
			whole := decodeStream(t, from, text)
			if whole.err == errOther {
				return
			}
			for _, to := range dialects {
				for _, usage := range []bool{false, true} {
					q := &chat.Request{Model: "m", Stream: true, IncludeUsage: usage}
					events := eventsOf(whole.encode(to, q))
					for k := range len(events) + 1 {
						if to == wire.Responses && k == 1 {
							continue // two events come at once
						}
						if endedAt(t, to, q, events[:k]) {
							ended++
						}
					}
				}
			}
		})
	}
	if ended < 1000 {
		t.Errorf("only %d streams were ended", ended)
	}
}

func endedAt(t *testing.T, d *wire.Dialect, q *chat.Request, events []sse.Event) bool {
	t.Helper()
	ends := followed(d, q.IncludeUsage, events, counted)
	before := decodeEvents(t, d, events)
	open := slices.ContainsFunc(before.pieces, func(p chat.Piece) bool { return p.Kind == chat.PieceBegin })
	began := map[int]bool{}
	for i := range before.pieces {
		switch p := &before.pieces[i]; p.Kind {
		case chat.PieceFinish:
			began[p.Choice] = false
		default:
			if _, known := began[p.Choice]; !known {
				began[p.Choice] = true
			}
		}
	}
	unfinished := false
	for _, b := range began {
		unfinished = unfinished || b
	}
	_, failed := errors.AsType[*chat.Error](before.err)
	if want := open && unfinished && !failed; want != (ends != nil) && d != wire.Anthropic {
		t.Errorf("%s: behind %d events an end %v, want %v", d.Name, len(events), ends != nil, want)
	}
	if ends == nil {
		return false
	}
	all := append(slices.Clone(events), ends...)
	checkStream(t, d, q, all)
	after := decodeEvents(t, d, all)
	if after.err != nil {
		t.Errorf("%s: behind %d events: %v", d.Name, len(events), after.err)
		return true
	}
	was, is := spoken(before), spoken(after)
	if was != is && (d != wire.Anthropic || was+"{}" != is) { // a call without arguments takes none
		t.Errorf("%s: behind %d events it said %q, and then %q", d.Name, len(events), was, is)
	}
	for _, c := range after.reply().Choices {
		if began[c.Index] && c.Finish != chat.FinishLength {
			t.Errorf("%s: behind %d events choice %d ended with %v", d.Name, len(events), c.Index, c.Finish)
		}
	}
	if got := after.reply().Usage; got.Completion() != counted.Completion() && (d != wire.OpenAI || q.IncludeUsage) {
		t.Errorf("%s: behind %d events the usage is %+v", d.Name, len(events), got)
	}
	return true
}

// spoken is all that a stream says in words.
func spoken(s *stream) string {
	var b strings.Builder
	for i := range s.pieces {
		if p := &s.pieces[i]; p.Kind == chat.PieceText || p.Kind == chat.PieceReasoning || p.Kind == chat.PieceArguments {
			b.Write(p.Text)
		}
	}
	return b.String()
}

// TestEndedAsRecorded ends the recorded streams themselves, which keep to no rules but their provider's: what comes is read as
// an answer that has reached its limit.
func TestEndedAsRecorded(t *testing.T) {
	for _, d := range dialects {
		recorded(t, d, "streams", func(t *testing.T, text []byte) {
			var events []sse.Event
			r := sse.NewReader(bytes.NewReader(text), 1<<20)
			for {
				ev, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, sse.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
			}
			for k := range len(events) + 1 {
				ends := followed(d, true, events[:k], counted)
				if ends == nil {
					continue
				}
				before, after := decodeEvents(t, d, events[:k]), decodeEvents(t, d, append(slices.Clone(events[:k]), ends...))
				if before.err != nil && !errors.Is(before.err, errCut) {
					continue // nobody goes on behind a failure
				}
				if last := ends[len(ends)-1]; after.err != nil || !d.Ends(last.Name, last.Data) {
					t.Errorf("behind %d events: %v, %s", k, after.err, last.Data)
				}
			}
		})
	}
}

// Whatever comes, what ends it is JSON, and looks like an end.
func FuzzFollower(f *testing.F) {
	f.Add(uint8(0), []byte(`{"choices":[{"index":70,"delta":{}},5,{"text":"","index":0}],"usage":5}`), []byte(`{"choices":[{"finish_reason":"stop"}]}`), []byte(`[DONE]`))
	f.Add(uint8(1), []byte(`{"type":"message_start","message":{"usage":[]}}`), []byte(`{"type":"content_block_start","index":-1}`), []byte(`{"type":"content_block_stop"}`))
	f.Add(uint8(2), []byte(`{"type":"response.created","response":{},"sequence_number":-9}`), []byte(`{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":5}}`),
		[]byte(`{"type":"response.content_part.added","output_index":0,"part":{"type":"reasoning_text"}}`))
	f.Add(uint8(2), []byte(`{"type":"response.created","response":{"status":1,"status":2}}`), []byte(`{"type":"response.output_item.added","output_index":0,"item":{"type":"message"}}`),
		[]byte(`{"type":"response.content_part.added","output_index":0,"part":7}`))
	f.Fuzz(func(t *testing.T, which uint8, a, b, c []byte) {
		d := dialects[int(which)%len(dialects)]
		var u chat.Usage
		var events []sse.Event
		for _, data := range [][]byte{a, b, c} {
			if signs, _ := d.Look("", data, &u); signs.Has(chat.Malformed) || !utf8.Valid(data) {
				return // the stream would have ended
			}
			events = append(events, sse.Event{Data: data})
		}
		ends := followed(d, true, events, counted)
		for _, ev := range ends {
			if !json.Valid(ev.Data) && string(ev.Data) != "[DONE]" {
				t.Fatalf("%s: %s", d.Name, ev.Data)
			}
		}
		if len(ends) > 0 && !d.Ends(ends[len(ends)-1].Name, ends[len(ends)-1].Data) {
			t.Fatalf("%s: no end: %s", d.Name, ends[len(ends)-1].Data)
		}
	})
}

// What nobody reported is not made up: chat completions then have no usage, and messages that of their beginning.
func TestEndedWithoutUsage(t *testing.T) {
	f := func(d *wire.Dialect, want, without string, events ...sse.Event) {
		t.Helper()
		var all []byte
		for _, ev := range followed(d, true, events, chat.Usage{}) {
			all = sse.Append(all, ev.Name, ev.Data)
		}
		if !strings.Contains(string(all), want) || without != "" && strings.Contains(string(all), without) {
			t.Errorf("%s: %s", d.Name, all)
		}
	}
	f(wire.OpenAI, `data: [DONE]`, "prompt_tokens", sse.Event{Data: []byte(`{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}`)})
	f(wire.Anthropic, `"input_tokens":17`, "", sse.Event{Name: "message_start", Data: []byte(`{"type":"message_start","message":{"usage":{"input_tokens":17,"output_tokens":1}}}`)})
	f(wire.Responses, `"usage":null`, "", sse.Event{Name: "response.created", Data: []byte(`{"type":"response.created","response":{"id":"resp_1"}}`)})
	// The older completions have texts, and several choices.
	f(wire.OpenAI, `[{"index":3,"text":"","logprobs":null,"finish_reason":"length"}]`, "delta",
		sse.Event{Data: []byte(`{"id":"cmpl","object":"text_completion","choices":[{"index":0,"text":"a"}]}`)},
		sse.Event{Data: []byte(`{"id":"cmpl","object":"text_completion","choices":[{"index":3,"text":"a"}]}`)})
}

// Following costs next to nothing while nothing ends, and keeps no more than it may.
func TestFollowingIsCheap(t *testing.T) {
	f := func(d *wire.Dialect, first, event sse.Event) {
		t.Helper()
		follower := d.NewFollower(true)
		follower.Follow(first.Name, first.Data)
		if n := testing.AllocsPerRun(100, func() { follower.Follow(event.Name, event.Data) }); n != 0 {
			t.Errorf("%s: %v allocations", d.Name, n)
		}
	}
	chunk := sse.Event{Data: []byte(`{"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`)}
	f(wire.OpenAI, chunk, chunk)
	f(wire.Anthropic, sse.Event{Name: "message_start", Data: []byte(`{"type":"message_start","message":{}}`)},
		sse.Event{Name: "content_block_delta", Data: []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`)})

	long := wire.Responses.NewFollower(true)
	long.Follow("", []byte(`{"type":"response.created","response":{"id":"resp_1"}}`))
	long.Follow("", []byte(`{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1"}}`))
	for range 20 {
		long.Follow("", []byte(`{"type":"response.output_text.delta","output_index":0,"delta":"`+strings.Repeat("x", 1<<16)+`"}`))
	}
	if long.End(new(chat.Batch), &counted) {
		t.Error("an answer of 1.25 MiB is kept")
	}
}
