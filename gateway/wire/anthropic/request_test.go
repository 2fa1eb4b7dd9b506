package anthropic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// checkFault checks that a body is refused, where and with which words.
func checkFault(t *testing.T, body, param, message string) {
	t.Helper()
	q, err := anthropic.DecodeRequest([]byte(body))
	var e *chat.Error
	if q != nil || !errors.As(err, &e) {
		t.Fatalf("%s: got %+v, %v", body, q, err)
	}
	if e.Type != "invalid_request_error" || e.Param != param || !strings.Contains(e.Message, message) || !strings.HasPrefix(e.Message, param) {
		t.Errorf("%s: got %+v, want %s: %s", body, *e, param, message)
	}
}

func TestRequestFaults(t *testing.T) {
	// with puts members beside what every request must have.
	with := func(members, param, message string) {
		t.Helper()
		checkFault(t, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],`+members+`}`, param, message)
	}
	checkFault(t, ``, "", "ends in the middle")
	checkFault(t, `[]`, "", "must be an object")
	checkFault(t, `{"model":"m"`, "", "invalid JSON")
	checkFault(t, `{"model":"m","model":"n"}`, "", "twice")
	checkFault(t, `{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, "model", "required")
	checkFault(t, `{"model":"m","messages":[{"role":"user","content":"x"}]}`, "max_tokens", "required")
	checkFault(t, `{"model":"m","max_tokens":1}`, "messages", "required")
	checkFault(t, `{"model":"m","max_tokens":1,"messages":[]}`, "messages", "required")
	checkFault(t, `{"model":1}`, "model", "a string")
	checkFault(t, `{"model":"m","max_tokens":-1}`, "max_tokens", "from 0")
	checkFault(t, `{"model":"m","max_tokens":"1"}`, "max_tokens", "a whole number")
	with(`"stream":"yes"`, "stream", "true or false")
	with(`"stop_sequences":"x"`, "stop_sequences", "a list")
	with(`"stop_sequences":["x",1]`, "stop_sequences[1]", "a string")
	with(`"metadata":{"user_id":1}`, "metadata.user_id", "a string")
	with(`"metadata":"u"`, "metadata", "an object")
	with(`"temperature":"hot"`, "temperature", "a number")
	with(`"top_k":0.5`, "top_k", "a whole number")
	with(`"service_tier":1`, "service_tier", "a string")
	with(`"cache_control":{}`, "cache_control.type", "required")
	with(`"cache_control":{"type":"forever"}`, "cache_control.type", "ephemeral")
	with(`"cache_control":{"type":"ephemeral","ttl":"2h"}`, "cache_control.ttl", "5m or 1h")
	with(`"thread":{"type":"create"}`, "thread", "the whole")
	with(`"thread":{"type":"continue","previous_message_id":"msg_1"}`, "thread", "the whole")
	with(`"thinking":{}`, "thinking.type", "required")
	with(`"thinking":{"type":"on"}`, "thinking.type", "adaptive")
	with(`"thinking":{"type":"enabled"}`, "thinking.budget_tokens", "required")
	with(`"thinking":{"type":"enabled","budget_tokens":100}`, "thinking.budget_tokens", "from 1024")
	with(`"thinking":{"type":"adaptive","display":"all"}`, "thinking.display", "summarized or omitted")
	with(`"output_config":{"effort":1}`, "output_config.effort", "a string")
	with(`"output_config":{"format":{"schema":{}}}`, "output_config.format.type", "required")
	with(`"output_config":{"format":{"type":"json_schema","schema":1}}`, "output_config.format.schema", "an object")
	with(`"cache_control":{"ttl":1}`, "cache_control.ttl", "a string")
	with(`"output_config":{"format":{"type":"json_object"}}`, "output_config.format.type", "json_schema")
	with(`"output_config":{"format":{"type":"json_schema"}}`, "output_config.format.schema", "required")
	with(`"system":1`, "system", "a string or a list")
	with(`"system":[{"type":"image","source":{"type":"url","url":"u"}}]`, "system[0].type", "text")
	with(`"tools":[{}]`, "tools[0].name", "required")
	with(`"tools":[{"name":"f"}]`, "tools[0].input_schema", "required")
	with(`"tools":[{"name":"f","input_schema":[]}]`, "tools[0].input_schema", "an object")
	with(`"tool_choice":"auto"`, "tool_choice", "an object")
	with(`"tool_choice":{}`, "tool_choice.type", "required")
	with(`"tool_choice":{"type":"required"}`, "tool_choice.type", "auto, any, tool or none")
	with(`"tool_choice":{"type":"tool"}`, "tool_choice.name", "required")
}

// Tool runners of Anthropic's clients make threads unasked, and go by this code to do without.
func TestRequestThread(t *testing.T) {
	_, err := anthropic.DecodeRequest([]byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thread":{"type":"create"}}`))
	if e, ok := errors.AsType[*chat.Error](err); !ok || e.Code != "thread_unsupported_request" {
		t.Errorf("got %v", err)
	}
}

func TestBlockFaults(t *testing.T) {
	message := func(m, param, text string) {
		t.Helper()
		checkFault(t, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"},`+m+`]}`, "messages[1]"+param, text)
	}
	block := func(role, b, param, text string) {
		t.Helper()
		message(`{"role":"`+role+`","content":[{"type":"text","text":"x"},`+b+`]}`, ".content[1]"+param, text)
	}
	message(`1`, "", "an object")
	message(`{"content":"x"}`, ".role", "required")
	message(`{"role":"tool","content":"x"}`, ".role", "user, assistant or system")
	message(`{"role":"user"}`, ".content", "required")
	message(`{"role":"user","content":1}`, ".content", "a string or a list")
	block("user", `1`, "", "an object")
	block("user", `{}`, ".type", "required")
	block("user", `{"type":1}`, ".type", "a string")
	block("user", `{"type":"text"}`, ".text", "required")
	block("user", `{"type":"text","text":1}`, ".text", "a string")
	block("user", `{"type":"text","text":"x","cache_control":{"type":"x"}}`, ".cache_control.type", "ephemeral")
	block("user", `{"type":"tool_use","id":"a","name":"f","input":{}}`, ".type", "assistant")
	block("user", `{"type":"thinking","thinking":"x","signature":"s"}`, ".type", "assistant")
	block("assistant", `{"type":"tool_result","tool_use_id":"a"}`, ".type", "user")
	block("system", `{"type":"image","source":{"type":"url","url":"u"}}`, ".type", "text")
	block("assistant", `{"type":"tool_use","name":"f","input":{}}`, ".id", "required")
	block("assistant", `{"type":"tool_use","id":"a","input":{}}`, ".name", "required")
	block("assistant", `{"type":"tool_use","id":"a","name":"f"}`, ".input", "required")
	block("assistant", `{"type":"tool_use","id":"a","name":"f","input":"{}"}`, ".input", "an object")
	block("assistant", `{"type":"thinking","thinking":"x","signature":1}`, ".signature", "a string")
	block("assistant", `{"type":"thinking","signature":"x"}`, ".thinking", "required")
	block("assistant", `{"type":"redacted_thinking"}`, ".data", "required")
	block("user", `{"type":"tool_result","content":"x"}`, ".tool_use_id", "required")
	block("user", `{"type":"tool_result","tool_use_id":"a","is_error":"no"}`, ".is_error", "true or false")
	block("user", `{"type":"tool_result","tool_use_id":"a","content":[{"type":"tool_result","tool_use_id":"b"}]}`, ".content[0].type", "document")
	block("user", `{"type":"tool_result","tool_use_id":"a","content":[{"type":"text"}]}`, ".content[0].text", "required")
	block("user", `{"type":"image"}`, ".source", "required")
	block("user", `{"type":"image","source":"u"}`, ".source", "an object")
	block("user", `{"type":"image","source":{}}`, ".source.type", "required")
	block("user", `{"type":"image","source":{"type":"text"}}`, ".source.type", "base64, url or file")
	block("user", `{"type":"image","source":{"type":"base64","media_type":"image/png"}}`, ".source.data", "required")
	block("user", `{"type":"image","source":{"type":"base64","data":"x"}}`, ".source.media_type", "required")
	block("user", `{"type":"image","source":{"type":"url"}}`, ".source.url", "required")
	block("user", `{"type":"image","source":{"type":"file"}}`, ".source.file_id", "required")
	block("user", `{"type":"document","source":{"type":"s3"}}`, ".source.type", "base64, url, file, text or content")
	block("user", `{"type":"document","title":1,"source":{"type":"url","url":"u"}}`, ".title", "a string")
}

// A count needs no max_tokens; the tokens are the whole reply.
func TestCount(t *testing.T) {
	q, err := anthropic.DecodeCount([]byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"system":"s"}`))
	if err != nil || q.Model != "m" || len(q.Messages) != 2 || q.MaxTokens != nil {
		t.Errorf("got %+v, %v", q, err)
	}
	if _, err := anthropic.DecodeCount([]byte(`{"messages":[]}`)); err == nil || err.Error() != "model: is required" {
		t.Errorf("got %v", err)
	}
	if got := string(anthropic.AppendCount([]byte("!"), 42)); got != `!{"input_tokens":42}` {
		t.Errorf("got %s", got)
	}
}

// TestDecodeRequestCopies checks that the body may be reused at once.
func TestDecodeRequestCopies(t *testing.T) {
	body := []byte(`{"model":"mmm","max_tokens":1,"system":[{"type":"text","text":"sss"}],"container":"ccc","tools":[{"name":"f","input_schema":{"a":1}},{"type":"bash_20250124","name":"bash"}],` +
		`"output_config":{"format":{"type":"json_schema","schema":{"a":1}}},"messages":[{"role":"user","content":[{"type":"new_block","x":1}]},{"role":"assistant","content":[{"type":"tool_use","id":"iii","name":"f","input":{"a":1}}]}]}`)
	q, err := anthropic.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	before := render(t, q)
	for i := range body {
		body[i] = '!'
	}
	if after := render(t, q); after != before {
		t.Errorf("got %s, was %s", after, before)
	}
}

func FuzzRequest(f *testing.F) {
	seeds(f, "requests")
	f.Fuzz(func(t *testing.T, body []byte) {
		count, countErr := anthropic.DecodeCount(body)
		q, err := anthropic.DecodeRequest(body)
		if (count == nil) != (countErr != nil) || err == nil && countErr != nil {
			t.Fatalf("%s: %v, as a count %v", body, err, countErr)
		}
		if err != nil {
			var e *chat.Error
			if q != nil || !errors.As(err, &e) || e.Message == "" {
				t.Fatalf("%s: %v, %v", body, q, err)
			}
			return
		}
		for i := range q.Messages {
			wellFormed(t, &q.Messages[i])
		}
		for _, target := range []chat.Target{target, {Model: "m"}, {Model: "m", NoSampling: true, Refuse: true}} {
			for _, dialect := range []string{anthropic.Name, "openai"} {
				q.Dialect = dialect
				again, _, err := anthropic.AppendRequest(nil, q, &target)
				if err != nil {
					continue
				}
				if _, err := anthropic.DecodeRequest(again); err != nil {
					t.Fatalf("%s becomes %s: %v", body, again, err)
				}
			}
		}
	})
}

// wellFormed checks that each part has what its kind promises.
func wellFormed(t *testing.T, m *chat.Message) {
	t.Helper()
	if (m.Role == chat.RoleTool) != (m.CallID != "") && m.Role != chat.RoleTool {
		t.Fatalf("message %+v", m)
	}
	for _, p := range m.Parts {
		media := p.Kind == chat.PartImage || p.Kind == chat.PartAudio || p.Kind == chat.PartFile
		if media != (p.Media != nil) || (p.Kind == chat.PartCall) != (p.Call != nil) || (p.Kind == chat.PartOther) != (p.Raw != nil) {
			t.Fatalf("part %+v", p)
		}
		if p.Call != nil && !json.Valid([]byte(p.Call.Arguments)) {
			t.Fatalf("call %+v", p.Call)
		}
	}
}

func FuzzReply(f *testing.F) {
	seeds(f, "replies")
	f.Fuzz(func(t *testing.T, body []byte) {
		var u chat.Usage
		s := anthropic.LookWhole(body, &u)
		r, err := anthropic.DecodeReply(body)
		if err != nil {
			if r != nil {
				t.Fatalf("%s: %+v, %v", body, r, err)
			}
			return
		}
		r.Usage.Tier = u.Tier // codecs have it beside the usage
		if s.Has(chat.Malformed) || usageText(&r.Usage) != usageText(&u) {
			t.Fatalf("%s is %s with usage %+v, and read as %+v", body, s, u, r)
		}
		wellFormed(t, &r.Choices[0].Message)
		if _, err := anthropic.DecodeReply(anthropic.AppendReply(nil, nil, r)); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	})
}

// FuzzStream takes lines for the data of events.
func FuzzStream(f *testing.F) {
	for _, s := range []string{
		`{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}` + "\n" + `{"type":"content_block_start","content_block":{"type":"tool_use","id":"a","name":"f","input":{"a":1}}}` + "\n" +
			`{"type":"content_block_stop"}` + "\n" + `{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}` + "\n" + `{"type":"message_stop"}`,
		`{"type":"content_block_start","content_block":{"type":"thinking","thinking":"a","signature":"b"}}` + "\n" + `{"type":"content_block_delta","delta":{"type":"citations_delta","citation":{"url":"u"}}}` + "\n" +
			`{"type":"content_block_delta","delta":{"type":"text_delta","text":"\ud83d"}}` + "\n" + `{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}`,
		`{"type":"ping"}` + "\n" + `{"type":"error","error":{"type":"api_error"}}` + "\n[DONE]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		d, e := anthropic.NewDecoder(), anthropic.NewEncoder(nil)
		var first, second chat.Collector
		var batch chat.Batch
		var u chat.Usage
		complete := false
		for line := range bytes.Lines(stream) {
			s, _ := anthropic.Look("", line, &u)
			pieces, err := d.Decode(nil, "", line)
			odd := errors.Is(err, anthropic.ErrMalformed) // of the wrong shape, which Look does not look for
			if bad := s.Has(chat.Malformed | chat.Failed); !complete && bad != (err != nil) && !odd {
				t.Fatalf("%s is %s, but %v", line, s, err)
			}
			if odd && !s.Has(chat.Malformed) {
				return
			}
			if anthropic.Finished(line) != 0 != s.Has(chat.Finish) || anthropic.Ends("", line) != s.Has(chat.End|chat.Failed) {
				t.Fatalf("%s is %s", line, s)
			}
			for i := range pieces {
				if complete {
					t.Fatalf("%s: a piece behind the end", stream)
				}
				first.Add(&pieces[i])
				e.Encode(&batch, &pieces[i])
				complete = pieces[i].Kind == chat.PieceEnd
			}
		}
		replay(t, &batch, &second, complete)
		if complete {
			same(t, first.Reply(), second.Reply())
		}
	})
}
