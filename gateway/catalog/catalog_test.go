package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestLookup(t *testing.T) {
	c := configured(t)
	f := func(provider, name, want string) {
		t.Helper()
		m := c.Lookup(provider, name)
		if m == nil {
			if want != "" {
				t.Errorf("%s/%s is not known, want %s", provider, name, want)
			}
			return
		}
		if m.Name != want || m.Provider != provider {
			t.Errorf("%s/%s is %s/%s, want %q", provider, name, m.Provider, m.Name, want)
		}
	}
	f("openai", "gpt-6-sol", "gpt-6-sol")
	f("openai", "gpt-6-sol-2026-10-14", "gpt-6-sol")
	f("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13") // has prices of its own
	f("openai", "ft:gpt-4o-mini-2024-07-18:acme::9fX", "ft:gpt-4o-mini-2024-07-18")
	f("openai", "ft:gpt-6-sol:acme::9fX", "") // not that of gpt-6-sol
	f("openai", "gpt-6-solar", "")
	f("openai", "gpt-6-sol-latest", "")
	f("openai", "gpt-6-sol-20261014", "") // Anthropic's form
	f("openai", "GPT-6-sol", "")
	f("openai", "-2026-10-14", "")
	f("openai", "", "")
	f("azure", "gpt-6-sol-2026-10-14", "gpt-6-sol")
	f("anthropic", "claude-opus-5-5", "claude-opus-5-5")
	f("anthropic", "claude-opus-5-5-20260922", "claude-opus-5-5")
	f("anthropic", "claude-opus-5-5@20260922", "claude-opus-5-5")
	f("anthropic", "claude-sonnet-5-9", "") // not a claude-sonnet-5
	f("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro")
	f("gemini", "models/gemini-2.5-pro-001", "gemini-2.5-pro")
	f("xai", "grok-4.6-20260812", "grok-4.6")
	f("mistral", "mistral-large-9912", "") // Mistral changes prices between versions
	f("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b")
	f("openai", "claude-opus-5-5", "")
	f("sim", "whatever", "*")
	f("nobody", "gpt-6-sol", "")
}

// The prices of the models that people use most, as printed on their vendors' pages.
func TestBuiltinPrices(t *testing.T) {
	c := configured(t)
	f := func(provider, name, in, read, write, out string, context int64) {
		t.Helper()
		m := c.Lookup(provider, name)
		if m == nil || len(m.Tariffs) == 0 {
			t.Errorf("%s has no price", name)
			return
		}
		if m.Context != context {
			t.Errorf("%s has a window of %d, want %d", name, m.Context, context)
		}
		for class, want := range map[catalog.Class]string{catalog.Input: in, catalog.CacheRead: read, catalog.CacheWrite: write, catalog.Output: out} {
			if r := m.Tariffs[0].Rates[class]; r.Known != (want != "") || r.Known && catalog.FormatUSD(r.Picodollars) != want {
				t.Errorf("%s: %s costs %s, want %q", name, class, catalog.FormatUSD(r.Picodollars), want)
			}
		}
	}
	f("openai", "gpt-6-astra", "10", "1", "12.5", "50", 1_050_000)
	f("openai", "gpt-6-sol", "2", "0.2", "2.5", "10", 1_050_000)
	f("openai", "gpt-6-luna", "0.1", "0.01", "0.125", "0.5", 1_050_000)
	f("openai", "gpt-5.6-sol", "4", "0.4", "5", "20", 1_050_000)
	f("openai", "gpt-5.6-terra", "2", "0.2", "2.5", "12", 1_050_000)
	f("openai", "gpt-5.6-luna", "0.2", "0.02", "0.25", "1.2", 1_050_000)
	f("openai", "gpt-5.5", "5", "0.5", "5", "30", 1_050_000)
	f("openai", "gpt-5-mini", "0.25", "0.025", "0.25", "2", 400_000)
	f("openai", "gpt-4o-mini", "0.15", "0.075", "0.15", "0.6", 128_000)
	f("anthropic", "claude-opus-5-5", "4", "0.2", "5", "20", 1_000_000)
	f("anthropic", "claude-opus-5", "5", "0.5", "6.25", "25", 1_000_000)
	f("anthropic", "claude-sonnet-5", "2", "0.2", "2.5", "10", 1_000_000)
	f("anthropic", "claude-fable-5-1", "10", "0.25", "12.5", "50", 1_000_000)
	f("anthropic", "claude-haiku-4-5", "1", "0.1", "1.25", "5", 200_000)
	f("gemini", "gemini-3.8-flash", "0.75", "0.075", "0.75", "3.75", 1_048_576)
	f("gemini", "gemini-3.1-pro-preview", "2", "0.2", "2", "12", 1_048_576)
	f("xai", "grok-4.7", "2", "0.5", "2", "6", 500_000)
	f("mistral", "mistral-large-2512", "0.5", "0.05", "0.5", "1.5", 262_144)
	f("groq", "openai/gpt-oss-120b", "0.15", "0.075", "0.15", "0.6", 131_072)
}

// What every line of the built-in file must keep: no price below zero or above a thousand dollars a million, and
// no price without two sources.
func TestBuiltinData(t *testing.T) {
	c := configured(t)
	models, priced := 0, 0
	for m := range c.Models() {
		models++
		name := m.Provider + "/" + m.Name
		if len(m.Tariffs) == 0 {
			continue
		}
		priced++
		if len(m.Sources) < 2 && m.Provider != "sim" {
			t.Errorf("%s has prices from %v", name, m.Sources)
		}
		standard := false
		for _, tariff := range m.Tariffs {
			standard = standard || tariff.Tier == "" && tariff.Above == 0 || tariff.Tier == "*"
			for class, r := range tariff.Rates {
				if r.Picodollars < 0 || catalog.Class(class) < catalog.Recording && r.Picodollars > 1_000_000_000 {
					t.Errorf("%s: %s costs %d", name, catalog.Class(class), r.Picodollars)
				}
			}
		}
		if !standard {
			t.Errorf("%s has no standard tariff", name)
		}
	}
	if models < 450 || priced < 350 {
		t.Errorf("%d models, %d with a price", models, priced)
	}
	if c.Date() == "" || len(c.Sources()) < 3 {
		t.Errorf("of %s, from %v", c.Date(), c.Sources())
	}
}

// Every member of the built-in file means something.
func TestBuiltinMembers(t *testing.T) {
	text, err := os.ReadFile("models.json")
	if err != nil {
		t.Fatal(err)
	}
	var f catalog.File
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || len(f.Models) < 450 {
		t.Errorf("%d models, %v", len(f.Models), err)
	}
}

func TestAbilities(t *testing.T) {
	c := configured(t)
	f := func(provider, name, effort string, sampling catalog.Answer, a catalog.Ability, can catalog.Answer) {
		t.Helper()
		m := c.Lookup(provider, name)
		if got := m.TakesSampling(effort); got != sampling {
			t.Errorf("%s at effort %q takes sampling: %d, want %d", name, effort, got, sampling)
		}
		if got := m.Can(a); got != can {
			t.Errorf("%s can %b: %d, want %d", name, a, got, can)
		}
	}
	f("openai", "gpt-6-astra", "", catalog.No, catalog.Tools|catalog.Vision|catalog.Reasoning, catalog.Yes)
	f("openai", "gpt-6-astra", "none", catalog.No, catalog.AudioOutput, catalog.Unknown)
	f("openai", "gpt-5.1", "", catalog.Yes, catalog.Structured, catalog.Yes) // its default effort is none
	f("openai", "gpt-5.1", "high", catalog.No, catalog.Files, catalog.Unknown)
	f("openai", "gpt-5.5", "", catalog.No, catalog.Caching, catalog.Yes)
	f("openai", "gpt-5.5", "none", catalog.Yes, catalog.Caching, catalog.Yes)
	f("openai", "gpt-4o-mini", "", catalog.Yes, catalog.Vision, catalog.Yes)
	f("anthropic", "claude-opus-5-5", "", catalog.No, catalog.Reasoning, catalog.Yes)
	f("anthropic", "claude-haiku-4-5", "", catalog.Yes, catalog.Reasoning, catalog.Yes)
	f("deepseek", "deepseek-v4-pro", "", catalog.Yes, catalog.Tools|catalog.Vision, catalog.No)
	f("openai", "no-such-model", "", catalog.Unknown, catalog.Tools, catalog.Unknown)

	g := func(name string, want ...string) {
		t.Helper()
		if got := c.Lookup("openai", name).Efforts; !slices.Equal(got, want) {
			t.Errorf("%s takes the efforts %q, want %q", name, got, want)
		}
	}
	g("gpt-6-astra", "low", "medium", "high", "xhigh", "max")
	g("gpt-5-mini", "minimal", "low", "medium", "high")
	if th := c.Lookup("anthropic", "claude-haiku-4-5").Thinking; th != catalog.ThinkingBudget {
		t.Errorf("claude-haiku-4-5 thinks by %s", th)
	}
}

func TestOverrides(t *testing.T) {
	c := configured(
		t,
		catalog.Entry{Provider: "openai", Name: "gpt-6-sol", Context: 128_000, Cannot: []string{"vision"}},
		catalog.Entry{Provider: "openai", Name: "gpt-6.1-sol", Prices: []catalog.Price{{Input: "3", Output: "9"}}},
		catalog.Entry{Provider: "azure", Name: "our-deployment", Like: "openai/gpt-6-sol", Aliases: []string{"ours"}},
		catalog.Entry{Provider: "azure", Name: "dearer", Like: "azure/our-deployment", Prices: []catalog.Price{{Input: "7"}}},
		catalog.Entry{Provider: "ollama", Name: "*", Sampling: "accepted", Prices: []catalog.Price{{Tier: "*", Input: "0", Output: "0"}}},
		catalog.Entry{Provider: "openai", Name: "gpt-5.1-2025-11-13", Output: 1000},
	)
	f := func(provider, name, usd string, context int64, vision catalog.Answer) {
		t.Helper()
		m := c.Lookup(provider, name)
		cost := m.Cost(known(chat.Usage{Input: 1_000_00, Output: 1_000_00}), "", wednesday)
		if m == nil || cost.USD() != usd || m.Context != context || m.Can(catalog.Vision) != vision {
			t.Errorf("%s/%s: %s (%s) %+v", provider, name, cost.USD(), cost.Why, m)
		}
	}
	f("openai", "gpt-6-sol", "1.2", 128_000, catalog.No)
	f("openai", "gpt-6-sol-2026-10-14", "1.2", 128_000, catalog.No)
	f("openai", "gpt-6.1-sol", "1.2", 1_050_000, catalog.Yes)
	f("azure", "our-deployment", "1.2", 128_000, catalog.No)
	f("azure", "ours", "1.2", 128_000, catalog.No)
	f("azure", "dearer", "unknown", 128_000, catalog.No) // prices are replaced as a whole
	f("azure", "gpt-6-sol", "1.2", 1_050_000, catalog.Yes)
	f("ollama", "llama3:70b", "0", 0, catalog.Unknown)
	f("openai", "gpt-5.1-2025-11-13", "1.125", 400_000, catalog.Yes) // starts from gpt-5.1
	if m := c.Lookup("openai", "gpt-5.1"); m.Output == 1000 {
		t.Error("the base was changed with its snapshot")
	}
	if s := c.Lookup("openai", "gpt-6.1-sol").Sources; !slices.Equal(s, []string{"configuration"}) {
		t.Errorf("configured prices are from %v", s)
	}
}

func TestMistakes(t *testing.T) {
	f := func(e catalog.Entry, want ...string) {
		t.Helper()
		if e.Provider == "" && e.Name == "" {
			e.Provider, e.Name = "p", "m"
		}
		_, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "fine"}, e})
		if err == nil {
			t.Errorf("%+v is accepted", e)
			return
		}
		for _, w := range append(want, "[1].") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%+v: %v does not say %q", e, err, w)
			}
		}
	}
	f(catalog.Entry{Provider: "p"}, "name: missing")
	f(catalog.Entry{Name: "m"}, "provider: missing")
	f(catalog.Entry{Like: "gpt-6-sol"}, "like: ", "provider/model")
	f(catalog.Entry{Like: "openai/gpt-0"}, "like: no model")
	f(catalog.Entry{Context: -1}, "context")
	f(catalog.Entry{Can: []string{"tools", "fly"}, Sampling: "maybe"}, "can[1]: ", "fly", "sampling: ", "without_reasoning")
	f(catalog.Entry{Can: []string{"tools"}, Cannot: []string{"tools"}}, "cannot: ")
	f(catalog.Entry{Thinking: "hard"}, "thinking: ")
	f(catalog.Entry{Retires: "soon"}, "retires: ")
	f(catalog.Entry{Prices: []catalog.Price{{Input: "1"}, {Tier: "flex", Input: "-1", Output: "1e-6"}}}, "prices[1].input: ", "prices[1].output: ")
	f(catalog.Entry{Prices: []catalog.Price{{Hour: "1000001"}}}, "prices[0].hour: ")
	f(catalog.Entry{Prices: []catalog.Price{{Above: -1}}}, "prices[0]")
	f(catalog.Entry{Prices: []catalog.Price{{Until: "later"}}}, "prices[0].until")
	f(catalog.Entry{Prices: []catalog.Price{{Hours: "nights"}}}, "prices[0].hours")
	f(catalog.Entry{Prices: []catalog.Price{{Input: "1"}, {Input: "2"}}}, "prices[1]: a second price")

	err := (&catalog.Entry{Provider: "p", Name: "m", Can: []string{"fly"}}).Validate()
	if m, ok := errors.AsType[*catalog.Mistake](err); !ok || m.Path != "can[0]" || !strings.HasPrefix(m.Message, `"fly" is none of tools, `) {
		t.Errorf("%v is not said by its path", err)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	c := configured(t)
	u := known(chat.Usage{Input: 300_000, CacheRead: 5, Output: 20})
	b := make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() {
		m := c.Lookup("openai", "gpt-6-sol-2026-10-14")
		b = m.Cost(u, "flex", wednesday).AppendUSD(b[:0])
	}); n != 0 {
		t.Errorf("%v allocations to find a model and work out a cost", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	c, err := catalog.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	f := func(title, provider, name string) {
		b.Run(title, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Lookup(provider, name)
			}
		})
	}
	f("exact", "openai", "gpt-6-sol")
	f("dated", "openai", "gpt-6-sol-2026-10-14")
	f("unknown", "openai", "gpt-0")
}

func BenchmarkCost(b *testing.B) {
	c, err := catalog.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	m := c.Lookup("openai", "gpt-6-sol")
	u := chat.Usage{Input: 300_000, CacheRead: 5, Output: 20, Provenance: chat.Reported}
	b.ReportAllocs()
	for b.Loop() {
		m.Cost(u, "priority", wednesday)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := catalog.New(nil); err != nil {
			b.Fatal(err)
		}
	}
}
