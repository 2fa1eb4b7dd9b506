package upstream_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// What goes out: the caller's bytes with the model spliced in, and only the headers that may pass.
func TestRequest(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer, "X-Request-Id: up-1", "openai-processing-ms: 12", "Set-Cookie: a=b", "x-ratelimit-remaining-requests: 9")))
	p := provider(t, f.url(), func(c *upstream.Config) {
		c.Headers = []gateway.Field{{Name: "OpenAI-Organization", Value: "org"}}
	})
	x := exchange(t, askWhole, headers{
		"Openai-Beta": "a=b", "Idempotency-Key": "k1", "Authorization": "Bearer caller", "Cookie": "c", "X-Forwarded-For": "1.2.3.4",
	})
	r := attempt(t, p, x, "gpt-4.1")
	if r.err != nil || len(r.events) != 1 || r.events[0] != answer || r.reply.Kind != gateway.Whole {
		t.Fatalf("%v %q", r.err, r.events)
	}
	got := f.seen()[0]
	if want := strings.Replace(askWhole, `"caller/name"`, `"gpt-4.1"`, 1); got.body != want {
		t.Errorf("body %s\nwant %s", got.body, want)
	}
	want := "POST /v1/chat/completions HTTP/1.1\r\nHost: " + f.l.Addr().String() +
		"\r\nAccept-Encoding: identity\r\nUser-Agent: sluice/test\r\nOpenAI-Organization: org" +
		"\r\nAuthorization: Bearer secret-key\r\nOpenai-Beta: a=b\r\nIdempotency-Key: 17133a55ce9426b31e550e10bcb2e1b6\r\nX-Client-Request-Id: req_test\r\nContent-Type: application/json\r\nContent-Length: " +
		itoa(len(got.body))
	if got.head != want {
		t.Errorf("head\n%s\nwant\n%s", got.head, want)
	}
	if want := (chat.Usage{Input: 5, Output: 2, Provenance: chat.Reported}); x.Usage != want || r.a.Usage != want {
		t.Errorf("usage %+v", x.Usage)
	}
	if r.a.Status != 200 || r.a.First <= 0 || r.a.Total < r.a.First || r.a.RequestID != "up-1" || r.a.Reused {
		t.Errorf("attempt %+v", r.a)
	}
	var passed []string
	for _, h := range r.reply.Header {
		passed = append(passed, h.Name)
	}
	if !slices.Equal(passed, []string{"openai-processing-ms", "x-ratelimit-remaining-requests"}) {
		t.Errorf("passed on %v", passed)
	}
}

// A large body is written in pieces, and is the same.
func TestLargeBody(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := provider(t, f.url())
	pad := strings.Repeat("0123456789", 30_000)
	for _, ask := range []string{`{"model":"a","pad":"` + pad + `"}`, `{"pad":"` + pad + `","model":"a"}`, `{"pad":"` + pad + `","model":"a","more":"` + pad + `"}`} {
		if r := attempt(t, p, exchange(t, ask, nil), "other-model"); r.err != nil {
			t.Fatal(r.err)
		}
		seen := f.seen()
		if got, want := seen[len(seen)-1].body, strings.Replace(ask, `"model":"a"`, `"model":"other-model"`, 1); got != want {
			t.Errorf("%d bytes arrived, %d were meant", len(got), len(want))
		}
	}
	if f.connections() != 1 {
		t.Errorf("%d connections", f.connections())
	}
}

func TestStream(t *testing.T) {
	f := newFake(t, nil, say(sseHead+events(hello, hello, finish, usage, done)+last))
	p := provider(t, f.url())
	x := exchange(t, askStream, nil)
	r := attempt(t, p, x, "m")
	if want := []string{hello, hello, finish, done}; r.err != nil || !slices.Equal(r.events, want) {
		t.Fatalf("%v %q", r.err, r.events)
	}
	if got := f.seen()[0].body; !strings.Contains(got, `"stream_options":{"include_usage":true}`) {
		t.Errorf("usage was not asked for: %s", got)
	}
	want := chat.Usage{Input: 16, CacheRead: 3, Output: 7, Provenance: chat.Reported}
	if x.Usage != want {
		t.Errorf("usage %+v", x.Usage)
	}
	// A caller who asked for the usage sees it.
	r = attempt(t, p, exchange(t, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, nil), "m")
	if !slices.Contains(r.events, usage) || !r.a.Reused || f.connections() != 1 {
		t.Errorf("%q, reused %v, %d connections", r.events, r.a.Reused, f.connections())
	}
}

// Every cut of the bytes gives the same events.
func TestAnySplit(t *testing.T) {
	all := sseHead + chunk(": comment\r\n\r\ndata: "+hello+"\r\n") + chunk("\r\nevent: x\ndata:"+finish+"\n\nda") + chunk("ta: "+done+"\n\n") + last
	for at := 1; at < len(all); at++ {
		f := newFake(t, nil, func(c net.Conn, _ int) bool {
			_ = c.(*net.TCPConn).SetNoDelay(true)
			_, _ = io.WriteString(c, all[:at])
			_, err := io.WriteString(c, all[at:])
			return err == nil
		})
		p := provider(t, f.url())
		r := attempt(t, p, exchange(t, askStream, nil), "m")
		if want := []string{hello, finish, done}; r.err != nil || !slices.Equal(r.events, want) {
			t.Fatalf("cut at %d: %v %q", at, r.err, r.events)
		}
		_ = p.Close()
	}
}

// The stream's events are yielded as they come, and Ready does not destroy the one before.
func TestReadyKeepsTheEvent(t *testing.T) {
	release := make(chan struct{})
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, sseHead+events(hello))
		<-release
		_, err := io.WriteString(c, events(finish, done)+last)
		return err == nil
	})
	p := provider(t, f.url())
	x := exchange(t, askStream, nil)
	target := &gateway.Target{Via: p.WithKey("k")}
	reply, err := target.Via.Send(x, target, x.Attempting(target))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := reply.Stream.Next()
	if err != nil || string(ev.Data) != hello {
		t.Fatal(err, string(ev.Data))
	}
	if reply.Stream.Ready() {
		t.Error("ready, but nothing has come")
	}
	close(release)
	second, err := reply.Stream.Next()
	if err != nil || string(second.Data) != finish {
		t.Fatal(err, string(second.Data))
	}
	reply.Stream.Ready()
	if string(second.Data) != finish {
		t.Errorf("Ready destroyed the event: %q", second.Data)
	}
	_ = reply.Stream.Close()
}

// A reused connection that the provider closed before a byte came back is replaced, once, silently; nothing else is
// sent twice.
func TestStaleConnection(t *testing.T) {
	f := newFake(t, nil, func(c net.Conn, n int) bool {
		if n == 1 {
			_ = c.(*net.TCPConn).SetLinger(0)
			return false // reset after the second request was read
		}
		_, err := io.WriteString(c, whole("200 OK", answer))
		return err == nil
	})
	p := provider(t, f.url(), func(c *upstream.Config) { c.Watch = nil })
	for i := range 4 {
		if r := attempt(t, p, exchange(t, askWhole, nil), "m"); r.err != nil || r.a.Resent != (i > 0) || r.a.Reused {
			t.Fatalf("%d: %v, resent: %v, reused: %v", i, r.err, r.a.Resent, r.a.Reused)
		}
	}
	if n := len(f.seen()); n != 7 { // the first, then three that were sent again
		t.Errorf("%d requests arrived", n)
	}
	fresh := newFake(t, nil, func(c net.Conn, _ int) bool { _ = c.(*net.TCPConn).SetLinger(0); return false })
	p = provider(t, fresh.url())
	r := attempt(t, p, exchange(t, askWhole, nil), "m")
	if codeOf(r.err) != gateway.CodeCut || len(fresh.seen()) != 1 || r.a.Resent {
		t.Errorf("%v after %d requests, resent: %v", r.err, len(fresh.seen()), r.a.Resent)
	}
}

// Replies that wait in the gateway have a budget together: one that does not fit is refused, and fits when another has
// gone. A long event counts until what follows it is waited for.
func TestBudget(t *testing.T) {
	check := func(name string, config *tls.Config) {
		t.Run(name, func(t *testing.T) {
			large := `{"id":"x","choices":[{"message":{}}],"pad":"` + strings.Repeat("x", 40_000) + `"}`
			goOn := make(chan struct{})
			f := newFake(t, config, func(c net.Conn, _ int) bool {
				_, err := io.WriteString(c, whole("200 OK", large))
				return err == nil
			})
			stream := newFake(t, config, func(c net.Conn, _ int) bool {
				_, _ = io.WriteString(c, sseHead+events(large))
				<-goOn
				_, _ = io.WriteString(c, events(hello))
				<-goOn
				_, err := io.WriteString(c, events(finish, done)+last)
				return err == nil
			})
			budget := upstream.NewBudget(100_000)
			shared := func(c *upstream.Config) { c.Budget = budget }
			p, s := provider(t, f.url(), insecure, shared), provider(t, stream.url(), insecure, shared)
			target := &gateway.Target{Provider: "fake", Model: "m", Via: s.WithKey("")}
			x := exchange(t, askStream, nil)
			reply, err := target.Via.Send(x, target, x.Attempting(target))
			if err != nil {
				t.Fatal(err)
			}
			if held := budget.Held(); held < 40_000 || held > 64<<10 {
				t.Errorf("%d bytes are held", held)
			}
			r := attempt(t, p, exchange(t, askWhole, nil), "m")
			e, ok := errors.AsType[*gateway.Error](r.err)
			if !ok || e.Status != 503 || e.Code != "gateway_busy" || e.Origin != gateway.OriginGateway || e.RetryAfter <= 0 {
				t.Fatalf("%+v", r.err)
			}
			for _, want := range []string{large, hello} {
				if ev, err := reply.Stream.Next(); err != nil || string(ev.Data) != want {
					t.Fatalf("%.100s, %v", ev.Data, err)
				}
				if want == large {
					goOn <- struct{}{}
				}
			}
			if held := budget.Held(); held != 0 {
				t.Errorf("%d bytes are held for a short event", held)
			}
			for range 2 {
				if r := attempt(t, p, exchange(t, askWhole, nil), "m"); r.err != nil || !slices.Equal(r.events, []string{large}) {
					t.Errorf("%v", r.err)
				}
			}
			close(goOn)
			for err == nil {
				_, err = reply.Stream.Next()
			}
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			_ = reply.Stream.Close()
		})
	}
	check("plain", nil)
	check("TLS", serverTLS(t, 0))
}

// An idle connection that the provider closes is dropped before anybody uses it.
func TestIdleClose(t *testing.T) {
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, whole("200 OK", answer))
		return false
	})
	p := provider(t, f.url())
	for range 3 {
		if r := attempt(t, p, exchange(t, askWhole, nil), "m"); r.err != nil || r.a.Reused {
			t.Fatal(r.err, r.a.Reused)
		}
		until(t, "the closed connection is dropped", func() bool { open, _ := p.Connections(); return open == 0 })
	}
	if len(f.seen()) != 3 {
		t.Errorf("%d requests", len(f.seen()))
	}
}

// What a provider says behind its reply is never the answer to the next request, which may be another caller's.
func TestUnaskedReply(t *testing.T) {
	check := func(name string, config *tls.Config) {
		t.Run(name, func(t *testing.T) {
			next, said := make(chan struct{}), make(chan struct{}, 10)
			defer close(next)
			f := newFake(t, config, func(c net.Conn, _ int) bool {
				_, err := io.WriteString(c, whole("200 OK", answer))
				<-next // the reply was read
				_, _ = io.WriteString(c, whole("200 OK", `{"whose":"nobody knows"}`))
				said <- struct{}{}
				return err == nil
			})
			p := provider(t, f.url(), insecure)
			for i := range 3 {
				r := attempt(t, p, exchange(t, askWhole, nil), "m")
				if r.err != nil || !slices.Equal(r.events, []string{answer}) || r.a.Reused {
					t.Fatalf("%d: %v %q, reused: %v", i, r.err, r.events, r.a.Reused)
				}
				next <- struct{}{}
				<-said
			}
		})
	}
	check("plain", nil)
	check("TLS 1.2", serverTLS(t, tls.VersionTLS12))
	check("TLS 1.3", serverTLS(t, tls.VersionTLS13))
}

// A connection on which nothing is wrong is used again.
func TestReuse(t *testing.T) {
	check := func(name string, config *tls.Config, change func(*upstream.Config), fields ...string) {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, config, say(whole("200 OK", answer, fields...)))
			p := provider(t, f.url(), insecure, change)
			for i := range 5 {
				r := attempt(t, p, exchange(t, askWhole, nil), "m")
				if reused := i > 0 && len(fields) == 0; r.err != nil || r.a.Reused != reused {
					t.Fatalf("%d: %v, reused: %v", i, r.err, r.a.Reused)
				}
			}
		})
	}
	watched, unwatched := func(*upstream.Config) {}, func(c *upstream.Config) { c.Watch = nil }
	check("plain", nil, watched)
	check("plain, unwatched", nil, unwatched)
	check("TLS 1.2", serverTLS(t, tls.VersionTLS12), watched)
	check("TLS 1.3", serverTLS(t, tls.VersionTLS13), watched)
	check("TLS 1.3, unwatched", serverTLS(t, tls.VersionTLS13), unwatched)
	check("the last reply on it", nil, watched, "Connection: close")
	check("the last reply on it, in a list", nil, watched, "Connection: Keep-Alive , Close")
}

func TestIdleTimeout(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := provider(t, f.url(), func(c *upstream.Config) { c.IdleTimeout = 30 * time.Millisecond })
	if r := attempt(t, p, exchange(t, askWhole, nil), "m"); r.err != nil {
		t.Fatal(r.err)
	}
	f.waitClosed()
	until(t, "the connection is gone", func() bool { open, _ := p.Connections(); return open == 0 })
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Cancelling closes the upstream connection at once, whatever it waits for.
func TestCancel(t *testing.T) {
	silent := func(before string) func(net.Conn, int) bool {
		return func(c net.Conn, _ int) bool {
			_, _ = io.WriteString(c, before)
			untilGone(c)
			return true
		}
	}
	check := func(name, before string, tls bool) {
		t.Run(name, func(t *testing.T) {
			var f *fake
			if tls {
				f = newFake(t, serverTLS(t, 0), silent(before))
			} else {
				f = newFake(t, nil, silent(before))
			}
			p := provider(t, f.url(), insecure)
			x := exchange(t, askStream, nil)
			cancelled := make(chan time.Time, 1)
			go func() {
				until(t, "the request has arrived", func() bool { return len(f.seen()) > 0 })
				cancelled <- time.Now()
				x.Cancel(gateway.ErrGone)
			}()
			r := attempt(t, p, x, "m")
			if !errors.Is(r.err, gateway.ErrGone) && !errors.Is(x.Cause(), gateway.ErrGone) || r.err == nil {
				t.Errorf("ended with %v", r.err)
			}
			if d := f.waitClosed().Sub(<-cancelled); d > time.Second { // the figure is a benchmark's
				t.Errorf("closed after %v", d)
			}
		})
	}
	for _, tls := range []bool{false, true} {
		suffix := map[bool]string{true: " over TLS"}[tls]
		check("waiting for the head"+suffix, "", tls)
		check("inside the head"+suffix, "HTTP/1.1 200 OK\r\nContent-", tls)
		check("waiting for the first event"+suffix, sseHead, tls)
		check("inside a stream"+suffix, sseHead+events(hello)+"1", tls)
	}
}

// The provider's own comments are not for the caller, and do not keep ours from him.
func TestBeatsBesideComments(t *testing.T) {
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, sseHead+events(hello))
		repeat(chunk(": PROCESSING\n\n"))(c)
		return false
	})
	p := provider(t, f.url(), func(c *upstream.Config) { c.Beat = 20 * time.Millisecond })
	x := exchange(t, askStream, nil)
	beats := 0
	x.Idle = func() error {
		if beats++; beats == 3 {
			x.Cancel(gateway.ErrGone)
		}
		return nil
	}
	if r := attempt(t, p, x, "m"); beats < 3 {
		t.Errorf("%d beats, ended with %v", beats, r.err)
	}
}

// Heartbeats are asked for between events only, and do not disturb what is being parsed.
func TestBeats(t *testing.T) {
	const x1 = `{"choices":[{"index":0,"delta":{"content":"x"}}]}`
	second := event(x1)
	pieces := []string{sseHead + events(hello), second[:1], second[1:20], second[20:], events(finish, done) + last}
	beat := make(chan struct{}, 100)
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		for i, piece := range pieces {
			if i > 0 { // between any two pieces there is at least one beat
				select {
				case <-beat:
				case <-time.After(patience):
				}
			}
			if _, err := io.WriteString(c, piece); err != nil {
				return false
			}
		}
		return true
	})
	p := provider(t, f.url(), func(c *upstream.Config) { c.Beat = 5 * time.Millisecond })
	x := exchange(t, askStream, nil)
	x.Idle = func() error { beat <- struct{}{}; return nil }
	r := attempt(t, p, x, "m")
	if want := []string{hello, x1, finish, done}; r.err != nil || !slices.Equal(r.events, want) {
		t.Errorf("%v %q", r.err, r.events)
	}
	failing := fmt.Errorf("%w: %w", gateway.ErrGone, syscall.EPIPE)
	x = exchange(t, askStream, nil)
	x.Idle = func() error { beat <- struct{}{}; return failing }
	if r := attempt(t, p, x, "m"); !errors.Is(r.err, failing) {
		t.Errorf("%v", r.err)
	}
}
