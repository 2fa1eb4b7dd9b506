package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// TestChat has two exchanges at once on one socket.
func TestChat(t *testing.T) {
	out := make(chan *events, 2)
	s := start(t, func(x *gateway.Exchange) error {
		if err := streaming(out)(x); err != nil {
			return err
		}
		x.Reply.Header = []gateway.Field{{Name: "x-sluice-cache", Value: "miss"}}
		x.Attempting(&gateway.Target{Provider: "p", Model: "real"})
		x.Usage = chat.Usage{Input: 3, Output: 2, Provenance: chat.Reported}
		if got := string(x.Request.Body()); got != "" {
			t.Errorf("the body is kept after the commit: %s", got)
		}
		return nil
	})
	c := s.chat()
	c.create("a")
	a := <-out
	c.create("b-2:x.y_z")
	b := <-out
	a.feed <- `{"n":1}`
	c.expect(`{"type":"chat.chunk","id":"a","seq":1,"chunk":{"n":1}}`)
	b.feed <- `{"n":2}`
	c.expect(`{"type":"chat.chunk","id":"b-2:x.y_z","seq":1,"chunk":{"n":2}}`)
	a.feed <- `{"n":3}`
	c.expect(`{"type":"chat.chunk","id":"a","seq":2,"chunk":{"n":3}}`)
	a.feed <- "[DONE]"
	a.feed <- io.EOF
	f := c.expect(`{"type":"chat.done","id":"a","seq":3,"request_id":"req_`)
	if !strings.Contains(f.raw, `"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5`) ||
		!strings.HasSuffix(f.raw, `,"cost":null,"provider":"p","model":"real","cache":"miss"}`) {
		t.Error(f.raw)
	}
	b.feed <- &gateway.Error{Status: 500, Type: "server_error", Code: "boom", Message: "it said"}
	if f := c.fails("b-2:x.y_z", "boom"); f.Seq != 2 || f.Status != 500 || f.RequestID == "" {
		t.Error(f.raw)
	}
	until(t, "both have ended", func() bool { return len(s.ended()) == 2 })
	<-a.done
	<-b.done
}

// TestStreamIsAskedFor looks at the bytes that the chain gets.
func TestStreamIsAskedFor(t *testing.T) {
	got := make(chan string, 1)
	s := start(t, func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		got <- string(x.Request.Body())
		return &gateway.Error{Status: 400, Type: "t", Code: "enough", Message: "m"}
	})
	c := s.chat()
	f := func(request, want string) {
		t.Helper()
		c.send(`{"type":"chat.create","id":"a","request":` + request + `}`)
		if body := <-got; body != want {
			t.Errorf("%s became %s", request, body)
		}
		c.fails("a", "enough")
	}
	f(`{"model":"m"}`, `{"stream":true,"model":"m"}`)
	f(`{ "model":"m", "stream" : true }`, `{ "model":"m", "stream" : true }`)
	f(`{"model":"m","x":{"stream":false}}`, `{"stream":true,"model":"m","x":{"stream":false}}`)
	g := func(request, code string) {
		t.Helper()
		c.send(`{"type":"chat.create","id":"a","request":` + request + `}`)
		c.fails("a", code)
	}
	g(`{"model":"m","stream":false}`, "invalid_value")
	g(`{"model":"m","stream":null}`, "invalid_value")
	g(`{}`, "missing_required_parameter")
	g(`{"model":"a","model":"b"}`, "invalid_value")
	g(`{"model":"a","\u0073tream":true}`, "invalid_value")
	g(`{"model":"m","stream":true,"stream":false}`, "invalid_value")
}

// TestMessages sends what is no message of the protocol. The socket goes on.
func TestMessages(t *testing.T) {
	s := start(t, chunks(1, 1))
	c := s.chat()
	f := func(text, id, code, param string) {
		t.Helper()
		c.send(text)
		if got := c.fails(id, code); got.Error.Param != param || got.Seq != 0 {
			t.Errorf("%s: %s", text, got.raw)
		}
	}
	f(``, "", "invalid_json", "")
	f(`[]`, "", "invalid_json", "")
	f(`{"type":"chat.create"`, "", "invalid_json", "")
	f(`{} {}`, "", "invalid_json", "")
	f(`{}`, "", "invalid_value", "type")
	f(`{"type":1}`, "", "invalid_value", "type")
	f(`{"type":"chat.create","type":"chat.create"}`, "", "invalid_value", "type")
	f(`{"type":"response.create","id":"a"}`, "a", "unknown_type", "")
	f(`{"type":"chat.create"}`, "", "invalid_value", "id")
	f(`{"type":"chat.create","id":""}`, "", "invalid_value", "id")
	f(`{"type":"chat.create","id":"a\"b","request":{}}`, "", "invalid_value", "id")
	f(`{"type":"chat.create","id":"`+strings.Repeat("a", 129)+`","request":{}}`, "", "invalid_value", "id")
	f(`{"type":"chat.create","id":"a"}`, "a", "invalid_value", "request")
	f(`{"type":"chat.create","id":"a","request":[]}`, "a", "invalid_value", "request")
	f(`{"type":"chat.cancel","id":"a"}`, "a", "unknown_exchange", "id")
	f(`{"type":"chat.resume","id":"a"}`, "a", "unknown_exchange", "id")
	f(`{"type":"chat.resume","id":"a","after":-1}`, "a", "invalid_value", "after")
	f(`{"type":"chat.resume","id":"a","after":1.5}`, "a", "invalid_value", "after")
	f(`{"type":"auth"}`, "", "invalid_value", "token")
	f(`{"type":"auth","token":"a b"}`, "", "invalid_value", "token")
	c.create("a")
	c.expect(`{"type":"chat.chunk","id":"a","seq":1`)
	c.expect(`{"type":"chat.done","id":"a","seq":2`)
}

func TestCancel(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.chat()
	c.create("a")
	e := <-out
	e.feed <- "1"
	c.expect(`{"type":"chat.chunk","id":"a","seq":1`)
	c.send(`{"type":"chat.cancel","id":"a"}`)
	if f := c.fails("a", "cancelled"); f.Seq != 2 {
		t.Error(f.raw)
	}
	<-e.done
	until(t, "it has ended", func() bool { return len(s.ended()) == 1 })
	if err := s.ended()[0]; !errors.Is(err, gateway.ErrGone) {
		t.Errorf("ended with %v", err)
	}
	c.create("a") // the id is free again
	e = <-out
	e.feed <- io.EOF
	c.expect(`{"type":"chat.done","id":"a","seq":1`)
}

func TestManyAtOnce(t *testing.T) {
	out := make(chan *events, 10)
	s := start(t, streaming(out), func(u *setup) { u.options.AtOnce = 2 })
	c := s.chat()
	c.create("a")
	c.create("b")
	a, b := <-out, <-out
	c.create("a")
	c.fails("a", "too_many_exchanges")
	a.feed <- io.EOF
	b.feed <- io.EOF
	c.expect(`{"type":"chat.done"`)
	c.expect(`{"type":"chat.done"`)
	c.create("a")
	e := <-out
	c.create("a")
	c.fails("a", "duplicate_id")
	e.feed <- io.EOF
	c.expect(`{"type":"chat.done"`)
}

func TestRate(t *testing.T) {
	s := start(t, chunks(0, 0), func(u *setup) { u.options.Messages = 3 })
	c := s.chat()
	for i := range 3 {
		c.create(fmt.Sprint("a", i))
		c.expect(`{"type":"chat.done"`)
	}
	c.create("b")
	if f := c.fails("b", "rate_limit_exceeded"); f.RetryMS < 10_000 || f.RetryMS > 20_000 {
		t.Error(f.raw)
	}
}

// refused opens no socket; it gives the status and the code of the error.
func (s *server) refused(path string, header ...string) (int, string) {
	s.t.Helper()
	_, r, err := s.dial(path, header...)
	if r == nil {
		s.t.Fatal(err)
	}
	if err == nil {
		return r.StatusCode, ""
	}
	b, _ := io.ReadAll(r.Body)
	_, code, _ := strings.Cut(string(b), `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	return r.StatusCode, code
}

// TestUpgrade says who gets a socket.
func TestUpgrade(t *testing.T) {
	s := start(t, chunks(1, 1), func(u *setup) {
		u.directory.Origins = []string{"https://app.example"}
	})
	f := func(path string, status int, code string, header ...string) {
		t.Helper()
		if gotStatus, gotCode := s.refused(path, header...); gotStatus != status || gotCode != code {
			t.Errorf("%s %q: %d %s, want %d %s", path, header, gotStatus, gotCode, status, code)
		}
	}
	const auth, key, origin, protocol = "Authorization", "Bearer key", "Origin", "Sec-WebSocket-Protocol"
	f(chatPath, 101, "", auth, key)
	f(chatPath, 401, "invalid_api_key")
	f(chatPath, 401, "invalid_api_key", auth, "Bearer wrong")
	f(chatPath+"?access_token=x", 400, "credential_in_query", auth, key)
	f("/v1/nope", 404, "unknown_endpoint", auth, key)
	f("/v1/embeddings", 405, "method_not_allowed", auth, key)
	f("/v1/messages", 405, "", auth, key) // in another dialect
	f("/v1/realtime?model=x", 501, "unsupported_endpoint", auth, key)

	// Pages come from an exact origin.
	f(chatPath, 101, "", auth, key, origin, "https://app.example")
	f(chatPath, 101, "", auth, key, origin, "https://acme.example")
	f(chatPath, 101, "", auth, key, origin, "http://"+s.l.Addr().String())
	for _, o := range []string{
		"https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example.evil.example", "https://sub.app.example",
		"null", "https://" + s.l.Addr().String(), "http://" + s.l.Addr().String() + ".evil.example", "HTTPS://APP.EXAMPLE",
	} {
		f(chatPath, 403, "origin_not_allowed", auth, key, origin, o)
	}

	// A browser names its token as a protocol, which is not repeated.
	f(chatPath, 101, "", protocol, "sluice.v1, sluice.token.token:u1")
	f(chatPath, 401, "invalid_api_key", protocol, "sluice.v1, sluice.token.wrong")
	f(chatPath, 401, "invalid_api_key", protocol, "sluice.v1, sluice.token.key") // a key does not expire
	f(chatPath, 400, "unknown_subprotocol", protocol, "sluice.token.token:u1")
	f(chatPath, 400, "unknown_subprotocol", auth, key, protocol, "realtime")
	f(chatPath, 400, "several_credentials", auth, key, protocol, "sluice.v1, sluice.token.token:u1")
	f(chatPath, 400, "several_credentials", protocol, "sluice.v1, sluice.token.token:u1, sluice.token.token:u2")
	c, r, err := s.dial(chatPath, protocol, "sluice.token.token:u1, sluice.v1")
	if err != nil || r.Header.Get(protocol) != "sluice.v1" || !strings.HasPrefix(r.Header.Get("X-Request-Id"), "req_") || strings.Contains(fmt.Sprint(r.Header), "token:") {
		t.Fatalf("%v, %v", err, r.Header)
	}
	c.create("a")
	c.expect(`{"type":"chat.chunk","id":"a","seq":1`)
	until(t, "it has ended", func() bool { return len(s.ended()) == 1 })
}

// TestHandshake sends upgrades that are not as RFC 6455 has them.
func TestHandshake(t *testing.T) {
	s := start(t, chunks(1, 1))
	f := func(status int, code, version string, fields ...string) {
		t.Helper()
		c := s.raw()
		c.write("GET " + chatPath + " " + version + "\r\nHost: x\r\nAuthorization: Bearer key\r\nUpgrade: websocket\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n")
		r, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		n, _ := io.ReadFull(r.Body, b[:max(0, min(r.ContentLength, 1000))])
		if r.StatusCode != status || !strings.Contains(string(b[:n]), code) {
			t.Errorf("%s %q: %d %s", version, fields, r.StatusCode, b[:n])
		}
		if status == 426 && (r.Header.Get("Sec-WebSocket-Version") != "13" || !r.Close || r.Header.Get("Upgrade") != "websocket") {
			t.Errorf("%v", r.Header)
		}
	}
	const connection, version, key = "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	f(101, "", "HTTP/1.1", connection, version, key)
	f(400, "bad_handshake", "HTTP/1.0", connection, version, key)
	f(400, "bad_handshake", "HTTP/1.1", "Connection: keep-alive", version, key)
	f(400, "bad_handshake", "HTTP/1.1", connection, version)
	f(400, "bad_handshake", "HTTP/1.1", connection, version, "Sec-WebSocket-Key: c2hvcnQ=")
	f(400, "bad_handshake", "HTTP/1.1", connection, version, "Sec-WebSocket-Key: ????")
	f(426, "bad_websocket_version", "HTTP/1.1", connection, "Sec-WebSocket-Version: 8", key)
	f(426, "bad_websocket_version", "HTTP/1.1", connection, key)
}

// TestNoSockets is a gateway without them: clients are told so that they send a POST at once.
func TestNoSockets(t *testing.T) {
	s := start(t, chunks(1, 1))
	s.s.Upgrades(nil)
	c := s.raw()
	c.write("GET " + chatPath + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r, err := http.ReadResponse(c.r, nil)
	if err != nil || r.StatusCode != 426 || !r.Close {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestEarlyBytes has messages come with the upgrade, before the gateway has answered it.
func TestEarlyBytes(t *testing.T) {
	s := start(t, chunks(1, 1))
	c := s.raw()
	c.write(upgradeText + string(masked(0x81, []byte(`{"type":"chat.create","id":"a","request":{"model":"m"}}`))))
	c.answered()
	if got := c.frames(2); !strings.Contains(got, `"type":"chat.chunk"`) || !strings.Contains(got, `"type":"chat.done"`) {
		t.Error(got)
	}
}

// TestAuth renews a credential without a reconnect.
func TestAuth(t *testing.T) {
	var asked []string
	s := start(t, func(x *gateway.Exchange) error {
		asked = append(asked, string(x.Request.Header.Get("authorization")))
		return chunks(0, 0)(x)
	}, func(u *setup) {
		u.who = func(credential string) (gateway.Caller, error) {
			c, err := somebody(strings.TrimSuffix(credential, "'"))
			if c.User == "expiring" {
				c.Expires = time.Unix(2e9, 0)
			}
			return c, err
		}
	})
	c, _, err := s.dial(chatPath, "Sec-WebSocket-Protocol", "sluice.v1, sluice.token.token:u1", "X-Extra", "1")
	if err != nil {
		t.Fatal(err)
	}
	c.create("a")
	c.expect(`{"type":"chat.done"`)
	c.send(`{"type":"auth","token":"token:u1'"}`)
	if f := c.expect(`{"type":"auth.ok","expires_at":`); f.ExpiresAt == nil || time.Until(time.Unix(*f.ExpiresAt, 0)) < 59*time.Minute {
		t.Error(f.raw)
	}
	c.create("b")
	c.expect(`{"type":"chat.done"`)
	c.send(`{"type":"auth","token":"token:u2"}`)
	c.fails("", "another_caller")
	c.send(`{"type":"auth","token":"wrong"}`)
	c.fails("", "invalid_api_key")
	c.send(`{"type":"auth","token":"key"}`)
	c.fails("", "another_caller")
	c.create("c")
	c.expect(`{"type":"chat.done"`)
	if got := fmt.Sprint(asked); got != "[Bearer token:u1 Bearer token:u1' Bearer token:u1']" {
		t.Error(got)
	}
}

// TestHeaders looks at what exchanges see of the upgrade's headers.
func TestHeaders(t *testing.T) {
	s := start(t, func(x *gateway.Exchange) error {
		h := x.Request.Header
		f := func(name, want string) {
			if got := string(h.Get(name)); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		f("x-one", "1")
		f("X-ONE", "1")
		f("authorization", "Bearer key")
		f("cookie", "")
		f("upgrade", "")
		f("connection", "")
		f("sec-websocket-key", "")
		f("idempotency-key", "")
		f("cache-control", "")
		f("pragma", "")
		f("x-on", "")
		if got := string(h.(gateway.Joins).Join("x-many")); got != "a, b" {
			t.Error(got)
		}
		if b := h.(gateway.Begins); !b.Begins("x-o") || b.Begins("x-none") {
			t.Error("Begins")
		}
		return chunks(0, 0)(x)
	})
	c, _, err := s.dial(chatPath, "Authorization", "Bearer key", "X-One", "1", "X-Many", "a", "X-Many", "b", "Cookie", "c=d", "Idempotency-Key", "k",
		"Cache-Control", "no-cache", "Pragma", "no-cache")
	if err != nil {
		t.Fatal(err)
	}
	c.create("a")
	c.expect(`{"type":"chat.done"`)
}

// TestDrain: what runs may end, then the socket is told to come back elsewhere.
func TestDrain(t *testing.T) {
	out := make(chan *events, 2)
	s := start(t, streaming(out))
	idle, busy, stuck := s.chat(), s.chat(), s.chat()
	busy.create("a")
	a := <-out
	stuck.create("b")
	<-out
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	s.drained = true
	go func() { done <- s.s.Drain(ctx) }()
	idle.closes(websocket.CloseServiceRestart)
	busy.create("c")
	busy.fails("c", "shutting_down")
	a.feed <- "1"
	a.feed <- io.EOF
	busy.expect(`{"type":"chat.chunk","id":"a","seq":1`)
	busy.expect(`{"type":"chat.done","id":"a","seq":2`)
	busy.closes(websocket.CloseServiceRestart)
	stop()
	stuck.fails("b", "shutting_down")
	stuck.closes(websocket.CloseServiceRestart)
	if cut := <-done; cut != 1 {
		t.Errorf("%d were cut", cut)
	}
}
