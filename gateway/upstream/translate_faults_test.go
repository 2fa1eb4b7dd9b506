package upstream_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

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

// A stream that breaks off is never complete in any dialect, and ends with the caller's kind of error event.
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
