package chat_test

import (
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestUsageSums(t *testing.T) {
	u := chat.Usage{Input: 1, CacheRead: 20, CacheWrite: 300, Output: 4000, Reasoning: 50000}
	if u.Prompt() != 321 || u.Completion() != 54000 || u.Total() != 54321 {
		t.Fatalf("prompt %d, completion %d, total %d", u.Prompt(), u.Completion(), u.Total())
	}
}

func TestOverlapping(t *testing.T) {
	f := func(o chat.Overlapping, want chat.Usage) {
		t.Helper()
		want.Provenance = chat.Reported
		if got := o.Usage(); got != want {
			t.Errorf("%+v: got %+v, want %+v", o, got, want)
		}
	}
	f(chat.Overlapping{Prompt: 100, Completion: 10, Total: 110, Cached: 50, Written: 20, Reasoning: 4}, chat.Usage{Input: 30, CacheRead: 50, CacheWrite: 20, Output: 6, Reasoning: 4})
	f(chat.Overlapping{Prompt: 100, Completion: 10, Cached: 50, Reasoning: 4}, chat.Usage{Input: 50, CacheRead: 50, Output: 6, Reasoning: 4})
	// A part that is larger than the whole is none of it.
	f(chat.Overlapping{Prompt: 5, Completion: 3, Total: 8, Cached: 8, Reasoning: 9}, chat.Usage{Input: 5, CacheRead: 8, Output: 3, Reasoning: 9})
	// The total has a part once more.
	f(chat.Overlapping{Prompt: 5, Completion: 3, Total: 10, Reasoning: 2}, chat.Usage{Input: 5, Output: 3, Reasoning: 2})
	f(chat.Overlapping{Prompt: 100, Completion: 10, Total: 160, Cached: 50}, chat.Usage{Input: 100, CacheRead: 50, Output: 10})
	f(chat.Overlapping{Prompt: 100, Completion: 10, Total: 164, Cached: 50, Reasoning: 4}, chat.Usage{Input: 100, CacheRead: 50, Output: 10, Reasoning: 4})
	// Only the total knows of the thoughts, or of some.
	f(chat.Overlapping{Prompt: 10, Completion: 5, Total: 45}, chat.Usage{Input: 10, Output: 5, Reasoning: 30})
	f(chat.Overlapping{Prompt: 10, Completion: 20, Total: 150, Reasoning: 5}, chat.Usage{Input: 10, Output: 15, Reasoning: 125})
	f(chat.Overlapping{Prompt: 10, Completion: 5, Total: 45, Reasoning: 20}, chat.Usage{Input: 10, Output: 5, Reasoning: 30})
	// A total that is too small says nothing.
	f(chat.Overlapping{Prompt: 10, Completion: 5, Total: 12, Reasoning: 2}, chat.Usage{Input: 10, Output: 3, Reasoning: 2})
}

func TestProvenanceString(t *testing.T) {
	f := func(p chat.Provenance, want string) {
		t.Helper()
		if got := p.String(); got != want {
			t.Errorf("%d: got %q, want %q", p, got, want)
		}
	}
	f(chat.Unknown, "unknown")
	f(chat.Reported, "reported")
	f(chat.Estimated, "estimated")
	f(chat.Aborted, "aborted")
	f(200, "unknown")
}

func TestSigns(t *testing.T) {
	f := func(s chat.Signs, want string) {
		t.Helper()
		if got := s.String(); got != want {
			t.Errorf("%b: got %q, want %q", s, got, want)
		}
	}
	f(0, "")
	f(chat.Progress, "progress")
	f(chat.UsageSeen|chat.UsageOnly, "usage usage-only")
	f(chat.Progress|chat.Finish|chat.End|chat.Failed|chat.Malformed, "progress finish end failed malformed")

	s := chat.Finish | chat.UsageSeen
	if !s.Has(chat.Finish|chat.End) || s.Has(chat.End|chat.Failed) || s.Has(0) {
		t.Error("Has must be true if any of the signs is set")
	}
}

func TestMessage(t *testing.T) {
	m := chat.Message{Parts: []chat.Part{
		{Kind: chat.PartReasoning, Text: "hm"},
		{Text: "one "},
		{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Name: "f"}},
		{Text: "two"},
		{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "b", Name: "g"}},
	}}
	if got := m.Text(chat.PartText); got != "one two" {
		t.Errorf("text: %q", got)
	}
	if got := m.Text(chat.PartReasoning); got != "hm" {
		t.Errorf("reasoning: %q", got)
	}
	want := []chat.ToolCall{{ID: "a", Name: "f"}, {ID: "b", Name: "g"}}
	if got := m.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls: %v", got)
	}
}

func TestErrorText(t *testing.T) {
	f := func(e chat.Error, want string) {
		t.Helper()
		if got := e.Error(); got != want {
			t.Errorf("%+v: got %q, want %q", e, got, want)
		}
	}
	f(chat.Error{Message: "no such model", Code: "model_not_found"}, "no such model")
	f(chat.Error{Type: "server_error", Code: "502"}, "502")
	f(chat.Error{Type: "server_error"}, "server_error")
}
