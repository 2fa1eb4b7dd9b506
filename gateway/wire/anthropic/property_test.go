package anthropic_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// replay decodes what an encoder wrote. Its blocks must be one after the other, numbered from 0.
func replay(t *testing.T, b *chat.Batch, to *chat.Collector, complete bool) {
	t.Helper()
	d := anthropic.NewDecoder()
	open, next, starts, ended := false, 0, 0, false
	for {
		name, data, ok := b.Next()
		if !ok {
			break
		}
		var v struct {
			Type  string
			Index int
		}
		if err := json.Unmarshal(data, &v); err != nil || v.Type != name || ended {
			t.Fatalf("event %s: %s: %v", name, data, err)
		}
		switch name {
		case "message_start":
			starts++
		case "content_block_start":
			if open || v.Index != next {
				t.Fatalf("block %d begins, %d is open: %t", v.Index, next, open)
			}
			open = true
		case "content_block_delta":
			if !open || v.Index != next {
				t.Fatalf("%s, but %d is open: %t", data, next, open)
			}
		case "content_block_stop":
			if !open || v.Index != next {
				t.Fatalf("block %d ends, %d is open: %t", v.Index, next, open)
			}
			open = false
			next++
		case "message_stop":
			ended = true
		}
		pieces, err := d.Decode(nil, name, data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		for i := range pieces {
			to.Add(&pieces[i])
		}
	}
	if starts > 1 || ended != complete || complete && (open || starts != 1) {
		t.Fatalf("%d beginnings, open %t, complete %t, want %t", starts, open, ended, complete)
	}
}

// same compares replies of a stream, but for what one of this dialect cannot tell: what is no text, made-up ids, the
// border between texts, empty arguments, and of several ends.
func same(t *testing.T, a, b *chat.Reply) {
	t.Helper()
	if a.Usage.Provenance == chat.Unknown {
		b.Usage = a.Usage // there must be some, by the length
	}
	plain := func(r *chat.Reply) string {
		var s strings.Builder
		fmt.Fprintf(&s, "%+v ", r.Usage)
		if len(r.Choices) == 0 {
			return s.String()
		}
		c := &r.Choices[0]
		calls := false
		for _, p := range c.Message.Parts {
			switch {
			case p.Call != nil:
				calls = true
				fmt.Fprintf(&s, "call %q %q ", p.Call.Name, p.Call.Arguments)
			case p.Kind == chat.PartReasoning:
				fmt.Fprintf(&s, "thought %q %q ", p.Text, p.Signature)
			case p.Kind == chat.PartRedacted:
				fmt.Fprintf(&s, "hidden %q ", p.Signature)
			default:
				fmt.Fprintf(&s, "%q ", p.Text)
			}
		}
		switch f := c.Finish; {
		case f == chat.FinishLength || f == chat.FinishFilter:
			s.WriteString(string(f))
		case calls:
			s.WriteString("calls")
		}
		return s.String()
	}
	if x, y := plain(a), plain(b); x != y {
		t.Fatalf("got\n%s, want\n%s", y, x)
	}
}

// maker makes values that the dialect can express, at random.
type maker struct{ *rand.Rand }

func (m maker) chance() bool { return m.IntN(2) == 0 }

func (m maker) text() string {
	words := []string{"Hi", " ", "\n", `"`, `\`, "ü", "😀", "}", "{\"a\":", "\u2028", "\x00"}
	s := "x"
	for range m.IntN(5) {
		s += words[m.IntN(len(words))]
	}
	return s + "."
}

func (m maker) name() string { return string(rune('a' + m.IntN(26))) }

func (m maker) id() string {
	return []string{"toolu_1", "call-2", "functions.f:0", "sluice_", "sluice_YQ", "ü"}[m.IntN(6)] + m.name()
}

func (m maker) cache() chat.Cache {
	return []chat.Cache{"", "", "", "", "5m", "1h", "default"}[m.IntN(7)]
}

func (m maker) object() json.RawMessage {
	b, err := json.Marshal(map[string]any{"type": "object", "title": m.text(), "n": m.IntN(9)})
	if err != nil {
		panic(err)
	}
	return b
}

func (m maker) media(kind chat.PartKind) chat.Part {
	p := chat.Part{Kind: kind, Media: &chat.Media{}, Cache: ""}
	switch m.IntN(4) {
	case 0:
		p.Media.URL = "https://x/" + m.name()
	case 1:
		p.Media.ID = "file_" + m.name()
	case 2:
		p.Media.Data, p.Media.Type = "aGk=", "image/png"
		if kind == chat.PartFile {
			p.Media.Type = "application/pdf"
		}
	default:
		if kind == chat.PartImage {
			p.Media.URL = "https://y"
			return p
		}
		p.Media.Type, p.Text = "text/plain", m.text()
	}
	if kind == chat.PartFile && m.chance() {
		p.Media.Name = m.text()
	}
	return p
}

func (m maker) userPart() chat.Part {
	switch m.IntN(4) {
	case 0:
		return m.media(chat.PartImage)
	case 1:
		return m.media(chat.PartFile)
	}
	return chat.Part{Text: m.text()}
}

func (m maker) call() chat.Part {
	return chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: m.id(), Name: m.name(), Arguments: string(m.object())}}
}

// said makes the parts of an assistant's turn.
func (m maker) said() []chat.Part {
	var parts []chat.Part
	if m.chance() {
		parts = append(parts, chat.Part{Kind: chat.PartReasoning, Text: m.text(), Signature: m.text(), Owner: chat.Anthropic})
	}
	if m.chance() {
		parts = append(parts, chat.Part{Kind: chat.PartRedacted, Signature: m.text(), Owner: chat.Anthropic})
	}
	parts = append(parts, chat.Part{Text: m.text()})
	for range m.IntN(3) {
		parts = append(parts, m.call())
	}
	return parts
}

func (m maker) request() *chat.Request {
	limit := int64(10000 + m.IntN(10000))
	q := &chat.Request{Dialect: anthropic.Name, Model: target.Model, MaxTokens: &limit, Stream: m.chance()}
	q.IncludeUsage = q.Stream
	if m.chance() {
		q.Messages = append(q.Messages, chat.Message{Role: chat.RoleSystem, Parts: []chat.Part{{Text: m.text()}, {Text: m.text(), Cache: m.cache()}}})
	}
	for left := m.IntN(4); left >= 0; left-- {
		q.Messages = append(q.Messages, chat.Message{Role: chat.RoleUser, Parts: []chat.Part{m.userPart(), m.userPart()}})
		said := m.said()
		said = append(said, m.call())
		q.Messages = append(q.Messages, chat.Message{Role: chat.RoleAssistant, Parts: said})
		for i := range said {
			if said[i].Call != nil {
				r := chat.Message{Role: chat.RoleTool, CallID: said[i].Call.ID, Failed: m.chance()}
				for range m.IntN(3) {
					r.Parts = append(r.Parts, m.userPart())
				}
				q.Messages = append(q.Messages, r)
			}
		}
		if m.chance() {
			q.Messages = append(q.Messages, chat.Message{Role: chat.RoleSystem, Parts: []chat.Part{{Text: m.text()}}})
			if left > 0 { // it stands before what the assistant says, or at the end
				q.Messages = append(q.Messages, chat.Message{Role: chat.RoleAssistant, Parts: m.said()})
			}
		} else {
			q.Messages = append(q.Messages, chat.Message{Role: chat.RoleUser, Parts: []chat.Part{{Text: m.text(), Cache: m.cache()}}},
				chat.Message{Role: chat.RoleAssistant, Parts: m.said()})
		}
	}
	m.settings(q)
	return q
}

func (m maker) settings(q *chat.Request) {
	if m.chance() {
		yes := m.chance()
		q.Tools = []chat.Tool{
			{Name: "f", Description: m.text(), Parameters: m.object(), Strict: &yes},
			{Kind: chat.Hosted, Name: "bash_20250124", Parameters: json.RawMessage(`{"type":"bash_20250124","name":"bash"}`)},
		}
		q.Choice.Mode = chat.ChoiceMode(m.IntN(4))
		if q.Choice.Mode == chat.ChoiceRequired && m.chance() {
			q.Choice.Only = []string{"bash"}
		}
		if no := false; q.Choice.Mode == chat.ChoiceAuto || q.Choice.Mode == chat.ChoiceRequired {
			q.Parallel = &no
		}
	}
	kind := m.IntN(5)
	if q.Choice.Mode == chat.ChoiceRequired {
		kind = 0 // else there would be no thinking beside it
	}
	switch r := &q.Reasoning; kind {
	case 0:
		r.Mode, r.Effort = chat.ThinkOff, "none"
	case 1:
		r.Mode, r.Summary = chat.ThinkAdaptive, []string{"", "auto", "omitted"}[m.IntN(3)]
		fallthrough
	case 2:
		r.Effort = []string{"", "low", "high", "max"}[m.IntN(4)]
	case 3:
		r.Mode = chat.ThinkBetweenTools
	}
	if m.chance() {
		q.Format = chat.Format{Kind: chat.FormatSchema, Schema: m.object()}
	}
	if m.chance() {
		f, k := float64(m.IntN(11))/10, int64(m.IntN(100))
		q.Sampling = chat.Sampling{Temperature: &f, TopP: &f, TopK: &k}
		q.Stop = []string{m.text(), m.text()}
	}
	if m.chance() {
		q.User, q.ServiceTier, q.Cache = m.text(), []string{"auto", "default"}[m.IntN(2)], m.cache()
		q.Extra = []chat.Member{{Name: "container", Value: json.RawMessage(`"c"`)}, {Name: "a \"new\" one", Value: m.object()}}
	}
}

const rounds = 1000

// decode(encode(q)) is q.
func TestRequestProperty(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(1, 2))}
	skipped := 0
	for range rounds {
		q := m.request()
		body, dropped, err := anthropic.AppendRequest(nil, q, &target)
		if err != nil {
			t.Fatalf("%s: %v", render(t, q), err)
		}
		if len(dropped) > 0 {
			if strings.Join(dropped, "") != "prompt_cache_breakpoint" {
				t.Fatalf("dropped %v of %s", dropped, render(t, q))
			}
			skipped++ // more marks than the API takes
			continue
		}
		back, err := anthropic.DecodeRequest(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		for i := range back.Messages {
			back.Messages[i].At = 0
		}
		if !reflect.DeepEqual(back, q) {
			t.Fatalf("%s\nis read as %s\nwas %s", body, render(t, back), render(t, q))
		}
	}
	if skipped > rounds/4 {
		t.Errorf("%d of %d requests were not compared", skipped, rounds)
	}
}

func (m maker) reply() *chat.Reply {
	c := chat.Choice{Message: chat.Message{Role: chat.RoleAssistant, Parts: m.said()}, Finish: chat.FinishStop}
	switch m.IntN(4) {
	case 0:
		c.Stop = m.text()
	case 1:
		c.Finish = chat.FinishLength
	case 2:
		c.Finish = chat.FinishFilter
		for i := range c.Message.Parts {
			if p := &c.Message.Parts[i]; p.Kind == chat.PartText {
				p.Kind = chat.PartRefusal
			}
		}
	default:
		for i := range c.Message.Parts {
			if p := &c.Message.Parts[i]; p.Kind == chat.PartText {
				p.Citations = []chat.Citation{{URL: "https://x", Title: m.text(), Quote: m.text()}, {URL: "https://y"}}
			}
		}
	}
	if len(c.Message.Calls()) > 0 && (c.Finish == chat.FinishStop) {
		c.Finish, c.Stop = chat.FinishCalls, ""
	}
	return &chat.Reply{
		Head: chat.Head{ID: m.text(), Model: m.text()}, Choices: []chat.Choice{c}, ServiceTier: []string{"", "default", "priority"}[m.IntN(3)],
		Usage: m.usage(),
	}
}

func (m maker) usage() chat.Usage {
	n := func() int64 { return int64(m.IntN(3) * m.IntN(1000)) }
	return chat.Usage{Input: n(), CacheRead: n(), CacheWrite: n(), CacheWriteHour: n(), Output: n(), Reasoning: n(), Provenance: chat.Reported}
}

// decode(encode(r)) is r.
func TestReplyProperty(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(3, 4))}
	for range rounds {
		r := m.reply()
		body := anthropic.AppendReply(nil, nil, r)
		back, err := anthropic.DecodeReply(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if !reflect.DeepEqual(back, r) {
			t.Fatalf("%s\nis read as %s\nwas %s", body, render(t, back), render(t, r))
		}
		var u chat.Usage
		r.Usage.Tier = chat.ServedTier([]byte(r.ServiceTier))
		if s := anthropic.LookWhole(body, &u); s != chat.UsageSeen|chat.Answer || usageText(&u) != usageText(&r.Usage) {
			t.Fatalf("%s is %s with %+v", body, s, u)
		}
	}
}

// pieces makes a stream of a reply, whose calls interleave.
func (m maker) pieces(r *chat.Reply) []chat.Piece {
	c := &r.Choices[0]
	list := []chat.Piece{{Kind: chat.PieceBegin, Head: &r.Head}}
	cut := func(s string, kind chat.PieceKind, index int) (pieces []chat.Piece) {
		runes := []rune(s)
		for len(runes) > 0 {
			n := 1 + m.IntN(len(runes))
			pieces = append(pieces, chat.Piece{Kind: kind, Index: index, Text: inside(string(runes[:n]))})
			runes = runes[n:]
		}
		return pieces
	}
	var calls [][]chat.Piece
	for i := range c.Message.Parts {
		p := &c.Message.Parts[i]
		switch p.Kind {
		case chat.PartReasoning:
			list = append(append(list, cut(p.Text, chat.PieceReasoning, 0)...), chat.Piece{Kind: chat.PieceSignature, Text: inside(p.Signature), Owner: p.Owner})
		case chat.PartRedacted:
			list = append(list, chat.Piece{Kind: chat.PieceRedacted, Text: inside(p.Signature), Owner: p.Owner})
		case chat.PartCall:
			n := len(calls)
			list = append(list, chat.Piece{Kind: chat.PieceCall, Index: n, Call: &chat.ToolCall{ID: p.Call.ID, Name: p.Call.Name}})
			calls = append(calls, cut(p.Call.Arguments, chat.PieceArguments, n))
		default:
			list = append(list, cut(p.Text, chat.PieceText, 0)...)
			for k := range p.Citations {
				list = append(list, chat.Piece{Kind: chat.PieceCitation, Citation: &p.Citations[k]})
			}
		}
	}
	for len(calls) > 0 {
		n := m.IntN(len(calls))
		list = append(list, calls[n][0])
		if calls[n] = calls[n][1:]; len(calls[n]) == 0 {
			calls = append(calls[:n], calls[n+1:]...)
		}
	}
	used := r.Usage
	used.Tier = r.ServiceTier
	return append(list, chat.Piece{Kind: chat.PieceFinish, Finish: c.Finish, Stop: c.Stop}, chat.Piece{Kind: chat.PieceUsage, Usage: &used}, chat.Piece{Kind: chat.PieceEnd})
}

// The pieces of a stream, encoded and decoded, make the same reply.
func TestStreamProperty(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(5, 6))}
	for range rounds {
		r := m.reply()
		r.ServiceTier = chat.ServedTier([]byte(r.ServiceTier)) // what a stream tells of it
		for i := range r.Choices[0].Message.Parts {
			if p := &r.Choices[0].Message.Parts[i]; p.Kind == chat.PartRefusal {
				p.Kind = chat.PartText // that it is one, a stream tells by its end only
			}
		}
		for i := range r.Choices[0].Message.Parts {
			p := &r.Choices[0].Message.Parts[i]
			for k := range p.Citations { // of the whole block
				p.Citations[k].End = utf8.RuneCountInString(p.Text)
			}
		}
		e, b := anthropic.NewEncoder(nil), new(chat.Batch)
		for _, p := range m.pieces(r) {
			e.Encode(b, &p)
		}
		var joined chat.Collector
		replay(t, b, &joined, true)
		if back := joined.Reply(); !reflect.DeepEqual(back, r) {
			t.Fatalf("got %s\nwant %s", render(t, back), render(t, r))
		}
	}
}
