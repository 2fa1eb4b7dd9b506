package openai

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// counts is a usage object in OpenAI's overlapping classes. Chat, completions and embeddings say prompt and completion;
// images and audio say input and output.
type counts struct {
	prompt, completion, total      int64
	cached, written, reasoning     int64
	hasPrompt, hasOther, hasCached bool
}

// readUsage reads a usage object; it is false, and u untouched, if v is none or has no count of tokens.
func readUsage(v []byte, u *chat.Usage) bool {
	if len(v) == 0 || v[0] != '{' {
		return false
	}
	var c counts
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "prompt_tokens", "input_tokens":
			c.hasPrompt = read(val, &c.prompt) || c.hasPrompt
		case "completion_tokens", "output_tokens":
			c.hasOther = read(val, &c.completion) || c.hasOther
		case "total_tokens":
			c.hasOther = read(val, &c.total) || c.hasOther
		case "prompt_tokens_details", "input_tokens_details":
			peek.Each(val, c.promptDetail)
		case "completion_tokens_details", "output_tokens_details":
			peek.Each(val, c.completionDetail)
		case "prompt_cache_hit_tokens", "cached_tokens": // DeepSeek, Moonshot
			if !c.hasCached {
				read(val, &c.cached)
			}
		}
		return true
	})
	if !c.hasPrompt && !c.hasOther {
		return false
	}
	*u = c.usage()
	return true
}

func (c *counts) promptDetail(key, val []byte) bool {
	switch string(key) {
	case "cached_tokens":
		c.hasCached = read(val, &c.cached) || c.hasCached
	case "cache_write_tokens":
		read(val, &c.written)
	}
	return true
}

func (c *counts) completionDetail(key, val []byte) bool {
	if string(key) == "reasoning_tokens" {
		read(val, &c.reasoning)
	}
	return true
}

// read takes a count; what is not a plausible one counts as not said.
func read(v []byte, n *int64) bool {
	c, ok := peek.Int(v)
	if !ok || c < 0 || c > 1<<48 {
		return false
	}
	*n = c
	return true
}

// usage takes the classes apart. By OpenAI's rule cached tokens are part of the prompt and reasoning is part of the
// completion. A provider that counts them apart (xAI does for reasoning) gives itself away when the part is larger than
// the whole, or when the total contains reasoning once more.
func (c *counts) usage() chat.Usage {
	if !c.hasPrompt {
		c.prompt = max(c.total-c.completion, 0)
	}
	u := chat.Usage{
		Input: c.prompt, CacheRead: c.cached, CacheWrite: c.written,
		Output: c.completion, Reasoning: c.reasoning,
		Provenance: chat.Reported,
	}
	if c.cached+c.written <= c.prompt {
		u.Input -= c.cached + c.written
	}
	apart := c.reasoning > c.completion || c.total == c.prompt+c.completion+c.reasoning
	if !apart {
		u.Output -= c.reasoning
	}
	return u
}

func appendUsage(dst []byte, u chat.Usage) []byte {
	n := func(key string, n int64) {
		dst = strconv.AppendInt(append(dst, key...), n, 10)
	}
	n(`{"prompt_tokens":`, u.Prompt())
	n(`,"completion_tokens":`, u.Completion())
	n(`,"total_tokens":`, u.Total())
	n(`,"prompt_tokens_details":{"cached_tokens":`, u.CacheRead)
	n(`,"cache_write_tokens":`, u.CacheWrite)
	n(`},"completion_tokens_details":{"reasoning_tokens":`, u.Reasoning)
	return append(dst, "}}"...)
}
