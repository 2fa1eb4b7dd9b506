package responses_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

const (
	delta = `{"type":"response.output_text.delta","sequence_number":17,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654",` +
		`"output_index":1,"content_index":0,"delta":" wonderful","logprobs":[],"obfuscation":"a8fK2lQ9xZ"}`
	arguments = `{"type":"response.function_call_arguments.delta","sequence_number":17,"item_id":"fc_1","output_index":0,"delta":" city"}`
	summary   = `{"type":"response.reasoning_summary_text.delta","sequence_number":17,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":" hm"}`
	last      = `{"type":"response.completed","sequence_number":90,"response":{"id":"resp_1","object":"response","status":"completed","error":null,` +
		`"model":"gpt-5.4","output":[],` + usage + `,"metadata":{}}}`
	usage = `"usage":{"input_tokens":1117,"input_tokens_details":{"cached_tokens":1024,"cache_write_tokens":10},` +
		`"output_tokens":46,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":1163}`
)

func TestLook(t *testing.T) {
	f := func(name, data string, want chat.Signs) {
		t.Helper()
		u := chat.Usage{Input: -1}
		if got, _ := responses.Look(name, []byte(data), &u); got != want || (u.Input != -1) != want.Has(chat.UsageSeen) {
			t.Errorf("%s: got %s, %+v; want %s", data, got, u, want)
		}
	}
	const end = chat.Finish | chat.End
	// Until the first item another provider may take over.
	f("", `{"type":"response.created","response":{`+usage+`}}`, 0)
	f("", `{"type":"response.queued","response":{}}`, 0)
	f("", `{"type":"response.in_progress","response":{}}`, 0)
	f("", `{"type":"response.output_item.added","item":{}}`, chat.Progress)
	f("", delta, chat.Progress)
	f("", `{"type":"response.hologram.delta"}`, chat.Progress)
	f("", `{"type":"keepalive","sequence_number":3}`, 0)
	f("", `{"type":"response."}`, 0)
	f("", `{}`, 0)
	f("response.output_text.delta", `{"delta":"x"}`, chat.Progress)
	f("response.completed", `{"response":{}}`, end)
	f("", last, end|chat.UsageSeen)
	f("", `{"type":"response.incomplete","response":{"usage":null}}`, end)
	f("", `{"type":"response.failed","response":{"error":{"code":"x"},`+usage+`}}`, chat.Failed|chat.UsageSeen)
	f("", `{"type":"error","code":null,"message":"x","param":null}`, chat.Failed)
	f("error", `{"message":"x"}`, chat.Failed)
	f("", `{"error":{"message":"x"}}`, chat.Failed)
	f("", `{"type":"response.output_text.delta","error":null}`, chat.Progress)
	f("", `[DONE]`, chat.End)
	f("", ` [DONE] `, chat.End)
	f("", `{"type":`, chat.Malformed)
	f("", `[]`, chat.Malformed)
	f("", ``, chat.Malformed)
}

func TestUsage(t *testing.T) {
	f := func(usage string, want chat.Usage) {
		t.Helper()
		want.Provenance = chat.Reported
		var u chat.Usage
		if s := responses.LookWhole([]byte(`{"object":"response","usage":`+usage+`}`), &u); s != chat.UsageSeen || u != want {
			t.Errorf("%s: got %+v, %s", usage, u, s)
		}
	}
	f(usage[len(`"usage":`):], chat.Usage{Input: 83, CacheRead: 1024, CacheWrite: 10, Output: 40, Reasoning: 6})
	f(`{"input_tokens":0,"output_tokens":0}`, chat.Usage{})
	f(`{"output_tokens":3,"total_tokens":10}`, chat.Usage{Input: 7, Output: 3})
	f(`{"input_tokens":5,"input_tokens_details":null,"output_tokens":3,"output_tokens_details":null}`, chat.Usage{Input: 5, Output: 3})
	// xAI counts reasoning apart, and what is more than the whole is not part of it.
	f(`{"input_tokens":5,"output_tokens":3,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":10}`, chat.Usage{Input: 5, Output: 3, Reasoning: 2})
	f(`{"input_tokens":5,"output_tokens":3,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":8}`, chat.Usage{Input: 5, Output: 3, Reasoning: 9})
	f(`{"input_tokens":5,"input_tokens_details":{"cached_tokens":8},"output_tokens":3}`, chat.Usage{Input: 5, CacheRead: 8, Output: 3})

	none := func(body string, want chat.Signs) {
		t.Helper()
		u := chat.Usage{Input: 42}
		if s := responses.LookWhole([]byte(body), &u); s != want || u.Input != 42 {
			t.Errorf("%s: got %s, %+v", body, s, u)
		}
	}
	none(`{"usage":null}`, 0)
	none(`{"usage":{"input_tokens":-1,"output_tokens":"3","total_tokens":1e3}}`, 0)
	none(`{"status":"failed"}`, chat.Failed|chat.Answer)
	none(`{"error":{"message":"x"}}`, chat.Failed)
	none(`[]`, chat.Malformed)
}

// said is what an event says, read the slow way.
type said struct {
	Type     *string
	Error    json.RawMessage
	Response struct {
		Usage struct {
			Input  *int64 `json:"input_tokens"`
			Output *int64 `json:"output_tokens"`
		}
	}
}

func FuzzLook(f *testing.F) {
	for _, s := range []string{delta, arguments, summary, last, `[DONE]`, `{}`, `[]`, ``, `{"type":"error","error":{"a":1}}`, `{"type":"response.failed","error":""}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var u chat.Usage
		s, _ := responses.Look("", data, &u)
		responses.LookWhole(data, new(chat.Usage))
		if responses.Finished(data) == 1 != s.Has(chat.Finish) && decidable(data) && !s.Has(chat.Failed) {
			t.Fatalf("%s: %s, finished %d", data, s, responses.Finished(data))
		}
		if !decidable(data) {
			return
		}
		var want said
		if json.Unmarshal(data, &want) != nil || want.Type == nil {
			return
		}
		failed := *want.Type == "error" || *want.Type == "response.failed" || strings.HasPrefix(string(want.Error), "{") ||
			strings.HasPrefix(string(want.Error), `"`) && string(want.Error) != `""`
		ends := *want.Type == "response.completed" || *want.Type == "response.incomplete"
		if s.Has(chat.Failed) != failed || s.Has(chat.End) != (ends && !failed) || responses.Ends("", data) != (ends || *want.Type == "error" || *want.Type == "response.failed") {
			t.Fatalf("%s: %s", data, s)
		}
		if n := want.Response.Usage; ends && n.Input != nil && n.Output != nil && *n.Input > 0 && *n.Input < 1<<40 && *n.Output >= 0 && *n.Output < 1<<40 && !s.Has(chat.UsageSeen) {
			t.Fatalf("%s: no usage", data)
		}
	})
}

// decidable says whether Look and encoding/json must agree: not on repeated keys, nor where letter case or escapes make a
// difference.
func decidable(data []byte) bool {
	for _, c := range data {
		if c == '\\' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return peek.Valid(data) == nil
}
