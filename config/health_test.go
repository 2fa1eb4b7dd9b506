package config_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
)

func TestHealth(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	f := func(provider, want string) {
		t.Helper()
		gateway := "version: 1\nmodels: [{name: demo, targets: [{provider: a}]}]\nproviders:\n" +
			`  - {name: a, type: openai, keys: [{name: k, key: "${env:KEY}"}],` + "\n     " + provider + "}\n"
		expect(t, mistakes(t, gateway), want)
	}
	f("health: {window: 0, open_for: 0, max_open: 0}", `
		gateway.yaml:5:23: providers[0].health.window: 0s is not between 1s and 10m
		gateway.yaml:5:36: providers[0].health.open_for must be more than 0`)
	f("health: {window: 1h, open_for: 1m, max_open: 30s}", `
		gateway.yaml:5:23: providers[0].health.window: 1h is not between 1s and 10m
		gateway.yaml:5:51: providers[0].health.max_open (30s) is less than providers[0].health.open_for (60s)`)
	f("health: {failure_rate: 50, min_requests: 0, consecutive: -1, slow_start: -1s}", `
		gateway.yaml:5:29: providers[0].health.failure_rate: "50" is not between 0% and 100%; write it as 20% or as 0.2
		gateway.yaml:5:47: providers[0].health.min_requests: "0" is less than 1
		gateway.yaml:5:63: providers[0].health.consecutive: "-1" is less than 0
		gateway.yaml:5:79: providers[0].health.slow_start: "-1s" is negative`)
	f("health: {open: 1s}", `gateway.yaml:5:15: unknown field "open" in providers[0].health; fields here: `+
		`window, failure_rate, min_requests, consecutive, open_for, max_open, slow_start, probe`)
	f("health: {windows: 1s}", `gateway.yaml:5:15: unknown field "windows" in providers[0].health; did you mean "window"?`)

	const either = `gateway.yaml:5:22: providers[0].health.probe needs either a path or a model; write path: /v1/models, or the model that is asked for one token`
	f("health: {probe: {}}", either)
	f("health: {probe: {path: /x, model: y}}", either)
	for _, path := range []string{"v1/models", "//host/x", "https://host/x", "'/a b'", "'/a#b'", "'/a#'", "'/a\u00e9'", `"/a\n"`, "'/%zz'"} {
		quoted := path
		switch path[0] {
		case '\'':
			quoted = `"` + path[1:len(path)-1] + `"`
		case '"':
		default:
			quoted = `"` + path + `"`
		}
		f("health: {probe: {path: "+path+"}}", `gateway.yaml:5:29: providers[0].health.probe.path: `+quoted+` is not a path; write a path as in a URL, such as /v1/models`)
	}
	f("health: {probe: {path: /health?deep=1, every: 0, timeout: 0}}", `
		gateway.yaml:5:52: providers[0].health.probe.every: 0s is less than 1s
		gateway.yaml:5:64: providers[0].health.probe.timeout must be more than 0`)
	f("health: {probe: {model: 'a b'}}", `gateway.yaml:5:30: providers[0].health.probe.model: "a b" is not a name; use printable ASCII without spaces, up to 256 characters`)
	f("health: {probe: {model: m, every: 2s}}", `gateway.yaml:5:22: providers[0].health.probe.timeout (5s) is more than providers[0].health.probe.every (2s)`)
	f("health: {probe: {model: m, every: 999ms, timeout: 1ms}}", `gateway.yaml:5:40: providers[0].health.probe.every: 999ms is less than 1s`)
	f("health: {probe: {model: m, every: 2s, timeout: 1s}}", ``)
	f("health: {probe: {model: m, every: 1s, timeout: 1s}}", ``)

	f("concurrency: {max: -1, min: 0, queue: -1, wait: -1s}", `
		gateway.yaml:5:25: providers[0].concurrency.max: "-1" is less than 0
		gateway.yaml:5:34: providers[0].concurrency.min: "0" is less than 1
		gateway.yaml:5:44: providers[0].concurrency.queue: "-1" is less than 0
		gateway.yaml:5:54: providers[0].concurrency.wait: "-1s" is negative`)
	f("concurrency: {max: 3}", ``)
	f("concurrency: {min: 5, max: 4}", `gateway.yaml:5:25: providers[0].concurrency.min (5) is more than providers[0].concurrency.max (4)`)
	f("concurrency: {wait: 0}", `gateway.yaml:5:26: providers[0].concurrency.wait must be more than 0`)
	f("concurrency: {queue: 0, wait: 0}", ``)
}

func TestSimulatedProbe(t *testing.T) {
	f := func(probe, want string) {
		t.Helper()
		expect(t, mistakes(t, "version: 1\nmodels: [{name: demo, targets: [{provider: a}]}]\nproviders:\n"+
			"  - {name: a, type: sim, health: {probe: {"+probe+"}}}\n"), want)
	}
	f("path: /v1/models", `gateway.yaml:4:49: providers[0].health.probe.path has no meaning for type sim, which uses no network; write a model`)
	f("model: sim-chat", ``)
}

func TestChoice(t *testing.T) {
	f := func(model, want string) {
		t.Helper()
		expect(t, mistakes(t, "version: 1\nproviders: [{name: sim, type: sim}]\nmodels:\n  - {name: a, targets: [{provider: sim}], "+model+"}\n"), want)
	}
	f("strategy: least_latncy", `gateway.yaml:4:53: models[0].strategy: "least_latncy" is not one of ordered, weighted, least_latency, least_cost; did you mean "least_latency"?`)
	f("strategy: least_latency, affinity: [prompt_cache_key, user, 'header:x-session-id']", ``)
	f("strategy: weighted, affinity: [prompt_cash_key, 'header:', 'header:a b', session, user, user]", `
		gateway.yaml:4:74: models[0].affinity[0]: "prompt_cash_key" names nothing that sessions can be told by; did you mean "prompt_cache_key"?
		gateway.yaml:4:91: models[0].affinity[1]: "" is not a header's name; write header: and its name, such as header:x-session-id
		gateway.yaml:4:102: models[0].affinity[2]: "a b" is not a header's name; write header: and its name, such as header:x-session-id
		gateway.yaml:4:116: models[0].affinity[3]: "session" names nothing that sessions can be told by; write one of prompt_cache_key, user, header:NAME
		gateway.yaml:4:131: models[0].affinity[5]: "user" is in the list already, as models[0].affinity[4]`)
	f("hedge: {after: 0, budget: 101%, max_cost: -1}", `
		gateway.yaml:4:58: models[0].hedge.after must be more than 0
		gateway.yaml:4:69: models[0].hedge.budget: "101%" is not between 0% and 100%; write it as 20% or as 0.2
		gateway.yaml:4:85: models[0].hedge.max_cost: "-1" is not a price; write USD as a decimal, such as 1.25, or "unknown"`)
	f("hedge: {after: p99, max_cost: unknown}", `
		gateway.yaml:4:58: models[0].hedge.after: "p99" is neither p95 nor a duration; write p95, or a number with a unit, such as 800ms
		gateway.yaml:4:73: models[0].hedge.max_cost: "unknown" is no bound; leave it out for no bound`)
	f("hedge: {budget: 0}", `gateway.yaml:4:59: models[0].hedge.budget must be more than 0; leave hedge out for no second attempts`)
	f("hedge: {}", ``)
	for _, strategy := range []string{"weighted", "least_latency", "least_cost"} {
		expect(t, mistakes(t, "version: 1\nproviders: [{name: sim, type: sim}]\nmodels:\n  - {name: a, targets: [{provider: sim, weight: 0}], strategy: "+strategy+"}\n"),
			`gateway.yaml:4:24: the weights of models[0].targets sum up to 0`)
	}
	expect(t, mistakes(t, base+"retries: {recover: contine}\n"), `gateway.yaml:4:20: retries.recover: "contine" is not one of none, continue; did you mean "continue"?`)
}

// Affinity chooses among keys and targets; where there is no choice it is said to do nothing.
func TestIdleAffinity(t *testing.T) {
	t.Setenv("KEY", "sk-1")
	f := func(keys, strategy, want string) {
		t.Helper()
		folder(t, "gateway.yaml", "version: 1\nproviders: [{name: a, type: openai, keys: ["+keys+"]}]\nmodels:\n"+
			"  - {name: a, targets: [{provider: a}], affinity: [user]"+strategy+"}\n", "tenants/.gitkeep", "")
		expect(t, loaded(t, config.Options{}).Warnings.Error(), want)
	}
	one, two := `{name: k, key: "${env:KEY}"}`, `{name: k, key: "${env:KEY}"}, {name: l, key: "${env:KEY}"}`
	f(one, "", `gateway.yaml:4:51: models[0].affinity does nothing with strategy ordered and one key at each provider; write strategy: weighted`)
	f(two, "", ``)
	f(one, ", strategy: least_cost", ``)
}

func TestTenantsChoices(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		expect(t, mistakes(t, base+"tenants: {dir: t}\n", "t/acme.yaml", "version: 1\nid: acme\n"+more+"\n"), want)
	}
	f("priority: hihg", `t/acme.yaml:3:11: priority: "hihg" is not one of low, normal, high, critical; did you mean "high"?`)
	f("overrides: [timeout, timout, timeout]", `
		t/acme.yaml:3:22: overrides[1]: "timout" is not one of provider, strategy, hedge, timeout, retries, fallback; did you mean "timeout"?
		t/acme.yaml:3:30: overrides[2]: "timeout" is in the list already, as overrides[0]`)
	f("priority: low\noverrides: [hedge]", ``)
	folder(t, "gateway.yaml", base+"tenants: {dir: t}\n", "t/acme.yaml", "version: 1\nid: acme\n")
	if got := loaded(t, config.Options{}).Tenants.List[0]; got.Priority != config.NormalPriority || got.Overrides != nil {
		t.Errorf("left out: %+v", got)
	}
}

func TestHedgeAfter(t *testing.T) {
	f := func(text string, want config.HedgeAfter, print string) {
		t.Helper()
		var h config.HedgeAfter
		if err := h.UnmarshalText([]byte(text)); err != nil || h != want || h.String() != print {
			t.Errorf("%q: %v %v, want %v", text, h, err, want)
		}
	}
	f("p95", config.HedgeAfter{P95: true}, "p95")
	f("800ms", config.HedgeAfter{Time: 800 * time.Millisecond}, "800ms")
	f(" 60s", config.HedgeAfter{Time: time.Minute}, "60s")
	for _, text := range []string{"", "p50", "P95", "-1s", "5"} {
		var h config.HedgeAfter
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, h)
		}
	}
}
