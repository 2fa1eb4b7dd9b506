//go:build !race

package browser

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	key = "sk-key-of-acme" // of the tenant acme

	soon = 20 * time.Second // what should come at once
)

// site is a gateway, as a process.
type site struct {
	console, api string // scheme, host and port
}

// start builds and starts a gateway with a past; the test's end stops it.
func start(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	furnish(t, dir, upstream(t))
	remember(t, filepath.Join(dir, "ledger.db"), time.Now().UTC())

	binary := filepath.Join(dir, "sluice")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/sluice-ai/sluice/cmd/sluice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	c := exec.Command(binary, "serve", "--config", filepath.Join(dir, "sluice.yaml"), "--log-format", "json")
	said := &transcript{more: make(chan struct{}, 1)}
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("the gateway ended with %v and said\n%s", err, said)
		}
	})
	return &site{
		console: said.wait(t, regexp.MustCompile(`(?m)^  Console +(http://[^/\s]+)`)),
		api:     said.wait(t, regexp.MustCompile(`(?m)^  API +(http://[^/\s]+)`)),
	}
}

// furnish writes the configuration: a provider that is the test's own, a simulated one beside it, and two tenants of files.
func furnish(t *testing.T, dir, upstream string) {
	t.Helper()
	sum := sha256.Sum256([]byte(key))
	for name, text := range map[string]string{
		"sluice.yaml": `version: 1
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_timeout: 2s}
providers:
  - {name: openai, type: openai-compatible, base_url: "` + upstream + `/v1", keys: [{name: main, key: secret-of-openai}, {name: spare, key: secret-of-spare}]}
  - {name: backup, type: sim, sim: {first_token: 40ms, tokens_per_second: 400}}
models:
  - {name: gpt-4.1-mini, targets: [{provider: openai}, {provider: backup, model: sim-chat}]}
  - {name: gpt-4.1, targets: [{provider: openai}]}
  - {name: claude-sonnet-4-5, targets: [{provider: backup, model: sim-chat}]}
  - {name: shaky, targets: [{provider: openai}, {provider: backup, model: sim-chat}]}
  - {name: "slow", targets: [{provider: openai}]}
catalog:
  - {provider: openai, model: "*", prices: [{input: 400, output: 1600}]}
  - {provider: backup, model: sim-chat, prices: [{input: 1, output: 4}]}
plugins: {cache: {exact: {ttl: 1h}, semantic: {mode: verified}}}
stores: {ledger: "sqlite:ledger.db", wal: {dir: wal}}
`,
		"tenants/acme.yaml": `version: 1
id: acme
name: Acme
keys: [{name: app, digest: "sha256:` + hex.EncodeToString(sum[:]) + `"}]
limits: {requests_per_minute: 6000, tokens_per_minute: 4000000, concurrent: 64}
budgets: [{usd: 900, per: month, mode: warn}, {usd: 40, per: day, mode: warn}]
`,
		"tenants/globex.yaml": `version: 1
id: globex
name: Globex
budgets: [{usd: 300, per: month}]
`,
		"tenants/hooli.yaml": "version: 1\nid: hooli\n", // does nothing
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// transcript is what a process says.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // has something when more was said
}

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wait waits until the process has said something, and is the first group of it.
func (s *transcript) wait(t *testing.T, what *regexp.Regexp) string {
	t.Helper()
	late := time.After(soon)
	for {
		if found := what.FindStringSubmatch(s.String()); found != nil {
			return found[1]
		}
		select {
		case <-s.more:
		case <-late:
			t.Fatalf("the gateway has not said %s:\n%s", what, s)
		}
	}
}
