package upstream_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// outcomes of an attempt.
const (
	complete    = "complete"             // the reply came whole
	unreachable = "upstream_unreachable" // before the first event: forward may go on
	timeout     = "upstream_timeout"
	cut         = "upstream_cut"
	bad         = "upstream_bad_response"
	broken      = "broken" // after the first event: the stream reports an error
)

func outcome(r result) string {
	switch {
	case r.err == nil:
		return complete
	case r.sent:
		return broken
	default:
		return codeOf(r.err)
	}
}

// What arrived whole is given before the error that arrived with it.
func TestEventsBeforeBadFraming(t *testing.T) {
	f := newFake(t, nil, then(sseHead+events(hello, hello)+"zz\r\n", untilGone))
	r := attempt(t, provider(t, f.url(), quick), exchange(t, askStream, nil), "m")
	if outcome(r) != broken || !slices.Equal(r.events, []string{hello, hello}) {
		t.Errorf("%s (%v) after %q", outcome(r), r.err, r.events)
	}
}

// quick makes every deadline short, for providers that keep silent.
func quick(c *upstream.Config) {
	c.Timeouts = upstream.Timeouts{
		Connect: 300 * time.Millisecond, Headers: 300 * time.Millisecond, FirstEvent: 400 * time.Millisecond,
		Idle: 300 * time.Millisecond, Answer: 300 * time.Millisecond, Total: 5 * time.Second,
	}
}

func then(text string, end func(c net.Conn)) func(net.Conn, int) bool {
	return func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, text)
		end(c)
		return false
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func fin(net.Conn) {}

// dribble sends a byte at a time for as long as anybody listens.
func dribble(text string) func(net.Conn) {
	return func(c net.Conn) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			<-tick.C
			if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
		}
	}
}

func repeat(text string) func(net.Conn) {
	return func(c net.Conn) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

// TestFaults is the fault matrix: what a provider or the network does, and how the attempt ends. The rule behind the
// rows: an answer is complete only if its framing and its dialect both say so.
func TestFaults(t *testing.T) {
	check := func(name, ask string, script func(net.Conn, int) bool, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of them wait
			f := newFake(t, nil, script)
			p := provider(t, f.url(), quick)
			x := exchange(t, ask, nil)
			r := attempt(t, p, x, "m")
			if got := outcome(r); got != want {
				t.Errorf("%s (%v after %d events), want %s", got, r.err, len(r.events), want)
			}
			if want == broken && slices.Contains(r.events, done) {
				t.Error("a false [DONE]")
			}
			if want != complete && x.Usage.Provenance == chat.Reported {
				t.Errorf("usage %+v", x.Usage)
			}
		})
	}
	const two = sseHead
	some := events(hello, hello)

	check("stream: accepts and is silent", askStream, then("", untilGone), timeout)
	check("whole: accepts and is silent", askWhole, then("", untilGone), timeout)
	check("stream: silent after the head", askStream, then(sseHead, untilGone), timeout)
	check("stream: stalls after two events", askStream, then(two+some, untilGone), broken)
	check("whole: stalls inside the body", askWhole, then(whole("200 OK", answer)[:120], untilGone), timeout)
	check("stream: reset before the head", askStream, then("", reset), cut)
	check("whole: reset before the head", askWhole, then("", reset), cut)
	check("stream: closed before the head", askStream, then("", fin), cut)
	check("stream: closed inside the head", askStream, then("HTTP/1.1 200 OK\r\nConte", fin), cut)
	check("stream: closed before the first event", askStream, then(sseHead, fin), cut)
	check("stream: reset after events", askStream, then(two+some, reset), broken)
	check("stream: closed between chunks", askStream, then(two+some, fin), broken)
	check("stream: closed inside a chunk", askStream, then(two+some+event(hello)[:20], fin), broken)
	check("stream: closed inside an event", askStream, then(two+some+chunk("data: {\"choi"), fin), broken)
	check("stream: framed to the end, not finished", askStream, then(two+some+last, fin), broken)
	check("stream: empty but well framed", askStream, then(two+last, fin), cut)
	check("whole: closed inside the body", askWhole, then(whole("200 OK", answer)[:120], fin), cut)
	check("whole: empty body", askWhole, then(whole("200 OK", ""), fin), cut)
	check("whole: length too long", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"+answer, fin), cut)
	check("whole: length too short", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"+answer, fin), bad)
	check("whole: chunked, closed between chunks", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(answer[:30]), fin), cut)
	check("whole: until the connection ends", askWhole, then("HTTP/1.1 200 OK\r\n\r\n"+answer, fin), complete)
	check("whole: until the connection ends, cut", askWhole, then("HTTP/1.1 200 OK\r\n\r\n"+answer[:60], fin), bad)
	check("stream: until the connection ends", askStream, then("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: "+finish+"\n\ndata: [DONE]\n\n", fin), complete)
	check("stream: until the connection ends, cut", askStream, then("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: "+hello+"\n\n", fin), broken)

	check("stream: one byte a millisecond, never an event", askStream, then(sseHead, dribble("1\r\nx\r\n")), timeout)
	check("stream: heartbeats only", askStream, then(sseHead, repeat(chunk(": ping\n\n"))), timeout)
	check("stream: heartbeats instead of the rest", askStream, then(two+some, repeat(chunk(": ping\n\n"))), broken)
	check("stream: no [DONE]", askStream, then(two+some+events(finish)+last, fin), complete)
	check("stream: no [DONE] and no end", askStream, then(two+some+events(finish), untilGone), complete)
	check("stream: no [DONE], closed", askStream, then(two+some+events(finish), fin), broken)
	check("stream: one finish twice", `{"model":"m","stream":true,"n":2}`, then(two+some+events(finish, finish)+last, fin), broken)
	check("stream: pings only", askStream, then(two+some, repeat(event(`{"type":"ping"}`))), broken)
	check("stream: heartbeats instead of [DONE]", askStream, then(two+some+events(finish), repeat(chunk(": ping\n\n"))), complete)
	check("stream: [DONE] without a finish", askStream, then(two+some+events(done)+last, fin), complete)
	check("stream: [DONE] without the framing's end", askStream, then(two+some+events(finish, done), untilGone), complete)
	check("stream: more after [DONE]", askStream, then(two+some+events(finish, done, hello)+last, fin), complete)
	check("stream: bad framing after [DONE]", askStream, then(two+some+events(finish, done)+"zz\r\n", untilGone), complete)
	check("stream: one of two choices finished", `{"model":"m","stream":true,"n":2}`, then(two+some+events(finish)+last, fin), broken)

	check("stream: bad JSON first", askStream, then(two+events(`{"choices":[`), untilGone), bad)
	check("stream: bad JSON later", askStream, then(two+some+events(`{"choices":[`), untilGone), broken)
	check("whole: bad JSON", askWhole, then(whole("200 OK", `{"choices":[`), fin), bad)
	check("whole: an HTML page", askWhole, then(whole("200 OK", "<html>oops</html>"), fin), bad)
	check("stream: an HTML page", askStream, then("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", fin), bad)
	check("stream: a whole answer came", askStream, then(whole("200 OK", answer), fin), bad)
	check("whole: a stream came", askWhole, then(two+some+events(done)+last, fin), bad)
	check("whole: an error inside a 200", askWhole, then(whole("200 OK", `{"error":{"message":"overloaded","code":"overloaded"}}`), fin), "overloaded")
	check("stream: an error first", askStream, then(two+events(`{"error":{"message":"overloaded","code":529}}`), untilGone), "529")
	check("stream: an error later", askStream, then(two+some+events(`{"error":{"message":"overloaded"}}`), untilGone), broken)
	check("stream: a byte order mark", askStream, then(two+chunk("\ufeffdata: "+finish+"\n\n")+last, fin), complete)
	check("stream: UTF-8 split over chunks", askStream, then(two+chunk("data: {\"choices\":[{\"delta\":{\"content\":\"\xe2\x82")+chunk("\xac\"}}]}\n\n")+events(finish, done)+last, fin), complete)
	check("stream: invalid UTF-8", askStream, then(two+events("{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}"), untilGone), bad)
	check("stream: 900 KB in one event", askStream, then(two+events(`{"choices":[{"delta":{"content":"`+strings.Repeat("x", 900_000)+`"}}]}`, finish, done)+last, fin), complete)
	check("stream: an event larger than allowed", askStream, then(two+events(`{"choices":[{"delta":{"content":"`+strings.Repeat("x", 2_000_000)+`"}}]}`, finish, done)+last, fin), bad)
	check("stream: a line without end", askStream, then(two+chunk(strings.Repeat("x", 2_000_000)), untilGone), bad)
	check("whole: larger than allowed", askWhole, then(whole("200 OK", `{"a":"`+strings.Repeat("x", 2_000_000)+`"}`), fin), bad)
	check("whole: compressed unasked", askWhole, then("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "+itoa(len(zipped()))+"\r\n\r\n"+zipped(), fin), bad)

	check("whole: 429", askWhole, then(whole("429 Too Many Requests", `{"error":{"message":"slow"}}`, "Retry-After: 7"), fin), complete)
	check("stream: 503 without a body", askStream, then("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", fin), complete)
	check("whole: early hints first", askWhole, then("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+whole("200 OK", answer), fin), complete)

	// Heads that two parsers could read in two ways.
	check("head: bare LF", askWhole, then("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", fin), cut)
	check("head: length and chunked", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", fin), bad)
	check("head: two lengths", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", fin), bad)
	check("head: space before the colon", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}", fin), bad)
	check("head: folded", askWhole, then("HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\nContent-Length: 2\r\n\r\n{}", fin), bad)
	check("head: signed length", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}", fin), bad)
	check("head: length of minus zero", askWhole, then("HTTP/1.1 200 OK\r\nContent-Length: -0\r\n\r\n", fin), bad)
	check("head: a lone CR in a value", askWhole, then("HTTP/1.1 200 OK\r\nRetry-After: 1\rX: y\r\nContent-Length: 2\r\n\r\n{}", fin), bad)
	check("head: NUL in a value", askWhole, then("HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\n{}", fin), bad)
	check("head: a name that is no token", askWhole, then("HTTP/1.1 200 OK\r\nA(b): c\r\nContent-Length: 2\r\n\r\n{}", fin), bad)
	check("head: the status line ends with a bare LF", askWhole, then("HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n{}", fin), bad)
	check("head: an odd version", askWhole, then("HTTP/1.x 200 OK\r\nContent-Length: 2\r\n\r\n{}", fin), bad)
	check("head: status 099", askWhole, then("HTTP/1.1 099 OK\r\n\r\n"+whole("200 OK", answer), fin), bad)
	check("head: unknown coding", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{}", fin), bad)
	check("head: not HTTP", askWhole, then("SSH-2.0-OpenSSH_9.6 and some more text\r\n\r\n", fin), bad)
	check("head: status in words", askWhole, then("HTTP/1.1 two hundred\r\n\r\n", fin), bad)
	check("head: endless", askWhole, then("HTTP/1.1 200 OK\r\n", repeat("X: "+strings.Repeat("x", 8000)+"\r\n")), bad)
	check("head: endless interim replies", askWhole, then("", repeat("HTTP/1.1 100 Continue\r\n\r\n")), bad)
	check("head: switching protocols", askWhole, then("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", untilGone), bad)
	check("chunk: size not hexadecimal", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", fin), bad)
	check("chunk: text behind the size", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 3\r\n{}\r\n0\r\n\r\n", fin), bad)
	check("chunk: a lone CR in an extension", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\n{}\r\n0\r\n\r\n", fin), bad)
	check("chunk: an answer as a trailer", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"+whole("200 OK", answer), fin), bad)
	check("chunk: blanks, an extension and a trailer", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \t\r\n{\r\n"+chunk(answer[1:])+"0;a=b\r\nA: b\r\n\r\n", fin), complete)
	check("chunk: size too large", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}", fin), bad)
	check("chunk: data longer than its size", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", fin), bad)
	check("chunk: endless size line", askWhole, then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;", repeat(strings.Repeat("x", 100))), bad)
}

func zipped() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(answer))
	_ = z.Close()
	return b.String()
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody listens here any more
	r := attempt(t, provider(t, "http://"+l.Addr().String()), exchange(t, askWhole, nil), "m")
	var e *gateway.Error
	if outcome(r) != unreachable || !errors.As(r.err, &e) || e.Sent || e.Status != 502 {
		t.Errorf("%v", r.err)
	}
}

// A host that swallows packets: the connect deadline bounds the dial, and a client that leaves ends it at once.
func TestBlackHole(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// TLS to a listener that never answers is a black hole that any machine has.
	p := provider(t, "https://"+l.Addr().String(), quick, insecure)
	r := attempt(t, p, exchange(t, askWhole, nil), "m")
	var e *gateway.Error
	if outcome(r) != unreachable || !errors.As(r.err, &e) || e.Status != 504 || e.Sent {
		t.Errorf("%v", r.err)
	}
	p = provider(t, "https://"+l.Addr().String(), insecure)
	x := exchange(t, askWhole, nil)
	time.AfterFunc(20*time.Millisecond, func() { x.Cancel(gateway.ErrGone) })
	if r := attempt(t, p, x, "m"); !errors.Is(r.err, gateway.ErrGone) {
		t.Errorf("%v", r.err)
	}
}

// With TLS 1.2 the last bytes may come together with the end of the connection: a complete answer is complete.
func TestTLS12LastBytes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f := newFake(t, serverTLS(t, version), then(sseHead+events(hello, finish, done)+last, fin))
		p := provider(t, f.url(), insecure)
		for range 30 {
			if r := attempt(t, p, exchange(t, askStream, nil), "m"); outcome(r) != complete {
				t.Fatalf("%x: %v", version, r.err)
			}
		}
		cutting := newFake(t, serverTLS(t, version), then(sseHead+events(hello), fin))
		p = provider(t, cutting.url(), insecure)
		for range 30 {
			if r := attempt(t, p, exchange(t, askStream, nil), "m"); outcome(r) != broken {
				t.Fatalf("%x: a cut answer passed as complete", version)
			}
		}
	}
}

func TestCertificateIsChecked(t *testing.T) {
	f := newFake(t, serverTLS(t, 0), say(whole("200 OK", answer)))
	if r := attempt(t, provider(t, f.url()), exchange(t, askWhole, nil), "m"); outcome(r) != unreachable || !strings.Contains(r.err.Error(), "certificate") {
		t.Errorf("%v", r.err)
	}
}

// The total deadline ends even a stream that makes progress, and so does the exchange's own.
func TestTotal(t *testing.T) {
	f := newFake(t, nil, then(sseHead, repeat(event(hello))))
	p := provider(t, f.url(), func(c *upstream.Config) { c.Timeouts.Total = 100 * time.Millisecond })
	if r := attempt(t, p, exchange(t, askStream, nil), "m"); outcome(r) != broken || len(r.events) == 0 {
		t.Errorf("%v after %d events", r.err, len(r.events))
	}
	p = provider(t, f.url())
	x := exchange(t, askStream, nil)
	x.SetDeadline(gateway.Now().Add(100 * time.Millisecond))
	if r := attempt(t, p, x, "m"); outcome(r) != broken {
		t.Errorf("%v", r.err)
	}
}

func TestProxy(t *testing.T) {
	upstreamPlain := newFake(t, nil, say(whole("200 OK", answer)))
	upstreamTLS := newFake(t, serverTLS(t, 0), say(whole("200 OK", answer)))
	var lines []string
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { // a proxy of three lines: tunnels CONNECT, forwards the rest as it is
		defer close(stopped)
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 4096)
			n, _ := c.Read(buffer)
			line, _, _ := strings.Cut(string(buffer[:n]), "\r\n")
			lines = append(lines, line+auth(string(buffer[:n])))
			target := upstreamPlain.l.Addr().String()
			rest := buffer[:n]
			if strings.HasPrefix(line, "CONNECT ") {
				target, rest = strings.Fields(line)[1], nil
				_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
			}
			u, err := net.Dial("tcp", target)
			if err != nil {
				_ = c.Close()
				continue
			}
			_, _ = u.Write(rest)
			over := make(chan struct{})
			go func() { _, _ = io.Copy(u, c); _ = u.Close(); close(over) }()
			_, _ = io.Copy(c, u)
			_ = c.Close()
			<-over
		}
	}()
	through := func(c *upstream.Config) {
		insecure(c)
		c.MaxIdle = 0
		c.Proxy = func(*url.URL) (*url.URL, error) {
			return &url.URL{Scheme: "http", Host: proxy.Addr().String(), User: url.UserPassword("user", "pass")}, nil
		}
	}
	for _, f := range []*fake{upstreamPlain, upstreamTLS} {
		if r := attempt(t, provider(t, f.url(), through), exchange(t, askWhole, nil), "m"); r.err != nil {
			t.Errorf("%s: %v", f.url(), r.err)
		}
	}
	_ = proxy.Close()
	<-stopped
	want := []string{
		"POST " + upstreamPlain.url() + "/chat/completions HTTP/1.1 Basic dXNlcjpwYXNz",
		"CONNECT " + upstreamTLS.l.Addr().String() + " HTTP/1.1 Basic dXNlcjpwYXNz",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the proxy saw %q, want %q", lines, want)
	}
	if n := len(upstreamTLS.seen()); n != 1 || strings.Contains(upstreamTLS.seen()[0].head, "Proxy-Authorization") {
		t.Errorf("%d requests; the proxy's password went to the provider", n)
	}
}

func auth(head string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if v, ok := strings.CutPrefix(line, "Proxy-Authorization:"); ok {
			return v
		}
	}
	return ""
}

// The address that is dialled is what counts: names and odd spellings are resolved first.
func TestGuardSeesTheDialledAddress(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	_, port, _ := net.SplitHostPort(f.l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		p := provider(t, "http://"+host+":"+port, func(c *upstream.Config) { c.Guard = gateway.PublicOnly })
		r := attempt(t, p, exchange(t, askWhole, nil), "m")
		if outcome(r) != unreachable || !strings.Contains(r.err.Error(), "not a public address") {
			t.Errorf("%s: %v", host, r.err)
		}
	}
	if len(f.seen()) != 0 {
		t.Error("a guarded request arrived")
	}
}

func TestBadURLs(t *testing.T) {
	for _, s := range []string{"ftp://host/v1", "http:///v1", "host:80"} {
		u, err := url.Parse(s)
		if err != nil {
			continue
		}
		if _, err := upstream.New(upstream.Config{BaseURL: u}); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
}
