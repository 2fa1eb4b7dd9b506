package config

import (
	"fmt"
	"os"
)

// demo fills in the demonstration: the simulated provider, and OpenAI and Anthropic beside it if
// OPENAI_API_KEY and ANTHROPIC_API_KEY are set.
func demo(cfg *Config, keyDigest string) {
	cfg.Version = 1
	cfg.Tenants.Dir = ""
	cfg.Chain = []string{"telemetry", "auth", "quota", "cache", "routing"} // nothing is written to this machine
	cfg.Stores.Ledger = None
	cfg.Providers = []Provider{provider("sim", Simulated)}
	cfg.Models = []Model{
		model("demo", Target{Provider: "sim", Model: "sim-chat"}),
		model("sim-*", Target{Provider: "sim"}),
	}
	tenant := &Tenant{Version: 1, ID: "demo", Name: "Demonstration", Priority: NormalPriority}
	if keyDigest != "" {
		tenant.Keys = []TenantKey{{Name: "demo", Digest: keyDigest}}
	}
	cfg.Tenants.List = []*Tenant{tenant}

	account(cfg, OpenAI, "OPENAI_API_KEY", "gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "text-embedding-*")
	account(cfg, Anthropic, "ANTHROPIC_API_KEY", "claude-*")
}

// account adds a provider whose key is in the environment.
func account(cfg *Config, kind, variable string, patterns ...string) {
	key := os.Getenv(variable)
	if key == "" {
		return
	}
	p := provider(kind, kind)
	p.Keys = []Key{{Name: "main", Key: NewSecret(key), Weight: 1}}
	cfg.Origins[fmt.Sprintf("providers[%d].keys[0].key", len(cfg.Providers))] = "${env:" + variable + "}"
	cfg.Providers = append(cfg.Providers, p)
	for _, pattern := range patterns {
		cfg.Models = append(cfg.Models, model(pattern, Target{Provider: kind}))
	}
}

func provider(name, kind string) Provider {
	var p Provider
	p.SetDefaults()
	p.Name, p.Type = name, kind
	return p
}

func model(name string, target Target) Model {
	var m Model
	m.SetDefaults()
	target.SetDefaults()
	m.Name, m.Targets = name, []Target{target}
	return m
}
