package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
)

// fast is a provider without delays.
func fast() sim.Options { return sim.Options{TokensPerSecond: 1e6, Seed: 1} }

func TestAnswers(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up))
	defer s.stop()
	c := client(t)
	if a := s.ask(c, unary("sim-chat")); !a.good(false) || a.header.Get("X-Sluice-Provider") != "p0" || a.header.Get("X-Sluice-Model") != "sim-chat" {
		t.Errorf("%+v", a)
	}
	if a := s.ask(c, streamed("sim-chat")); !a.good(true) || strings.Contains(a.body, `"usage":{`) {
		t.Errorf("%+v", a)
	}
	check := func(a answer, status int, code string) {
		t.Helper()
		if a.status != status || !strings.Contains(a.body, `"code":"`+code+`"`) {
			t.Errorf("%d %s, want %d %s", a.status, a.body, status, code)
		}
	}
	check(s.askAs(c, "wrong", unary("sim-chat")), 401, "invalid_api_key")
	if a := s.ask(c, unary("sim-500")); a.status != 500 || a.header.Get("X-Sluice-Attempts") != "3" || a.header.Get("X-Sluice-Provider") != "p0" {
		t.Errorf("%+v", a)
	}
	check(s.ask(c, unary("gpt-5")), 404, "model_not_found")
	check(s.ask(c, `{"model":`), 400, "invalid_json")

	s.write("tenants/acme.yaml", tenantFile("acme", testKey, "models: {allow: [\"sim-f*\"]}\n"))
	s.reload()
	check(s.ask(c, unary("sim-chat")), 403, "model_not_allowed")
	if a := s.ask(c, unary("sim-fast")); !a.good(false) {
		t.Errorf("%+v", a)
	}
	api := "http://" + s.Address().String()
	if a := get(t, c, api+"/v1/models/sim-fast", testKey); a.status != 200 || !strings.Contains(a.body, `"id":"sim-fast"`) {
		t.Errorf("%+v", a)
	}
	if a := get(t, c, api+"/v1/models", testKey); a.status != 200 || !strings.Contains(a.body, `"object":"list"`) {
		t.Errorf("%+v", a)
	}
	check(get(t, c, api+"/v1/models", ""), 401, "invalid_api_key")

	ops := "http://" + s.AdminAddress().String()
	if a := get(t, c, ops+"/metrics", ""); !strings.Contains(a.body, `sluice_requests_total{`) || !strings.Contains(a.body, "sluice_build_info") {
		t.Errorf("metrics: %s", a.body)
	}
	if a := get(t, c, ops+"/readyz", ""); a.status != 200 {
		t.Errorf("%+v", a)
	}
}

// Neither keys nor prompts nor answers are in the log, whatever goes wrong.
func TestNothingSecretIsLogged(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up))
	c := client(t)
	canary := "CANARY-" + "prompt"
	for _, model := range []string{"sim-fast", "sim-401", "sim-500", "sim-inband", "sim-badjson", "sim-cut-2", "sim-html", "none"} {
		for _, stream := range []string{"true", "false"} {
			s.ask(c, `{"model":"`+model+`","stream":`+stream+`,"messages":[{"role":"user","content":"repeat after me: `+canary+`"}]}`)
		}
	}
	s.askAs(c, "CANARY-key", unary("sim-fast"))
	for _, broken := range []string{`"CANARY":1,"CANARY":2`, `"CANARY`, `"n":"CANARY"`, `"model":"CANARY\u0061"`, `"messages":CANARY`} {
		if a := s.ask(c, "{"+broken+"}"); a.status != 400 {
			t.Errorf("%+v", a)
		}
	}
	s.stop()
	if log := s.logs.String(); strings.Contains(log, "CANARY") || strings.Contains(log, testKey) || strings.Contains(log, "provider-secret") {
		t.Errorf("the log says too much:\n%s", log)
	}
}

// One of two providers is killed under load: no caller notices.
func TestKillOneOfTwo(t *testing.T) {
	a, killA := startProvider(t)
	b, _ := startProvider(t)
	s := start(t, gatewayFile("weighted", a, b))
	defer s.stop()
	c := client(t)
	stop := make(chan struct{})
	var failedUnary, failedEarly, cutLate, slow atomic.Int64
	var first sync.Once
	time.AfterFunc(1500*time.Millisecond, killA)
	time.AfterFunc(4*time.Second, func() { close(stop) })
	asked := s.load(c, "sim-chat", 500, stop, func(stream bool, a answer) {
		switch {
		case a.good(stream):
		case !stream:
			failedUnary.Add(1)
			first.Do(func() { t.Logf("%+v", a) })
		case !strings.Contains(a.body, "data: {"):
			failedEarly.Add(1)
			first.Do(func() { t.Logf("%+v", a) })
		case !strings.Contains(a.body, `data: {"error":{`):
			t.Errorf("a cut stream without an error event: %+v", a)
		default:
			cutLate.Add(1) // had begun when its provider died
		}
		if a.header.Get("X-Sluice-Attempts") != "" {
			slow.Add(1)
		}
	})
	t.Logf("%d asked, %d needed a second attempt, %d streams were cut after their first event", asked, slow.Load(), cutLate.Load())
	if n := failedUnary.Load(); n != 0 {
		t.Errorf("%d unary requests failed", n)
	}
	if n := failedEarly.Load(); n != 0 {
		t.Errorf("%d streams failed before their first event", n)
	}
	if slow.Load() == 0 {
		t.Error("no request needed a second attempt: the test proves nothing")
	}
}

// 1,000 reloads and 100 tenant edits under load: nobody notices.
func TestReloadUnderLoad(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up))
	defer s.stop()
	c := client(t)
	stop := make(chan struct{})
	failed := make(chan answer, 1)
	var asked int
	var work sync.WaitGroup
	work.Go(func() {
		asked = s.load(c, "sim-fast", 300, stop, func(stream bool, a answer) {
			if !a.good(stream) {
				select {
				case failed <- a:
				default:
				}
			}
		})
	})
	for i := range 1000 {
		file := gatewayFile("ordered", up) + fmt.Sprintf("retries: {max: %d}\n", i%5)
		if i%10 == 0 { // sometimes the provider and a plugin are built anew
			file = strings.Replace(file, "keys:", fmt.Sprintf("max_idle_connections: %d, keys:", 100+i), 1)
			file += fmt.Sprintf("plugins: {telemetry: {max_tenants: %d}}\n", 100+i)
		}
		s.write("sluice.yaml", file)
		s.reload()
	}
	for i := range 100 {
		s.write("tenants/acme.yaml", tenantFile("acme", testKey, fmt.Sprintf("name: Acme %d\n", i)))
		s.write(fmt.Sprintf("tenants/extra%d.yaml", i), tenantFile(fmt.Sprintf("extra%d", i), fmt.Sprintf("key-%d", i), ""))
		s.reload()
	}
	close(stop)
	work.Wait()
	t.Logf("%d asked over %d generations", asked, s.runtime.Number())
	select {
	case a := <-failed:
		t.Errorf("a request failed: %+v", a)
	default:
	}
	if n := s.runtime.Number(); n < 1101 { // the watcher may have seen some of the edits too
		t.Errorf("%d generations", n)
	}
	if a := s.askAs(c, "key-99", unary("sim-fast")); !a.good(false) {
		t.Errorf("a new tenant's key: %+v", a)
	}
}

// What is broken changes nothing, and is reported with file, line and column.
func TestBrokenFiles(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up))
	defer s.stop()
	c := client(t)
	ops := "http://" + s.AdminAddress().String()
	reported := func(want string) {
		t.Helper()
		if a := get(t, c, ops+"/readyz?verbose", ""); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("readiness does not say %q: %d %s", want, a.status, a.body)
		}
		if !strings.Contains(s.logs.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
		if a := s.ask(c, unary("sim-fast")); !a.good(false) {
			t.Errorf("%+v", a)
		}
	}
	s.write("sluice.yaml", "version: 1\nproviderz: []\n")
	s.reload()
	reported("sluice.yaml:2:1: unknown field")
	if a := get(t, c, ops+"/metrics", ""); !strings.Contains(a.body, "sluice_config_reload_success 0") {
		t.Error("no metric for the refused reload")
	}
	s.write("sluice.yaml", gatewayFile("ordered", up))
	s.write("tenants/acme.yaml", "version: 1\nid: acme\nkeyz: []\n")
	s.reload()
	reported("acme.yaml:3:1: unknown field")
	if a := get(t, c, ops+"/metrics", ""); !strings.Contains(a.body, "sluice_config_tenant_problems 1") {
		t.Error("no metric for the broken tenant")
	}
	s.write("tenants/acme.yaml", tenantFile("acme", testKey, ""))
	s.reload()
	if a := get(t, c, ops+"/readyz?verbose", ""); strings.Contains(a.body, "acme.yaml") {
		t.Errorf("still reported: %s", a.body)
	}
	if err := os.Remove(filepath.Join(s.dir, "tenants/acme.yaml")); err != nil {
		t.Fatal(err)
	}
	s.reload()
	if a := s.ask(c, unary("sim-fast")); a.status != 401 {
		t.Errorf("a removed tenant's key: %+v", a)
	}
}

// Files are watched: no signal and no call is needed.
func TestWatchedFiles(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up))
	defer s.stop()
	c := client(t)
	s.write("tenants/new.yaml", tenantFile("new", "new-key", ""))
	until(t, "the new tenant's key works", func() bool { return s.askAs(c, "new-key", unary("sim-fast")).good(false) })
}

// A drain with 1,000 live streams cuts none before the deadline.
func TestDrainWithStreams(t *testing.T) {
	_, up := simulate(t, sim.Options{FirstToken: time.Millisecond, TokensPerSecond: 50, Seed: 1})
	s := start(t, strings.Replace(gatewayFile("ordered", up), "keys:", "timeouts: {connect: 20s}, keys:", 1)) // on a busy machine
	c := client(t)
	const n = 1000
	began := make(chan struct{}, n)
	answers := make(chan answer, n)
	for range n {
		go func() {
			q, _ := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(streamed("sim-long-60")))
			q.Header.Set("Authorization", "Bearer "+testKey)
			r, err := c.Do(q)
			began <- struct{}{}
			if err != nil {
				answers <- answer{err: err}
				return
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			answers <- answer{r.StatusCode, r.Header, string(b), err}
		}()
	}
	for range n {
		<-began
	}
	s.stop()
	for range n {
		if a := <-answers; !a.good(true) {
			t.Fatalf("cut: %d %v …%s", a.status, a.err, a.body[max(0, len(a.body)-300):])
		}
	}
}

// At the drain's deadline the rest is told so.
func TestDrainDeadline(t *testing.T) {
	_, up := simulate(t, sim.Options{FirstToken: time.Millisecond, TokensPerSecond: 50, Seed: 1})
	s := start(t, strings.Replace(gatewayFile("ordered", up), "drain_timeout: 20s", "drain_timeout: 100ms", 1))
	c := client(t)
	first, rest := make(chan struct{}), make(chan answer, 1)
	go func() {
		q, _ := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(streamed("sim-stall-3")))
		q.Header.Set("Authorization", "Bearer "+testKey)
		r, err := c.Do(q)
		close(first)
		if err != nil {
			rest <- answer{err: err}
			return
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		rest <- answer{status: r.StatusCode, body: string(b), err: err}
	}()
	<-first
	if cut := s.Drain(); cut != 1 {
		t.Errorf("%d were cut", cut)
	}
	if a := <-rest; !strings.Contains(a.body, `"code":"shutting_down"`) || strings.Contains(a.body, "[DONE]") || a.err == nil {
		t.Errorf("%+v", a)
	}
}

// Replies that wait in the gateway have a budget together: what does not fit is refused, and fits when another has gone.
func TestReplyBudget(t *testing.T) {
	release := make(chan struct{})
	released := sync.OnceFunc(func() { close(release) })
	text := strings.Repeat("x", 40_000) + `"},"finish_reason":"stop"}]}`
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"`+text[:30_000])
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, text[30_000:])
	}))
	defer provider.Close()
	file := strings.Replace(gatewayFile("ordered", strings.TrimPrefix(provider.URL, "http://")), "keys:", "max_response: 64KiB, max_event: 64KiB, keys:", 1)
	s := start(t, strings.Replace(file, "server: {", "server: {max_in_flight_response: 64KiB, ", 1))
	defer s.stop()
	defer released()
	c := client(t)
	first := make(chan answer, 1)
	go func() { first <- s.ask(c, unary("sim-x")) }()
	health := func() string { return get(t, c, "http://"+s.AdminAddress().String()+"/readyz?verbose", "").body }
	until(t, "the first reply waits", func() bool { return strings.Contains(health(), `"reply_bytes_held": "65536"`) })
	if a := s.ask(c, unary("sim-x")); a.status != 503 || !strings.Contains(a.body, `"code":"gateway_busy"`) || a.header.Get("Retry-After") == "" {
		t.Errorf("%+v", a)
	}
	released()
	if a := <-first; !a.good(false) {
		t.Errorf("%+v", a)
	}
	until(t, "nothing is held", func() bool { return strings.Contains(health(), `"reply_bytes_held": "0"`) })
	if a := s.ask(c, unary("sim-x")); !a.good(false) {
		t.Errorf("%+v", a)
	}
}

// Every fault that a provider can have ends as it must, through the whole gateway.
func TestProviderFaults(t *testing.T) {
	const settings = "timeouts: {connect: 1s, headers: 400ms, first_event: 600ms, idle: 400ms, answer: 600ms, total: 5s}, max_event: 1MiB, max_response: 1MiB, keys:"
	for _, f := range sim.Faults() {
		t.Run(f.Name, func(t *testing.T) {
			url, stop, err := f.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			file := strings.Replace(gatewayFile("ordered", "HOST"), "http://HOST/v1", url, 1)
			s := start(t, strings.Replace(file, "keys:", settings, 1)+"retries: {max: 0}\n")
			defer s.stop()
			body := unary("sim-chat")
			if f.Stream {
				body = streamed("sim-chat")
			}
			checkFault(t, f, s.ask(client(t), body))
		})
	}
}

// checkFault compares what the caller got with what the matrix says.
func checkFault(t *testing.T, f sim.Fault, a answer) {
	t.Helper()
	want := f.Want
	told := strings.Contains(a.body, `data: {"error":{`)
	switch {
	case want.Code != "":
		if a.status < 500 || a.err != nil || want.Code != gateway.CodeInBand && !strings.Contains(a.body, `"code":"`+want.Code+`"`) {
			t.Errorf("%d %v %.300s; want the error %s", a.status, a.err, a.body, want.Code)
		}
	case !want.Complete:
		events := strings.Count(a.body, "data: ") - 1
		if a.status != 200 || a.err == nil || !told || strings.Contains(a.body, "[DONE]") || events != want.Events {
			t.Errorf("%d %v, %d events, …%.300s; want %d events, an error event and an aborted connection", a.status, a.err, events, a.body[max(0, len(a.body)-300):], want.Events)
		}
	case want.Status == 200:
		if a.status != 200 || a.err != nil || told || f.Stream && !a.good(true) {
			t.Errorf("%d %v …%.300s; want a complete answer", a.status, a.err, a.body[max(0, len(a.body)-300):])
		}
	default:
		if want.Status < 400 || want.Status >= 401 && want.Status <= 403 {
			want.Status = 502 // a redirect, or our key is refused: not the caller's affair
		}
		if a.status != want.Status || a.err != nil || !strings.Contains(a.body, `{"error":`) {
			t.Errorf("%d %v %.300s; want status %d", a.status, a.err, a.body, want.Status)
		}
		if after := a.header.Get("Retry-After"); want.RetryAfter > 0 && after == "" {
			t.Errorf("no Retry-After; want %v", want.RetryAfter)
		}
	}
}
