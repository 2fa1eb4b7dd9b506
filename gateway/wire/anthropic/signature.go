package anthropic

import (
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// carrier begins the signature of a thinking block without text that carries the signature of a call, Gemini's: a tool_use
// has no place for it, and Gemini refuses a call that comes back without it (litellm #16893). Clients send thinking blocks
// back as they are. The call's id as it is on the wire follows, a dot, and the signature. In the id itself, where others
// hide it (litellm #16895), it would become part of the names of files in Claude Code and too long for those of others.
const carrier = "sluice_call."

// carried begins the signature of a block that carries the one of a call.
func carried(wireID string) string { return carrier + wireID + "." }

// restoreSignatures gives calls the signatures that blocks of the same turn carry, and takes the blocks out.
func restoreSignatures(messages []chat.Message) []chat.Message {
	some := false
	for from, to := 0, 0; from < len(messages); from = to {
		for to = from + 1; to < len(messages) && messages[to].Role == messages[from].Role; to++ {
		}
		if messages[from].Role == chat.RoleAssistant {
			some = restoreTurn(messages[from:to]) || some
		}
	}
	if !some {
		return messages
	}
	return slices.DeleteFunc(messages, func(m chat.Message) bool { return m.Role == chat.RoleAssistant && len(m.Parts) == 0 })
}

// restoreTurn does so for the messages of one turn, and says whether there was any such block.
func restoreTurn(turn []chat.Message) bool {
	signed := map[string]string{} // by the id of the call
	for i := range turn {
		turn[i].Parts = slices.DeleteFunc(turn[i].Parts, func(p chat.Part) bool {
			rest, ok := strings.CutPrefix(p.Signature, carrier)
			id, signature, dot := strings.Cut(rest, ".")
			if !ok || !dot || p.Kind != chat.PartReasoning {
				return false
			}
			signed[plainID(id)] += signature
			return true
		})
	}
	if len(signed) == 0 {
		return false
	}
	for i := range turn {
		for k := range turn[i].Parts {
			if p := &turn[i].Parts[k]; p.Kind == chat.PartCall {
				p.Signature = signed[p.Call.ID]
			}
		}
	}
	return true
}
