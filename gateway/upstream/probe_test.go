package upstream_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// answering is a provider that answers everything with a status, headers and a body, and shows what it was asked.
type answering struct {
	mu     sync.Mutex
	status int
	header http.Header
	body   string
	last   *http.Request
}

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = r
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// answer is what it answers from now on; header is names and values in turn.
func (a *answering) answer(status int, body string, header ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.body, a.header = status, body, http.Header{}
	for i := 0; i < len(header); i += 2 {
		a.header.Set(header[i], header[i+1])
	}
}

// asked is the last request.
func (a *answering) asked() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// probing makes a provider of a kind at a URL.
func probing(t *testing.T, kind, base string, change func(*upstream.Config)) *upstream.Provider {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := upstream.KindOf(kind)
	c := upstream.Config{
		Name: "p", BaseURL: u, Kind: k, Endpoints: probeable(), MaxBody: 1 << 20, MaxEvent: 1 << 20, UserAgent: "sluice/test",
		Headers: []gateway.Field{{Name: "OpenAI-Project", Value: "proj"}}, Query: "api-version=1",
	}
	if change != nil {
		change(&c)
	}
	p, err := upstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func probeable() (all []gateway.Endpoint) {
	for _, name := range []string{"chat.completions", "embeddings", "messages"} {
		all = append(all, *gatewaytest.Endpoint(name, ""))
	}
	return all
}

func soon(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), patience)
	t.Cleanup(stop)
	return ctx
}

func TestProbeJudges(t *testing.T) {
	a := &answering{}
	s := httptest.NewServer(a)
	defer s.Close()
	p := probing(t, "openai", s.URL+"/v1", nil)
	f := func(status int, want health.Verdict, after time.Duration, header ...string) {
		t.Helper()
		a.answer(status, "", header...)
		o := p.Probe(soon(t), "/v1/models", "secret")
		if o.Verdict != want || (o.After-after).Abs() > time.Second || o.First != 0 || (o.Reason == "") != (want == health.OK) {
			t.Errorf("%d: %+v, want %v after %v", status, o, want, after)
		}
	}
	f(200, health.OK, 0)
	f(204, health.OK, 0)
	f(302, health.Neutral, 0, "Location", "/elsewhere")
	f(400, health.Neutral, 0)
	f(401, health.Refused, 0)
	f(402, health.Spent, 0)
	f(403, health.Neutral, 0) // the path may be what the key has no right to
	f(404, health.Neutral, 0)
	f(408, health.Failed, 0)
	f(429, health.Limited, 7*time.Second, "Retry-After", "7")
	f(429, health.Limited, 3*time.Second, "Retry-After", "7", "Retry-After-Ms", "3000")
	f(429, health.Limited, 60*time.Second, "Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
	f(429, health.Limited, 24*time.Hour, "Retry-After", "1e30")
	f(429, health.Limited, 0, "Retry-After", "NaN")
	f(429, health.Limited, 0, "Retry-After", "-5")
	f(500, health.Failed, 0)
	f(503, health.Failed, 2*time.Second, "Retry-After", "2")
	f(529, health.Limited, 0)
	if r := a.asked(); r.Method != "GET" || r.URL.String() != "/v1/models?api-version=1" || r.Header.Get("Authorization") != "Bearer secret" ||
		r.Header.Get("OpenAI-Project") != "proj" || r.UserAgent() != "sluice/test" || r.Header.Get("Anthropic-Version") != "" {
		t.Errorf("asked %s %s %v", r.Method, r.URL, r.Header)
	}
	a.answer(200, "cut", "Content-Length", "10")
	if o := p.Probe(soon(t), "/v1/models?limit=1", ""); o.Verdict != health.Failed || a.asked().URL.RawQuery != "limit=1" || a.asked().Header.Get("Authorization") != "" {
		t.Errorf("a body that is cut: %+v, asked %s %v", o, a.asked().URL, a.asked().Header)
	}
}

func TestProbeOfAnthropic(t *testing.T) {
	a := &answering{status: 200}
	s := httptest.NewServer(a)
	defer s.Close()
	probing(t, "anthropic", s.URL, nil).Probe(soon(t), "/v1/models", "secret")
	if h := a.asked().Header; h.Get("X-Api-Key") != "secret" || h.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("asked with %v", h)
	}
}

// Probes connect as requests do.
func TestProbeConnects(t *testing.T) {
	a := &answering{status: 200}
	s := httptest.NewTLSServer(a)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	secure := func(c *upstream.Config) { c.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12} }
	f := func(what, base string, want string, change func(*upstream.Config)) {
		t.Helper()
		o := probing(t, "openai", base, change).Probe(soon(t), "/health", "secret")
		if want == "" && o.Verdict == health.OK {
			return
		}
		if o.Verdict != health.Failed || want == "" || !strings.Contains(o.Reason, want) || strings.Contains(o.Reason, "http") {
			t.Errorf("%s: %+v, want %s", what, o, want)
		}
	}
	f("TLS", s.URL, "", secure)
	f("an unknown certificate", s.URL, "certificate", nil)
	f("a tenant's address that leads inwards", s.URL, "not a public address", func(c *upstream.Config) { secure(c); c.Guard = gateway.PublicOnly })
	f("nobody", "http://127.0.0.1:1", "refused", nil)

	plain := httptest.NewServer(a)
	defer plain.Close()
	proxy, _ := url.Parse(plain.URL)
	f("a proxy", "http://provider.invalid", "", func(c *upstream.Config) {
		c.Proxy = func(*url.URL) (*url.URL, error) { return proxy, nil }
	})
	if a.asked().Host != "provider.invalid" || a.asked().URL.Host != "provider.invalid" {
		t.Errorf("the proxy was asked for %s", a.asked().URL)
	}

	hanging := newFake(t, nil, func(_ net.Conn, _ int) bool { return true })
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if o := probing(t, "openai", "http://"+hanging.l.Addr().String(), nil).Probe(ctx, "/health", ""); o.Verdict != health.Failed || o.Reason != "no answer in time" {
		t.Errorf("a provider that does not answer: %+v", o)
	}
}

func TestAskJudges(t *testing.T) {
	const (
		event     = `data: {"choices":[{"index":0,"delta":{"content":"p"},"finish_reason":"length"}]}` + "\n\n"
		done      = "data: [DONE]\n\n"
		refused   = `{"error":{"message":"no","type":"t","code":"c"}}`
		vectors   = `{"object":"list","data":[{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":1}}`
		anthropic = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"m\"," +
			"\"stop_reason\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	)
	a := &answering{}
	s := httptest.NewServer(a)
	defer s.Close()
	f := func(kind string, status int, kindOfBody, body string, want health.Verdict) {
		t.Helper()
		a.answer(status, body, "Content-Type", kindOfBody, "Retry-After", "3")
		p := probing(t, kind, s.URL+"/v1", nil)
		k, _ := upstream.KindOf(kind)
		e := gatewaytest.Endpoint(upstream.ProbeEndpoint(k.Serves()), "")
		o := upstream.Ask(soon(t), e, &gateway.Target{Provider: "p", Key: "main", Model: "m", Via: p.WithKey("secret")})
		if o.Verdict != want || o.Unreachable || (o.First > 0) != (want == health.OK) || want == health.Limited && o.After != 3*time.Second {
			t.Errorf("%s %d: %+v, want %v", kind, status, o, want)
		}
		if o.Verdict == health.OK && o.Whole != (kind == "tei") {
			t.Errorf("%s: %+v", kind, o)
		}
	}
	const stream, object = "text/event-stream", "application/json"
	f("openai", 200, stream, event+done, health.OK)
	f("anthropic", 200, stream, anthropic, health.OK)
	if a.asked().URL.Path != "/v1/messages" || a.asked().Header.Get("X-Api-Key") != "secret" {
		t.Errorf("asked %s %v", a.asked().URL, a.asked().Header)
	}
	f("tei", 200, object, vectors, health.OK)
	f("openai", 200, stream, strings.Replace(event, `"length"`, "null", 1), health.Failed) // it breaks off
	f("openai", 200, stream, `data: {"error":{"message":"overloaded","code":"overloaded"}}`+"\n\n", health.Failed)
	f("openai", 200, object, "<html>", health.Failed)
	f("openai", 400, object, refused, health.Neutral)
	f("openai", 401, object, refused, health.Refused)
	f("openai", 402, object, refused, health.Spent)
	f("openai", 403, object, refused, health.Denied)
	f("openai", 404, object, refused, health.Denied)
	f("openai", 429, object, refused, health.Limited)
	f("openai", 500, object, refused, health.Failed)

	nobody := probing(t, "openai", "http://127.0.0.1:1", nil)
	if o := upstream.Ask(soon(t), gatewaytest.Chat(), &gateway.Target{Provider: "p", Model: "m", Via: nobody.WithKey("")}); o.Verdict != health.Failed || !o.Unreachable {
		t.Errorf("nobody there: %+v", o)
	}
	hanging := probing(t, "openai", "http://"+newFake(t, nil, func(net.Conn, int) bool { return true }).l.Addr().String(), nil)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if o := upstream.Ask(ctx, gatewaytest.Chat(), &gateway.Target{Provider: "p", Model: "m", Via: hanging.WithKey("")}); o.Verdict != health.Failed || o.Reason != "no answer in time" || o.Unreachable {
		t.Errorf("a provider that does not answer: %+v", o)
	}
	if name := upstream.ProbeEndpoint(map[string]bool{"files.list": true}); name != "" {
		t.Errorf("a provider without models is asked at %s", name)
	}
}

// What the head of the answer to a probe tells of rate limits is known as from any other.
func TestAskHearsOfLimits(t *testing.T) {
	a := &answering{}
	a.answer(429, `{"error":{"message":"m","type":"t","param":null,"code":null}}`, "x-ratelimit-limit-requests", "5", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "50s")
	server := httptest.NewServer(a)
	defer server.Close()
	target := health.New(health.Options{}).Target(health.ID{Provider: "p", Model: "m"}, health.Settings{})
	upstream.Ask(soon(t), gatewaytest.Chat(), &gateway.Target{Provider: "p", Model: "m", Health: target, Via: probing(t, "openai", server.URL, nil).WithKey("k")})
	if l := target.Limits().Requests; l.Max != 5 || l.Remaining != 0 {
		t.Errorf("%+v", l)
	}
	if n, _ := target.Outstanding(); n != 0 || target.Wait(gateway.Now()) < 5*time.Second {
		t.Errorf("%d under way, it waits for %v", n, target.Wait(gateway.Now()))
	}
}
