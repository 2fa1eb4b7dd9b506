package config_test

import (
	"testing"

	"github.com/sluice-ai/sluice/config"
)

// Where no secrets are needed, references to what is missing stand for themselves, and are warnings.
func TestUnresolved(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	gateway := `version: 1
server: {heartbeat: "${env:SLUICE_TEST_BEAT}", tls: {cert: "${env:SLUICE_TEST_CERT}", key: "${env:SLUICE_TEST_CERT}"}}
providers:
  - {name: a, type: openai, keys: [{name: k, key: "${env:SLUICE_TEST_KEY}"}, {name: l, key: "${env:KEY}"}]}
  - {name: b, type: openai-compatible, base_url: "${env:SLUICE_TEST_BASE}", headers: [{name: x, value: "${file:none}"}]}
models: [{name: demo, targets: [{provider: a}]}]
telemetry: {log: {level: "${env:SLUICE_TEST_LEVEL}"}}
`
	folder(t, "gateway.yaml", gateway, "tenants/acme.yaml",
		"version: 1\nid: acme\ncredentials: [{provider: a, key: \"${env:SLUICE_TEST_KEY}\", base_url: \"${env:SLUICE_TEST_BASE}\"}]\n")
	cfg := loaded(t, config.Options{Unresolved: true})
	expect(t, cfg.Warnings.Error(), `
		gateway.yaml:2:21: environment variable SLUICE_TEST_BEAT is not set
		gateway.yaml:2:60: environment variable SLUICE_TEST_CERT is not set
		gateway.yaml:2:92: environment variable SLUICE_TEST_CERT is not set
		gateway.yaml:4:51: environment variable SLUICE_TEST_KEY is not set
		gateway.yaml:5:50: environment variable SLUICE_TEST_BASE is not set
		gateway.yaml:5:104: file none cannot be read: no such file or directory
		gateway.yaml:7:26: environment variable SLUICE_TEST_LEVEL is not set
		tenants/acme.yaml:3:34: environment variable SLUICE_TEST_KEY is not set
		tenants/acme.yaml:3:70: environment variable SLUICE_TEST_BASE is not set`)
	keys := cfg.Providers[0].Keys
	if keys[0].Key.Reveal() != "${env:SLUICE_TEST_KEY}" || keys[1].Key.Reveal() != "sk-1" {
		t.Errorf("the keys are %s and %s", keys[0].Key.Reveal(), keys[1].Key.Reveal())
	}
	if cfg.Server.Heartbeat == 0 || cfg.Providers[1].BaseURL != "${env:SLUICE_TEST_BASE}" {
		t.Errorf("heartbeat %s, base_url %s", cfg.Server.Heartbeat, cfg.Providers[1].BaseURL)
	}
	if got := cfg.Origins["providers[0].keys[0].key"]; got != "${env:SLUICE_TEST_KEY}" {
		t.Errorf("the key comes from %s", got)
	}

	// What is no reference is a mistake as ever, and so is everything else.
	write(t, "gateway.yaml", base+"server: {listen: \"${HOME}\", admin_listen: here}\n")
	_, err := load(config.Options{Unresolved: true})
	if err == nil {
		t.Fatal("no mistake was found")
	}
	expect(t, err.Error(), `
		gateway.yaml:4:18: a reference is neither ${env:NAME} nor ${file:/path}; write $${ for a plain ${
		gateway.yaml:4:43: server.admin_listen: "here" is not an address; write host:port, such as 127.0.0.1:8080 or :8080
		tenants/acme.yaml:3:26: credentials[0].provider: "a" is not defined; providers: sim`)
}
