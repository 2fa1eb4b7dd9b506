package config

import (
	"net/url"
	"slices"
	"strings"
)

// kind is what the configuration must know of a type of provider.
type kind struct {
	name    string
	baseURL string // "": it has to be written
	keyless bool   // it can be called without a key
}

var kinds = [...]kind{
	{name: OpenAI, baseURL: "https://api.openai.com/v1"},
	{name: Azure},
	{name: Anthropic, baseURL: "https://api.anthropic.com/v1"},
	{name: "gemini", baseURL: "https://generativelanguage.googleapis.com/v1beta/openai"},
	{name: "mistral", baseURL: "https://api.mistral.ai/v1"},
	{name: "groq", baseURL: "https://api.groq.com/openai/v1"},
	{name: "deepseek", baseURL: "https://api.deepseek.com"},
	{name: "xai", baseURL: "https://api.x.ai/v1"},
	{name: "openrouter", baseURL: "https://openrouter.ai/api/v1"},
	{name: "together", baseURL: "https://api.together.ai/v1"},
	{name: "fireworks", baseURL: "https://api.fireworks.ai/inference/v1"},
	{name: "cohere", baseURL: "https://api.cohere.ai/compatibility/v1"},
	{name: "ollama", baseURL: "http://localhost:11434/v1", keyless: true},
	{name: "vllm", keyless: true},
	{name: "tei", keyless: true},
	{name: OpenAICompatible, keyless: true},
	{name: Simulated, keyless: true},
}

// ProviderTypes lists the types that a provider can have.
func ProviderTypes() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

func kindOf(name string) (kind, bool) {
	i := slices.IndexFunc(kinds[:], func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// Classic says whether an Azure resource is called by its classic API, in which paths name deployments. Its base URL ends
// in /openai, that of the present one in /openai/v1.
func (p *Provider) Classic() bool {
	return p.Type == Azure && p.APIVersion != "" && !strings.HasSuffix(p.BaseURL, "/v1")
}

// completeURL fills in where the API of a provider begins, as far as its type says.
func (p *Provider) completeURL() {
	p.BaseURL = strings.TrimRight(p.BaseURL, "/")
	if p.BaseURL == "" {
		k, _ := kindOf(p.Type)
		p.BaseURL = k.baseURL
	}
	if u, err := url.Parse(p.BaseURL); p.Type != Azure || err != nil || u.Host == "" || u.Path != "" {
		return
	}
	if p.BaseURL += "/openai"; p.APIVersion == "" {
		p.BaseURL += "/v1"
	}
}
