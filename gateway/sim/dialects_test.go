package sim_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// talk is a way to hold a conversation.
type talk struct {
	dialect  *wire.Dialect
	kind     string // of the provider
	endpoint *gateway.Endpoint
	tools    string // one for the weather
	thinking string
	image    string // a message with one, and text
	first    string // member in front of a message
}

const weatherSchema = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`

var talks = []talk{
	{
		dialect: wire.OpenAI, kind: "openai", endpoint: completions, tools: weatherTool, thinking: `"reasoning_effort":"low"`,
		image: `"messages":[{"role":"user","content":[{"type":"text","text":"What is in it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}]`,
		first: `"messages":[{"role":"user","content":%}]`,
	},
	{
		dialect: wire.Anthropic, kind: "anthropic",
		endpoint: &gateway.Endpoint{Name: "messages", Method: "POST", Path: "/v1/messages", Forward: "/messages", Dialect: "anthropic"},
		tools:    `"tools":[{"name":"get_weather","input_schema":` + weatherSchema + `}]`,
		thinking: `"thinking":{"type":"enabled","budget_tokens":1024}`,
		image:    `"max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"What is in it?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}]`,
		first:    `"max_tokens":4096,"messages":[{"role":"user","content":%}]`,
	},
	{
		dialect: wire.Responses, kind: "openai",
		endpoint: &gateway.Endpoint{Name: "responses.create", Method: "POST", Path: "/v1/responses", Forward: "/responses", Dialect: "responses"},
		tools:    `"tools":[{"type":"function","name":"get_weather","parameters":` + weatherSchema + `}]`,
		thinking: `"reasoning":{"effort":"low","summary":"auto"}`,
		image:    `"input":[{"role":"user","content":[{"type":"input_text","text":"What is in it?"},{"type":"input_image","image_url":"data:image/png;base64,aGk="}]}]`,
		first:    `"input":%`,
	},
}

// ask is a request with one message; more are further members.
func (d *talk) ask(model, message, more string) string {
	text, _ := json.Marshal(message)
	if more != "" {
		more = "," + more
	}
	return `{"model":"` + model + `",` + strings.Replace(d.first, "%", string(text), 1) + more + `}`
}

// say is what the simulator answers, whole and streamed, which must be the same.
func (d *talk) say(t *testing.T, request string) said {
	t.Helper()
	s := &sim.Server{}
	url, c := strings.TrimSuffix(serve(t, s), "/v1")+d.endpoint.Path, client(t)
	status, h, whole := call(t, c, "POST", url, request, "anthropic-version", "2023-06-01")
	if status != 200 || h.Get("Content-Type") != "application/json" {
		t.Fatalf("%s\n%d %s", request, status, whole)
	}
	one := choicesOf(t, d.dialect, whole)[0]
	status, h, streamed := call(t, c, "POST", url, strings.TrimSuffix(request, "}")+`,"stream":true}`, "anthropic-version", "2023-06-01")
	if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%s\n%d %s", request, status, streamed)
	}
	if again := joinedOf(t, d.dialect, readNamed(t, streamed))[0]; !reflect.DeepEqual(again, one) {
		t.Errorf("%s\nwhole    %+v\nstreamed %+v", request, one, again)
	}
	if d.dialect == wire.Anthropic && h.Get("request-id") == "" {
		t.Error("no request-id")
	}
	return one
}

func readNamed(t *testing.T, stream string) []named {
	t.Helper()
	var events []named
	for r := sse.NewReader(strings.NewReader(stream), 1<<20); ; {
		ev, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return events
		}
		events = append(events, named{ev.Name, string(ev.Data)})
	}
}

// Every dialect gets the same conversation.
func TestDialects(t *testing.T) {
	for _, d := range talks {
		t.Run(d.dialect.Name, func(t *testing.T) {
			if s := d.say(t, d.ask("sim-chat", "what is 6*7", "")); s.Text != "6*7 = 42" || s.Finish != chat.FinishStop {
				t.Errorf("got %+v", s)
			}
			s := d.say(t, d.ask("sim-chat", "What is the weather in Paris and London?", d.tools))
			if len(s.Calls) != 2 || s.Calls[0].Name != "get_weather" || s.Calls[0].ID == "" || s.Finish != chat.FinishCalls {
				t.Fatalf("got %+v", s)
			}
			for i, want := range []string{`{"city":"Paris"}`, `{"city":"London"}`} {
				if s.Calls[i].Arguments != want {
					t.Errorf("arguments %s, want %s", s.Calls[i].Arguments, want)
				}
			}
			s = d.say(t, d.ask("sim-chat", "what is 6*7", d.thinking))
			if s.Text != "6*7 = 42" || !strings.Contains(s.Reasoning, "what is 6*7") || s.Signature == "" {
				t.Errorf("got %+v", s)
			}
			s = d.say(t, `{"model":"sim-chat",`+d.image+`}`)
			if s.Text != "You sent an image (image/png of 2 bytes). The simulator cannot look at it; a real provider could." {
				t.Errorf("got %q", s.Text)
			}
		})
	}
}

// A Provider is like a Server behind package upstream, in each dialect.
func TestProviderSpeaksDialects(t *testing.T) {
	created := regexp.MustCompile(`"(created|created_at|completed_at)":\d+`)
	models := []string{
		"sim-chat", "sim-fast-long-60", "sim-429", "sim-401", "sim-529", "sim-500", "sim-quota", "sim-inband", "sim-cut-0", "sim-cut-3",
		"sim-cut-7", "sim-error-0", "sim-error-4", "sim-badjson-3", "sim-nodone", "sim-nofinish", "sim-empty", "sim-unheard-of",
	}
	for _, d := range talks[1:] {
		for _, model := range models {
			for _, more := range []string{"", streaming} {
				t.Run(d.dialect.Name+" "+model+" "+more, func(t *testing.T) {
					request := d.ask(model, "What is the weather in Paris?", more)
					here := send(exchangeAt(t, d.endpoint, request), sim.New("p", sim.Options{}), -1)
					there := send(exchangeAt(t, d.endpoint, request),
						gateAt(t, d.kind, d.endpoint, serve(t, &sim.Server{}), 10*time.Second).WithKey(""), -1)
					alike(t, here, there)
					for i := range here.events {
						here.events[i] = created.ReplaceAllString(here.events[i], "")
					}
					for i := range there.events {
						there.events[i] = created.ReplaceAllString(there.events[i], "")
					}
					if !reflect.DeepEqual(here.events, there.events) {
						t.Errorf("events here\n%s\nthere\n%s", strings.Join(here.events, "\n"), strings.Join(there.events, "\n"))
					}
				})
			}
		}
	}
}

// Errors are in the dialect's words.
func TestDialectErrors(t *testing.T) {
	s := &sim.Server{Key: "k"}
	root, c := strings.TrimSuffix(serve(t, s), "/v1"), client(t)
	f := func(d *talk, request string, status int, want string, headers ...string) {
		t.Helper()
		got, _, text := call(t, c, "POST", root+d.endpoint.Path, request, headers...)
		e, ok := d.dialect.DecodeError([]byte(text))
		if got != status || !strings.Contains(text, want) || !ok || e.Message == "" {
			t.Errorf("%s: %d %s", d.dialect.Name, got, text)
		}
	}
	a, r := &talks[1], &talks[2]
	version := []string{"x-api-key", "k", "anthropic-version", "2023-06-01"}
	f(a, a.ask("sim-529", "hi", ""), 529, `{"type":"error","error":{"type":"overloaded_error"`, version...)
	f(a, a.ask("sim-429", "hi", ""), 429, `"type":"rate_limit_error"`, version...)
	f(a, a.ask("sim-chat", "hi", `"temperature":1`), 400, `"type":"invalid_request_error"`, "x-api-key", "k", "anthropic-version", "2026-10-21")
	f(a, a.ask("sim-chat", "hi", ""), 400, "anthropic-version", "Authorization", "Bearer k")
	f(a, a.ask("sim-chat", "hi", ""), 401, "authentication_error", "anthropic-version", "2023-06-01")
	f(a, `{"model":"sim-chat"}`, 400, "is required", version...)
	f(r, r.ask("sim-404", "hi", ""), 404, `"code":"model_not_found"`, "Authorization", "Bearer k")
	f(r, r.ask("sim-chat", "hi", `"previous_response_id":"resp_gone"`), 400, "previous_response_not_found", "Authorization", "Bearer k")
	f(r, `{"model":"sim-chat","input":5}`, 400, `"param":"input"`, "Authorization", "Bearer k")
}

// A response that is stored can be continued.
func TestContinuedResponse(t *testing.T) {
	base, c := serve(t, &sim.Server{}), client(t)
	d := &talks[2]
	_, _, text := call(t, c, "POST", base+"/responses", d.ask("sim-chat", "My name is Ada.", ""))
	var first struct{ ID string }
	if err := json.Unmarshal([]byte(text), &first); err != nil || !strings.HasPrefix(first.ID, "resp_") {
		t.Fatal(text, err)
	}
	_, _, text = call(t, c, "POST", base+"/responses", d.ask("sim-chat", "What is my name?", `"previous_response_id":"`+first.ID+`"`))
	if s := choicesOf(t, wire.Responses, text)[0]; !strings.Contains(s.Text, "Ada") || !strings.Contains(text, `"previous_response_id":"`+first.ID+`"`) {
		t.Errorf("got %s", text)
	}
}
