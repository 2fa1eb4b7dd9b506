package telemetry_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// priced is a model at a dollar for a million tokens in and two for a million out.
func priced(t testing.TB) *catalog.Model {
	t.Helper()
	c, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: "1", Output: "2", InputAudio: "unknown"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Lookup("p", "m")
}

// TestCosts looks at what is told of the cost of exchanges, and of their usage.
func TestCosts(t *testing.T) {
	m := priced(t)
	f := func(name string, u chat.Usage, wantLine, wantValues string, attempts ...gateway.Attempt) {
		t.Helper()
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
		gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme(), Body: body("gpt-4.1", false)}),
			p.Wrap(opening(&gatewaytest.Script{Attempts: attempts, Events: events(1), Usage: u})))
		if got := line(t, h); !strings.Contains(got, wantLine) {
			t.Errorf("%s: %s lacks %s", name, got, wantLine)
		}
		var got []string
		for v := range strings.Lines(values(t, h)) {
			if strings.HasPrefix(v, "cost_") || strings.HasPrefix(v, "tokens_") {
				got = append(got, strings.TrimSpace(v))
			}
		}
		if got := strings.Join(got, "\n"); got != strings.TrimSpace(wantValues) {
			t.Errorf("%s: got\n%s\nwant%s", name, got, wantValues)
		}
	}
	answered := func(provider string, status int, u chat.Usage) gateway.Attempt {
		return gateway.Attempt{Provider: provider, Model: "m", Known: m, Status: status, Usage: u, Total: time.Hour}
	}
	counted := func(u chat.Usage) chat.Usage { u.Provenance = chat.Reported; return u }
	some := counted(chat.Usage{Input: 100, Output: 10})

	f("an answer", chat.Usage{}, "attempts=1 cost_usd=0.00012 ", `
cost_usd_total{model="gpt-4.1",provider="a",tenant="acme"} 0.00012`, answered("a", 200, some))
	f("a refusal, then an answer", chat.Usage{}, " cost_usd=0.00012 ", `
cost_usd_total{model="gpt-4.1",provider="b",tenant="acme"} 0.00012`, answered("a", 429, chat.Usage{}), answered("b", 200, some))
	f("two answers", chat.Usage{}, " cost_usd=0.00024 ", `
cost_usd_total{model="gpt-4.1",provider="a",tenant="acme"} 0.00012
cost_usd_total{model="gpt-4.1",provider="b",tenant="acme"} 0.00012`, answered("a", 200, some), answered("b", 200, some))
	f("a failure, then an answer", chat.Usage{}, " cost=unknown cost_reason=no usage ", `
cost_unknown_total{model="gpt-4.1",provider="a",reason="no_usage"} 1
cost_usd_total{model="gpt-4.1",provider="b",tenant="acme"} 0.00012`, answered("a", 500, chat.Usage{}), answered("b", 200, some))
	tier := some
	tier.Tier = "flex"
	f("a tier without a price", tier, " cost=unknown cost_reason=no price for the service tier ", `
cost_unknown_total{model="gpt-4.1",provider="a",reason="no_price_for_the_service_tier"} 1
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="input"} 100
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="output"} 10`, answered("a", 200, tier))
	f("a tier is told", tier, " service_tier=flex ", `
cost_unknown_total{model="gpt-4.1",provider="a",reason="no_price_for_the_service_tier"} 1
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="input"} 100
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="output"} 10`, answered("a", 200, tier))
	f("a class without a price", chat.Usage{}, " cost=unknown cost_reason=no price for a class of usage: input_audio ", `
cost_unknown_total{model="gpt-4.1",provider="a",reason="no_price_for_a_class_of_usage"} 1`, answered("a", 200, counted(chat.Usage{InputAudio: 1})))
	f("every class", counted(chat.Usage{
		Input: 1, CacheRead: 2, CacheWrite: 3, CacheWriteHour: 4, InputAudio: 5, InputImage: 6, Output: 7, Reasoning: 8, OutputAudio: 9, OutputImage: 10,
		Duration: 1500 * time.Millisecond,
	}), "cache_read_tokens=2 cache_write_hour_tokens=4 cache_write_tokens=3 cost_usd=0 endpoint=chat.completions "+
		"input_audio_tokens=5 input_image_tokens=6 input_tokens=1 key=ci model=gpt-4.1 output_audio_tokens=9 output_image_tokens=10 "+
		"output_tokens=7 provider=a reasoning_tokens=8 recording_ms=1500 ", `
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="cache_read"} 2
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="cache_write"} 3
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="cache_write_hour"} 4
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="input"} 1
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="input_audio"} 5
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="input_image"} 6
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="output"} 7
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="output_audio"} 9
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="output_image"} 10
tokens_total{model="gpt-4.1",provider="a",tenant="acme",type="reasoning"} 8`, gateway.Attempt{Provider: "a", Status: 404, Total: time.Hour})
}

// TestExactCosts writes amounts by both encoders: what is read in the line is the amount to the picodollar.
func TestExactCosts(t *testing.T) {
	config := zap.NewProductionEncoderConfig()
	e := &twice{Encoder: zapcore.NewJSONEncoder(config), fast: telemetry.Encoder(zapcore.NewJSONEncoder(config)), t: t}
	var lines strings.Builder
	log := zap.New(zapcore.NewCore(e, zapcore.AddSync(&lines), zap.InfoLevel))
	host := &loud{gatewaytest.NewHost(), log}
	defer host.Close()
	p, err := telemetry.Spec(telemetry.Lent{}).Build(host, telemetry.Spec(telemetry.Lent{}).Defaults())
	if err != nil {
		t.Fatal(err)
	}
	f := func(n int64) {
		t.Helper()
		lines.Reset()
		a := ok("openai")
		a.Cost = catalog.Cost{Picodollars: n, Known: true}
		gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{}), p.Wrap(&gatewaytest.Script{Attempts: []gateway.Attempt{a}}))
		var said struct {
			Cost json.Number `json:"cost_usd"`
		}
		if err := json.Unmarshal([]byte(lines.String()), &said); err != nil || said.Cost.String() != a.Cost.USD() {
			t.Errorf("%v: %s is written %s in %s", err, a.Cost.USD(), said.Cost, lines.String())
		}
	}
	for _, n := range []int64{0, 1, 999, 150_000_000, 1_000_000_000, 1_500_000_000, 123_456_789_012, 999_999_999_999, 1e12, 999_999_999_999_999, 1e15, 12_345e11} {
		f(n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		f(r.Int64N(1 << r.IntN(50)))
	}
}

// TestCostBounds makes sure that the reasons are few and read well as a label.
func TestCostBounds(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	for why := catalog.NoModel; why <= catalog.CutShort; why++ {
		a := ok("openai")
		a.Status, a.Cost, a.Known, a.Usage = 200, catalog.Cost{}, priced(t), usage
		switch why {
		case catalog.NoUsage:
			a.Usage = chat.Usage{}
		case catalog.CutShort:
			a.Usage.Provenance = chat.Aborted
		case catalog.OutOfRange:
			a.Usage.Input = -1
		default:
			a.Known = nil
		}
		for range 3 {
			gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{}), p.Wrap(&gatewaytest.Script{Attempts: []gateway.Attempt{a}}))
		}
	}
	all := values(t, h)
	for reason, n := range map[string]int{"model_unknown": 15, "no_usage": 3, "reply_cut_short": 3, "out_of_range": 3} {
		if want := fmt.Sprintf(`cost_unknown_total{model="none",provider="openai",reason=%q} %d`, reason, n); !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
}
