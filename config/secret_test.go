package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
)

// canary must not be seen anywhere.
const canary = "sk-Canary7Canary7Canary7"

func clean(t *testing.T, what, text string) {
	t.Helper()
	for _, piece := range []string{canary, canary[3:], fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(text, piece) {
			t.Errorf("%s shows the secret:\n%s", what, text)
		}
	}
}

func TestSecretPrints(t *testing.T) {
	s := config.NewSecret(canary)
	if s.Reveal() != canary {
		t.Errorf("Reveal() = %q", s.Reveal())
	}
	type hidden struct{ inner config.Secret }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%T", "%10s"} {
		for _, v := range []any{s, &s, hidden{s}, &hidden{s}, []config.Secret{s}, map[string]config.Secret{"k": s}, config.Key{Key: s}} {
			clean(t, fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
		}
	}
	if got := fmt.Sprintf("%v %s %#v %q", s, s, s, s); got != "*** *** *** ***" {
		t.Errorf("printed as %s", got)
	}
	if got := fmt.Sprint(config.Secret{}); got != "" {
		t.Errorf("an empty secret printed as %q", got)
	}
	type all struct {
		Key  config.Secret
		Keys map[config.Secret]config.Secret
	}
	v := all{s, map[config.Secret]config.Secret{s: s}}
	for name, marshal := range map[string]func(any) ([]byte, error){
		"json": json.Marshal, "yaml": yaml.Marshal, "dump": func(v any) ([]byte, error) { return yaml.Dump(v) },
	} {
		out, err := marshal(v)
		clean(t, name, string(out))
		if err != nil || !strings.Contains(string(out), "***") {
			t.Errorf("%s: %s %v", name, out, err)
		}
	}
}

func TestSecretLogs(t *testing.T) {
	s := config.NewSecret(canary)
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", s, "keys", []config.Secret{s}, "provider", config.Provider{Keys: []config.Key{{Key: s}}})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", s, "provider", config.Provider{Keys: []config.Key{{Key: s}}})
	for _, enc := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		zap.New(zapcore.NewCore(enc, zapcore.AddSync(&out), zap.DebugLevel)).Info("x",
			zap.Any("key", s), zap.Stringer("key", s), zap.Reflect("key", s), zap.Any("provider", config.Provider{Keys: []config.Key{{Key: s}}}))
	}
	clean(t, "a log", out.String())
	if strings.Count(out.String(), "***") < 10 {
		t.Errorf("logged:\n%s", out.String())
	}
}

func TestSecretEquality(t *testing.T) {
	a, b := config.NewSecret("one"+"two"), config.NewSecret("onetwo")
	if a != b || !reflect.DeepEqual(config.Key{Key: a}, config.Key{Key: b}) {
		t.Error("equal secrets differ")
	}
	if c := config.NewSecret("other"); a == c || reflect.DeepEqual(a, c) {
		t.Error("different secrets are equal")
	}
	if !config.NewSecret("").IsZero() || (config.Secret{}).Reveal() != "" {
		t.Error("an empty secret is not the zero value")
	}
}

// A secret that is written out in a file, wherever it got to, is in no message and no source line.
func TestSecretInFile(t *testing.T) {
	t.Setenv("CANARY", canary)
	f := func(gateway string) {
		t.Helper()
		folder(t, "gateway.yaml", strings.ReplaceAll(gateway, "CANARY!", canary), "canary.txt", canary)
		_, err := load(config.Options{Plugins: plugins()})
		var p config.Problems
		if !errors.As(err, &p) {
			t.Fatalf("no problems: %v", err)
		}
		clean(t, "a message", err.Error())
		clean(t, "a source line", p.Text())
		out, _ := json.Marshal(p)
		clean(t, "JSON", string(out))
	}
	openai := "version: 1\nmodels: [{name: a, targets: [{provider: a}]}]\nproviders:\n  - name: a\n    type: openai\n"
	keys := func(key string) string { return openai + "    keys:\n      - " + key + "\n" }
	// On the line of a mistake.
	f(keys(`{name: k, key: CANARY!, wait: 3}`))
	f(keys(`{name: k, key: "CANARY!", wait: 3}`))
	f(keys(`{name: k, key: 'CANARY!', wait: 3}`))
	f(keys(`{name: k, key: &a CANARY!, wait: 3}`))
	f(keys(`{name: k, key: !!str CANARY!, wait: 3}`))
	f(keys(`{name: k, wait: 3, key: "a\tCANARY!"}`))
	f(keys(`{name: k, wait: 3, key: "${env:SLUICE_TEST_UNSET:-CANARY!}"}`))
	f(keys("{name: k, key: \"CANARY!\n        CANARY!\", wait: 3}"))
	f(keys("{name: k, key: x\n        CANARY!, wait: 3}"))
	f(keys("{name: k, wait: 3} # CANARY!"))
	f(keys("wait: 3 # CANARY!\n        name: k"))
	f(keys("name: k # CANARY!\n        wait: 3"))
	f(keys("wait: | # CANARY!\n          x"))
	// As a mistake.
	f(keys("{name: k, key: [CANARY!]}"))
	f(keys("{name: k, key: {CANARY!}}"))
	f(keys("{name: k, key: {a: CANARY!}}"))
	f(keys("{name: k, key: !x CANARY!}"))
	f(keys("{name: k, key: CANARY!, key: CANARY!}"))
	f(keys(`{name: k, key: "CANARY!\n"}`))
	f(keys("{name: k, keyy: CANARY!}"))
	f(keys("CANARY!"))
	f(openai + "    keys: CANARY!\n")
	f(openai + "    keys: {k: CANARY!}\n")
	f(openai + "    api_key: CANARY!\n")
	f(openai + "    api_key: |\n      CANARY!\n    timeout: 3\n")
	f(openai + "    api_key: >-\n      a\n      CANARY!\n")
	f(openai + "    base_url: 'https://user:CANARY!@x'\n")
	f(openai + "    proxy: 'ftp://user:CANARY!@x'\n")
	f(openai + "    headers: {Authorization: Bearer CANARY!}\n")
	f(openai + "    headers: [{name: X, value: Bearer CANARY!, wait: 1}]\n")
	f(base + "plugins: {cache: {exact: {size: x, key: CANARY!}, secret: CANARY!}}\n")
	// Not YAML at all.
	f(keys(`{name: k, key: "CANARY!}`))
	f(keys("{name: k, key: @CANARY!}"))
	f(keys("{name: k, key: *CANARY!}"))
	f(keys("key: CANARY!: x"))
	f(keys("key: |\n  CANARY!\n     CANARY!: ["))
	f(openai + "    api_key: CANARY!\n   x: [\n")
	f("CANARY!: [")
	f("[CANARY!")
	// Through a reference: the message has the reference.
	f(keys(`{name: k, key: "${env:CANARY} ${file:canary.txt} ${file:none}"}`))
	f(openai + "    base_url: \"${env:CANARY}\"\n")
	f(openai + "    type: \"${file:canary.txt}\"\n")
	f(base + "server: {listen: \"${env:CANARY}\", heartbeat: \"${env:CANARY}\", max_body: \"${env:CANARY}\"}\n")
	f(base + "telemetry: {log: {level: \"${env:CANARY}\"}}\nretries: {on: [\"${env:CANARY}\"]}\n")
	f(base + "tenants: {anonymous: \"${env:CANARY}\"}\n")
	f(base + "tenants: {dir: \"gateway.yaml${env:CANARY}\", anonymous: x}\n")
	f(base + "chain: [\"${env:CANARY}\"]\n")
	f("version: 1\nproviders: [{name: \"${env:CANARY}\", type: x}]\nmodels: [{name: \"${env:CANARY}\", aliases: [\"${env:CANARY}\"], fallback: [\"${env:CANARY}\"], targets: [{provider: \"${env:CANARY}\"}]}]\n")
}

func TestWarnings(t *testing.T) {
	folder(t, "gateway.yaml", `version: 1
providers:
  - {name: a, type: openai, keys: [{name: k, key: `+canary+`, weight: 2}, {name: l, key: "${file:l}"}]}
models: [{name: demo, targets: [{provider: a, weight: 2}]}]
`, "l", "sk-2\n", "tenants/acme.yaml", `version: 1
id: acme
credentials: [{provider: a, key: "${env:SLUICE_TEST_UNSET:-`+canary+`}"}]
`)
	cfg := loaded(t, config.Options{})
	expect(t, cfg.Warnings.Text(), `
gateway.yaml:3:51: providers[0].keys[0].key is written out; keep secrets out of files: use ${env:NAME} or ${file:/path}
 3 |   - {name: a, type: openai, keys: [{name: k, key: ***, weight: 2}, {name: l, key: "${file:l}"}]}
   |                                                   ^
gateway.yaml:4:55: models[0].targets[0].weight does nothing with strategy ordered; write strategy: weighted
 4 | models: [{name: demo, targets: [{provider: a, weight: 2}]}]
   |                                                       ^
tenants/acme.yaml:3:34: credentials[0].key is written out; keep secrets out of files: use ${env:NAME} or ${file:/path}
 3 | credentials: [{provider: a, key: ***}]
   |                                  ^`)
	if k := cfg.Providers[0].Keys; k[0].Key.Reveal() != canary || k[1].Key.Reveal() != "sk-2" {
		t.Errorf("keys: %q %q", k[0].Key.Reveal(), k[1].Key.Reveal())
	}
	out, err := cfg.Effective()
	clean(t, "the effective configuration", string(out))
	if err != nil || !strings.Contains(string(out), "key: '***' # ${file:l}\n") {
		t.Errorf("%v\n%s", err, out)
	}
	clean(t, "printing it", fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg))
}
