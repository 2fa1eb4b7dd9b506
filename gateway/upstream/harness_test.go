package upstream_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/watch"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// request is what the scripted provider has received.
type request struct {
	head string
	body string
}

// fake is a provider on a raw socket: script is run for each request and says whether to go on with the connection.
type fake struct {
	t      *testing.T
	l      net.Listener
	script func(c net.Conn, n int) bool

	mu       sync.Mutex
	requests []request
	conns    int
	live     map[net.Conn]bool
	closed   chan time.Time // one for each connection that the gateway closed
	work     sync.WaitGroup
}

func newFake(t *testing.T, config *tls.Config, script func(c net.Conn, n int) bool) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, l: l, script: script, live: map[net.Conn]bool{}, closed: make(chan time.Time, 1000)}
	if config != nil {
		f.l = tls.NewListener(l, config)
	}
	f.work.Go(f.accept)
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		for c := range f.live {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.work.Wait()
	})
	return f
}

func (f *fake) accept() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns++
		f.live[c] = true
		f.mu.Unlock()
		f.work.Go(func() { f.serve(c) })
	}
}

func (f *fake) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		f.mu.Lock()
		delete(f.live, c)
		f.mu.Unlock()
	}()
	var head strings.Builder
	r := bufio.NewReader(io.TeeReader(c, &head))
	for n := 0; ; n++ {
		head.Reset()
		q, err := http.ReadRequest(r)
		if err != nil {
			f.closed <- time.Now()
			return
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			f.closed <- time.Now()
			return
		}
		h, _, _ := strings.Cut(head.String(), "\r\n\r\n")
		f.mu.Lock()
		f.requests = append(f.requests, request{h, string(body)})
		f.mu.Unlock()
		if !f.script(c, n) {
			return
		}
	}
}

func (f *fake) seen() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]request(nil), f.requests...)
}

// forget drops what was received.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// waitClosed waits until the gateway has closed a connection.
func (f *fake) waitClosed() time.Time {
	f.t.Helper()
	select {
	case at := <-f.closed:
		return at
	case <-time.After(patience):
		f.t.Fatal("the gateway did not close the connection")
		return time.Time{}
	}
}

// untilGone blocks until the other side has closed: how a script keeps silent without a sleep.
func untilGone(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func say(text string) func(net.Conn, int) bool {
	return func(c net.Conn, _ int) bool { _, err := io.WriteString(c, text); return err == nil }
}

const (
	sseHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	hello   = `{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}`
	finish  = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	usage   = `{"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":7,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":3}}}`
	done    = "[DONE]"
	last    = "0\r\n\r\n"
	answer  = `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
)

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

func event(data string) string { return chunk("data: " + data + "\n\n") }

func events(list ...string) string {
	var b strings.Builder
	for _, e := range list {
		b.WriteString(event(e))
	}
	return b.String()
}

func whole(status, body string, fields ...string) string {
	h := "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n"
	for _, f := range fields {
		h += f + "\r\n"
	}
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", h, len(body), body)
}

func provider(t *testing.T, base string, change ...func(*upstream.Config)) *upstream.Provider {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	w, err := watch.New()
	if err != nil {
		t.Fatal(err)
	}
	c := upstream.Config{
		Name: "fake", BaseURL: u, Kind: openaiKind(), Endpoints: endpoints(), MaxIdle: 10, IdleTimeout: time.Minute, MaxBody: 1 << 20, MaxEvent: 1 << 20,
		Budget: upstream.NewBudget(1 << 30), AskUsage: true, Watch: w, UserAgent: "sluice/test",
		Timeouts: upstream.Timeouts{
			Connect: patience, Headers: patience, FirstEvent: patience, Idle: patience, Answer: patience, Total: time.Minute,
		},
	}
	for _, f := range change {
		f(&c)
	}
	p, err := upstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close()
		_ = w.Close()
		if open, _ := p.Connections(); open != 0 {
			t.Errorf("%d connections are left open", open)
		}
		if held := c.Budget.Held(); held != 0 {
			t.Errorf("%d bytes of replies are still counted", held)
		}
	})
	return p
}

func (f *fake) url() string {
	scheme := "http"
	if _, ok := f.l.(*net.TCPListener); !ok {
		scheme = "https"
	}
	return scheme + "://" + f.l.Addr().String() + "/v1"
}

// chatEndpoint is the endpoint that most tests ask.
var chatEndpoint = gateway.Endpoint{Name: "chat.completions", Method: "POST", Forward: "/chat/completions", Dialect: "openai"}

func endpoints() []gateway.Endpoint { return []gateway.Endpoint{chatEndpoint} }

func openaiKind() upstream.Kind {
	k, _ := upstream.KindOf("openai")
	return k
}

type headers map[string]string

func (h headers) Get(name string) []byte {
	if v, ok := h[name]; ok {
		return []byte(v)
	}
	return nil
}

type body struct{ b []byte }

func (b *body) Load() ([]byte, error) { return b.b, nil }
func (b *body) Free()                 { b.b = nil }

const (
	askWhole  = `{"messages":[], "model" : "caller/name","seed":12345678901234567890}`
	askStream = `{"model":"m","stream":true}`
)

func exchange(t *testing.T, ask string, h headers) *gateway.Exchange {
	t.Helper()
	x := &gateway.Exchange{}
	x.Init("req_test", &chatEndpoint, h, &body{[]byte(ask)})
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	x.Caller.Tenant = &gateway.Tenant{ID: "t"}
	x.Plan.Model = x.Request.Model()
	return x
}

// result is an attempt that was pulled to its end.
type result struct {
	x      *gateway.Exchange
	a      *gateway.Attempt
	reply  *gateway.Reply
	events []string
	err    error // of Send, or of the stream; nil after a complete reply
	sent   bool  // Send gave a reply
}

// attempt sends and pulls everything.
func attempt(t *testing.T, p *upstream.Provider, x *gateway.Exchange, model string) result {
	t.Helper()
	return pull(x, &gateway.Target{Provider: "fake", Model: model, Via: p.WithKey("secret-key")})
}

// pull is attempt for a target.
func pull(x *gateway.Exchange, target *gateway.Target) result {
	r := result{x: x, a: x.Attempting(target)}
	r.reply, r.err = target.Via.Send(x, target, r.a)
	if r.err != nil {
		return r
	}
	r.sent = true
	for {
		ev, err := r.reply.Stream.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.err = err
			}
			break
		}
		r.events = append(r.events, string(ev.Data))
	}
	_ = r.reply.Stream.Close()
	return r
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e.Code
	}
	return ""
}

func itoa(n int) string { return strconv.Itoa(n) }

// serverTLS is the fake's TLS; 0 for the newest version.
func serverTLS(t *testing.T, version uint16) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12, MaxVersion: version}
}

// insecure trusts the fake's certificate.
func insecure(c *upstream.Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} }
