package admin_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// site is a running admin listener with targets.
type site struct {
	t       *testing.T
	url     string
	targets *health.Registry
	client  *http.Client
	log     *observer.ObservedLogs
	stop    func()
}

func start(t *testing.T) *site {
	t.Helper()
	feed := &admin.Feed{}
	s := &site{t: t, targets: health.New(health.Options{OnEvent: feed.Tell}), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	for _, id := range []health.ID{
		{Provider: "a", Key: "main", Model: "m"}, {Provider: "a", Key: "main", Model: "n"}, {Provider: "a", Key: "spare", Model: "m"}, {Provider: "b", Model: "m"},
	} {
		s.targets.Target(id, health.Settings{})
	}
	core, seen := observer.New(zap.InfoLevel)
	s.log = seen
	server := admin.New(admin.Options{
		Metrics: prometheus.NewRegistry(), Health: func() admin.Health { return admin.Health{Ready: true} }, Targets: s.targets, Feed: feed,
		Log: zap.New(core),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	closed := false
	s.stop = func() {
		if closed {
			return
		}
		closed = true
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

// ask sends a request with headers, given as name and value in turn; Host is one of them.
func (s *site) ask(method, path, body string, header ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	reply, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.HasPrefix(path, "/admin/") && reply.Header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%s is %s", path, reply.Header.Get("Content-Type"))
	}
	return reply.StatusCode, string(text)
}

// listed are the targets in an answer as provider/key/model:state.
func listed(t *testing.T, text string) string {
	t.Helper()
	var a admin.Targets
	if err := json.Unmarshal([]byte(text), &a); err != nil || a.Targets == nil {
		t.Errorf("%v: %s", err, text)
	}
	var all []string
	for _, s := range a.Targets {
		all = append(all, s.Provider+"/"+s.Key+"/"+s.Model+":"+s.State.String())
	}
	return strings.Join(all, " ")
}

func TestTargetsAreChosen(t *testing.T) {
	s := start(t)
	f := func(query, want string) {
		t.Helper()
		status, text := s.ask("GET", "/admin/v1/targets"+query, "")
		if got := listed(t, text); status != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", query, status, got, want)
		}
	}
	f("", "a/main/m:healthy a/main/n:healthy a/spare/m:healthy b//m:healthy")
	f("?provider=a&key=main", "a/main/m:healthy a/main/n:healthy")
	f("?model=m", "a/main/m:healthy a/spare/m:healthy b//m:healthy")
	f("?key=", "b//m:healthy")
	f("?provider=c", "")
}

func TestOrders(t *testing.T) {
	s := start(t)
	f := func(path, body, want string) {
		t.Helper()
		status, text := s.ask("POST", "/admin/v1/targets/"+path, body)
		if got := listed(t, text); status != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", path, status, got, want)
		}
	}
	f("drain?provider=a&key=main&model=n", `{"reason": "new\nhardware"}`, "a/main/n:disabled")
	if _, text := s.ask("GET", "/admin/v1/targets?model=n", ""); !strings.Contains(text, "drained by an operator: new hardware") || !strings.Contains(text, `"operator": "drain"`) {
		t.Errorf("%s", text)
	}
	f("disable?provider=a", "", "a/main/m:disabled a/main/n:disabled a/spare/m:disabled")
	if s.targets.Find(health.ID{Provider: "a", Key: "spare", Model: "m"}).Wait(clock.Now()) != health.Never || s.targets.Find(health.ID{Provider: "b", Model: "m"}).Wait(clock.Now()) != 0 {
		t.Error("an order has no effect, or too much")
	}
	if _, text := s.ask("GET", "/readyz?verbose", ""); !strings.Contains(text, "a/spare/m disabled: disabled by an operator") || strings.Contains(text, "b//m") {
		t.Errorf("%s", text)
	}
	f("enable?provider=a&model=m", "{}", "a/main/m:healthy a/spare/m:healthy")
	now := clock.Now()
	s.targets.Find(health.ID{Provider: "b", Model: "m"}).Report(now, health.Outcome{Verdict: health.Limited, After: time.Minute, Reason: "http 429"})
	if status, text := s.ask("GET", "/readyz?verbose", ""); status != 200 || !strings.Contains(text, "b//m cooling: http 429") {
		t.Errorf("%d %s", status, text)
	}
}

// TestOrdersAreKept makes sure that an order is shown, holds for what comes later, and leaves a line in the log with its origin,
// also when it is repeated.
func TestOrdersAreKept(t *testing.T) {
	s := start(t)
	s.ask("POST", "/admin/v1/targets/drain?provider=a&key=main", `{"reason": "ticket 42"}`)
	s.ask("POST", "/admin/v1/targets/drain?provider=a&key=main", `{"reason": "ticket 43, until Tuesday"}`)
	s.targets.Target(health.ID{Provider: "a", Key: "main", Model: "new"}, health.Settings{})
	_, text := s.ask("GET", "/admin/v1/targets?model=new", "")
	var a admin.Targets
	if err := json.Unmarshal([]byte(text), &a); err != nil || len(a.Targets) != 1 || len(a.Orders) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	if o := a.Orders[0]; o.Word != health.Drain || o.Provider != "a" || *o.Key != "main" || o.Model != nil || o.At.IsZero() || o.Reason != "ticket 43, until Tuesday" {
		t.Errorf("%s", text)
	}
	if got := a.Targets[0]; got.State != health.Disabled || got.Reason != "drained by an operator: ticket 43, until Tuesday" {
		t.Errorf("%+v", got)
	}
	for i, e := range s.log.FilterMessage("admin order").All() {
		fields := e.ContextMap()
		host, _, _ := net.SplitHostPort(fields["remote_addr"].(string))
		if fields["order"] != "drain" || fields["provider"] != "a" || fields["key"] != "main" || fields["targets"] != int64(2) || host != "127.0.0.1" ||
			fields["reason"] != []string{"ticket 42", "ticket 43, until Tuesday"}[i] {
			t.Errorf("%v", fields)
		}
	}
	if n := s.log.FilterMessage("admin order").Len(); n != 2 {
		t.Errorf("%d lines", n)
	}
	// What is gone can still be enabled, for when it comes back.
	s.targets.Keep(slices.Values([]health.ID{{Provider: "b", Model: "m"}}))
	if status, text := s.ask("POST", "/admin/v1/targets/enable?provider=a", ""); status != 200 || strings.Contains(text, "orders") {
		t.Errorf("%d %s", status, text)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	s := start(t)
	f := func(path, body string, status int, code string, header ...string) {
		t.Helper()
		got, text := s.ask("POST", "/admin/v1/targets/"+path, body, header...)
		var a struct {
			Error struct{ Message, Code string }
		}
		if err := json.Unmarshal([]byte(text), &a); err != nil || got != status || a.Error.Code != code || a.Error.Message == "" {
			t.Errorf("%s %v: %d %s, want %d %s", path, header, got, text, status, code)
		}
	}
	f("drain", "", 400, "missing_provider")
	f("drain?provider=", "", 400, "missing_provider")
	f("drain?provider=a&modle=m", "", 400, "invalid_query") // and not all of its models
	f("drain?provider=a&model=m&model=n", "", 400, "invalid_query")
	f("drain?provider=c", "", 404, "no_such_target")
	f("drain?provider=a", "{", 400, "invalid_json")
	f("drain?provider=a", `{"raeson": ""}`, 400, "invalid_json")
	f("drain?provider=a", `{"reason": "`+strings.Repeat("x", 5000)+`"}`, 400, "invalid_json")
	f("mend?provider=a", "", 404, "not_found")

	// A browser on another site, in every way that browsers tell.
	const drain = "drain?provider=a"
	f(drain, "", 403, "cross_origin", "Sec-Fetch-Site", "cross-site")
	f(drain, "", 403, "cross_origin", "Sec-Fetch-Site", "same-site")
	f(drain, "", 403, "cross_origin", "Origin", "https://evil.example")
	f(drain, "", 403, "cross_origin", "Origin", "null")
	f(drain, "", 403, "unknown_host", "Origin", "http://evil.example:9090", "Host", "evil.example:9090")
	f(drain, "", 403, "unknown_host", "Sec-Fetch-Site", "same-origin", "Host", "127.0.0.1.evil.example")
	for _, target := range s.targets.All(clock.Now()) {
		if target.State != health.Healthy {
			t.Errorf("%v is %v", target.ID, target.State)
		}
	}
	fine := func(header ...string) {
		t.Helper()
		if status, text := s.ask("POST", "/admin/v1/targets/"+drain, "", header...); status != 200 {
			t.Errorf("%v: %d %s", header, status, text)
		}
	}
	fine("Host", "gateway-admin:9090") // no browser
	fine("Origin", "http://localhost:9090", "Host", "localhost:9090")
	fine("Origin", "http://[::1]:9090", "Host", "[::1]:9090")
	fine("Origin", s.url, "Sec-Fetch-Site", "same-origin")
}

func (s *site) fail() {
	now := clock.Now()
	t := s.targets.Find(health.ID{Provider: "b", Model: "m"})
	t.Disable(now, "")
	t.Enable(now, "")
}

func TestEventsAsAList(t *testing.T) {
	s := start(t)
	list := func(query string) (a admin.Events) {
		t.Helper()
		_, text := s.ask("GET", "/admin/v1/events"+query, "")
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.Events == nil {
			t.Errorf("%v: %s", err, text)
		}
		return a
	}
	none := list("")
	if len(none.Events) != 0 || !strings.HasPrefix(none.Next, "0.") || none.Missed != 0 {
		t.Errorf("%+v", none)
	}
	s.fail()
	if a := list("?after=1"); len(a.Events) != 1 || a.Events[0].To != health.Healthy || a.Missed != 0 {
		t.Errorf("%+v", a)
	}
	two := list("?after=" + none.Next)
	if len(two.Events) != 2 || len(list("?after="+two.Next).Events) != 0 {
		t.Errorf("%+v", two)
	}
	// Numbers of another process, marked or not.
	for _, after := range []string{"1.of-another-process", "2000"} {
		if a := list("?after=" + after); len(a.Events) != 2 {
			t.Errorf("after %s: %+v", after, a)
		}
	}
	for range 150 {
		s.fail()
	}
	if a := list("?after=2"); len(a.Events) != 256 || a.Missed != 44 || a.Events[0].Seq != 47 {
		t.Errorf("%d of %d", len(a.Events), a.Missed)
	}
	if _, data := s.follow("", 1, nil); !strings.HasPrefix(data, `{"missed":46}`) {
		t.Errorf("a stream begins with %s", data)
	}
	if status, _ := s.ask("GET", "/admin/v1/events?after=x", ""); status != 400 {
		t.Errorf("%d", status)
	}
}

// follow reads a stream of events until it has n ids.
func (s *site) follow(last string, n int, also func()) (ids []string, data string) {
	s.t.Helper()
	r, err := http.NewRequest("GET", s.url+"/admin/v1/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html, text/event-stream;q=0.9")
	r.Header.Set("Last-Event-ID", last)
	reply, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Errorf("%v", reply.Header)
	}
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, ":") && also != nil {
			also()
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			ids = append(ids, id)
		}
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			data += d
			if len(ids) == n {
				return ids, data
			}
		}
	}
	return ids, data
}

func TestEventsAsAStream(t *testing.T) {
	s := start(t)
	ids, data := s.follow("", 2, s.fail) // while it follows
	if len(ids) != 2 || !strings.Contains(data, `"to":"disabled"`) || !strings.Contains(data, `"to":"healthy"`) {
		t.Fatalf("%v %s", ids, data)
	}
	if again, _ := s.follow("", 2, nil); strings.Join(again, " ") != strings.Join(ids, " ") {
		t.Errorf("%v, want %v", again, ids)
	}
	if rest, _ := s.follow(ids[0], 1, nil); rest[0] != ids[1] {
		t.Errorf("after %s comes %v", ids[0], rest)
	}
	if all, _ := s.follow("2.of-another-process", 2, nil); all[0] != ids[0] {
		t.Errorf("after a restart: %v", all)
	}
	if ids, _ := s.follow(ids[1], 1, func() { go s.stop() }); len(ids) != 0 { // the server closes
		t.Errorf("%v", ids)
	}
	s.client.CloseIdleConnections()
}
