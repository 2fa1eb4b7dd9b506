package config

import "os"

// demo fills in the demonstration: the simulated provider, and OpenAI beside it if OPENAI_API_KEY is set.
func demo(cfg *Config, keyDigest string) {
	cfg.Version = 1
	cfg.Tenants.Dir = ""
	cfg.Providers = []Provider{provider("sim", Simulated)}
	cfg.Models = []Model{
		model("demo", Target{Provider: "sim", Model: "sim-chat"}),
		model("sim-*", Target{Provider: "sim"}),
	}
	tenant := &Tenant{Version: 1, ID: "demo", Name: "Demonstration"}
	if keyDigest != "" {
		tenant.Keys = []TenantKey{{Name: "demo", Digest: keyDigest}}
	}
	cfg.Tenants.List = []*Tenant{tenant}

	key := os.Getenv("OPENAI_API_KEY")
	if key == "" {
		return
	}
	openai := provider("openai", OpenAI)
	openai.Keys = []Key{{Name: "main", Key: NewSecret(key), Weight: 1}}
	cfg.Origins["providers[1].keys[0].key"] = "${env:OPENAI_API_KEY}"
	cfg.Providers = append(cfg.Providers, openai)
	for _, pattern := range []string{"gpt-*", "o1*", "o3*", "o4*", "chatgpt-*"} {
		cfg.Models = append(cfg.Models, model(pattern, Target{Provider: "openai"}))
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
