package wire_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var dialects = []*wire.Dialect{wire.OpenAI, wire.Anthropic, wire.Responses}

// recorded gives the first files of the archives in a folder of a dialect's testdata, which are what a provider said.
func recorded(t *testing.T, d *wire.Dialect, folder string, f func(t *testing.T, said []byte)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(d.Name, "testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("nothing in %s of %s: %v", folder, d.Name, err)
	}
	for _, path := range paths {
		t.Run(d.Name+"/"+strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f(t, a.Files[0].Data)
		})
	}
}

// Every stream that was recorded of a provider becomes a stream that keeps to the rules of every dialect and says the same.
func TestStreamsAcross(t *testing.T) {
	for _, from := range dialects {
		recorded(t, from, "streams", func(t *testing.T, said []byte) {
			whole := decodeStream(t, from, said)
			if whole.err == errOther {
				return
			}
			for _, to := range dialects {
				for _, usage := range []bool{false, true} {
					q := &chat.Request{Model: "m", Stream: true, IncludeUsage: usage}
					events := eventsOf(whole.encode(to, q))
					if usage && whole.usage.Provenance == chat.Unknown {
						continue // there is nothing to send
					}
					checkStream(t, to, q, events)
					if whole.err != nil {
						continue
					}
					back := decodeEvents(t, to, events).reply()
					if to == wire.OpenAI && !usage {
						back.Usage = whole.usage // which nobody asked for
					}
					compare(t, to, whole.reply(), back)
				}
			}
		})
	}
}

// Every reply that was recorded becomes one in every dialect that says the same.
func TestRepliesAcross(t *testing.T) {
	for _, from := range dialects {
		recorded(t, from, "replies", func(t *testing.T, said []byte) {
			r := decodeReply(t, from, said)
			if r == nil {
				return
			}
			for _, to := range dialects {
				body := to.AppendReply(nil, &chat.Request{Model: "m"}, r)
				checkReply(t, to, body)
				back, err := to.DecodeReply(body)
				if err != nil {
					t.Fatalf("%s: %v: %s", to.Name, err, body)
				}
				compare(t, to, r, back)
			}
		})
	}
}

// stream is what a stream says, piece by piece, and how it ends.
type stream struct {
	pieces []chat.Piece
	usage  chat.Usage
	err    error // the provider's failure, its mistake, or errCut
}

var (
	errCut   = errors.New("the stream ended early")
	errOther = errors.New("no conversation")
)

// decodeStream reads a stream, and holds what is read in passing against what is decoded.
func decodeStream(t *testing.T, d *wire.Dialect, text []byte) *stream {
	t.Helper()
	var events []sse.Event
	r := sse.NewReader(bytes.NewReader(text), 1<<20)
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return decodeEvents(t, d, events)
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, sse.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
	}
}

func decodeEvents(t *testing.T, d *wire.Dialect, events []sse.Event) *stream {
	t.Helper()
	s := &stream{}
	var passing, usage chat.Usage
	var passed, finished uint64
	ended := false
	decoder := d.NewDecoder()
	for _, ev := range events {
		signs, _ := d.Look(ev.Name, ev.Data, &passing)
		passed |= d.Finished(ev.Data)
		pieces, err := decoder.Decode(nil, ev.Name, ev.Data)
		for i := range pieces {
			p := keep(&pieces[i])
			s.pieces = append(s.pieces, p)
			switch p.Kind {
			case chat.PieceFinish:
				if p.Finish != "" {
					finished |= 1 << p.Choice
				}
			case chat.PieceEnd:
				ended = true
			case chat.PieceText, chat.PieceRefusal, chat.PieceReasoning, chat.PieceArguments:
				if !signs.Has(chat.Progress | chat.Finish) {
					t.Errorf("%s says something, and in passing nothing is seen: %s", ev.Data, signs)
				}
			}
			if p.Usage != nil {
				usage = *p.Usage
			}
		}
		failure, failed := errors.AsType[*chat.Error](err)
		if failed != signs.Has(chat.Failed) && !brokenOff(failure) {
			t.Errorf("%s fails with %v, and in passing: %s", ev.Data, failure, signs)
		}
		if s.err = err; err != nil {
			break
		}
		if d.Ends(ev.Name, ev.Data) {
			break
		}
	}
	if len(s.pieces) == 0 && s.err == nil {
		s.err = errOther
		return s
	}
	if passing != usage {
		t.Errorf("usage is decoded as %+v, and read in passing as %+v", usage, passing)
	}
	if passed&^finished != 0 && s.err == nil && ended { // who says that all is done without a reason has finished nothing in passing
		t.Errorf("choices that finish: %b, in passing %b", finished, passed)
	}
	if s.err == nil && !ended {
		s.err = errCut
	}
	s.usage = usage
	return s
}

// brokenOff says that an answer is an error only where it is translated: a finish reason that says so, which upstream mends
// in passing, and a response that its caller has cancelled.
func brokenOff(e *chat.Error) bool {
	return e != nil && (strings.Contains(e.Message, "broke off") || strings.Contains(e.Message, "cancelled"))
}

// keep is a piece that borrows nothing.
func keep(p *chat.Piece) chat.Piece {
	k := *p
	k.Text, k.Logprobs = bytes.Clone(p.Text), bytes.Clone(p.Logprobs)
	k.Head, k.Call, k.Citation, k.Usage = own(p.Head), own(p.Call), own(p.Citation), own(p.Usage)
	return k
}

func own[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// encode writes the stream in a dialect; one that broke off ends with an error.
func (s *stream) encode(d *wire.Dialect, q *chat.Request) *chat.Batch {
	b := new(chat.Batch)
	e := d.NewEncoder(q)
	for i := range s.pieces {
		p := keep(&s.pieces[i])
		e.Encode(b, &p)
		for k := range p.Text { // what is borrowed is gone
			p.Text[k] = '#'
		}
	}
	if s.err != nil {
		failure, ok := errors.AsType[*chat.Error](s.err)
		if !ok {
			failure = &chat.Error{Message: s.err.Error(), Type: "server_error", Code: "upstream_stream_error"}
		}
		e.Fail(b, failure)
	}
	return b
}

func (s *stream) reply() *chat.Reply {
	var c chat.Collector
	for i := range s.pieces {
		c.Add(&s.pieces[i])
	}
	return c.Reply()
}

func eventsOf(b *chat.Batch) (events []sse.Event) {
	for {
		name, data, ok := b.Next()
		if !ok {
			return events
		}
		events = append(events, sse.Event{Name: name, Data: bytes.Clone(data)})
	}
}

// decodeReply reads a reply, nil if it is none, and holds what is read in passing against what is decoded.
func decodeReply(t *testing.T, d *wire.Dialect, body []byte) *chat.Reply {
	t.Helper()
	var passing chat.Usage
	signs := d.LookWhole(body, &passing)
	r, err := d.DecodeReply(body)
	if failure, failed := errors.AsType[*chat.Error](err); failed != signs.Has(chat.Failed) && !brokenOff(failure) {
		t.Errorf("%v, and in passing: %s", err, signs)
	}
	if err != nil {
		return nil
	}
	want := r.Usage
	if want.Tier = chat.ServedTier([]byte(r.ServiceTier)); want != passing && want.Provenance == chat.Reported {
		t.Errorf("usage is decoded as %+v, and read in passing as %+v", want, passing)
	}
	return r
}

// compare holds what a caller reads against what the provider said: the first choice, which all dialects have.
func compare(t *testing.T, d *wire.Dialect, said, got *chat.Reply) {
	t.Helper()
	if len(said.Choices) == 0 {
		return
	}
	s, g := &said.Choices[0], &got.Choices[0]
	words := func(m *chat.Message) string {
		return m.Text(chat.PartText) + m.Text(chat.PartRefusal) + m.Text(chat.PartAudio)
	}
	if a, b := words(&s.Message), words(&g.Message); a != b && (d == wire.OpenAI || !hasPart(&s.Message, chat.PartImage)) { // of which others are told
		t.Errorf("%s: %q became %q", d.Name, a, b)
	}
	if a, b := s.Message.Text(chat.PartReasoning), g.Message.Text(chat.PartReasoning); a != b {
		t.Errorf("%s: the thought %q became %q", d.Name, a, b)
	}
	if a, b := sources(&s.Message), sources(&g.Message); d != wire.Anthropic && !slices.Contains(a, "") && !slices.Equal(a, b) {
		t.Errorf("%s: the sources %q became %q", d.Name, a, b)
	}
	a, b := s.Message.Calls(), g.Message.Calls()
	if !slices.EqualFunc(a, b, sameCall) {
		t.Errorf("%s: calls %+v became %+v", d.Name, a, b)
	}
	want := cmp.Or(s.Finish, chat.FinishStop)
	if len(a) > 0 && want != chat.FinishLength && want != chat.FinishFilter && (d != wire.OpenAI || want == chat.FinishStop && g.Finish != want) {
		want = chat.FinishCalls // clients run calls only then: vercel/ai #12218
	}
	if refused := s.Message.Text(chat.PartRefusal); d == wire.Anthropic && refused != "" && refused == words(&s.Message) && want == chat.FinishStop {
		want = chat.FinishFilter // which has one word for both
	}
	if g.Finish != want && isKnown(want) {
		t.Errorf("%s: %s became %s", d.Name, want, g.Finish)
	}
	if u, v := said.Usage, got.Usage; u.Provenance == chat.Reported && (u.Prompt() != v.Prompt() || u.Completion() != v.Completion()) {
		t.Errorf("%s: usage %+v became %+v", d.Name, u, v)
	}
}

// sources are those of a message, each with the text that it belongs to; "" for one of which that is not known.
func sources(m *chat.Message) (list []string) {
	for i := range m.Parts {
		text := []rune(m.Parts[i].Text)
		for _, c := range m.Parts[i].Citations {
			source := ""
			if c.End > 0 && c.End <= len(text) && c.Start <= c.End {
				source = c.URL + " " + string(text[c.Start:c.End])
			}
			list = append(list, source)
		}
	}
	return list
}

func hasPart(m *chat.Message, k chat.PartKind) bool {
	return slices.ContainsFunc(m.Parts, func(p chat.Part) bool { return p.Kind == k })
}

func isKnown(f chat.FinishReason) bool {
	return slices.Contains([]chat.FinishReason{chat.FinishStop, chat.FinishLength, chat.FinishCalls, chat.FinishFilter}, f)
}

func sameCall(a, b chat.ToolCall) bool {
	if a.Name != b.Name || a.ID != b.ID && a.ID != "" {
		return false
	}
	if a.Kind == chat.Custom && b.Kind == chat.Function {
		input, _ := json.Marshal(map[string]string{"input": a.Arguments})
		a.Arguments = string(input)
	}
	var x, y any
	if json.Unmarshal([]byte(cmp.Or(a.Arguments, "{}")), &x) != nil || json.Unmarshal([]byte(cmp.Or(b.Arguments, "{}")), &y) != nil {
		return a.Arguments == b.Arguments
	}
	return reflect.DeepEqual(x, y)
}
