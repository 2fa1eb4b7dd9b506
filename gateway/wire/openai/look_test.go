package openai_test

import (
	"bytes"
	"encoding/json"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

func TestLookKeepsUsage(t *testing.T) {
	u := chat.Usage{Input: 3, Provenance: chat.Reported}
	before := u
	openai.Look("", []byte(`{"choices":[],"usage":null}`), &u)
	openai.Look("", []byte(`{"choices":[],"usage":{"cost":1}}`), &u)
	openai.Look("", []byte(`[DONE]`), &u)
	if u != before {
		t.Errorf("events without usage change it to %+v", u)
	}
	if s, _ := openai.Look("", []byte(`{"usage":{"prompt_tokens":0,"completion_tokens":0}}`), &u); !s.Has(chat.UsageSeen) ||
		u != (chat.Usage{Provenance: chat.Reported}) {
		t.Errorf("an explicit zero is a report: %s, %+v", s, u)
	}
}

// The service tier stands beside the usage, and the ordinary one has many names.
func TestLookTier(t *testing.T) {
	f := func(tier, want string) {
		t.Helper()
		body := []byte(`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}` + tier + `}`)
		event, whole := chat.Usage{Tier: "before"}, chat.Usage{Tier: "before"}
		openai.Look("", body, &event)
		openai.LookWhole(body, &whole)
		if event.Tier != want || whole.Tier != want {
			t.Errorf("%s: %q and %q, want %q", body, event.Tier, whole.Tier, want)
		}
	}
	f("", "")
	f(`,"service_tier":null`, "")
	f(`,"service_tier":"default"`, "")
	f(`,"service_tier":"on_demand"`, "")
	f(`,"service_tier":"flex"`, "flex")
	f(`,"service_tier":"priority"`, "priority")
	f(`,"service_tier":"batch"`, "batch")
	f(`,"service_tier":"scale"`, "scale")
}

func TestClean(t *testing.T) {
	f := func(data, want string) {
		t.Helper()
		if got := string(openai.Clean([]byte(data))); got != want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
	f(`{"error":null}`, `{}`)
	f(`{"a":1,"error":null}`, `{"a":1}`)
	f(`{"error":null,"a":1}`, `{"a":1}`)
	f(`{"a":1,"error":null,"b":2}`, `{"a":1,"b":2}`)
	f(` { "a" : 1 , "error" : null , "b" : 2 } `, ` { "a" : 1 ,  "b" : 2 } `)
	f(` { "a" : 1 , "error" : null } `, ` { "a" : 1 } `)
	f(`{"error":null,"a":1,"error":null}`, `{"a":1}`)

	f(`{"error":{"message":null}}`, `{"error":{"message":null}}`)
	f(`{"a":{"error":null}}`, `{"a":{"error":null}}`)
	f(`{"a":"\"error\":null"}`, `{"a":"\"error\":null"}`)
	f(`{"a":[{"error":null}],"error":null}`, `{"a":[{"error":null}]}`)
	f(`{"a":"error"}`, `{"a":"error"}`)
	f(`[DONE]`, `[DONE]`)
	f(``, ``)
}

// escapedKey finds keys with escapes. Providers write none, and Look does not decode every key.
var escapedKey = regexp.MustCompile(`\\[^"]*"\s*:`)

// lastKind finds what ends the streams of other endpoints.
var lastKind = regexp.MustCompile(`"(image_generation\.completed|image_edit\.completed|speech\.audio\.done|transcript\.text\.done)"`)

// said is what an event says, read the slow way.
type said struct {
	malformed, failed, empty bool
	finished                 map[int64]bool // by index
	usage                    *chat.Usage
}

func oracle(data []byte) said {
	var top map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &top) != nil || top == nil {
		return said{malformed: true}
	}
	s := said{finished: map[int64]bool{}}
	isErr := func(v json.RawMessage) bool {
		return strings.HasPrefix(string(v), "{") || strings.HasPrefix(string(v), `"`) && string(v) != `""`
	}
	var groq map[string]json.RawMessage
	_ = json.Unmarshal(top["x_groq"], &groq)
	s.failed = isErr(top["error"]) || string(top["object"]) == `"error"` || isErr(groq["error"])
	if s.usage = oracleUsage(top["usage"]); s.usage == nil {
		s.usage = oracleUsage(groq["usage"])
	}
	if tier := string(top["service_tier"]); s.usage != nil && len(tier) > 1 && tier[0] == '"' {
		s.usage.Tier = chat.ServedTier([]byte(tier[1 : len(tier)-1]))
	}
	var choices []json.RawMessage
	if json.Unmarshal(top["choices"], &choices) == nil && choices != nil {
		s.empty = len(choices) == 0
	}
	for _, c := range choices {
		var choice map[string]json.RawMessage
		var reason string
		if json.Unmarshal(c, &choice) == nil && json.Unmarshal(choice["finish_reason"], &reason) == nil && reason != "" {
			index, err := strconv.ParseInt(string(choice["index"]), 10, 64)
			if err != nil {
				index = 0
			}
			s.finished[min(max(index, 0), 63)] = true
		}
	}
	return s
}

func oracleUsage(v json.RawMessage) *chat.Usage {
	var m map[string]json.RawMessage
	if json.Unmarshal(v, &m) != nil {
		return nil
	}
	first := func(m map[string]json.RawMessage, keys ...string) (int64, bool) {
		for _, k := range keys {
			if n, err := strconv.ParseInt(string(m[k]), 10, 64); err == nil && n >= 0 && n <= 1<<48 {
				return n, true
			}
		}
		return 0, false
	}
	details := func(keys ...string) (d map[string]json.RawMessage) {
		for _, k := range keys {
			if json.Unmarshal(m[k], &d) == nil && d != nil {
				return d
			}
		}
		return nil
	}
	prompt, hasPrompt := first(m, "prompt_tokens", "input_tokens")
	completion, hasCompletion := first(m, "completion_tokens", "output_tokens")
	total, hasTotal := first(m, "total_tokens")
	seconds, err := strconv.ParseFloat(string(m["seconds"]), 64)
	if err != nil || seconds <= 0 || seconds >= 1<<31 {
		seconds = 0
	}
	if !hasPrompt && !hasCompletion && !hasTotal && time.Duration(seconds*1e9) == 0 {
		return nil
	}
	if !hasPrompt {
		prompt = max(0, total-completion)
	}
	in := details("prompt_tokens_details", "input_tokens_details", "input_token_details")
	cached, ok := first(in, "cached_tokens")
	if !ok {
		cached, _ = first(m, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
	}
	written, ok := first(in, "cache_write_tokens")
	if !ok {
		written, _ = first(m, "cache_creation_input_tokens")
	}
	out := details("completion_tokens_details", "output_tokens_details")
	reasoning, _ := first(out, "reasoning_tokens")
	classes := chat.Overlapping{Prompt: prompt, Completion: completion, Total: total, Cached: cached, Written: written, Reasoning: reasoning}.Usage()
	u := &classes
	u.Duration = time.Duration(seconds * 1e9)
	u.InputAudio, _ = first(in, "audio_tokens")
	u.InputAudio = min(u.InputAudio, u.Input)
	u.InputImage, _ = first(in, "image_tokens")
	u.InputImage = min(u.InputImage, u.Input-u.InputAudio)
	u.Input -= u.InputAudio + u.InputImage
	u.OutputAudio, _ = first(out, "audio_tokens")
	u.OutputAudio = min(u.OutputAudio, u.Output)
	u.OutputImage, _ = first(out, "image_tokens")
	u.OutputImage = min(u.OutputImage, u.Output-u.OutputAudio)
	u.Output -= u.OutputAudio + u.OutputImage
	return u
}

// decidable says whether the oracle and Look must agree: not on repeated keys, nor on names for the same thing side by
// side, nor on keys with escapes, nor beyond peek's limits.
func decidable(data []byte) bool {
	text := string(data)
	for _, twins := range [][2]string{
		{`"prompt_tokens"`, `"input_tokens"`},
		{`"completion_tokens"`, `"output_tokens"`},
		{`"prompt_tokens_details"`, `"input_tokens_details"`},
		{`"prompt_tokens_details"`, `"input_token_details"`},
		{`"input_tokens_details"`, `"input_token_details"`},
		{`"completion_tokens_details"`, `"output_tokens_details"`},
		{`"prompt_cache_hit_tokens"`, `"cached_tokens"`},
		{`"prompt_cache_hit_tokens"`, `"cache_read_input_tokens"`},
		{`"cached_tokens"`, `"cache_read_input_tokens"`},
	} {
		if strings.Contains(text, twins[0]) && strings.Contains(text, twins[1]) {
			return false
		}
	}
	return peek.Valid(data) == nil && !escapedKey.Match(data)
}

func FuzzLook(f *testing.F) {
	for _, s := range []string{
		typical, call, last, whole, `{"choices":[],"usage":{"total_tokens":1},"service_tier":"flex"}`, `[DONE]`, `{}`, `[]`, `null`, ``, `{"choices":[}`,
		`{"choices":[ ],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":14,"completion_tokens_details":{"reasoning_tokens":2}}}`,
		`{"choices":[{"finish_reason" : "stop"},{"delta":{"content":"x"},"finish_reason":""}],"error":null,"x_groq":{"usage":{"prompt_tokens":1}}}`,
		`{"choices":[{"delta":{"content":"x","finish_reason":"stop"}}],"error":{"code":502}}`,
		`{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason":null}],"object":"error"}`,
		`{"choices":[{"native_finish_reason":"x","delta":{"content":"y"}}],"x_groq":{"error":"busy"}}`,
		`{"usage":{"input_tokens":50,"output_tokens":1,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":1}},"choices":null}`,
		`{"type":"transcript.text.done","text":"x","usage":{"type":"duration","seconds":1.5}}`,
		`{"usage":{"prompt_tokens":8,"completion_tokens":7,"prompt_tokens_details":{"audio_tokens":3,"image_tokens":9},"completion_tokens_details":{"audio_tokens":7}}}`,
		`{"usage":{"prompt_tokens":8,"prompt_cache_hit_tokens":5,"completion_tokens":-1,"total_tokens":1e3}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var u chat.Usage
		s, _ := openai.Look("", data, &u)
		if s.Has(chat.End) && !lastKind.Match(data) {
			if strings.TrimSpace(string(data)) != "[DONE]" {
				t.Fatalf("%s is not the end", data)
			}
			return
		}
		want := oracle(data)
		if want.malformed && !s.Has(chat.Malformed) {
			t.Fatalf("%q is malformed", data)
		}
		if !want.malformed && decidable(data) {
			agree(t, data, s, u, want)
		}
	})
}

func TestWhole(t *testing.T) {
	f := func(body string, want chat.Signs) {
		t.Helper()
		var u chat.Usage
		if s := openai.LookWhole([]byte(body), &u); s != want {
			t.Errorf("%s: got %s, want %s", body, s, want)
		}
	}
	const usage = `"usage":{"total_tokens":1}`
	f(`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"finish_reason":null,"message":{}}]}`, chat.Answer)
	f(`{"choices":[{"message":{"content":"a"}},{"finish_reason":"stop"}]}`, 0)
	f(`{"choices":[{"message":"a"}]}`, 0)
	f(`{"choices":[7]}`, 0)
	f(`{"choices":[]}`, 0)
	f(`{"choices":[],`+usage+`}`, chat.Answer|chat.UsageSeen)
	f(`{"choices":null,`+usage+`}`, chat.UsageSeen)
	f(`{"request_id":"a"}`, chat.Answer)
	f(`{"request_id":7}`, 0)
	f(`{"request_id":"a","choices":[{}]}`, 0)
	f(`{"choices":[{"message":{"tool_calls":[]},"finish_reason":"stop"}]}`, chat.Answer|chat.Odd)
	f(`{"choices":[{"message":{"tool_calls":null,"content":[]}}]}`, chat.Answer|chat.Odd)
	f(`{"choices":[{"message":{},"finish_reason":"eos"}]}`, chat.Answer|chat.Odd)
	f(`{"choices":[{"message":{}}],"choices":[]}`, 0)
	f(`{"choices":[{"message":{"content":nil}}]}`, chat.Malformed)
}

// agree compares what Look, LookWhole and Finished say with what the oracle does.
func agree(t *testing.T, data []byte, s chat.Signs, u chat.Usage, want said) {
	t.Helper()
	var whole chat.Usage
	w := openai.LookWhole(data, &whole)
	f := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Fatalf("%s: %s %v, want %v; signs %s, whole %s", data, what, got, want, s, w)
		}
	}
	f("malformed", s.Has(chat.Malformed), false)
	f("whole malformed", w.Has(chat.Malformed), false)
	f("failed", s.Has(chat.Failed), want.failed)
	f("whole failed", w.Has(chat.Failed), want.failed)
	f("finish", s.Has(chat.Finish), len(want.finished) > 0)
	f("all finished", bits.OnesCount64(openai.Finished(data)) == len(want.finished), true)
	f("usage", s.Has(chat.UsageSeen), want.usage != nil)
	f("whole usage", w.Has(chat.UsageSeen), want.usage != nil)
	f("usage only", s.Has(chat.UsageOnly), want.usage != nil && want.empty && !want.failed)
	if want.usage != nil && (u != *want.usage || whole != u) {
		t.Fatalf("%s: %+v, whole %+v; want %+v", data, u, whole, *want.usage)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{typical, `{"error":null}`, `{"a":1, "error" : null , "b":{"error":null}}`, `{"x":"error","error":null,"error":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := slices.Clone(data)
		out := openai.Clean(in)
		if peek.Valid(data) != nil || escapedKey.Match(data) {
			return // it must only not panic
		}
		if data = []byte(strings.TrimSpace(string(data))); data[0] == '{' {
			cleaned(t, data)
		} else if !bytes.Equal(out, data) && len(out) != len(in) {
			t.Fatalf("%s becomes %s", data, out)
		}
	})
}
