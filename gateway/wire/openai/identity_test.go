package openai_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// maker makes neutral values of all that chat completions can express.
type maker struct{ *rand.Rand }

func (m maker) some() bool { return m.IntN(2) == 0 }

// word is a text that says something.
func (m maker) word() string {
	const letters = "ab \"\\\n\t\x01\u007f\u00e9\u6f22\U0001F600/<&"
	runes := []rune(letters)
	var b strings.Builder
	for range 1 + m.IntN(8) {
		b.WriteRune(runes[m.IntN(len(runes))])
	}
	return b.String()
}

func (m maker) maybe() string {
	if m.some() {
		return ""
	}
	return m.word()
}

func (m maker) number() *float64 {
	if m.some() {
		return nil
	}
	return new(m.Float64())
}

func (m maker) whole() *int64 {
	if m.some() {
		return nil
	}
	return new(m.Int64N(1 << 20))
}

func (m maker) flag() *bool {
	if m.some() {
		return nil
	}
	return new(m.some())
}

func (m maker) cache() chat.Cache { return []chat.Cache{"", "", "5m", "1h", "default"}[m.IntN(5)] }

func oneOf[T any](m maker, list ...T) T { return list[m.IntN(len(list))] }

func (m maker) userPart() chat.Part {
	p := chat.Part{Cache: m.cache()}
	switch p.Kind = oneOf(m, chat.PartText, chat.PartImage, chat.PartAudio, chat.PartFile); p.Kind {
	case chat.PartImage:
		p.Media = oneOf(m, &chat.Media{URL: "https://example.org/" + m.word(), Detail: m.maybe()}, &chat.Media{Type: "image/png", Data: "aGk="})
	case chat.PartAudio:
		p.Media = &chat.Media{Data: "aGk=", Type: oneOf(m, "audio/wav", "audio/mpeg")}
	case chat.PartFile:
		p.Media = oneOf(m, &chat.Media{ID: m.word()}, &chat.Media{Type: "application/pdf", Data: "aGk=", Name: m.maybe()})
	default:
		p.Text = m.word()
	}
	return p
}

// answer is what an assistant says, in the order in which a message has it.
func (m maker) answer() []chat.Part {
	var parts []chat.Part
	if m.some() {
		parts = append(parts, chat.Part{Kind: chat.PartReasoning, Text: m.word()})
		if m.some() {
			parts[0].Signature, parts[0].Owner = m.word(), chat.Anthropic
			parts = append(parts, chat.Part{Kind: chat.PartRedacted, Signature: m.word(), Owner: chat.Anthropic},
				chat.Part{Kind: chat.PartReasoning, Signature: m.word(), Owner: chat.Anthropic})
		}
	}
	if m.some() {
		parts = append(parts, chat.Part{Text: m.word()})
	}
	return parts
}

func (m maker) calls() []chat.Part {
	var parts []chat.Part
	for i := range m.IntN(3) {
		c := &chat.ToolCall{ID: "call_" + strconv.Itoa(i), Kind: oneOf(m, chat.Function, chat.Custom), Name: m.word(), Arguments: m.word()}
		parts = append(parts, chat.Part{Kind: chat.PartCall, Call: c, Signature: m.maybe()})
	}
	return parts
}

func (m maker) request() *chat.Request {
	q := &chat.Request{Dialect: "openai", Model: m.word(), Verbosity: m.maybe(), User: m.maybe(), CacheKey: m.maybe(), ServiceTier: m.maybe()}
	q.Messages = append(q.Messages, chat.Message{Role: oneOf(m, chat.RoleSystem, chat.RoleDeveloper), Parts: []chat.Part{{Text: m.word(), Cache: m.cache()}}})
	for range 1 + m.IntN(3) {
		u := chat.Message{Role: chat.RoleUser, Name: m.maybe()}
		for range 1 + m.IntN(3) {
			u.Parts = append(u.Parts, m.userPart())
		}
		a := chat.Message{Role: chat.RoleAssistant, Parts: slices.Concat(m.answer(), m.calls())}
		q.Messages = append(q.Messages, u)
		if len(a.Parts) == 0 {
			continue
		}
		q.Messages = append(q.Messages, a)
		for _, c := range a.Calls() {
			q.Messages = append(q.Messages, chat.Message{Role: chat.RoleTool, CallID: c.ID, Cache: m.cache(), Parts: []chat.Part{{Text: m.word()}}})
		}
	}
	for i := range m.IntN(3) {
		t := chat.Tool{Kind: oneOf(m, chat.Function, chat.Custom), Name: "tool" + strconv.Itoa(i), Description: m.maybe(), Cache: m.cache()}
		if t.Kind == chat.Function {
			t.Parameters, t.Strict = []byte(`{"type":"object","properties":{}}`), m.flag()
		}
		q.Tools = append(q.Tools, t)
	}
	if len(q.Tools) > 0 {
		q.Parallel = m.flag()
		q.Choice = oneOf(m, chat.ToolChoice{}, chat.ToolChoice{Mode: chat.ChoiceAuto}, chat.ToolChoice{Mode: chat.ChoiceNone},
			chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"tool0"}}, chat.ToolChoice{Mode: chat.ChoiceAuto, Only: []string{"tool0"}})
	}
	q.Format = oneOf(m, chat.Format{}, chat.Format{Kind: chat.FormatJSON},
		chat.Format{Kind: chat.FormatSchema, Name: m.word(), Description: m.maybe(), Schema: []byte(`{"a":[1]}`), Strict: m.flag()})
	q.MaxTokens, q.TopLogprobs, q.Logprobs, q.Store = m.whole(), m.whole(), m.flag(), m.flag()
	q.N = oneOf(m, 0, 2, 128)
	q.Stop = oneOf(m, nil, []string{m.word()}, []string{m.word(), ""})
	q.Sampling = chat.Sampling{
		Temperature: m.number(), TopP: m.number(), TopK: m.whole(), FrequencyPenalty: m.number(), PresencePenalty: m.number(), Seed: m.whole(),
	}
	q.Reasoning = oneOf(m, chat.Reasoning{}, chat.Reasoning{Effort: "high"}, chat.Reasoning{Mode: chat.ThinkOff, Effort: "none"})
	q.Cache = m.cache()
	if q.Stream = m.some(); q.Stream {
		q.IncludeUsage = m.some()
	}
	if m.some() {
		q.Metadata, q.Sampling.LogitBias = []byte(`{"a":"b"}`), []byte(`{"1":-1}`)
		q.Extra = []chat.Member{{Name: "min_p", Value: []byte(`0.1`)}, {Name: "modalities", Value: []byte(`["text"]`)}}
	}
	return q
}

func (m maker) usage() chat.Usage {
	return chat.Usage{
		Input: m.Int64N(100), CacheRead: m.Int64N(100), CacheWrite: m.Int64N(100), InputAudio: m.Int64N(100), InputImage: m.Int64N(100),
		Output: m.Int64N(100), Reasoning: m.Int64N(100), OutputAudio: m.Int64N(100), OutputImage: m.Int64N(100), Provenance: chat.Reported,
	}
}

func (m maker) reply() *chat.Reply {
	r := &chat.Reply{Head: chat.Head{ID: m.word(), Model: m.maybe(), Created: 1 + m.Int64N(1<<40)}, ServiceTier: m.maybe()}
	if m.some() {
		r.Usage = m.usage()
	}
	for i := range 1 + m.IntN(3) {
		c := chat.Choice{Index: i, Finish: oneOf(m, chat.FinishLength, chat.FinishFilter), Message: chat.Message{Role: chat.RoleAssistant}}
		parts := m.answer()
		if n := len(parts); n > 0 && parts[n-1].Kind == chat.PartText && m.some() {
			parts[n-1].Citations = []chat.Citation{{URL: m.word(), Title: m.maybe(), Start: 0, End: 1}}
			parts[n-1].Logprobs = []byte(`[{"token":"a"}]`)
		}
		if m.some() {
			parts = append(parts, chat.Part{Kind: chat.PartRefusal, Text: m.word()})
		}
		if m.some() {
			parts = append(parts, chat.Part{Kind: chat.PartAudio, Text: m.word(), Media: &chat.Media{ID: m.word(), Data: "aGk="}})
		}
		calls := m.calls()
		if c.Message.Parts = slices.Concat(parts, calls); len(calls) > 0 {
			c.Finish = chat.FinishCalls
		}
		r.Choices = append(r.Choices, c)
	}
	return r
}

const made = 2000

// difference is where two texts part.
func difference(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			from := max(i-8, 0)
			return "\nwas\n" + strings.Join(a[from:min(i+3, len(a))], "\n") + "\nis\n" + strings.Join(b[from:min(i+3, len(b))], "\n")
		}
	}
	return "\nno visible difference"
}

// TestRequestIdentity checks that a request that is written is read as it was.
func TestRequestIdentity(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(1, 2))}
	for range made {
		q := m.request()
		body, dropped, err := openai.AppendRequest(nil, q, &chat.Target{CacheMarks: "cache_control"})
		if err != nil || len(dropped) > 0 {
			t.Fatalf("%v, dropped %q", err, dropped)
		}
		back, err := openai.DecodeRequest(body)
		if err != nil || !reflect.DeepEqual(back, q) {
			t.Fatalf("%s\n%v%s", body, err, difference(render(t, q), render(t, back)))
		}
	}
}

// TestReplyIdentity checks that a reply that is written is read as it was.
func TestReplyIdentity(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(3, 4))}
	for range made {
		r := m.reply()
		body := openai.AppendReply(nil, nil, r)
		back, err := openai.DecodeReply(body)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%s\n%v%s", body, err, difference(render(t, r), render(t, back)))
		}
	}
}

// pieces are those of a stream, in a random order as far as it is free.
func (m maker) pieces() []chat.Piece {
	list := []chat.Piece{{Kind: chat.PieceBegin, Head: &chat.Head{ID: m.word(), Model: m.maybe(), Created: 1 + m.Int64N(1<<40)}}}
	inside := func() []byte {
		return []byte(oneOf(m, `a`, `\n`, `é`, `\"x\\`, `\u00e9`, ` `, `漢字`, `{`))
	}
	choices := 1 + m.IntN(2)
	calls := make([]int, choices)
	for range m.IntN(20) {
		p := chat.Piece{Choice: m.IntN(choices), Text: inside()}
		p.Kind = oneOf(m, chat.PieceText, chat.PieceRefusal, chat.PieceReasoning, chat.PieceRedacted, chat.PieceCitation, chat.PieceImage, chat.PieceCall,
			chat.PieceArguments)
		switch p.Kind {
		case chat.PieceReasoning:
			if m.some() { // a thought is signed as a whole
				list = append(list, p)
				p.Kind, p.Text = chat.PieceSignature, inside()
			}
		case chat.PieceCitation:
			p.Text, p.Citation = nil, &chat.Citation{URL: m.word(), Title: m.maybe(), End: m.IntN(9)}
		case chat.PieceCall:
			p.Text, p.Index = nil, calls[p.Choice]
			p.Call = &chat.ToolCall{ID: m.word() + strconv.Itoa(p.Index), Kind: oneOf(m, chat.Function, chat.Custom), Name: m.word()}
			calls[p.Choice]++
		case chat.PieceArguments:
			if calls[p.Choice] == 0 {
				continue
			}
			p.Index = m.IntN(calls[p.Choice])
		}
		list = append(list, p)
	}
	for i := range choices {
		list = append(list, chat.Piece{Kind: chat.PieceFinish, Choice: i, Finish: oneOf(m, chat.FinishLength, chat.FinishFilter)})
	}
	used := m.usage()
	used.Tier = oneOf(m, "", "flex", "priority")
	return append(list, chat.Piece{Kind: chat.PieceUsage, Usage: &used}, chat.Piece{Kind: chat.PieceEnd})
}

// TestStreamIdentity checks that a stream that is written says what it was to say.
func TestStreamIdentity(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(5, 6))}
	for range made {
		want := transcript{}
		var events []sse.Event
		var batch chat.Batch
		encoder := openai.NewEncoder(&chat.Request{IncludeUsage: true})
		for _, p := range m.pieces() {
			want.add(&p)
			encoder.Encode(&batch, &p)
		}
		for name, data, ok := batch.Next(); ok; name, data, ok = batch.Next() {
			events = append(events, sse.Event{Name: name, Data: bytes.Clone(data)})
		}
		want.complete()
		got, _ := decoded(events, nil)
		got.complete()
		if got.text() != want.text() {
			t.Fatalf("%s\nsays\n%s\nand was\n%s", eventsText(events), got.text(), want.text())
		}
	}
}

// seeds adds the first files of the archives in a folder.
func seeds(f *testing.F, folder string) {
	f.Helper()
	paths, err := filepath.Glob("testdata/" + folder + "/*.txtar")
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

// FuzzDecodeReply checks that what is written of a reply is read as the same.
func FuzzDecodeReply(f *testing.F) {
	seeds(f, "replies")
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := openai.DecodeReply(body)
		if err != nil {
			var e *chat.Error
			if r != nil || !errors.Is(err, openai.ErrMalformed) && !errors.As(err, &e) {
				t.Fatalf("%s: %v, %v", body, r, err)
			}
			return
		}
		for i := range r.Choices {
			wellFormed(t, &r.Choices[i].Message)
		}
		first := openai.AppendReply(nil, nil, r)
		again, err := openai.DecodeReply(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		// Once the order of parts is that of the dialect, nothing changes any more.
		second := openai.AppendReply(nil, nil, again)
		third, err := openai.DecodeReply(second)
		if err != nil || !reflect.DeepEqual(third.Choices, again.Choices) {
			t.Fatalf("%s\nbecomes\n%s, %v", first, second, err)
		}
	})
}

// FuzzStream checks the grammar of what a decoder says, and that what an encoder makes of it says the same.
func FuzzStream(f *testing.F) {
	seeds(f, "streams")
	f.Fuzz(func(t *testing.T, in []byte) {
		r := sse.NewReader(bytes.NewReader(in), 1<<20)
		decoder, encoder := openai.NewDecoder(), openai.NewEncoder(nil)
		var batch chat.Batch
		var g grammar
		for {
			ev, err := r.Next()
			if err != nil {
				break
			}
			pieces, err := decoder.Decode(nil, ev.Name, ev.Data)
			for i := range pieces {
				g.check(t, &pieces[i])
				encoder.Encode(&batch, &pieces[i])
			}
			if err != nil {
				break
			}
		}
		again := openai.NewDecoder()
		for name, data, ok := batch.Next(); ok; name, data, ok = batch.Next() {
			if _, err := again.Decode(nil, name, data); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
		}
	})
}

// grammar is that of chat.PieceKind.
type grammar struct {
	begun, ended bool
	finished     map[int]bool
	calls        map[[2]int]bool
}

func (g *grammar) check(t *testing.T, p *chat.Piece) {
	t.Helper()
	if g.finished == nil {
		g.finished, g.calls = map[int]bool{}, map[[2]int]bool{}
	}
	call := [2]int{p.Choice, p.Index}
	ok := g.begun != (p.Kind == chat.PieceBegin) && !g.ended
	switch p.Kind {
	case chat.PieceBegin:
		g.begun = true
		ok = ok && p.Head != nil
	case chat.PieceCall:
		ok = ok && p.Call != nil && p.Call.ID != "" && !g.calls[call]
		g.calls[call] = true
	case chat.PieceArguments:
		ok = ok && g.calls[call]
	case chat.PieceFinish:
		ok = ok && p.Finish != "" && !g.finished[p.Choice]
		g.finished[p.Choice] = true
	case chat.PieceUsage:
		ok = ok && p.Usage != nil
	case chat.PieceEnd:
		g.ended = true
	default:
		ok = ok && !g.finished[p.Choice]
	}
	if !ok {
		t.Fatalf("%+v is out of place", p)
	}
}

// FuzzDecodeError checks that an error that is written is read as it was.
func FuzzDecodeError(f *testing.F) {
	seeds(f, "replies")
	f.Add([]byte(`[{"error":{"code":400,"message":"m","status":"INVALID"}}]`))
	f.Add([]byte(`{"detail":[{"msg":"m"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, ok := openai.DecodeError(body)
		if !ok {
			return
		}
		back, ok := openai.DecodeError(openai.AppendError(nil, e))
		if e.Type == "" {
			e.Type = "server_error" // clients want one
		}
		if !ok || back != e {
			t.Fatalf("%+v is read as %+v", e, back)
		}
	})
}
