package responses_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// eventsIn are the data of the events in a batch, each with its name; numbered from first on, but for the last.
func eventsIn(t *testing.T, batch *chat.Batch, first int, check bool) (names, data []string) {
	t.Helper()
	for name, v, ok := batch.Next(); ok; name, v, ok = batch.Next() {
		if check {
			checkEvent(t, name, v, first)
		}
		first++
		names, data = append(names, name), append(data, string(v))
	}
	return names, data
}

// What a stream of a complete response says is the response.
func TestReplayIdentity(t *testing.T) {
	for seed := range uint64(700) {
		m := newMaker(seed)
		body := responses.AppendReply(nil, m.request(), m.reply())
		var batch chat.Batch
		responses.Replay(&batch, body, -1)
		names, events := eventsIn(t, &batch, 0, seed < 50)
		decoder := responses.NewDecoder()
		var all chat.Collector
		for i := range names {
			list, err := decoder.Decode(nil, names[i], []byte(events[i]))
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, events[i], err)
			}
			for i := range list {
				all.Add(&list[i])
			}
		}
		n := len(events) - 1
		if last := member(t, []byte(events[n]), "response"); string(last) != string(body) || !responses.Ends(names[n], []byte(events[n])) {
			t.Fatalf("seed %d: ends with %s", seed, events[n])
		}
		var items []string
		for i, name := range names {
			if name == "response.output_item.done" {
				items = append(items, string(member(t, []byte(events[i]), "item")))
			}
		}
		if got := "[" + strings.Join(items, ",") + "]"; got != string(member(t, body, "output")) {
			t.Fatalf("seed %d: %s\nis told as %s", seed, body, got)
		}
		if want, got := spoken(parts(t, body)), spoken(all.Reply().Choices[0].Message.Parts); got != want {
			t.Fatalf("seed %d: says %q, not %q", seed, got, want)
		}
	}
}

func parts(t *testing.T, body []byte) []chat.Part {
	t.Helper()
	r, err := responses.DecodeReply(body)
	if err != nil {
		t.Fatal(err)
	}
	return r.Choices[0].Message.Parts
}

// spoken is all that some parts say.
func spoken(parts []chat.Part) string {
	var b strings.Builder
	for i := range parts {
		b.WriteString(parts[i].Text)
		if c := parts[i].Call; c != nil {
			b.WriteString(c.ID + c.Name + c.Arguments)
		}
	}
	return b.String()
}

// Where each text came at once, the events are those that the stream had.
func TestReplayIsStream(t *testing.T) {
	finish := func(f chat.FinishReason) chat.Piece { return chat.Piece{Kind: chat.PieceFinish, Finish: f} }
	f := func(pieces ...chat.Piece) {
		t.Helper()
		list := append([]chat.Piece{begun}, pieces...)
		_, want := written(t, append(list, chat.Piece{Kind: chat.PieceEnd, Usage: &chat.Usage{Input: 3, Output: 4, Provenance: chat.Reported}})...)
		whole := member(t, []byte(want[len(want)-1]), "response")
		for after := -1; after < len(want)+1; after++ {
			var batch chat.Batch
			responses.Replay(&batch, whole, int64(after))
			if after < len(want)-1 {
				if _, got := eventsIn(t, &batch, after+1, false); !slices.Equal(got, want[after+1:]) {
					t.Fatalf("after %d: got\n%q\nwant\n%q", after, got, want[after+1:])
				}
				continue
			}
			// The last one comes even to who has heard of more events, and has a number of its own.
			if names, got := eventsIn(t, &batch, after+1, true); len(got) != 1 || !responses.Ends(names[0], []byte(got[0])) {
				t.Fatalf("after %d: %q", after, got)
			}
		}
	}
	logprobs := text(chat.PieceText, `Hi \"you\"`)
	logprobs.Logprobs = []byte(`[{"token":"a","bytes":null,"logprob":-1,"top_logprobs":[]}]`)
	f(finish(chat.FinishStop))
	f(text(chat.PieceReasoning, "hm"), text(chat.PieceSignature, "c2ln"), logprobs, finish(chat.FinishStop))
	f(text(chat.PieceRedacted, "c2ln"), text(chat.PieceText, "a"), text(chat.PieceRefusal, "no"), finish(chat.FinishFilter))
	f(text(chat.PieceText, "a"), call(0, chat.Function), text(chat.PieceArguments, `{\"b\":1}`), finish(chat.FinishCalls))
	f(call(0, chat.Custom), text(chat.PieceArguments, "x"), finish(chat.FinishLength))
	f(call(0, chat.Function), finish(chat.FinishCalls))
	f(text(chat.PieceImage, "data:image/png;base64,aGk="), text(chat.PieceText, "there"), finish(chat.FinishLength))
	f(chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{URL: "https://x", Title: "x"}}, text(chat.PieceText, "a"), finish(chat.FinishStop))
}

// Items of other types, and of what is broken, pass as they are.
func TestReplayOther(t *testing.T) {
	const item = `{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"x"}}`
	var batch chat.Batch
	responses.Replay(&batch, []byte(`{"id":"resp_1","object":"response","status":"completed","output":[`+item+`,{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[]}]}`), 1)
	_, got := eventsIn(t, &batch, 2, false)
	want := `{"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":` + item + `}`
	if len(got) != 5 || got[1] != want {
		t.Errorf("%q", got)
	}
}

func TestReadReplay(t *testing.T) {
	f := func(query string, stream bool, after int64) {
		t.Helper()
		if s, n, err := responses.ReadReplay(query); err != nil || s != stream || n != after {
			t.Errorf("%s: %t %d %v", query, s, n, err)
		}
	}
	f("", false, -1)
	f("stream=false&starting_after=3", false, -1)
	f("include=x&stream=true", true, -1)
	f("stream=true&starting_after=0", true, 0)
	f("starting_after=7&stream=true", true, 7)
	wrong := func(query, param string) {
		t.Helper()
		_, _, err := responses.ReadReplay(query)
		if e, ok := err.(*chat.Error); !ok || e.Param != param { //nolint:errorlint // bare
			t.Errorf("%s: %v", query, err)
		}
	}
	wrong("stream=yes", "stream")
	wrong("stream=true&starting_after=-1", "starting_after")
	wrong("stream=true&starting_after=x", "starting_after")
	wrong("stream=true&starting_after=99999999999", "starting_after")
	wrong("%zz", "")
}
