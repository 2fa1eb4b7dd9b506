package responses_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// seed adds the first file of each archive in a folder of testdata.
func seed(f *testing.F, folder string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no archives in %s: %v", folder, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(txtar.Parse(text).Files[0].Data)
	}
}

// What was read once can be written, and what was written is read as the same and written as the same.
func FuzzDecodeRequest(f *testing.F) {
	seed(f, "requests")
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := responses.DecodeRequest(body)
		if err != nil {
			if e, ok := errors.AsType[*chat.Error](err); q != nil || !ok || e.Message == "" {
				t.Fatalf("%s: %v, %v", body, q, err)
			}
			return
		}
		for i := range q.Messages {
			wellFormed(t, &q.Messages[i])
		}
		q.Dialect = responses.Name
		once := rewritten(t, q)
		if once == nil {
			return
		}
		again, err := responses.DecodeRequest(once)
		if err != nil {
			if len(q.Messages) > 0 { // all of the input may have been what the API refuses
				return
			}
			t.Fatalf("%s, from %s: %v", once, body, err)
		}
		again.Dialect = responses.Name
		if twice := rewritten(t, again); !bytes.Equal(once, twice) {
			t.Fatalf("%s\nis\n%s\nand then\n%s", body, once, twice)
		}
		responses.AppendReply(nil, q, &chat.Reply{})
		responses.InputItems(q, "resp_1")
	})
}

// rewritten is nil for what cannot be said to a provider.
func rewritten(t *testing.T, q *chat.Request) []byte {
	t.Helper()
	body, _, err := responses.AppendRequest(nil, q, &chat.Target{Model: q.Model, CacheMarks: "prompt_cache_breakpoint"})
	if err != nil {
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param == "" {
			t.Fatal(err)
		}
		return nil
	}
	if !json.Valid(body) {
		t.Fatalf("%s is no JSON", body)
	}
	return body
}

// wellFormed checks that each part has what its kind promises.
func wellFormed(t *testing.T, m *chat.Message) {
	t.Helper()
	for _, p := range m.Parts {
		media := p.Kind == chat.PartImage || p.Kind == chat.PartAudio || p.Kind == chat.PartFile
		if media != (p.Media != nil) || (p.Kind == chat.PartCall) != (p.Call != nil) || (p.Kind == chat.PartOther) != (p.Raw != nil) {
			t.Fatalf("part %+v", p)
		}
	}
	if (m.Role == chat.RoleTool) != (m.CallID != "") {
		t.Fatalf("%+v", m)
	}
}

func FuzzDecodeReply(f *testing.F) {
	seed(f, "replies")
	f.Fuzz(func(t *testing.T, body []byte) {
		var u chat.Usage
		s := responses.LookWhole(body, &u)
		r, err := responses.DecodeReply(body)
		if s.Has(chat.Failed|chat.Malformed) && err == nil {
			t.Fatalf("%s: %s", body, s)
		}
		responses.DecodeError(body)
		if err != nil {
			return
		}
		for i := range r.Choices {
			wellFormed(t, &r.Choices[i].Message)
		}
		once := responses.AppendReply(nil, nil, r)
		if !json.Valid(once) {
			t.Fatalf("%s is no JSON", once)
		}
		again, err := responses.DecodeReply(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice := responses.AppendReply(nil, nil, again); !bytes.Equal(once, twice) {
			t.Fatalf("%s\nis\n%s\nand then\n%s", body, once, twice)
		}
	})
}

// A decoder follows the grammar of pieces whatever comes, and what an encoder makes of it is well formed.
func FuzzDecodeStream(f *testing.F) {
	seed(f, "streams")
	f.Fuzz(func(t *testing.T, stream []byte) {
		decoder, encoder := responses.NewDecoder(), responses.NewEncoder(nil)
		var batch chat.Batch
		var list []chat.Piece
		begun, finished, ended := false, false, false
		r := sse.NewReader(bytes.NewReader(stream), 1<<20)
		for {
			ev, err := r.Next()
			if err != nil {
				break
			}
			signs, _ := responses.Look(ev.Name, ev.Data, &chat.Usage{})
			list, err = decoder.Decode(list[:0], ev.Name, ev.Data)
			if signs.Has(chat.Malformed|chat.Failed) && err == nil && !ended {
				t.Fatalf("%s: %s, but no error", ev.Data, signs)
			}
			for i := range list {
				p := &list[i]
				switch {
				case !begun != (p.Kind == chat.PieceBegin), ended, finished && p.Kind != chat.PieceUsage && p.Kind != chat.PieceEnd:
					t.Fatalf("piece %s after begin %v, finish %v, end %v", pieceText(p), begun, finished, ended)
				}
				begun = true
				finished = finished || p.Kind == chat.PieceFinish
				ended = p.Kind == chat.PieceEnd
				encoder.Encode(&batch, p)
			}
			if err != nil {
				encoder.Fail(&batch, &chat.Error{Message: err.Error()})
				break
			}
		}
		for name, data, ok := batch.Next(); ok; name, data, ok = batch.Next() {
			if !json.Valid(data) || signsOf(responses.Look(name, data, &chat.Usage{})).Has(chat.Malformed) {
				t.Fatalf("%s %s", name, data)
			}
		}
	})
}
