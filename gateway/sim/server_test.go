package sim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// client is an HTTP client whose connections end with the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func call(t *testing.T, c *http.Client, method, url, request string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestServerAnswers(t *testing.T) {
	s := &sim.Server{Record: true}
	base, c := serve(t, s), client(t)
	if head, body := s.Last(); head != nil || body != nil {
		t.Error("a request before the first")
	}
	request := ask("sim-chat", "what is 6*7", "")
	status, h, got := call(t, c, "POST", base+"/chat/completions", request, "X-Mine", "yes")
	if status != 200 || h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("X-Request-Id"), "req_") {
		t.Errorf("%d %v", status, h)
	}
	if d := choices(t, got)[0]; d.Text != "6*7 = 42" {
		t.Errorf("got %q", got)
	}
	if head, body := s.Last(); !bytes.Contains(head, []byte("X-Mine: yes\r\n")) || string(body) != request {
		t.Errorf("recorded %q %q", head, body)
	}

	status, h, got = call(t, c, "POST", base+"/chat/completions", ask("sim-chat", "what is 6*7", `"stream_options":{"include_usage":true},`+streaming))
	if status != 200 || h.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("%d %v", status, h)
	}
	var events []string
	for r := sse.NewReader(strings.NewReader(got), 1<<20); ; {
		ev, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		events = append(events, string(ev.Data))
	}
	if d := joined(t, events)[0]; d.Text != "6*7 = 42" || events[len(events)-1] != "[DONE]" || !strings.Contains(events[len(events)-2], `"usage":{`) {
		t.Errorf("got %q", got)
	}
	want := sim.Stats{Connections: 1, Open: 1, Requests: 2, Streams: 1, Completed: 2}
	if got := s.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	_, _, got = call(t, c, "GET", strings.TrimSuffix(base, "/v1")+"/stats", "")
	var stats sim.Stats
	if err := json.Unmarshal([]byte(got), &stats); err != nil || stats != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestServerPaths(t *testing.T) {
	base, c := serve(t, &sim.Server{}), client(t)
	f := func(method, path, request string, status int, want string) {
		t.Helper()
		got, h, text := call(t, c, method, base+path, request)
		if got != status || !strings.Contains(text, want) || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", method, path, got, text)
		}
		if e, ok := openai.DecodeError([]byte(text)); status >= 400 && (!ok || e.Message == "" || e.Type == "") {
			t.Errorf("%s %s: %s is no error", method, path, text)
		}
	}
	f("GET", "/models", "", 200, `"id":"sim-chat"`)
	f("GET", "/models/sim-429", "", 200, `"id":"sim-429"`)
	f("GET", "/models/sim-unheard-of", "", 404, "model_not_found")
	f("POST", "/models", "", 405, "method_not_allowed")
	f("GET", "/chat/completions", "", 405, "method_not_allowed")
	f("POST", "/embeddings", "{}", 400, "model")
	f("POST", "/unheard-of", "{}", 404, "/v1/unheard-of")
	f("PUT", "/files/file-1", "{}", 405, "method_not_allowed")
	f("POST", "/chat/completions", "{", 400, "invalid_request_error")
	f("POST", "/chat/completions", `{"model":"m"}`, 400, "messages")
	f("POST", "/chat/completions?x=y", ask("sim-404", "hi", ""), 404, "model_not_found")
}

func TestServerKey(t *testing.T) {
	s := &sim.Server{Key: "sk-right"}
	base, c := serve(t, s), client(t)
	f := func(authorization string, want int) {
		t.Helper()
		for _, path := range []string{"/chat/completions", "/models"} {
			method := map[bool]string{true: "GET", false: "POST"}[path == "/models"]
			if got, _, text := call(t, c, method, base+path, ask("m", "hi", ""), "Authorization", authorization); got != want {
				t.Errorf("%s with %q: %d %s", path, authorization, got, text)
			}
		}
	}
	f("Bearer sk-right", 200)
	f("Bearer sk-wrong", 401)
	f("sk-right", 401)
	f("", 401)
	if got := s.Stats(); got.Requests != 1 || got.Completed != 1 {
		t.Errorf("got %+v", got)
	}
}

// raw sends bytes and returns all that comes back.
func raw(t *testing.T, base, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func post(headers, request string) string {
	return "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nContent-Length: " + itoa(len(request)) + "\r\n" + headers + "\r\n" + request
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestServerFraming(t *testing.T) {
	s := &sim.Server{}
	base := serve(t, s)
	f := func(name, request string, wants ...string) {
		t.Helper()
		got := raw(t, base, request)
		for _, want := range wants {
			before, after, ok := strings.Cut(got, want)
			if !ok {
				t.Errorf("%s: no %q in what is left of the answer, %q", name, want, got)
				return
			}
			_, got = before, after
		}
	}
	last := post("Connection: close\r\n", ask("m", "what is 3+3", ""))
	f("close", last, "HTTP/1.1 200 OK\r\n", "Connection: close\r\n", "3+3 = 6")
	f("pipelined", post("", ask("m", "what is 1+1", ""))+post("", ask("m", "what is 2+2", streaming))+last,
		"1+1 = 2", "data: ", "[DONE]\n\n\r\n0\r\n\r\n", "3+3 = 6")
	f("six at once", strings.Repeat(post("", ask("m", "what is 1+1", "")), 6)+last, "1+1 = 2", "1+1 = 2", "1+1 = 2", "1+1 = 2", "1+1 = 2", "1+1 = 2", "3+3 = 6")
	f("HTTP/1.0", strings.Replace(post("", ask("m", "what is 2+2", streaming)), "HTTP/1.1", "HTTP/1.0", 1), "\r\n\r\ndata: {", "data: [DONE]\n\n")
	f("chunked request", "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"1e\r\n"+ask("m", "what is 2+2", "")[:30]+"\r\n"+hexLen(ask("m", "what is 2+2", "")[30:])+"\r\n"+ask("m", "what is 2+2", "")[30:]+"\r\n0\r\n\r\n", "2+2 = 4")
	f("expectation", post("Expect: 100-continue\r\nConnection: close\r\n", ask("m", "what is 3+3", "")), "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "3+3 = 6")
	f("nonsense", "SSH-2.0\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "invalid_request_error")
	f("a huge head", "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 20_000)+"\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n")
	f("a huge body", "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nContent-Length: 999999999\r\n\r\n", "HTTP/1.1 413 ", "request_too_large")
}

func hexLen(s string) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[len(s)>>4], digits[len(s)&15]})
}

// The server is an oracle for whether a gateway leaves when its caller does.
func TestServerNoticesLeaving(t *testing.T) {
	f := func(name, model, more string, options sim.Options, readUntil string, leave func(*net.TCPConn), want sim.Stats) {
		t.Run(name, func(t *testing.T) {
			s := &sim.Server{Options: options}
			base := serve(t, s)
			nc, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/v1"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.WriteString(nc, post("", ask(model, "hi", more))); err != nil {
				t.Fatal(err)
			}
			if readUntil != "" {
				br, text := bufio.NewReader(nc), ""
				for !strings.Contains(text, readUntil) {
					line, err := br.ReadString('\n')
					if text += line; err != nil {
						t.Fatal(err, text)
					}
				}
			}
			until(t, "the request", func() bool { return s.Stats().Requests == 1 })
			start := time.Now()
			leave(nc.(*net.TCPConn))
			want.Connections, want.Requests = 1, 1
			until(t, "the end of the connection", func() bool { return s.Stats().Open == 0 })
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if got := s.Stats(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	closes := func(c *net.TCPConn) { _ = c.Close() }
	resets := func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }
	halves := func(c *net.TCPConn) { _ = c.CloseWrite() }
	slow := sim.Options{FirstToken: time.Hour}
	before, mid := sim.Stats{GoneBefore: 1}, sim.Stats{GoneMid: 1, Streams: 1}
	f("before a whole answer", "sim-chat", "", slow, "", closes, before)
	f("before a whole answer, by reset", "sim-chat", "", slow, "", resets, before)
	f("before a whole answer, by half", "sim-chat", "", slow, "", halves, before)
	f("before the first event", "sim-chat", streaming, slow, "", closes, sim.Stats{GoneBefore: 1, Streams: 1})
	f("before an answer that never comes", "sim-stall", "", sim.Options{}, "", closes, before)
	f("between events", "sim-chat", streaming, sim.Options{TokensPerSecond: 0.001}, `"content":`, closes, mid)
	f("between events, by reset", "sim-chat", streaming, sim.Options{TokensPerSecond: 0.001}, `"content":`, resets, mid)
	f("while the stream stalls", "sim-stall-3", streaming, sim.Options{}, `"content":`, closes, mid)
	f("in the middle of a body", "sim-stall-1", "", sim.Options{}, "\r\n\r\n", closes, sim.Stats{GoneMid: 1})
	f("without reading", "sim-long-900000", streaming, sim.Options{}, "data: ", closes, mid)
}

func TestServerCuts(t *testing.T) {
	f := func(model, more, contains string, want sim.Stats) {
		t.Helper()
		s := &sim.Server{}
		got := raw(t, serve(t, s), post("", ask(model, "hi", more)))
		if (contains == "") != (got == "") || !strings.Contains(got, contains) || strings.HasSuffix(got, "0\r\n\r\n") {
			t.Errorf("%s: %q", model, got)
		}
		want.Connections, want.Requests, want.Broken = 1, 1, 1
		until(t, "the end of the connection", func() bool { return s.Stats().Open == 0 })
		if got := s.Stats(); got != want {
			t.Errorf("%s: got %+v, want %+v", model, got, want)
		}
	}
	f("sim-cut-0", "", "", sim.Stats{})
	f("sim-cut-0", streaming, "", sim.Stats{Streams: 1})
	f("sim-cut-5", "", "Content-Length", sim.Stats{})
	f("sim-cut-2", streaming, "data: ", sim.Stats{Streams: 1})
	got := raw(t, serve(t, &sim.Server{}), post("", ask("sim-cut-4", "hi", streaming)))
	if n := strings.Count(got, "data: "); n != 4 {
		t.Errorf("%d events before the cut", n)
	}
}

func TestServerClose(t *testing.T) {
	s := &sim.Server{}
	first, second := serve(t, s), serve(t, s) // two listeners
	for _, base := range []string{first, second} {
		if _, _, got := call(t, client(t), "GET", base+"/models", ""); !strings.Contains(got, "sim-chat") {
			t.Errorf("%s answers %q", base, got)
		}
	}
	nc, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(first, "http://"), "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, post("", ask("sim-stall", "hi", ""))); err != nil {
		t.Fatal(err)
	}
	until(t, "the request", func() bool { return s.Stats().Requests == 1 })
	if err := s.Close(); err != nil { // must end what never would
		t.Fatal(err)
	}
	if b, err := io.ReadAll(nc); len(b) > 0 {
		t.Errorf("got %q, %v", b, err)
	}
	if got := s.Stats(); got.Open != 0 || got.GoneBefore != 0 {
		t.Errorf("the server's own end counts as the client's: %+v", got)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
}

func TestServeReportsListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &sim.Server{}
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
