package upstream_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
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
