package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
	allowed "github.com/sluice-ai/sluice/gateway/tenant"
)

func TestDefaults(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	folder(t, "gateway.yaml", `
version: 1
server:
providers:
  - {name: a, type: openai, keys: [{name: k, key: "${env:KEY}"}]}
  - {name: b, type: openai-compatible, base_url: "http://b/v1/"}
  - {name: c, type: sim}
models: [{name: demo, targets: [{provider: a}]}]
`, "tenants/acme", "")
	cfg := loaded(t, config.Options{Plugins: plugins()})
	timeouts := config.Timeouts{Connect: 2 * time.Second, Headers: time.Minute, FirstEvent: 2 * time.Minute, Idle: 2 * time.Minute, Answer: 5 * time.Minute, Total: 10 * time.Minute}
	provider := func(p config.Provider) config.Provider {
		p.Timeouts, p.MaxIdleConnections, p.MaxResponse, p.MaxEvent, p.AskUsage, p.DropParams = timeouts, 1024, 64<<20, 16<<20, true, true
		p.Health = config.Health{
			Window: 30 * time.Second, FailureRate: 0.5, MinRequests: 20, Consecutive: 5, OpenFor: time.Second, MaxOpen: time.Minute,
			SlowStart: 10 * time.Second,
		}
		p.Concurrency = config.Concurrency{Min: 1, Queue: 1024, Wait: 10 * time.Second}
		return p
	}
	want := &config.Config{
		Version: 1,
		Server: config.Server{
			Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:9090", DrainTimeout: time.Minute,
			MaxHead: 4 << 10, MaxBody: 32 << 20, MaxForm: 512 << 20, MaxInFlightBody: 1 << 30, MaxInFlightResponse: 1 << 30,
			ReadTimeout: 30 * time.Second, IdleTimeout: 75 * time.Second, WriteTimeout: 30 * time.Second, Heartbeat: 15 * time.Second,
			WebSocket: config.WebSocket{Enabled: true, Responses: true, MessagesPerMinute: 600, MaxExchanges: 32, Grace: 2 * time.Minute, Keep: 1 << 20, KeepAll: 64 << 20},
		},
		Providers: []config.Provider{
			provider(config.Provider{
				Name: "a", Type: "openai", BaseURL: "https://api.openai.com/v1", Proxy: "env",
				Keys: []config.Key{{Name: "k", Key: config.NewSecret("sk-1"), Weight: 1}},
			}),
			provider(config.Provider{Name: "b", Type: "openai-compatible", BaseURL: "http://b/v1", Proxy: "env"}),
			provider(config.Provider{Name: "c", Type: "sim", Sim: &config.Sim{FirstToken: 200 * time.Millisecond, TokensPerSecond: 60, Jitter: 0.2, Seed: 1}}),
		},
		Models: []config.Model{{Name: "demo", Strategy: "ordered", OwnedBy: "sluice", Targets: []config.Target{{Provider: "a", Weight: 1}}}},
		Chain:  []string{"telemetry", "ledger", "auth", "quota", "cache", "routing"},
		Plugins: map[string]any{
			"telemetry": &struct{}{}, "ledger": &struct{}{}, "auth": &struct{}{}, "quota": &struct{}{}, "routing": &struct{}{},
			"cache": &strict{Mode: "soft", Exact: exact{Size: 7}, Opt: &exact{Size: 9}},
		},
		Retries: config.Retries{
			Max: 2, Backoff: config.Range{Min: 100 * time.Millisecond, Max: 2 * time.Second}, Budget: 0.2,
			On: []string{"connect", "429", "5xx", "timeout", "cut_before_first_event"}, Recover: "none",
		},
		Responses: config.Responses{Memory: 64 << 20, Keep: 24 * time.Hour},
		Stores: config.Stores{
			Ledger: "sqlite:data/ledger.db", Shared: "none", WAL: config.WAL{Dir: "data/wal", Segment: 16 << 20, MaxSize: 1 << 30, Sync: "5ms", Map: true},
			Retention: config.Retention{Rows: 90, Hours: 90, Audit: 400},
		},
		Admin:     config.Admin{Metrics: "open"},
		Telemetry: config.Telemetry{Log: config.Log{Format: "auto", Level: "info"}},
		Tenants:   config.Tenants{Dir: "tenants", Anonymous: "deny"},
		Origins:   map[string]string{"providers[0].keys[0].key": "${env:KEY}"},
	}
	if diff := cmp.Diff(want, cfg, cmpopts.EquateComparable(config.USD{}), cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Error(diff)
	}
}

// Everything a file can say arrives.
func TestEverySetting(t *testing.T) {
	t.Setenv("HOST", "vllm")
	folder(t, "gateway.yaml", `
version: 1
server:
  listen: "[::1]:0"
  admin_listen: ""
  drain_timeout: 0
  drain_delay: 5s
  max_head: 64KiB
  max_body: 1000
  max_form: 2000
  max_in_flight_body: 1MB
  max_in_flight_response: 64MiB
  read_timeout: 1m30s
  idle_timeout: 2s
  write_timeout: 3s
  heartbeat: 0s
  max_connections_per_ip: 4
  tls: {cert: c.pem, key: k.pem}
  cors: {origins: ["*"]}
  websocket: {enabled: false, responses: false, messages_per_minute: 0, max_exchanges: 1, grace: 1s, keep: 2KiB, keep_all: 3KiB}
providers:
  - name: a
    type: openai
    base_url: "http://${env:HOST}:8000/v1"
    keys:
      - {name: k, key: "x$${env:HOST}", weight: 0}
      - {name: l, key: "${file:secret}", weight: 2}
    organization: "${env:SLUICE_TEST_UNSET:-org}"
    project: "${env:SLUICE_TEST_UNSET:-}"
    headers: [{name: X-Tag, value: "${env:HOST}"}]
    timeouts: {connect: 1s, headers: 2s, first_event: 3s, idle: 4s, answer: 6s, total: 5s}
    max_idle_connections: 0
    max_response: 1KiB
    max_event: 1KB
    proxy: "http://user:${env:HOST}@proxy:3128"
    ask_usage: false
    drop_params: false
    endpoints: [chat.completions]
    health:
      window: 1m
      failure_rate: 0
      min_requests: 3
      consecutive: 0
      open_for: 2s
      max_open: 4s
      slow_start: 0
      probe: {path: "/v1/models?limit=1", every: 5s, timeout: 1s}
    concurrency: {max: 9, min: 2, queue: 0, wait: 0}
  - {name: s, type: sim, health: {probe: {model: m}}, sim: {first_token: 0, tokens_per_second: 0.5, jitter: 0.1, error_rate: 50%, seed: -3}}
models:
  - name: "gpt-*"
    strategy: weighted
    targets: [{provider: a, model: "x-*", weight: 3}]
    fallback: [m]
    affinity: [prompt_cache_key, user, "header:X-Session"]
    hedge: {after: 800ms, budget: 10%, max_cost: 0.01}
    owned_by: us
  - {name: m, aliases: [n, o], hedge: {}, targets: [{provider: s}]}
chain: [ledger, auth, quota, routing]
plugins:
  cache: {mode: hard, opt: {size: 3}, extra: {A.b: {size: 4}}}
retries: {max: 0, backoff: 1s, on: [], budget: 0, recover: continue}
responses: {memory: 0, keep: 90m}
stores:
  ledger: "postgres://sluice@db/sluice"
  wal: {dir: wal, segment: 1MiB, max_size: 4MiB, sync: always, map: false}
  shared: "redis://cache:6379"
  node: eu-1
  publish: rows
  retention: {rows: 1, hours: 2, days: 3, audit: 4}
admin: {tokens: [{name: ops, digest: "`+digest("e")+`", role: operator, tenants: [acme]}], metrics: token}
telemetry: {log: {format: json, level: error}}
tenants: {dir: t, anonymous: acme}
`, "c.pem", "x", "k.pem", "x", "secret", "sk-2\r\n", "t/acme.yaml", `
version: 1
id: acme
name: Acme
disabled: true
keys:
  - {name: a, digest: "hmac-`+digest("a")+`", expires: 2031-01-31}
  - {name: b, digest: "`+digest("b")+`", expires: 2031-01-31T12:00:00+02:00, disabled: true, models: ["gpt-*"], limits: {concurrent: 1}}
models: {allow: ["gpt-*"], deny: [gpt-5]}
priority: high
overrides: [provider, strategy, hedge, timeout, retries, fallback]
credentials: [{provider: a, key: "${file:../secret}"}]
limits: {requests_per_minute: 1, tokens_per_minute: 2, concurrent: 3, each_key: {concurrent: 4}, each_user: {concurrent: 5}, models: [{model: m, concurrent: 6}]}
budgets: [{usd: 0.10, per: week, mode: strict, of: each_key, warn_at: [50%], downgrade: gpt-4}]
cache: {scope: user, semantic: false, stale: false}
cors: {origins: ["https://acme.example"]}
`)
	opt := config.Options{Plugins: plugins()}
	opt.Plugins["cache"] = &lax{Mode: "soft", Opt: &exact{Size: 9, Key: config.NewSecret("kept")}}
	cfg := loaded(t, opt)
	secret := config.NewSecret
	health := cfg.Providers[1].Health
	health.Probe = &config.Probe{Model: "m", Every: 10 * time.Second, Timeout: 5 * time.Second}
	want := &config.Config{
		Version: 1,
		Server: config.Server{
			Listen: "[::1]:0", DrainDelay: 5 * time.Second, MaxHead: 64 << 10, MaxBody: 1000, MaxForm: 2000, MaxInFlightBody: 1e6, MaxInFlightResponse: 64 << 20, ReadTimeout: 90 * time.Second,
			IdleTimeout: 2 * time.Second, WriteTimeout: 3 * time.Second, MaxConnectionsPerIP: 4,
			TLS: config.TLS{Cert: "c.pem", Key: "k.pem"}, CORS: config.CORS{Origins: []string{"*"}},
			WebSocket: config.WebSocket{MaxExchanges: 1, Grace: time.Second, Keep: 2 << 10, KeepAll: 3 << 10},
		},
		Providers: []config.Provider{
			{
				Name: "a", Type: "openai", BaseURL: "http://vllm:8000/v1", Endpoints: []string{"chat.completions"},
				Keys:         []config.Key{{Name: "k", Key: secret("x${env:HOST}")}, {Name: "l", Key: secret("sk-2"), Weight: 2}},
				Organization: "org", Headers: []config.Header{{Name: "X-Tag", Value: secret("vllm")}},
				Timeouts: config.Timeouts{
					Connect: time.Second, Headers: 2 * time.Second, FirstEvent: 3 * time.Second, Idle: 4 * time.Second, Answer: 6 * time.Second, Total: 5 * time.Second,
				},
				MaxResponse: 1024, MaxEvent: 1000, Proxy: "http://user:vllm@proxy:3128",
				Health: config.Health{
					Window: time.Minute, MinRequests: 3, OpenFor: 2 * time.Second, MaxOpen: 4 * time.Second,
					Probe: &config.Probe{Path: "/v1/models?limit=1", Every: 5 * time.Second, Timeout: time.Second},
				},
				Concurrency: config.Concurrency{Max: 9, Min: 2},
			},
			{
				Name: "s", Type: "sim", Sim: &config.Sim{TokensPerSecond: 0.5, Jitter: 0.1, ErrorRate: 0.5, Seed: -3},
				Timeouts: cfg.Providers[1].Timeouts, MaxIdleConnections: 1024, MaxResponse: 64 << 20, MaxEvent: 16 << 20, AskUsage: true, DropParams: true,
				Health: health, Concurrency: cfg.Providers[1].Concurrency,
			},
		},
		Models: []config.Model{
			{
				Name: "gpt-*", Strategy: "weighted", Targets: []config.Target{{Provider: "a", Model: "x-*", Weight: 3}},
				Fallback: []string{"m"}, OwnedBy: "us",
				Affinity: []string{"prompt_cache_key", "user", "header:X-Session"},
				Hedge:    &config.Hedge{After: config.HedgeAfter{Time: 800 * time.Millisecond}, Budget: 0.1, MaxCost: config.NewUSD("0.01")},
			},
			{
				Name: "m", Aliases: []string{"n", "o"}, Strategy: "ordered", Targets: []config.Target{{Provider: "s", Weight: 1}}, OwnedBy: "sluice",
				Hedge: &config.Hedge{After: config.HedgeAfter{P95: true}, Budget: 0.06},
			},
		},
		Chain: []string{"ledger", "auth", "quota", "routing"},
		Plugins: map[string]any{
			"telemetry": &struct{}{}, "auth": &struct{}{}, "routing": &struct{}{}, "quota": &struct{}{}, "ledger": &struct{}{},
			"cache": &lax{Mode: "hard", Opt: &exact{Size: 3, Key: secret("kept")}, Extra: map[string]exact{"A.b": {Size: 4}}},
		},
		Retries:   config.Retries{Backoff: config.Range{Min: time.Second, Max: time.Second}, Recover: "continue"},
		Responses: config.Responses{Keep: 90 * time.Minute},
		Stores: config.Stores{
			Ledger: "postgres://sluice@db/sluice", Shared: "redis://cache:6379", Node: "eu-1", Publish: "rows",
			WAL: config.WAL{Dir: "wal", Segment: 1 << 20, MaxSize: 4 << 20, Sync: "always"}, Retention: config.Retention{Rows: 1, Hours: 2, Days: 3, Audit: 4},
		},
		Admin:     config.Admin{Tokens: []config.AdminToken{{Name: "ops", Digest: digest("e"), Role: "operator", Tenants: []string{"acme"}}}, Metrics: "token"},
		Telemetry: config.Telemetry{Log: config.Log{Format: "json", Level: "error"}},
		Tenants: config.Tenants{Dir: "t", Anonymous: "acme", List: []*config.Tenant{{
			Version: 1, ID: "acme", Name: "Acme", Disabled: true, File: "t/acme.yaml",
			Keys: []config.TenantKey{
				{Name: "a", Digest: "hmac-" + digest("a"), Expires: time.Date(2031, 1, 31, 0, 0, 0, 0, time.UTC)},
				{Name: "b", Digest: digest("b"), Expires: time.Date(2031, 1, 31, 10, 0, 0, 0, time.UTC), Disabled: true, Models: []string{"gpt-*"}, Limits: config.Limits{Concurrent: 1}},
			},
			Limits: config.TenantLimits{
				RequestsPerMinute: 1, TokensPerMinute: 2, Concurrent: 3, EachKey: config.Limits{Concurrent: 4}, EachUser: config.Limits{Concurrent: 5},
				Models: []config.ModelLimits{{Model: "m", Concurrent: 6}},
			},
			Budgets:     []config.Budget{{USD: allowed.Dollar / 10, Per: "week", Mode: "strict", Of: "each_key", WarnAt: []config.Percent{0.5}, Downgrade: "gpt-4"}},
			Models:      config.ModelRules{Allow: []string{"gpt-*"}, Deny: []string{"gpt-5"}},
			Credentials: []config.Credential{{Provider: "a", Key: secret("sk-2")}},
			Cache:       config.TenantCache{Scope: "user"},
			CORS:        config.CORS{Origins: []string{"https://acme.example"}},
			Priority:    "high", Overrides: []string{"provider", "strategy", "hedge", "timeout", "retries", "fallback"},
		}}},
		Origins: cfg.Origins,
	}
	warnings := cfg.Warnings.Error()
	cfg.Warnings = nil
	if diff := cmp.Diff(want, cfg, cmpopts.EquateComparable(config.USD{}), cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Error(diff)
	}
	expect(t, warnings, `
		gateway.yaml:26:24: providers[0].keys[0].key is written out; keep secrets out of files: use ${env:NAME} or ${file:/path}
		gateway.yaml:61:10: plugin cache is not in the chain: its settings do nothing`)
	if p := opt.Plugins["cache"].(*lax); p.Mode != "soft" || p.Opt.Size != 9 || p.Extra != nil {
		t.Errorf("loading changed the prototype: %+v", p)
	}
}

// lax is strict without its Validate.
type lax strict

// What Effective prints is a configuration that loads, and equals the one printed, but for the secrets.
func TestEffective(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	t.Setenv("SLUICE_SERVER_LISTEN", ":1")
	folder(t, "gateway.yaml", `
version: 1
server: {admin_listen: off}
providers:
  - {name: a, type: openai, keys: [{name: k, key: "${env:KEY}"}], proxy: "http://user:secretword@proxy:1"}
  - {name: s, type: sim, health: {probe: {model: m}}}
models: [{name: demo, targets: [{provider: s}], hedge: {max_cost: 0.5}}]
`)
	cfg := loaded(t, config.Options{Plugins: plugins(), Flags: flags(t, "--retries=3")})
	out, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	for _, want := range []string{
		"  listen: :1 # env SLUICE_SERVER_LISTEN\n", "  max: 3 # flag --retries\n", "key: '***' # ${env:KEY}\n",
		"admin_listen: ''\n", "proxy: http://***@proxy:1\n", "  cache:\n    mode: soft\n    exact:\n      size: 7B\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "secretword") || strings.Contains(text, "sk-1") {
		t.Errorf("a secret is in\n%s", text)
	}
	t.Setenv("SLUICE_SERVER_LISTEN", "")
	write(t, "gateway.yaml", text)
	again := loaded(t, config.Options{Plugins: plugins()})
	cfg.Providers[0].Keys[0].Key, cfg.Providers[0].Proxy = config.NewSecret("***"), "http://***@proxy:1"
	cfg.Origins, again.Origins, cfg.Warnings, again.Warnings = nil, nil, nil, nil
	if diff := cmp.Diff(cfg, again, cmp.AllowUnexported(config.Secret{}), cmpopts.EquateComparable(config.USD{}), cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Error(diff)
	}
}

func TestDemo(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("OPENAI_API_KEY", "")
	demo := func() *config.Config {
		t.Helper()
		cfg, err := config.NewLoader(config.Options{DemoDigest: digest("d"), Plugins: plugins()}).Load()
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	names := func(cfg *config.Config) string {
		var all []string
		for _, p := range cfg.Providers {
			all = append(all, p.Name)
		}
		for _, m := range cfg.Models {
			all = append(all, m.Name+"->"+m.Targets[0].Provider+"/"+m.Targets[0].Model)
		}
		return strings.Join(all, " ")
	}
	cfg := demo()
	if got, want := names(cfg), "sim demo->sim/sim-chat sim-*->sim/"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	want := []*config.Tenant{{Version: 1, ID: "demo", Name: "Demonstration", Priority: "normal", Keys: []config.TenantKey{{Name: "demo", Digest: digest("d")}}}}
	if !reflect.DeepEqual(cfg.Tenants.List, want) || cfg.Tenants.Anonymous != "deny" {
		t.Errorf("tenants: %+v", cfg.Tenants)
	}
	t.Setenv("OPENAI_API_KEY", canary)
	t.Setenv("SLUICE_SERVER_LISTEN", ":3")
	cfg = demo()
	if got, want := names(cfg), "sim openai demo->sim/sim-chat sim-*->sim/ gpt-*->openai/ o1*->openai/ o3*->openai/ o4*->openai/ chatgpt-*->openai/ text-embedding-*->openai/"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if cfg.Providers[1].Keys[0].Key.Reveal() != canary || cfg.Server.Listen != ":3" || cfg.Providers[1].BaseURL != "https://api.openai.com/v1" {
		t.Errorf("%+v", cfg)
	}
	t.Setenv("SLUICE_SERVER_LISTEN", "x")
	_, err := config.NewLoader(config.Options{}).Load()
	expect(t, fmt.Sprint(err), `environment variable SLUICE_SERVER_LISTEN: server.listen: "x" is not an address; write host:port, such as 127.0.0.1:8080 or :8080`)
}

// Settings are what Effective prints, each with where it comes from.
func TestSettings(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	t.Setenv("SLUICE_SERVER_LISTEN", ":1")
	folder(t, "gateway.yaml", `
version: 1
server: {listen: ":2", admin_listen: off}
providers:
  - name: a
    type: openai
    keys:
      - {name: k, key: "${env:KEY}"}
models: [{name: demo, targets: [{provider: a, model: m}]}]
chain: [auth, routing]
`)
	cfg := loaded(t, config.Options{Plugins: plugins(), Flags: flags(t, "--retries=3")})
	got := map[string]config.Setting{}
	for _, s := range cfg.Settings() {
		if _, twice := got[s.Path]; twice {
			t.Errorf("%s comes twice", s.Path)
		}
		got[s.Path] = s
		if strings.Contains(s.Value, "sk-1") {
			t.Errorf("a secret: %+v", s)
		}
	}
	for _, want := range []config.Setting{
		{"server.listen", ":1", "env SLUICE_SERVER_LISTEN", 3},
		{"server.admin_listen", "", "file", 3},
		{"server.max_head", "4KiB", "default", 0},
		{"retries.max", "3", "flag --retries", 0},
		{"providers[0].name", "a", "file", 5},
		{"providers[0].keys[0].key", "***", "${env:KEY}", 8},
		{"models[0].targets[0].model", "m", "file", 9},
		{"chain", "[auth, routing]", "file", 10},
	} {
		if got[want.Path] != want {
			t.Errorf("%+v, want %+v", got[want.Path], want)
		}
	}
}

// The YAML of Effective has nothing that depends on the order of a map.
func TestEffectiveIsStable(t *testing.T) {
	folder(t, "gateway.yaml", base)
	var first []byte
	for range 20 {
		out, err := loaded(t, config.Options{Plugins: plugins()}).Effective()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		if !bytes.Equal(out, first) {
			t.Fatalf("once\n%s\nonce\n%s", first, out)
		}
	}
	var sections map[string]any
	if err := yaml.Load(first, &sections); err != nil || len(sections) != 12 {
		t.Errorf("%d sections, %v", len(sections), err)
	}
}

func tenant(id, letter string) string {
	return "version: 1\nid: " + id + "\nkeys: [{name: k, digest: '" + digest(letter) + "'}]\n"
}

// reloading loads a folder and returns a function that reloads it and describes what came: the tenants with the first
// letter of their digests, then the problems or the error.
func reloading(t *testing.T, files ...string) func() string {
	t.Helper()
	folder(t, files...)
	l := config.NewLoader(config.Options{Path: "gateway.yaml"})
	if _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		cfg, problems, err := l.Reload()
		if err != nil {
			if cfg != nil {
				t.Error("a configuration came with the error")
			}
			return "error: " + err.Error()
		}
		var all []string
		for _, tn := range cfg.Tenants.List {
			all = append(all, tn.ID+" "+tn.Keys[0].Digest[7:8])
		}
		return strings.TrimSpace(strings.Join(all, ", ") + "\n" + problems.Error())
	}
}

func TestReload(t *testing.T) {
	reload := reloading(t, "gateway.yaml", base, "tenants/a.yaml", tenant("a", "1"), "tenants/b.yaml", tenant("b", "2"))
	f := func(want string) {
		t.Helper()
		expect(t, reload(), want)
	}
	remove := func(name string) {
		t.Helper()
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
	f("a 1, b 2")
	// A good change is taken over; a bad one keeps the last good version, however often it is read.
	write(t, "tenants/a.yaml", tenant("a", "3"))
	f("a 3, b 2")
	write(t, "tenants/a.yaml", tenant("a", "4")+"guards: {}\n")
	const bad = "tenants/a.yaml:4:1: unknown field \"guards\"; fields here: version, id, name, disabled, keys, models, credentials, priority, overrides, jwt, limits, budgets, cache, trace_content, cors"
	f("a 3, b 2\n" + bad)
	f("a 3, b 2\n" + bad)
	write(t, "tenants/a.yaml", "")
	f("a 3, b 2\ntenants/a.yaml:1:1: the file is empty; begin it with \"version: 1\"")
	write(t, "tenants/a.yaml", tenant("a", "5"))
	f("a 5, b 2")
	// A tenant that never was good is left out.
	write(t, "tenants/c.yaml", "version: 1\nid: d\n")
	f("a 5, b 2\ntenants/c.yaml:2:5: the id \"d\" is not the file's name, \"c\"; rename one of them")
	write(t, "tenants/c.yaml", tenant("c", "6"))
	f("a 5, b 2, c 6")
	// A removed file's tenant is gone, also its last good version.
	remove("tenants/c.yaml")
	f("a 5, b 2")
	write(t, "tenants/c.yaml", "version: 2\nid: c\n")
	f("a 5, b 2\ntenants/c.yaml:1:10: version: \"2\" is not 1")
	remove("tenants/c.yaml")
	// A file that cannot be read keeps its version too.
	remove("tenants/b.yaml")
	write(t, "tenants/b.yaml/x", "")
	f("a 5, b 2\ntenants/b.yaml: the file cannot be read: it is not a regular file")
	remove("tenants/b.yaml")
	write(t, "tenants/b.yaml", tenant("b", "2"))
	f("a 5, b 2")
	// The gateway file: nothing changes, not even a tenant.
	write(t, "gateway.yaml", base+"servers: {}\n", "tenants/a.yaml", tenant("a", "7"))
	f("error: gateway.yaml:4:1: unknown field \"servers\"; did you mean \"server\"?")
	write(t, "tenants/a.yaml", tenant("a", "7")+"guards: {}\n")
	f("error: gateway.yaml:4:1: unknown field \"servers\"; did you mean \"server\"?\n" + bad)
	write(t, "tenants/a.yaml", tenant("a", "7"))
	remove("gateway.yaml")
	f("error: gateway.yaml: the gateway file cannot be read: no such file or directory")
	write(t, "gateway.yaml", base)
	f("a 7, b 2")
	// The folder: what vanished as a whole was hardly meant.
	if err := os.Rename("tenants", "gone"); err != nil {
		t.Fatal(err)
	}
	f("error: gateway.yaml:1:1: the tenants folder tenants cannot be read: no such file or directory")
	if err := os.Rename("gone", "tenants"); err != nil {
		t.Fatal(err)
	}
	f("a 7, b 2")
	remove("tenants/a.yaml")
	remove("tenants/b.yaml")
	f("")
}

// When two files meet, the one that changed is at fault; what worked before works on.
func TestReloadConflicts(t *testing.T) {
	reload := reloading(t, "gateway.yaml", base, "tenants/a.yaml", tenant("a", "1"), "tenants/b.yaml", tenant("b", "2"))
	f := func(want string) {
		t.Helper()
		expect(t, reload(), want)
	}
	write(t, "tenants/a.yaml", tenant("a", "2"))
	f("a 1, b 2\ntenants/a.yaml:3:26: the digest is that of keys[0].digest in tenants/b.yaml")
	write(t, "tenants/b.yaml", tenant("b", "3"))
	f("a 2, b 3")
	write(t, "tenants/b.yaml", tenant("b", "2"), "tenants/c.yaml", tenant("c", "3"))
	f("a 2, b 3\n" +
		"tenants/b.yaml:3:26: the digest is that of keys[0].digest in tenants/a.yaml\n" +
		"tenants/c.yaml:3:26: the digest is that of keys[0].digest in tenants/b.yaml")
	write(t, "tenants/b.yaml", tenant("b", "4"))
	f("a 2, b 4, c 3")
	write(t, "tenants/b.yml", tenant("b", "5"))
	f("a 2, b 4, c 3\ntenants/b.yml:2:5: the id \"b\" is that of id in tenants/b.yaml")
}

func TestReloadAnonymous(t *testing.T) {
	folder(t, "gateway.yaml", base+"tenants: {anonymous: guest}\n", "tenants/guest.yaml", tenant("guest", "1"))
	l := config.NewLoader(config.Options{Path: "gateway.yaml"})
	cfg, err := l.Load()
	if err != nil || cfg.Tenants.Anonymous != "guest" {
		t.Fatal(cfg, err)
	}
	if err := os.Remove("tenants/guest.yaml"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		cfg, problems, err := l.Reload()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, problems.Error(), `gateway.yaml:4:22: tenants.anonymous: "guest" is not defined; tenants: deny`)
		if cfg.Tenants.Anonymous != config.Deny || len(cfg.Tenants.List) != 0 {
			t.Errorf("tenants: %+v", cfg.Tenants)
		}
	}
	write(t, "gateway.yaml", base+"tenants: {anonymous: geust}\n")
	if _, _, err := l.Reload(); err == nil {
		t.Error("a tenant that never was is no mistake")
	}
}

// A tenant whose file did not change keeps its pointer, unless a secret it refers to changed.
func TestReloadKeepsPointers(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	folder(t, "gateway.yaml", `
version: 1
providers: [{name: a, type: openai, keys: [{name: k, key: "${file:key}"}]}, {name: b, type: openai-compatible, base_url: "http://b"}]
models: [{name: demo, targets: [{provider: a}]}]
`, "key", "sk-1", "tenants/a.yaml", tenant("a", "1"),
		"tenants/b.yaml", tenant("b", "2")+"credentials: [{provider: b, key: \"${file:../other}\"}]\n", "other", "sk-2")
	l := config.NewLoader(config.Options{Path: "gateway.yaml"})
	before, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	write(t, "key", "sk-3", "other", "sk-4")
	after, problems, err := l.Reload()
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	if before.Tenants.List[0] != after.Tenants.List[0] {
		t.Error("an unchanged tenant was made anew")
	}
	if got := after.Tenants.List[1].Credentials[0].Key.Reveal(); got != "sk-4" {
		t.Errorf("the tenant's key is %s", got)
	}
	if reflect.DeepEqual(before.Providers[0], after.Providers[0]) || !reflect.DeepEqual(before.Providers[1], after.Providers[1]) {
		t.Error("only the first provider changed")
	}
	if before.Providers[0].Keys[0].Key.Reveal() != "sk-1" {
		t.Error("the first configuration changed")
	}
	// The provider goes, the tenant's file stays: it works on, and the problem is told.
	write(t, "gateway.yaml", base)
	after, problems, err = l.Reload()
	if err != nil || len(after.Tenants.List) != 2 {
		t.Fatal(after, err)
	}
	expect(t, problems.Error(), `tenants/b.yaml:4:26: credentials[0].provider: "b" is not defined; providers: sim`)
}

func TestProviderURL(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	f := func(provider, url string, classic bool) {
		t.Helper()
		folder(t, "gateway.yaml", "version: 1\nmodels: [{name: demo, targets: [{provider: a}]}]\nproviders: [{name: a, keys: [{name: k, key: \"${env:KEY}\"}], "+provider+"}]\n", "tenants/acme", "")
		p := loaded(t, config.Options{}).Providers[0]
		if p.BaseURL != url || p.Classic() != classic {
			t.Errorf("%s: %s, classic %t", provider, p.BaseURL, p.Classic())
		}
	}
	f("type: anthropic", "https://api.anthropic.com/v1", false)
	f("type: ollama", "http://localhost:11434/v1", false)
	f("type: groq, base_url: http://proxy/groq/", "http://proxy/groq", false)
	f("type: azure, base_url: https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1", false)
	f("type: azure, base_url: https://r.openai.azure.com/, api_version: 2024-10-21", "https://r.openai.azure.com/openai", true)
	f("type: azure, base_url: https://r.openai.azure.com/openai/v1, api_version: preview", "https://r.openai.azure.com/openai/v1", false)
}

// A tenant's file that is as large and as old as before, and another one, is read again; one that is the same is not.
func TestReloadKnowsFiles(t *testing.T) {
	folder(t, "gateway.yaml", base+"tenants: {dir: t}\n", "t/a.yaml", tenant("a", "1"))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes("t/a.yaml", old, old); err != nil {
		t.Fatal(err)
	}
	l := config.NewLoader(config.Options{Path: "gateway.yaml"})
	first, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := l.Reload()
	if err != nil || again.Tenants.List[0] != first.Tenants.List[0] {
		t.Errorf("the same file gives another tenant, %v", err)
	}
	write(t, "t/.b", tenant("a", "2"))
	if err := errors.Join(os.Chtimes("t/.b", old, old), os.Rename("t/.b", "t/a.yaml")); err != nil {
		t.Fatal(err)
	}
	if again, _, err = l.Reload(); err != nil || again.Tenants.List[0].Keys[0].Digest != digest("2") {
		t.Errorf("the other file was not read, %v", err)
	}
}
