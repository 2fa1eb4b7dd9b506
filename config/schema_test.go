package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
)

var update = flag.Bool("update", false, "write the schemas of configs/schema anew")

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

// withoutPlugins takes what plugins add out of a schema: their settings, their names in the chain, their definitions.
func withoutPlugins(t *testing.T, schema []byte) []byte {
	t.Helper()
	var doc struct {
		Schema     string                    `json:"$schema"`
		Defs       map[string]any            `json:"$defs"`
		Properties map[string]map[string]any `json:"properties"`
		Required   []string                  `json:"required"`
	}
	if err := json.Unmarshal(schema, &doc); err != nil {
		t.Fatal(err)
	}
	for name := range doc.Defs {
		if strings.Contains(name, ".") {
			delete(doc.Defs, name)
		}
	}
	delete(doc.Properties, "plugins")
	delete(doc.Properties["chain"], "items")
	out, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The committed schemas are those of the structs. What the plugins add is checked where the plugins are known.
func TestSchemaFiles(t *testing.T) {
	gateway, err := config.Schema(nil)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := config.TenantSchema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, "../configs/schema/sluice.schema.json", string(gateway), "../configs/schema/tenant.schema.json", string(tenant))
	}
	committed := []byte(readFile(t, "../configs/schema/sluice.schema.json"))
	if !bytes.Equal(withoutPlugins(t, committed), withoutPlugins(t, gateway)) {
		t.Error("configs/schema/sluice.schema.json is not the schema of config.Config: run go test ./config -run TestSchemaFiles -update")
	}
	if readFile(t, "../configs/schema/tenant.schema.json") != string(tenant) {
		t.Error("configs/schema/tenant.schema.json is not the schema of config.Tenant: run go test ./config -run TestSchemaFiles -update")
	}
}

// The examples fit the schemas, and load.
func TestExamples(t *testing.T) {
	for file, schema := range map[string]string{
		"../configs/sluice.yaml":       "../configs/schema/sluice.schema.json",
		"../configs/tenants/acme.yaml": "../configs/schema/tenant.schema.json",
	} {
		if err := compile(t, []byte(readFile(t, schema))).Validate(document(t, readFile(t, file))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	t.Setenv("OPENAI_API_KEY", "sk-1")
	cfg, err := config.NewLoader(config.Options{Path: "../configs/sluice.yaml"}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 || len(cfg.Providers) != 3 || len(cfg.Models) != 3 || len(cfg.Tenants.List) != 1 {
		t.Errorf("%d providers, %d models, %d tenants, warnings:\n%v", len(cfg.Providers), len(cfg.Models), len(cfg.Tenants.List), cfg.Warnings)
	}
	out, err := cfg.Effective()
	if err != nil {
		t.Fatal(err)
	}
	if err := compile(t, []byte(readFile(t, "../configs/schema/sluice.schema.json"))).Validate(document(t, string(out))); err != nil {
		t.Errorf("the effective configuration: %v", err)
	}
	t.Setenv("OPENAI_API_KEY", "")
	_, err = config.NewLoader(config.Options{Path: "../configs/sluice.yaml"}).Load()
	var p config.Problems
	if !errors.As(err, &p) || len(p) != 1 || p[0].Message != "environment variable OPENAI_API_KEY is empty" {
		t.Errorf("without the key: %v", err)
	}
}

// The schema says of the shape of a file what the loader says of it.
func TestSchemaAgrees(t *testing.T) {
	t.Setenv("KEY", "sk-1234567")
	gateway, err := config.Schema(plugins())
	if err != nil {
		t.Fatal(err)
	}
	compiled := compile(t, gateway)
	f := func(more string, want bool) {
		t.Helper()
		folder(t, "gateway.yaml", base+more)
		_, err := load(config.Options{Plugins: plugins()})
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
	source := config.Source{
		Package: "github.com/sluice-ai/sluice/config_test",
		Files: fstest.MapFS{
			"x.go":      {Data: []byte("package x\n\n// strict is the\n// settings.\ntype strict struct {\n\t// Mode is how.\n\tMode string\n}\n")},
			"x_test.go": {Data: []byte("not Go")},
		},
	}
	out, err := config.Schema(plugins(), source)
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
	if cache.Description != "strict is the settings." || cache.Properties["mode"].Description != "mode is how." || cache.Properties["mode"].Default != "soft" {
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
			if p.Description == "" && !strings.HasPrefix(def, "config_test.") {
				t.Errorf("%s.%s has no description", def, name)
			}
		}
	}
	source.Files = fstest.MapFS{"x.go": {Data: []byte("not Go")}}
	if _, err := config.Schema(nil, source); err == nil || !strings.Contains(err.Error(), "config: reading the comments of github.com/sluice-ai/sluice/config_test: x.go:1:1") {
		t.Error(err)
	}
	if _, err := config.Schema(map[string]any{"x": 3}); err == nil {
		t.Error("a number was taken for settings")
	}
}
