package serve_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

var update = flag.Bool("update", false, "write the responses in testdata anew")

// TestErrorDialects holds the dialogues of testdata/errors.txtar.
func TestErrorDialects(t *testing.T) {
	const name = "testdata/errors.txtar"
	s := start(t, func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		return &gateway.Error{
			Status: 429, Type: gateway.TypeRateLimit, Code: "rate_limit_exceeded", Message: "Slower, please.",
			RetryAfter: 1500 * time.Millisecond, NoRetry: true,
		}
	})
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		title, _ := strings.CutSuffix(archive.Files[i].Name, "/request")
		c := s.dial()
		c.send(dialogue(string(archive.Files[i].Data)))
		r, body := c.response()
		id := r.Header.Get("X-Request-Id")
		got := fmt.Sprintln(r.StatusCode)
		var lines []string
		for _, h := range []string{"Allow", "Request-Id", "Retry-After", "Retry-After-Ms", "X-Request-Id", "X-Should-Retry"} {
			if v := r.Header.Get(h); v != "" {
				lines = append(lines, h+": "+v+"\n")
			}
		}
		got = strings.ReplaceAll(got+strings.Join(lines, "")+body+"\n", id, "ID")
		if *update {
			archive.Files[i+1].Data = []byte(got)
		}
		if want := string(archive.Files[i+1].Data); got != want {
			t.Errorf("%s:\n got %s\nwant %s", title, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// dialogue makes a request of "METHOD /path", header lines, and a body that begins with the first line that is none.
func dialogue(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	n := 1
	for n < len(lines) && !strings.HasPrefix(lines[n], "{") && strings.Contains(lines[n], ": ") {
		n++
	}
	return request(method, path, strings.Join(lines[n:], "\n"), lines[1:n]...)
}

// A stream that breaks off says so in its dialect.
func TestCutStreamInDialects(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		out := make(chan *events, 1)
		s := start(t, streaming(out))
		c := s.dial()
		c.send(request("POST", path, streamed))
		e := <-out
		e.feed <- io.ErrUnexpectedEOF
		r := c.head()
		all, _ := io.ReadAll(r.Body)
		if got := strings.ReplaceAll(string(all), r.Header.Get("X-Request-Id"), "ID"); got != want {
			t.Errorf("%s: %q", path, got)
		}
		if id := r.Header.Get("Request-Id"); (id != "") != strings.Contains(want, `"request_id"`) {
			t.Errorf("%s: request-id %q", path, id)
		}
	}
	const message = "The provider's stream broke off: this answer is incomplete."
	f("/v1/chat/completions", `data: {"error":{"message":"`+message+`","type":"server_error","param":null,"code":"upstream_stream_error"}}`+"\n\n")
	f("/v1/messages", `event: error`+"\n"+`data: {"type":"error","error":{"type":"api_error","message":"`+message+
		`","details":{"error_code":"upstream_stream_error"}},"request_id":"ID"}`+"\n\n")
}

// A failure that the provider has told in a last event of its own ends the stream as an answer would: nothing is missing, and
// the connection stays. The exchange has failed all the same.
func TestFailureThatEnds(t *testing.T) {
	out := make(chan *events, 1)
	own := &gateway.Error{Status: 502, Code: "server_error", Message: "it broke", Ends: true}
	const event = "event: response.failed\ndata: {}\n\n"
	s := start(t, func(x *gateway.Exchange) error {
		err := streaming(out)(x)
		x.Reply.Failure = func(dst []byte, _ chat.Error) []byte { return append(dst, event...) }
		return err
	})
	c := s.dial()
	for range 2 {
		c.send(post(streamed))
		e := <-out
		e.feed <- own
		all, err := io.ReadAll(c.head().Body)
		if err != nil || withoutBeats(all) != event {
			t.Errorf("%q, %v", all, err)
		}
		if end := s.waitEnd(); !errors.Is(end.err, own) {
			t.Errorf("ended with %v", end.err)
		}
	}
}

// The end of an exchange comes after the last byte of its answer, also if that is an error larger than fasthttp's buffer.
func TestEndAfterAnError(t *testing.T) {
	check := func(size int, change ...func(*setup)) {
		t.Helper()
		read := make(chan struct{})
		s := start(t, func(x *gateway.Exchange) error {
			x.OnEnd(func(err error) {
				select {
				case <-read:
				case <-time.After(patience):
					t.Error("the exchange ended before the caller could have its answer")
				}
				if gateway.AsError(err).Code != "c" {
					t.Errorf("ended with %v", err)
				}
			})
			return &gateway.Error{Status: 400, Code: "c", Message: strings.Repeat("x", size)}
		}, change...)
		c := s.dial()
		for range 2 {
			c.send(post(minimal))
			r, body := c.response()
			if r.StatusCode != 400 || len(body) < size || r.ContentLength != int64(len(body)) || code(t, body) != "c" {
				t.Errorf("%d, %d bytes: %v", r.StatusCode, len(body), r.Header)
			}
			read <- struct{}{}
			s.waitEnd()
		}
	}
	for _, size := range []int{1, 400, 600, 5_000, 100_000} {
		check(size)
		check(size, func(u *setup) { u.tls = true })
		check(size, func(u *setup) { u.background = true })
	}
}

// An answer leaves at once, however much of fasthttp's buffer it fills.
func TestEveryLength(t *testing.T) {
	check := func(fails bool, fields []string, change ...func(*setup)) {
		t.Helper()
		size := 0
		s := start(t, func(x *gateway.Exchange) error {
			text := strings.Repeat("x", size)
			if fails {
				return &gateway.Error{Status: 400, Code: "c", Message: text}
			}
			return whole(`"` + text + `"`)(x)
		}, change...)
		var c *client
		for ; size < 1100; size++ {
			if c == nil || fields != nil {
				c = s.dial()
			}
			c.send(post(minimal, fields...))
			if _, body := c.response(); len(body) < size {
				t.Errorf("%d bytes: %s", size, body)
			}
			if s.waitEnd(); t.Failed() {
				return
			}
		}
	}
	for _, fails := range []bool{false, true} {
		check(fails, nil)
		check(fails, []string{"Connection: close"})
		check(fails, nil, func(u *setup) { u.tls = true })
		check(fails, nil, func(u *setup) { u.background = true })
	}
}

// Who is refused and still has much to send is told that the connection will be closed.
func TestRefusalCloses(t *testing.T) {
	s := start(t, func(*gateway.Exchange) error { return &gateway.Error{Status: 401, Code: "c", Message: "no"} })
	for size, closes := range map[int]bool{1000: false, 1 << 20: true} {
		c := s.dial()
		c.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(size) + "\r\n\r\n{")
		if r, body := c.response(); r.StatusCode != 401 || r.Close != closes {
			t.Errorf("%d bytes: %d %s, closes: %t", size, r.StatusCode, body, r.Close)
		}
	}
}
