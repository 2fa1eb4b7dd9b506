package anthropic

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// maxMarks is how many cache marks a request may have, by Anthropic's rule.
const maxMarks = 4

// countMarks finds how many marks are too many. Those behind the longest prefixes stay, and those in what is written as it
// came.
func (e *requestWriter) countMarks() {
	n := given(e.q.Cache)
	for i := range e.q.Tools {
		if t := &e.q.Tools[i]; t.Kind == chat.Hosted {
			n += inside(t.Parameters)
		} else {
			n += given(t.Cache)
		}
	}
	for i := range e.q.Messages {
		n += e.marksOf(&e.q.Messages[i])
	}
	e.spare = max(n-maxMarks, 0)
}

func (e *requestWriter) marksOf(m *chat.Message) (n int) {
	if m.Role == chat.RoleTool {
		n = given(m.Cache)
	}
	for k := range m.Parts {
		switch p := &m.Parts[k]; {
		case !e.written(p), p.Kind == chat.PartReasoning, p.Kind == chat.PartRedacted:
		case p.Kind == chat.PartOther && e.ours():
			n += inside(p.Raw)
		default:
			n += given(markOf(m, k))
		}
	}
	return n
}

func given(c chat.Cache) int {
	if c == "" {
		return 0
	}
	return 1
}

// inside counts the mark of what is written as it came.
func inside(raw []byte) int {
	if v := peek.Find(raw, []byte(`"cache_control"`)); v == nil || string(v) == "null" {
		return 0
	}
	return 1
}

// markOf is the mark behind the k-th part of a message: its own, or that of the message if it is the last. The result of a
// call is a block with a mark of its own.
func markOf(m *chat.Message, k int) chat.Cache {
	if c := m.Parts[k].Cache; c != "" || k < len(m.Parts)-1 || m.Role == chat.RoleTool {
		return c
	}
	return m.Cache
}

// cache writes a mark.
func (e *requestWriter) cache(c chat.Cache) {
	switch {
	case c == "":
		return
	case e.spare > 0:
		e.spare--
		e.drop("prompt_cache_breakpoint")
		return
	}
	e.key("cache_control")
	e.raw(`{"type":"ephemeral"`)
	if c == "5m" || c == "1h" {
		e.text("ttl", string(c))
	}
	e.raw("}")
}
