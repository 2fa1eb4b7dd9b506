package runtime_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

// priced is a model with one price for a million tokens, in or out.
func priced(provider, model, price string) config.CatalogEntry {
	usd := config.NewUSD(price)
	return config.CatalogEntry{Provider: provider, Model: model, Prices: []config.Price{{Input: usd, Output: usd}}}
}

// counting answers with 10 tokens in and 5 out, or refuses with 429 a model called "busy".
func counting(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(string(body), `"busy"`) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"message":"later"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func cost(t *testing.T, r *runtime.Runtime, model string) string {
	t.Helper()
	g := r.Acquire()
	defer g.Release()
	x := gatewaytest.New(t, gatewaytest.Request{Endpoint: gatewaytest.Chat(), Body: `{"model":"` + model + `"}`, Directory: g.Directory()})
	if a := gatewaytest.Serve(x, g); a.Err != nil {
		t.Error(a.Err)
	}
	c := x.Cost()
	if !c.Known {
		return c.Why.String()
	}
	return c.USD()
}

// A provider that is carried over into the next generation charges what that one's catalogue says.
func TestCatalogChanges(t *testing.T) {
	up := counting(t)
	r := newRuntime(t, &life{})
	p := func(model string) config.Target { return config.Target{Provider: "p", Model: model, Weight: 1} }
	c := base(up.URL)
	c.Retries.Max = 0
	c.Models = []config.Model{
		model("m", p("")), model("any-*", p("")), {Name: "first", Strategy: config.Ordered, Targets: []config.Target{p("busy")}, Fallback: []string{"any-x"}},
	}
	apply(t, r, c)
	f := func(name, want string) {
		t.Helper()
		if got := cost(t, r, name); got != want {
			t.Errorf("%s costs %s, want %s", name, got, want)
		}
	}
	f("m", "model unknown")
	f("any-x", "model unknown")
	directory := r.Acquire()
	before := directory.Directory().Known
	directory.Release()

	next := *c
	next.Catalog = []config.CatalogEntry{priced("p", "m", "2"), priced("p", "any-x", "0.1")}
	apply(t, r, &next)
	f("m", "0.00003")
	f("any-x", "0.0000015")
	f("any-y", "model unknown")
	f("first", "0.0000015") // the fallback that a wildcard matches, behind a refusal that cost nothing
	if before("p", "m") != nil {
		t.Error("an older generation sees the new catalogue")
	}

	again := next
	again.Tenants.List = append(again.Tenants.List, &config.Tenant{ID: "other"})
	g := r.Acquire()
	known := g.Directory().Known("p", "m")
	g.Release()
	apply(t, r, &again)
	g = r.Acquire()
	if known == nil || g.Directory().Known("p", "m") != known {
		t.Error("a catalogue that did not change is built again")
	}
	g.Release()

	broken := next
	broken.Catalog = []config.CatalogEntry{{Provider: "p", Model: "m", Like: "openai/gpt-0"}}
	if err := r.Apply(&broken); err == nil || !strings.Contains(err.Error(), `catalog[0].like: no model "openai/gpt-0" is known`) {
		t.Error(err)
	}
	f("m", "0.00003")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A model is looked for among the entries for its provider, then among those for its type.
func TestKnown(t *testing.T) {
	c := &config.Config{Providers: []config.Provider{
		{Name: "own", Type: "openai"}, {Name: "azure-eu", Type: "azure", APIVersion: "2024-10-21"}, {Name: "mistral", Type: "vllm"}, {Name: "box", Type: "ollama"}, {Name: "s", Type: "sim"},
	}}
	f := func(provider, model, want string, input int64) {
		t.Helper()
		all, err := runtime.Catalog(c)
		if err != nil {
			t.Fatal(err)
		}
		m := runtime.Known(c, all)(provider, model)
		got, price := "", int64(0)
		if m != nil {
			got = m.Provider + "/" + m.Name
		}
		if m != nil && len(m.Tariffs) > 0 {
			price = m.Tariffs[0].Rates[catalog.Input].Picodollars
		}
		if got != want || price != input {
			t.Errorf("%s %s is %s at %d, want %s at %d", provider, model, got, price, want, input)
		}
	}
	const millionth = 1_000_000
	f("own", "gpt-4.1-mini-2025-04-14", "openai/gpt-4.1-mini", 0.4*millionth)
	f("azure-eu", "gpt-4.1-mini", "azure/gpt-4.1-mini", 0.4*millionth)
	f("own", "x", "", 0)
	f("mistral", "mistral-small-latest", "", 0)
	f("box", "llama3", "", 0)
	f("s", "anything", "sim/*", 0)
	f("nobody", "gpt-4.1-mini", "", 0)

	c.Catalog = []config.CatalogEntry{
		priced("own", "gpt-4.1-mini", "0.3"), priced("ollama", "*", "0"), priced("box", "llama3", "0.5"), priced("mistral", "mine", "1"),
		{Provider: "azure-eu", Model: "my-deployment", Like: "azure/gpt-4.1-mini"},
	}
	f("own", "gpt-4.1-mini", "own/gpt-4.1-mini", 0.3*millionth)
	f("own", "gpt-4.1-nano", "openai/gpt-4.1-nano", 0.1*millionth)
	f("box", "llama3", "box/llama3", 0.5*millionth)
	f("box", "other", "ollama/*", 0)
	f("azure-eu", "my-deployment", "azure-eu/my-deployment", 0.4*millionth)
	f("mistral", "mine", "", 0) // the entry is for the type
}

func TestCheck(t *testing.T) {
	f := func(e config.CatalogEntry, want ...string) {
		t.Helper()
		err := runtime.Check(&config.Config{Catalog: []config.CatalogEntry{{Provider: "sim", Model: "fine"}, e}})
		if err == nil {
			t.Fatalf("%+v is right", e)
		}
		joined, _ := err.(interface{ Unwrap() []error })
		all := joined.Unwrap()
		if len(all) != len(want) {
			t.Fatalf("%v, want %q", err, want)
		}
		for i := range want {
			if fe, ok := errors.AsType[*config.FieldError](all[i]); !ok || !strings.HasPrefix(fe.Error(), want[i]) {
				t.Errorf("%v, want %s", all[i], want[i])
			}
		}
	}
	f(config.CatalogEntry{Provider: "openai"}, "catalog[1].model: missing")
	f(config.CatalogEntry{Provider: "openai", Model: "m", Like: "openai/gpt-0"}, `catalog[1].like: no model "openai/gpt-0"`)
	f(config.CatalogEntry{Provider: "openai", Model: "m", Can: []string{"tools"}, Cannot: []string{"tools"}}, "catalog[1].cannot: ")
	f(config.CatalogEntry{Provider: "openai", Model: "m", Prices: []config.Price{{Input: config.NewUSD("1.0000001"), Hours: "at night"}, {Output: config.NewUSD("1000001")}}},
		"catalog[1].prices[0].input: ", "catalog[1].prices[0].hours: ", "catalog[1].prices[1].output: ")
	if err := runtime.Check(&config.Config{}); err != nil {
		t.Error(err)
	}
}

// words are those that the configuration takes in a field of an entry.
func words(field string) (list []string) {
	f, _ := reflect.TypeFor[config.CatalogEntry]().FieldByName(field)
	for rule := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		if word, ok := strings.CutPrefix(rule, "enum="); ok {
			list = append(list, word)
		}
	}
	return list
}

// The configuration takes the words that the catalogue has.
func TestCatalogWords(t *testing.T) {
	all, err := runtime.Catalog(&config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[string]bool{"Mode": {}, "Can": {}, "Sampling": {}, "Thinking": {}}
	for m := range all.Models() {
		seen["Mode"][m.Mode], seen["Sampling"][m.Sampling.String()], seen["Thinking"][m.Thinking.String()] = true, true, true
		can, cannot := m.Abilities()
		for _, name := range append(can, cannot...) {
			seen["Can"][name] = true
		}
	}
	for field, names := range seen {
		delete(names, "")
		if len(names) < 3 {
			t.Errorf("%s: only %v", field, names)
		}
		for name := range names {
			if !slices.Contains(words(field), name) {
				t.Errorf("%s: the configuration does not take %q", field, name)
			}
		}
	}
}

// The catalogue knows the words that the configuration takes.
func TestConfiguredWords(t *testing.T) {
	if !slices.Equal(words("Can"), words("Cannot")) {
		t.Error("can and cannot take different words")
	}
	c := &config.Config{Catalog: []config.CatalogEntry{{Provider: "sim", Model: "m", Can: words("Can")}, {Provider: "sim", Model: "n", Cannot: words("Cannot")}}}
	for _, word := range words("Sampling") {
		c.Catalog = append(c.Catalog, config.CatalogEntry{Provider: "sim", Model: "s-" + word, Sampling: word})
	}
	for _, word := range words("Thinking") {
		c.Catalog = append(c.Catalog, config.CatalogEntry{Provider: "sim", Model: "t-" + word, Thinking: word})
	}
	if err := runtime.Check(c); err != nil {
		t.Error(err)
	}
}
