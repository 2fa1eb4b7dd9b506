package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/config/schema"
	"github.com/sluice-ai/sluice/configs"
)

// base is a gateway file without a mistake. Its three lines leave room for more.
const base = `version: 1
providers: [{name: sim, type: sim}]
models: [{name: demo, targets: [{provider: sim}]}]
`

// compile compiles a JSON Schema.
func compile(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// document turns YAML into what a schema validates, as an editor does.
func document(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Load([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// source is that of the package config.
func source() schema.Source {
	return schema.Source{Package: "github.com/sluice-ai/sluice/config", Files: os.DirFS("..")}
}

// cache is a plugin's settings.
type cache struct {
	Mode  string           `yaml:"mode" jsonschema:"enum=soft,enum=hard"`
	Exact exact            `yaml:"exact"`
	Extra map[string]exact `yaml:"extra,omitempty"`
	Opt   *exact           `yaml:"opt,omitempty"`
}

type exact struct {
	Size config.Bytes  `yaml:"size"`
	Key  config.Secret `yaml:"key,omitempty"`
}

func plugins() map[string]any {
	return map[string]any{
		"telemetry": &struct{}{}, "ledger": &struct{}{}, "quota": &struct{}{}, "auth": &struct{}{}, "routing": &struct{}{},
		"cache": &cache{Mode: "soft", Exact: exact{Size: 7}, Opt: &exact{Size: 9}},
	}
}

// load loads a gateway file.
func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.NewLoader(config.Options{Path: path, Plugins: plugins()}).Load()
}

// The examples fit the schemas beside them, and so does what is shown as effective.
func TestExamples(t *testing.T) {
	gateway, tenant := compile(t, []byte(configs.GatewaySchema)), compile(t, []byte(configs.TenantSchema))
	if err := gateway.Validate(document(t, configs.Gateway)); err != nil {
		t.Error(err)
	}
	if err := tenant.Validate(document(t, configs.Tenant)); err != nil {
		t.Error(err)
	}
	t.Setenv("OPENAI_API_KEY", "sk-1")
	cfg, err := config.NewLoader(config.Options{Path: "../../configs/sluice.yaml"}).Load()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Validate(document(t, string(out))); err != nil {
		t.Errorf("the effective configuration: %v", err)
	}
}

// The schema says of the shape of a file what the loader says of it.
func TestSchemaAgrees(t *testing.T) {
	t.Setenv("KEY", "sk-1234567")
	gateway, err := schema.Gateway(plugins(), source())
	if err != nil {
		t.Fatal(err)
	}
	compiled := compile(t, gateway)
	f := func(more string, want bool) {
		t.Helper()
		_, err := load(t, base+more)
		valid := compiled.Validate(document(t, base+more))
		if (err == nil) != want || (valid == nil) != want {
			t.Errorf("%s\nloader: %v\nschema: %v", more, err, valid)
		}
	}
	f("", true)
	f("servers: {}\n", false)
	f("server: []\n", false)
	f("server: {listen: 3}\n", false)
	f("server: {listen: ':3'}\n", true)
	f("server: {listen: '${env:SLUICE_TEST_UNSET:-:3}'}\n", true)
	f("server: {drain_timeout: 0, drain_delay: 1m30s, heartbeat: 1.5s}\n", true)
	f("server: {drain_timeout: 3}\n", false)
	f("server: {drain_timeout: -3s}\n", false)
	f("server: {drain_timeout: '${env:SLUICE_TEST_UNSET:-3s}'}\n", true)
	f("server: {max_body: 32, max_in_flight_body: 1 gib}\n", true)
	f("server: {max_body: 32Mi}\n", false)
	f("server: {max_connections_per_ip: -1}\n", false)
	f("server: {max_connections_per_ip: '1'}\n", false)
	f("retries: {max: 11}\n", false)
	f("retries: {max: 3, budget: 5%, backoff: 1s..2s, on: [429, '5xx']}\n", true)
	f("retries: {budget: 0.5, backoff: 0, on: ['429']}\n", true)
	f("retries: {budget: 1.5}\n", false)
	f("retries: {backoff: 1..2}\n", false)
	f("retries: {on: [430]}\n", false)
	f("retries: {on: [429, 429]}\n", false)
	f("telemetry: {log: {level: debug}}\n", true)
	f("telemetry: {log: {level: loud}}\n", false)
	f("telemetry: {log: {level: '${env:SLUICE_TEST_UNSET:-warn}'}}\n", true)
	f("chain: [auth, cache, routing]\n", true)
	f("chain: [author]\n", false)
	f("chain: [auth, auth]\n", false)
	f("plugins: {cache: {mode: hardly}}\n", false)
	f("plugins: {cache: {exact: {size: 1KiB, key: '${env:KEY}'}, opt: {size: 3}, extra: {a: {size: 3}}}}\n", true)
	f("plugins: {cash: {}}\n", false)
	f("plugins: {auth: {x: 1}}\n", false)
	f("tenants: {dir: t}\n", true)
}

func TestSchemaDescriptions(t *testing.T) {
	own := schema.Source{
		Package: "github.com/sluice-ai/sluice/config/schema_test",
		Files: fstest.MapFS{
			"x.go":      {Data: []byte("package x\n\n// cache is the\n// settings.\ntype cache struct {\n\t// Mode is how.\n\tMode string\n}\n")},
			"x_test.go": {Data: []byte("not Go")},
		},
	}
	out, err := schema.Gateway(plugins(), source(), own)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Description string
		Defs        map[string]struct {
			Properties map[string]struct {
				Description string
				Default     any
			}
		} `json:"$defs"`
		Properties struct {
			Plugins struct {
				Properties map[string]struct {
					Description string
					Properties  map[string]struct {
						Description string
						Default     any
					}
				}
			}
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	cache, server := doc.Properties.Plugins.Properties["cache"], doc.Defs["Server"].Properties
	if cache.Description != "plugins.cache is the settings." || cache.Properties["mode"].Description != "mode is how." || cache.Properties["mode"].Default != "soft" {
		t.Errorf("cache: %+v", cache)
	}
	if got := server["max_body"]; got.Description != "max_body bounds one request's body." || got.Default != "32MiB" {
		t.Errorf("max_body: %+v", got)
	}
	if got := doc.Defs["Timeouts"].Properties["connect"].Default; got != "2s" {
		t.Errorf("timeouts.connect: %v", got)
	}
	for def, properties := range doc.Defs {
		for name, p := range properties.Properties {
			if p.Description == "" && !strings.HasPrefix(def, "schema_test.") {
				t.Errorf("%s.%s has no description", def, name)
			}
		}
	}
	own.Files = fstest.MapFS{"x.go": {Data: []byte("not Go")}}
	if _, err := schema.Tenant(own); err == nil || !strings.Contains(err.Error(), "schema: reading the comments of github.com/sluice-ai/sluice/config/schema_test: x.go:1:1") {
		t.Error(err)
	}
	if _, err := schema.Gateway(map[string]any{"x": 3}); err == nil {
		t.Error("a number was taken for settings")
	}
}
