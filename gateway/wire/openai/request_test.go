package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

func refused(t *testing.T, body, param, message string) {
	t.Helper()
	r, err := openai.DecodeRequest([]byte(body))
	var e *chat.Error
	if !errors.As(err, &e) || r != nil {
		t.Errorf("%s: got %+v, %v", body, r, err)
		return
	}
	if e.Type != "invalid_request_error" || e.Param != param || !strings.Contains(e.Message, message) ||
		!strings.HasPrefix(e.Message, param) {
		t.Errorf("%s: got %+v; want %s: %s", body, *e, param, message)
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	f := func(body, param, message string) {
		t.Helper()
		refused(t, body, param, message)
	}
	f(``, "", "ends")
	f(`{"model":"m","messages":[`, "", "invalid JSON")
	f(`{"model":"m","model":"n"}`, "", "twice")
	f(`[]`, "", "must be an object")

	f(`{"messages":[{"role":"user","content":"x"}]}`, "model", "is required")
	f(`{"model":null,"messages":[{"role":"user","content":"x"}]}`, "model", "is required")
	f(`{"model":5}`, "model", "must be a string")
	f(`{"model":"m"}`, "messages", "is required")
	f(`{"model":"m","messages":[]}`, "messages", "is required")
	f(`{"model":"m","messages":{}}`, "messages", "must be a list")
}

func TestDecodeRequestRefusesMessages(t *testing.T) {
	f := func(s, param, message string) {
		t.Helper()
		refused(t, `{"model":"m","messages":[{"role":"user","content":"x"},`+s+`]}`, "messages[1]"+param, message)
	}
	f(`null`, "", "must be an object")
	f(`"x"`, "", "must be an object")
	f(`{"content":"x"}`, ".role", "is required")
	f(`{"role":"root","content":"x"}`, ".role", "must be system")
	f(`{"role":"user"}`, ".content", "is required")
	f(`{"role":"user","content":null}`, ".content", "is required")
	f(`{"role":"user","content":{}}`, ".content", "must be a string or a list of parts")
	f(`{"role":"user","content":[{"text":"x"}]}`, ".content[0].type", "is required")
	f(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"video"}]}`, ".content[1].type", "must be")
	f(`{"role":"user","content":["x"]}`, ".content[0]", "must be an object")
	f(`{"role":"user","content":[{"type":"text","text":1}]}`, ".content[0].text", "must be a string")
	f(`{"role":"user","content":[{"type":"image_url"}]}`, ".content[0].image_url", "is required")
	f(`{"role":"user","content":[{"type":"image_url","image_url":{}}]}`, ".content[0].image_url.url", "is required")
	f(`{"role":"user","content":[{"type":"image_url","image_url":""}]}`, ".content[0].image_url", "must be a URL")
	f(`{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}`, ".content[0].input_audio.data", "is required")
	f(`{"role":"user","content":[{"type":"file","file":{}}]}`, ".content[0].file.file_data", "is required")
	f(`{"role":"assistant","thinking_blocks":[{"type":"text"}]}`, ".thinking_blocks[0].type", "must be")
	f(`{"role":"assistant","thinking_blocks":[{"type":"redacted_thinking"}]}`, ".thinking_blocks[0].data", "is required")
	f(`{"role":"assistant","thinking_blocks":[{"type":"thinking","thinking":[{"type":"text","text":2}]}]}`, ".thinking_blocks[0].thinking[0].text", "must be a string")
	f(`{"role":"user","content":[{"type":"text","text":"x","cache_control":1}]}`, ".content[0].cache_control", "must be an object")
	f(`{"role":"tool","content":"x"}`, ".tool_call_id", "is required")
	f(`{"role":"assistant","function_call":{}}`, ".function_call.name", "is required")
	f(`{"role":"user","content":"x","tool_calls":[{"id":"a","type":"function","function":{"name":"f"}}]}`, ".tool_calls", "may only stand in a message of the role assistant")
	f(`{"role":"user","reasoning_content":"hm"}`, ".content", "is required")
	f(`{"role":"user","content":[{"type":"thinking","thinking":"hm"}]}`, ".content[0]", "may only stand in a message of the role assistant")
	f(`{"role":"function","content":"x"}`, ".name", "is required")
	f(`{"role":"assistant","tool_calls":{}}`, ".tool_calls", "must be a list")
	f(`{"role":"assistant","tool_calls":[{"type":"function"}]}`, ".tool_calls[0].id", "is required")
	f(`{"role":"assistant","tool_calls":[{"id":"a","type":"f"}]}`, ".tool_calls[0].type", "must be")
	f(`{"role":"assistant","tool_calls":[{"id":"a","type":"custom"}]}`, ".tool_calls[0].custom.name", "is required")
	f(`{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{}}}]}`,
		".tool_calls[0].function.arguments", "must be a string")
}

func TestDecodeRequestRefusesFields(t *testing.T) {
	f := func(s, param, message string) {
		t.Helper()
		refused(t, `{"model":"m","messages":[{"role":"user","content":"x"}],`+s+`}`, param, message)
	}
	f(`"stream":"true"`, "stream", "must be true or false")
	f(`"stream_options":[]`, "stream_options", "must be an object")
	f(`"stream_options":{"include_usage":1}`, "stream_options.include_usage", "must be true or false")
	f(`"temperature":"hot"`, "temperature", "must be a number")
	f(`"temperature":1e999`, "temperature", "must be a number")
	f(`"seed":1.5`, "seed", "must be a whole number")
	f(`"n":0`, "n", "must be from 1 to 128")
	f(`"n":129`, "n", "must be from 1 to 128")
	f(`"max_tokens":-1`, "max_tokens", "must be from 0")
	f(`"max_completion_tokens":"9"`, "max_completion_tokens", "must be a whole number")
	f(`"stop":5`, "stop", "must be a string or a list of strings")
	f(`"stop":["a",5]`, "stop[1]", "must be a string")
	f(`"parallel_tool_calls":0`, "parallel_tool_calls", "must be true or false")
	f(`"response_format":{}`, "response_format.type", "is required")
	f(`"response_format":{"type":"xml"}`, "response_format.type", "must be")
	f(`"response_format":{"type":"json_schema","json_schema":{}}`, "response_format.json_schema.name", "is required")
	f(`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":"x"}}`, "response_format.json_schema.schema", "must be an object")
	f(`"tools":[{}]`, "tools[0].type", "is required")
	f(`"tools":[{"type":"function","function":{}}]`, "tools[0].function.name", "is required")
	f(`"tools":[{"type":"custom","function":{"name":"f"}}]`, "tools[0].custom.name", "is required")
	f(`"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]`, "tools[0].function.parameters", "must be an object")
	f(`"tool_choice":"any"`, "tool_choice", "must be none, auto or required")
	f(`"tool_choice":1`, "tool_choice", "must be a string or an object")
	f(`"tool_choice":{"type":"function"}`, "tool_choice.function.name", "is required")
	f(`"tool_choice":{"type":"allowed_tools","allowed_tools":{"tools":[]}}`, "tool_choice.allowed_tools.mode", "is required")
	f(`"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}`, "tool_choice.allowed_tools.tools", "is required")
	f(`"reasoning":"high"`, "reasoning", "must be an object")
	f(`"reasoning":{"max_tokens":-1}`, "reasoning.max_tokens", "must be from 0")
	f(`"thinking":{}`, "thinking.type", "is required")
	f(`"thinking":{"type":"on"}`, "thinking.type", "must be")
	f(`"cache_control":{"ttl":"2h"}`, "cache_control.ttl", "must be 5m or 1h")
	f(`"metadata":"x"`, "metadata", "must be an object")
	f(`"logit_bias":[]`, "logit_bias", "must be an object")
	f(`"top_logprobs":"3"`, "top_logprobs", "must be a whole number")
	f(`"store":"yes"`, "store", "must be true or false")
	f(`"safety_identifier":1`, "safety_identifier", "must be a string")
	f(`"functions":[{"description":"x"}]`, "functions[0].name", "is required")
	f(`"function_call":{"name":1}`, "function_call.name", "must be a string")
}

// TestDecodeRequestCopies checks that the body may be reused at once.
func TestDecodeRequestCopies(t *testing.T) {
	body := []byte(`{"model":"mmm","messages":[{"role":"user","content":"xxx"}],"tools":[{"type":"web_search","a":1},` +
		`{"type":"function","function":{"name":"f","parameters":{"a":1}}}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"b":2}}}}`)
	r, err := openai.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = '!'
	}
	if after, err := json.Marshal(r); !bytes.Equal(after, before) || err != nil {
		t.Errorf("got %s, %v; was %s", after, err, before)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	paths, err := filepath.Glob("testdata/requests/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(txtar.Parse(text).Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := openai.DecodeRequest(body)
		if err != nil {
			var e *chat.Error
			if r != nil || !errors.As(err, &e) || e.Message == "" {
				t.Fatalf("%s: %v, %v", body, r, err)
			}
			return
		}
		var shape struct {
			Model    string
			Messages []struct{ Role string }
		}
		if err := json.Unmarshal(body, &shape); err == nil && (shape.Model != r.Model || len(shape.Messages) != len(r.Messages)) {
			t.Fatalf("%s: model %q, %d messages", body, r.Model, len(r.Messages))
		}
		for i := range r.Messages {
			wellFormed(t, &r.Messages[i])
		}
		again, _, err := openai.AppendRequest(nil, r, &chat.Target{CacheMarks: "cache_control"})
		if err != nil {
			var e *chat.Error
			if !errors.As(err, &e) || e.Param == "" {
				t.Fatalf("%s: %v", body, err)
			}
			return
		}
		if _, err := openai.DecodeRequest(again); err != nil {
			t.Fatalf("%s\nbecomes\n%s\nwhich is refused: %v", body, again, err)
		}
	})
}

// wellFormed checks that each part has what its kind promises.
func wellFormed(t *testing.T, m *chat.Message) {
	t.Helper()
	calls := 0
	for _, p := range m.Parts {
		media := p.Kind == chat.PartImage || p.Kind == chat.PartAudio || p.Kind == chat.PartFile
		if media != (p.Media != nil) || (p.Kind == chat.PartCall) != (p.Call != nil) {
			t.Fatalf("part %+v", p)
		}
		if p.Call != nil {
			calls++
		}
	}
	if got := len(m.Calls()); got != calls {
		t.Fatalf("%d calls, want %d", got, calls)
	}
}
