package config_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/config"
)

func TestNotYAML(t *testing.T) {
	f := func(gateway, want string) {
		t.Helper()
		expect(t, mistakes(t, gateway), want)
	}
	f("", `gateway.yaml:1:1: the file is empty; begin it with "version: 1"`)
	f("# nothing\n", `gateway.yaml:1:1: the file is empty; begin it with "version: 1"`)
	f("version: 1\n providers: []\n", `gateway.yaml:2:11: this is not YAML: mapping values are not allowed in this context; check the indentation, and put text that contains ": " in quotes`)
	f("version: 1\nserver: {listen: @x}\n", "gateway.yaml:2:18: this is not YAML: found character that cannot start any token; put text that begins with @, `, % or a tab in quotes, and indent with spaces")
	f("version: 1\nserver: *missing\n", `gateway.yaml:2:9: this is not YAML: an alias refers to an anchor that does not exist; put text that begins with * in quotes`)
	f("version: 1\n---\nversion: 1\n", `gateway.yaml:2:1: a second YAML document begins here; keep one document in each file`)
	f("version: 1\nserver: \xff\n", `gateway.yaml:2:9: the file holds a character that is not UTF-8 text; save it as UTF-8`)
	f("version: 1\nserver: \x01\n", `gateway.yaml:2:9: the file holds a character that is not UTF-8 text; save it as UTF-8`)
	f("- version\n", `gateway.yaml:1:1: the file must be a mapping, not a list`)
}

func TestNoFile(t *testing.T) {
	folder(t)
	_, err := load(config.Options{})
	expect(t, err.Error(), `gateway.yaml: the gateway file cannot be read: no such file or directory`)
}

func TestShape(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		expect(t, mistakes(t, base+more), want)
	}
	// Fields.
	f("servers: {}\n", `gateway.yaml:4:1: unknown field "servers"; did you mean "server"?`)
	f("guards: {}\n", `gateway.yaml:4:1: unknown field "guards"; fields here: version, server, providers, models, catalog, chain, plugins, retries, responses, stores, admin, telemetry, tenants`)
	f("telemetry:\n  log: {levle: info}\n", `gateway.yaml:5:9: unknown field "levle" in telemetry.log; did you mean "level"?`)
	f("telemetry: {Log: {}}\n", `gateway.yaml:4:13: unknown field "Log" in telemetry; did you mean "log"?`)
	f("server: {listen: ':1'}\nserver: {}\n", `gateway.yaml:5:1: field "server" appears twice; the first is in line 4`)
	f("server: {heartbeat: 1s, heartbeat: 2s}\n", `gateway.yaml:4:25: field "heartbeat" appears twice in server; the first is in line 4`)
	f("? [a]\n: 1\n", `gateway.yaml:4:3: a field's name must be plain text`)
	// Types.
	f("server: []\n", `gateway.yaml:4:9: server must be a mapping, not a list`)
	f("server: 3\n", `gateway.yaml:4:9: server must be a mapping, not a single value`)
	f("chain: auth\n", `gateway.yaml:4:8: chain must be a list, not a single value`)
	f("server: {listen: {}}\n", `gateway.yaml:4:18: server.listen must be text, not a mapping`)
	f("server: {listen: 8080}\n", `gateway.yaml:4:18: server.listen must be text; write host:port, such as 127.0.0.1:8080 or :8080`)
	f("server: {listen: }\n", `gateway.yaml:4:18: server.listen has no value`)
	f("server: {listen: !x y}\n", `gateway.yaml:4:18: server.listen has the tag !x, which has no meaning here`)
	f("server: {drain_timeout: 3}\n", `gateway.yaml:4:25: server.drain_timeout: "3" is not a duration; write a number with a unit, such as 500ms, 30s or 10m`)
	f("server: {drain_timeout: -3s}\n", `gateway.yaml:4:25: server.drain_timeout: "-3s" is negative`)
	f("server: {max_body: 3 parsecs}\n", `gateway.yaml:4:20: server.max_body: "3 parsecs" is not a size; write a number with a unit, such as 32MiB, or a number of bytes`)
	f("server: {max_body: [1]}\n", `gateway.yaml:4:20: server.max_body must be a single value, not a list`)
	f("server: {max_connections_per_ip: many}\n", `gateway.yaml:4:34: server.max_connections_per_ip: "many" is not a whole number`)
	f("server: {max_connections_per_ip: '3'}\n", `gateway.yaml:4:34: server.max_connections_per_ip must be a number, not text; take away the quotes`)
	f("server: {max_connections_per_ip: -1}\n", `gateway.yaml:4:34: server.max_connections_per_ip: "-1" is less than 0`)
	f("retries: {max: 11}\n", `gateway.yaml:4:16: retries.max: "11" is more than 10`)
	f("retries: {budget: 20}\n", `gateway.yaml:4:19: retries.budget: "20" is not between 0% and 100%; write it as 20% or as 0.2`)
	f("retries: {budget: some}\n", `gateway.yaml:4:19: retries.budget: "some" is not a share; write it as 20% or as 0.2`)
	f("retries: {backoff: 2s..1s}\n", `gateway.yaml:4:20: retries.backoff: "2s..1s" ends before it begins; write the shorter duration first`)
	f("retries: {backoff: soon}\n", `gateway.yaml:4:20: retries.backoff: "soon" is not a range of durations; write it as 100ms..2s`)
	f("retries: {on: [connect, 429, connect, 5xz]}\n", `
		gateway.yaml:4:30: retries.on[2]: "connect" is in the list already, as retries.on[0]
		gateway.yaml:4:39: retries.on[3]: "5xz" is not one of connect, 429, 5xx, timeout, cut_before_first_event; did you mean "5xx"?`)
	f("retries: {on: [~]}\n", `gateway.yaml:4:16: retries.on[0] has no value`)
	f("responses: {memory: some}\n", `gateway.yaml:4:21: responses.memory: "some" is not a size; write a number with a unit, such as 32MiB, or a number of bytes`)
	f("responses: {memory: 10KiB, keep: 0s}\n", `
		gateway.yaml:4:21: responses.memory (10KiB) is less than 1MiB; write 0 to keep none
		gateway.yaml:4:34: responses.keep must be more than 0`)
	f("telemetry: {log: {level: verbose}}\n", `gateway.yaml:4:26: telemetry.log.level: "verbose" is not one of debug, info, warn, error`)
}

func TestMissing(t *testing.T) {
	f := func(gateway, want string) {
		t.Helper()
		expect(t, mistakes(t, gateway), want)
	}
	f("chain: []\n", `
		gateway.yaml:1:1: models is missing
		gateway.yaml:1:1: providers is missing
		gateway.yaml:1:1: version is missing`)
	f("version: 2\nproviders: []\nmodels:\n", `
		gateway.yaml:1:10: version: "2" is not 1`)
	f("version: 1\nproviders: []\nmodels:\n", `
		gateway.yaml:2:12: providers is empty
		gateway.yaml:3:8: models is missing`)
	f("version: 1\nproviders:\n  - type: sim\nmodels: [{name: ''}]\n", `
		gateway.yaml:3:5: providers[0].name is missing
		gateway.yaml:4:10: models[0].targets is missing
		gateway.yaml:4:17: models[0].name: "" is empty`)
}

func TestAliases(t *testing.T) {
	f := func(gateway, want string) {
		t.Helper()
		expect(t, mistakes(t, gateway), want)
	}
	// Anchors and merge keys work; a field's own value wins over a merged one, an earlier mapping over a later.
	folder(t, "gateway.yaml", `
version: 1
providers:
  - {name: a, type: openai-compatible, base_url: "http://a", timeouts: &t {connect: 1s, idle: 3s}}
  - {name: b, type: openai-compatible, base_url: "http://b", timeouts: {<<: *t, idle: 4s}}
  - {name: c, type: openai-compatible, base_url: "http://c", timeouts: {<<: [{connect: 5s}, *t]}}
models: [{name: demo, targets: [{provider: a}]}]
`)
	p := loaded(t, config.Options{}).Providers
	for i, want := range []string{"1s 3s", "1s 4s", "5s 3s"} {
		if got := p[i].Timeouts.Connect.String() + " " + p[i].Timeouts.Idle.String(); got != want {
			t.Errorf("timeouts of %s: %s, want %s", p[i].Name, got, want)
		}
	}
	f(base+"server: {<<: 3}\n", `gateway.yaml:4:14: a merge key (<<) needs a mapping`)
	f(base+"server: {<<: {lisen: x}}\n", `gateway.yaml:4:15: unknown field "lisen" in server; did you mean "listen"?`)
	f(base+"server: &s {<<: *s}\n", `gateway.yaml:4:17: merge keys refer to each other in a loop`)
	f(base+"chain: &c [*c]\n", `gateway.yaml:4:8: chain[0] must be text, not a list`)

	bomb := "version: 1\nproviders: [{name: sim, type: sim}]\nmodels:\n  - name: a\n    targets: &t\n" +
		strings.Repeat("      - {provider: sim}\n", 1000) + strings.Repeat("  - {name: a, targets: *t}\n", 1000)
	if got := mistakes(t, bomb); !strings.Contains(got, "the aliases of this file expand to too much") {
		t.Errorf("an alias bomb gave\n%.500s", got)
	}
}

func TestReferences(t *testing.T) {
	t.Setenv("EMPTY", "")
	t.Setenv("ADDRESS", "nowhere")
	f := func(listen, want string) {
		t.Helper()
		expect(t, mistakes(t, base+"server: {listen: \""+listen+"\"}\n", "empty", "\n", "secrets/one", "x"), want)
	}
	f("${env:SLUICE_TEST_UNSET}", `gateway.yaml:4:18: environment variable SLUICE_TEST_UNSET is not set`)
	f("${env:EMPTY}", `gateway.yaml:4:18: environment variable EMPTY is empty`)
	f("${env:SLUICE_TEST_UNSET}:${file:none}", `
		gateway.yaml:4:18: environment variable SLUICE_TEST_UNSET is not set
		gateway.yaml:4:18: file none cannot be read: no such file or directory`)
	f("${file:/nowhere/secret}", `gateway.yaml:4:18: file /nowhere/secret cannot be read: no such file or directory`)
	f("${file:secrets}", `gateway.yaml:4:18: file secrets cannot be read: it is not a regular file`)
	f("${file:empty}", `gateway.yaml:4:18: file empty is empty`)
	f("${HOME}", `gateway.yaml:4:18: a reference is neither ${env:NAME} nor ${file:/path}; write $${ for a plain ${`)
	f("${env:HOME", `gateway.yaml:4:18: a reference begins with ${ and does not end; close it with }, or write $${ for a plain ${`)
	// A message shows the reference, not what it stands for: that may be secret.
	f("${env:ADDRESS}", `gateway.yaml:4:18: server.listen: "${env:ADDRESS}" is not an address; write host:port, such as 127.0.0.1:8080 or :8080`)
	expect(t, mistakes(t, base+"server: {heartbeat: \"${env:ADDRESS}\"}\n"),
		`gateway.yaml:4:21: server.heartbeat: "${env:ADDRESS}" is not a duration; write a number with a unit, such as 500ms, 30s or 10m`)
}

func TestServer(t *testing.T) {
	f := func(server, want string) {
		t.Helper()
		expect(t, mistakes(t, base+"server: {"+server+"}\n", "server.pem", "x"), want)
	}
	f("listen: localhost", `gateway.yaml:4:18: server.listen: "localhost" is not an address; write host:port, such as 127.0.0.1:8080 or :8080`)
	f("listen: ':99999'", `gateway.yaml:4:18: server.listen: ":99999" is not an address; write host:port, such as 127.0.0.1:8080 or :8080`)
	f("admin_listen: '127.0.0.1:8080'", `gateway.yaml:4:24: server.admin_listen is the same address as server.listen`)
	f("max_head: 4095", `gateway.yaml:4:20: server.max_head (4095B) is not between 4KiB and 64KiB`)
	f("max_head: 65KiB", `gateway.yaml:4:20: server.max_head (65KiB) is not between 4KiB and 64KiB`)
	f("max_body: 0", `gateway.yaml:4:20: server.max_body must be more than 0`)
	f("max_body: 2GiB", `gateway.yaml:4:9: server.max_in_flight_body (1GiB) is less than server.max_body (2GiB)`)
	f("read_timeout: 0, idle_timeout: 0, write_timeout: 0s", `
		gateway.yaml:4:24: server.read_timeout must be more than 0
		gateway.yaml:4:41: server.idle_timeout must be more than 0
		gateway.yaml:4:59: server.write_timeout must be more than 0`)
	f("websocket: {grace: 0, keep: 0, max_exchanges: 0}", `
		gateway.yaml:4:29: server.websocket.grace must be more than 0
		gateway.yaml:4:38: server.websocket.keep must be more than 0
		gateway.yaml:4:56: server.websocket.max_exchanges: "0" is less than 1`)
	f("websocket: {keep_all: 1KiB}", `gateway.yaml:4:32: server.websocket.keep_all (1KiB) is less than server.websocket.keep (1MiB)`)
	f("tls: {cert: server.pem}", `gateway.yaml:4:15: server.tls needs both cert and key`)
	f("tls: {cert: server.pem, key: none.key}", `gateway.yaml:4:39: server.tls.key: "none.key" cannot be read: no such file or directory`)
	f(`cors: {origins: ["*", "https://a.example", "https://a.example/", app.example]}`, `
		gateway.yaml:4:53: server.cors.origins[2]: "https://a.example/" is not an origin; write scheme://host[:port] without a path, such as https://app.example, or "*"
		gateway.yaml:4:75: server.cors.origins[3]: "app.example" is not an origin; write scheme://host[:port] without a path, such as https://app.example, or "*"`)
}

func TestProviders(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	t.Setenv("LINES", "sk-1\nX-Evil: 1")
	f := func(provider, want string) {
		t.Helper()
		gateway := "version: 1\nmodels: [{name: demo, targets: [{provider: a}]}]\nproviders:\n  - {name: a, " + provider + "}\n"
		expect(t, mistakes(t, gateway), want)
	}
	key := `keys: [{name: k, key: "${env:KEY}"}]`
	f("type: bedrock", `gateway.yaml:4:21: providers[0].type: "bedrock" is not one of `+strings.Join(config.ProviderTypes(), ", "))
	f("type: opnai", `gateway.yaml:4:21: providers[0].type: "opnai" is not one of `+strings.Join(config.ProviderTypes(), ", ")+`; did you mean "openai"?`)
	f("type: sim}\n  - {name: a, type: sim", `gateway.yaml:5:12: provider "a" is defined twice; the first is providers[0]`)
	f("type: sim}\n  - {name: 'a b', type: sim", `gateway.yaml:5:12: providers[1].name: "a b" is not a name; use printable ASCII without spaces, up to 256 characters`)
	f("type: sim}\n  - {name: 'a~b', type: sim", `gateway.yaml:5:12: providers[1].name: "a~b" does not fit into a URL; the name stands in the ids of files and batches: leave out ~ / % ? # " and \`)
	f("type: sim}\n  - {name: 'a\"b', type: sim", `gateway.yaml:5:12: providers[1].name: "a\"b" does not fit into a URL; the name stands in the ids of files and batches: leave out ~ / % ? # " and \`)
	f("type: anthropic", `gateway.yaml:4:5: providers[0].keys is missing: type anthropic needs a key`)
	f("type: azure, "+key, `gateway.yaml:4:5: providers[0].base_url is missing; write where the API begins, such as https://my-resource.openai.azure.com`)
	f("type: openai, api_version: 2024-10-21, "+key, `gateway.yaml:4:42: providers[0].api_version has no meaning for type openai`)
	f("type: openai", `gateway.yaml:4:5: providers[0].keys is missing: type openai needs a key`)
	f("type: openai-compatible", `gateway.yaml:4:5: providers[0].base_url is missing; write where the API begins, such as http://openai-compatible:8000/v1`)
	f("type: openai-compatible, base_url: vllm", `gateway.yaml:4:50: providers[0].base_url is not a URL; write http:// or https://, a host and a path`)
	f("type: openai-compatible, base_url: 'http://u:p@vllm'", `gateway.yaml:4:50: providers[0].base_url holds a user name or a password; use keys or headers`)
	f("type: openai-compatible, base_url: 'http://vllm?x=1'", `gateway.yaml:4:50: providers[0].base_url holds a query or a fragment`)
	f("type: openai-compatible, base_url: 'http://vllm', organization: x, project: y", `
		gateway.yaml:4:79: providers[0].organization has no meaning for type openai-compatible; use headers
		gateway.yaml:4:91: providers[0].project has no meaning for type openai-compatible; use headers`)
	f("type: sim, base_url: 'http://vllm', proxy: env, "+key, `
		gateway.yaml:4:36: providers[0].base_url has no meaning for type sim, which uses no network
		gateway.yaml:4:58: providers[0].proxy has no meaning for type sim, which uses no network
		gateway.yaml:4:69: providers[0].keys has no meaning for type sim, which uses no network`)
	f("type: ollama, merge_embeddings: 2s", `gateway.yaml:4:47: providers[0].merge_embeddings: 2s is not between 0s and 1s; a few milliseconds are enough`)
	f("type: openai, sim: {}, "+key, `gateway.yaml:4:34: providers[0].sim has no meaning for type openai`)
	f("type: sim, sim: {tokens_per_second: 0, jitter: 101%}", `
		gateway.yaml:4:51: providers[0].sim.tokens_per_second: "0" is not more than 0
		gateway.yaml:4:62: providers[0].sim.jitter: "101%" is not between 0% and 100%; write it as 20% or as 0.2`)
	f("type: openai, proxy: 'ftp://x', "+key, `gateway.yaml:4:36: providers[0].proxy is not a proxy; write "env", "none", or a URL that begins with http:// or https://`)
	f("type: openai, timeouts: {connect: 0, total: 0}, max_event: 0, "+key, `
		gateway.yaml:4:49: providers[0].timeouts.connect must be more than 0
		gateway.yaml:4:59: providers[0].timeouts.total must be more than 0
		gateway.yaml:4:74: providers[0].max_event must be more than 0`)
	f("type: openai, max_response: 2GiB, "+key, `gateway.yaml:4:43: providers[0].max_response (2GiB) is more than server.max_in_flight_response (1GiB)`)
	f(`type: openai, keys: [{name: k, key: "${env:KEY}", weight: 0}]`, `gateway.yaml:4:35: the weights of providers[0].keys sum up to 0`)
	f(`type: openai, keys: [{name: k, key: "${env:KEY}", disabled: true}]`, `gateway.yaml:4:35: all of providers[0].keys are disabled; disable the targets that name the provider, or leave it out`)
	f(`type: openai, keys: [{name: k, key: "${env:KEY}", weight: 0}, {name: l, key: "${env:KEY}", disabled: true}]`, `gateway.yaml:4:35: the weights of providers[0].keys sum up to 0`)
	f(`type: openai, keys: [{name: k, key: "${env:KEY}"}, {name: k, key: ""}]`, `
		gateway.yaml:4:73: key "k" is defined twice; the first is providers[0].keys[0]
		gateway.yaml:4:81: providers[0].keys[1].key is empty`)
	f(`type: openai, keys: [{name: k, key: "${env:LINES}"}]`, `gateway.yaml:4:51: providers[0].keys[0].key holds a line break or another control character; a key is one line`)
	f(`type: openai, organization: "a\nb", `+key, `gateway.yaml:4:43: providers[0].organization holds a line break or another control character`)
	f(`type: openai, headers: [{name: "a b", value: "${env:KEY}"}, {name: Host, value: "${env:KEY}"}, {name: authorization, value: "${env:KEY}"}], `+key, `
		gateway.yaml:4:46: providers[0].headers[0].name: "a b" is not a header's name
		gateway.yaml:4:82: providers[0].headers[1].name: header Host is set by the gateway
		gateway.yaml:4:117: providers[0].headers[2].name: header authorization is set from the keys; take away the keys or the header`)
	f(`type: openai, headers: [{name: X-A, value: "${env:KEY}"}, {name: x-a, value: "${env:LINES}"}], `+key, `
		gateway.yaml:4:80: header x-a is defined twice; the first is providers[0].headers[0]
		gateway.yaml:4:92: providers[0].headers[1].value holds a line break or another control character`)
}

func TestModels(t *testing.T) {
	f := func(models, want string) {
		t.Helper()
		expect(t, mistakes(t, "version: 1\nproviders: [{name: openai, type: sim}]\nmodels:\n"+models), want)
	}
	to := "targets: [{provider: openai}]"
	f("  - {name: a, targets: [{provider: opnai}]}\n", `gateway.yaml:4:36: models[0].targets[0].provider: "opnai" is not defined; did you mean "openai"?`)
	f("  - {name: a, targets: []}\n", `gateway.yaml:4:24: models[0].targets is empty`)
	f("  - {name: a, strategy: weighted, targets: [{provider: openai, weight: 0}]}\n", `gateway.yaml:4:44: the weights of models[0].targets sum up to 0`)
	f("  - {name: a, targets: [{provider: openai, disabled: true}]}\n", `gateway.yaml:4:24: all of models[0].targets are disabled; leave the model out`)
	f("  - {name: a, targets: [{provider: openai, disabled: true}, {provider: openai}]}\n", ``)
	f("  - {name: a, strategy: cheapest, "+to+"}\n", `gateway.yaml:4:25: models[0].strategy: "cheapest" is not one of ordered, weighted, least_latency, least_cost`)
	f("  - {name: a, "+to+"}\n  - {name: a, "+to+"}\n", `gateway.yaml:5:12: the name "a" is taken by models[0].name`)
	f("  - {name: a, aliases: [b, c], "+to+"}\n  - {name: b, aliases: [c], "+to+"}\n", `
		gateway.yaml:4:25: the name "b" is taken by models[1].name
		gateway.yaml:5:25: the name "c" is taken by models[0].aliases[1]`)
	f("  - {name: a, aliases: [a, 'x*'], "+to+"}\n", `
		gateway.yaml:4:25: the name "a" is taken by models[0].name
		gateway.yaml:4:28: models[0].aliases[1]: an alias cannot have a *`)
	f("  - {name: '*a*', "+to+"}\n", `gateway.yaml:4:12: models[0].name: "*a*" has more than one *`)
	f("  - {name: 'a*', aliases: [b], "+to+"}\n", `gateway.yaml:4:28: models[0].aliases[0]: a model whose name has a * cannot have an alias`)
	f("  - {name: a, targets: [{provider: openai, model: 'x*'}]}\n", `gateway.yaml:4:51: models[0].targets[0].model: "x*" needs exactly one * in the model's name too`)
	f("  - {name: a, fallback: [b, bb, a1], "+to+"}\n  - {name: b, "+to+"}\n  - {name: 'a*', "+to+"}\n", `gateway.yaml:4:29: models[0].fallback[1]: "bb" is not defined; did you mean "b"?`)
	f("  - {name: a, fallback: [a], "+to+"}\n", `gateway.yaml:4:26: fallback loop: a -> a`)
	f("  - {name: a, fallback: [b], "+to+"}\n  - {name: b, aliases: [bee], fallback: [c], "+to+"}\n  - {name: c, fallback: [bee], "+to+"}\n",
		`gateway.yaml:6:26: fallback loop: b -> c -> b`)
	f("  - {name: gpt-*, fallback: [b], "+to+"}\n  - {name: b, fallback: [gpt-9], "+to+"}\n", `gateway.yaml:5:26: fallback loop: gpt-* -> b -> gpt-*`)
	f("  - {name: a, fallback: [b, c], "+to+"}\n  - {name: b, fallback: [d], "+to+"}\n  - {name: c, fallback: [d], "+to+"}\n  - {name: d, "+to+"}\n", ``)
}

// strict is a plugin's settings.
type strict struct {
	Mode  string           `yaml:"mode" jsonschema:"enum=soft,enum=hard"`
	Exact exact            `yaml:"exact"`
	Extra map[string]exact `yaml:"extra,omitempty"`
	Opt   *exact           `yaml:"opt,omitempty"`
}

type exact struct {
	Size config.Bytes  `yaml:"size"`
	Key  config.Secret `yaml:"key,omitempty"`
}

func (s *strict) Validate() error {
	var err error
	if s.Exact.Size == 0 {
		err = errors.Join(err, &config.FieldError{Field: "exact.size", Message: "is nothing", Hint: "write more"})
	}
	if s.Mode == "hard" {
		err = errors.Join(err, errors.New("hard is too hard"))
	}
	return err
}

func plugins() map[string]any {
	return map[string]any{
		"telemetry": &struct{}{}, "ledger": &struct{}{}, "auth": &struct{}{}, "quota": &struct{}{}, "routing": &struct{}{},
		"cache": &strict{Mode: "soft", Exact: exact{Size: 7}, Opt: &exact{Size: 9}},
	}
}

func TestPlugins(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		folder(t, "gateway.yaml", base+more)
		_, err := load(config.Options{Plugins: plugins()})
		if err == nil {
			err = errors.New("")
		}
		expect(t, err.Error(), want)
	}
	f("chain: [telemetry, authh, routing, telemetry, sequins]\n", `
		gateway.yaml:4:20: unknown plugin "authh" in chain; did you mean "auth"?
		gateway.yaml:4:36: chain[3]: "telemetry" is in the list already, as chain[0]
		gateway.yaml:4:47: unknown plugin "sequins" in chain; plugins: auth, cache, ledger, quota, routing, telemetry`)
	f("chain: []\n", `
		gateway.yaml:4:8: chain lacks auth, without which no request has a tenant; add auth
		gateway.yaml:4:8: chain lacks routing, without which no request has a target; add routing`)
	f("chain: [telemetry, routing]\n", `gateway.yaml:4:8: chain lacks auth, without which no request has a tenant; add auth`)
	f("chain: [routing, telemetry, auth]\n", `gateway.yaml:4:9: routing stands before auth, but needs the tenant that auth finds; write auth first`)
	f("plugins:\n  cach: {}\n  auth: {x: 1}\n", `
		gateway.yaml:5:3: unknown plugin "cach" in plugins; did you mean "cache"?
		gateway.yaml:6:10: unknown field "x" in plugins.auth`)
	f("plugins: {cache: {mode: sort, exact: {syze: 1}, opt: {size: -1B}, extra: {a: {size: x}}}}\n", `
		gateway.yaml:4:25: plugins.cache.mode: "sort" is not one of soft, hard; did you mean "soft"?
		gateway.yaml:4:39: unknown field "syze" in plugins.cache.exact; did you mean "size"?
		gateway.yaml:4:61: plugins.cache.opt.size: "-1B" is negative
		gateway.yaml:4:85: plugins.cache.extra.a.size: "x" is not a size; write a number with a unit, such as 32MiB, or a number of bytes`)
	f("plugins:\n  cache: {mode: hard, exact: {size: 0}}\n", `
		gateway.yaml:5:10: plugins.cache: hard is too hard
		gateway.yaml:5:37: plugins.cache.exact.size: is nothing; write more`)
}

func TestPrototypes(t *testing.T) {
	folder(t, "gateway.yaml", base)
	_, err := load(config.Options{Plugins: map[string]any{"cache": strict{}}})
	expect(t, err.Error(), `config: the settings of plugin cache are a config_test.strict, not a pointer to a struct`)
}

func TestTenants(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	t.Setenv("LINES", "a\nb")
	f := func(tenant, want string) {
		t.Helper()
		expect(t, mistakes(t, base+"tenants: {dir: t}\n", "t/acme.yaml", "version: 1\n"+tenant), want)
	}
	f("id: acme\nkeys: [{name: a, digest: '"+digest("a")+"'}]\n", ``)
	f("id: acme2\n", `t/acme.yaml:2:5: the id "acme2" is not the file's name, "acme"; rename one of them`)
	f("id: Acme\n", `t/acme.yaml:2:5: id: "Acme" does not match ^[a-z0-9][a-z0-9_.-]{0,62}$; write up to 63 lower-case letters, digits and . _ -`)
	f("name: x\n", `t/acme.yaml:1:1: id is missing; write up to 63 lower-case letters, digits and . _ -`)
	f("id: acme\nguards: {}\nkeys: [{name: a, diggest: x}]\n", `
		t/acme.yaml:3:1: unknown field "guards"; fields here: version, id, name, disabled, keys, models, credentials, priority, overrides, jwt, limits, budgets, cache, trace_content, cors
		t/acme.yaml:4:8: keys[0].digest is missing; write sha256: or hmac-sha256: and 64 hexadecimal digits
		t/acme.yaml:4:18: unknown field "diggest" in keys[0]; did you mean "digest"?`)
	f("id: acme\nkeys: [{name: a, digest: 'md5:00', expires: never, disabled: yes}]\n", `
		t/acme.yaml:3:26: keys[0].digest: "md5:00" does not match ^(hmac-)?sha256:[0-9a-f]{64}$; write sha256: or hmac-sha256: and 64 hexadecimal digits
		t/acme.yaml:3:45: keys[0].expires: "never" is not a date; write it as 2027-01-31 or 2027-01-31T12:00:00Z
		t/acme.yaml:3:62: keys[0].disabled: "yes" is not true or false`)
	f("id: acme\nkeys:\n  - {name: a, digest: '"+digest("a")+"'}\n  - {name: a, digest: '"+digest("a")+"'}\n", `
		t/acme.yaml:5:12: key "a" is defined twice; the first is keys[0]
		t/acme.yaml:5:23: the digest is that of keys[0].digest in t/acme.yaml`)
	f("id: acme\nmodels: {allow: ['gpt-*', ''], deny: ['a b']}\n", `
		t/acme.yaml:3:27: models.allow[1]: "" is not the pattern of a name; use printable ASCII without spaces, up to 256 characters
		t/acme.yaml:3:39: models.deny[0]: "a b" is not the pattern of a name; use printable ASCII without spaces, up to 256 characters`)
	f(`id: acme`+"\n"+`credentials: [{provider: smi, key: "${env:KEY}"}, {provider: sim, key: "${env:LINES}"}, {provider: sim, key: "${env:KEY}"}]`, `
		t/acme.yaml:3:26: credentials[0].provider: "smi" is not defined; did you mean "sim"?
		t/acme.yaml:3:62: credentials[1].provider: "sim" is simulated and takes no key
		t/acme.yaml:3:72: credentials[1].key holds a line break or another control character; a key is one line
		t/acme.yaml:3:100: provider "sim" has a credential already: credentials[1]`)
	f("id: acme\ncors: {origins: [x]}\n", `t/acme.yaml:3:18: cors.origins[0]: "x" is not an origin; write scheme://host[:port] without a path, such as https://app.example, or "*"`)
	f("id: [\n", `t/acme.yaml:3:1: this is not YAML: did not find expected node content`)
}

func TestTenantsTogether(t *testing.T) {
	f := func(tenants, want string, more ...string) {
		t.Helper()
		expect(t, mistakes(t, base+"tenants: {"+tenants+"}\n", more...), want)
	}
	tenant := func(id, letter string) string {
		return "version: 1\nid: " + id + "\nkeys: [{name: k, digest: '" + digest(letter) + "'}]\n"
	}
	f("dir: t", `t/b.yml:3:26: the digest is that of keys[0].digest in t/a.yaml`,
		"t/a.yaml", tenant("a", "1"), "t/b.yml", tenant("b", "1"), "t/.c.yaml", tenant("c", "1"), "t/notes.txt", "x")
	f("dir: t", `t/a.yml:2:5: the id "a" is that of id in t/a.yaml`, "t/a.yaml", tenant("a", "1"), "t/a.yml", tenant("a", "2"))
	f("dir: t, anonymous: acm", `gateway.yaml:4:30: tenants.anonymous: "acm" is not defined; did you mean "acme"?`, "t/acme.yaml", tenant("acme", "1"))
	f("anonymous: acme", `gateway.yaml:4:22: tenants.anonymous: "acme" is not defined; tenants: deny`)
	f("dir: t", `t/deny.yaml:2:5: the id "deny" is taken: tenants.anonymous has a meaning for it`, "t/deny.yaml", tenant("deny", "1"))
	f("dir: gateway.yaml", `gateway.yaml:4:16: the tenants folder gateway.yaml cannot be read: not a directory`)
	f("dir: t", `t/a.yaml: the file cannot be read: it is not a regular file`, "t/a.yaml/x", "")
}

// Everything that is wrong, anywhere, is told at once, by file and line, with the line and a caret under the mistake.
func TestAllAtOnce(t *testing.T) {
	folder(t, "configs/gateway.yaml", `version: 1
server: {listen: nowhere}
providers:
  - name: openai
    type: openai
    keys:
      - {name: main, key: "${env:SLUICE_TEST_UNSET}"}
      # a comment
    timeout: {connect: 2s}
models:
  - name: gpt-4.1-mini
    targets: [{provider: opnai}]
`, "configs/tenants/acme.yaml", `version: 1
id: acme
credentials:
  - {provider: opanai, key: "${file:/nowhere}"}
`, "configs/tenants/b.yaml", "id: b\n")
	t.Setenv("SLUICE_RETRIES_MAX", "often")
	_, err := config.NewLoader(config.Options{Path: "configs/gateway.yaml"}).Load()
	var p config.Problems
	if !errors.As(err, &p) {
		t.Fatal(err)
	}
	expect(t, p.Text(), `
configs/gateway.yaml:2:18: server.listen: "nowhere" is not an address; write host:port, such as 127.0.0.1:8080 or :8080
 2 | server: {listen: nowhere}
   |                  ^
configs/gateway.yaml:7:27: environment variable SLUICE_TEST_UNSET is not set
 7 |       - {name: main, key: "${env:SLUICE_TEST_UNSET}"}
   |                           ^
configs/gateway.yaml:9:5: unknown field "timeout" in providers[0]; did you mean "timeouts"?
 9 |     timeout: {connect: ***}
   |     ^
configs/gateway.yaml:12:26: models[0].targets[0].provider: "opnai" is not defined; did you mean "openai"?
 12 |     targets: [{provider: opnai}]
    |                          ^
configs/tenants/acme.yaml:4:16: credentials[0].provider: "opanai" is not defined; did you mean "openai"?
 4 |   - {provider: opanai, key: "${file:/nowhere}"}
   |                ^
configs/tenants/acme.yaml:4:29: file /nowhere cannot be read: no such file or directory
 4 |   - {provider: opanai, key: "${file:/nowhere}"}
   |                             ^
configs/tenants/b.yaml:1:1: version is missing
 1 | id: b
   | ^
environment variable SLUICE_RETRIES_MAX: retries.max: "often" is not a whole number`)

	out, err := json.Marshal(p[2])
	if err != nil {
		t.Fatal(err)
	}
	expect(t, string(out), `{"file":"configs/gateway.yaml","line":9,"column":5,"path":"providers[0].timeout","message":"unknown field \"timeout\" in providers[0]","hint":"did you mean \"timeouts\"?","source":"    timeout: {connect: ***}"}`)
}

// What is allowed but better otherwise is told, whether there are mistakes or not.
func TestWarningsBesideMistakes(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		folder(t, "gateway.yaml", base+more)
		l := config.NewLoader(config.Options{Path: "gateway.yaml"})
		if cfg, err := l.Load(); err == nil && cfg.Warnings.Error() != l.Warnings().Error() {
			t.Errorf("the configuration has other warnings:\n%v", cfg.Warnings)
		}
		expect(t, l.Warnings().Error(), want)
	}
	f("tenants: {dir: gone}\n", `gateway.yaml:4:16: the tenants folder gone does not exist: nobody can call; make it and put a file for each tenant into it`)
	f("tenants: {dir: gone}\nservers: {}\n", `gateway.yaml:4:16: the tenants folder gone does not exist: nobody can call; make it and put a file for each tenant into it`)
	f("tenants: {dir: ..}\n", ``)
	t.Setenv("SLUICE_TENANTS_DIR", "lost")
	f("", `environment variable SLUICE_TENANTS_DIR: the tenants folder lost does not exist: nobody can call; make it and put a file for each tenant into it`)
}

// A file of another version has no other mistakes: they may be none there.
func TestOtherVersion(t *testing.T) {
	f := func(gateway, tenant, want string) {
		t.Helper()
		expect(t, mistakes(t, gateway, "tenants/acme.yaml", tenant), want)
	}
	const good = "version: 1\nid: acme\n"
	f("version: 2\nguards: {}\ntenants: {anonymous: nobody}\n", good, `gateway.yaml:1:10: version: "2" is not 1`)
	f("version: '1'\nproviders: []\nmodels: []\n", good, `
		gateway.yaml:1:10: version must be a number, not text; take away the quotes
		gateway.yaml:2:12: providers is empty
		gateway.yaml:3:9: models is empty`)
	f(base, "id: b\nguards: {}\nversion: 2\n", `tenants/acme.yaml:3:10: version: "2" is not 1`)
	f("guards: {}\nversion: 2\n", "version: 3\nid: acme\n", `gateway.yaml:2:10: version: "2" is not 1`)
}

// Endpoints are checked against those that the caller of the loader knows.
func TestEndpoints(t *testing.T) {
	known := []string{"chat.completions", "completions", "embeddings", "messages", "messages.count_tokens", "responses.create", "responses.delete"}
	f := func(endpoints, want string) {
		t.Helper()
		folder(t, "gateway.yaml", "version: 1\nmodels: [{name: m, targets: [{provider: a}]}]\nproviders:\n"+
			"  - name: a\n    type: vllm\n    base_url: http://vllm:8000/v1\n    endpoints: "+endpoints+"\n")
		_, err := load(config.Options{Endpoints: known})
		if err == nil {
			err = errors.New("")
		}
		expect(t, err.Error(), want)
	}
	f(`[messages, embeddings]`, "")
	f(`[chat.completion]`, `gateway.yaml:7:17: providers[0].endpoints[0]: there is no endpoint "chat.completion"; did you mean "chat.completions"?`)
	f(`[embeddings, responses]`, `gateway.yaml:7:29: providers[0].endpoints[1]: there is no endpoint "responses"; endpoints like it: responses.create, responses.delete`)
	f(`[count_tokens]`, `gateway.yaml:7:17: providers[0].endpoints[0]: there is no endpoint "count_tokens"; endpoints like it: messages.count_tokens`)
	f(`[/v1/realtime]`, `gateway.yaml:7:17: providers[0].endpoints[0]: there is no endpoint "/v1/realtime"`)
	known = nil
	f(`[whatever]`, "")
}
