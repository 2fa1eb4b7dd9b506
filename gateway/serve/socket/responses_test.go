package socket_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const responsesPath = "/v1/responses"

// responses opens a socket in the Responses API's WebSocket mode.
func (s *server) responses() *client {
	s.t.Helper()
	c, _, err := s.dial(responsesPath, "Authorization", "Bearer key", "OpenAI-Beta", "responses_websockets=2026-02-06")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// asked is a response that the handler was asked for.
type asked struct {
	*events
	body string
}

func answering(out chan<- asked) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		e := newEvents(x)
		x.Reply = &gateway.Reply{Status: 200, ContentType: "text/event-stream", Kind: gateway.Events, Stream: e}
		a := asked{e, string(x.Request.Body())}
		x.Commit()
		out <- a
		return nil
	}
}

// say gives the events of a response.
func (a asked) say(id, output string) {
	for _, kind := range []string{"created", "completed"} {
		a.feed <- gateway.Event{Name: "response." + kind, Data: fmt.Appendf(nil, `{"type":"response.%s","response":{"id":%q,"output":[%s]}}`, kind, id, output)}
	}
	a.feed <- "[DONE]" // as some providers do
	a.feed <- io.EOF
}

// completes reads a response.
func (c *client) completes(id, lane string) {
	c.t.Helper()
	end := "}"
	if lane != "" {
		end = `,"stream_id":"` + lane + `"}`
	}
	for _, kind := range []string{"created", "completed"} {
		if f := c.next(); f.Type != "response."+kind || !strings.Contains(f.raw, `"id":"`+id+`"`) || !strings.HasSuffix(f.raw, "]}"+end) {
			c.t.Fatal(f.raw)
		}
	}
}

// wants compares the body of what was asked.
func (a asked) wants(t *testing.T, want string) {
	t.Helper()
	if a.body != want {
		t.Errorf("got  %s\nwant %s", a.body, want)
	}
}

func TestResponses(t *testing.T) {
	out := make(chan asked, 1)
	s := start(t, answering(out))
	c := s.responses()
	c.send(`{"type":"response.create","model":"m","input":"hi","previous_response_id":"resp_0","tools":[{"type":"function"}]}`)
	a := <-out
	a.wants(t, `{"stream":true,"model":"m","input":"hi","previous_response_id":"resp_0","tools":[{"type":"function"}]}`)
	a.say("resp_1", "")
	c.completes("resp_1", "")
	c.send(`{"type":"response.create","stream_id":"a.b-c_1","model":"m","input":"hi","generate":true}`)
	a = <-out
	a.wants(t, `{"stream":true,"model":"m","input":"hi"}`)
	a.say("resp_2", "")
	c.completes("resp_2", "a.b-c_1")
	until(t, "both have ended", func() bool { return len(s.ended()) == 2 })
}

// TestLanes: one lane answers in order, several at once.
func TestLanes(t *testing.T) {
	out := make(chan asked, 100)
	s := start(t, answering(out))
	c := s.responses()
	send := func(lane, input string) {
		t.Helper()
		c.send(`{"type":"response.create","stream_id":"` + lane + `","model":"m","input":"` + input + `"}`)
	}
	send("a", "a1")
	a1 := <-out
	send("a", "a2")
	send("b", "b1")
	b1 := <-out
	b1.wants(t, `{"stream":true,"model":"m","input":"b1"}`) // a2 waits for a1
	b1.say("resp_b1", "")
	c.completes("resp_b1", "b")
	a1.say("resp_a1", "")
	c.completes("resp_a1", "a")
	a2 := <-out
	a2.wants(t, `{"stream":true,"model":"m","input":"a2"}`)
	a2.say("resp_a2", "")
	c.completes("resp_a2", "a")

	running := make([]asked, 0, 16)
	for i := range 30 { // with a and b, and the one without a name, which does not count
		send(fmt.Sprint("lane-", i), "x")
	}
	c.send(`{"type":"response.create","model":"m","input":"x"}`)
	for range 16 {
		running = append(running, <-out)
	}
	send("one-too-many", "x")
	if f := c.fails("", "websocket_stream_limit_reached"); f.Status != 400 || !strings.Contains(f.raw, `"stream_id":"one-too-many"`) {
		t.Error(f.raw)
	}
	if len(out) != 0 {
		t.Error("more than 16 are in flight")
	}
	for _, a := range running {
		a.say("resp_x", "")
	}
	for range 31 - 16 {
		(<-out).say("resp_x", "")
	}
	for range 2 * 31 {
		if f := c.next(); f.Type != "response.created" && f.Type != "response.completed" {
			t.Fatal(f.raw)
		}
	}
}

// TestLaneOrder: nothing of a response comes before all of the one before it in its lane, however long that is.
func TestLaneOrder(t *testing.T) {
	out := make(chan asked, 100)
	s := start(t, answering(out))
	c := s.responses()
	const turns, deltas = 5, 200
	go func() {
		for i := range 3 * turns {
			a := <-out
			go func() {
				for range deltas {
					a.feed <- gateway.Event{Name: "response.output_text.delta", Data: fmt.Appendf(nil, `{"type":"response.output_text.delta","turn":%d,"delta":"%s"}`, i, strings.Repeat("x", 1000))}
				}
				a.say(fmt.Sprint("resp_", i), "")
			}()
		}
	}()
	for range turns {
		for _, lane := range []string{"a", "b", "c"} {
			c.send(`{"type":"response.create","stream_id":"` + lane + `","model":"m","input":"x"}`)
		}
	}
	current := map[string]int{}
	for done := 0; done < 3*turns; {
		var f struct {
			Type string
			Lane string `json:"stream_id"`
			Turn int
		}
		if err := json.Unmarshal([]byte(c.next().raw), &f); err != nil {
			t.Fatal(err)
		}
		switch f.Type {
		case "response.output_text.delta":
			if turn, running := current[f.Lane]; running && turn != f.Turn {
				t.Fatalf("lane %s: turn %d begins within %d", f.Lane, f.Turn, turn)
			}
			current[f.Lane] = f.Turn
		case "response.completed":
			delete(current, f.Lane)
			done++
		}
	}
}

// TestUnstored goes on from responses that nobody but the connection knows.
func TestUnstored(t *testing.T) {
	out := make(chan asked, 1)
	s := start(t, answering(out))
	c := s.responses()
	ask := func(lane, previous, input, want string) asked {
		t.Helper()
		c.send(`{"type":"response.create","stream_id":"` + lane + `","model":"m","store":false,"previous_response_id":` + previous + `,"input":` + input + `}`)
		a := <-out
		a.wants(t, `{"stream":true,"model":"m","store":false`+want+`}`)
		return a
	}
	ask("a", "null", `"one"`, `,"previous_response_id":null,"input":"one"`).
		say("resp_1", `{"type":"reasoning","id":"rs_1"},{"type":"reasoning","id":"rs_2","encrypted_content":"x"},{"type":"message","id":"msg_1"}`)
	c.completes("resp_1", "a")
	const one = `{"type":"message","role":"user","content":"one"},{"type":"reasoning","id":"rs_2","encrypted_content":"x"},{"type":"message","id":"msg_1"}`
	ask("b", `"resp_1"`, `[{"role":"user"}]`, `,"input":[`+one+`,{"role":"user"}]`).say("resp_2", `{"type":"message","id":"msg_2"}`) // a fork
	c.completes("resp_2", "b")
	ask("a", `"resp_1"`, `"two"`, `,"input":[`+one+`,{"type":"message","role":"user","content":"two"}]`).say("resp_3", ``)
	c.completes("resp_3", "a")

	missing := func(lane, previous string) {
		t.Helper()
		c.send(`{"type":"response.create","stream_id":"` + lane + `","model":"m","store":false,"previous_response_id":"` + previous + `","input":"x"}`)
		if f := c.fails("", "previous_response_not_found"); f.Status != 400 || f.Error.Param != "previous_response_id" {
			t.Error(f.raw)
		}
	}
	missing("a", "resp_1") // resp_3 has taken its place
	missing("a", "resp_0")

	// An error in another lane evicts nothing, one in the same lane does.
	a := ask("b", `"resp_3"`, `"x"`, `,"input":[`+one+`,{"type":"message","role":"user","content":"two"},{"type":"message","role":"user","content":"x"}]`)
	a.feed <- &gateway.Error{Status: 500, Type: "server_error", Code: "boom", Message: "it said"}
	c.fails("", "boom")
	a = ask("a", `"resp_3"`, `"x"`, `,"input":[`+one+`,{"type":"message","role":"user","content":"two"},{"type":"message","role":"user","content":"x"}]`)
	a.feed <- &gateway.Error{Status: 500, Type: "server_error", Code: "boom", Message: "it said"}
	c.fails("", "boom")
	missing("a", "resp_3")

	// What was stored is known elsewhere.
	c.send(`{"type":"response.create","stream_id":"s","model":"m","input":"x"}`)
	(<-out).say("resp_s", "")
	c.completes("resp_s", "s")
	ask("t", `"resp_s"`, `"x"`, `,"previous_response_id":"resp_s","input":"x"`).say("resp_t", "")
	c.completes("resp_t", "t")
	_ = c.Close()
	until(t, "nothing is remembered", func() bool { _, n := s.s.Live(); return n == 0 })
}

// TestWarmUp asks for a response without generating one.
func TestWarmUp(t *testing.T) {
	out := make(chan asked, 1)
	s := start(t, answering(out))
	c := s.responses()
	c.send(`{"type":"response.create","stream_id":"a","model":"m","instructions":"be brief","input":"context","generate":false}`)
	var id string
	for _, kind := range []string{"response.created", "response.in_progress", "response.completed"} {
		var f struct {
			Type     string
			Lane     string `json:"stream_id"`
			Response struct {
				ID           string
				Model        string
				Output       []any
				Instructions string
			}
		}
		if err := json.Unmarshal([]byte(c.next().raw), &f); err != nil {
			t.Fatal(err)
		}
		if f.Type != kind || f.Lane != "a" || !strings.HasPrefix(f.Response.ID, "resp_") || f.Response.Model != "m" || len(f.Response.Output) != 0 || f.Response.Instructions != "be brief" {
			t.Errorf("%+v", f)
		}
		id = f.Response.ID
	}
	c.send(`{"type":"response.create","stream_id":"a","model":"m","previous_response_id":"` + id + `","input":"question"}`)
	a := <-out
	a.wants(t, `{"stream":true,"model":"m","input":[{"type":"message","role":"user","content":"context"},{"type":"message","role":"user","content":"question"}]}`)
	a.say("resp_1", "")
	c.completes("resp_1", "a")
	if n := len(s.ended()); n != 1 && n != 0 {
		t.Errorf("%d exchanges", n)
	}
	c.send(`{"type":"response.create","input":"x","generate":false}`)
	c.fails("", "invalid_value")
	c.send(`{"type":"response.create","model":"m","instructions":"` + strings.Repeat("x", 100_000) + `","input":"x","generate":false}`)
	for range 3 {
		if f := c.next(); len(f.raw) < 100_000 {
			t.Fatal(f.raw)
		}
	}
}

// TestResponsesMessages sends what is not as it must be. Errors have their lane, and are nested.
func TestResponsesMessages(t *testing.T) {
	s := start(t, answering(make(chan asked, 1)))
	c := s.responses()
	f := func(text, lane, code, param string) {
		t.Helper()
		c.send(text)
		f := c.next()
		want := fmt.Sprintf(`{"type":"error","status":400,"stream_id":%q,"error":{"message":`, lane)
		if lane == "" {
			want = `{"type":"error","status":400,"error":{"message":`
		}
		if !strings.HasPrefix(f.raw, want) || f.Error.Code != code || f.Error.Param != param || f.Error.Type != "invalid_request_error" {
			t.Errorf("%s: %s", text, f.raw)
		}
	}
	f(``, "", "invalid_json", "")
	f(`{}`, "", "invalid_value", "type")
	f(`{"type":"response.cancel","stream_id":"a"}`, "a", "unknown_type", "")
	f(`{"type":"response.create","stream_id":""}`, "", "invalid_stream_id", "stream_id")
	f(`{"type":"response.create","stream_id":"a b"}`, "", "invalid_stream_id", "stream_id")
	f(`{"type":"response.create","stream_id":"`+strings.Repeat("a", 257)+`"}`, "", "invalid_stream_id", "stream_id")
	f(`{"type":"response.create","stream_id":1}`, "", "invalid_stream_id", "stream_id")
	f(`{"type":"response.create","stream_id":"a","stream":true}`, "a", "invalid_value", "stream")
	f(`{"type":"response.create","stream_id":"a","background":false}`, "a", "invalid_value", "background")
	f(`{"type":"response.create","stream_id":"a","generate":1}`, "a", "invalid_value", "generate")
	f(`{"type":"response.create","stream_id":"a","store":1}`, "a", "invalid_value", "store")
	f(`{"type":"response.create","stream_id":"a","previous_response_id":1}`, "a", "invalid_value", "previous_response_id")
	f(`{"type":"response.create","stream_id":"a","type":"response.create"}`, "a", "invalid_value", "type")
	f(`{"type":"response.create","stream_id":"a","input":"x"}`, "a", "missing_required_parameter", "model")
	f(`{"type":"response.create","stream_id":"a","model":"m","model":"n"}`, "a", "invalid_value", "model")
	f(`{"type":"response.create","model":"m","MODEL":"n"}`, "", "invalid_value", "model")

	c.send(`{"type":"response.steer","previous_response_id":"resp_1","input":[{"role":"user","content":"left"}]}`)
	c.expect(`{"type":"response.steer.failed","sequence_number":0,"steer":{"input":[{"role":"user","content":"left"}],"previous_response_id":"resp_1"},` +
		`"error":{"type":"invalid_request_error","code":"steering_not_supported","message":"`)
}

// TestResponsesFailure: an event with which a provider ends a response comes as it is; an error of a stream is nested.
func TestResponsesFailure(t *testing.T) {
	out := make(chan asked, 1)
	s := start(t, answering(out))
	c := s.responses()
	f := func(framed, want string) {
		t.Helper()
		c.send(`{"type":"response.create","stream_id":"a","model":"m","input":"x"}`)
		a := <-out
		a.x.Reply.Failure = nil
		if framed != "" {
			a.x.Reply.Failure = failure(framed)
		}
		a.feed <- &gateway.Error{Status: 500, Type: "server_error", Code: "boom", Message: "it said", Ends: framed != ""}
		c.expect(want)
	}
	const nested = `{"type":"error","status":500,"stream_id":"a","error":{"message":"it said","type":"server_error","param":null,"code":"boom"}}`
	f("", nested)
	f("event: error\ndata: {\"type\":\"error\",\"code\":\"boom\"}\n\n", nested)
	f("event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{}}\n\n", `{"type":"response.failed","response":{},"stream_id":"a"}`)
}

// TestResponsesHangUp: nothing outlives the connection.
func TestResponsesHangUp(t *testing.T) {
	out := make(chan asked, 2)
	s := start(t, answering(out))
	c := s.responses()
	for range 3 {
		c.send(`{"type":"response.create","model":"m","input":"x"}`)
	}
	a := <-out
	until(t, "all have arrived", func() bool { return s.value("sluice_socket_messages_total") == 3 })
	_ = c.NetConn().Close()
	<-a.done
	until(t, "it has ended", func() bool { return len(s.ended()) == 1 })
	until(t, "the others are forgotten", func() bool { _, n := s.s.Live(); return n == 0 })
	if len(out) != 0 {
		t.Error("the next one began")
	}
}

// TestNoResponses is a gateway where the mode is off.
func TestNoResponses(t *testing.T) {
	s := start(t, chunks(1, 1), func(u *setup) { u.options.Responses = false })
	if status, code := s.refused(responsesPath, "Authorization", "Bearer key"); status != 426 || code != "websocket_unavailable" {
		t.Errorf("%d %s", status, code)
	}
}

// failure ends a stream with what the provider said.
func failure(framed string) func([]byte, chat.Error) []byte {
	return func(b []byte, _ chat.Error) []byte { return append(b, framed...) }
}
