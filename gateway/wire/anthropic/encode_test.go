package anthropic_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func text(s string) []chat.Part { return []chat.Part{{Text: s}} }

func user(s string) chat.Message { return chat.Message{Role: chat.RoleUser, Parts: text(s)} }

func system(s string) chat.Message { return chat.Message{Role: chat.RoleSystem, Parts: text(s)} }

func assistant(parts ...chat.Part) chat.Message {
	return chat.Message{Role: chat.RoleAssistant, Parts: parts}
}

func call(id, name, arguments string) chat.Part {
	return chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: id, Name: name, Arguments: arguments}}
}

func result(id, s string) chat.Message {
	return chat.Message{Role: chat.RoleTool, CallID: id, Parts: text(s)}
}

func function(name string) chat.Tool {
	return chat.Tool{Name: name, Parameters: json.RawMessage(`{"type":"object"}`)}
}

// sent is what a request from a caller of OpenAI's becomes, member by member, and what is dropped.
func sent(t *testing.T, q chat.Request, target chat.Target) (body map[string]json.RawMessage, dropped []string) {
	t.Helper()
	if q.Dialect == "" {
		q.Dialect = "openai"
	}
	if q.Messages == nil {
		q.Messages = []chat.Message{user("Hi")}
	}
	if target.Model == "" {
		target.Model = "m"
	}
	b, dropped, err := anthropic.AppendRequest(nil, &q, &target)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	if err := json.Unmarshal(b, &body); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if _, err := anthropic.DecodeRequest(b); err != nil {
		t.Fatalf("%s is not a request: %v", b, err)
	}
	return body, dropped
}

// checkSent compares some members of what is sent, written as they stand in the body, with "" for none.
func checkSent(t *testing.T, q chat.Request, target chat.Target, dropped string, want ...string) {
	t.Helper()
	body, names := sent(t, q, target)
	if got := strings.Join(names, " "); got != dropped {
		t.Errorf("dropped %q, want %q", got, dropped)
	}
	for i := 0; i < len(want); i += 2 {
		if got := string(body[want[i]]); got != want[i+1] {
			t.Errorf("%s: got %s, want %s", want[i], got, want[i+1])
		}
	}
}

func TestTurns(t *testing.T) {
	f := func(system, messages string, list ...chat.Message) {
		t.Helper()
		checkSent(t, chat.Request{Messages: list}, chat.Target{}, "", "system", system, "messages", messages)
	}
	// System messages keep their order, and go to the front from everywhere.
	f(`[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":"c"}]`,
		`[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"Ho"}]}]`,
		system("a"), chat.Message{Role: chat.RoleDeveloper, Parts: text("b")}, user("Hi"), system("c"), user("Ho"))
	// Texts of nothing but white space are refused by the API (litellm #23835).
	f("", `[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"Ho"}]}]`,
		system(" \n"), user("Hi"), assistant(chat.Part{Text: ""}), chat.Message{Role: chat.RoleUser, Parts: []chat.Part{{Text: "\t"}, {Text: "Ho"}}})
	// A request of system messages alone.
	f("", `[{"role":"user","content":[{"type":"text","text":"Say hi."},{"type":"text","text":"Loudly."}]}]`, system("Say hi."), system("Loudly."))
	// Results come in one turn, before what the user says, however callers order them (cai #182).
	f("", `[{"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"a","name":"f","input":{"x":1}},{"type":"tool_use","id":"b","name":"g","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"}]},{"type":"tool_result","tool_use_id":"b"},{"type":"text","text":"wait"}]}]`,
		assistant(chat.Part{Text: "I look."}, call("a", "f", `{"x":1}`)), assistant(call("b", "g", "")),
		result("a", "1"), user("wait"), result("b", ""))
	// Ids that the API would refuse stay the same in call and result (bifrost #3441).
	f("", `[{"role":"assistant","content":[{"type":"tool_use","id":"sluice_ZnVuY3Rpb25zLmY6MA","name":"f","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"sluice_ZnVuY3Rpb25zLmY6MA","content":[{"type":"text","text":"1"}]}]}]`,
		assistant(call("functions.f:0", "f", "null")), result("functions.f:0", "1"))
	// Functions of before tool calls have no ids: results are matched by name.
	f("", `[{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"f","input":{}},{"type":"tool_use","id":"call_2","name":"g","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_2","content":[{"type":"text","text":"g"}]},{"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"f"}]}]}]`,
		assistant(call("", "f", "{}"), call("", "g", "{}")),
		chat.Message{Role: chat.RoleTool, Name: "g", Parts: text("g")}, chat.Message{Role: chat.RoleTool, Name: "f", Parts: text("f")})
	// A result of nothing known keeps its name for an id.
	f("", `[{"role":"user","content":[{"type":"tool_result","tool_use_id":"f","content":[{"type":"text","text":"1"}]}]}]`, chat.Message{Role: chat.RoleTool, Name: "f", Parts: text("1")})
	// Half a surrogate pair is refused, wherever it stands.
	f("", `[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"a":"\ufffd","b":"\ud83d\ude00"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"}]}]}]`,
		assistant(call("a", "f", `{"a":"\ud800","b":"\ud83d\ude00"}`)), result("a", "1"))
	// A refusal is said; free text becomes an argument.
	f("", `[{"role":"assistant","content":[{"type":"text","text":"No."},{"type":"tool_use","id":"a","name":"p","input":{"input":"*** \"x\""}}]},{"role":"user","content":[{"type":"text","text":"?"}]}]`,
		assistant(chat.Part{Kind: chat.PartRefusal, Text: "No."}, chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "a", Kind: chat.Custom, Name: "p", Arguments: `*** "x"`}}), user("?"))
	// White space at the end of what the model is to continue is refused, also in front of a text that is left out.
	f("", `[{"role":"user","content":[{"type":"text","text":"?"}]},{"role":"assistant","content":[{"type":"text","text":"abc"}]}]`,
		user("?"), assistant(chat.Part{Text: "abc  "}, chat.Part{Text: "  "}))
	// What was spoken is said in writing.
	f("", `[{"role":"assistant","content":[{"type":"text","text":"Hello"}]},{"role":"user","content":[{"type":"text","text":"?"}]}]`,
		assistant(chat.Part{Kind: chat.PartAudio, Text: "Hello", Media: &chat.Media{ID: "audio_1"}}), user("?"))
	// A failed call says so, and a mark behind a message is one behind its last part.
	f("", `[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{},"cache_control":{"type":"ephemeral","ttl":"1h"}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"content":[{"type":"text","text":"1"}],"cache_control":{"type":"ephemeral"}}]}]`,
		chat.Message{Role: chat.RoleAssistant, Cache: "1h", Parts: []chat.Part{call("a", "f", "{}")}},
		chat.Message{Role: chat.RoleTool, CallID: "a", Failed: true, Cache: "default", Parts: text("1")})
}

// System messages stay where they are if the target takes them, but not between calls and their results, nor where the API
// refuses them: they stand between what the user says and what the assistant does, and at the front if there is no such place.
func TestMidSystem(t *testing.T) {
	f := func(messages string, list ...chat.Message) {
		t.Helper()
		checkSent(t, chat.Request{Messages: list}, chat.Target{MidSystem: true}, "", "system", `[{"type":"text","text":"s"}]`, "messages", messages)
	}
	const calls = `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{}}]}`
	const results = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"}]},{"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"2"}]}]}`
	const brief = `{"role":"system","content":[{"type":"text","text":"Be brief."}]}`
	both := assistant(call("a", "f", ""), call("b", "f", ""))
	f(`[`+calls+`,`+results+`,`+brief+`]`, system("s"), both, result("a", "1"), system("Be brief."), result("b", "2"))
	f(`[`+calls+`,`+results+`,`+brief+`]`, system("s"), both, system("Be brief."), result("a", "1"), result("b", "2"))
	const go1 = `{"type":"text","text":"Go"}`
	const go2 = `{"role":"user","content":[` + go1 + `]}`
	const kind = `{"role":"system","content":[{"type":"text","text":"Be brief."},{"type":"text","text":"Be kind."}]}`
	f(`[`+calls+`,`+strings.TrimSuffix(results, "]}")+`,`+go1+`]},`+kind+`]`,
		system("s"), both, result("a", "1"), system("Be brief."), result("b", "2"), chat.Message{Role: chat.RoleDeveloper, Parts: text("Be kind.")}, user("Go"))
	const said = `{"role":"assistant","content":[{"type":"text","text":"A"}]}`
	f(`[`+go2+`,`+said+`,`+go2+`,`+kind+`,`+said+`,`+go2+`,`+brief+`]`,
		system("s"), user("Go"), assistant(text("A")...), system("Be brief."), user("Go"), system("Be kind."), assistant(text("A")...), user("Go"), system("Be brief."))
	front := func(messages string, list ...chat.Message) {
		t.Helper()
		checkSent(t, chat.Request{Messages: list}, chat.Target{MidSystem: true}, "",
			"system", `[{"type":"text","text":"s"},{"type":"text","text":"Be brief."}]`, "messages", messages)
	}
	const twice = `{"role":"assistant","content":[{"type":"text","text":"A"},{"type":"text","text":"A"}]}`
	front(`[`+go2+`,`+twice+`,`+go2+`]`, system("s"), user("Go"), assistant(text("A")...), system("Be brief."), assistant(text("A")...), user("Go"))
	front(`[`+go2+`,`+said+`]`, system("s"), user("Go"), assistant(text("A")...), system("Be brief."))
	front(`[`+go2+`,`+said+`]`, system("s"), system("Be brief."), user("Go"), assistant(text("A")...))
}

func TestMedia(t *testing.T) {
	f := func(kind chat.PartKind, m chat.Media, said, want string) {
		t.Helper()
		q := chat.Request{Messages: []chat.Message{{Role: chat.RoleUser, Parts: []chat.Part{{Kind: kind, Media: &m, Text: said}}}}}
		checkSent(t, q, chat.Target{}, "", "messages", `[{"role":"user","content":[`+want+`]}]`)
	}
	image, file := chat.PartImage, chat.PartFile
	f(image, chat.Media{Data: "iVBORw0K", Type: "image/png", Detail: "low"}, "", `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0K"}}`)
	f(image, chat.Media{Data: "/9j/4A", Type: "image/jpg"}, "", `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4A"}}`)
	f(image, chat.Media{Data: "UklGRg"}, "", `{"type":"image","source":{"type":"base64","media_type":"image/webp","data":"UklGRg"}}`)
	f(image, chat.Media{URL: "https://x/y"}, "", `{"type":"image","source":{"type":"url","url":"https://x/y"}}`)
	f(image, chat.Media{ID: "file_1"}, "", `{"type":"image","source":{"type":"file","file_id":"file_1"}}`)
	f(image, chat.Media{Data: "JVBERi0", Type: "application/pdf"}, "", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0"}}`)
	f(file, chat.Media{Data: "JVBERi0", Name: "a.pdf"}, "", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0"},"title":"a.pdf"}`)
	f(file, chat.Media{Data: "R0lGOD", Type: "application/octet-stream"}, "", `{"type":"image","source":{"type":"base64","media_type":"image/gif","data":"R0lGOD"}}`)
	f(file, chat.Media{Data: "aMOkICJ4Ig==", Type: "text/csv; charset=utf-8", Name: "a"}, "", `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hä \"x\""},"title":"a"}`)
	f(file, chat.Media{Type: "text/plain"}, "words", `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}}`)
	f(file, chat.Media{URL: "https://x/y.pdf"}, "", `{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}}`)
	f(file, chat.Media{ID: "file_1"}, "", `{"type":"document","source":{"type":"file","file_id":"file_1"}}`)
}

func TestTools(t *testing.T) {
	tools := []chat.Tool{function("f"), function("g"), function("h")}
	f := func(q chat.Request, dropped, wantTools, wantChoice string) {
		t.Helper()
		checkSent(t, q, chat.Target{}, dropped, "tools", wantTools, "tool_choice", wantChoice)
	}
	const all = `[{"name":"f","input_schema":{"type":"object"}},{"name":"g","input_schema":{"type":"object"}},{"name":"h","input_schema":{"type":"object"}}]`
	choose := func(mode chat.ChoiceMode, only ...string) chat.Request {
		return chat.Request{Tools: tools, Choice: chat.ToolChoice{Mode: mode, Only: only}}
	}
	f(choose(chat.ChoiceUnset), "", all, "")
	f(choose(chat.ChoiceAuto), "", all, `{"type":"auto"}`)
	f(choose(chat.ChoiceNone), "", all, `{"type":"none"}`)
	f(choose(chat.ChoiceRequired), "", all, `{"type":"any"}`)
	f(choose(chat.ChoiceRequired, "g"), "", all, `{"type":"tool","name":"g"}`)
	// Allowed tools are the only ones offered (bifrost #7348).
	f(choose(chat.ChoiceAuto, "g"), "", `[{"name":"g","input_schema":{"type":"object"}}]`, `{"type":"auto"}`)
	f(choose(chat.ChoiceRequired, "f", "h"), "", `[{"name":"f","input_schema":{"type":"object"}},{"name":"h","input_schema":{"type":"object"}}]`, `{"type":"any"}`)
	hosted := choose(chat.ChoiceAuto, "bash", "h")
	hosted.Tools = append([]chat.Tool{{Kind: chat.Hosted, Name: "bash_20250124", Parameters: json.RawMessage(`{"type":"bash_20250124","name":"bash"}`)}}, tools...)
	f(hosted, "", `[{"type":"bash_20250124","name":"bash"},{"name":"h","input_schema":{"type":"object"}}]`, `{"type":"auto"}`)
	f(chat.Request{Choice: chat.ToolChoice{Mode: chat.ChoiceAuto}}, "", "", "") // the API refuses a choice without tools
	// A hosted tool is chosen by its name, whatever other dialects call it by.
	hosted.Choice = chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"bash_20250124"}}
	f(hosted, "", `[{"type":"bash_20250124","name":"bash"},`+all[1:], `{"type":"tool","name":"bash"}`)

	// One call at a time needs a choice to say so.
	single := func(mode chat.ChoiceMode, parallel bool) chat.Request {
		q := choose(mode)
		q.Parallel = &parallel
		return q
	}
	f(single(chat.ChoiceUnset, false), "", all, `{"type":"auto","disable_parallel_tool_use":true}`)
	f(single(chat.ChoiceRequired, false), "", all, `{"type":"any","disable_parallel_tool_use":true}`)
	f(single(chat.ChoiceNone, false), "", all, `{"type":"none"}`)
	f(single(chat.ChoiceUnset, true), "", all, "")

	one := func(tool chat.Tool) chat.Request { return chat.Request{Tools: []chat.Tool{tool}} }
	f(one(chat.Tool{Name: "f", Description: "d", Strict: new(true), Cache: "5m"}), "",
		`[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}},"strict":true,"cache_control":{"type":"ephemeral","ttl":"5m"}}]`, "")
	f(one(chat.Tool{Name: "f", Parameters: json.RawMessage(`{ }`)}), "", `[{"name":"f","input_schema":{"type":"object","properties":{}}}]`, "")
	f(one(chat.Tool{Name: "f", Parameters: json.RawMessage(`{"properties":{"type":{}}}`)}), "", `[{"name":"f","input_schema":{"type":"object","properties":{"type":{}}}}]`, "")
	f(one(chat.Tool{Name: "p", Kind: chat.Custom, Parameters: json.RawMessage(`{"type":"text"}`)}), "",
		`[{"name":"p","input_schema":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}]`, "")
	// Another provider's own tools cannot be had; Anthropic's can, whoever asks for them.
	f(one(chat.Tool{Kind: chat.Hosted, Name: "web_search", Parameters: json.RawMessage(`{"type":"web_search"}`)}), "tools.web_search", "", "")
	f(one(chat.Tool{Kind: chat.Hosted, Name: "web_search_20250305", Parameters: json.RawMessage(`{"type":"web_search_20250305","name":"web_search"}`)}), "",
		`[{"type":"web_search_20250305","name":"web_search"}]`, "")
}

// An effort is adaptive thinking on newer models, a budget that leaves room for the answer on old ones.
func TestEffort(t *testing.T) {
	f := func(q chat.Request, target chat.Target, dropped, thinking, output, limit string) {
		t.Helper()
		checkSent(t, q, target, dropped, "thinking", thinking, "output_config", output, "max_tokens", limit)
	}
	effort := func(e string) chat.Request { return chat.Request{Reasoning: chat.Reasoning{Effort: e}} }
	adaptive, old := chat.Target{Adaptive: true, MaxOutput: 64000}, chat.Target{MaxOutput: 64000}
	f(effort(""), adaptive, "", "", "", "64000")
	f(effort("none"), adaptive, "", `{"type":"disabled"}`, "", "64000")
	f(effort("minimal"), adaptive, "", `{"type":"adaptive"}`, `{"effort":"low"}`, "64000")
	f(effort("high"), adaptive, "", `{"type":"adaptive"}`, `{"effort":"high"}`, "64000")
	f(chat.Request{Reasoning: chat.Reasoning{Effort: "max", Summary: "detailed"}}, adaptive, "", `{"type":"adaptive","display":"summarized"}`, `{"effort":"max"}`, "64000")
	f(chat.Request{Reasoning: chat.Reasoning{Mode: chat.ThinkBudget, Budget: 2000, Summary: "omitted"}}, adaptive, "", `{"type":"adaptive","display":"omitted"}`, `{"effort":"low"}`, "64000")
	f(chat.Request{Reasoning: chat.Reasoning{Mode: chat.ThinkBudget, Budget: 30000}}, adaptive, "", `{"type":"adaptive"}`, `{"effort":"high"}`, "64000")

	always := chat.Target{Adaptive: true, AlwaysThinks: true, MaxOutput: 64000}
	f(effort("none"), always, "reasoning_effort", `{"type":"adaptive"}`, `{"effort":"low"}`, "64000")
	f(effort("high"), always, "", `{"type":"adaptive"}`, `{"effort":"high"}`, "64000")
	f(effort("max"), chat.Target{Adaptive: true, Efforts: []string{"low", "high"}, MaxOutput: 64000}, "reasoning_effort", `{"type":"adaptive"}`, `{"effort":"high"}`, "64000")
	f(effort("high"), chat.Target{NoReasoning: true}, "reasoning_effort", "", "", "8192")
	f(effort("none"), chat.Target{NoReasoning: true}, "", "", "", "8192")

	f(effort("none"), old, "", `{"type":"disabled"}`, "", "64000")
	f(effort("minimal"), old, "", `{"type":"enabled","budget_tokens":1024}`, "", "64000")
	f(effort("medium"), old, "", `{"type":"enabled","budget_tokens":8192}`, "", "64000")
	f(effort("high"), old, "", `{"type":"enabled","budget_tokens":24576}`, "", "64000")
	f(effort("xhigh"), old, "", `{"type":"enabled","budget_tokens":32768}`, "", "64000")
	f(effort("max"), old, "", `{"type":"enabled","budget_tokens":48000}`, "", "64000")
	f(effort("high"), chat.Target{}, "", `{"type":"enabled","budget_tokens":6144}`, "", "8192")
	f(chat.Request{Reasoning: chat.Reasoning{Mode: chat.ThinkAdaptive}}, old, "", `{"type":"enabled","budget_tokens":8192}`, "", "64000")
	f(chat.Request{Reasoning: chat.Reasoning{Mode: chat.ThinkBudget, Budget: 10000}}, chat.Target{}, "", `{"type":"enabled","budget_tokens":10000}`, "", "18192")
	f(chat.Request{Reasoning: chat.Reasoning{Mode: chat.ThinkBudget, Budget: 10000}}, chat.Target{MaxOutput: 4096}, "", `{"type":"enabled","budget_tokens":3072}`, "", "4096")
	f(chat.Request{MaxTokens: new(int64(4000)), Reasoning: chat.Reasoning{Mode: chat.ThinkBudget, Budget: 5000}}, old, "", `{"type":"enabled","budget_tokens":3000}`, "", "4000")
	f(chat.Request{MaxTokens: new(int64(900)), Reasoning: chat.Reasoning{Mode: chat.ThinkBudget, Budget: 5000}}, old, "reasoning_effort", "", "", "900")
	f(chat.Request{Reasoning: chat.Reasoning{Mode: chat.ThinkBetweenTools}}, old, "reasoning_effort", "", "", "64000")

	limited := func(n int64) chat.Request {
		q := effort("high")
		q.MaxTokens = &n
		return q
	}
	f(limited(4000), old, "", `{"type":"enabled","budget_tokens":3000}`, "", "4000")
	f(limited(1100), old, "", `{"type":"enabled","budget_tokens":1024}`, "", "1100")
	f(limited(1024), old, "reasoning_effort", "", "", "1024")
	f(limited(1000), adaptive, "", `{"type":"adaptive"}`, `{"effort":"high"}`, "1000")
}

// A budget for thinking goes with neither forced calls nor a turn whose calls were made without signed thoughts (litellm
// #15601, openai-agents #1704).
func TestThinkingDropped(t *testing.T) {
	thought := chat.Part{Kind: chat.PartReasoning, Text: "Hm", Signature: "s"}
	f := func(dropped string, thinks bool, q chat.Request, target chat.Target) {
		t.Helper()
		q.Reasoning.Effort, q.Tools = "low", []chat.Tool{function("f")}
		body, names := sent(t, q, target)
		if got := strings.Join(names, " "); got != dropped {
			t.Errorf("dropped %q, want %q", got, dropped)
		}
		if (body["thinking"] != nil) != thinks {
			t.Errorf("thinking is %s", body["thinking"])
		}
	}
	loop := func(parts ...chat.Part) chat.Request {
		return chat.Request{Messages: []chat.Message{user("Hi"), assistant(parts...), result("a", "1")}}
	}
	var old chat.Target
	f("", true, loop(thought, call("a", "f", "")), old)
	f("", true, loop(chat.Part{Kind: chat.PartRedacted, Signature: "s"}, call("a", "f", "")), old)
	f("", true, loop(chat.Part{Kind: chat.PartReasoning, Signature: "s"}, call("a", "f", "")), old) // not shown, but signed
	f("reasoning_effort", false, loop(call("a", "f", "")), old)
	f("reasoning_effort", false, loop(chat.Part{Text: "I look."}, thought, call("a", "f", "")), old)
	f("reasoning_effort reasoning_content", false, loop(chat.Part{Kind: chat.PartReasoning, Text: "not signed"}, call("a", "f", "")), old)
	f("", true, loop(call("a", "f", "")), chat.Target{Adaptive: true})

	f("", true, chat.Request{Messages: []chat.Message{user("Hi"), result("a", "1")}}, old)
	f("", true, loop(chat.Part{Text: " "}), old)
	again := loop(call("a", "f", ""))
	again.Messages = append(again.Messages, assistant(chat.Part{Text: "Done."}), user("And now?"))
	f("", true, again, old)
	both := loop(call("a", "f", ""))
	both.Messages = append(both.Messages, user("by the way"))
	f("reasoning_effort", false, both, old)
	split := chat.Request{Messages: []chat.Message{user("Hi"), assistant(thought), assistant(call("a", "f", "")), result("a", "1")}}
	f("", true, split, old)

	f("reasoning_effort", false, chat.Request{Choice: chat.ToolChoice{Mode: chat.ChoiceRequired}}, old)
	f("", true, chat.Request{Choice: chat.ToolChoice{Mode: chat.ChoiceAuto}}, old)
}

func TestSampling(t *testing.T) {
	f := func(s chat.Sampling, effort string, target chat.Target, dropped, temperature, topP, topK string) {
		t.Helper()
		q := chat.Request{Sampling: s, Reasoning: chat.Reasoning{Effort: effort}, Dialect: "openai"}
		checkSent(t, q, target, dropped, "temperature", temperature, "top_p", topP, "top_k", topK)
	}
	var old chat.Target
	newer := chat.Target{NoSampling: true, Adaptive: true}
	f(chat.Sampling{}, "", old, "", "", "", "")
	f(chat.Sampling{Temperature: new(0.0)}, "", old, "", "0", "", "")
	f(chat.Sampling{Temperature: new(1.7)}, "", old, "", "1", "", "")
	f(chat.Sampling{TopP: new(0.3), TopK: new(int64(5))}, "", old, "", "", "0.3", "5")
	f(chat.Sampling{Temperature: new(0.2), TopP: new(0.3)}, "", old, "top_p", "0.2", "", "")
	f(chat.Sampling{Temperature: new(0.2), TopP: new(1.0)}, "", old, "", "0.2", "", "")
	f(chat.Sampling{Temperature: new(1.0), TopP: new(0.5)}, "", old, "", "", "0.5", "")
	f(chat.Sampling{Temperature: new(1.0), TopP: new(1.0)}, "", old, "", "1", "", "")
	f(chat.Sampling{Temperature: new(0.2), TopP: new(0.3), TopK: new(int64(5))}, "", newer, "temperature top_p top_k", "", "", "")
	f(chat.Sampling{Temperature: new(0.2), TopP: new(0.3), TopK: new(int64(5))}, "low", old, "temperature top_p top_k", "", "", "")
	f(chat.Sampling{Temperature: new(1.0)}, "low", old, "", "1", "", "")
	f(chat.Sampling{TopP: new(0.96)}, "low", old, "", "", "0.96", "")
	f(chat.Sampling{Temperature: new(0.2)}, "none", old, "", "0.2", "", "")
}

func TestRest(t *testing.T) {
	f := func(q chat.Request, dropped string, want ...string) {
		t.Helper()
		checkSent(t, q, chat.Target{}, dropped, want...)
	}
	f(chat.Request{User: "u", Stop: []string{"a", "\n", ""}, Stream: true, ServiceTier: "default", Cache: "default"}, "stop",
		"metadata", `{"user_id":"u"}`, "stop_sequences", `["a"]`, "stream", "true", "service_tier", `"standard_only"`, "cache_control", `{"type":"ephemeral"}`)
	f(chat.Request{Stop: []string{"\n"}, ServiceTier: "flex"}, "stop service_tier", "stop_sequences", "", "service_tier", "")
	f(chat.Request{Format: chat.Format{Kind: chat.FormatSchema, Name: "n", Schema: json.RawMessage(`{"type":"object"}`), Strict: new(true)}}, "",
		"output_config", `{"format":{"type":"json_schema","schema":{"type":"object"}}}`)
	f(chat.Request{Format: chat.Format{Kind: chat.FormatJSON}}, "response_format",
		"system", `[{"type":"text","text":"Answer with one valid JSON object and nothing else: no words around it, and no code fence."}]`, "output_config", "")
	f(chat.Request{
		Sampling: chat.Sampling{Seed: new(int64(1)), FrequencyPenalty: new(0.5), PresencePenalty: new(0.5), LogitBias: json.RawMessage(`{"1":2}`)},
		Logprobs: new(true), TopLogprobs: new(int64(2)), Verbosity: "low", CacheKey: "k", Metadata: json.RawMessage(`{"a":"b"}`), Store: new(true),
		Messages: []chat.Message{{Role: chat.RoleUser, Name: "Ann", Parts: text("Hi")}},
		Extra:    []chat.Member{{Name: "prediction", Value: json.RawMessage(`{"type":"content"}`)}, {Name: "speed", Value: json.RawMessage(`"fast"`)}},
	}, "name frequency_penalty presence_penalty seed logit_bias logprobs top_logprobs verbosity prompt_cache_key metadata store prediction",
		"speed", `"fast"`, "messages", `[{"role":"user","content":[{"type":"text","text":"Hi"}]}]`)
	// What says no more than the default is no loss.
	f(chat.Request{
		N: 1, Sampling: chat.Sampling{FrequencyPenalty: new(0.0), PresencePenalty: new(0.0)}, Logprobs: new(false), TopLogprobs: new(int64(0)),
		Verbosity: "medium", Store: new(false), Parallel: new(true), Extra: []chat.Member{
			{Name: "modalities", Value: json.RawMessage(`["text"]`)},
			{Name: "background", Value: json.RawMessage(`false`)},
			{Name: "include", Value: json.RawMessage(`[]`)},
			{Name: "other", Value: json.RawMessage(`null`)},
		},
	}, "")
	// Parts that may not stand where they are.
	f(chat.Request{Messages: []chat.Message{
		{Role: chat.RoleSystem, Parts: []chat.Part{{Text: "s"}, {Kind: chat.PartImage, Media: &chat.Media{URL: "https://x"}}}},
		{Role: chat.RoleUser, Parts: []chat.Part{call("a", "f", ""), {Text: "Hi"}}},
	}}, "messages[0].content[1] messages[1].content[0]", "system", `[{"type":"text","text":"s"}]`, "messages", `[{"role":"user","content":[{"type":"text","text":"Hi"}]}]`)
	// Parts of another dialect are said if they have words.
	f(chat.Request{Messages: []chat.Message{{Role: chat.RoleUser, Parts: []chat.Part{
		{Kind: chat.PartOther, Raw: json.RawMessage(`{"type":"x"}`)}, {Kind: chat.PartOther, Raw: json.RawMessage(`{"type":"y"}`), Text: "found"},
	}}}}, "messages.content.x", "messages", `[{"role":"user","content":[{"type":"text","text":"found"}]}]`)
}

func TestRefusals(t *testing.T) {
	f := func(q chat.Request, target chat.Target, param, message string) {
		t.Helper()
		if q.Dialect == "" {
			q.Dialect = "openai"
		}
		if q.Messages == nil {
			q.Messages = []chat.Message{user("Hi")}
		}
		body, dropped, err := anthropic.AppendRequest([]byte("x"), &q, &target)
		var e *chat.Error
		if !errors.As(err, &e) || body != nil || dropped != nil {
			t.Fatalf("%+v: %s, %v", q, body, err)
		}
		if e.Type != "invalid_request_error" || e.Param != param || !strings.Contains(e.Message, message) {
			t.Errorf("got %+v, want %s: %s", *e, param, message)
		}
	}
	var old chat.Target
	part := func(p chat.Part) chat.Request {
		return chat.Request{Messages: []chat.Message{user("Hi"), {Role: chat.RoleUser, Parts: []chat.Part{{Text: "x"}, p}}}}
	}
	const at = "messages[1].content[1]"
	f(chat.Request{N: 2}, old, "n", "must be 1")
	f(chat.Request{Previous: "resp_1"}, old, "previous_response_id", "whole conversation")
	f(part(chat.Part{Kind: chat.PartAudio, Media: &chat.Media{Data: "x"}}), old, at, "no audio")
	f(part(chat.Part{Kind: chat.PartImage, Media: &chat.Media{Data: "x", Type: "image/bmp"}}), old, at, "image/jpeg")
	f(part(chat.Part{Kind: chat.PartImage, Media: &chat.Media{URL: "data:image/svg+xml,<svg/>"}}), old, at, "base64")
	f(part(chat.Part{Kind: chat.PartFile, Media: &chat.Media{Data: "UEsDBA", Type: "application/zip"}}), old, at, "PDF")
	f(part(chat.Part{Kind: chat.PartFile, Media: &chat.Media{Data: "!", Type: "text/plain"}}), old, at, "PDF")
	for _, m := range []chat.Member{
		{Name: "audio", Value: json.RawMessage(`{"voice":"x"}`)},
		{Name: "modalities", Value: json.RawMessage(`["text","audio"]`)},
		{Name: "background", Value: json.RawMessage(`true`)},
		{Name: "conversation", Value: json.RawMessage(`"c"`)},
		{Name: "prompt", Value: json.RawMessage(`{"id":"p"}`)},
	} {
		f(chat.Request{Extra: []chat.Member{m}}, old, m.Name, m.Name)
	}
	f(chat.Request{MaxTokens: new(int64(0))}, old, "max_completion_tokens", "at least 1")
	f(chat.Request{Choice: chat.ToolChoice{Mode: chat.ChoiceRequired}}, old, "tool_choice", "no tool")
	f(chat.Request{Tools: []chat.Tool{function("f")}, Choice: chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"x", "y"}}}, old, "tool_choice", "no tool")
	f(chat.Request{
		Tools:  []chat.Tool{{Kind: chat.Hosted, Name: "web_search", Parameters: json.RawMessage(`{"type":"web_search"}`)}, function("f")},
		Choice: chat.ToolChoice{Mode: chat.ChoiceRequired, Only: []string{"web_search"}},
	}, old, "tool_choice", "web_search")
	f(chat.Request{Messages: []chat.Message{user(" ")}}, old, "messages", "say something")
	f(chat.Request{Messages: []chat.Message{}}, old, "messages", "say something")

	// Arguments that are no object are refused where they stand, in the caller's words.
	bad := func(arguments string) chat.Request {
		return chat.Request{Messages: []chat.Message{user("Hi"), assistant(chat.Part{Text: "x"}, call("a", "f", "{}"), call("b", "f", arguments)), result("b", "1")}}
	}
	for _, arguments := range []string{`{"a":`, `[]`, `"x"`, `{} {}`, "{\"a\":\"\xff\"}", `1`} {
		f(bad(arguments), old, "messages[1].tool_calls[1].function.arguments", "JSON object")
	}
	other := bad("x")
	other.Dialect = "gemini"
	f(other, old, "messages[1].content[2]", "JSON object")

	// What would be dropped is refused if the target says so.
	strict := chat.Target{Refuse: true}
	f(chat.Request{Sampling: chat.Sampling{Seed: new(int64(1))}}, strict, "seed", "cannot be carried")
	f(chat.Request{Format: chat.Format{Kind: chat.FormatJSON}}, strict, "response_format", "cannot be carried")
	if _, _, err := anthropic.AppendRequest(nil, &chat.Request{Messages: []chat.Message{user("Hi")}}, &strict); err != nil {
		t.Errorf("a plain request: %v", err)
	}
}

// Nothing of what is dropped is named twice.
func TestDroppedOnce(t *testing.T) {
	q := chat.Request{Messages: []chat.Message{{Role: chat.RoleUser, Name: "a", Parts: text("x")}, {Role: chat.RoleUser, Name: "b", Parts: text("y")}}, Stop: []string{" ", "\n"}}
	if _, dropped := sent(t, q, chat.Target{}); !slices.Equal(dropped, []string{"name", "stop"}) {
		t.Errorf("dropped %v", dropped)
	}
}

// The API takes four marks. Those that are written count, once each: also those in what is written as it came.
func TestMarks(t *testing.T) {
	marked := func(s string) chat.Message {
		return chat.Message{Role: chat.RoleUser, Parts: []chat.Part{{Text: s, Cache: "5m"}}}
	}
	f := func(q chat.Request, want, dropped int) {
		t.Helper()
		q.Model = "m"
		body, names, err := anthropic.AppendRequest(nil, &q, &chat.Target{Model: "m"})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(body), `"cache_control":{`); n != want || len(names) != dropped {
			t.Errorf("%d marks, dropped %v: %s", n, names, body)
		}
	}
	twice := marked("x") // a mark of the message, and one of its last part
	twice.Cache = "5m"
	f(chat.Request{Messages: []chat.Message{twice, marked("a"), marked("b"), marked("c")}}, 4, 0)
	f(chat.Request{Messages: []chat.Message{twice, marked("a"), marked("b"), marked("c"), marked("d")}}, 4, 1)
	thought := chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Kind: chat.PartReasoning, Text: "t", Signature: "s", Cache: "5m"}, {Text: "x"}}}
	f(chat.Request{Messages: []chat.Message{marked("a"), thought, marked("b"), marked("c"), marked("d")}}, 4, 0)
	raw := chat.Message{Role: chat.RoleUser, Parts: []chat.Part{
		{Kind: chat.PartOther, Raw: json.RawMessage(`{"type":"search_result","cache_control":{"type":"ephemeral"}}`)},
		{Kind: chat.PartOther, Raw: json.RawMessage(`{"type":"search_result","cache_control":null}`)},
	}}
	bash := chat.Tool{Kind: chat.Hosted, Name: "bash_20250124", Parameters: json.RawMessage(`{"type":"bash_20250124","name":"bash","cache_control":{"type":"ephemeral"}}`)}
	q := chat.Request{Dialect: "anthropic", Tools: []chat.Tool{bash}, Messages: []chat.Message{marked("a"), raw, marked("b"), marked("c")}}
	f(q, 4, 1)
	q.Messages = q.Messages[1:]
	f(q, 4, 0)
}
