package responses_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

func refused(t *testing.T, body, param, message string) {
	t.Helper()
	q, err := responses.DecodeRequest([]byte(body))
	e, ok := errors.AsType[*chat.Error](err)
	if !ok || q != nil {
		t.Errorf("%s: got %+v, %v", body, q, err)
		return
	}
	if e.Type != "invalid_request_error" || e.Param != param || !strings.Contains(e.Message, message) || !strings.HasPrefix(e.Message, param) {
		t.Errorf("%s: got %+v; want %s: %s", body, *e, param, message)
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	f := func(body, param, message string) {
		t.Helper()
		refused(t, body, param, message)
	}
	f(``, "", "ends")
	f(`[]`, "", "must be an object")
	f(`{"model":"m","model":"n"}`, "", "twice")
	f(`{"input":"x"}`, "model", "is required")
	f(`{"model":"m"}`, "input", "is required")
	f(`{"model":"m","input":[]}`, "input", "is required")
	f(`{"model":"m","input":null,"instructions":"x"}`, "input", "is required")
	f(`{"model":"m","input":{}}`, "input", "must be a string or a list of items")
	f(`{"model":"m","input":5}`, "input", "must be a string or a list of items")
}

func TestDecodeRequestRefusesItems(t *testing.T) {
	f := func(item, param, message string) {
		t.Helper()
		refused(t, `{"model":"m","input":[{"role":"user","content":"x"},`+item+`]}`, "input[1]"+param, message)
	}
	f(`null`, "", "must be an object")
	f(`"x"`, "", "must be an object")
	f(`{"type":5,"content":"x"}`, ".type", "must be a string")
	f(`{"content":"x"}`, ".role", "is required")
	f(`{"role":"tool","content":"x"}`, ".role", "must be user, assistant, system or developer")
	f(`{"role":"user"}`, ".content", "is required")
	f(`{"role":"user","content":{}}`, ".content", "must be a string or a list of parts")
	f(`{"role":"user","content":["x"]}`, ".content[0]", "must be an object")
	f(`{"role":"user","content":[{"text":"x"}]}`, ".content[0].type", "is required")
	f(`{"role":"user","content":[{"type":"input_text","text":"x"},{"type":"text","text":"x"}]}`, ".content[1].type", "must be input_text")
	f(`{"role":"user","content":[{"type":"input_text"}]}`, ".content[0].text", "is required")
	f(`{"role":"user","content":[{"type":"input_image","detail":"low"}]}`, ".content[0].image_url", "is required")
	f(`{"role":"user","content":[{"type":"input_image","image_url":{"url":"x"}}]}`, ".content[0].image_url", "must be a string")
	f(`{"role":"user","content":[{"type":"input_file","filename":"x"}]}`, ".content[0].file_data", "is required")
	f(`{"type":"function_call","name":"f","arguments":"{}"}`, ".call_id", "is required")
	f(`{"type":"function_call","call_id":"c","arguments":"{}"}`, ".name", "is required")
	f(`{"type":"function_call","call_id":"c","name":"f"}`, ".arguments", "is required")
	f(`{"type":"function_call","call_id":"c","name":"f","arguments":{}}`, ".arguments", "must be a string")
	f(`{"type":"custom_tool_call","call_id":"c","name":"f"}`, ".input", "is required")
	f(`{"type":"function_call_output","output":"x"}`, ".call_id", "is required")
	f(`{"type":"function_call_output","call_id":"c"}`, ".output", "is required")
	f(`{"type":"custom_tool_call_output","call_id":"c","output":[{"type":"x"}]}`, ".output[0].type", "must be")
	f(`{"type":"reasoning","summary":"x"}`, ".summary", "must be a list")
	f(`{"type":"reasoning","summary":[{"text":1}]}`, ".summary[0].text", "must be a string")
	f(`{"type":"reasoning","summary":[],"encrypted_content":1}`, ".encrypted_content", "must be a string")
	f(`{"type":"item_reference","id":"msg_1"}`, ".id", "no item of this id is stored here")
	f(`{"id":"msg_1"}`, ".id", "no item of this id is stored here")
}

func TestDecodeRequestRefusesOptions(t *testing.T) {
	f := func(s, param, message string) {
		t.Helper()
		refused(t, `{"model":"m","input":"x",`+s+`}`, param, message)
	}
	f(`"instructions":["x"]`, "instructions", "must be a string")
	f(`"stream":"true"`, "stream", "must be true or false")
	f(`"stream_options":1`, "stream_options", "must be an object")
	f(`"background":1`, "background", "must be true or false")
	f(`"truncation":1`, "truncation", "must be a string")
	f(`"temperature":"hot"`, "temperature", "must be a number")
	f(`"max_output_tokens":0`, "max_output_tokens", "must be from 1")
	f(`"top_logprobs":21`, "top_logprobs", "must be from 0 to 20")
	f(`"metadata":[]`, "metadata", "must be an object")
	f(`"reasoning":"high"`, "reasoning", "must be an object")
	f(`"reasoning":{"effort":1}`, "reasoning.effort", "must be a string")
	f(`"include":"x"`, "include", "must be a list")
	f(`"include":[1]`, "include[0]", "must be a string")
	f(`"text":"x"`, "text", "must be an object")
	f(`"text":{"format":{}}`, "text.format.type", "is required")
	f(`"text":{"format":{"type":"xml"}}`, "text.format.type", "must be text, json_object or json_schema")
	f(`"text":{"format":{"type":"json_schema","schema":{}}}`, "text.format.name", "is required")
	f(`"text":{"format":{"type":"json_schema","name":"n"}}`, "text.format.schema", "is required")
	f(`"tools":{}`, "tools", "must be a list")
	f(`"tools":[{}]`, "tools[0].type", "is required")
	f(`"tools":[{"type":"function","function":{"name":"f"}}]`, "tools[0].name", "is required") // as chat completions have it
	f(`"tools":[{"type":"function","name":"f","parameters":[]}]`, "tools[0].parameters", "must be an object")
	f(`"tools":[{"type":"custom","name":"f","format":"text"}]`, "tools[0].format", "must be an object")
	f(`"tool_choice":"any"`, "tool_choice", "must be none, auto or required")
	f(`"tool_choice":1`, "tool_choice", "must be a string or an object")
	f(`"tool_choice":{}`, "tool_choice.type", "is required")
	f(`"tool_choice":{"type":"function"}`, "tool_choice.name", "is required")
	f(`"tool_choice":{"type":"allowed_tools","tools":[{"type":"mcp"}]}`, "tool_choice.mode", "is required")
	f(`"tool_choice":{"type":"allowed_tools","mode":"auto"}`, "tool_choice.tools", "is required")
	f(`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"custom"}]}`, "tool_choice.tools[0].name", "is required")
}

// What continues elsewhere needs no input of its own.
func TestDecodeRequestWithoutInput(t *testing.T) {
	for _, s := range []string{`"previous_response_id":"resp_1"`, `"conversation":"conv_1"`, `"prompt":{"id":"p"}`} {
		if _, err := responses.DecodeRequest([]byte(`{"model":"m",` + s + `}`)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// Vercel's AI SDK refers to items of earlier responses by their ids.
func TestItemReferences(t *testing.T) {
	stored := map[string]string{
		"rs_1": `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}`,
		"fc_1": `{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}"}`,
		"loop": `{"type":"item_reference","id":"loop"}`,
		"bad":  `{"type":`,
	}
	find := func(id string) []byte {
		if v, ok := stored[id]; ok {
			return []byte(v)
		}
		return nil
	}
	q, err := responses.Decode([]byte(`{"model":"m","input":[{"role":"user","content":"x"},{"type":"item_reference","id":"rs_1"},{"id":"fc_1"},`+
		`{"type":"function_call_output","call_id":"c1","output":"y"}]}`), find)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Messages) != 3 || len(q.Messages[1].Parts) != 2 || q.Messages[1].Parts[0].Signature != "e" || q.Messages[1].Calls()[0].ID != "c1" {
		t.Errorf("%+v", q.Messages)
	}
	for _, id := range []string{"msg_1", "loop", "bad", ""} {
		_, err := responses.Decode([]byte(`{"model":"m","input":[{"type":"item_reference","id":"`+id+`"}]}`), find)
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != "input[0].id" {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestDecodeRequestCopies checks that the body may be reused at once.
func TestDecodeRequestCopies(t *testing.T) {
	body := []byte(`{"model":"mmm","input":[{"role":"user","content":[{"type":"input_text","text":"xxx"}]},{"type":"web_search_call","id":"ws"}],` +
		`"tools":[{"type":"web_search"},{"type":"function","name":"f","parameters":{"a":1}}],"metadata":{"a":"b"},"prompt":{"id":"p"},` +
		`"text":{"format":{"type":"json_schema","name":"a","schema":{"b":2}}},"include":["x"]}`)
	q, err := responses.DecodeRequest(body)
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

// from is a request of another dialect.
func from(change func(q *chat.Request)) *chat.Request {
	q := &chat.Request{Dialect: "openai", Model: "x", Messages: []chat.Message{{Role: chat.RoleUser, Parts: []chat.Part{{Text: "Hi"}}}}}
	change(q)
	return q
}

func TestAppendRequest(t *testing.T) {
	f := func(change func(q *chat.Request), want string, dropped ...string) {
		t.Helper()
		body, lost, err := responses.AppendRequest([]byte("!"), from(change), &chat.Target{Model: "m"})
		if err != nil {
			t.Error(err)
			return
		}
		if string(body) != `!{"model":"m",`+want || !slices.Equal(lost, dropped) {
			t.Errorf("got %s, dropped %v", body, lost)
		}
		fits(t, "CreateResponse", body[1:])
	}
	const hi = `"input":[{"type":"message","role":"user","content":"Hi"}],"store":false`

	f(func(*chat.Request) {}, hi+"}")
	f(func(q *chat.Request) { q.Store = new(true) }, strings.Replace(hi, "false", "true", 1)+"}")
	f(func(q *chat.Request) { q.Tools = []chat.Tool{{Name: "f"}} },
		hi+`,"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}]}`)
	f(func(q *chat.Request) { q.MaxTokens = new(int64(5)) }, hi+`,"max_output_tokens":16}`, "max_completion_tokens")
	f(func(q *chat.Request) {
		q.Stop, q.Sampling.Seed, q.Sampling.TopK, q.Sampling.LogitBias = []string{"x"}, new(int64(1)), new(int64(2)), []byte(`{}`)
		q.Sampling.PresencePenalty, q.Sampling.FrequencyPenalty, q.Sampling.TopP = new(0.5), new(0.0), new(0.25)
		q.Messages[0].Name = "bob"
	}, hi+`,"top_p":0.25}`, "name", "stop", "top_k", "frequency_penalty", "presence_penalty", "seed", "logit_bias")
	f(func(q *chat.Request) { q.Reasoning = chat.Reasoning{Mode: chat.ThinkBudget, Budget: 8192} },
		hi+`,"reasoning":{"effort":"medium","summary":"auto"},"include":["reasoning.encrypted_content"]}`)
	f(func(q *chat.Request) {
		q.Reasoning = chat.Reasoning{Mode: chat.ThinkBudget, Budget: 1024, Summary: "omitted"}
	},
		hi+`,"reasoning":{"effort":"low"},"include":["reasoning.encrypted_content"]}`)
	f(func(q *chat.Request) { q.Reasoning = chat.Reasoning{Mode: chat.ThinkBudget, Budget: 31999} },
		hi+`,"reasoning":{"effort":"high","summary":"auto"},"include":["reasoning.encrypted_content"]}`)
	f(func(q *chat.Request) { q.Reasoning = chat.Reasoning{Mode: chat.ThinkAdaptive, Summary: "auto"} },
		hi+`,"reasoning":{"summary":"auto"},"include":["reasoning.encrypted_content"]}`)
	f(func(q *chat.Request) { q.Reasoning = chat.Reasoning{Mode: chat.ThinkOff} }, hi+`,"reasoning":{"effort":"none"}}`)
	f(func(q *chat.Request) { q.Format = chat.Format{Kind: chat.FormatSchema} },
		hi+`,"text":{"format":{"type":"json_schema","name":"answer","schema":{}}}}`)
	f(func(q *chat.Request) { q.ServiceTier = "standard_only" }, hi+`,"service_tier":"default"}`)
	f(func(q *chat.Request) { q.ServiceTier = "on_demand" }, hi+"}", "service_tier")
	f(func(q *chat.Request) {
		q.Extra = []chat.Member{
			{Name: "prediction", Value: json.RawMessage(`{}`)},
			{Name: "modalities", Value: json.RawMessage(`["text"]`)},
			{Name: "context_management", Value: json.RawMessage(`{"edits":[]}`)}, // Anthropic's
			{Name: "moderation", Value: json.RawMessage(`null`)},
			{Name: "prompt_cache_retention", Value: json.RawMessage(`"24h"`)},
		}
	}, hi+`,"prompt_cache_retention":"24h"}`, "prediction", "modalities", "context_management")
}

func TestAppendRequestItems(t *testing.T) {
	f := func(m []chat.Message, want string, dropped ...string) {
		t.Helper()
		body, lost, err := responses.AppendRequest(nil, from(func(q *chat.Request) { q.Messages = m }), &chat.Target{Model: "m"})
		if err != nil {
			t.Error(err)
			return
		}
		if got := string(member(t, body, "input")); got != want || !slices.Equal(lost, dropped) {
			t.Errorf("got %s, dropped %v", got, lost)
		}
		fits(t, "CreateResponse", body)
	}
	user := func(p ...chat.Part) chat.Message { return chat.Message{Role: chat.RoleUser, Parts: p} }
	model := func(p ...chat.Part) chat.Message { return chat.Message{Role: chat.RoleAssistant, Parts: p} }

	// Marks mean a parameter that older models refuse; OpenAI finds prefixes by itself.
	f([]chat.Message{user(chat.Part{Text: "a", Cache: "5m"})}, `[{"type":"message","role":"user","content":"a"}]`)
	f([]chat.Message{user(chat.Part{Kind: chat.PartFile, Text: "plain", Media: &chat.Media{Name: "a.txt"}})},
		`[{"type":"message","role":"user","content":[{"type":"input_text","text":"plain"}]}]`)
	f([]chat.Message{user(chat.Part{Kind: chat.PartImage, Media: &chat.Media{URL: "u"}})},
		`[{"type":"message","role":"user","content":[{"type":"input_image","image_url":"u","detail":"auto"}]}]`)
	// What another dialect alone understands says itself in words, or is left out.
	f([]chat.Message{user(chat.Part{Kind: chat.PartOther, Raw: []byte(`{"type":"search_result"}`), Text: "found"},
		chat.Part{Kind: chat.PartOther, Raw: []byte(`{"type":"container_upload"}`)})},
		`[{"type":"message","role":"user","content":[{"type":"input_text","text":"found"}]}]`, "messages.content.container_upload")
	f([]chat.Message{model(chat.Part{Kind: chat.PartOther, Raw: []byte(`{"type":"server_tool_use"}`)}, chat.Part{Text: "a"})},
		`[{"type":"message","role":"assistant","content":"a"}]`, "server_tool_use")
	// Thoughts of others, and those that nobody signed, are refused by the API.
	f([]chat.Message{model(chat.Part{Kind: chat.PartReasoning, Text: "hm"}, chat.Part{Kind: chat.PartRedacted, Signature: "x"}, chat.Part{Text: "a"})},
		`[{"type":"message","role":"assistant","content":"a"}]`, "reasoning_content")
	// What a recording says is text.
	f([]chat.Message{model(chat.Part{Kind: chat.PartAudio, Text: "spoken", Media: &chat.Media{ID: "a"}})},
		`[{"type":"message","role":"assistant","content":"spoken"}]`)
	f([]chat.Message{model(chat.Part{Kind: chat.PartAudio, Media: &chat.Media{ID: "a"}}, chat.Part{Kind: chat.PartImage, Media: &chat.Media{URL: "u"}})},
		`[]`, "audio", "image")
	// The output of a custom tool is known by its call.
	f([]chat.Message{
		model(chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c", Kind: chat.Custom, Name: "sh", Arguments: "ls"}}),
		{Role: chat.RoleTool, CallID: "c", Parts: []chat.Part{{Text: "x"}}, Failed: true},
		{Role: chat.RoleTool, CallID: "d", Parts: []chat.Part{{Text: "y"}}},
	}, `[{"type":"custom_tool_call","call_id":"c","name":"sh","input":"ls"},{"type":"custom_tool_call_output","call_id":"c","output":"x"},`+
		`{"type":"function_call_output","call_id":"d","output":"y"}]`)
}

func TestAppendRequestRefuses(t *testing.T) {
	f := func(change func(q *chat.Request), target chat.Target, param, message string) {
		t.Helper()
		body, dropped, err := responses.AppendRequest(nil, from(change), &target)
		e, ok := errors.AsType[*chat.Error](err)
		if !ok || len(body) > 0 || dropped != nil {
			t.Errorf("got %s, %v, %v", body, dropped, err)
			return
		}
		if e.Type != "invalid_request_error" || e.Param != param || !strings.Contains(e.Message, message) {
			t.Errorf("got %+v", *e)
		}
	}
	extra := func(name, value string) func(q *chat.Request) {
		return func(q *chat.Request) { q.Extra = []chat.Member{{Name: name, Value: json.RawMessage(value)}} }
	}
	plain := chat.Target{Model: "m"}
	f(func(q *chat.Request) { q.N = 2 }, plain, "n", "one choice")
	f(func(q *chat.Request) { q.Tools = []chat.Tool{{Kind: chat.Hosted, Name: "web_search_20250305"}} }, plain, "tools[0].type", "own provider")
	f(extra("audio", `{"voice":"alloy"}`), plain, "audio", "no audio")
	f(extra("modalities", `["text","audio"]`), plain, "modalities", "no audio")
	f(extra("mcp_servers", `[{}]`), plain, "mcp_servers", "nothing that")
	f(func(q *chat.Request) {
		q.Messages[0].Parts = append(q.Messages[0].Parts, chat.Part{Kind: chat.PartAudio, Media: &chat.Media{Data: "aGk="}})
	}, plain, "messages[0].content[1]", "no audio")
	f(func(q *chat.Request) { q.Messages[0].Role = chat.RoleTool }, plain, "messages[0].tool_call_id", "required")
	f(func(q *chat.Request) { q.Stop = []string{"x"} }, chat.Target{Model: "m", Refuse: true}, "stop", "cannot be carried over")
	f(func(q *chat.Request) { q.Sampling.Temperature = new(1.0) }, chat.Target{Model: "m", Refuse: true, NoSampling: true}, "temperature", "cannot")
}
