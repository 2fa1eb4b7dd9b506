package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// confirming is a list by our kinds of provider, that has values only to compare with.
type confirming map[string]map[string]*quote

func (c confirming) names(string) []string              { return nil }
func (c confirming) quote(provider, name string) *quote { return c[provider][name] }

func (c confirming) add(provider, name string, q *quote) {
	q.normalise()
	if c[provider] == nil {
		c[provider] = map[string]*quote{}
	}
	c[provider][name] = q
}

// modelsDevIDs are the names of models.dev for our kinds of provider.
var modelsDevIDs = map[string]string{
	"openai": "openai", "azure": "azure", "anthropic": "anthropic", "google": "gemini", "mistral": "mistral", "groq": "groq",
	"deepseek": "deepseek", "xai": "xai", "cohere": "cohere", "togetherai": "together", "fireworks-ai": "fireworks",
}

type modelsDevModel struct {
	Cost        map[string]json.RawMessage `json:"cost"`
	Limit       struct{ Context, Output int64 }
	Modalities  struct{ Input, Output []string }
	Temperature *bool `json:"temperature"`
	Reasoning   *bool `json:"reasoning"`
	ToolCall    *bool `json:"tool_call"`
	Structured  *bool `json:"structured_output"`
	Options     []struct {
		Type   string   `json:"type"`
		Values []string `json:"values"`
	} `json:"reasoning_options"`
	Experimental struct {
		Modes map[string]struct {
			Cost     map[string]json.RawMessage
			Provider struct {
				Body struct {
					ServiceTier string `json:"service_tier"`
				}
			}
		}
	}
}

func readModelsDev(data []byte, _ time.Time) (source, error) {
	var list map[string]struct{ Models map[string]modelsDevModel }
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	c := confirming{}
	for id, kind := range modelsDevIDs {
		for name, m := range list[id].Models {
			q, err := m.quote()
			if err != nil {
				return nil, fmt.Errorf("%s/%s: %w", id, name, err)
			}
			c.add(kind, name, q)
		}
	}
	return c, nil
}

func (m *modelsDevModel) quote() (*quote, error) {
	q := &quote{output: m.Limit.Output, able: map[string]bool{}}
	if m.Limit.Context > 0 {
		q.context = []int64{m.Limit.Context}
	}
	if err := q.modelsDev(m.Cost, slot{}); err != nil {
		return nil, err
	}
	for _, mode := range m.Experimental.Modes {
		if tier := mode.Provider.Body.ServiceTier; tier != "" {
			if err := q.modelsDev(mode.Cost, slot{tier: tier}); err != nil {
				return nil, err
			}
		}
	}
	for able, said := range map[string]*bool{"reasoning": m.Reasoning, "tools": m.ToolCall, "structured": m.Structured} {
		if said != nil {
			q.able[able] = *said
		}
	}
	if in := m.Modalities.Input; in != nil {
		q.able["vision"] = slices.Contains(in, "image")
		q.able["audio"] = slices.Contains(in, "audio")
		q.able["files"] = slices.Contains(in, "pdf")
		q.able["audio_output"] = slices.Contains(m.Modalities.Output, "audio")
	}
	if m.Temperature != nil {
		q.sampling = map[bool]string{true: "accepted", false: "refused"}[*m.Temperature]
	}
	for _, o := range m.Options {
		if o.Type == "effort" {
			q.efforts = o.Values
		}
	}
	return q, nil
}

func (q *quote) modelsDev(cost map[string]json.RawMessage, at slot) error {
	classes := map[string]catalog.Class{
		"input": catalog.Input, "output": catalog.Output, "cache_read": catalog.CacheRead, "cache_write": catalog.CacheWrite,
		"input_audio": catalog.InputAudio, "output_audio": catalog.OutputAudio, "reasoning": catalog.ReasoningOutput,
	}
	for key, raw := range cost {
		if class, ok := classes[key]; ok {
			at.class = class
			if err := q.set(at, raw, 1_000_000); err != nil {
				return err
			}
		}
	}
	var tiers []map[string]json.RawMessage
	if raw, ok := cost["tiers"]; ok {
		if err := json.Unmarshal(raw, &tiers); err != nil {
			return err
		}
	}
	for _, t := range tiers {
		var tier struct {
			Type string
			Size int64
		}
		if err := json.Unmarshal(t["tier"], &tier); err != nil {
			return err
		}
		if tier.Type == "" || tier.Type == "context" {
			if err := q.modelsDev(t, slot{above: tier.Size}); err != nil {
				return err
			}
		}
	}
	return nil
}

// llmGatewayIDs are the names of LLM Gateway for our kinds of provider.
var llmGatewayIDs = map[string]string{
	"openai": "openai", "azure": "azure", "anthropic": "anthropic", "google-ai-studio": "gemini", "mistral": "mistral",
	"groq": "groq", "deepseek": "deepseek", "xai": "xai", "together-ai": "together",
}

type llmGatewayPrices struct {
	Input          json.RawMessage `json:"inputPrice"`
	Output         json.RawMessage `json:"outputPrice"`
	CacheRead      json.RawMessage `json:"cachedInputPrice"`
	CacheWrite     json.RawMessage `json:"cacheWriteInputPrice"`
	CacheWriteHour json.RawMessage `json:"cacheWriteInputPrice1h"`
	InputAudio     json.RawMessage `json:"inputAudioPrice"`
	OutputAudio    json.RawMessage `json:"outputAudioPrice"`
	InputImage     json.RawMessage `json:"imageInputPrice"`
	OutputImage    json.RawMessage `json:"imageOutputPrice"`
	Characters     json.RawMessage `json:"inputCharacterPrice"`
	Hour           json.RawMessage `json:"inputAudioHourPrice"`
	UpTo           *int64          `json:"upToTokens"`
}

type llmGatewayModel struct {
	llmGatewayPrices
	Provider   string             `json:"providerId"`
	ID         string             `json:"externalId"`
	Tiers      []llmGatewayPrices `json:"pricingTiers"`
	Multiply   map[string]float64 `json:"serviceTierMultipliers"`
	Context    int64              `json:"contextSize"`
	Output     int64              `json:"maxOutput"`
	Parameters []string           `json:"supportedParameters"`
	Efforts    []string           `json:"reasoningEfforts"`
	Reasoning  *bool              `json:"reasoning"`
	Vision     *bool              `json:"vision"`
	Audio      *bool              `json:"audio"`
	Files      *bool              `json:"document"`
	Tools      *bool              `json:"tools"`
	Structured *bool              `json:"jsonOutputSchema"`
	Peak       *struct {
		Peak, OffPeak llmGatewayPrices
		Hours         [][2]int `json:"hoursUtc"`
		OffDays       struct {
			Days []int `json:"daysOfWeek"`
		} `json:"offPeakDays"`
	} `json:"peakPricing"`
}

func readLLMGateway(data []byte, _ time.Time) (source, error) {
	var list []struct{ Providers []llmGatewayModel }
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	c := confirming{}
	for _, model := range list {
		for i := range model.Providers {
			m := &model.Providers[i]
			if kind, ok := llmGatewayIDs[m.Provider]; ok {
				q, err := m.quote()
				if err != nil {
					return nil, fmt.Errorf("%s/%s: %w", m.Provider, m.ID, err)
				}
				c.add(kind, m.ID, q)
			}
		}
	}
	return c, nil
}

func (m *llmGatewayModel) quote() (*quote, error) {
	q := &quote{output: m.Output, able: map[string]bool{}, efforts: m.Efforts}
	if m.Context > 0 {
		q.context = []int64{m.Context}
	}
	if len(m.Parameters) > 0 {
		q.sampling = map[bool]string{true: "accepted", false: "refused"}[slices.Contains(m.Parameters, "temperature")]
	}
	for able, said := range map[string]*bool{
		"reasoning": m.Reasoning, "vision": m.Vision, "audio": m.Audio, "files": m.Files, "tools": m.Tools, "structured": m.Structured,
	} {
		if said != nil {
			q.able[able] = *said
		}
	}
	if m.Peak != nil {
		return q, m.peak(q)
	}
	q.llmGateway(&m.llmGatewayPrices, slot{})
	var above int64
	for i := range m.Tiers {
		q.llmGateway(&m.Tiers[i], slot{above: above})
		if m.Tiers[i].UpTo != nil {
			above = *m.Tiers[i].UpTo
		}
	}
	for tier, factor := range m.Multiply {
		for s, n := range maps.Clone(q.prices) {
			if s.tier == "" {
				s.tier = tier
				q.prices[s] = int64(float64(n)*factor + 0.5)
			}
		}
	}
	return q, nil
}

// peak notes prices by the hour, which have no others beside them.
func (m *llmGatewayModel) peak(q *quote) error {
	if !slices.Equal(m.Peak.OffDays.Days, []int{0, 6}) {
		return errors.New("peak hours of another form")
	}
	hours := []string{"mon-fri"}
	for _, h := range m.Peak.Hours {
		hours = append(hours, fmt.Sprintf("%02d:00-%02d:00", h[0], h[1]))
	}
	q.llmGateway(&m.Peak.OffPeak, slot{})
	q.llmGateway(&m.Peak.Peak, slot{hours: strings.Join(hours, " ")})
	return nil
}

func (q *quote) llmGateway(p *llmGatewayPrices, at slot) {
	for class, raw := range map[catalog.Class]json.RawMessage{
		catalog.Input: p.Input, catalog.Output: p.Output, catalog.CacheRead: p.CacheRead, catalog.CacheWrite: p.CacheWrite,
		catalog.CacheWriteHour: p.CacheWriteHour, catalog.InputAudio: p.InputAudio, catalog.OutputAudio: p.OutputAudio,
		catalog.InputImage: p.InputImage, catalog.OutputImage: p.OutputImage, catalog.Characters: p.Characters,
		catalog.Recording: p.Hour,
	} {
		if len(raw) == 0 || strings.Trim(string(raw), `"`) == "null" {
			continue
		}
		at.class = class
		_ = q.set(at, raw, 1) // finer than a picodollar: nothing that could confirm
	}
}
