package anthropic_test

import (
	"encoding/json"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Usage of one stream is read over what was known: null and absent fields keep it, others replace it.
func TestLookUsage(t *testing.T) {
	u := chat.Usage{Input: 99, Output: 99, Provenance: chat.Estimated}
	f := func(data string, signs chat.Signs, want chat.Usage) {
		t.Helper()
		if s, _ := anthropic.Look("", []byte(data), &u); s != signs {
			t.Errorf("%s: signs %s, want %s", data, s, signs)
		}
		want.Provenance = chat.Reported
		if usageText(&u) != usageText(&want) {
			t.Errorf("%s: got %+v, want %+v", data, u, want)
		}
	}
	f(`{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_1h_input_tokens":20,"ephemeral_5m_input_tokens":10},"output_tokens":1}}}`,
		chat.UsageSeen, chat.Usage{Input: 3, CacheRead: 7, CacheWrite: 10, CacheWriteHour: 20, Output: 1})
	f(`{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":5}}`,
		chat.UsageSeen, chat.Usage{Input: 3, CacheRead: 7, CacheWrite: 10, CacheWriteHour: 20, Output: 5})
	f(`{"type":"message_delta","delta":{},"usage":{"input_tokens":null,"cache_read_input_tokens":null,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}`,
		chat.UsageSeen, chat.Usage{Input: 3, CacheRead: 7, CacheWrite: 10, CacheWriteHour: 20, Output: 5, Reasoning: 4})
	f(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":4,"cache_creation_input_tokens":40,"output_tokens":10}}`,
		chat.UsageSeen|chat.Finish, chat.Usage{Input: 4, CacheRead: 7, CacheWrite: 20, CacheWriteHour: 20, Output: 6, Reasoning: 4})
	f(`{"type":"message_delta","delta":{},"usage":{"cache_creation_input_tokens":5,"output_tokens":2}}`,
		chat.UsageSeen, chat.Usage{Input: 4, CacheRead: 7, CacheWriteHour: 5, Reasoning: 2})
	f(`{"type":"message_delta","delta":{},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":2}}`,
		chat.UsageSeen, chat.Usage{Input: 4, CacheRead: 7, CacheWriteHour: 5, Reasoning: 2})
	f(`{"type":"message_start","message":{"usage":{"input_tokens":4,"output_tokens":2,"service_tier":"priority"}}}`,
		chat.UsageSeen, chat.Usage{Input: 4, Output: 2, Tier: "priority"})
	f(`{"type":"message_delta","delta":{},"usage":{"output_tokens":3}}`, chat.UsageSeen, chat.Usage{Input: 4, Output: 3, Tier: "priority"})
	same := u
	f(`{"type":"message_delta","delta":{},"usage":{"output_tokens":-1}}`, 0, same)
	f(`{"type":"message_delta","delta":{},"usage":null}`, 0, same)
	f(`{"type":"message_start","message":{"usage":{}}}`, 0, same)
	f(`{"type":"content_block_delta","usage":{"output_tokens":77}}`, chat.Progress, same)
	f(`{"type":"message_stop"}`, chat.End, same)
	f(`{"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}`, chat.UsageSeen, chat.Usage{}) // a report all the same
}

func TestLookSigns(t *testing.T) {
	f := func(name, data string, want chat.Signs, ends bool) {
		t.Helper()
		if s, _ := anthropic.Look(name, []byte(data), new(chat.Usage)); s != want {
			t.Errorf("%s %s: %s, want %s", name, data, s, want)
		}
		if got := anthropic.Ends(name, []byte(data)); got != ends {
			t.Errorf("%s %s: ends %t", name, data, got)
		}
	}
	f("ping", `{"type":"ping"}`, 0, false)
	f("ping", `{}`, 0, false)
	f("message_stop", `{"type":"message_stop"}`, chat.End, true)
	f("", `{"type":"message_stop"}`, chat.End, true)
	f("error", `{"type":"error","error":{"type":"x"}}`, chat.Failed, true)
	f("", `{"type":"error","error":{"type":"x"}}`, chat.Failed, true)
	f("", `{"error":{"type":"x"}}`, chat.Failed, true)
	f("content_block_delta", `{"type":"content_block_delta"}`, chat.Progress, false)
	f("", `{"type":"content_block_start"}`, chat.Progress, false)
	f("new_event", `{}`, chat.Progress, false)
	f("", `{}`, chat.Malformed, false)
	f("message_stop", `{`, chat.Malformed, true)
	f("", `{`, chat.Malformed, false)
	f("message_delta", `{"delta":{"stop_reason":"x"}}`, chat.Finish, false)

	for data, want := range map[string]uint64{
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`: 1, `{"type":"message_delta","delta":{"stop_reason":null}}`: 0,
		`{"type":"message_delta"}`: 0, `{"type":"message_stop"}`: 0, `{"type":"x","delta":{"stop_reason":"end_turn"}}`: 0, `[`: 0,
	} {
		if got := anthropic.Finished([]byte(data)); got != want {
			t.Errorf("%s: finished %b", data, got)
		}
	}
	if got := string(anthropic.Clean([]byte(`{"error":null}`))); got != `{"error":null}` {
		t.Errorf("Clean makes %s", got)
	}
}

// escapedKey finds keys with escapes. Providers write none, and Look does not decode every key.
var escapedKey = regexp.MustCompile(`\\[^"]*"\s*:`)

// oracle reads usage over what was known the slow way.
func oracle(v json.RawMessage, u chat.Usage) (chat.Usage, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(v, &m) != nil || m == nil {
		return u, false
	}
	read := func(m map[string]json.RawMessage, key string, known int64) (int64, bool) {
		n, err := strconv.ParseInt(string(m[key]), 10, 64)
		if err != nil || n < 0 || n > 1<<48 {
			return known, false
		}
		return n, true
	}
	var split, details map[string]json.RawMessage
	_ = json.Unmarshal(m["cache_creation"], &split)
	_ = json.Unmarshal(m["output_tokens_details"], &details)
	input, a := read(m, "input_tokens", u.Input)
	cached, b := read(m, "cache_read_input_tokens", u.CacheRead)
	written, c := read(m, "cache_creation_input_tokens", u.CacheWrite+u.CacheWriteHour)
	output, d := read(m, "output_tokens", u.Output+u.Reasoning)
	minutes, e := read(split, "ephemeral_5m_input_tokens", 0)
	hour, f := read(split, "ephemeral_1h_input_tokens", u.CacheWriteHour)
	thought, _ := read(details, "thinking_tokens", u.Reasoning)
	if !a && !b && !c && !d {
		return u, false
	}
	if e || f {
		written = max(written, minutes+hour)
	}
	hour, thought = min(hour, written), min(thought, output)
	return chat.Usage{
		Input: input, CacheRead: cached, CacheWrite: written - hour, CacheWriteHour: hour, Output: output - thought, Reasoning: thought,
		Provenance: chat.Reported,
	}, true
}

// FuzzLook reads two usage objects, one over the other, of a stream and of a whole body.
func FuzzLook(f *testing.F) {
	f.Add([]byte(`{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":5},"output_tokens":1}`), []byte(`{"output_tokens":9,"output_tokens_details":{"thinking_tokens":10}}`))
	f.Add([]byte(`{"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5}}`), []byte(`{"cache_creation_input_tokens":3,"input_tokens":null}`))
	f.Add([]byte(`{"input_tokens":-1,"output_tokens":1e3}`), []byte(`null`))
	f.Add([]byte(`{"cache_read_input_tokens":281474976710657}`), []byte(`{"output_tokens_details":7,"cache_creation":[]}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, v := range [][]byte{first, second} {
			if peek.Valid(v) != nil || !json.Valid(v) || !utf8.Valid(v) || escapedKey.Match(v) {
				return
			}
		}
		var u, whole chat.Usage
		start := []byte(`{"type":"message_start","message":{"content":[],"usage":` + string(first) + `}}`)
		delta := []byte(`{"type":"message_delta","delta":{"stop_reason":"x"},"usage":` + string(second) + `}`)
		check := func(v []byte, s chat.Signs, got *chat.Usage, known chat.Usage) {
			t.Helper()
			want, seen := oracle(v, known)
			if s.Has(chat.UsageSeen) != seen || usageText(got) != usageText(&want) {
				t.Fatalf("%s: %s, %+v, want %+v, %t", v, s, *got, want, seen)
			}
		}
		check(first, signsOf(anthropic.Look("", start, &u)), &u, chat.Usage{})
		known := u
		check(second, signsOf(anthropic.Look("", delta, &u)), &u, known)
		check(first, anthropic.LookWhole([]byte(`{"usage":`+string(first)+`}`), &whole), &whole, chat.Usage{})
	})
}
