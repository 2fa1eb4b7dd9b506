package chat

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strconv"
	"strings"
)

// MaxToolName is how many bytes the name of a tool may have with most providers, as OpenAI and Gemini document it. Anthropic
// takes twice as many, and Claude Code uses them for the tools of MCP servers (packit/ai-workflows#619).
const MaxToolName = 64

// Shorten is q with names of tools that most providers take, and with ids of calls of at most that many bytes, 0 for any: of
// what is longer a part is a hash. [Restore] undoes the names; ids need not come back, for providers only hold those of a
// request against each other. It is q itself if nothing is too long; else it shares with q whatever is the same.
func Shorten(q *Request, ids int) *Request {
	id := func(id string) string {
		if ids == 0 || len(id) <= ids {
			return id
		}
		return madeID(id)
	}
	s := revised(q, func(t Tool) (Tool, bool) {
		long := t.Kind != Hosted && len(t.Name) > MaxToolName
		if long {
			t.Name = shortName(t.Name)
		}
		return t, long
	}, func(m Message) (Message, bool) {
		long := m.Role == RoleTool && len(m.Name) > MaxToolName
		if long {
			m.Name = shortName(m.Name)
		}
		was := m.CallID
		m.CallID = id(was)
		return m, long || m.CallID != was
	}, func(c ToolCall) (ToolCall, bool) {
		was := c
		c.ID, c.Name = id(c.ID), shortName(c.Name)
		return c, c != was
	})
	if s == q {
		return q
	}
	s.Choice.Only = slices.Clone(q.Choice.Only)
	for i, name := range s.Choice.Only {
		s.Choice.Only[i] = shortName(name)
	}
	return s
}

// shortName is a name of a tool of at most MaxToolName bytes: a long one has a hash of all of it behind its beginning.
func shortName(name string) string {
	const digits = 10
	if len(name) <= MaxToolName {
		return name
	}
	return strings.ToValidUTF8(name[:MaxToolName-digits-1], "") + "_" + hash(name)[:digits]
}

// CallID is for the n-th call of a reply to which its provider gives no id, as some who imitate others do. Callers tell the
// calls of a whole conversation apart by it, so it is made of what tells replies apart.
func (h *Head) CallID(n int) string {
	return madeID(h.ID + "_" + strconv.FormatInt(h.Created, 10) + "_" + strconv.Itoa(n))
}

// NameCalls gives ids to those of a reply's calls that have none, see CallID.
func (r *Reply) NameCalls() {
	for i := range r.Choices {
		n := 0
		parts := r.Choices[i].Message.Parts
		for k := range parts {
			if c := parts[k].Call; c != nil {
				if c.ID == "" {
					c.ID = r.CallID(n)
				}
				n++
			}
		}
	}
}

// madeID is an id of a call that is made of a text which tells it from all others: always the same, and of 31 bytes. OpenAI
// has refused more than 40.
func madeID(of string) string { return "call_" + hash(of) }

// ShortUser is the name of a user as OpenAI takes it: of more than 64 bytes, as Claude Code sends it, a pseudonym is made
// (bifrost PR 1000).
func ShortUser(user string) string {
	const most = 64
	if len(user) <= most {
		return user
	}
	return Pseudonym(user)
}

// Pseudonym stands for a user whose name a provider refuses. It is always the same, and of 31 bytes.
func Pseudonym(user string) string { return "user_" + hash(user) }

// hash is 128 bits of a text's SHA-256, in 26 digits and small letters.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
