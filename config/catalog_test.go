package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
)

const catalogued = base + `catalog:
  - {provider: openai, model: gpt-x, like: openai/gpt-5.5, mode: chat, context: 1000000, output: 64000, can: [tools], cannot: [audio], sampling: refused, thinking: effort, efforts: [low, high], default_effort: low, aliases: [gpt-y], retires: 2027-01-31}
  - provider: sim
    model: "*"
    prices:
      - {input: 0.40, cache_read: "0.1", output: 1.6, reasoning: unknown}
      - {tier: flex, above: 200000, hours: "mon-fri 01:00-04:00", until: 2026-12-31, input: 1, hour: 0.36, least_seconds: 10}
`

func TestCatalog(t *testing.T) {
	folder(t, "gateway.yaml", catalogued)
	c := loaded(t, config.Options{})
	if len(c.Catalog) != 2 {
		t.Fatalf("%d entries", len(c.Catalog))
	}
	e, prices := c.Catalog[0], c.Catalog[1].Prices
	if e.Provider != "openai" || e.Model != "gpt-x" || e.Context != 1_000_000 || e.Output != 64_000 || e.Retires != time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC) {
		t.Errorf("%+v", e)
	}
	if p := prices[0]; p.Input != config.NewUSD("0.40") || p.CacheRead.String() != "0.1" || p.Output.String() != "1.6" || p.Reasoning.String() != "unknown" || p.InputAudio != (config.USD{}) {
		t.Errorf("%+v", p)
	}
	if p := prices[1]; p.Tier != "flex" || p.Above != 200_000 || p.Hour.String() != "0.36" || p.LeastSeconds != 10 {
		t.Errorf("%+v", p)
	}
	out, err := c.Effective()
	if err != nil || !strings.Contains(string(out), `input: '0.40'`) || !strings.Contains(string(out), "reasoning: unknown") || strings.Contains(string(out), "input_audio") {
		t.Errorf("%v\n%s", err, out)
	}
	folder(t, "gateway.yaml", string(out)) // what is shown can be read
	if again := loaded(t, config.Options{}); again.Catalog[1].Prices[0] != prices[0] {
		t.Errorf("%s is read as %+v", out, again.Catalog)
	}
}

func TestCatalogMistakes(t *testing.T) {
	f := func(entries, want string) {
		t.Helper()
		expect(t, mistakes(t, base+"catalog:\n"+entries), want)
	}
	f("  - {provider: opneai, model: m}\n", `gateway.yaml:5:16: catalog[0].provider: "opneai" is neither a type nor one of the providers; did you mean "openai"?`)
	f("  - {provider: openai}\n", `gateway.yaml:5:5: catalog[0].model is missing`)
	f("  - {provider: openai, name: m}\n", `gateway.yaml:5:5: catalog[0].model is missing
gateway.yaml:5:24: unknown field "name" in catalog[0]; fields here: provider, model, aliases, like, mode, context, output, can, cannot, sampling, thinking, efforts, default_effort, prices, retires`)
	f("  - {provider: openai, model: m}\n  - {provider: openai, model: m}\n", `gateway.yaml:6:31: model "m" of openai is there already; the first is catalog[0]`)
	f("  - {provider: openai, model: m, can: [tolls]}\n", `gateway.yaml:5:40: catalog[0].can[0]: "tolls" is not one of tools, parallel_tools, tool_choice, vision, audio, files, structured, reasoning, audio_output, caching; did you mean "tools"?`)
	f("  - {provider: openai, model: m, context: -1}\n", `gateway.yaml:5:43: catalog[0].context: "-1" is less than 0`)
	f("  - {provider: openai, model: m, retires: soon}\n", `gateway.yaml:5:43: catalog[0].retires: "soon" is not a date; write it as 2027-01-31 or 2027-01-31T12:00:00Z`)
	const price = `is not a price; write USD as a decimal, such as 1.25, or "unknown"`
	for _, text := range []string{"-1", "1e-6", "free", ".5", "5.", "1.2.3", "$1", "true"} {
		f("  - {provider: openai, model: m, prices: [{input: "+text+"}]}\n", `gateway.yaml:5:51: catalog[0].prices[0].input: "`+text+`" `+price)
	}
	f("  - {provider: openai, model: m, prices: [{inptu: 1}]}\n", `gateway.yaml:5:44: unknown field "inptu" in catalog[0].prices[0]; did you mean "input"?`)
}

// A provider's name that is another type's does not hide that type.
func TestCatalogNamesake(t *testing.T) {
	tenant := "version: 1\nid: a\n"
	folder(t, "gateway.yaml", base+"catalog: [{provider: sim, model: x}]\n", "tenants/a.yaml", tenant)
	if c := loaded(t, config.Options{}); len(c.Warnings) != 0 {
		t.Errorf("%v", c.Warnings)
	}
	folder(t, "tenants/a.yaml", tenant, "gateway.yaml", `version: 1
providers: [{name: mistral, type: vllm, base_url: "http://x/v1"}]
models: [{name: demo, targets: [{provider: mistral}]}]
catalog: [{provider: mistral, model: x}]
`)
	c := loaded(t, config.Options{})
	const want = `gateway.yaml:4:22: catalog[0].provider: "mistral" is the type; providers[0] has that name and is a vllm; give that provider another name if it is meant`
	if len(c.Warnings) != 1 || !strings.HasSuffix(c.Warnings[0].String(), want) {
		t.Errorf("%v", c.Warnings)
	}
}

// What the program finds is told with its place.
func TestCheck(t *testing.T) {
	folder(t, "gateway.yaml", catalogued)
	_, err := load(config.Options{Check: func(c *config.Config) error {
		if len(c.Catalog) != 2 {
			t.Errorf("%d entries", len(c.Catalog))
		}
		return errors.Join(
			&config.FieldError{Field: "catalog[1].prices[0].output", Message: "too much", Hint: "write less"},
			&config.FieldError{Field: "catalog[0].like", Message: "no such model"},
			errors.New("something else"),
		)
	}})
	expect(t, err.Error(), `gateway.yaml:1:1: something else
gateway.yaml:5:44: catalog[0].like: no such model
gateway.yaml:9:50: catalog[1].prices[0].output: too much; write less`)
	if _, err := load(config.Options{Check: func(*config.Config) error { return nil }}); err != nil {
		t.Error(err)
	}
}
