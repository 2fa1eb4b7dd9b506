package openai

import (
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// counts is a usage object in OpenAI's overlapping classes. Chat, completions and embeddings say prompt and completion;
// images and audio say input and output.
type counts struct {
	prompt, completion, total             int64
	cached, written                       int64
	reasoning                             int64
	audioIn, imageIn, audioOut, imageOut  int64
	hasPrompt, hasOther, hasRead, hasKept bool
	duration                              time.Duration
}

// read reads the usage object that is the present member's value; nothing if that is none.
func (c *counts) read(m *peek.Cursor) {
	*c = counts{}
	if !m.Enter() {
		return
	}
	for m.Next() {
		switch string(m.Key()) {
		case "prompt_tokens", "input_tokens":
			c.hasPrompt = take(m, &c.prompt) || c.hasPrompt
		case "completion_tokens", "output_tokens":
			c.hasOther = take(m, &c.completion) || c.hasOther
		case "total_tokens":
			c.hasOther = take(m, &c.total) || c.hasOther
		case "prompt_tokens_details", "input_tokens_details", "input_token_details": // the last: transcriptions
			c.promptDetails(m)
		case "completion_tokens_details", "output_tokens_details":
			c.completionDetails(m)
		case "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens": // DeepSeek, Moonshot, LiteLLM
			if !c.hasRead {
				take(m, &c.cached)
			}
		case "cache_creation_input_tokens": // LiteLLM
			if !c.hasKept {
				take(m, &c.written)
			}
		case "seconds": // of transcriptions that are billed by time
			if s, err := strconv.ParseFloat(string(m.Value()), 64); err == nil && s > 0 && s < 1<<31 {
				c.duration = time.Duration(s * float64(time.Second))
			}
		}
	}
}

func (c *counts) promptDetails(m *peek.Cursor) {
	if !m.Enter() {
		return
	}
	for m.Next() {
		switch string(m.Key()) {
		case "cached_tokens":
			c.hasRead = take(m, &c.cached) || c.hasRead
		case "cache_write_tokens":
			c.hasKept = take(m, &c.written) || c.hasKept
		case "audio_tokens":
			take(m, &c.audioIn)
		case "image_tokens":
			take(m, &c.imageIn)
		}
	}
}

func (c *counts) completionDetails(m *peek.Cursor) {
	if !m.Enter() {
		return
	}
	for m.Next() {
		switch string(m.Key()) {
		case "reasoning_tokens":
			take(m, &c.reasoning)
		case "audio_tokens":
			take(m, &c.audioOut)
		case "image_tokens":
			take(m, &c.imageOut)
		}
	}
}

// any says whether tokens or time were counted.
func (c *counts) any() bool { return c.hasPrompt || c.hasOther || c.duration > 0 }

// take reads a count; what is not a plausible one counts as not said.
func take(m *peek.Cursor, n *int64) bool {
	c, ok := peek.Int(m.Value())
	if !ok || c < 0 || c > 1<<48 {
		return false
	}
	*n = c
	return true
}

// usage takes the classes apart. Audio and images that were read from a cache are counted twice; the cache wins.
func (c *counts) usage() chat.Usage {
	if !c.hasPrompt {
		c.prompt = max(c.total-c.completion, 0)
	}
	u := chat.Overlapping{
		Prompt: c.prompt, Completion: c.completion, Total: c.total, Cached: c.cached, Written: c.written, Reasoning: c.reasoning,
	}.Usage()
	u.Duration = c.duration
	move(&u.Input, &u.InputAudio, c.audioIn)
	move(&u.Input, &u.InputImage, c.imageIn)
	move(&u.Output, &u.OutputAudio, c.audioOut)
	move(&u.Output, &u.OutputImage, c.imageOut)
	return u
}

// move takes n tokens out of one class into another, as far as there are any.
func move(from, to *int64, n int64) {
	n = min(n, *from)
	*from, *to = *from-n, *to+n
}

// AppendUsage writes usage as OpenAI has it. Audio and images are left out where there are none, as elsewhere.
func AppendUsage(dst []byte, u chat.Usage) []byte {
	n := func(key string, n int64) {
		dst = strconv.AppendInt(append(dst, key...), n, 10)
	}
	some := func(key string, count int64) {
		if count != 0 {
			n(key, count)
		}
	}
	n(`{"prompt_tokens":`, u.Prompt())
	n(`,"completion_tokens":`, u.Completion())
	n(`,"total_tokens":`, u.Total())
	n(`,"prompt_tokens_details":{"cached_tokens":`, u.CacheRead)
	n(`,"cache_write_tokens":`, u.CacheWrite+u.CacheWriteHour)
	some(`,"audio_tokens":`, u.InputAudio)
	some(`,"image_tokens":`, u.InputImage)
	n(`},"completion_tokens_details":{"reasoning_tokens":`, u.Reasoning)
	some(`,"audio_tokens":`, u.OutputAudio)
	some(`,"image_tokens":`, u.OutputImage)
	return append(dst, "}}"...)
}
