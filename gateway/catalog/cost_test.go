package catalog_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// wednesday is a time at which all prices of the tests hold.
var wednesday = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func known(u chat.Usage) chat.Usage {
	u.Provenance = chat.Reported
	return u
}

// priced is a model of a configuration with one entry.
func priced(t *testing.T, prices ...catalog.Price) *catalog.Model {
	t.Helper()
	return configured(t, catalog.Entry{Provider: "p", Name: "m", Prices: prices}).Lookup("p", "m")
}

func configured(t *testing.T, entries ...catalog.Entry) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCostOfEachClass(t *testing.T) {
	m := priced(t, catalog.Price{
		Input: "1", CacheRead: "2", CacheWrite: "3", CacheWriteHour: "4", InputAudio: "5", InputImage: "6",
		Output: "7", Reasoning: "8", OutputAudio: "9", OutputImage: "10", Hour: "0.36",
	})
	f := func(u chat.Usage, usd string) {
		t.Helper()
		if c := m.Cost(known(u), "", wednesday); c.USD() != usd {
			t.Errorf("%+v: %s (%s), want %s", u, c.USD(), c.Why, usd)
		}
	}
	f(chat.Usage{}, "0")
	f(chat.Usage{Input: 1}, "0.000001")
	f(chat.Usage{CacheRead: 1}, "0.000002")
	f(chat.Usage{CacheWrite: 1}, "0.000003")
	f(chat.Usage{CacheWriteHour: 1}, "0.000004")
	f(chat.Usage{InputAudio: 1}, "0.000005")
	f(chat.Usage{InputImage: 1}, "0.000006")
	f(chat.Usage{Output: 1}, "0.000007")
	f(chat.Usage{Reasoning: 1}, "0.000008")
	f(chat.Usage{OutputAudio: 1}, "0.000009")
	f(chat.Usage{OutputImage: 1}, "0.00001")
	f(chat.Usage{Duration: time.Second}, "0.0001")
	f(chat.Usage{Duration: 90 * time.Minute}, "0.54")
	f(chat.Usage{Duration: 1}, "0")                         // 0.1 picodollars
	f(chat.Usage{Duration: 5}, "0.000000000001")            // 0.5 are rounded up
	f(chat.Usage{Input: 1_000_000, Output: 100_000}, "1.7") // the sum
}

// What is not known is unknown, never free.
func TestUnknownCost(t *testing.T) {
	f := func(m *catalog.Model, u chat.Usage, tier string, want catalog.Cost) {
		t.Helper()
		want.Known = false
		if c := m.Cost(u, tier, wednesday); c != want {
			t.Errorf("%+v %s: %+v, want %+v", u, tier, c, want)
		} else if c.USD() != "unknown" {
			t.Errorf("an unknown cost is written %q", c.USD())
		}
	}
	some := known(chat.Usage{Input: 10, Output: 5})
	builtin := configured(t)
	f(builtin.Lookup("openai", "gpt-0"), some, "", catalog.Cost{Why: catalog.NoModel})
	f(builtin.Lookup("ollama", "llama3"), some, "", catalog.Cost{Why: catalog.NoModel})
	f(builtin.Lookup("openai", "gpt-6-astra-law"), some, "", catalog.Cost{Why: catalog.NoPrice}) // one source only
	f(builtin.Lookup("openai", "gpt-6-sol"), chat.Usage{}, "", catalog.Cost{Why: catalog.NoUsage})
	f(builtin.Lookup("openai", "gpt-6-sol"), chat.Usage{Input: 10, Output: 1, Provenance: chat.Aborted}, "", catalog.Cost{Why: catalog.CutShort})
	f(builtin.Lookup("openai", "gpt-6-sol"), some, "scale", catalog.Cost{Why: catalog.NoTier})
	f(builtin.Lookup("openai", "gpt-5.5"), known(chat.Usage{Input: 300_000}), "priority", catalog.Cost{Why: catalog.NoTier})
	f(builtin.Lookup("openai", "gpt-6-sol"), known(chat.Usage{CacheWriteHour: 1}), "",
		catalog.Cost{Why: catalog.NoRate, Class: catalog.CacheWriteHour})
	f(builtin.Lookup("openai", "gpt-6-sol"), known(chat.Usage{Duration: 1}), "",
		catalog.Cost{Why: catalog.NoRate, Class: catalog.Recording})

	m := priced(t, catalog.Price{Input: "1000000", Output: "unknown", Until: "2026-11-26"}, catalog.Price{Tier: "flex", Input: "1", Until: "2026-11-25"})
	f(m, some, "", catalog.Cost{Why: catalog.NoRate, Class: catalog.Output})
	f(m, some, "flex", catalog.Cost{Why: catalog.Expired})
	f(m, known(chat.Usage{Input: -1}), "", catalog.Cost{Why: catalog.OutOfRange})
	f(m, known(chat.Usage{Input: math.MaxInt64, CacheRead: math.MaxInt64}), "", catalog.Cost{Why: catalog.OutOfRange})
	f(m, known(chat.Usage{Input: 9_223_373}), "", catalog.Cost{Why: catalog.OutOfRange}) // dollars: one too many
	f(m, known(chat.Usage{Input: 4_611_687, CacheRead: 4_611_686}), "", catalog.Cost{Why: catalog.OutOfRange})
	f(m, known(chat.Usage{Duration: -1}), "", catalog.Cost{Why: catalog.OutOfRange})
	if c := m.Cost(known(chat.Usage{Input: 9_223_372}), "", wednesday); c.USD() != "9223372" {
		t.Errorf("the greatest cost is %s", c.USD())
	}
	if c := (*catalog.Model)(nil).CostOf(catalog.Images, 1, "", wednesday); c.Known || c.Why != catalog.NoModel {
		t.Errorf("an image of no model costs %+v", c)
	}
}

func TestRefused(t *testing.T) {
	builtin := configured(t)
	f := func(provider, model string, status int, free bool) {
		t.Helper()
		if c := builtin.Lookup(provider, model).Refused(status); c != (catalog.Cost{Known: free, Why: c.Why}) || !free && c.Why != catalog.NoUsage {
			t.Errorf("%d by %s costs %+v", status, provider, c)
		}
	}
	for _, status := range []int{302, 400, 401, 403, 404, 413, 422, 429, 503, 529} {
		f("openai", "gpt-5.5", status, true)
		f("ollama", "whatever", status, true)
		f("azure", "gpt-5.5", status, status != 400)
	}
	for _, status := range []int{408, 500, 502, 504, 520, 524} {
		f("openai", "gpt-5.5", status, false)
		f("ollama", "whatever", status, false)
	}
}

func TestPlus(t *testing.T) {
	f := func(a, b, want catalog.Cost) {
		t.Helper()
		if got := a.Plus(b); got != want {
			t.Errorf("%+v and %+v is %+v, want %+v", a, b, got, want)
		}
	}
	cost := func(n int64) catalog.Cost { return catalog.Cost{Picodollars: n, Known: true} }
	f(cost(1), cost(2), cost(3))
	f(cost(math.MaxInt64), cost(0), cost(math.MaxInt64))
	f(cost(math.MaxInt64), cost(1), catalog.Cost{Why: catalog.OutOfRange})
	f(cost(1), catalog.Cost{Why: catalog.NoTier}, catalog.Cost{Why: catalog.NoTier})
	f(catalog.Cost{Why: catalog.Expired}, catalog.Cost{Why: catalog.NoTier}, catalog.Cost{Why: catalog.Expired})
}

// The whole of a request with a long prompt has another price, what was cached counts as prompt, and the edge is exact.
func TestLongPrompts(t *testing.T) {
	astra := configured(t).Lookup("openai", "gpt-6-astra")
	f := func(tier string, u chat.Usage, usd string) {
		t.Helper()
		if c := astra.Cost(known(u), tier, wednesday); c.USD() != usd {
			t.Errorf("%s %+v: %s (%s), want %s", tier, u, c.USD(), c.Why, usd)
		}
	}
	f("", chat.Usage{Input: 272_000, Output: 1000}, "2.77")
	f("default", chat.Usage{Input: 272_001, Output: 1000}, "5.51502")
	f("", chat.Usage{Input: 1, CacheRead: 272_000, Output: 1000}, "0.61902")
	f("flex", chat.Usage{Input: 272_001, Output: 1000}, "2.75751")
	f("priority", chat.Usage{Input: 272_000, CacheWrite: 1000, Reasoning: 1000}, "11.08")
	f("batch", chat.Usage{Input: 1000, Output: 1000}, "0.03")
}

func TestHours(t *testing.T) {
	m := configured(t).Lookup("deepseek", "deepseek-v4-pro")
	f := func(at, usd string) {
		t.Helper()
		day, err := time.Parse("2006-01-02 15:04", at)
		if err != nil {
			t.Fatal(err)
		}
		if c := m.Cost(known(chat.Usage{Input: 1_000_000}), "", day.In(time.FixedZone("", 8*3600))); c.USD() != usd {
			t.Errorf("%s: %s (%s), want %s", at, c.USD(), c.Why, usd)
		}
	}
	f("2026-11-25 00:59", "0.66")
	f("2026-11-25 01:00", "1.32")
	f("2026-11-25 03:59", "1.32")
	f("2026-11-25 04:00", "0.66")
	f("2026-11-27 09:59", "1.32")
	f("2026-11-28 09:59", "0.66") // a Saturday
	f("2026-11-30 06:00", "1.32")

	g := func(s string, ok bool) {
		t.Helper()
		if h, err := catalog.ParseHours(s); (err == nil) != ok || ok && h.String() != s {
			t.Errorf("%q: %v", s, err)
		}
	}
	g("", true)
	g("00:00-24:00", true)
	g("sat-mon 22:00-24:00 00:00-02:30", true)
	g("mon-fri", false)
	g("22:00-02:00", false)
	g("01:00-02:00 mon-fri", false)
	g("1:00-2:00", false)
	g("01:60-02:00", false)
	g("01:00-24:01", false)
	g("00:00-01:00 02:00-03:00 04:00-05:00 06:00-07:00 08:00-09:00", false)
}

// A vendor that publishes one price for all of a prompt charges it for images, and thought is output.
func TestOrdinaryClasses(t *testing.T) {
	c := configured(t, catalog.Entry{Provider: "vllm", Name: "*", Prices: []catalog.Price{{Input: "1", Output: "2"}}})
	f := func(provider, model string, u chat.Usage, usd string) {
		t.Helper()
		if got := c.Lookup(provider, model).Cost(known(u), "", wednesday); got.USD() != usd {
			t.Errorf("%s/%s %+v: %s (%s), want %s", provider, model, u, got.USD(), got.Why, usd)
		}
	}
	million := int64(1_000_000)
	f("openai", "gpt-4o-mini", chat.Usage{InputImage: million}, "0.15")
	f("openai", "gpt-4o-mini", chat.Usage{CacheWrite: million}, "0.15") // writes are not charged apart
	f("openai", "gpt-4o-mini", chat.Usage{InputAudio: 1}, "unknown")    // it takes none
	f("openai", "gpt-6-sol", chat.Usage{Reasoning: million}, "10")
	f("openai", "gpt-6-sol", chat.Usage{OutputAudio: 1}, "unknown")
	f("gemini", "gemini-3.1-pro-preview", chat.Usage{InputAudio: 100_000}, "0.2")
	f("gemini", "gemini-2.5-flash", chat.Usage{InputAudio: million}, "1") // has a price of its own
	f("vllm", "anything", chat.Usage{CacheRead: million, CacheWriteHour: million, OutputAudio: million}, "4")
	f("sim", "sim-chat", chat.Usage{Input: million, Output: million, CacheRead: 1, OutputImage: 1}, "0")
	f("groq", "whisper-large-v3", chat.Usage{Duration: time.Second}, "0.000308333333") // at least ten seconds
	f("groq", "whisper-large-v3", chat.Usage{Duration: time.Hour}, "0.111")
}

func TestCostOf(t *testing.T) {
	tts := configured(t).Lookup("openai", "tts-1")
	if c := tts.CostOf(catalog.Characters, 1000, "", wednesday); c.USD() != "0.015" {
		t.Errorf("1000 characters cost %s", c.USD())
	}
	if c := tts.CostOf(catalog.Images, 1, "", wednesday); c.Known {
		t.Errorf("an image costs %s", c.USD())
	}
	if c := tts.CostOf(catalog.Characters, -1, "", wednesday); c.Known {
		t.Errorf("-1 characters cost %s", c.USD())
	}
	m := priced(t, catalog.Price{Image: "0.04"})
	if c := m.CostOf(catalog.Images, 3, "", wednesday); c.USD() != "0.12" {
		t.Errorf("3 images cost %s", c.USD())
	}
}

// The cost of a sum is the sum of the costs, within a length of prompt; more never costs less.
func TestCostIsAdditiveAndMonotone(t *testing.T) {
	var models []*catalog.Model
	for m := range configured(t).Models() {
		if len(m.Tariffs) > 0 {
			models = append(models, m)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		m := models[r.IntN(len(models))]
		a, b := some(r, m), some(r, m)
		ca, cb, both := m.Cost(a, "", wednesday), m.Cost(b, "", wednesday), m.Cost(sum(a, b), "", wednesday)
		if !ca.Known || !cb.Known || !both.Known {
			t.Fatalf("%s/%s: %+v %+v: %s %s %s", m.Provider, m.Name, a, b, ca.Why, cb.Why, both.Why)
		}
		if ca.Picodollars+cb.Picodollars != both.Picodollars {
			t.Errorf("%s/%s: %+v and %+v: %d and %d, together %d", m.Provider, m.Name, a, b, ca.Picodollars, cb.Picodollars, both.Picodollars)
		}
		if ca.Picodollars < 0 || both.Picodollars < ca.Picodollars {
			t.Errorf("%s/%s: %+v is dearer than with %+v", m.Provider, m.Name, a, b)
		}
	}
}

// some is a usage in the classes that the model has prices of, too short for those of long prompts.
func some(r *rand.Rand, m *catalog.Model) chat.Usage {
	u := known(chat.Usage{})
	for class, n := range classesOf(&u) {
		priced := true
		for _, t := range m.Tariffs {
			priced = priced && (t.Tier != "" && t.Tier != "*" || t.Above > 0 || t.Rates[class].Known)
		}
		if priced {
			*n = r.Int64N(10_000)
		}
	}
	return u
}

func classesOf(u *chat.Usage) []*int64 {
	return []*int64{
		&u.Input, &u.CacheRead, &u.CacheWrite, &u.CacheWriteHour, &u.InputAudio, &u.InputImage,
		&u.Output, &u.Reasoning, &u.OutputAudio, &u.OutputImage,
	}
}

func sum(a, b chat.Usage) chat.Usage {
	for i, n := range classesOf(&a) {
		*n += *classesOf(&b)[i]
	}
	return a
}

// Whatever the numbers, a cost is the exact one, or unknown because it is too great.
func TestCostNeverOverflows(t *testing.T) {
	m := priced(t, catalog.Price{Input: "999999.999999", Output: "123456.789", Hour: "1000000"})
	r := rand.New(rand.NewPCG(8, 8))
	outcomes := map[bool]int{}
	for range 20_000 {
		part := known(chat.Usage{Input: r.Int64N(1 << r.IntN(40)), Duration: time.Duration(r.Int64N(1 << r.IntN(60)))})
		whole := part
		whole.Output = r.Int64N(1 << r.IntN(40))
		p, w := m.Cost(part, "", wednesday), m.Cost(whole, "", wednesday)
		exact := new(big.Int).Add(product(999_999_999_999, part.Input), product(123_456_789_000, whole.Output))
		exact.Add(exact, new(big.Int).Div(new(big.Int).Add(product(1e18, int64(part.Duration)), big.NewInt(18e11)), big.NewInt(36e11)))
		if w.Known != exact.IsInt64() || w.Known && (w.Picodollars != exact.Int64() || !p.Known || p.Picodollars > w.Picodollars) {
			t.Errorf("%+v: %+v, a part of it %+v, want %s", whole, w, p, exact)
		}
		outcomes[w.Known]++
	}
	if outcomes[true] < 1000 || outcomes[false] < 1000 {
		t.Errorf("known or not: %v", outcomes)
	}
}

func product(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }

func FuzzParseHours(f *testing.F) {
	for _, s := range []string{"", "mon-fri 01:00-04:00 06:00-10:00", "00:00-24:00", "sat-mon 22:00-24:00", "mon-fri", "25:00-26:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := catalog.ParseHours(s)
		if err != nil {
			return
		}
		if again, err := catalog.ParseHours(h.String()); err != nil || again != h || h.String() != s {
			t.Errorf("%q is read as %v, again as %v, %v", s, h, again, err)
		}
		p := catalog.Price{Input: "1", Hours: s}
		if m := priced(t, p); len(m.Tariffs) != 1 || m.Tariffs[0].Hours != h {
			t.Errorf("%q: %+v", s, m.Tariffs)
		}
	})
}
