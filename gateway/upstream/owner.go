package upstream

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// foreigner takes out of a request that passes untranslated what another provider thought in turns before: this one refuses
// signatures that it has not made, and so it would the whole conversation. See chat.Owner.
type foreigner struct {
	body   []byte
	target *chat.Target // what all models of the provider have in common
	e      []peek.Edit

	claude bool // Anthropic demands signatures; those who imitate its dialect may give none, and want such thoughts back
	unable bool // thinking had to be switched off
}

var (
	tagged    = []byte(`"sluice_`)
	signature = []byte(`"signature"`)
	extra     = []byte(`"extra_content"`)
	blocks    = []byte(`"thinking_blocks"`)
)

// edits appends what takes it out. Bodies without any are only searched for its marks.
func (f *foreigner) edits(e []peek.Edit, d *wire.Dialect) []peek.Edit {
	f.e = e
	switch d {
	case wire.OpenAI:
		f.chat()
	case wire.Anthropic:
		if bytes.Contains(f.body, tagged) || f.claude && hasEmpty(f.body, signature) {
			f.messages()
		}
	case wire.Responses:
		if bytes.Contains(f.body, tagged) || bytes.Contains(f.body, extra) || hasOurs(f.body) {
			f.items()
		}
	}
	return f.e
}

// hasEmpty says whether some member of that name is an empty text.
func hasEmpty(body, key []byte) bool {
	for {
		_, rest, found := bytes.Cut(body, key)
		if !found {
			return false
		}
		if body = bytes.TrimLeft(rest, ": \t\r\n"); bytes.HasPrefix(body, []byte(`""`)) {
			return true
		}
	}
}

// hasOurs says whether there is the id of a thought that was made up here.
func hasOurs(body []byte) bool {
	for {
		_, rest, found := bytes.Cut(body, []byte(`"rs_`))
		if !found {
			return false
		}
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		if bytes.IndexByte(id, '_') >= 0 {
			return true
		}
		body = rest
	}
}

// cutter removes elements of a list, or members of an object, with the comma behind or before them.
type cutter struct {
	f    *foreigner
	at   int  // behind what was seen
	kept bool // something of it stays
}

// in is a cutter for a list or an object.
func (f *foreigner) in(v []byte) cutter { return cutter{f: f, at: cap(f.body) - cap(v) + 1} }

// next goes behind a value, and removes it unless it stays.
func (c *cutter) next(v []byte, stays bool) {
	end := cap(c.f.body) - cap(v) + len(v)
	switch {
	case stays:
		c.kept = true
	case !c.kept: // the first: with the comma behind
		if rest := bytes.TrimLeft(c.f.body[end:], " \t\r\n"); len(rest) > 0 && rest[0] == ',' {
			end = len(c.f.body) - len(rest) + 1
		}
		fallthrough
	default:
		c.f.e = append(c.f.e, peek.Edit{At: c.at, End: end})
	}
	c.at = end
}

// without removes members of an object by their names.
func (f *foreigner) without(object []byte, drop func(key string, v []byte) bool) {
	c := f.in(object)
	peek.Each(object, func(key, v []byte) bool {
		c.next(v, !drop(string(key), v))
		return true
	})
}

// isTagged says whether a JSON string is somebody else's signature.
func isTagged(v []byte) bool { return bytes.HasPrefix(v, tagged) }

// messages goes over the turns of a request of the Messages API. Of a turn whose calls wait for their results Anthropic
// demands the thoughts, if it is to go on thinking by a budget: without them it does not think.
func (f *foreigner) messages() {
	list := peek.Find(f.body, []byte(`"messages"`))
	turns := f.in(list)
	var last turn
	peek.Elements(list, func(v []byte) bool {
		if string(peek.Find(v, []byte(`"role"`))) != `"assistant"` {
			turns.next(v, true)
			last.over = true
			return true
		}
		if last.over {
			last = turn{}
		}
		n := len(f.e)
		stays := f.turn(peek.Find(v, []byte(`"content"`)), &last)
		if !stays {
			f.e = f.e[:n]
		}
		turns.next(v, stays)
		return true
	})
	thinking := peek.Find(f.body, []byte(`"thinking"`))
	if !last.cut || !last.calls || last.thinks || string(peek.Find(thinking, []byte(`"type"`))) != `"enabled"` {
		return
	}
	f.unable = true
	f.replace(thinking, `{"type":"disabled"}`)
	if v := peek.Find(f.body, []byte(`"context_management"`)); bytes.Contains(v, []byte("clear_thinking")) {
		f.replace(v, "null") // it is refused where nothing is thought
	}
}

// turn is one of the assistant's.
type turn struct{ cut, begun, thinks, calls, over bool }

// turn removes blocks; false if none is left.
func (f *foreigner) turn(content []byte, t *turn) bool {
	if len(content) == 0 || content[0] != '[' {
		return true
	}
	c, some := f.in(content), false
	peek.Elements(content, func(v []byte) bool {
		var kind, sign []byte
		peek.Each(v, func(key, val []byte) bool {
			switch string(key) {
			case "type":
				kind = val
			case "signature", "data":
				sign = val
			}
			return true
		})
		thinks := string(kind) == `"thinking"` || string(kind) == `"redacted_thinking"`
		foreign := thinks && (isTagged(sign) || f.claude && string(sign) == `""`)
		c.next(v, !foreign)
		some = true
		if foreign {
			t.cut = true
			return true
		}
		t.thinks = t.thinks || thinks && !t.begun
		t.calls = t.calls || string(kind) == `"tool_use"`
		t.begun = true
		return true
	})
	return c.kept || !some
}

func (f *foreigner) replace(v []byte, text string) {
	at := cap(f.body) - cap(v)
	f.e = append(f.e, peek.Edit{At: at, End: at + len(v), Text: text})
}

// items goes over the input of a Responses request. A thought that is no more than its summary is looked up by its id,
// which OpenAI does not know if it was made up here.
func (f *foreigner) items() {
	list := peek.Find(f.body, []byte(`"input"`))
	items := f.in(list)
	peek.Elements(list, func(v []byte) bool {
		var kind, id, secret, more []byte
		peek.Each(v, func(key, val []byte) bool {
			switch string(key) {
			case "type":
				kind = val
			case "id":
				id = val
			case "encrypted_content":
				secret = val
			case "extra_content":
				more = val
			}
			return true
		})
		foreign := false
		if string(kind) == `"reasoning"` {
			bare := secret == nil || string(secret) == "null" || string(secret) == `""`
			foreign = isTagged(secret) || bare && hasOurs(id)
		} else if more != nil {
			f.without(v, func(key string, _ []byte) bool { return key == "extra_content" })
		}
		items.next(v, !foreign)
		return true
	})
}

// chat goes over the messages of a request for chat completions, where each provider has other members for thoughts.
func (f *foreigner) chat() {
	if !f.hasRefused() {
		return
	}
	peek.Elements(peek.Find(f.body, []byte(`"messages"`)), func(v []byte) bool {
		if string(peek.Find(v, []byte(`"role"`))) == `"assistant"` {
			f.without(v, f.member)
		}
		return true
	})
}

// member says whether one of a message is refused, and removes what is refused of its calls.
func (f *foreigner) member(key string, v []byte) bool {
	if key == "tool_calls" {
		peek.Elements(v, func(call []byte) bool {
			f.without(call, func(key string, _ []byte) bool { return !f.takes(key) })
			return true
		})
	}
	return !f.takes(key) || key == "thinking_blocks" && bytes.Contains(v, tagged)
}

// hasRefused says whether there may be something to remove.
func (f *foreigner) hasRefused() bool {
	for _, name := range [...]string{"reasoning_content", "reasoning_details", "thinking_blocks", "extra_content"} {
		if !f.takes(name) && bytes.Contains(f.body, []byte(`"`+name+`"`)) {
			return true
		}
	}
	return bytes.Contains(f.body, tagged) && bytes.Contains(f.body, blocks)
}

// takes says whether the provider takes a member of messages.
func (f *foreigner) takes(key string) bool {
	t := f.target
	switch key {
	case "reasoning_content":
		return !t.NoThoughts
	case "reasoning_details":
		return !t.NoThoughts && (t.Signer == "" || t.Thinking == "reasoning")
	case "thinking_blocks":
		return !t.NoThoughts && t.Signer == "" && t.Thinking != "reasoning"
	case "extra_content":
		return !t.NoThoughts && (t.Signer == "" || t.Signer == chat.Google)
	}
	return true
}
