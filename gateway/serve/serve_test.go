package serve_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// code is the error's code in an OpenAI error body; it fails unless all four keys are there.
func code(t *testing.T, body string) string {
	t.Helper()
	var e struct {
		Error map[string]any `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	for _, key := range []string{"message", "type", "param", "code"} {
		if _, ok := e.Error[key]; !ok {
			t.Fatalf("no %q in %s", key, body)
		}
	}
	s, _ := e.Error["code"].(string)
	return s
}

func TestWhole(t *testing.T) {
	s := start(t, whole(`{"answer":1}`))
	c := s.dial()
	for range 3 { // on one connection
		c.send(post(minimal))
		r, body := c.response()
		if r.StatusCode != 200 || body != `{"answer":1}` || r.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %q", r.StatusCode, body)
		}
		if id := r.Header.Get("X-Request-Id"); id != s.waitEnd().id || !strings.HasPrefix(id, "req_") {
			t.Errorf("request id %q", id)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, whole(`{}`))
	check := func(name, raw string, status int, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			c := s.dial()
			c.t = t
			c.send(raw)
			r, body := c.response()
			if r.StatusCode != status || code(t, body) != want {
				t.Errorf("%d %s, want %d %s", r.StatusCode, body, status, want)
			}
			if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Request-Id") == "" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
	const chat = "/v1/chat/completions"
	check("unknown path", request("GET", "/nope", ""), 404, "unknown_endpoint")
	check("wrong method", request("GET", chat, ""), 405, "method_not_allowed")
	check("DELETE a model", request("DELETE", "/v1/models/m", ""), 405, "method_not_allowed")

	// Another spelling of a path is another path: what was authorised is what was written.
	for _, path := range []string{
		"//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions/", "/v1/./chat/completions", "/x/../v1/chat/completions",
		"/v1/chat%2Fcompletions", "/%761/chat/completions", "/v1/chat/completions;a=b", "/V1/chat/completions", "/v1/chat/completions%00",
		"/v1/models/../chat/completions%23", "/metrics", "/debug/pprof/", "/v1\\chat\\completions",
	} {
		if strings.HasPrefix(path, "/v1/models/") {
			check(path, request("POST", path, minimal), 405, "method_not_allowed")
			continue
		}
		check(path, request("POST", path, minimal), 404, "unknown_endpoint")
	}
	check("bad percent-encoding", request("GET", "/v1/models/%zz", ""), 400, "bad_path")

	check("malformed JSON", post(`{"model":`), 400, "invalid_json")
	check("no body", post(""), 400, "invalid_json")
	check("an array", post(`[]`), 400, "invalid_json")
	check("trailing data", post(`{"model":"m"}x`), 400, "invalid_json")
	check("invalid UTF-8", post("{\"model\":\"m\",\"a\":\"\xff\"}"), 400, "invalid_json")
	check("too deep", post(`{"model":"m","a":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`}`), 400, "invalid_json")
	check("no model", post(`{}`), 400, "missing_required_parameter")
	check("model twice", post(`{"model":"cheap","model":"expensive"}`), 400, "invalid_value")
	check("model in capitals", post(`{"model":"cheap","MODEL":"expensive"}`), 400, "invalid_value")
	check("model escaped", post(`{"model":"cheap","mod\u0065l":"expensive"}`), 400, "invalid_value")
	check("model not text", post(`{"model":1}`), 400, "invalid_value")
	check("stream not boolean", post(`{"model":"m","stream":"yes"}`), 400, "invalid_value")
	check("compressed", post(minimal, "Content-Encoding: gzip"), 415, "unsupported_encoding")

	check("declared too large", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{", 413, "request_too_large")
	check("chunked too large", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("10000\r\n"+strings.Repeat(" ", 0x10000)+"\r\n", 17)+"0\r\n\r\n", 413, "request_too_large")
	check("headers too large", post(minimal, "X-Large: "+strings.Repeat("x", 5000)), 431, "headers_too_large")
	check("not HTTP", "HELO there\r\n\r\n", 400, "bad_request")

	// What two parsers could read in two ways.
	check("length and chunked", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request")
	check("chunked and length", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\n0\r\n\r\n", 400, "bad_request")
	check("two lengths", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nContent-Length: 14\r\n\r\n"+minimal, 400, "bad_request")
	check("signed length", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: +13\r\n\r\n"+minimal, 400, "bad_request")
	check("odd coding", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "bad_request")
	check("coding twice", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request")
	check("space before colon", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length : 13\r\n\r\n"+minimal, 400, "bad_request")
	check("folded header", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c: d\r\nContent-Length: 13\r\n\r\n"+minimal, 400, "bad_request")
	check("two hosts", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 13\r\n\r\n"+minimal, 400, "bad_request")
	check("a fragment", request("GET", "/v1/models/m#x", ""), 400, "bad_request")
	check("no host", "POST "+chat+" HTTP/1.1\r\nContent-Length: 13\r\n\r\n"+minimal, 400, "bad_request")
	check("NUL in a header", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\nContent-Length: 13\r\n\r\n"+minimal, 400, "bad_request")
	check("two credentials", post(minimal, "Authorization: Bearer a", "authorization: Bearer b"), 400, "bad_request")
	check("another version", "POST "+chat+" HTTP/2.0\r\nHost: x\r\nContent-Length: 13\r\n\r\n"+minimal, 505, "http_version")
	check("chunk size in hex prefix", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0xd\r\n"+minimal+"\r\n0\r\n\r\n", 400, "incomplete_body")
}

func TestAllowHeader(t *testing.T) {
	c := start(t, whole(`{}`)).dial()
	c.send(request("GET", "/v1/chat/completions", ""))
	if r, _ := c.response(); r.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("Allow: %q", r.Header.Get("Allow"))
	}
}

func TestModelID(t *testing.T) {
	s := start(t, func(x *gateway.Exchange) error {
		x.Reply = &gateway.Reply{Status: 200, ContentType: "text/plain", Stream: gateway.Once([]byte(x.Request.Endpoint.Name + " " + x.Request.Param))}
		return nil
	})
	check := func(path, want string) {
		t.Helper()
		c := s.dial()
		c.send(request("GET", path, ""))
		if _, body := c.response(); body != want {
			t.Errorf("%s: %q, want %q", path, body, want)
		}
	}
	check("/v1/models", "models.list ")
	check("/v1/models?limit=1", "models.list ")
	check("/v1/models/gpt-4.1", "models.retrieve gpt-4.1")
	check("/v1/models/Qwen/Qwen3-8B", "models.retrieve Qwen/Qwen3-8B")
	check("/v1/models/Qwen%2FQwen3-8B", "models.retrieve Qwen/Qwen3-8B")
	check("/v1/models/..%2f..%2fetc", "models.retrieve ../../etc") // a name to look up, never a path
	check("http://any.host/v1/models/m", "models.retrieve m")
}

func TestRefusedBeforeTheBody(t *testing.T) {
	s := start(t, func(*gateway.Exchange) error {
		return &gateway.Error{Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Message: "no"}
	})
	c := s.dial()
	// One byte of a megabyte has arrived: the answer does not wait for the rest.
	c.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
	r, body := c.response()
	if r.StatusCode != 401 || code(t, body) != "invalid_api_key" || r.Header.Get("Www-Authenticate") != "Bearer" {
		t.Errorf("%d %s", r.StatusCode, body)
	}
}

// Clients that send everything before they read get the answer too, not a reset.
func TestRefusedLargeBody(t *testing.T) {
	s := start(t, func(*gateway.Exchange) error {
		return &gateway.Error{Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Message: "no"}
	})
	for range 10 {
		for _, size := range []int{100_000, 1_000_000, 16_000_000} {
			c := s.dial()
			c.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(size) + "\r\n\r\n" + strings.Repeat(" ", size))
			if r, body := c.response(); r.StatusCode != 401 || code(t, body) != "invalid_api_key" {
				t.Fatalf("%d %s", r.StatusCode, body)
			}
			_ = c.Close()
		}
	}
	unknown := s.dial()
	unknown.send("POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + strings.Repeat(" ", 4_000_000))
	if r, body := unknown.response(); r.StatusCode != 404 || code(t, body) != "unknown_endpoint" {
		t.Fatalf("%d %s", r.StatusCode, body)
	}
}

func TestExpectContinue(t *testing.T) {
	s := start(t, whole(`{}`))
	c := s.dial()
	c.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n")
	r, err := http.ReadResponse(c.r, nil)
	if err != nil || r.StatusCode != 100 {
		t.Fatalf("%v %v", r, err)
	}
	c.send(minimal)
	if r, body := c.response(); r.StatusCode != 200 || body != "{}" {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	refuse := func(path, length string, status int, want string) {
		t.Helper()
		c := s.dial()
		c.send("POST " + path + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n")
		r, body := c.response()
		if r.StatusCode != status || code(t, body) != want || !c.closed() {
			t.Errorf("%d %s", r.StatusCode, body)
		}
	}
	refuse("/v1/chat/completions", "99999999", 413, "request_too_large")
	refuse("/nope", "13", 404, "unknown_endpoint")
}

func TestHTTP10(t *testing.T) {
	out := make(chan *events, 1)
	stream := start(t, streaming(out))
	c := stream.dial()
	c.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 27\r\n\r\n{\"model\":\"m\",\"stream\":true}")
	if r, body := c.response(); r.StatusCode != 400 || code(t, body) != "http_version" {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	if len(out) != 0 {
		t.Error("asked a provider for what cannot be sent")
	}
	c = start(t, whole(`{"a":1}`)).dial()
	c.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + minimal)
	r, body := c.response()
	if r.StatusCode != 200 || body != `{"a":1}` || r.ContentLength != 7 || !c.closed() {
		t.Errorf("%d %s %v", r.StatusCode, body, r.Header)
	}
}

// A connection that was opened ahead of need is closed without a word, before its first request as behind one.
func TestUnusedConnections(t *testing.T) {
	s := start(t, whole(`{}`), func(u *setup) {
		u.options.ReadTimeout, u.options.IdleTimeout = 100*time.Millisecond, 100*time.Millisecond
	})
	for range 2 {
		c := s.dial()
		if b, err := io.ReadAll(c.Conn); len(b) > 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	c := s.dial()
	c.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n" + minimal)
	if r, _ := c.response(); r.StatusCode != 200 {
		t.Error(r.StatusCode)
	}
	if b, err := io.ReadAll(c.Conn); len(b) > 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSlowSenders(t *testing.T) {
	s := start(t, whole(`{}`), func(u *setup) { u.options.ReadTimeout = 200 * time.Millisecond })
	head := s.dial()
	head.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
	if r, body := head.response(); r.StatusCode != 408 || code(t, body) != "request_timeout" || !head.closed() {
		t.Errorf("slow head: %d %s", r.StatusCode, body)
	}
	body := s.dial()
	body.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"mo")
	if r, b := body.response(); r.StatusCode != 408 || code(t, b) != "request_timeout" || !body.closed() {
		t.Errorf("slow body: %d %s", r.StatusCode, b)
	}
	dribble := s.dial()
	dribble.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{")
	go func() { // a byte at a time keeps no connection
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(dribble.Conn, " "); err != nil {
				return
			}
		}
	}()
	if r, b := dribble.response(); r.StatusCode != 408 || code(t, b) != "request_timeout" {
		t.Errorf("dribbled body: %d %s", r.StatusCode, b)
	}
	_ = dribble.Close()
	short := s.dial()
	short.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"mo")
	_ = short.tcp.CloseWrite()
	if end := s.waitEnd(); end.err == nil {
		t.Error("half a request ended well")
	}
}

// Declared lengths allocate nothing; bytes that have arrived count against one budget for all.
func TestInFlightBudget(t *testing.T) {
	held := make(chan struct{})
	s := start(t, func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		<-held
		return whole(`{}`)(x)
	}, func(u *setup) { u.options.MaxInFlight = 1500 })
	body := `{"model":"m","pad":"` + strings.Repeat("x", 600) + `"}`
	first := s.dial()
	first.send(post(body))
	until(t, "the first body is held", func() bool { _, n := s.s.Live(); return n > 600 })
	second := s.dial()
	second.send(post(body))
	r, b := second.response()
	if r.StatusCode != 503 || code(t, b) != "gateway_busy" || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", r.StatusCode, b)
	}
	close(held)
	if r, _ := first.response(); r.StatusCode != 200 {
		t.Errorf("%d", r.StatusCode)
	}
}

func TestConnectionsPerIP(t *testing.T) {
	s := start(t, whole(`{}`), func(u *setup) { u.options.MaxConnsPerIP = 2 })
	a, b := s.dial(), s.dial()
	for _, c := range []*client{a, b} {
		c.send(post(minimal))
		c.response()
	}
	if c, err := net.Dial("tcp", s.l.Addr().String()); err == nil { // it may be reset while it is dialled
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("the third connection was served: %v", err)
		}
		_ = c.Close()
	}
	_ = a.Close()
	until(t, "the server has noticed", func() bool { n, _ := s.s.Live(); return n == 1 })
	c := s.dial()
	c.send(post(minimal))
	if r, _ := c.response(); r.StatusCode != 200 {
		t.Errorf("%d", r.StatusCode)
	}
}

func TestPipelining(t *testing.T) {
	for _, background := range []bool{false, true} {
		s := start(t, func(x *gateway.Exchange) error {
			if err := x.Request.Open(); err != nil {
				return err
			}
			return whole(`{"model":"` + x.Request.Model() + `"}`)(x)
		}, func(u *setup) { u.background = background })
		c := s.dial()
		var burst strings.Builder
		for i := range 10 {
			burst.WriteString(post(`{"model":"m` + itoa(i) + `"}`))
		}
		c.send(burst.String())
		for i := range 10 {
			if r, body := c.response(); r.StatusCode != 200 || body != `{"model":"m`+itoa(i)+`"}` {
				t.Fatalf("%d: %d %s", i, r.StatusCode, body)
			}
		}
		for range 10 {
			if end := s.waitEnd(); end.err != nil {
				t.Error(end.err)
			}
		}
	}
}

// A finished answer does not wait for the pipelined request behind it.
func TestPipeliningDoesNotHoldBack(t *testing.T) {
	release := make(chan struct{})
	s := start(t, func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		if x.Request.Model() == "slow" {
			<-release
		}
		return whole(`{"model":"` + x.Request.Model() + `"}`)(x)
	})
	c := s.dial()
	c.send(post(`{"model":"fast"}`) + post(`{"model":"slow"}`))
	if _, body := c.response(); body != `{"model":"fast"}` {
		t.Error(body)
	}
	close(release)
	if _, body := c.response(); body != `{"model":"slow"}` {
		t.Error(body)
	}
}

func TestCORS(t *testing.T) {
	s := start(t, whole(`{}`), func(u *setup) {
		u.directory.Origins = []string{"https://app.example"}
		u.directory.Tenants = []*gateway.Tenant{{ID: "acme", Origins: []string{"https://acme.example"}}}
	})
	preflight := func(origin string, status int, allowed string) {
		t.Helper()
		c := s.dial()
		c.send(request("OPTIONS", "/v1/chat/completions", "", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, content-type"))
		r, _ := c.response()
		if r.StatusCode != status || r.Header.Get("Access-Control-Allow-Origin") != allowed || !strings.Contains(r.Header.Get("Vary"), "Origin") {
			t.Errorf("%s: %d %v", origin, r.StatusCode, r.Header)
		}
		if allowed != "" && r.Header.Get("Access-Control-Allow-Headers") != "authorization, content-type" {
			t.Errorf("%v", r.Header)
		}
	}
	preflight("https://app.example", 204, "https://app.example")
	preflight("https://acme.example", 204, "https://acme.example")
	preflight("https://evil.example", 403, "")
	actual := func(origin, allowed string) {
		t.Helper()
		c := s.dial()
		c.send(post(minimal, "Origin: "+origin))
		r, _ := c.response()
		if got := r.Header.Get("Access-Control-Allow-Origin"); got != allowed || r.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", origin, r.Header)
		}
		for _, name := range []string{"X-Request-Id", "X-Sluice-Cost-Usd", "X-Sluice-Dropped"} {
			if allowed != "" && !strings.Contains(r.Header.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s is hidden: %v", name, r.Header)
			}
		}
	}
	actual("https://app.example", "https://app.example")
	actual("https://evil.example", "")
}

// Replies depend on the origin, and say so to shared caches also where the request has none; without any allowed origin
// they do not depend on it.
func TestVary(t *testing.T) {
	f := func(want string, e gateway.Entries, sent string) {
		t.Helper()
		s := start(t, whole(`{}`), func(u *setup) { u.directory = e })
		c := s.dial()
		c.send(sent)
		r, _ := c.response()
		if got := strings.Join(r.Header.Values("Vary"), ", "); got != want || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: Vary %q, want %q (%v)", sent, got, want, r.Header)
		}
	}
	app := []string{"https://app.example"}
	const evil = "Origin: https://evil.example"
	for _, e := range []gateway.Entries{{Origins: app}, {Tenants: []*gateway.Tenant{{ID: "acme", Origins: app}}}} {
		f("Origin", e, post(minimal))
		f("Origin", e, post(minimal, evil))
		f("Origin", e, request("GET", "/v1/nothing", ""))
		f("Origin", e, "nonsense\r\n\r\n")
		f("Origin, Access-Control-Request-Method, Access-Control-Request-Headers", e, request("OPTIONS", "/v1/chat/completions", ""))
	}
	f("Origin", gateway.Entries{Origins: []string{"*"}}, post(minimal))
	f("", gateway.Entries{Tenants: []*gateway.Tenant{{ID: "acme"}}}, post(minimal))
	f("", gateway.Entries{}, post(minimal, evil))
	f("", gateway.Entries{}, request("GET", "/v1/nothing", "", evil))
}

// A panic costs one exchange, not the process.
func TestPanics(t *testing.T) {
	check := func(name string, h gateway.HandlerFunc, want string) {
		t.Run(name, func(t *testing.T) {
			s := start(t, h)
			c := s.dial()
			c.send(post(minimal))
			raw, _ := io.ReadAll(io.LimitReader(c.r, int64(len(want))))
			if string(raw) != want {
				t.Errorf("%q", raw)
			}
			s.waitEnd()
		})
	}
	check("handler", func(*gateway.Exchange) error { panic("on purpose") }, "HTTP/1.1 500")
	check("no reply", func(*gateway.Exchange) error { return nil }, "HTTP/1.1 500")
	check("stream", func(x *gateway.Exchange) error {
		x.Reply = &gateway.Reply{Status: 200, Stream: panicking{}}
		return nil
	}, "HTTP/1.1 500")
	check("stream of events", func(x *gateway.Exchange) error {
		x.Reply = &gateway.Reply{Status: 200, Kind: gateway.Events, ContentType: "text/event-stream", Stream: panicking{}}
		return nil
	}, "") // headers were not flushed: the connection is closed
	check("end", func(x *gateway.Exchange) error {
		x.OnEnd(func(error) { panic("on purpose") })
		return whole(`{}`)(x)
	}, "HTTP/1.1 200")
}

type panicking struct{}

func (panicking) Next() (gateway.Event, error) { panic("on purpose") }
func (panicking) Ready() bool                  { return false }
func (panicking) Close() error                 { return nil }

func TestErrorsAreRendered(t *testing.T) {
	check := func(err error, status int, want string, header http.Header) {
		t.Helper()
		c := start(t, func(*gateway.Exchange) error { return err }).dial()
		c.send(post(minimal))
		r, body := c.response()
		if r.StatusCode != status || code(t, body) != want {
			t.Errorf("%d %s, want %d %s", r.StatusCode, body, status, want)
		}
		for k := range header {
			if r.Header.Get(k) != header.Get(k) {
				t.Errorf("%s: %q", k, r.Header.Get(k))
			}
		}
		if strings.Contains(body, "secret") {
			t.Errorf("the inside shows: %s", body)
		}
	}
	check(errors.New("secret detail"), 500, "internal_error", nil)
	check(gateway.ErrDeadline, 504, "deadline_exceeded", nil)
	check(&gateway.Error{Status: 429, Code: "slow", RetryAfter: 1500 * time.Millisecond, NoRetry: true, Err: errors.New("secret")}, 429, "slow",
		http.Header{"Retry-After": {"2"}, "Retry-After-Ms": {"1500"}, "X-Should-Retry": {"false"}})
}

// What is made of a request counts with the bodies of all requests, and nothing of it is left behind.
func TestTakenBytes(t *testing.T) {
	const fits, large = 1500, 3000
	s := start(t, func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		if err := x.Request.Take(fits); err != nil {
			return err
		}
		defer x.Request.Give(fits)
		if err := x.Request.Take(large); gateway.AsError(err).Code != gateway.CodeBusy {
			t.Errorf("%d bytes more: %v", large, err)
		}
		return whole(`{}`)(x)
	}, func(u *setup) { u.options.MaxInFlight = 4000 })
	c := s.dial()
	for range 3 {
		c.send(post(minimal))
		if r, body := c.response(); r.StatusCode != 200 {
			t.Errorf("%d %s", r.StatusCode, body)
		}
		s.waitEnd()
		if _, held := s.s.Live(); held != 0 {
			t.Errorf("%d bytes are counted", held)
		}
	}
}
