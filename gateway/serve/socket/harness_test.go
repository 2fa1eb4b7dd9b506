package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/serve/socket"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),    // one for the process
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // sleeps up to 10 s after the end
	)
}

const patience = 10 * time.Second // for what must happen; far more than it takes

// server is a gateway under test, on real sockets. The handler is the test's.
type server struct {
	t       *testing.T
	s       *serve.Server
	l       net.Listener
	handler gateway.HandlerFunc
	dir     *gateway.Directory
	who     func(credential string) (gateway.Caller, error)
	used    atomic.Int64
	metrics *prometheus.Registry
	drained bool // by the test itself

	mu   sync.Mutex
	ends []error
}

// Serve authenticates like plugin auth, counts the ends of exchanges and lets the test answer.
func (s *server) Serve(x *gateway.Exchange) error {
	x.OnEnd(func(err error) {
		s.mu.Lock()
		s.ends = append(s.ends, err)
		s.mu.Unlock()
	})
	var err error
	if x.Caller, err = s.Admit(x.Context(), x.Request.Header, x.Client, x.Directory); err != nil {
		return err
	}
	return s.handler(x)
}

func (s *server) Admit(_ context.Context, h gateway.Header, _ netip.Addr, _ *gateway.Directory) (gateway.Caller, error) {
	return s.who(strings.TrimPrefix(string(h.Get("Authorization")), "Bearer "))
}

func (s *server) Directory() *gateway.Directory { return s.dir }
func (s *server) Acquire() serve.Generation     { s.used.Add(1); return s }
func (s *server) Release()                      { s.used.Add(-1) }

var _ gateway.Admitter = (*server)(nil)

// ended are the ends of exchanges so far.
func (s *server) ended() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.ends...)
}

type setup struct {
	server    serve.Options
	options   socket.Options
	directory gateway.Entries
	who       func(credential string) (gateway.Caller, error)
}

// somebody is the tenant "acme" with a key, or with a token that is good for an hour: "token:" and the user.
func somebody(credential string) (gateway.Caller, error) {
	acme := &gateway.Tenant{ID: "acme", Origins: []string{"https://acme.example"}}
	user, token := strings.CutPrefix(credential, "token:")
	switch {
	case credential == "key":
		return gateway.Caller{Tenant: acme, Key: "ci"}, nil
	case token:
		return gateway.Caller{Tenant: acme, Key: "ci", User: user, Expires: time.Now().Add(time.Hour)}, nil
	}
	return gateway.Caller{}, &gateway.Error{Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Message: "The key is unknown."}
}

func start(t *testing.T, handler gateway.HandlerFunc, change ...func(*setup)) *server {
	t.Helper()
	u := setup{
		server: serve.Options{
			MaxHead: 4 << 10, MaxBody: 1 << 20, MaxInFlight: 32 << 20, ReadTimeout: patience, IdleTimeout: patience, WriteTimeout: patience,
			Log: zap.NewNop(), Metrics: prometheus.NewRegistry(),
		},
		options: socket.Options{
			Responses: true, MaxMessage: 1 << 20, AtOnce: 8, Grace: patience, Keep: 1 << 20, KeepAll: 16 << 20,
			ReadTimeout: patience, WriteTimeout: patience, Log: zap.NewNop(),
		},
		who: somebody,
	}
	for _, c := range change {
		c(&u)
	}
	s := &server{t: t, handler: handler, who: u.who, dir: gateway.NewDirectory(u.directory), metrics: prometheus.NewRegistry()}
	u.options.Metrics = s.metrics
	var err error
	if s.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.s = serve.New(s, s.l, u.server)
	socket.Attach(s.s, s, u.options)
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
		until(t, "all generations are released", func() bool { return s.used.Load() == 0 })
		if _, held := s.s.Live(); held != 0 {
			t.Errorf("%d bytes of request bodies are still counted", held)
		}
		if n := s.value("sluice_sockets"); n != 0 {
			t.Errorf("%v sockets are still counted", n)
		}
	})
	return s
}

// value is the sum of a metric's values over all labels.
func (s *server) value(name string) (sum float64) {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

const chatPath = "/v1/chat/completions"

// dial opens a socket; header is names and values in turn.
func (s *server) dial(path string, header ...string) (*client, *http.Response, error) {
	d := websocket.Dialer{HandshakeTimeout: patience}
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Sec-WebSocket-Protocol" {
			d.Subprotocols = strings.Split(header[i+1], ", ")
			continue
		}
		h.Add(header[i], header[i+1])
	}
	c, r, err := d.Dial("ws://"+s.l.Addr().String()+path, h)
	if err != nil {
		return nil, r, err
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return &client{s.t, c}, r, nil
}

// chat opens a socket with a key.
func (s *server) chat() *client {
	s.t.Helper()
	c, _, err := s.dial(chatPath, "Authorization", "Bearer key")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// client is one open socket.
type client struct {
	t *testing.T
	*websocket.Conn
}

// frame is what the gateway says.
type frame struct {
	Type      string          `json:"type"`
	ID        string          `json:"id"`
	Seq       int64           `json:"seq"`
	Status    int             `json:"status"`
	RequestID string          `json:"request_id"`
	RetryMS   int64           `json:"retry_after_ms"`
	Chunk     json.RawMessage `json:"chunk"`
	Usage     json.RawMessage `json:"usage"`
	Cost      json.RawMessage `json:"cost"`
	Provider  *string         `json:"provider"`
	Cache     *string         `json:"cache"`
	ExpiresAt *int64          `json:"expires_at"`
	Error     struct {
		Message, Type, Code, Param string
	} `json:"error"`
	raw string
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// create asks for an answer.
func (c *client) create(id string) {
	c.t.Helper()
	c.send(`{"type":"chat.create","id":"` + id + `","request":{"model":"m"}}`)
}

func (c *client) receive() (f frame, err error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, b, err := c.ReadMessage()
	if err != nil {
		return f, err
	}
	f.raw = string(b)
	return f, json.Unmarshal(b, &f)
}

func (c *client) next() frame {
	c.t.Helper()
	f, err := c.receive()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// expect reads one frame and compares how it begins.
func (c *client) expect(want string) frame {
	c.t.Helper()
	f := c.next()
	if !strings.HasPrefix(f.raw, want) {
		c.t.Fatalf("got  %s\nwant %s", f.raw, want)
	}
	return f
}

// fails reads one frame, which tells of an error.
func (c *client) fails(id, code string) frame {
	c.t.Helper()
	f := c.next()
	if f.Type != "error" || f.ID != id || f.Error.Code != code || f.Error.Message == "" {
		c.t.Fatalf("got %s, want the error %s of %q", f.raw, code, id)
	}
	return f
}

// closes reads to the end, which has that code; what comes before does not matter.
func (c *client) closes(code int) {
	c.t.Helper()
	for {
		_, err := c.receive()
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != code {
			c.t.Fatalf("closed with %v, want %d", err, code)
		}
		return
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
	return &events{x: x, feed: make(chan any, 10000), done: make(chan struct{})}
}

func (e *events) Next() (gateway.Event, error) {
	v := e.last
	if !e.ready {
		select {
		case v = <-e.feed:
		case <-e.x.Context().Done():
			return gateway.Event{}, e.x.Cause()
		}
	}
	e.ready = false
	switch v := v.(type) {
	case string:
		return gateway.Event{Data: []byte(v)}, nil
	case gateway.Event:
		return v, nil
	default:
		e.last, e.ready = v, true
		return gateway.Event{}, v.(error)
	}
}

func (e *events) Ready() bool {
	if !e.ready {
		select {
		case e.last = <-e.feed:
			e.ready = true
		default:
		}
	}
	return e.ready
}

func (e *events) Close() error { e.close.Do(func() { close(e.done) }); return nil }

// streaming answers with streams that the test gets through the channel.
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

// chunks answers with so many numbered events, which are there at once.
func chunks(n, size int) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		e := newEvents(x)
		e.feed = make(chan any, n+2)
		for i := range n {
			e.feed <- chunk(i, size)
		}
		e.feed <- "[DONE]"
		e.feed <- io.EOF
		x.Reply = &gateway.Reply{Status: 200, ContentType: "text/event-stream", Kind: gateway.Events, Stream: e}
		x.Commit()
		return nil
	}
}

func chunk(i, size int) string {
	return `{"n":` + strconv.Itoa(i) + `,"text":"` + strings.Repeat("x", size) + `"}`
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
