package responses

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// counts is a usage object: its details are parts of the numbers that they detail.
type counts struct {
	input, output, total       int64
	cached, written, reasoning int64
	some                       bool
}

// readUsage reads a usage object; it is false, and u untouched, if v is none or has no count.
func readUsage(v []byte, u *chat.Usage) bool {
	if len(v) == 0 || v[0] != '{' {
		return false
	}
	var c counts
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "input_tokens":
			c.some = read(val, &c.input) || c.some
		case "output_tokens":
			c.some = read(val, &c.output) || c.some
		case "total_tokens":
			c.some = read(val, &c.total) || c.some
		case "input_tokens_details":
			peek.Each(val, c.inputDetail)
		case "output_tokens_details":
			peek.Each(val, c.outputDetail)
		}
		return true
	})
	if c.some {
		*u = c.usage()
	}
	return c.some
}

func (c *counts) inputDetail(key, val []byte) bool {
	switch string(key) {
	case "cached_tokens":
		read(val, &c.cached)
	case "cache_write_tokens":
		read(val, &c.written)
	}
	return true
}

func (c *counts) outputDetail(key, val []byte) bool {
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

func (c *counts) usage() chat.Usage {
	if c.input == 0 {
		c.input = max(c.total-c.output, 0)
	}
	return chat.Overlapping{
		Prompt: c.input, Completion: c.output, Total: c.total, Cached: c.cached, Written: c.written, Reasoning: c.reasoning,
	}.Usage()
}

// appendUsage writes usage, null if nothing is known, as OpenAI has it while a response is in progress.
func appendUsage(dst []byte, u *chat.Usage) []byte {
	if u.Provenance == chat.Unknown {
		return append(dst, "null"...)
	}
	n := func(key string, n int64) {
		dst = strconv.AppendInt(append(dst, key...), n, 10)
	}
	n(`{"input_tokens":`, u.Prompt())
	n(`,"input_tokens_details":{"cached_tokens":`, u.CacheRead)
	n(`,"cache_write_tokens":`, u.CacheWrite+u.CacheWriteHour)
	n(`},"output_tokens":`, u.Completion())
	n(`,"output_tokens_details":{"reasoning_tokens":`, u.Reasoning)
	n(`},"total_tokens":`, u.Total())
	return append(dst, '}')
}
