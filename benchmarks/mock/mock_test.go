package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp/fasthttputil"
)

func TestModelNames(t *testing.T) {
	f := func(name string, want script) {
		t.Helper()
		if got := parseModel([]byte(name)); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	plain := script{chunks: 64, size: 1024, cut: -1}
	f("", plain)
	f("mock", plain)
	f("mock-", plain)
	f("mock--", plain)
	f("d20", plain) // the part before the first - is the name
	f("mock-2026-01-01", plain)
	f("mock-dense-n-i2x-x-1", plain)
	f("mock-n1234567890", plain) // more digits than a number has
	f("mock-d20", script{delay: 20 * time.Millisecond, chunks: 64, size: 1024, cut: -1})
	f("mock-n3600-i1000", script{gap: time.Second, chunks: 3600, size: 1024, cut: -1})
	f("mock-n64-i40-d20", script{delay: 20 * time.Millisecond, gap: 40 * time.Millisecond, chunks: 64, size: 1024, cut: -1})
	f("mock-e503", script{chunks: 64, size: 1024, status: 503, cut: -1})
	f("mock-x0", script{chunks: 64, size: 1024, cut: 0})
	f("mock-s5-s6-mini-x3", script{chunks: 64, size: 6, cut: 3})
}

func TestFindModel(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if got := string(findModel([]byte(body))); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
	f(`{"model":"mock-d20","messages":[]}`, "mock-d20")
	f("{\"messages\":[],\n \"model\": \n \"mock\" }", "mock")
	f(`{"messages":[]}`, "")
	f(`{"model":7}`, "")
	f(`{"model":"mock-d20`, "mock-d20")
}

// ask sends one chat request to a mock of its own.
func ask(t *testing.T, body string) *http.Response {
	t.Helper()
	listener := fasthttputil.NewInmemoryListener()
	server := newServer()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.Dial() }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = listener.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://mock/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// choice is the little that the tests look at.
type choice struct {
	Choices []struct {
		Message, Delta struct{ Role, Content string }
		Finish         string `json:"finish_reason"`
	}
	Usage *struct {
		Total int `json:"total_tokens"`
	}
}

func TestReply(t *testing.T) {
	f := func(model string, size int) {
		t.Helper()
		response := ask(t, `{"model":"`+model+`"}`)
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || len(body) != size {
			t.Fatalf("%s: status %d, %d bytes, %v", model, response.StatusCode, len(body), err)
		}
		var reply choice
		if err := json.Unmarshal(body, &reply); err != nil {
			t.Fatal(err)
		}
		took, _, _ := strings.Cut(reply.Choices[0].Message.Content, " ")
		ns, err := strconv.ParseInt(strings.TrimPrefix(took, "t"), 10, 64)
		if err != nil || len(took) != 20 || ns <= 0 || reply.Usage.Total != 147 {
			t.Errorf("%s: stamp %q, %v", model, took, err)
		}
	}
	f("mock", 1024)
	f("mock-s5000", 5000)
	f("mock-s0", len(replyHead)+len(stamp)+2+len(replyTail))
}

func TestReplyTellsItsDelay(t *testing.T) {
	response := ask(t, `{"model":"mock-d3"}`)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseInt(string(body[stampFrom:stampFrom+len(noDigits)]), 10, 64)
	if err != nil || ns < int64(3*time.Millisecond) {
		t.Errorf("the mock slept 3 ms and says %d ns, %v", ns, err)
	}
}

func TestError(t *testing.T) {
	response := ask(t, `{"model":"mock-e429"}`)
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") != "7" {
		t.Errorf("status %d, header %v, %v", response.StatusCode, response.Header, err)
	}
	if !json.Valid(body) || !bytes.Contains(body, []byte(`"mock error 429"`)) {
		t.Errorf("body %s", body)
	}
}

// events describes a stream: one word an event.
func events(t *testing.T, r io.Reader) (words []string, err error) {
	t.Helper()
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		data, found := strings.CutPrefix(scanner.Text(), "data: ")
		switch {
		case !found:
			if scanner.Text() != "" {
				t.Errorf("line %q", scanner.Text())
			}
			continue
		case data == "[DONE]":
			words = append(words, "done")
			continue
		}
		var chunk choice
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		switch {
		case chunk.Usage != nil:
			words = append(words, "usage")
		case chunk.Choices[0].Finish == "stop":
			words = append(words, "finish")
		default:
			delta := chunk.Choices[0].Delta
			if len(delta.Content) != 20 || (delta.Role != "") != (delta.Content[0] == 'f') {
				t.Errorf("delta %+v", delta)
			}
			words = append(words, delta.Content[:1])
		}
	}
	return words, scanner.Err()
}

func TestStream(t *testing.T) {
	f := func(body string, want ...string) {
		t.Helper()
		response := ask(t, body)
		got, err := events(t, response.Body)
		if err != nil || response.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Errorf("%s: %v, %v", body, response.Header, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", body, d)
		}
	}
	f(`{"model":"mock-n2","stream":true}`, "f", "t", "t", "finish", "done")
	f(`{"model":"mock-n2-i1-d1","stream": true,"stream_options":{"include_usage":true}}`, "f", "t", "t", "finish", "usage", "done")
	f(`{"model":"mock-n0","stream":true,"stream_options":{"include_usage":false}}`, "f", "finish", "done")
	f(`{"model":"mock-n1-x1","stream":true}`, "f", "t", "finish", "done")
}

func TestCut(t *testing.T) {
	response := ask(t, `{"model":"mock-n5-x2","stream":true}`)
	got, err := events(t, response.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if d := cmp.Diff([]string{"f", "t", "t"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// The Messages API says the same.
func TestMessages(t *testing.T) {
	post := func(body string) string {
		t.Helper()
		l := fasthttputil.NewInmemoryListener()
		s := newServer()
		go func() { _ = s.Serve(l) }()
		defer func() { _ = s.Shutdown() }()
		c := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return l.Dial() }}}
		defer c.CloseIdleConnections()
		r, err := c.Post("http://mock/v1/messages", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		all, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Fatal(err, r.Status)
		}
		return string(all)
	}
	if got := post(`{"model":"mock-s2000"}`); !json.Valid([]byte(got)) || len(got) < 1950 || !strings.Contains(got, `"text":"t0`) {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	got := post(`{"model":"mock-n3","stream":true}`)
	for want, n := range map[string]int{"event: message_start\n": 1, `"text":"f0`: 1, `"text":"t`: 3, "event: message_stop\n": 1, `"stop_reason":"end_turn"`: 1} {
		if strings.Count(got, want) != n {
			t.Errorf("%d times %q in\n%s", strings.Count(got, want), want, got)
		}
	}
	for line := range strings.Lines(got) {
		if data, ok := strings.CutPrefix(line, "data: "); ok && !json.Valid([]byte(data)) {
			t.Errorf("not JSON: %s", data)
		}
	}
}
