package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// genaiPrices is the list of genai-prices, by its own names of providers.
type genaiPrices struct {
	providers map[string]*genaiProvider
	today     time.Time
	err       error // of the first model asked for that could not be read
}

type genaiProvider struct {
	ID       string       `json:"id"`
	Fallback []string     `json:"fallback_model_providers"`
	Models   []genaiModel `json:"models"`
}

type genaiModel struct {
	ID      string          `json:"id"`
	Match   genaiMatch      `json:"match"`
	Context int64           `json:"context_window"`
	Prices  json.RawMessage `json:"prices"`
}

type genaiMatch struct {
	Or         []genaiMatch `json:"or"`
	And        []genaiMatch `json:"and"`
	Equals     *string      `json:"equals"`
	StartsWith *string      `json:"starts_with"`
	EndsWith   *string      `json:"ends_with"`
	Contains   *string      `json:"contains"`
	Regex      *string      `json:"regex"`
}

// genaiIDs are its names for our kinds of provider.
var genaiIDs = map[string]string{
	"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "google", "mistral": "mistral", "groq": "groq",
	"deepseek": "deepseek", "xai": "x-ai", "cohere": "cohere", "together": "together", "fireworks": "fireworks",
}

func readGenaiPrices(data []byte, today time.Time) (source, error) {
	var list []genaiProvider
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	g := &genaiPrices{providers: map[string]*genaiProvider{}, today: today}
	for i := range list {
		g.providers[list[i].ID] = &list[i]
	}
	for provider := range genaiIDs { // so that what cannot be read is found here
		for _, name := range g.names(provider) {
			g.quote(provider, name)
		}
	}
	return g, g.err
}

func (g *genaiPrices) names(provider string) (names []string) {
	p := g.providers[genaiIDs[provider]]
	if p == nil {
		return nil
	}
	for i := range p.Models {
		names = append(names, p.Models[i].Match.equals()...)
	}
	return names
}

func (m *genaiMatch) equals() (names []string) {
	if m.Equals != nil {
		names = append(names, *m.Equals)
	}
	for i := range m.Or {
		names = append(names, m.Or[i].equals()...)
	}
	return names
}

func (g *genaiPrices) quote(provider, name string) *quote {
	p := g.providers[genaiIDs[provider]]
	m := g.find(p, strings.ToLower(name))
	if m == nil {
		return nil
	}
	q, err := m.quote(g.today)
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("%s/%s: %w", p.ID, m.ID, err)
	}
	return q
}

// find is the rule of the package: the first model that fits, with dates written either way, else another provider's.
func (g *genaiPrices) find(p *genaiProvider, name string) *genaiModel {
	if p == nil {
		return nil
	}
	for _, n := range []string{name, undated.ReplaceAllString(name, "-$1-$2-$3")} {
		for i := range p.Models {
			if p.Models[i].Match.fits(n) {
				return &p.Models[i]
			}
		}
		for _, id := range p.Fallback {
			if other := g.providers[id]; other != nil {
				if m := g.find(&genaiProvider{Models: other.Models}, n); m != nil {
					return m
				}
			}
		}
	}
	return nil
}

var undated = regexp.MustCompile(`-(20\d{2})(0[1-9]|1[0-2])([0-2]\d|3[01])$`)

func (m *genaiMatch) fits(name string) bool {
	is := func(f func(string, string) bool, s *string) bool { return s != nil && f(name, strings.ToLower(*s)) }
	each := func(m genaiMatch) bool { return m.fits(name) }
	return slices.ContainsFunc(m.Or, each) ||
		len(m.And) > 0 && !slices.ContainsFunc(m.And, func(m genaiMatch) bool { return !m.fits(name) }) ||
		is(func(a, b string) bool { return a == b }, m.Equals) || is(begins, m.StartsWith) ||
		is(strings.HasSuffix, m.EndsWith) || is(strings.Contains, m.Contains) ||
		m.Regex != nil && fitsRegex(*m.Regex, name)
}

// begins is stricter than the list: claude-sonnet-5-5 is not a claude-sonnet-5.
func begins(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (rest == "" || !version.MatchString(rest))
}

var version = regexp.MustCompile(`^[-.]?\d{1,2}($|\D)`)

// fitsRegex knows one thing that Go's expressions do not: that nothing in the name fits, written ^(?!.*…).
func fitsRegex(expr, name string) bool {
	if inner, ok := strings.CutPrefix(expr, "^(?!.*"); ok {
		return !regexp.MustCompile(strings.TrimSuffix(inner, ")")).MatchString(name)
	}
	return regexp.MustCompile(expr).MatchString(name)
}

var genaiClasses = map[string]catalog.Class{
	"input_mtok": catalog.Input, "cache_read_mtok": catalog.CacheRead, "cache_write_mtok": catalog.CacheWrite,
	"cache_write_1h_mtok": catalog.CacheWriteHour, "input_audio_mtok": catalog.InputAudio,
	"input_image_mtok": catalog.InputImage, "output_mtok": catalog.Output, "output_reasoning_mtok": catalog.ReasoningOutput,
	"output_audio_mtok": catalog.OutputAudio, "output_image_mtok": catalog.OutputImage,
	"input_audio_hours": catalog.Recording, "input_mchars": catalog.Characters,
}

type genaiCondition struct {
	Constraint *struct {
		Type      string `json:"type"`
		StartDate string `json:"start_date"`
		StartTime string `json:"start_time"`
		EndTime   string `json:"end_time"`
	} `json:"constraint"`
	Prices map[string]json.RawMessage `json:"prices"`
}

// quote is what holds today: of prices with a first day the last that has begun, and those for some hours beside them.
func (m *genaiModel) quote(today time.Time) (*quote, error) {
	q := &quote{}
	if m.Context > 0 {
		q.context = []int64{m.Context}
	}
	if m.Prices[0] == '{' {
		var prices map[string]json.RawMessage
		if err := json.Unmarshal(m.Prices, &prices); err != nil {
			return nil, err
		}
		err := q.genai(prices, "")
		q.normalise()
		return q, err
	}
	var list []genaiCondition
	if err := json.Unmarshal(m.Prices, &list); err != nil {
		return nil, err
	}
	var hours []string
	var peak map[string]json.RawMessage
	base := list[0].Prices
	for _, c := range list {
		switch {
		case c.Constraint == nil:
		case c.Constraint.Type == "time_of_date":
			peak = c.Prices
			hours = append(hours, clock(c.Constraint.StartTime)+"-"+clock(c.Constraint.EndTime))
		default:
			from, err := time.Parse(time.DateOnly, c.Constraint.StartDate)
			switch {
			case err != nil:
				return nil, err
			case !from.After(today):
				base = c.Prices
			case q.until == "":
				q.until = c.Constraint.StartDate
			}
		}
	}
	err := q.genai(base, "")
	if err == nil && peak != nil {
		err = q.genai(peak, strings.Join(hours, " "))
	}
	q.normalise()
	return q, err
}

// clock is 06:30 of 06:30:00Z; what is of another form will not be valid in an entry.
func clock(s string) string { return s[:min(5, len(s))] }

func (q *quote) genai(prices map[string]json.RawMessage, hours string) error {
	for key, raw := range prices {
		class, ok := genaiClasses[key]
		if !ok {
			continue
		}
		scale := int64(1_000_000)
		if class == catalog.Recording {
			scale = 1
		}
		var tiered struct {
			Base  json.RawMessage `json:"base"`
			Tiers []struct {
				Start int64           `json:"start"`
				Price json.RawMessage `json:"price"`
			} `json:"tiers"`
		}
		if raw[0] == '{' {
			if err := json.Unmarshal(raw, &tiered); err != nil {
				return err
			}
			raw = tiered.Base
		}
		if err := q.set(slot{hours: hours, class: class}, raw, scale); err != nil {
			return err
		}
		for _, t := range tiered.Tiers {
			if err := q.set(slot{hours: hours, class: class, above: t.Start}, t.Price, scale); err != nil {
				return err
			}
		}
	}
	return nil
}
