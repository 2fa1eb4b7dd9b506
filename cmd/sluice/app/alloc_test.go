//go:build !race

package app

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
)

// echo is a provider that gives the same answer to every request, which must come in one piece, and allocates nothing.
func echo(t *testing.T, answer string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-stopped })
	go func() {
		defer close(stopped)
		c, err := l.Accept() // one connection is enough for one client
		if err != nil {
			return
		}
		defer c.Close()
		request, out := make([]byte, 4096), []byte(answer)
		for {
			if _, err := c.Read(request); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// discarded is the log of a gateway whose standard error is /dev/null.
func discarded(t *testing.T) Options {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = null
	defer func() { os.Stderr = stderr }()
	log, flush, err := NewLog(config.Log{Level: "info", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flush(); _ = null.Close() })
	return Options{Log: log, Version: "test"}
}

// setup is what a gateway's file and its tenant's say beyond the usual.
type setup struct{ gateway, tenant string }

// allocations serves exchanges, one after the other, and counts what the whole process allocates for each; client and
// provider allocate nothing. end is what the last bytes of a reply are. It is the median of many short times, so that what
// is done for many exchanges at once, such as shipping their rows, is in few of them and does not count.
func allocations(t *testing.T, with setup, answer, ask, end string) (count, size float64) {
	t.Helper()
	o := discarded(t)
	s := &site{t: t, dir: t.TempDir()}
	s.write("sluice.yaml", gatewayFile("ordered", echo(t, answer))+with.gateway)
	s.write("tenants/acme.yaml", tenantFile("acme", testKey, with.tenant))
	o.Loader = config.NewLoader(config.Options{Path: filepath.Join(s.dir, "sluice.yaml"), Plugins: Prototypes(), Poll: time.Hour})
	var err error
	if s.App, err = Start(o); err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	c, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	request := []byte("POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer " + testKey +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(ask)) + "\r\n\r\n" + ask)
	reply, last := make([]byte, 256<<10), []byte(end)
	exchange := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(reply[:n], last); {
			m, err := c.Read(reply[n:])
			if err != nil {
				t.Fatalf("%v after %q", err, reply[:n])
			}
			n += m
		}
		if !bytes.HasPrefix(reply, []byte("HTTP/1.1 200 ")) {
			t.Fatalf("%.500s", reply)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties pools
	for range 300 {
		exchange()
	}
	const times, n = 40, 25
	var counts, sizes []float64
	for range times {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			exchange()
		}
		runtime.ReadMemStats(&after)
		counts = append(counts, float64(after.Mallocs-before.Mallocs)/n)
		sizes = append(sizes, float64(after.TotalAlloc-before.TotalAlloc)/n)
	}
	slices.Sort(counts)
	slices.Sort(sizes)
	return counts[times/2], sizes[times/2]
}

// TestAllocations holds what one exchange through the chain allocates, with one to spare, and that events cost none. Without what
// counts it is the call, its id, the model's name, the reply, the text of its head, the record of telemetry with its end and
// its log line, and what fasthttp makes for a body that is read late; a stream adds its heartbeat and fasthttp's chunks.
// Ledger and quota add a record each, and what they lend of it.
func TestAllocations(t *testing.T) {
	const (
		body  = `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":7,"total_tokens":26}}`
		event = `{"id":"x","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}`
	)
	chunk := func(data string) string { return fmt.Sprintf("%x\r\ndata: %s\n\n\r\n", len(data)+8, data) }
	stream := func(events int) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat(chunk(event), events-1) + chunk("[DONE]") + "0\r\n\r\n"
	}
	whole := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	measure := func(with setup, name, answer, ask, end string, most float64) (count float64) {
		t.Helper()
		count, size := allocations(t, with, answer, ask, end)
		t.Logf("%-20s %5.1f allocations, %5.0f bytes", name, count, size)
		if count > most {
			t.Errorf("%s: %.1f allocations for one exchange, want at most %.0f", name, count, most)
		}
		return count
	}
	check := func(with setup, name string, unaryMost, streamMost float64) {
		t.Helper()
		measure(with, name+"whole", whole, unary("sim-x"), "}}", unaryMost)
		short := measure(with, name+"51 events", stream(51), streamed("sim-x"), "0\r\n\r\n", streamMost)
		long := measure(with, name+"201 events", stream(201), streamed("sim-x"), "0\r\n\r\n", streamMost)
		if long-short >= 1 {
			t.Errorf("%s: 150 more events cost %.1f allocations", name, long-short)
		}
	}
	check(setup{gateway: "chain: [telemetry, auth, routing]\n"}, "", 10, 12)
	check(setup{gateway: "chain: [telemetry, auth, routing]\nplugins: {telemetry: {traces: {otlp: \"http://127.0.0.1:1\", sample: 0}}}\n"}, "unsampled, ", 10, 12)
	check(setup{
		gateway: "catalog: [{provider: p0, model: sim-x, context: 100000, output: 10000, prices: [{input: 1, output: 1}]}]\n",
		tenant:  "limits: {requests_per_minute: 1000000000, concurrent: 10}\nbudgets: [{usd: 1000, per: day, mode: metered}]\n",
	}, "all, ", 15, 18)
}
