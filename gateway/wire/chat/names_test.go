package chat_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const longName = "mcp__ymir-privileged__get_failed_pipeline_jobs_from_merge_request" // packit/ai-workflows#619

func TestShorten(t *testing.T) {
	call := chat.ToolCall{ID: strings.Repeat("i", 41), Name: longName, Arguments: "{}"}
	q := &chat.Request{
		Tools:  []chat.Tool{{Name: longName}, {Name: strings.Repeat("é", 40)}, {Name: "f"}, {Kind: chat.Hosted, Name: strings.Repeat("h", 70)}},
		Choice: chat.ToolChoice{Mode: chat.ChoiceAuto, Only: []string{"f", longName}},
		Messages: []chat.Message{
			{Role: chat.RoleUser, Name: strings.Repeat("u", 70)},
			{Role: chat.RoleAssistant, Parts: []chat.Part{{Text: "x"}, {Kind: chat.PartCall, Call: &call}}},
			{Role: chat.RoleTool, CallID: call.ID, Name: longName},
		},
	}
	s := chat.Shorten(q, 40)
	short := s.Tools[0].Name
	if len(short) != chat.MaxToolName || !strings.HasPrefix(short, longName[:53]) || !regexp.MustCompile(`_[a-z2-7]{10}$`).MatchString(short) {
		t.Errorf("tool %q", short)
	}
	if n := s.Tools[1].Name; len(n) > chat.MaxToolName || !utf8.ValidString(n) || n[:52] != strings.Repeat("é", 26) {
		t.Errorf("tool %q", n)
	}
	if s.Tools[2].Name != "f" || s.Tools[3].Name != q.Tools[3].Name || s.Messages[0].Name != q.Messages[0].Name {
		t.Error("what is no name of a function was changed")
	}
	c, m := s.Messages[1].Calls()[0], &s.Messages[2]
	if c.Name != short || m.Name != short || s.Choice.Only[1] != short || s.Choice.Only[0] != "f" || s.Messages[1].Parts[0].Text != "x" {
		t.Errorf("call %+v, result %+v, choice %+v", c, m, s.Choice)
	}
	if c.ID != m.CallID || len(c.ID) != 31 || c.ID != chat.Shorten(q, 40).Messages[1].Calls()[0].ID {
		t.Errorf("call %q, result %q", c.ID, m.CallID)
	}
	if q.Tools[0].Name != longName || *q.Messages[1].Parts[1].Call != call || q.Messages[2].CallID != call.ID || q.Choice.Only[1] != longName {
		t.Error("the request was changed")
	}
	if again := chat.Shorten(s, 40); again != s {
		t.Error("there was nothing to do")
	}
	if any := chat.Shorten(q, 0); any.Messages[1].Calls()[0].ID != call.ID || any.Messages[2].CallID != call.ID {
		t.Error("ids of any length are taken")
	}
}

// What a provider calls by a short name, the caller gets under its own, be it a custom tool or a function.
func TestRestoreNames(t *testing.T) {
	q := &chat.Request{Tools: []chat.Tool{{Name: longName}, {Kind: chat.Custom, Name: longName + "_custom"}}}
	short := chat.Shorten(q, 0)
	f := func(name string, kind chat.ToolKind, arguments string, want chat.ToolCall) {
		t.Helper()
		call := chat.ToolCall{ID: "c", Kind: kind, Name: name, Arguments: arguments}
		r := &chat.Reply{Choices: []chat.Choice{{Message: chat.Message{Parts: []chat.Part{{Kind: chat.PartCall, Call: &call}}}}}}
		if got := chat.RestoreCalls(q, r).Choices[0].Message.Calls()[0]; got != want || call.Name != name {
			t.Errorf("whole: %+v", got)
		}
		h := &heard{}
		e := chat.Restore(q, h)
		e.Encode(nil, &chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{ID: "c", Kind: kind, Name: name}})
		e.Encode(nil, &chat.Piece{Kind: chat.PieceArguments, Text: []byte(quoted(t, arguments))})
		e.Encode(nil, &chat.Piece{Kind: chat.PieceFinish})
		if got := h.Reply().Choices[0].Message.Calls()[0]; got != want {
			t.Errorf("streamed: %+v", got)
		}
	}
	f(short.Tools[0].Name, chat.Function, `{"a":1}`, chat.ToolCall{ID: "c", Name: longName, Arguments: `{"a":1}`})
	f(longName, chat.Function, `{"a":1}`, chat.ToolCall{ID: "c", Name: longName, Arguments: `{"a":1}`})
	f("other", chat.Function, `{}`, chat.ToolCall{ID: "c", Name: "other", Arguments: `{}`})
	custom := chat.ToolCall{ID: "c", Kind: chat.Custom, Name: longName + "_custom", Arguments: "x"}
	f(short.Tools[1].Name, chat.Function, `{"input":"x"}`, custom)
	f(short.Tools[1].Name, chat.Custom, `x`, custom)
	if q := (&chat.Request{Tools: []chat.Tool{{Name: longName[:64]}}}); chat.Restore(q, nil) != nil || chat.Shorten(q, 0) != q {
		t.Error("there was nothing to do")
	}
}
