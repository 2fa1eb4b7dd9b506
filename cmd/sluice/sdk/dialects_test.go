package sdk

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// api is what an application sees of the API that its client uses.
type api struct {
	done, called string // why an answer ends: it is complete, or has calls
	types        bool   // errors have types instead of codes
	version      string // of Anthropic's API
}

var (
	chatAPI       = api{done: "stop", called: "tool_calls"}
	responsesAPI  = api{done: "completed", called: "completed"}
	oldMessages   = api{done: "end_turn", called: "tool_use", types: true, version: "2023-06-01"}
	newMessages   = api{done: "end_turn", called: "tool_use", types: true, version: "2026-10-21"}
	aiAPI         = api{done: "stop", called: "tool-calls"}
	aiMessagesAPI = api{done: "stop", called: "tool-calls", types: true, version: "2023-06-01"}
)

const aiBroken = "AI_StreamProviderError"

// column is a provider.
type column struct {
	name  string // what stands before the names of its models
	image string // what an image looks like there
	sign  string // what the signature of a thought is called there; "" if it has none
}

var (
	chatColumn      = column{"chat", `"type":"image_url"`, ""}
	anthropicColumn = column{"anthropic", `"type":"image"`, `"signature":"`}
	// A provider that has nothing but the Responses API.
	responsesColumn = column{"responses", `"type":"input_image"`, `"encrypted_content":"`}
	openaiColumn    = column{"openai", `"type":"input_image"`, `"encrypted_content":"`}
)

// speaker is a client, and the providers that it talks to.
type speaker struct {
	kind
	api
	columns []column
	lacks   []lack
}

// lack is what a client has no means for, whoever answers.
type lack string

const (
	thinking  lack = "a way to show thoughts, or to ask for them"
	replay    lack = "memory for the thoughts before calls"
	obedience lack = "respect for x-should-retry"
	hearing   lack = "ears for response.failed, which OpenAI sends itself and which passes as it is: a stream without a finish reason"
)

// Providers of a speaker.
var (
	usual   = []column{chatColumn, anthropicColumn, responsesColumn}
	keeping = []column{chatColumn, anthropicColumn, openaiColumn} // the last keeps answers itself
)

// What is said of an exception in the middle of a stream is a list of the classes that it may have.
var speakers = []speaker{
	{kind{"openai-python", python("chat.py"), official, "APIError", 2}, chatAPI, usual, nil},
	{kind{"openai-node", node("chat.cjs"), official, "APIError", 2}, chatAPI, usual, nil},
	{kind{"openai-go", newOpenAIGo, one("*openai.Error"), "*ssestream.StreamError", 2}, chatAPI, usual, []lack{replay}},

	{kind{"openai-python-responses", python("responses.py"), official, "response.failed error", 2}, responsesAPI, keeping, nil},
	{kind{"openai-node-responses", node("responses.cjs"), official, "response.failed APIError", 2}, responsesAPI, keeping, nil},
	{kind{"openai-go-responses", newResponsesGo, one("*openai.Error"), "response.failed error", 2}, responsesAPI, keeping, nil},

	{kind{"anthropic-python", python("messages.py"), anthropicPython, "APIStatusError", 2}, newMessages, usual, nil},
	{kind{"anthropic-node", node("messages.cjs", "@anthropic-ai/sdk"), official, "APIError", 2}, newMessages, usual, nil},
	{kind{"anthropic-node-0", node("messages.cjs", "anthropic-ai-sdk-0"), official, "APIError", 2}, oldMessages, usual, nil},
	{kind{"anthropic-go-1", newAnthropicGo1, one("*anthropic.Error"), "*anthropic.Error", 2}, oldMessages, usual, nil},
	{kind{"anthropic-go-2", newAnthropicGo2, one("*anthropic.Error"), "*anthropic.Error", 2}, newMessages, usual, nil},

	{kind{"ai-chat", node("ai.cjs", "chat"), one("AI_APICallError"), aiBroken, 2}, aiAPI, usual, []lack{thinking, obedience}},
	{kind{"ai-responses", node("ai.cjs", "responses"), one("AI_APICallError"), aiBroken, 2}, aiAPI, keeping, []lack{obedience}},
	{kind{"ai-messages", node("ai.cjs", "messages"), one("AI_APICallError"), aiBroken, 2}, aiMessagesAPI, usual, []lack{obedience}},

	{kind{"langchain-python", python("chain.py", "chat"), langchain, "APIError", 2}, chatAPI, usual, []lack{thinking}},
	{kind{"langchain-python-responses", python("chain.py", "responses"), langchain, "ValueError", 2}, responsesAPI, keeping, nil},
	{kind{"langchain-node", node("chain.cjs", "chat"), official, "APIError", 2}, chatAPI, usual, []lack{thinking, obedience}},
	{kind{"langchain-node-responses", node("chain.cjs", "responses"), official, "TypeError APIError", 2}, responsesAPI, keeping, []lack{obedience, hearing}},
}

// anthropicPython are the exceptions of Anthropic's client for Python.
func anthropicPython(status int) string {
	if status == 504 {
		return "GatewayTimeoutError"
	}
	return official(status)
}

// langchain are the exceptions of LangChain for Python.
func langchain(status int) string {
	switch status {
	case 400:
		return "OpenAIInvalidRequestError"
	case 404:
		return "OpenAIModelNotFoundError"
	case 500:
		return "OpenAIAPIError"
	}
	return "OpenAI" + official(status)
}

// conversations that every speaker has with every provider.
var conversations = []struct {
	name string
	see  func(*talk)
}{
	{"answers", (*talk).answers},
	{"streams", (*talk).streams},
	{"tools", (*talk).tools},
	{"images", (*talk).images},
	{"structured answers", (*talk).structured},
	{"thoughts", (*talk).thoughts},
	{"refusals", (*talk).refusals},
	{"broken streams", (*talk).brokenStreams},
	{"leaving a stream", (*talk).leaving},
	{"giving up", func(d *talk) { d.givingUp(d.column.name + "/") }},
	{"failing over", (*talk).failingOver},
}

// more are for those whose API has it and whose client has functions for it.
var more = []struct {
	name string
	has  func(speaker) bool
	see  func(*talk)
}{
	{"stored answers", func(k speaker) bool { return k.api == responsesAPI && strings.HasPrefix(k.name, "openai") }, (*talk).stored},
	{"stored answers as streams", func(k speaker) bool { return k.name == "openai-go-responses" }, (*talk).replayed},
	{"loops", speaker.loops, (*talk).loops},
	{"counts of tokens", func(k speaker) bool { return k.done == newMessages.done }, (*talk).counts},
	{"models", func(k speaker) bool { return k.done == newMessages.done }, (*talk).models},
}

func TestDialects(t *testing.T) {
	for _, k := range speakers {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := k.start(t, s)
			for _, p := range k.columns {
				t.Run(p.name, func(t *testing.T) {
					at := func(t *testing.T) *talk { return &talk{&desk{T: t, site: s, kind: k.kind, client: c}, k, p} }
					for _, dialogue := range conversations {
						t.Run(dialogue.name, func(t *testing.T) { dialogue.see(at(t)) })
					}
					for _, dialogue := range more {
						if dialogue.has(k) {
							t.Run(dialogue.name, func(t *testing.T) { dialogue.see(at(t)) })
						}
					}
				})
			}
		})
	}
}

// talk is a client at its desk, and the provider that it talks to.
type talk struct {
	*desk
	speaker speaker
	column
}

func (d *talk) lacks(l lack) bool { return slices.Contains(d.speaker.lacks, l) }

// retries are those that the client must be kept from, because nothing else does.
func (d *talk) retries() *int {
	if d.lacks(obedience) {
		return new(int)
	}
	return nil
}

// with is a question for a model of the provider.
func (d *talk) with(do, model, prompt string) question {
	return question{Do: do, Model: d.column.name + "/" + model, Prompt: prompt}
}

// whole checks an answer that is all there.
func (d *talk) whole(a seen, x exchange, text string) {
	d.Helper()
	if a.Error != nil {
		d.Fatalf("%+v", *a.Error)
	}
	if a.Text != text || a.Finish != d.speaker.done || a.ID == "" || a.Model == "" {
		d.Errorf("%+v, want %q", a, text)
	}
	if x.Status != 200 || x.Aborted || x.Usage != "reported" || x.Input == 0 || x.Output == 0 {
		d.Errorf("logged: %+v", x)
	}
	if u := a.Usage; u != nil && (u.Input != x.Input+x.CacheRead || u.Output != x.Output+x.Reasoning || u.Total != u.Input+u.Output) {
		d.Errorf("the client counts %+v, the gateway %+v", *u, x)
	}
}

func (d *talk) answers() {
	a, x := d.see(d.with("chat", "sim-fast", "repeat after me: "+said))
	d.whole(a, x[0], said)
	if a.Usage == nil {
		d.Error("no usage")
	}
	head, _ := d.sim.Last()
	if version := d.speaker.version; d.column == anthropicColumn && version != "" && !strings.Contains(string(head), "nthropic-Version: "+version+"\r\n") {
		d.Errorf("the provider gets no %s:\n%s", version, head)
	}
	if strings.Contains(string(head), key) || !strings.Contains(string(head), "provider-secret") {
		d.Errorf("the provider gets:\n%s", head)
	}
}

func (d *talk) streams() {
	q := d.with("stream", "sim-fast", "repeat after me: "+said)
	q.Usage = true
	a, x := d.see(q)
	d.whole(a, x[0], said)
	if a.Pieces < 2 || len(a.IDs) != 1 || a.Usage == nil || a.Unordered {
		d.Errorf("%+v", a)
	}
}

// A question, two calls, two results, an answer.
func (d *talk) tools() {
	for _, do := range []string{"tools", "stream_tools"} {
		q := d.with(do, "sim-fast", "What is the weather in Paris and London?")
		q.exchanges = 2
		a, x := d.see(q)
		d.conversed(a, x)
	}
}

// loops says whether the client carries out calls by itself when it is asked to. (Vercel's ai always does.)
func (k speaker) loops() bool { return k.done == newMessages.done || k.name == "openai-node" }

func (d *talk) loops() {
	for _, stream := range []bool{false, true} {
		q := d.with("loop", "sim-fast", "What is the weather in Paris and London?")
		q.Stream = stream
		exchanges := 2
		if d.speaker.version == newMessages.version {
			exchanges++ // it wants a thread first, and learns that the other side keeps no conversations
		}
		a, x := d.await(exchanges, func() seen { return d.ask(d.Context(), q) })
		d.conversed(a, x[exchanges-2:])
	}
}

func (d *talk) conversed(a seen, x []exchange) {
	d.Helper()
	d.whole(a, x[1], "According to get_weather: temperature is 20.\nAccording to get_weather: temperature is 21.")
	if !slices.Equal(a.Finishes, []string{d.speaker.called, d.speaker.done}) {
		d.Errorf("the answers end with %v", a.Finishes)
	}
	if len(a.Calls) != 2 || a.Calls[0].ID == a.Calls[1].ID || a.Calls[0].ID == "" {
		d.Fatalf("%+v", a.Calls)
	}
	for i, place := range []string{"Paris", "London"} {
		if c := a.Calls[i]; c.Name != "get_weather" || c.Arguments != `{"city":"`+place+`"}` {
			d.Errorf("%+v", c)
		}
	}
}

func (d *talk) images() {
	q := d.with("chat", "sim-fast", "repeat after me: "+said)
	q.Image = true
	a, x := d.see(q)
	d.whole(a, x[0], said)
	if _, body := d.sim.Last(); !strings.Contains(string(body), pixel) || !strings.Contains(string(body), d.image) {
		d.Errorf("the provider gets %s", body)
	}
}

func (d *talk) structured() {
	for _, do := range []string{"parse", "stream_parse"} {
		a, x := d.see(d.with(do, "sim-fast", "Tell me about Paris."))
		d.whole(a, x[0], a.Text)
		var want city
		if err := json.Unmarshal([]byte(a.Text), &want); err != nil || a.Parsed == nil || *a.Parsed != want || want.Name == "" {
			d.Errorf("%v: %s was parsed to %+v", err, a.Text, a.Parsed)
		}
	}
}

// Thoughts come before an answer, and before calls; with the calls' results they go back to where they came from.
func (d *talk) thoughts() {
	for _, do := range []string{"tools", "stream_tools"} {
		q := d.with(do, "sim-fast", "What is the weather in Paris and London?")
		q.Effort, q.exchanges = "low", 2
		q.Refer = true
		a, x := d.see(q)
		d.conversed(a, x)
		if a.Thought == "" && !d.lacks(thinking) {
			d.Errorf("%s: no thought: %+v", do, a)
		}
		_, body := d.sim.Last()
		if b := string(body); !strings.Contains(b, d.sign) && !strings.Contains(b, `"previous_response_id":"`) && !strings.Contains(b, `"item_reference"`) && !d.lacks(thinking) && !d.lacks(replay) {
			d.Errorf("%s: the provider gets %s", do, body)
		}
	}
}

func (d *talk) refusals() {
	secret := ""
	f := func(model string, status int, code string, attempts int64) {
		d.Helper()
		for _, do := range []string{"chat", "stream"} {
			received := d.sim.Stats().Requests
			q := question{Do: do, Model: fresh(model, do), Prompt: "Hello", Key: secret, Retries: d.retries()}
			if status == 429 {
				q.Retries = new(int) // it may try again, in its own time
			}
			a, x := d.see(q)
			if e := a.Error; e == nil || e.Class != d.class(status) || e.Status != status || e.Message == "" || e.Type == "" {
				d.Errorf("%s: %+v, %+v, want %d", model, a, e, status)
			} else if d.speaker.types && e.Type != anthropicType[status] || !d.speaker.types && e.Code != code {
				d.Errorf("%s: %+v, want %s", model, *e, code)
			}
			if n := d.sim.Stats().Requests - received; n != attempts || x[0].Status != status {
				d.Errorf("%s: %d requests at the provider; logged: %+v", model, n, x[0])
			}
		}
	}
	f("none", 404, "model_not_found", 0)
	f("not-yours", 403, "model_not_allowed", 0)
	f(d.column.name+"/sim-fsat", 404, "model_not_found", 1)
	f(d.column.name+"/sim-400", 400, "", 1)
	f(d.column.name+"/sim-429-after0", 429, "rate_limit_exceeded", 1)
	f(d.column.name+"/sim-500", 500, "", 3)
	secret = "wrong"
	f(d.column.name+"/sim-fast", 401, "invalid_api_key", 0)
}

// anthropicType is how Anthropic calls errors with a status.
var anthropicType = map[int]string{
	400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
	429: "rate_limit_error", 500: "api_error",
}

// A stream that breaks off ends with an exception: no client takes it for complete.
func (d *talk) brokenStreams() {
	for _, model := range []string{"sim-fast-cut-8", "sim-fast-error-8", "sim-fast-badjson-8", "sim-fast-nofinish"} {
		a, x := d.see(d.with("stream", model, "repeat after me: "+said))
		deaf := a.Error == nil && d.lacks(hearing) && d.column.name == openaiColumn.name && model == "sim-fast-error-8"
		if !deaf && (a.Error == nil || !slices.Contains(strings.Fields(d.broken), a.Error.Class) || a.Error.Message == "") {
			d.Errorf("%s: %+v: %+v", model, a, a.Error)
		}
		if a.Text == "" || a.Finish != "" || a.Unordered || !x[0].Aborted {
			d.Errorf("%s: %+v; logged: %+v", model, a, x[0])
		}
	}
	// Nor do the helpers that gather a stream.
	for _, do := range []string{"stream_parse", "stream_tools"} {
		q := d.with(do, "sim-fast-cut-3", "What is the weather in Paris?")
		q.Retries = d.retries()
		a, _ := d.see(q)
		if a.Error == nil || a.Parsed != nil || a.Finishes != nil {
			d.Errorf("%s: %+v", do, a)
		}
	}
}

// A client that leaves in the middle of a stream stops the provider too.
func (d *talk) leaving() {
	q := d.with("stream", "sim-long", "Hello")
	q.LeaveAfter = 3
	gone := d.sim.Stats().GoneMid
	a, x := d.watch(1, func() seen {
		a := d.ask(d.Context(), q)
		until(d.T, soon, "the provider is left", func() bool { return d.sim.Stats().GoneMid > gone })
		return a
	})
	d.left(a, x[0])
}

// Another provider's answer comes instead of one that failed, whatever dialect either speaks.
func (d *talk) failingOver() {
	for _, do := range []string{"chat", "stream"} {
		q := d.with(do, "", "repeat after me: "+said)
		q.Model = "failing-" + d.column.name
		a, x := d.see(q)
		d.whole(a, x[0], said)
		if x[0].Attempts < 2 {
			d.Errorf("%+v", x)
		}
	}
}

// An answer is kept: by its provider, or by the gateway for one that cannot.
func (d *talk) stored() {
	a, _ := d.await(6, func() seen { return d.ask(d.Context(), d.with("stored", "sim-fast", "repeat after me: "+said)) })
	if a.Text != said || !slices.Equal(a.Finishes, []string{said, "repeat after me: " + said}) {
		d.Errorf("%+v", a)
	}
	if d.column != openaiColumn && !slices.Equal(a.Said, []string{"not_cancellable"}) { // OpenAI's affair is OpenAI's
		d.Errorf("an answer that is complete was cancelled: %q", a.Said)
	}
	if a.Error == nil || a.Error.Status != 404 || a.Error.Class != d.class(404) {
		d.Errorf("after it was deleted: %+v", a.Error)
	}
}

// An answer that is kept is told again as a stream, and the rest of one to who has lost that.
func (d *talk) replayed() {
	a, _ := d.await(3, func() seen { return d.ask(d.Context(), d.with("replay", "sim-fast", "repeat after me: "+said)) })
	if a.Error != nil {
		d.Errorf("%+v", a.Error)
	}
}

// Tokens are counted by a provider that can.
func (d *talk) counts() {
	a, _ := d.await(1, func() seen { return d.ask(d.Context(), d.with("count", "sim-fast", "How many tokens are these?")) })
	switch {
	case d.column == anthropicColumn:
		if a.Error != nil || a.Count < 5 || a.Count > 50 {
			d.Errorf("%+v %+v", a, a.Error)
		}
	case a.Error == nil || a.Error.Status != 400 || a.Error.Type != "invalid_request_error" || !strings.Contains(a.Error.Message, "wire-anthropic"):
		d.Errorf("%+v %+v", a, a.Error)
	}
}

func (d *talk) models() {
	a, _ := d.see(question{Do: "models"})
	if a.Error != nil || !slices.Contains(a.Models, "Qwen/Qwen3-8B") || slices.Contains(a.Models, "not-yours") {
		d.Errorf("%v %+v", a.Models, a.Error)
	}
	a, _ = d.see(question{Do: "model", Model: "Qwen/Qwen3-8B"})
	if a.Error != nil || a.ID != "Qwen/Qwen3-8B" || a.Model == "" {
		d.Errorf("%+v %+v", a, a.Error)
	}
	a, _ = d.see(question{Do: "model", Model: "Qwen/none"})
	if a.Error == nil || a.Error.Status != 404 || a.Error.Type != "not_found_error" {
		d.Errorf("%+v %+v", a, a.Error)
	}
}
