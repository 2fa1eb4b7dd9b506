package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

const streamed = `{"model":"m","stream":true}`

// head reads a response's head and gives its body to read.
func (c *client) head() *http.Response {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	return r
}

// expect reads exactly want from a body.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("%q, %v; want %q", b[:n], err, want)
	}
}

func TestStream(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.dial()
	for range 2 { // the connection is used again
		c.send(post(streamed))
		e := <-out
		e.feed <- `{"n":1}`
		r := c.head()
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" || r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%d %v", r.StatusCode, r.Header)
		}
		expect(t, r.Body, "data: {\"n\":1}\n\n") // an event does not wait for the next
		e.feed <- "two\nlines"
		expect(t, r.Body, "data: two\ndata: lines\n\n")
		e.feed <- "[DONE]"
		e.feed <- io.EOF
		rest, err := io.ReadAll(r.Body)
		if err != nil || withoutBeats(rest) != "data: [DONE]\n\n" {
			t.Errorf("%q, %v", rest, err)
		}
		if end := s.waitEnd(); end.err != nil {
			t.Error(end.err)
		}
		<-e.done
	}
}

// A client must be able to tell a cut answer from a complete one: an error event, then an aborted connection.
func TestCutStream(t *testing.T) {
	check := func(name string, err error, want string) {
		t.Run(name, func(t *testing.T) {
			out := make(chan *events, 1)
			s := start(t, streaming(out))
			c := s.dial()
			c.send(post(streamed))
			e := <-out
			e.feed <- `{"n":1}`
			e.feed <- err
			r := c.head()
			all, readErr := io.ReadAll(r.Body)
			if !errors.Is(readErr, io.ErrUnexpectedEOF) {
				t.Errorf("the body ended with %v", readErr)
			}
			event := strings.TrimPrefix(string(all), "data: {\"n\":1}\n\n")
			if !strings.HasPrefix(event, `data: {"error":{`) || !strings.HasSuffix(event, "}}\n\n") || code(t, strings.TrimPrefix(event, "data: ")) != want {
				t.Errorf("%q", event)
			}
			if end := s.waitEnd(); !errors.Is(end.err, err) {
				t.Errorf("ended with %v", end.err)
			}
			<-e.done
		})
	}
	check("cut", io.ErrUnexpectedEOF, "upstream_stream_error")
	check("a provider's error", &gateway.Error{Status: 500, Type: "server_error", Code: "boom", Message: "it said"}, "boom")
}

func TestHeartbeat(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.dial()
	c.send(post(streamed))
	e := <-out
	e.feed <- "a"
	r := c.head()
	expect(t, r.Body, "data: a\n\n: keep-alive\n\n: keep-alive\n\n")
	e.feed <- "b"
	e.feed <- io.EOF
	rest, err := io.ReadAll(r.Body)
	if err != nil || withoutBeats(rest) != "data: b\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

func withoutBeats(b []byte) string { return strings.ReplaceAll(string(b), ": keep-alive\n\n", "") }

// The client leaves: the exchange is cancelled at once, on every transport and in every phase.
func TestClientLeaves(t *testing.T) {
	type variant struct {
		name  string
		setup func(*setup)
	}
	variants := []variant{
		{"epoll", func(*setup) {}},
		{"background read", func(u *setup) { u.background = true }},
		{"TLS 1.3", func(u *setup) { u.tls = true }},
		{"TLS 1.2", func(u *setup) { u.tls = true; u.maxTLS = tls.VersionTLS12 }},
		{"TLS, background read", func(u *setup) { u.tls, u.background = true, true }},
	}
	ways := map[string]func(*client){
		"closes":      func(c *client) { _ = c.Close() },
		"resets":      func(c *client) { _ = c.tcp.SetLinger(0); _ = c.tcp.Close() },
		"half-closes": func(c *client) { _ = c.tcp.CloseWrite() },
	}
	for _, v := range variants {
		for way, leave := range ways {
			t.Run(v.name+"/"+way+"/before the reply", func(t *testing.T) {
				began, gone := make(chan struct{}), make(chan time.Time, 1)
				s := start(t, func(x *gateway.Exchange) error {
					if err := x.Request.Open(); err != nil {
						return err
					}
					close(began)
					<-x.Context().Done()
					gone <- time.Now()
					return x.Cause()
				}, v.setup)
				c := s.dial()
				c.send(post(minimal))
				<-began
				left := time.Now()
				leave(c)
				noticed(t, gone, left)
				if end := s.waitEnd(); !errors.Is(end.err, gateway.ErrGone) {
					t.Errorf("ended with %v", end.err)
				}
			})
			t.Run(v.name+"/"+way+"/mid-stream", func(t *testing.T) {
				out := make(chan *events, 1)
				s := start(t, streaming(out), v.setup)
				c := s.dial()
				c.send(post(streamed))
				e := <-out
				e.feed <- "a"
				expect(t, c.head().Body, "data: a\n\n")
				left := time.Now()
				leave(c)
				select {
				case <-e.done:
				case <-time.After(patience):
					t.Fatal("nobody noticed")
				}
				if d := time.Since(left); d > time.Second {
					t.Errorf("noticed after %v", d)
				}
				if end := s.waitEnd(); !errors.Is(end.err, gateway.ErrGone) {
					t.Errorf("ended with %v", end.err)
				}
			})
		}
	}
}

func noticed(t *testing.T, gone <-chan time.Time, left time.Time) {
	t.Helper()
	select {
	case at := <-gone:
		if d := at.Sub(left); d > time.Second { // the true figure is a benchmark's; this is to notice a poll
			t.Errorf("noticed after %v", d)
		}
	case <-time.After(patience):
		t.Fatal("nobody noticed")
	}
}

// Pipelined bytes behind the request do not hide that the client has left.
func TestPipeliningClientLeaves(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.dial()
	c.send(post(streamed) + post(streamed))
	e := <-out
	e.feed <- "a"
	expect(t, c.head().Body, "data: a\n\n")
	_ = c.Close()
	<-e.done
	if end := s.waitEnd(); !errors.Is(end.err, gateway.ErrGone) {
		t.Errorf("ended with %v", end.err)
	}
}

// A client that stops reading is dropped by the deadline of one write, while one that reads slowly is not.
func TestStuckReader(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) { u.options.WriteTimeout = 200 * time.Millisecond })
	c := s.dial()
	_ = c.tcp.SetReadBuffer(4096)
	c.send(post(streamed))
	e := <-out
	go func() {
		for {
			select {
			case e.feed <- strings.Repeat("x", 60_000):
			case <-e.done:
				return
			}
		}
	}()
	select {
	case <-e.done:
	case <-time.After(patience):
		t.Fatal("the stuck reader was not dropped")
	}
	if end := s.waitEnd(); end.err == nil {
		t.Error("ended well")
	}
}

func TestDrain(t *testing.T) {
	out := make(chan *events, 2)
	s := start(t, streaming(out))
	idle, finishing, stuck := s.dial(), s.dial(), s.dial()
	var streams []*events
	for _, c := range []*client{finishing, stuck} {
		c.send(post(streamed))
		streams = append(streams, <-out)
		streams[len(streams)-1].feed <- "a"
	}
	finished, cut := finishing.head(), stuck.head()
	expect(t, finished.Body, "data: a\n\n")
	expect(t, cut.Body, "data: a\n\n")

	ctx, stop := context.WithCancel(t.Context())
	drained := make(chan int, 1)
	s.drained = true
	go func() { drained <- s.s.Drain(ctx) }()
	if !idle.closedWithin(t) {
		t.Error("an idle connection stayed open")
	}
	streams[0].feed <- "[DONE]" // what runs may finish
	streams[0].feed <- io.EOF
	if rest, err := io.ReadAll(finished.Body); err != nil || withoutBeats(rest) != "data: [DONE]\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
	if !finishing.closedWithin(t) {
		t.Error("the connection stayed open")
	}
	stop() // the deadline
	rest, err := io.ReadAll(cut.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || code(t, strings.TrimPrefix(withoutBeats(rest), "data: ")) != "shutting_down" {
		t.Errorf("%q, %v", rest, err)
	}
	if n := <-drained; n != 1 {
		t.Errorf("%d were cut", n)
	}
	if n, _ := s.s.Live(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// closedWithin says whether the connection ends; a 408 for a request that never came may stand before the end.
func (c *client) closedWithin(t *testing.T) bool {
	t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 && !strings.HasPrefix(string(rest), "HTTP/1.1 408") {
		t.Errorf("read %q", rest)
	}
	return err == nil
}

// A refusal of a request without a body leaves nothing to linger for: the drain does not wait for such a connection.
func TestDrainAfterRefusals(t *testing.T) {
	s := start(t, func(*gateway.Exchange) error {
		return &gateway.Error{Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Message: "no"}
	})
	for _, path := range []string{"/v1/models", "/nope"} {
		c := s.dial()
		c.send(request("GET", path, ""))
		c.response()
	}
	s.drained = true
	begin := time.Now()
	s.s.Drain(t.Context())
	if d := time.Since(begin); d > 2*time.Second { // a lingering close takes 5 s
		t.Errorf("the drain took %v", d)
	}
}

// While draining, a request that arrives on an open connection is answered and told to go elsewhere next.
func TestDrainAnswersWhatArrives(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.dial()
	c.send(post(streamed))
	e := <-out
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int, 1)
	s.drained = true
	go func() { done <- s.s.Drain(ctx) }()
	until(t, "the drain began", func() bool {
		k, err := dialRaw(s)
		if err == nil {
			_ = k.Close()
		}
		return err != nil
	})
	c.send(post(streamed)) // pipelined behind the stream
	e.feed <- io.EOF
	if _, err := io.ReadAll(c.head().Body); err != nil {
		t.Error(err)
	}
	second := <-out
	second.feed <- io.EOF
	r := c.head()
	if r.StatusCode != 200 || !r.Close {
		t.Errorf("%d, close %v", r.StatusCode, r.Close)
	}
	_, _ = io.ReadAll(r.Body)
	if n := <-done; n != 0 {
		t.Errorf("%d were cut", n)
	}
}

// Every exchange ends exactly once, whatever happens to it.
func TestEndsOnce(t *testing.T) {
	out := make(chan *events, 100)
	s := start(t, streaming(out))
	const n = 50
	for i := range n {
		c := s.dial()
		c.send(post(streamed))
		e := <-out
		switch i % 3 {
		case 0:
			e.feed <- io.EOF
		case 1:
			e.feed <- errors.New("cut")
		default:
			_ = c.Close()
		}
		s.waitEnd()
	}
	until(t, "all connections are closed or idle", func() bool { return s.used.Load() == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, len(s.ends))
	for i, e := range s.ends {
		ids[i] = e.id
	}
	slices.Sort(ids)
	if len(ids) != n || len(slices.Compact(ids)) != n {
		t.Errorf("%d ends of %d exchanges", len(ids), n)
	}
}

func TestTLS(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) { u.tls = true })
	c := s.dial()
	for i := range 3 {
		c.send(post(streamed))
		e := <-out
		var want strings.Builder
		for k := range 100 {
			e.feed <- fmt.Sprint(i, k)
			fmt.Fprintf(&want, "data: %d %d\n\n", i, k)
		}
		e.feed <- io.EOF
		if all, err := io.ReadAll(c.head().Body); err != nil || string(all) != want.String() {
			t.Fatalf("%q, %v", all, err)
		}
		s.waitEnd()
	}
}

// SDKs hang up as soon as they have read the last event, before the framing's end: the stream was delivered.
func TestHangUpAfterTheLastEvent(t *testing.T) {
	check := func(name, terminal string, failure, want error) {
		t.Run(name, func(t *testing.T) {
			out := make(chan *events, 1)
			s := start(t, streaming(out))
			c := s.dial()
			c.send(post(streamed))
			e := <-out
			e.feed <- "a"
			if terminal != "" {
				e.feed <- terminal
			} else {
				e.feed <- failure
			}
			body := c.head().Body
			expect(t, body, "data: a\n\ndata: ")
			_ = c.tcp.SetLinger(0)
			_ = c.Close()
			if terminal != "" {
				e.feed <- io.EOF
			}
			if end := s.waitEnd(); !errors.Is(end.err, want) {
				t.Errorf("ended with %v, want %v", end.err, want)
			}
		})
	}
	cut := errors.New("cut")
	check("[DONE]", "[DONE]", nil, nil)
	check("an error", "", cut, cut)
}
