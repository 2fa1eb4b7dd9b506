package serve_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),    // one for the process
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // sleeps up to 10 s after the end
	)
}

const patience = 10 * time.Second // for what must happen; far more than it takes

// gateway under test: real sockets, the handler is the test's.
type server struct {
	t       *testing.T
	s       *serve.Server
	l       net.Listener
	handler gateway.HandlerFunc
	dir     *gateway.Directory
	tls     *tls.Config // the client's side; nil for plain text
	used    atomic.Int64
	drained bool // by the test itself

	mu   sync.Mutex
	ends []end
	told chan struct{} // one for each end
}

type end struct {
	id  string
	err error
}

// Serve counts the ends of exchanges and then lets the test answer.
func (s *server) Serve(x *gateway.Exchange) error {
	x.OnEnd(func(err error) {
		s.mu.Lock()
		s.ends = append(s.ends, end{x.ID, err})
		s.mu.Unlock()
		s.told <- struct{}{}
	})
	return s.handler(x)
}

func (s *server) Directory() *gateway.Directory { return s.dir }
func (s *server) Acquire() serve.Generation     { s.used.Add(1); return s }
func (s *server) Release()                      { s.used.Add(-1) }

type setup struct {
	options    serve.Options
	background bool // watch by background reads instead of epoll
	tls        bool
	maxTLS     uint16
	directory  gateway.Entries
}

func start(t *testing.T, handler gateway.HandlerFunc, change ...func(*setup)) *server {
	t.Helper()
	u := setup{options: serve.Options{
		MaxHead: 4 << 10, MaxBody: 1 << 20, MaxInFlight: 32 << 20, ReadTimeout: patience, IdleTimeout: patience, WriteTimeout: patience,
		Log: zap.NewNop(), Metrics: prometheus.NewRegistry(),
	}}
	for _, c := range change {
		c(&u)
	}
	s := &server{t: t, handler: handler, dir: gateway.NewDirectory(u.directory), told: make(chan struct{}, 10000)}
	u.options.BackgroundRead = u.background
	if u.tls {
		certificate := selfSigned(t)
		u.options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, MaxVersion: u.maxTLS}
		s.tls = &tls.Config{InsecureSkipVerify: true}
	}
	var err error
	if s.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.s = serve.New(s, s.l, u.options)
	done := make(chan error, 1)
	go func() { done <- s.s.Serve() }()
	t.Cleanup(func() {
		if !s.drained {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			s.s.Drain(ctx)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := s.used.Load(); n != 0 {
			t.Errorf("%d generations were not released", n)
		}
		if _, held := s.s.Live(); held != 0 {
			t.Errorf("%d bytes of request bodies are still counted", held)
		}
	})
	return s
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// waitEnd waits for the end of an exchange and gives it.
func (s *server) waitEnd() end {
	s.t.Helper()
	select {
	case <-s.told:
	case <-time.After(patience):
		s.t.Fatal("the exchange did not end")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends[len(s.ends)-1]
}

// client is one connection to the server.
type client struct {
	t *testing.T
	net.Conn
	tcp *net.TCPConn
	r   *bufio.Reader
}

func (s *server) dial() *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	k := &client{t: s.t, Conn: c, tcp: c.(*net.TCPConn)}
	if s.tls != nil {
		k.Conn = tls.Client(c, s.tls)
	}
	_ = k.SetDeadline(time.Now().Add(patience))
	k.r = bufio.NewReader(k.Conn)
	s.t.Cleanup(func() { _ = c.Close() })
	return k
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

// response reads one response's head and body.
func (c *client) response() (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("body: %v after %q", err, b)
	}
	return r, string(b)
}

// closed says whether the server has ended the connection, without anything more to read.
func (c *client) closed() bool {
	_, err := c.r.ReadByte()
	return err != nil && !isTimeout(err)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

const minimal = `{"model":"m"}`

func post(body string, fields ...string) string {
	return request("POST", "/v1/chat/completions", body, fields...)
}

func request(method, path, body string, fields ...string) string {
	var b strings.Builder
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: test\r\n")
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Length: " + itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func itoa(n int) string { return big.NewInt(int64(n)).String() }

// whole answers with a body.
func whole(body string) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once([]byte(body))}
		x.Commit()
		return nil
	}
}

// events is a stream that the test feeds.
type events struct {
	x     *gateway.Exchange
	feed  chan any // string: an event; error: the end
	last  any
	ready bool
	close sync.Once
	done  chan struct{} // closed by Close
}

func newEvents(x *gateway.Exchange) *events {
	return &events{x: x, feed: make(chan any, 1000), done: make(chan struct{})}
}

func (e *events) Next() (gateway.Event, error) {
	v := e.last
	if !e.ready {
		for {
			timer := time.NewTimer(20 * time.Millisecond)
			select {
			case v = <-e.feed:
			case <-timer.C:
				if e.x.Idle != nil {
					if err := e.x.Idle(); err != nil {
						return gateway.Event{}, err
					}
				}
				continue
			case <-e.x.Context().Done():
				timer.Stop()
				return gateway.Event{}, e.x.Cause()
			}
			timer.Stop()
			break
		}
	}
	e.ready = false
	switch v := v.(type) {
	case string:
		return gateway.Event{Data: []byte(v)}, nil
	default:
		e.last, e.ready = v, true
		return gateway.Event{}, v.(error)
	}
}

func (e *events) Ready() bool {
	if e.ready {
		return true
	}
	select {
	case e.last = <-e.feed:
		e.ready = true
	default:
	}
	return e.ready
}

func (e *events) Close() error { e.close.Do(func() { close(e.done) }); return nil }

// streaming answers with a stream that the test gets through the channel.
func streaming(out chan<- *events) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		e := newEvents(x)
		x.Reply = &gateway.Reply{Status: 200, ContentType: "text/event-stream", Kind: gateway.Events, Stream: e}
		x.Commit()
		out <- e
		return nil
	}
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

// dialRaw tries to open another connection.
func dialRaw(s *server) (net.Conn, error) {
	return net.DialTimeout("tcp", s.l.Addr().String(), patience)
}
