package oracle

import (
	"bufio"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// theirs are the calculator's names for our kinds of provider.
var theirs = map[string]string{
	"openai": "openai", "azure": "azure", "anthropic": "anthropic", "gemini": "google", "mistral": "mistral", "groq": "groq",
	"deepseek": "deepseek", "xai": "x-ai", "cohere": "cohere", "together": "together", "fireworks": "fireworks",
}

// priceKeys are its names for the prices of the classes.
var priceKeys = map[catalog.Class]string{
	catalog.Input: "input_mtok", catalog.CacheRead: "cache_read_mtok", catalog.CacheWrite: "cache_write_mtok",
	catalog.CacheWriteHour: "cache_write_1h_mtok", catalog.InputAudio: "input_audio_mtok",
	catalog.InputImage: "input_image_mtok", catalog.Output: "output_mtok", catalog.ReasoningOutput: "output_reasoning_mtok",
	catalog.OutputAudio: "output_audio_mtok", catalog.OutputImage: "output_image_mtok", catalog.Recording: "input_audio_hours",
}

// newer are the models whose prices have changed since the calculator's list was made, in September 2026: the catalogue has
// them from a newer version, which exists for Python only.
var newer = map[string]bool{
	"anthropic/claude-sonnet-5-5": true, "azure/o4-mini": true, "azure/phi-3-medium-128k-instruct": true,
	"azure/phi-3-mini-128k-instruct": true, "azure/phi-4": true, "azure/phi-4-reasoning-plus": true,
	"fireworks/accounts/fireworks/models/gpt-oss-120b": true, "fireworks/accounts/fireworks/routers/kimi-k3-us": true,
	"gemini/gemini-3.8-flash-lite-tts": true, "gemini/gemini-3.8-flash-tts": true, "groq/openai/gpt-oss-safeguard-20b": true,
	"mistral/mistral-small-latest": true, "xai/grok-4.20-multi-agent": true,
}

// olderEdge is a length of prompt at which that list has the price of longer ones already, and the newer one has not.
const olderEdge = 272_000

const perModel = 24

func TestCost(t *testing.T) {
	c, err := catalog.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := start(t)
	r := rand.New(rand.NewPCG(1, 2))
	monday, err := time.Parse(time.DateOnly, "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	models, compared := 0, 0
	for m := range c.Models() {
		provider, ok := theirs[m.Provider]
		if !ok || len(m.Tariffs) == 0 || newer[m.Provider+"/"+m.Name] {
			continue
		}
		known := o.ask(t, question{Provider: provider, Model: m.Name, At: monday})
		if known == nil || len(known.Prices) == 0 {
			continue // priced by others
		}
		models++
		classes := shared(m, known.Prices)
		for range perModel {
			// The calculator knows no days of the week: the weekends of prices by the hour are not compared.
			at := monday.Add(time.Duration(r.Int64N(int64(5 * 24 * time.Hour))))
			if r.IntN(2) == 0 {
				at = at.Truncate(time.Hour)
			}
			u := generate(r, m, classes)
			if u.Prompt() == olderEdge {
				continue
			}
			compare(t, o, m, provider, u, at)
			compared++
		}
	}
	if models < 250 || compared < 6000 {
		t.Errorf("only %d usages of %d models compared", compared, models)
	}
}

// compare allows for the calculator's error, no more: it adds floating-point numbers, so that each of its few products
// and sums is off by at most half a unit of the 53rd bit. Below some 50 dollars that is less than half a picodollar, and
// the costs are the same to the picodollar.
func compare(t *testing.T, o *calculator, m *catalog.Model, provider string, u chat.Usage, at time.Time) {
	t.Helper()
	got := m.Cost(u, "", at)
	if !got.Known {
		t.Errorf("%s/%s: cost of %+v is not known: %s %s", m.Provider, m.Name, u, got.Why, got.Class)
		return
	}
	want := o.ask(t, question{Provider: provider, Model: m.Name, At: at, Usage: usage(u)})
	if want == nil || want.Error != "" {
		t.Fatalf("%s/%s: %+v: the calculator answers %+v", m.Provider, m.Name, u, want)
	}
	picodollars := want.USD * 1e12
	if off := math.Abs(picodollars - float64(got.Picodollars)); off > max(0.5, picodollars*0x1p-49) {
		t.Errorf("%s/%s: %+v at %s costs %s, by the calculator %.15f", m.Provider, m.Name, u, at, got.USD(), want.USD)
	}
}

// shared are the classes that both price: by prices of their own, or as ordinary input or output.
func shared(m *catalog.Model, prices []string) (classes []catalog.Class) {
	for class, key := range priceKeys {
		ordinary := catalog.Input
		if class >= catalog.Output {
			ordinary = catalog.Output
		}
		both := true
		for _, t := range m.Tariffs {
			if t.Tier == "" {
				own := slices.Contains(prices, key)
				both = both && t.Rates[class].Known && (own || t.Rates[class] == t.Rates[ordinary] && slices.Contains(prices, priceKeys[ordinary]))
			}
		}
		if both {
			classes = append(classes, class)
		}
	}
	slices.Sort(classes)
	return classes
}

// generate makes a usage of any size, often at a length of prompt from which other prices hold.
func generate(r *rand.Rand, m *catalog.Model, classes []catalog.Class) chat.Usage {
	u := chat.Usage{Provenance: chat.Reported}
	places := map[catalog.Class]*int64{
		catalog.Input: &u.Input, catalog.CacheRead: &u.CacheRead, catalog.CacheWrite: &u.CacheWrite,
		catalog.CacheWriteHour: &u.CacheWriteHour, catalog.InputAudio: &u.InputAudio, catalog.InputImage: &u.InputImage,
		catalog.Output: &u.Output, catalog.ReasoningOutput: &u.Reasoning, catalog.OutputAudio: &u.OutputAudio,
		catalog.OutputImage: &u.OutputImage,
	}
	for _, class := range classes {
		if class == catalog.Recording {
			u.Duration = time.Duration(r.Int64N(1<<(1+r.IntN(13)))) * time.Second
		} else if r.IntN(3) > 0 {
			*places[class] = r.Int64N(1 << (1 + r.IntN(20)))
		}
	}
	edge := m.Tariffs[r.IntN(len(m.Tariffs))].Above + int64(r.IntN(3)) - 1
	if slices.Contains(classes, catalog.Input) && edge > 1 && r.IntN(2) == 0 {
		if rest := u.Prompt() - u.Input; rest > edge {
			u.CacheRead, u.CacheWrite, u.CacheWriteHour, u.InputAudio, u.InputImage = 0, 0, 0, 0, 0
		}
		u.Input = edge - (u.Prompt() - u.Input)
	}
	return u
}

// usage is ours in the calculator's words, whose classes contain one another.
func usage(u chat.Usage) map[string]float64 {
	out := map[string]float64{}
	for _, joint := range []string{
		"cache_audio_read_tokens", "cache_image_read_tokens", "cache_audio_write_tokens", "cache_image_write_tokens",
		"cache_audio_write_1h_tokens", "cache_image_write_1h_tokens", "output_audio_reasoning_tokens", "output_image_reasoning_tokens",
	} {
		out[joint] = 0
	}
	if u.Duration > 0 {
		out["audio_seconds"], out["input_audio_seconds"] = u.Duration.Seconds(), u.Duration.Seconds()
		return out
	}
	for key, n := range map[string]int64{
		"input_tokens": u.Prompt(), "cache_read_tokens": u.CacheRead, "cache_write_tokens": u.CacheWrite + u.CacheWriteHour,
		"cache_write_1h_tokens": u.CacheWriteHour, "input_audio_tokens": u.InputAudio, "input_image_tokens": u.InputImage,
		"output_tokens": u.Completion(), "output_reasoning_tokens": u.Reasoning, "output_audio_tokens": u.OutputAudio,
		"output_image_tokens": u.OutputImage,
	} {
		out[key] = float64(n)
	}
	return out
}

type question struct {
	Provider string             `json:"provider"`
	Model    string             `json:"model"`
	At       time.Time          `json:"at"`
	Usage    map[string]float64 `json:"usage"`
}

type answer struct {
	USD    float64  `json:"usd"`
	Prices []string `json:"prices"`
	Error  string   `json:"error"`
}

type calculator struct {
	in  *json.Encoder
	out *json.Decoder
}

func start(t *testing.T) *calculator {
	t.Helper()
	modules := filepath.Join(installed(t, "SLUICE_SDK_PRICES"), "node_modules")
	node := filepath.Join(installed(t, "SLUICE_SDK_NODE"), "node_modules", ".bin", "node")
	cmd := exec.CommandContext(t.Context(), node, "testdata/calculate.cjs")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run `make sdk`", err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the calculator: %v", err)
		}
	})
	return &calculator{in: json.NewEncoder(in), out: json.NewDecoder(bufio.NewReader(out))}
}

func (o *calculator) ask(t *testing.T, q question) *answer {
	t.Helper()
	if q.Usage == nil {
		q.Usage = map[string]float64{}
	}
	if err := o.in.Encode(q); err != nil {
		t.Fatal(err)
	}
	var a *answer
	if err := o.out.Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

// installed is what the Makefile says of a folder.
func installed(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: `make test-sdk` installs the calculator and runs this test; `make sdk` only installs it, in bin/.sdk", variable)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v: run `make sdk`", variable, err)
	}
	return path
}
