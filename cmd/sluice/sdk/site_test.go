package sdk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/sim"
)

const (
	patience = 20 * time.Second // with what should come at once
	soon     = time.Second      // how quickly a provider must learn that a client has left

	key       = "sk-key-of-acme"
	nextToken = 2 * time.Millisecond   // of the simulated provider, unless the model is fast
	beat      = 50 * time.Millisecond  // between two heartbeats of the gateway
	silence   = 500 * time.Millisecond // of a provider that pauses; one that is silent for three times as long is given up

	// A provider that fails again and again is asked again: what its failures look like is to be seen.
	robust = "health: {failure_rate: 0, consecutive: 0}"
)

// site is a gateway with two providers behind it: one that has a network in between, and the built-in one.
type site struct {
	t       *testing.T
	app     *app.App
	sim     *sim.Server
	logs    *logs
	host    string // scheme, host and port
	baseURL string // with /v1
}

// start starts a site; the test's end stops it.
func start(t *testing.T) *site {
	t.Helper()
	return startWith(t, extras{})
}

// extras are what a site has more than others, as lines of YAML.
type extras struct{ providers, models, credentials string }

func startWith(t *testing.T, more extras) *site {
	t.Helper()
	s := &site{t: t, logs: &logs{}}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sluice.yaml", s.configuration(more))
	if err := os.Mkdir(filepath.Join(dir, "tenants"), 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(key))
	// With an account of its own a tenant that may not use every model may send batches, whose lines can name any.
	write("tenants/acme.yaml", `version: 1
id: acme
keys: [{name: ci, digest: "sha256:`+hex.EncodeToString(sum[:])+`"}]
models: {deny: [not-yours]}
credentials:
  - {provider: wire, key: provider-secret}
`+more.credentials)
	var err error
	s.app, err = app.Start(app.Options{
		Loader:  config.NewLoader(config.Options{Path: filepath.Join(dir, "sluice.yaml"), Plugins: app.Prototypes(), Poll: time.Hour}),
		Log:     zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), s.logs, zap.InfoLevel)),
		Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.host = "http://" + s.app.Address().String()
	s.baseURL = s.host + "/v1"
	t.Cleanup(func() {
		if cut := s.app.Drain(); cut != 0 {
			t.Errorf("%d exchanges were still under way at the end", cut)
		}
	})
	return s
}

// configuration is the gateway file. The models sim-* are answered over a network, the models builtin/* without one.
func (s *site) configuration(more extras) string {
	const account = `keys: [{name: main, key: provider-secret}], ` + robust
	address := s.simulate()
	providers := fmt.Sprintf(`
  - {name: wire, type: openai-compatible, base_url: "http://%[1]s/v1", %[3]s}
  - {name: wire-anthropic, type: anthropic, base_url: "http://%[1]s/v1", %[3]s}
  - {name: wire-openai, type: openai, base_url: "http://%[1]s/v1", %[3]s}
  - {name: wire-responses, type: openai, base_url: "http://%[1]s/v1", endpoints: [responses.create], %[3]s}
  - {name: builtin, type: sim, sim: {first_token: 5ms, tokens_per_second: 1000, seed: 7}}
  - {name: gone, type: openai-compatible, base_url: "http://%[2]s/v1", %[4]s}
`, address, deadAddress(s.t), account, robust)
	models := `
  - {name: "sim-*", targets: [{provider: wire}]}
  - {name: "chat/*", targets: [{provider: wire, model: "*"}]}
  - {name: "anthropic/*", targets: [{provider: wire-anthropic, model: "*"}]}
  - {name: "openai/*", targets: [{provider: wire-openai, model: "*"}]}
  - {name: "responses/*", targets: [{provider: wire-responses, model: "*"}]}
  - {name: failing-responses, targets: [{provider: wire, model: sim-empty}, {provider: wire-responses, model: sim-fast}]}
  - {name: failing-chat, targets: [{provider: wire-anthropic, model: sim-500}, {provider: wire, model: sim-fast}]}
  - {name: failing-anthropic, targets: [{provider: wire, model: sim-html}, {provider: wire-anthropic, model: sim-fast}]}
  - {name: failing-openai, targets: [{provider: wire-anthropic, model: sim-html}, {provider: wire-openai, model: sim-fast}]}
  - {name: "builtin/*", targets: [{provider: builtin, model: "*"}]}
  - {name: Qwen/Qwen3-8B, owned_by: qwen, targets: [{provider: wire, model: sim-fast}]}
  - {name: unreachable, targets: [{provider: gone}]}
  - {name: not-yours, targets: [{provider: wire, model: sim-fast}]}
`
	// After a key was refused, or its account was empty, it is left alone.
	for _, name := range []string{"sim-401", "sim-fast-401", "sim-quota", "sim-fast-quota"} {
		providers += fmt.Sprintf("  - {name: wire-%s, type: openai-compatible, base_url: \"http://%s/v1\", %s}\n", name, address, account)
		models += fmt.Sprintf("  - {name: %s, targets: [{provider: wire-%[1]s}]}\n", name)
	}
	for name, dialogue := range dialogues() {
		f := sim.Fault{Stream: true, Dialogue: dialogue}
		url, stop, err := f.Start()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(stop)
		kind := "openai-compatible"
		if name == "thinking" {
			kind = "anthropic"
		}
		providers += fmt.Sprintf("  - {name: %s, type: %s, base_url: %q, %s, timeouts: {idle: %s}}\n", name, kind, url, account, 3*silence)
		models += fmt.Sprintf("  - {name: %s, targets: [{provider: %s}]}\n", name, name)
	}
	return fmt.Sprintf(`version: 1
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_timeout: 5s, heartbeat: %s}
providers: %s
models: %s
retries: {max: 2, backoff: 1ms..400ms, budget: 100%%}
`, beat, providers+more.providers, models+more.models)
}

func (s *site) simulate() (address string) {
	l := listen(s.t)
	s.sim = &sim.Server{
		Options: sim.Options{FirstToken: nextToken, TokensPerSecond: float64(time.Second / nextToken), Seed: 7},
		Key:     "provider-secret", Record: true,
	}
	done := make(chan error, 1)
	go func() { done <- s.sim.Serve(l) }()
	s.t.Cleanup(func() {
		_ = s.sim.Close()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	return l.Addr().String()
}

// dialogues are providers that do what the simulated one cannot: what one says to a request for a stream, by the name of
// its model. The lines are those of sim.Play.
func dialogues() map[string]string {
	chunk := func(delta, finish string) string {
		return `{"error":null,"id":"chatcmpl-odd","object":"chat.completion.chunk","created":1767225600,"model":"odd","choices":[` +
			`{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}],"usage":null}`
	}
	lines := func(l ...string) string {
		return "-- chunk " + strconv.Quote(strings.Join(l, "\n")+"\n") + " --\n"
	}
	const (
		head = "-- head --\nHTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked\n"
		end  = "-- finish --\n-- done --\n-- end --\n"
	)
	pause := "-- pause " + silence.String() + " --\n"
	named := func(events ...string) (l string) {
		for _, data := range events {
			kind, _, _ := strings.Cut(strings.TrimPrefix(data, `{"type":"`), `"`)
			l += lines("event: "+kind, "data: "+data, "")
		}
		return l
	}
	return map[string]string{
		// Anthropic's: several thoughts and sources, which are lists in chunks, and a call.
		"thinking": head + named(
			`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`,
			`{"type":"content_block_stop","index":0}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"c2Vj"}}`,
			`{"type":"content_block_stop","index":1}`,
			`{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"odd"}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://a.example","title":"A"}}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://b.example","title":"B"}}}`,
			`{"type":"content_block_stop","index":2}`,
			`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}}`,
			`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}}`,
			`{"type":"content_block_stop","index":3}`,
			`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}`,
			`{"type":"message_stop"}`,
		) + "-- end --\n",
		// Legal, and seen in the wild, but each breaks one client or another.
		"odd": head +
			lines(": hello", "", "retry: 100", "id: 1", "") +
			lines("id: 2", "data: "+chunk(`{"role":"assistant","content":""}`, "null"), "", "event: ping", "") +
			lines("data:"+chunk(`{"content":"od"}`, "null"), "", "", ":", "") +
			lines("data: "+chunk(`{"content":"d"}`, "null")+"\r", "\r") +
			lines("data: "+chunk(`{}`, `"stop"`), "", "data: [DONE]", "") +
			"-- end --\n",
		"pausing":  head + "-- events 1 --\n" + pause + "-- events 1 --\n" + pause + "-- events 1 --\n" + end,
		"breaking": head + "-- events 1 --\n" + pause + "-- event --\ndata: " + `{"error":{"message":"no more","type":"server_error"}}` + "\n-- end --\n",
		"silent":   head + "-- events 2 --\n-- silence --\n",
	}
}

// deadAddress is one at which nobody listens.
func deadAddress(t *testing.T) string {
	l := listen(t)
	_ = l.Close()
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// exchange is what the gateway has logged of one.
type exchange struct {
	ID           string  `json:"id"`
	Endpoint     string  `json:"endpoint"`
	Model        string  `json:"model"`
	Provider     string  `json:"provider"`
	Status       int     `json:"status"`
	Aborted      bool    `json:"aborted"`
	Code         string  `json:"error_code"`
	Usage        string  `json:"usage"`
	Input        int64   `json:"input_tokens"`
	CacheRead    int64   `json:"cache_read_tokens"`
	Output       int64   `json:"output_tokens"`
	Reasoning    int64   `json:"reasoning_tokens"`
	Attempts     int     `json:"attempts"`
	Milliseconds float64 `json:"total_ms"`
}

// hungUp says whether the gateway says that the client left. Hanging up behind [DONE] or an error event does not count,
// though clients do it all the time.
func (x exchange) hungUp() bool { return x.Status == 499 && x.Code == "client_closed_request" }

// logs are what the gateway has logged so far.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.text.Write(p) }

func (l *logs) Sync() error { return nil }

// exchanges are all that have ended.
func (l *logs) exchanges(t *testing.T) []exchange {
	t.Helper()
	l.mu.Lock()
	text := l.text.String()
	l.mu.Unlock()
	var list []exchange
	for line := range strings.Lines(text) {
		var x struct {
			Msg string `json:"msg"`
			exchange
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v in the log: %s", err, line)
		}
		if x.Msg == "exchange" {
			list = append(list, x.exchange)
		}
	}
	return list
}

// counted adds up the series of a metric that have some labels.
func (s *site) counted(name string, labels ...string) int64 {
	s.t.Helper()
	r, err := http.Get("http://" + s.app.AdminAddress().String() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(string(body)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		fits := series == name || strings.HasPrefix(series, name+"{")
		for _, l := range labels {
			fits = fits && strings.Contains(series, l)
		}
		if fits {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			sum += n
		}
	}
	return int64(sum)
}

// until waits for a condition.
func until(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %v in vain until %s", limit, what)
		}
	}
}
