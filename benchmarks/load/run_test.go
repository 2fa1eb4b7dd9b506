package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

// load runs the generator for a short time against a server that answers with handle.
func load(t *testing.T, handle http.HandlerFunc, args ...string) report.Load {
	t.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	var out bytes.Buffer
	args = append([]string{"-url", server.URL + "/v1/chat/completions", "-c", "3", "-warm", "20ms", "-d", "200ms"}, args...)
	if err := command(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	var r report.Load
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func reply(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	fmt.Fprintf(w, `{"choices":[{"message":{"content":"t%019d ok"}}]}`, 1000)
}

func TestClosedLoop(t *testing.T) {
	r := load(t, reply)
	if r.Errors != 0 || r.Requests == 0 || r.PerSecond <= 0 || r.Latency.Count == 0 || r.Streams != nil {
		t.Errorf("%+v", r)
	}
	if off := r.Latency.Mean - r.LatencyLess.Mean; off < 0.99 || off > 1.01 {
		t.Errorf("the mock says that it took 1 µs, and %g were taken off", off)
	}
	if r.CPUSeconds != 0 || r.RSS != 0 {
		t.Errorf("figures of no process: %+v", r)
	}
}

func TestOpenLoop(t *testing.T) {
	r := load(t, reply, "-rate", "50", "-warm", "150ms")
	// 50 a second over 200 ms: what is due does not depend on how fast the machine is.
	if r.Errors != 0 || r.Latency.Count != 10 || r.SendLag.Count == 0 {
		t.Errorf("%+v", r)
	}
}

func TestProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // no /proc
	}
	if r := load(t, reply, "-pid", strconv.Itoa(os.Getpid())); r.RSS == 0 || r.CPUPerRequest < 0 {
		t.Errorf("%+v", r)
	}
}

func TestHeadersAndBody(t *testing.T) {
	requests := make(chan *http.Request, 1<<16)
	load(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case requests <- r:
		default:
		}
		fmt.Fprintf(w, `{"choices":[{"message":{"content":"t%019d ok"}}]}`, 0)
	}, "-H", "Authorization: Bearer key", "-H", "X-Other: 1", "-model", "mock-d1")
	r := <-requests
	var body chatRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("X-Other") != "1" || r.URL.Path != "/v1/chat/completions" {
		t.Errorf("%s, %v", r.URL, r.Header)
	}
	if body.Model != "mock-d1" || body.Stream || len(body.Messages) != 2 || len(body.Messages[1].Content) != 400 {
		t.Errorf("%+v", body)
	}
}

// streamer answers with a stream of these lines; T becomes a stamp of now.
func streamer(t *testing.T, text ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && !bytes.Contains(body, []byte(`"stream":true,"stream_options":{"include_usage":true}`)) {
			t.Errorf("request %s", body)
		}
		for _, line := range text {
			line = strings.ReplaceAll(line, "T", strconv.FormatInt(time.Now().UnixNano(), 10))
			_, _ = io.WriteString(w, line+"\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	}
}

const (
	firstLine = `data: {"content":"f0000000000000000001"}`
	chunkLine = `data: {"content":"tT"}`
	usageLine = `data: {"choices":[],"usage":{"total_tokens":1}}`
	doneLine  = `data: [DONE]`
)

func TestStreams(t *testing.T) {
	r := load(t, streamer(t, ": beat", firstLine, chunkLine, chunkLine, usageLine, doneLine), "-stream")
	s := r.Streams
	if r.Errors != 0 || r.Requests == 0 || s == nil || s.Chunks < r.Requests || s.FirstEvent.Count == 0 {
		t.Fatalf("%+v, %+v", r, s)
	}
	if s.ChunkDelay.Count == 0 || s.ChunkGap.Count == 0 || s.ChunkDelay.Mean < 0 {
		t.Errorf("%+v", s)
	}
}

func TestEndlessStreams(t *testing.T) {
	r := load(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, firstLine+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, "-stream", "-ramp", "10ms")
	if r.Errors != 0 || r.Streams.Alive != 3 || r.Requests != 0 {
		t.Errorf("%+v, %+v", r, r.Streams)
	}
}

func TestFaults(t *testing.T) {
	f := func(handle http.HandlerFunc, want string, args ...string) {
		t.Helper()
		r := load(t, handle, args...)
		if r.Errors == 0 || r.Requests != 0 || len(r.ErrorKinds) != 1 || r.ErrorKinds[want] != r.Errors {
			t.Errorf("want only %q: %d requests, %v", want, r.Requests, r.ErrorKinds)
		}
	}
	f(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "status 502")
	f(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) }, errNoStamp.Error())
	f(streamer(t, firstLine, chunkLine, usageLine), errNoDone.Error(), "-stream")
	f(streamer(t, firstLine, chunkLine, doneLine), errNoUsage.Error(), "-stream")
	f(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, firstLine+"\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, "reply cut short: unexpected EOF", "-stream")
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(reply))
	url := server.URL
	server.Close()
	var out bytes.Buffer
	if err := command(t.Context(), []string{"-url", url, "-c", "1", "-rate", "1", "-warm", "0s", "-d", "1ms"}, &out); err != nil {
		t.Fatal(err)
	}
	var r report.Load
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Errors == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		reply(w, r)
	}))
	defer server.Close()
	if err := command(ctx, []string{"-url", server.URL, "-d", "1h"}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFlags(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if _, err := parse(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
	f("loopback", "-url", "http://192.0.2.1:80/")
	f("loopback", "-url", "https://127.0.0.1:80/")
	f("loopback", "-url", "http://127.0.0.1/")
	f("positive", "-c", "0")
	f("positive", "-d", "0s")
	f("negative", "-rate", "-1")
	if o, err := parse([]string{"-url", "http://[::1]:80/x"}); err != nil || o.addr != "[::1]:80" {
		t.Errorf("%+v, %v", o, err)
	}
}
