package upstream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// The endpoints of this test's exchanges, as the transport would give them.
func conversations() []gateway.Endpoint {
	list := []gateway.Endpoint{
		chatEndpoint,
		{Name: "messages", Method: "POST", Forward: "/messages", Dialect: "anthropic"},
		{Name: "responses.create", Method: "POST", Forward: "/responses", Dialect: "responses"},
		{Name: "responses.retrieve", Method: "GET", Forward: "/responses/{id}", Dialect: "responses"},
		{Name: "responses.delete", Method: "DELETE", Forward: "/responses/{id}", Dialect: "responses"},
		{Name: "responses.cancel", Method: "POST", Forward: "/responses/{id}/cancel", Dialect: "responses", Body: gateway.NoBody},
		{Name: "responses.input_items", Method: "GET", Forward: "/responses/{id}/input_items", Dialect: "responses"},
	}
	for i := range list {
		list[i].Decode = wire.ByName(list[i].Dialect).DecodeRequest
	}
	return list
}

var exchanges atomic.Int64 // made so far: their ids differ

// at is an exchange at an endpoint; param and query are of its path.
func at(t *testing.T, endpoint, ask, param, query string) *gateway.Exchange {
	t.Helper()
	var b gateway.Body
	if ask != "" {
		b = &body{[]byte(ask)}
	}
	return atWith(t, endpoint, b, param, query)
}

func atWith(t *testing.T, endpoint string, b gateway.Body, param, query string) *gateway.Exchange {
	t.Helper()
	list := conversations()
	i := slices.IndexFunc(list, func(e gateway.Endpoint) bool { return e.Name == endpoint })
	x := &gateway.Exchange{}
	x.Init("req_test"+itoa(int(exchanges.Add(1))), &list[i], headers{"Anthropic-Beta": "b-1", "Anthropic-Version": "2026-10-21"}, b)
	x.Request.Param, x.Request.Query = param, query
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	x.Caller.Tenant = &gateway.Tenant{ID: "t"}
	x.Plan.Model = x.Request.Model()
	return x
}

// claude is an Anthropic provider, and compatible one that has chat completions alone; they keep answers in s.
func claude(t *testing.T, f *fake, s *upstream.Stored) *upstream.Provider {
	return provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf("anthropic")
		c.Endpoints, c.Stored = conversations(), s
	})
}

func compatible(t *testing.T, f *fake, s *upstream.Stored) *upstream.Provider {
	return provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf("together")
		c.Endpoints, c.Stored = conversations(), s
	})
}

const message = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hi"}],` +
	`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":3,"output_tokens":2}}`

// named is a stream of named events.
func named(list ...string) string {
	var b strings.Builder
	for _, data := range list {
		name, _ := peek.String(peek.Find([]byte(data), []byte(`"type"`)))
		b.WriteString(chunk("event: " + name + "\ndata: " + data + "\n\n"))
	}
	return sseHead + b.String()
}

var messageEvents = []string{
	`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"ping"}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\u0069"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`,
	`{"type":"message_stop"}`,
}

func field(t *testing.T, document, path string) string {
	t.Helper()
	v := []byte(document)
	for name := range strings.SplitSeq(path, ".") {
		if v = peek.Find(v, []byte(`"`+name+`"`)); v == nil {
			t.Fatalf("no %s in %s", path, document)
		}
	}
	return string(v)
}

func TestTranslatedWhole(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", message, "request-id: up-7", "anthropic-ratelimit-tokens-limit: 5")))
	x := at(t, "chat.completions", `{"model":"m","seed":4,"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi"}]}`, "", "")
	r := attempt(t, claude(t, f, nil), x, "claude-x")
	if r.err != nil {
		t.Fatal(r.err)
	}
	got := f.seen()[0]
	for _, want := range []string{"POST /v1/messages HTTP/1.1\r\n", "\r\nX-Api-Key: secret-key", "\r\nAnthropic-Version: 2023-06-01", "\r\nContent-Length: " + itoa(len(got.body))} {
		if !strings.Contains(got.head, want) {
			t.Errorf("head without %q:\n%s", want, got.head)
		}
	}
	if field(t, got.body, "model") != `"claude-x"` || !strings.Contains(field(t, got.body, "system"), "be kind") {
		t.Errorf("request %s\n%s", got.head, got.body)
	}
	if len(r.events) != 1 || field(t, r.events[0], "object") != `"chat.completion"` || field(t, r.events[0], "usage.prompt_tokens") != "8" {
		t.Errorf("reply %q", r.events)
	}
	if u := x.Usage; u.Input != 5 || u.CacheRead != 3 || u.Output != 2 || r.a.RequestID != "up-7" {
		t.Errorf("usage %+v, request id %s", u, r.a.RequestID)
	}
	if h := r.reply.Header; len(h) != 1 || h[0].Name != "x-sluice-dropped" || h[0].Value != "seed" {
		t.Errorf("headers %v", h)
	}
}

func TestTranslatedStream(t *testing.T) {
	f := newFake(t, nil, say(named(messageEvents...)+last))
	p := claude(t, f, nil)
	for range 2 { // the second time on the same connection
		x := at(t, "chat.completions", `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}`, "", "")
		r := attempt(t, p, x, "claude-x")
		if r.err != nil || len(r.events) < 4 || r.events[len(r.events)-1] != "[DONE]" {
			t.Fatalf("%v %q", r.err, r.events)
		}
		all := strings.Join(r.events, "\n")
		if !strings.Contains(all, `"content":"h\u0069"`) || !strings.Contains(all, `"finish_reason":"stop"`) || !strings.Contains(all, `"total_tokens":7`) {
			t.Errorf("events\n%s", all)
		}
		if x.Usage.Input != 5 || x.Usage.Output != 2 {
			t.Errorf("usage %+v", x.Usage)
		}
	}
	if n := f.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A stream that breaks off is never complete in any dialect, and ends with the caller's kind of error event.
// Anthropic never leaves out message_stop: a stream without it was cut, in whatever dialect the caller gets it. Those who
// imitate its dialect may; see DECISIONS, 8.
func TestNoMessageStop(t *testing.T) {
	const ask = `{"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`
	stop := messageEvents[len(messageEvents)-1]
	unsaid := named(messageEvents[:len(messageEvents)-1]...)
	check := func(kind, endpoint string, script func(net.Conn, int) bool, want string) {
		t.Helper()
		t.Run(kind+" "+endpoint, func(t *testing.T) {
			t.Parallel() // some of them wait
			f := newFake(t, nil, script)
			p := provider(t, f.url(), quick, func(c *upstream.Config) {
				c.Kind, _ = upstream.KindOf(kind)
				c.Endpoints = conversations()
			})
			r := attempt(t, p, at(t, endpoint, ask, "", ""), "m")
			if got := outcome(r); got != want {
				t.Errorf("%s (%v), want %s: %q", got, r.err, want, r.events)
			}
			if ended := slices.Contains(r.events, stop) || slices.Contains(r.events, done); ended != (want == complete) {
				t.Errorf("%q", r.events)
			}
			if (r.a.Err == nil) != (want == complete) {
				t.Errorf("recorded %v", r.a.Err)
			}
		})
	}
	for _, endpoint := range []string{"messages", "chat.completions"} {
		check("anthropic", endpoint, say(unsaid+last), broken)
		check("anthropic", endpoint, then(unsaid, untilGone), broken)
		check("anthropic", endpoint, then(unsaid, fin), broken)
		check("anthropic", endpoint, say(unsaid+chunk("event: message_stop\ndata: "+stop+"\n\n")+last), complete)
	}
	check("fireworks", "messages", say(unsaid+last), complete)
	check("fireworks", "messages", then(unsaid, untilGone), complete)
	check("fireworks", "messages", then(unsaid, fin), broken)
}

func TestTranslatedCut(t *testing.T) {
	check := func(endpoint, ask string, want ...string) {
		t.Helper()
		f := newFake(t, nil, func(c net.Conn, _ int) bool {
			_, _ = io.WriteString(c, named(messageEvents[:4]...))
			return false
		})
		x := at(t, endpoint, ask, "", "")
		a := x.Attempting(&gateway.Target{Provider: "fake", Model: "claude-x"})
		reply, err := claude(t, f, nil).WithKey("k").Send(x, nil, a)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for err == nil {
			var ev gateway.Event
			if ev, err = reply.Stream.Next(); err == nil {
				all.Write(sse.Append(nil, ev.Name, ev.Data))
			}
		}
		fail := reply.Failure
		if fail == nil {
			fail = wire.ByName(x.Request.Endpoint.Dialect).AppendFailure
		}
		all.Write(fail(nil, chat.Error{Message: "it broke"}))
		_ = reply.Stream.Close()
		if err == io.EOF || a.Err == nil {
			t.Errorf("%s: ended with %v, recorded %v", endpoint, err, a.Err)
		}
		for _, w := range want {
			if !strings.Contains(all.String(), w) {
				t.Errorf("%s: no %q in\n%s", endpoint, w, all.String())
			}
		}
		for _, never := range []string{"[DONE]", "message_stop", "response.completed"} {
			if strings.Contains(all.String(), never) {
				t.Errorf("%s: %q in\n%s", endpoint, never, all.String())
			}
		}
	}
	check("chat.completions", `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`, `data: {"error":{"message":"it broke"`)
	check("responses.create", `{"model":"m","stream":true,"input":"hi"}`, "event: response.failed", "it broke")
}

func TestTranslatedErrors(t *testing.T) {
	check := func(status, said string, want int, has string) {
		t.Helper()
		f := newFake(t, nil, say(whole(status, said)))
		r := attempt(t, claude(t, f, nil), at(t, "chat.completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "", ""), "claude-x")
		if r.err != nil || r.reply.Status != want || len(r.events) != 1 || !strings.Contains(r.events[0], has) {
			t.Errorf("%s: %v %+v %q", status, r.err, r.reply, r.events)
		}
	}
	check("400 Bad Request", `{"type":"error","error":{"type":"invalid_request_error","message":"messages: too long"}}`, 400, `{"error":{"message":"messages: too long","type":"invalid_request_error"`)
	check("529 Overloaded", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, 503, `"message":"Overloaded"`)
	check("500 Oops", `<html>`, 500, `<html>`) // forward replaces what nobody can read

	f := newFake(t, nil, say(whole("200 OK", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)))
	r := attempt(t, claude(t, f, nil), at(t, "chat.completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "", ""), "claude-x")
	if outcome(r) == complete {
		t.Errorf("an error inside a 200: %q", r.events)
	}
}

// A 200 that is JSON and no answer is a failure of the provider's, which another may not have. Endpoints that share a dialect
// have other answers.
func TestNoAnswer(t *testing.T) {
	check := func(kind, endpoint, reply string, good bool) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", reply)))
		p := provider(t, f.url(), func(c *upstream.Config) {
			c.Kind, _ = upstream.KindOf(kind)
			c.Endpoints = conversations()
		})
		r := attempt(t, p, at(t, endpoint, `{"model":"m","max_tokens":5,"input":"hi","messages":[{"role":"user","content":"hi"}]}`, "resp_1", ""), "m")
		e := gateway.AsError(r.err)
		if good && (r.err != nil || !slices.Equal(r.events, []string{reply})) || !good && (e.Status != 502 || e.Code != gateway.CodeBadResponse || e.NoRetry) {
			t.Errorf("%s %s: %v %q", endpoint, reply, r.err, r.events)
		}
	}
	for _, reply := range []string{
		`{}`, `{"choices":[]}`, `{"choices":null}`, `{"choices":{}}`, `{"choices":"x"}`, `{"choices":[null]}`, `{"choices":[{"message":null}]}`, `{"choices":[{}]}`,
		`{"choices":[{"message":{}},{"message":null}]}`, `{"request_id":null}`, `{"choices":null,"usage":{"prompt_tokens":1,"completion_tokens":1}}`,
	} {
		check("openai", "chat.completions", reply, false)
		check("together", "chat.completions", reply, false)
		check("openai", "messages", reply, false) // translated
	}
	for _, reply := range []string{
		answer, `{"choices":[{"message":{}}]}`, `{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}`, `{"request_id":"x"}`,
	} {
		check("openai", "chat.completions", reply, true)
	}
	for _, reply := range []string{`{}`, `{"content":null}`, `{"content":"x"}`} {
		check("anthropic", "messages", reply, false)
		check("anthropic", "chat.completions", reply, false)
	}
	check("anthropic", "messages", `{"content":[]}`, true)
	check("openai", "responses.create", `{}`, false)
	check("openai", "responses.create", `{"status":null,"output":null}`, false)
	check("openai", "responses.create", `{"status":"queued"}`, true)
	check("openai", "responses.create", `{"output":[]}`, true)
	check("openai", "responses.delete", `{}`, true)
}

// A provider that says inside a 200 that it is overloaded is that in the caller's words, and with the status that they have.
func TestOverloadedInBand(t *testing.T) {
	check := func(kind, endpoint, said string, status int, code, want string) {
		t.Helper()
		for _, reply := range []string{whole("200 OK", said), sseHead + chunk("event: error\ndata: "+said+"\n\n")} {
			f := newFake(t, nil, say(reply))
			p := provider(t, f.url(), func(c *upstream.Config) {
				c.Kind, _ = upstream.KindOf(kind)
				c.Endpoints = conversations()
			})
			ask := `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`
			if strings.HasPrefix(reply, sseHead) {
				ask = strings.Replace(ask, `{`, `{"stream":true,`, 1)
			}
			x := at(t, endpoint, ask, "", "")
			e := gateway.AsError(attempt(t, p, x, "m").err)
			if e.Status != status || e.Code != code || e.Message != "Overloaded" {
				t.Errorf("%s: %+v", said, e)
			}
			body := wire.ByName(x.Request.Endpoint.Dialect).AppendError(nil, chat.Error{Message: e.Message, Type: e.Type, Code: e.Code, Status: e.Status})
			if got := field(t, string(body), "error.type"); got != want {
				t.Errorf("%s: %s, want %s", said, body, want)
			}
		}
	}
	const (
		claudes = `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`
		openais = `{"error":{"type":"service_unavailable_error","code":"server_is_overloaded","message":"Overloaded"}}`
		bare    = `{"error":{"type":"overloaded_error","message":"Overloaded"}}`
		number  = `{"error":{"code":529,"message":"Overloaded"}}`
	)
	check("anthropic", "chat.completions", claudes, 503, "server_is_overloaded", `"service_unavailable_error"`)
	check("anthropic", "messages", claudes, 529, "server_is_overloaded", `"overloaded_error"`)
	check("openai", "chat.completions", openais, 503, "server_is_overloaded", `"service_unavailable_error"`)
	check("openai", "chat.completions", bare, 503, "server_is_overloaded", `"service_unavailable_error"`)
	check("openai", "chat.completions", number, 503, "529", `"service_unavailable_error"`)
	check("openai", "messages", openais, 529, "server_is_overloaded", `"overloaded_error"`)
}

// What the target's dialect cannot say is the caller's to know, and no connection is made.
func TestImpossible(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", message)))
	check := func(endpoint, ask, param string) {
		t.Helper()
		r := attempt(t, claude(t, f, upstream.NewStored(1<<20, patience)), at(t, endpoint, ask, "", ""), "claude-x")
		e := gateway.AsError(r.err)
		if r.err == nil || e.Status != 400 || e.Param != param || e.Origin != gateway.OriginClient {
			t.Errorf("%s: %v, param %q", ask, r.err, e.Param)
		}
	}
	check("chat.completions", `{"model":"m","n":2,"messages":[{"role":"user","content":"hi"}]}`, "n")
	check("chat.completions", `{"model":"m","messages":[{"role":"user"}]}`, "messages[0].content")
	check("responses.create", `{"model":"m","input":"hi","background":true}`, "background")
	check("responses.create", `{"model":"m","input":"hi","conversation":"c"}`, "conversation")
	check("responses.create", `{"model":"m","input":"hi","previous_response_id":"resp_none"}`, "previous_response_id")
	if n := f.connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// Same dialect on both sides: the caller's bytes and its version of the API.
func TestAnthropicPassesThrough(t *testing.T) {
	f := newFake(t, nil, say(named(messageEvents...)+last))
	ask := `{"max_tokens":5, "model":"m","stream":true,"unknown":{"a":1},"messages":[{"role":"user","content":"hi"}]}`
	x := at(t, "messages", ask, "", "")
	r := attempt(t, claude(t, f, nil), x, "claude-x")
	if r.err != nil || !slices.Equal(r.events, messageEvents) {
		t.Fatalf("%v %q", r.err, r.events)
	}
	got := f.seen()[0]
	if got.body != strings.Replace(ask, `"m"`, `"claude-x"`, 1) {
		t.Errorf("body %s", got.body)
	}
	if !strings.Contains(got.head, "\r\nAnthropic-Version: 2026-10-21\r\nAnthropic-Beta: b-1") {
		t.Errorf("head %s", got.head)
	}
	if x.Usage.Input != 5 || x.Usage.Output != 2 {
		t.Errorf("usage %+v", x.Usage)
	}
}

// Answers of the Responses API are kept for a provider that has none: another request goes on from them.
func TestStoredResponses(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := compatible(t, f, upstream.NewStored(1<<20, patience))
	first := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","instructions":"be brief"}`, "", ""), "m")
	if first.err != nil {
		t.Fatal(first.err)
	}
	var id string
	_ = json.Unmarshal([]byte(field(t, first.events[0], "id")), &id)
	second := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"two","previous_response_id":"`+id+`"}`, "", ""), "m")
	if second.err != nil || field(t, second.events[0], "previous_response_id") != `"`+id+`"` {
		t.Fatalf("%v %q", second.err, second.events)
	}
	sent := f.seen()[1].body
	if one, hi, two := strings.Index(sent, `"one"`), strings.Index(sent, `"hi"`), strings.Index(sent, `"two"`); one < 0 || hi < one || two < hi || strings.Contains(sent, "brief") {
		t.Errorf("the continuation was %s", sent)
	}
	ask := func(endpoint string) result { return attempt(t, p, at(t, endpoint, "", id, ""), "") }
	if r := ask("responses.retrieve"); r.err != nil || r.events[0] != first.events[0] {
		t.Errorf("retrieved %v %q", r.err, r.events)
	}
	if r := ask("responses.input_items"); r.err != nil || !strings.Contains(r.events[0], `"text":"one"`) {
		t.Errorf("input %v %q", r.err, r.events)
	}
	if r := ask("responses.cancel"); r.err == nil || gateway.AsError(r.err).Status != 400 {
		t.Errorf("cancelled %v", r.err)
	}
	if r := ask("responses.delete"); r.err != nil || field(t, r.events[0], "deleted") != "true" {
		t.Errorf("deleted %v %q", r.err, r.events)
	}
	if r := ask("responses.retrieve"); r.err == nil || gateway.AsError(r.err).Status != 404 {
		t.Errorf("retrieved %v after it was deleted", r.err)
	}
}

// An item may be given by its id alone, if it is one of a stored response.
func TestItemReference(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := compatible(t, f, upstream.NewStored(1<<20, patience))
	first := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one"}`, "", ""), "m")
	if first.err != nil {
		t.Fatal(first.err)
	}
	var id string
	peek.Elements([]byte(field(t, first.events[0], "output")), func(v []byte) bool {
		id, _ = peek.String(peek.Find(v, []byte(`"id"`)))
		return true
	})
	ask := `{"model":"m","input":[{"type":"item_reference","id":"` + id + `"},{"role":"user","content":"two"}]}`
	if r := attempt(t, p, at(t, "responses.create", ask, "", ""), "m"); r.err != nil || !strings.Contains(f.seen()[1].body, `"hi"`) {
		t.Errorf("%v %s", r.err, f.seen()[1].body)
	}
	ask = strings.Replace(ask, id, "msg_none", 1)
	if r := attempt(t, p, at(t, "responses.create", ask, "", ""), "m"); r.err == nil || gateway.AsError(r.err).Param != "input[0].id" {
		t.Errorf("%v", r.err)
	}
}

// A stream is kept, too, once it is complete; and one tenant never finds another's.
func TestStoredStream(t *testing.T) {
	f := newFake(t, nil, say(sseHead+events(hello, finish, usage, done)+last))
	store := upstream.NewStored(1<<20, patience)
	p := compatible(t, f, store)
	r := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","stream":true}`, "", ""), "m")
	if r.err != nil {
		t.Fatal(r.err)
	}
	completed := r.events[len(r.events)-1]
	var id string
	_ = json.Unmarshal([]byte(field(t, completed, "response.id")), &id)
	if got, kept := store.Holder("t", id); got != "fake" || !kept {
		t.Errorf("held by %q", got)
	}
	if got, _ := store.Holder("other", id); got != "" {
		t.Errorf("another tenant finds it at %q", got)
	}
	got := attempt(t, p, at(t, "responses.retrieve", "", id, ""), "")
	if got.err != nil || got.events[0] != field(t, completed, "response") {
		t.Errorf("%v %q", got.err, got.events)
	}
	none := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","stream":true,"store":false}`, "", ""), "m")
	_ = json.Unmarshal([]byte(field(t, none.events[len(none.events)-1], "response.id")), &id)
	if got := attempt(t, p, at(t, "responses.retrieve", "", id, ""), ""); none.err != nil || got.err == nil {
		t.Errorf("it was not to be stored: %q", got.events)
	}
}

// Events of the Responses API are numbered, and so is the error that ends them where the provider's own pass through.
func TestNumberedFailure(t *testing.T) {
	created := `{"type":"response.created","sequence_number":0,"response":{"id":"resp_9","object":"response","status":"in_progress"}}`
	added := `{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_9","type":"message","role":"assistant","content":[]}}`
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, named(created, added))
		return false
	})
	store := upstream.NewStored(1<<20, patience)
	p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Stored = conversations(), store })
	x := at(t, "responses.create", `{"model":"m","input":"hi","stream":true}`, "", "")
	r := attempt(t, p, x, "m")
	if r.err == nil || !slices.Equal(r.events, []string{created, added}) {
		t.Fatalf("%v %q", r.err, r.events)
	}
	if got := string(r.reply.Failure(nil, chat.Error{Message: "it broke"})); !strings.Contains(got, `"sequence_number":2}`) || !strings.HasPrefix(got, "event: error\n") {
		t.Errorf("%s", got)
	}
	if got, kept := store.Holder("t", "resp_9"); got != "fake" || kept {
		t.Errorf("held by %q", got)
	}
}

// A failure that the provider reports in its own last event, once the stream has begun, is the caller's as it is; the attempt
// has failed all the same.
func TestOwnFailure(t *testing.T) {
	const (
		created = `{"type":"response.created","sequence_number":0,"response":{"id":"resp_9","object":"response","status":"in_progress"}}`
		failed  = `{"type":"response.failed", "sequence_number":1,"response":{"id":"resp_9","object":"response","status":"failed",` +
			`"error":{"code":"server_error","message":"it broke"},"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}}`
		flat  = `{"type":"error","code":"server_error","message":"it broke","param":null,"sequence_number":1}`
		broke = `{"type":"error", "error":{"type":"api_error","message":"it broke"},"request_id":"req_1"}`
	)
	check := func(kind, endpoint, holder string, list []string, want string, provenance chat.Provenance) {
		t.Helper()
		f := newFake(t, nil, say(named(list...)))
		p := provider(t, f.url(), func(c *upstream.Config) {
			c.Kind, _ = upstream.KindOf(kind)
			c.Endpoints = conversations()
		})
		x := at(t, endpoint, `{"model":"m","stream":true,"max_tokens":5,"input":"hi","messages":[{"role":"user","content":"hi"}]}`, "", "")
		r := pull(x, &gateway.Target{Provider: "fake", Holder: holder, Model: "m", Via: p.WithKey("k")})
		e, ok := errors.AsType[*gateway.Error](r.err)
		if !ok || !r.sent || !e.Ends || e.Message != "it broke" || r.a.Err == nil || len(r.events) != len(list)-1 {
			t.Fatalf("%+v, recorded %v, %q", r.err, r.a.Err, r.events)
		}
		if got := string(r.reply.Failure([]byte("x"), chat.Error{Message: "another"})); got != "x"+want {
			t.Errorf("got  %q\nwant %q", got, "x"+want)
		}
		if r.a.Usage.Provenance != provenance {
			t.Errorf("usage %+v", r.a.Usage)
		}
	}
	held := "resp_9~" + gateway.Holder("fake", "spare")
	check("openai", "responses.create", "", []string{created, failed}, "event: response.failed\ndata: "+failed+"\n\n", chat.Reported)
	check("openai", "responses.create", gateway.Holder("fake", "spare"), []string{created, failed},
		"event: response.failed\ndata: "+strings.Replace(failed, "resp_9", held, 1)+"\n\n", chat.Reported)
	check("openai", "responses.create", "", []string{created, flat}, "event: error\ndata: "+flat+"\n\n", chat.Aborted)
	check("anthropic", "messages", "", append(slices.Clone(messageEvents[:4]), broke), "event: error\ndata: "+broke+"\n\n", chat.Aborted)

	// Before anything was delivered, another provider may do better; and in another dialect it is an error as any.
	f := newFake(t, nil, say(named(failed)))
	p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints = conversations() })
	r := attempt(t, p, at(t, "responses.create", `{"model":"m","stream":true,"input":"hi"}`, "", ""), "m")
	if e := gateway.AsError(r.err); r.sent || e.Ends || e.Message != "it broke" || e.Status != 502 {
		t.Errorf("%+v", r.err)
	}
	f = newFake(t, nil, say(named(append(slices.Clone(messageEvents[:4]), broke)...)))
	r = attempt(t, claude(t, f, nil), at(t, "chat.completions", `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`, "", ""), "m")
	if e := gateway.AsError(r.err); !r.sent || e.Ends || e.Message != "it broke" {
		t.Errorf("%+v", r.err)
	}
}

// The names of what was left out are the caller's: the header holds neither all of them nor whatever is in them.
func TestDroppedFits(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", message)))
	p := claude(t, f, nil)
	check := func(members, want string) {
		t.Helper()
		r := attempt(t, p, at(t, "chat.completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]`+members+`}`, "", ""), "m")
		if r.err != nil || len(r.reply.Header) != 1 {
			t.Fatalf("%v %v", r.err, r.reply)
		}
		if got := r.reply.Header[0]; got.Name != "x-sluice-dropped" || got.Value != want {
			t.Errorf("%s: %q, want %q", got.Name, got.Value, want)
		}
	}
	check(`,"a\r\nSet-Cookie: b":1,"ü":2,"c":3`, "other, c")
	check(`,"`+strings.Repeat("k", 1000)+`":1`, "other")
	var many, names strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, `,"m%d":1`, i)
		if i < 32 {
			fmt.Fprintf(&names, "m%d, ", i)
		}
	}
	check(many.String(), names.String()+"other")
}

// The first event is translated before anything is promised: a stream that says nothing is an error of the attempt.
func TestFirstEventUnreadable(t *testing.T) {
	f := newFake(t, nil, say(sseHead+events(done)+last))
	for endpoint, ask := range map[string]string{
		"messages":         `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`,
		"responses.create": `{"model":"m","stream":true,"input":"hi"}`,
	} {
		r := attempt(t, compatible(t, f, nil), at(t, endpoint, ask, "", ""), "m")
		if r.sent || codeOf(r.err) != gateway.CodeBadResponse {
			t.Errorf("%s: sent %v, %v %q", endpoint, r.sent, r.err, r.events)
		}
	}
}

// An answer without an end fills the memory of nobody: encoders keep what they have to repeat.
func TestEndlessAnswer(t *testing.T) {
	piece := event(`{"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", 10_000) + `"}}]}`)
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, err := io.WriteString(c, sseHead)
		for err == nil {
			_, err = io.WriteString(c, piece)
		}
		return false
	})
	check := func(endpoint, ask string, budget int64, want func(error) bool) {
		t.Helper()
		all := upstream.NewBudget(budget)
		p := provider(t, f.url(), func(c *upstream.Config) {
			c.Kind, _ = upstream.KindOf("together")
			c.Endpoints, c.MaxBody, c.Budget = conversations(), 100_000, all
		})
		r := attempt(t, p, at(t, endpoint, ask, "", ""), "m")
		if !want(r.err) || all.Held() != 0 {
			t.Errorf("%s: %v after %d events, %d bytes are counted", endpoint, r.err, len(r.events), all.Held())
		}
		if size := len(strings.Join(r.events, "")); size > 300_000 {
			t.Errorf("%s: %d bytes were passed on", endpoint, size)
		}
	}
	busy := func(err error) bool { return codeOf(err) == "gateway_busy" }
	large := func(err error) bool { return err != nil && codeOf(err) == "" }
	check("responses.create", `{"model":"m","stream":true,"input":"hi"}`, 1<<20, large)
	check("responses.create", `{"model":"m","stream":true,"input":"hi"}`, 50_000, busy)
	check("messages", `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, 50_000, large)
}

// While a stream goes on it holds what it has to repeat at its end, and not once more what it has said.
func TestLiveStreamIsSmall(t *testing.T) {
	const streams, size = 20, 200_000
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, sseHead+events(hello, hello))
		untilGone(c)
		return false
	})
	p := compatible(t, f, nil)
	ask := `{"model":"m","stream":true,"input":"x","instructions":"` + strings.Repeat("p", size) + `"}`
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var live []*gateway.Exchange
	before := heap()
	for range streams {
		x := at(t, "responses.create", ask, "", "")
		target := &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k")}
		var err error
		if x.Reply, err = target.Via.Send(x, target, x.Attempting(target)); err != nil {
			t.Fatal(err)
		}
		x.Commit()
		live = append(live, x)
		for said := 0; said < 2; {
			ev, err := x.Reply.Stream.Next()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(ev.Data), `"response.output_text.delta"`) {
				said++
			}
		}
	}
	f.forget()
	if each := (heap() - before) / streams; each > 3*size { // of which the fake provider keeps more than one
		t.Errorf("%d bytes each", each)
	}
	for _, x := range live {
		_ = x.Reply.Stream.Close()
	}
}

// What a provider keeps for one tenant is not another's, who may share the account; what nobody remembers, the provider
// decides.
func TestForeignResponse(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", `{"id":"resp_1","object":"response","status":"completed","output":[]}`)))
	store := upstream.NewStored(1<<20, patience)
	p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Stored = conversations(), store })
	ask := func(who tenant.ID, endpoint, body, id string) error {
		x := at(t, endpoint, body, id, "")
		x.Caller.Tenant = &gateway.Tenant{ID: who}
		return attempt(t, p, x, "m").err
	}
	if err := ask("one", "responses.create", `{"model":"m","input":"hi"}`, ""); err != nil {
		t.Fatal(err)
	}
	for who, good := range map[tenant.ID]bool{"one": true, "two": false} {
		for _, err := range []error{
			ask(who, "responses.retrieve", "", "resp_1"), ask(who, "responses.delete", "", "resp_1"),
			ask(who, "responses.create", `{"model":"m","input":"hi","previous_response_id":"resp_1"}`, ""),
		} {
			if (err == nil) != good || !good && gateway.AsError(err).Status != 404 {
				t.Errorf("%s: %v", who, err)
			}
		}
	}
	if err := ask("two", "responses.retrieve", "", "resp_of_nobody"); err != nil {
		t.Error(err)
	}
}

// A tenant that may use some models does not reach others through what OpenRouter reads beside "model".
func TestOtherModels(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf("openrouter")
		c.Endpoints = conversations()
	})
	ask := `{"model":"m","models":["dear"],"messages":[{"role":"user","content":"hi"}]}`
	for allow, status := range map[string]int{"m": 403, "": 0} {
		x := at(t, "chat.completions", ask, "", "")
		x.Caller.Tenant = &gateway.Tenant{ID: "t"}
		if allow != "" {
			x.Caller.Tenant.Allow = []gateway.Pattern{gateway.Pattern(allow)}
		}
		if r := attempt(t, p, x, "m"); (r.err == nil) != (status == 0) || r.err != nil && gateway.AsError(r.err).Status != status {
			t.Errorf("allowed %q: %v", allow, r.err)
		}
	}
}
