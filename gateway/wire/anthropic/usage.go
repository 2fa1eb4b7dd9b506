package anthropic

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// counts is a usage object: cumulative, input without what the cache read or wrote, output with what was thought.
type counts struct {
	input, read, written, writtenHour, output, thought int64
	any, split                                         bool // some count was there; written is divided by lifetime
}

// addUsage reads a usage object over what u holds: what is absent or null stays, for a message_delta repeats only some of
// what message_start said; what is there replaces, and is never added (langchainjs #10249). A zero replaces no
// count of the prompt, which cannot become less: those who imitate the dialect write it for what they said before. It is
// false, and u untouched, if v is no object with a count.
func addUsage(v []byte, u *chat.Usage) bool {
	if len(v) == 0 || v[0] != '{' {
		return false
	}
	c := counts{
		input: u.Input, read: u.CacheRead, written: u.CacheWrite + u.CacheWriteHour, writtenHour: u.CacheWriteHour,
		output: u.Output + u.Reasoning, thought: u.Reasoning,
	}
	var shortest int64
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "input_tokens":
			c.takeMore(val, &c.input)
		case "cache_read_input_tokens":
			c.takeMore(val, &c.read)
		case "cache_creation_input_tokens":
			c.takeMore(val, &c.written)
		case "output_tokens":
			c.take(val, &c.output)
		case "cache_creation":
			peek.Each(val, func(key, val []byte) bool {
				switch string(key) {
				case "ephemeral_5m_input_tokens":
					c.split = count(val, &shortest) || c.split
				case "ephemeral_1h_input_tokens":
					c.split = more(val, &c.writtenHour) || c.split
				}
				return true
			})
		case "output_tokens_details":
			peek.Each(val, func(key, val []byte) bool {
				if string(key) == "thinking_tokens" {
					count(val, &c.thought)
				}
				return true
			})
		}
		return true
	})
	if !c.any {
		return false
	}
	if c.split {
		c.written = max(c.written, shortest+c.writtenHour)
	}
	c.writtenHour, c.thought = min(c.writtenHour, c.written), min(c.thought, c.output)
	u.Input, u.CacheRead, u.CacheWrite, u.CacheWriteHour = c.input, c.read, c.written-c.writtenHour, c.writtenHour
	u.Output, u.Reasoning, u.Provenance = c.output-c.thought, c.thought, chat.Reported
	return true
}

func (c *counts) take(v []byte, n *int64) { c.any = count(v, n) || c.any }

// takeMore is take for a count that zero does not replace, and so is more for count.
func (c *counts) takeMore(v []byte, n *int64) { c.any = more(v, n) || c.any }

func more(v []byte, n *int64) bool {
	was := *n
	ok := count(v, n)
	if *n == 0 {
		*n = was
	}
	return ok
}

// count takes a count; what is not a plausible one counts as not said.
func count(v []byte, n *int64) bool {
	c, ok := peek.Int(v)
	if !ok || c < 0 || c > 1<<48 {
		return false
	}
	*n = c
	return true
}

// usage writes the members of a usage object.
func (w *writer) usage(u *chat.Usage) {
	w.whole("input_tokens", u.Input+u.InputAudio+u.InputImage)
	w.whole("cache_creation_input_tokens", u.CacheWrite+u.CacheWriteHour)
	w.whole("cache_read_input_tokens", u.CacheRead)
	if u.CacheWrite+u.CacheWriteHour > 0 {
		w.key("cache_creation")
		w.raw("{")
		w.whole("ephemeral_5m_input_tokens", u.CacheWrite)
		w.whole("ephemeral_1h_input_tokens", u.CacheWriteHour)
		w.raw("}")
	}
	w.whole("output_tokens", u.Completion())
	if u.Reasoning > 0 {
		w.key("output_tokens_details")
		w.raw("{")
		w.whole("thinking_tokens", u.Reasoning)
		w.raw("}")
	}
	if u.Tier != "" {
		w.text("service_tier", u.Tier)
	}
}
