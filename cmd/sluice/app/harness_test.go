package app

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/sim"
)

const (
	patience = 20 * time.Second
	testKey  = "sk-test-key-of-acme"
)

// TestMain is also the provider that a test kills: a process of its own, because only then are its sockets reset.
func TestMain(m *testing.M) {
	if os.Getenv("SLUICE_TEST_PROVIDER") != "" {
		provide()
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),    // one for the process
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // sleeps up to 10 s after the end
	)
}

func provide() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(l.Addr().String() + "\n")
	s := sim.Server{Options: sim.Options{FirstToken: 5 * time.Millisecond, TokensPerSecond: 200, Seed: 1}}
	if err := s.Serve(l); err != nil {
		panic(err)
	}
}

// startProvider starts a provider that can be killed.
func startProvider(t *testing.T) (address string, kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "SLUICE_TEST_PROVIDER=1")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() { once.Do(func() { _ = c.Process.Kill(); _ = c.Wait() }) }
	t.Cleanup(kill)
	return strings.TrimSpace(line), kill
}

// simulate starts a simulated provider in this process.
func simulate(t *testing.T, o sim.Options) (*sim.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sim.Server{Options: o, Record: true}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

// site is a running gateway with its files.
type site struct {
	*App
	t    *testing.T
	dir  string
	logs *logs
}

// logs keeps what the gateway logs.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logs) Sync() error                 { return nil }
func (l *logs) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// gatewayFile is a configuration whose providers p0, p1, … are at the addresses, all behind the models "sim-*".
func gatewayFile(strategy string, addresses ...string) string {
	var b strings.Builder
	b.WriteString("version: 1\nserver: {listen: \"127.0.0.1:0\", admin_listen: \"127.0.0.1:0\", drain_timeout: 20s}\nproviders:\n")
	for i, a := range addresses {
		fmt.Fprintf(&b, "  - {name: p%d, type: openai-compatible, base_url: \"http://%s/v1\", keys: [{name: main, key: provider-secret}]}\n", i, a)
	}
	fmt.Fprintf(&b, "models:\n  - name: \"sim-*\"\n    strategy: %s\n    targets:\n", strategy)
	for i := range addresses {
		fmt.Fprintf(&b, "      - {provider: p%d}\n", i)
	}
	return b.String()
}

func tenantFile(id, key, more string) string {
	sum := sha256.Sum256([]byte(key))
	return "version: 1\nid: " + id + "\nkeys: [{name: ci, digest: \"sha256:" + hex.EncodeToString(sum[:]) + "\"}]\n" + more
}

func start(t *testing.T, file string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), logs: &logs{}}
	s.write("sluice.yaml", file)
	s.write("tenants/acme.yaml", tenantFile("acme", testKey, ""))
	ec := zap.NewProductionEncoderConfig()
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(ec), s.logs, zap.DebugLevel))
	a, err := Start(Options{
		Loader:  config.NewLoader(config.Options{Path: filepath.Join(s.dir, "sluice.yaml"), Plugins: Prototypes(), Poll: time.Hour}),
		Log:     log,
		Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.App = a
	return s
}

// stop drains the gateway at the end of a test.
func (s *site) stop() {
	if cut := s.Drain(); cut != 0 {
		s.t.Errorf("%d exchanges were cut", cut)
	}
}

// write replaces a file of the configuration, as editors do.
func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
}

// client makes requests like an SDK: connections are reused.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// reload applies what was written. Some of that is wrong on purpose: what is served then is what tests look at.
func (s *site) reload() { _ = s.App.reload() }

type answer struct {
	status int
	header http.Header
	body   string
	err    error // of the transport: a body that was cut
}

func (s *site) ask(c *http.Client, body string) answer { return s.askAs(c, testKey, body) }

func (s *site) askAs(c *http.Client, key, body string) answer {
	q, err := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	q.Header.Set("Authorization", "Bearer "+key)
	return do(c, q)
}

func do(c *http.Client, q *http.Request) answer {
	r, err := c.Do(q)
	if err != nil {
		return answer{err: err}
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return answer{r.StatusCode, r.Header, string(b), err}
}

func get(t *testing.T, c *http.Client, url, key string) answer {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		q.Header.Set("Authorization", "Bearer "+key)
	}
	return do(c, q)
}

func unary(model string) string {
	return `{"model":"` + model + `","messages":[{"role":"user","content":"hello"}]}`
}

func streamed(model string) string {
	return `{"model":"` + model + `","stream":true,"messages":[{"role":"user","content":"hello"}]}`
}

// good says whether an answer is complete and right.
func (a answer) good(stream bool) bool {
	if a.err != nil || a.status != http.StatusOK {
		return false
	}
	if stream {
		return strings.HasSuffix(a.body, "data: [DONE]\n\n") && !strings.Contains(a.body, `{"error":`)
	}
	return strings.Contains(a.body, `"finish_reason":"stop"`)
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
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

// load asks for a model at a rate until stop is closed, every fourth time for a stream, and gives every answer to check.
func (s *site) load(c *http.Client, model string, perSecond int, stop <-chan struct{}, check func(stream bool, a answer)) (asked int) {
	var work sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			work.Wait()
			return asked
		case <-tick.C:
			asked++
			stream := asked%4 == 0
			work.Go(func() {
				body := unary(model)
				if stream {
					body = streamed(model)
				}
				check(stream, s.ask(c, body))
			})
		}
	}
}
