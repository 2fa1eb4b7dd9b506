package sim

import (
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// signed begins the signatures of thoughts.
const signed = "sim"

// unthought is how Anthropic refuses a request with a budget for thinking whose calls come back without what was thought
// before them, or with thoughts that it did not sign; nil if there is nothing to refuse. A model that thinks as it sees fit
// (adaptive) does not ask for its thoughts (docs.claude.com, "Adaptive thinking").
func unthought(r *chat.Request) *chat.Error {
	first, turn := loop(r)
	if r.Reasoning.Mode != chat.ThinkBudget || first == nil {
		return nil
	}
	where := "messages." + strconv.Itoa(turn) + ".content.0"
	switch p := &first.Parts[0]; {
	case p.Kind != chat.PartReasoning && p.Kind != chat.PartRedacted:
		found := "tool_use"
		if p.Kind == chat.PartText {
			found = "text"
		}
		return &chat.Error{
			Type: gateway.TypeInvalidRequest, Message: where + ".type: Expected `thinking` or `redacted_thinking`, but found `" + found + "`. " +
				"When `thinking` is enabled, a final `assistant` message must start with a thinking block.",
		}
	case !strings.HasPrefix(p.Signature, signed):
		return &chat.Error{Type: gateway.TypeInvalidRequest, Message: where + ": Invalid `signature` in `thinking` block"}
	}
	return nil
}

// loop is the message that begins the assistant's last turn, if results of its calls follow; else nil. turn counts as
// Anthropic does, where turns alternate and the system has none.
func loop(r *chat.Request) (first *chat.Message, turn int) {
	turns, before, waits := 0, chat.RoleSystem, false
	for i := range r.Messages {
		m := &r.Messages[i]
		role := m.Role
		if role == chat.RoleTool {
			role, waits = chat.RoleUser, true
		}
		if role == chat.RoleSystem || role == before {
			continue
		}
		if role == chat.RoleAssistant {
			first, turn, waits = m, turns, false
		}
		turns, before = turns+1, role
	}
	if !waits || first == nil || len(first.Parts) == 0 {
		return nil, 0
	}
	return first, turn
}
