package openai_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// foreign is a request that came in another dialect.
func foreign(messages ...chat.Message) *chat.Request {
	return &chat.Request{Dialect: "anthropic", Model: "m", Messages: messages}
}

func user(parts ...chat.Part) chat.Message { return chat.Message{Role: chat.RoleUser, Parts: parts} }

func text(s string) chat.Part { return chat.Part{Text: s} }

func media(k chat.PartKind, m chat.Media) chat.Part { return chat.Part{Kind: k, Media: &m} }

// appended is what a request becomes, less {"model":"m","messages": and the last brace.
func appended(t *testing.T, q *chat.Request, target chat.Target) (string, []string) {
	t.Helper()
	b, dropped, err := openai.AppendRequest([]byte("x"), q, &target)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b[1:]) {
		t.Fatalf("%s is not valid", b)
	}
	rest, ok := strings.CutPrefix(string(b), `x{"model":"`)
	if _, rest, _ = strings.Cut(rest, `","messages":`); !ok {
		t.Fatalf("%s", b)
	}
	return strings.TrimSuffix(rest, "}"), dropped
}

func TestAppendMessages(t *testing.T) {
	f := func(target chat.Target, want string, messages ...chat.Message) {
		t.Helper()
		if got, dropped := appended(t, foreign(messages...), target); got != "["+want+"]" || len(dropped) > 0 {
			t.Errorf("got  %s\nwant [%s]\ndropped %q", got, want, dropped)
		}
	}
	image := chat.Part{Kind: chat.PartImage, Media: &chat.Media{Type: "image/png", Data: "aGk="}, Cache: "5m"}
	const imageText = `{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}`
	call := chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Name: "f"}}}}
	const callText = `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	result := func(parts ...chat.Part) chat.Message {
		return chat.Message{Role: chat.RoleTool, CallID: "a", Parts: parts}
	}
	plain := chat.Target{}

	f(plain, `{"role":"user","content":""}`, user())
	f(plain, `{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}`, user(text("x"), text("y")))
	f(chat.Target{JoinText: true}, `{"role":"user","content":"x\ny"}`, user(text("x"), text("y")))
	f(chat.Target{NoDeveloper: true}, `{"role":"system","content":"x"}`, chat.Message{Role: chat.RoleDeveloper, Parts: []chat.Part{text("x")}})

	// What other dialects alone know is said as they would have it.
	found := chat.Part{Kind: chat.PartOther, Text: "found", Raw: []byte(`{"type":"search_result"}`)}
	f(plain, `{"role":"user","content":"found"}`, user(found))
	f(plain, callText+`,{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"x"},{"type":"text","text":"found"}]}`, call, result(text("x"), found))

	// Media out of a result wait for a turn that may hold them, behind all results.
	f(plain, callText+`,{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"a plot"},{"type":"text","text":"(image in the next message of the user)"}]},`+
		`{"role":"tool","tool_call_id":"a","content":"x"},`+
		`{"role":"user","content":[{"type":"text","text":"Returned by the call a:"},`+imageText+`]}`,
		call, result(text("a plot"), image), result(text("x")))
	f(plain, `{"role":"tool","tool_call_id":"a","content":"(image in the next message of the user)"},`+
		`{"role":"user","name":"ann","content":[{"type":"text","text":"Returned by the call a:"},`+imageText+`,{"type":"text","text":"y"}]}`,
		result(image), chat.Message{Role: chat.RoleUser, Name: "ann", Parts: []chat.Part{text("y")}})
	f(plain, `{"role":"assistant","content":"(image in the next message of the user)"},`+
		`{"role":"user","content":[{"type":"text","text":"Made by the assistant:"},`+imageText+`]}`,
		chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{image}})
	f(plain, `{"role":"tool","tool_call_id":"a","content":""}`, result())
	failed := result(text("no such city"))
	failed.Failed = true
	f(plain, `{"role":"tool","tool_call_id":"a","content":"Error: no such city"}`, failed)
	failed.Parts = []chat.Part{text("error: no such city")}
	f(plain, `{"role":"tool","tool_call_id":"a","content":"error: no such city"}`, failed)
	failed.Parts = nil
	f(plain, `{"role":"tool","tool_call_id":"a","content":"Error: "}`, failed)

	// Documents: those that are text are written as text.
	f(plain, `{"role":"user","content":"a.txt:\n\nhello"}`, user(chat.Part{Kind: chat.PartFile, Text: "hello", Media: &chat.Media{Name: "a.txt"}}))
	f(plain, `{"role":"user","content":"hi"}`, user(media(chat.PartFile, chat.Media{Type: "text/plain", Data: "aGk="})))
	f(plain, `{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}}]}`,
		user(media(chat.PartFile, chat.Media{Type: "application/pdf", Data: "aGk=", Name: "a.pdf"})))
	f(plain, `{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}},{"type":"file","file":{"file_data":"https://example.org/a.pdf"}}]}`,
		user(media(chat.PartFile, chat.Media{ID: "file-1"}), media(chat.PartFile, chat.Media{URL: "https://example.org/a.pdf"})))
	f(plain, `{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"mp3"}}]}`,
		user(media(chat.PartAudio, chat.Media{Type: "audio/mpeg", Data: "aGk="})))

	// Thoughts: litellm #15601, bifrost #6342, bifrost #5887.
	thinking := chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{
		{Kind: chat.PartReasoning, Text: "hm", Signature: "s"},
		{Kind: chat.PartReasoning, Signature: "empty"},
		{Kind: chat.PartRedacted, Signature: "r"},
		text("x"),
	}}
	f(plain, `{"role":"assistant","content":"x","reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},`+
		`{"type":"thinking","thinking":"","signature":"empty"},{"type":"redacted_thinking","data":"r"}]}`, thinking)
	f(chat.Target{NoThoughts: true}, `{"role":"assistant","content":"x"}`, thinking)
	f(chat.Target{NoThoughts: true}, `{"role":"user","content":"x"},{"role":"user","content":"y"}`,
		user(text("x")), chat.Message{Role: chat.RoleAssistant, Parts: thinking.Parts[:3]}, user(text("y"))) // Mistral refuses a turn without content
	f(plain, `{"role":"assistant","content":"","thinking_blocks":[{"type":"redacted_thinking","data":"r"}]}`,
		chat.Message{Role: chat.RoleAssistant, Parts: thinking.Parts[2:3]})

	signed := call
	signed.Parts = []chat.Part{call.Parts[0]}
	signed.Parts[0].Signature = "s"
	f(plain, strings.TrimSuffix(callText, "}]}")+`,"extra_content":{"google":{"thought_signature":"s"}}}]}`, signed)
	f(chat.Target{NoThoughts: true}, callText, signed) // Mistral refuses whatever it does not know

	// Marks are written as the target has them.
	marked := user(chat.Part{Text: "x", Cache: "1h"}, chat.Part{Text: "y", Cache: "default"})
	f(chat.Target{CacheMarks: "prompt_cache_breakpoint"}, `{"role":"user","content":[{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}},`+
		`{"type":"text","text":"y","prompt_cache_breakpoint":{"mode":"explicit"}}]}`, marked)
	f(chat.Target{JoinText: true}, `{"role":"user","content":"x\ny"}`, marked)
	kept := result(text("x"))
	kept.Cache = "5m"
	f(chat.Target{CacheMarks: "prompt_cache_breakpoint"}, `{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}]}`, kept)
	said := chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Text: "x", Cache: "5m"}}} // where OpenAI takes none
	f(chat.Target{CacheMarks: "prompt_cache_breakpoint"}, `{"role":"assistant","content":"x"}`, said)
	f(plain, `{"role":"function","name":"f","content":"x"}`, chat.Message{Role: chat.RoleTool, Name: "f", Parts: []chat.Part{text("x")}})
}

func TestAppendRequestTarget(t *testing.T) {
	f := func(change func(q *chat.Request), target chat.Target, want string, drops ...string) {
		t.Helper()
		q := foreign(user(text("x")))
		change(q)
		got, dropped := appended(t, q, target)
		if got = strings.TrimPrefix(got, `[{"role":"user","content":"x"}]`); got != want || !slices.Equal(dropped, drops) {
			t.Errorf("got  %s\nwant %s\ndropped %q, want %q", got, want, dropped, drops)
		}
	}
	limit := func(q *chat.Request) { q.MaxTokens = new(int64(5)) }
	f(limit, chat.Target{}, `,"max_completion_tokens":5`)
	f(limit, chat.Target{OldMaxTokens: true}, `,"max_tokens":5`)
	stream := func(q *chat.Request) { q.Stream = true }
	f(stream, chat.Target{}, `,"stream":true`)
	f(stream, chat.Target{AskUsage: true}, `,"stream":true,"stream_options":{"include_usage":true}`)
	f(stream, chat.Target{AskUsage: true, NoUsageOption: true}, `,"stream":true`)
	drawn := func(q *chat.Request) {
		q.Sampling = chat.Sampling{Temperature: new(0.0), TopP: new(0.5), TopK: new(int64(3)), Seed: new(int64(7)), LogitBias: []byte(`{"1":2}`)}
	}
	f(drawn, chat.Target{SeedName: "random_seed"}, `,"temperature":0,"top_p":0.5,"random_seed":7,"logit_bias":{"1":2}`, "top_k")
	f(drawn, chat.Target{TopK: true}, `,"temperature":0,"top_p":0.5,"top_k":3,"seed":7,"logit_bias":{"1":2}`)
	f(drawn, chat.Target{NoSampling: true}, "", "temperature", "top_p", "top_k", "seed", "logit_bias")

	think := func(r chat.Reasoning) func(q *chat.Request) { return func(q *chat.Request) { q.Reasoning = r } }
	f(think(chat.Reasoning{Mode: chat.ThinkOff}), chat.Target{}, `,"reasoning_effort":"none"`)
	f(think(chat.Reasoning{Mode: chat.ThinkAdaptive, Effort: "max"}), chat.Target{}, `,"reasoning_effort":"max"`)
	f(think(chat.Reasoning{Mode: chat.ThinkAdaptive}), chat.Target{}, ``)
	fewer := chat.Target{Efforts: []string{"low", "high"}}
	f(think(chat.Reasoning{Mode: chat.ThinkOff}), fewer, `,"reasoning_effort":"low"`, "reasoning_effort")
	f(think(chat.Reasoning{Mode: chat.ThinkAdaptive, Effort: "max"}), fewer, `,"reasoning_effort":"high"`, "reasoning_effort")
	f(think(chat.Reasoning{Mode: chat.ThinkAdaptive, Effort: "max"}), chat.Target{NoReasoning: true}, ``, "reasoning_effort")
	f(think(chat.Reasoning{Mode: chat.ThinkOff}), chat.Target{NoReasoning: true}, ``)
	f(think(chat.Reasoning{Mode: chat.ThinkBudget, Budget: 1024}), chat.Target{}, `,"reasoning_effort":"low"`)
	f(think(chat.Reasoning{Mode: chat.ThinkBudget, Budget: 8192}), chat.Target{}, `,"reasoning_effort":"medium"`)
	f(think(chat.Reasoning{Mode: chat.ThinkBudget, Budget: 32000, Summary: "auto"}), chat.Target{}, `,"reasoning_effort":"high"`, "reasoning.summary")
	f(think(chat.Reasoning{Mode: chat.ThinkBudget, Budget: 9}), chat.Target{Thinking: "thinking"}, `,"thinking":{"type":"enabled","budget_tokens":9}`)
	f(think(chat.Reasoning{Mode: chat.ThinkOff}), chat.Target{Thinking: "thinking"}, `,"thinking":{"type":"disabled"}`)
	f(think(chat.Reasoning{Mode: chat.ThinkAdaptive}), chat.Target{Thinking: "reasoning"}, `,"reasoning":{"enabled":true}`)
	f(think(chat.Reasoning{Effort: "low"}), chat.Target{Thinking: "reasoning"}, `,"reasoning":{"effort":"low"}`)

	const tool = `{"type":"function","function":{"name":"f"}}`
	tools := func(c chat.ToolChoice) func(q *chat.Request) {
		return func(q *chat.Request) {
			q.Choice, q.Tools = c, []chat.Tool{{Name: "f"}, {Kind: chat.Custom, Name: "g"}, {Kind: chat.Hosted, Name: "web_search", Parameters: []byte(`{}`)}}
		}
	}
	const both = `,"tools":[` + tool + `,{"type":"custom","custom":{"name":"g"}}]`
	f(tools(chat.ToolChoice{}), chat.Target{}, both, "tools.web_search")
	f(tools(chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"g"}}), chat.Target{}, both+`,"tool_choice":{"type":"custom","custom":{"name":"g"}}`, "tools.web_search")
	f(tools(chat.ToolChoice{Mode: chat.ChoiceAuto, Only: []string{"f", "g"}}), chat.Target{}, both+
		`,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[`+tool+`,{"type":"custom","custom":{"name":"g"}}]}}`, "tools.web_search")
	f(tools(chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"f", "h"}}), chat.Target{NoAllowedTools: true},
		`,"tools":[`+tool+`],"tool_choice":"required"`, "tools.web_search")
	f(tools(chat.ToolChoice{Mode: chat.ChoiceAuto, Only: []string{"f"}}), chat.Target{NoAllowedTools: true},
		`,"tools":[`+tool+`],"tool_choice":"auto"`, "tools.web_search")
	f(tools(chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"f"}}), chat.Target{NoAllowedTools: true},
		both+`,"tool_choice":`+tool, "tools.web_search")

	extra := func(name, value string) func(q *chat.Request) {
		return func(q *chat.Request) { q.Extra = []chat.Member{{Name: name, Value: []byte(value)}} }
	}
	f(extra("safety_identifier", `"x"`), chat.Target{}, `,"safety_identifier":"x"`)
	f(extra("inference_geo", `"eu"`), chat.Target{}, "", "inference_geo")
	f(extra("background", `false`), chat.Target{}, "", "background")
	f(func(q *chat.Request) { q.ServiceTier = "standard_only" }, chat.Target{}, `,"service_tier":"default"`)
	f(func(q *chat.Request) { q.Format = chat.Format{Kind: chat.FormatSchema, Schema: []byte(`{}`)} }, chat.Target{},
		`,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{}}}`)
	f(func(q *chat.Request) {
		q.Messages[0].Parts = append(q.Messages[0].Parts, chat.Part{Kind: chat.PartOther, Raw: []byte(`{"type":"search_result"}`)})
	}, chat.Target{}, "", "messages.content.search_result")
	// A message of nothing but what others know is left out, but for the result of a call.
	silent := []chat.Part{{Kind: chat.PartOther, Raw: []byte(`{"type":"server_tool_use"}`)}}
	f(func(q *chat.Request) {
		q.Messages = append(q.Messages, chat.Message{Role: chat.RoleAssistant, Parts: silent}, user(silent...), chat.Message{Role: chat.RoleSystem, Parts: silent})
	}, chat.Target{}, "", "messages.content.server_tool_use")
	f(func(q *chat.Request) {
		q.Messages[0] = chat.Message{Role: chat.RoleTool, CallID: "a", Parts: silent}
	}, chat.Target{}, `[{"role":"tool","tool_call_id":"a","content":""}]`, "messages.content.server_tool_use")
}

func TestAppendRequestRefuses(t *testing.T) {
	f := func(param string, target chat.Target, change func(q *chat.Request)) {
		t.Helper()
		q := foreign(user(text("x")))
		change(q)
		_, _, err := openai.AppendRequest(nil, q, &target)
		var e *chat.Error
		if !errors.As(err, &e) || e.Param != param || e.Type != "invalid_request_error" || !strings.HasPrefix(e.Message, param+" ") {
			t.Errorf("%s: got %v", param, err)
		}
	}
	add := func(p chat.Part) func(q *chat.Request) {
		return func(q *chat.Request) { q.Messages[0].Parts = append(q.Messages[0].Parts, p) }
	}
	f("messages[0].content", chat.Target{}, add(media(chat.PartImage, chat.Media{ID: "file-1"})))
	f("messages[0].content", chat.Target{}, add(media(chat.PartAudio, chat.Media{URL: "https://example.org/a.wav"})))
	f("messages", chat.Target{}, func(q *chat.Request) { // what a tool has drawn waits for the user's turn
		drawn := chat.Message{Role: chat.RoleTool, CallID: "c", Parts: []chat.Part{media(chat.PartImage, chat.Media{ID: "file-1"})}}
		q.Messages = append(q.Messages, drawn)
	})
	f("messages", chat.Target{}, func(q *chat.Request) {
		q.Messages[0].Parts = []chat.Part{{Kind: chat.PartOther, Raw: []byte(`{"type":"container_upload"}`)}}
	})
	f("previous_response_id", chat.Target{}, func(q *chat.Request) { q.Previous = "resp_1" })
	f("conversation", chat.Target{}, func(q *chat.Request) { q.Extra = []chat.Member{{Name: "conversation", Value: []byte(`"c"`)}} })
	f("background", chat.Target{}, func(q *chat.Request) { q.Extra = []chat.Member{{Name: "background", Value: []byte(`true`)}} })
	f("max_tokens", chat.Target{}, func(q *chat.Request) { q.MaxTokens = new(int64(0)) })
	f("top_k", chat.Target{Refuse: true}, func(q *chat.Request) { q.Sampling.TopK = new(int64(3)) })
	f("temperature", chat.Target{Refuse: true, NoSampling: true}, func(q *chat.Request) { q.Sampling.Temperature = new(1.0) })
	hosted := []chat.Tool{{Kind: chat.Hosted, Name: "web_search", Parameters: []byte(`{}`)}}
	f("tool_choice", chat.Target{}, func(q *chat.Request) {
		q.Tools, q.Choice.Mode = hosted, chat.ChoiceRequired
	})
	f("tool_choice", chat.Target{}, func(q *chat.Request) {
		q.Tools, q.Choice = []chat.Tool{hosted[0], {Name: "f"}}, chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"web_search"}}
	})
}
