package routing_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// planned is an exchange of a tenant that may everything, unless the request says whose it is.
func planned(t *testing.T, r gatewaytest.Request) *gateway.Exchange {
	t.Helper()
	x, e := ask(t, r)
	if e != nil {
		t.Fatalf("%s: %v", r.Body, e)
	}
	return x
}

// ask plans one exchange, perhaps in vain.
func ask(t *testing.T, r gatewaytest.Request) (*gateway.Exchange, *gateway.Error) {
	t.Helper()
	if r.Endpoint == nil {
		r.Endpoint = gatewaytest.Endpoint("chat.completions", "")
	}
	if r.Caller.Tenant == nil {
		r.Caller.Tenant = &gateway.Tenant{ID: "all"}
	}
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	x := gatewaytest.New(t, r)
	a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
	return x, a.Error()
}

// stall is a directory with one model, "m", whose targets are all "provider[:key]/model", with health. Names in one string
// are keys of one step.
func stall(strategy gateway.Strategy, steps ...string) (*gateway.Directory, map[string]*gateway.Target) {
	registry := health.New(health.Options{})
	m := &gateway.Model{Name: "m", Strategy: strategy}
	targets := map[string]*gateway.Target{}
	for _, s := range steps {
		var step []*gateway.Target
		for name := range strings.FieldsSeq(s) {
			x := target(name, 1)
			x.Provider, x.Key, _ = strings.Cut(x.Provider, ":")
			x.Health = registry.Target(health.ID{Provider: x.Provider, Key: x.Key, Model: x.Model}, health.Settings{})
			step, targets[name] = append(step, x), x
		}
		m.Steps = append(m.Steps, step)
	}
	return gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{m}}), targets
}

// firsts counts which target comes first, as a share of many plans.
func firsts(t *testing.T, d *gateway.Directory, r gatewaytest.Request) map[*gateway.Target]float64 {
	t.Helper()
	const draws = 4000
	r.Directory, r.Endpoint = d, gatewaytest.Endpoint("chat.completions", "")
	if r.Caller.Tenant == nil {
		r.Caller.Tenant = &gateway.Tenant{ID: "all"}
	}
	if r.Body == "" {
		r.Body = body("m")
	}
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	h := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	x := gatewaytest.New(t, r)
	shares := map[*gateway.Target]float64{}
	for range draws {
		if err := h.Serve(x); err != nil {
			t.Fatal(err)
		}
		shares[x.Plan.Targets[0]] += 1.0 / draws
	}
	return shares
}

// near says whether a share of 4,000 draws is what it should be: six standard deviations.
func near(got, want float64) bool { return math.Abs(got-want) <= 6*math.Sqrt(want*(1-want)/4000)+1e-9 }

// TestKeys makes sure that the keys of a provider share its weight by what is left of their limits.
func TestKeys(t *testing.T) {
	for _, strategy := range []gateway.Strategy{gateway.Ordered, gateway.Weighted, gateway.LeastCost} {
		d, at := stall(strategy, "a:1/m a:2/m a:3/m", "b/m")
		now := gateway.Now()
		minute := now.Add(time.Minute)
		limit := func(name string, requests, tokens health.Limit) {
			at[name].Health.Limited(now, health.Limits{Requests: requests, Tokens: tokens})
		}
		f := func(first, second, third float64) {
			t.Helper()
			all := 1.0
			if strategy != gateway.Ordered {
				all = 0.75 // three of four weights
			}
			if strategy == gateway.LeastCost {
				all = 0.75 // no price is known
			}
			s := firsts(t, d, gatewaytest.Request{})
			for name, want := range map[string]float64{"a:1/m": first, "a:2/m": second, "a:3/m": third} {
				if got := s[at[name]]; !near(got, want*all) {
					t.Errorf("%s: %s comes first with %.3f, not %.3f", strategy, name, got, want*all)
				}
			}
		}
		f(1.0/3, 1.0/3, 1.0/3)
		limit("a:1/m", health.Limit{Max: 100, Remaining: 50, Reset: minute}, health.Limit{})
		f(1.0/5, 2.0/5, 2.0/5)
		limit("a:2/m", health.Limit{Max: 100, Remaining: 100, Reset: minute}, health.Limit{Max: 1000, Remaining: 250, Reset: minute})
		f(2.0/7, 1.0/7, 4.0/7)
		limit("a:3/m", health.Limit{Max: 100, Remaining: 0, Reset: now}, health.Limit{}) // over already
		f(2.0/7, 1.0/7, 4.0/7)
		limit("a:3/m", health.Limit{Max: 100, Remaining: 0, Reset: minute}, health.Limit{})
		f(2.0/3, 1.0/3, 0)
	}
}

// TestSlowStart makes sure that a target which was ill gets back its requests little by little.
func TestSlowStart(t *testing.T) {
	for _, strategy := range []gateway.Strategy{gateway.Ordered, gateway.Weighted} {
		synctest.Test(t, func(t *testing.T) {
			d, at := stall(strategy, "a/m", "b/m", "c/m")
			a := at["a/m"].Health
			f := func() {
				t.Helper()
				share := a.Share(gateway.Now())
				want := 1.0
				if a.Wait(gateway.Now()) > 0 {
					want = 0
				}
				if strategy == gateway.Weighted {
					want *= share / (share + 2)
				} else if want > 0 {
					want = share
				}
				s := firsts(t, d, gatewaytest.Request{})
				if strategy == gateway.Ordered && a.Wait(gateway.Now()) > 0 {
					want = 1 // it stays where it is: whoever forwards knows
				}
				if got := s[at["a/m"]]; !near(got, want) {
					t.Errorf("%s: with a share of %.2f it comes first with %.3f, not %.3f", strategy, share, got, want)
				}
				if got := s[at["c/m"]]; strategy == gateway.Ordered && got > 0 {
					t.Errorf("the third comes first with %.3f", got)
				}
			}
			f()
			for range 5 {
				a.Report(gateway.Now(), health.Outcome{Verdict: health.Failed, Reason: "test"})
			}
			f()
			<-time.After(a.Wait(gateway.Now()))
			if !a.Begin(gateway.Now(), 0) {
				t.Fatal("there is no trial")
			}
			a.Report(gateway.Now(), health.Outcome{Verdict: health.OK, First: time.Second})
			a.End(0)
			f()
			<-time.After(5 * time.Second)
			f()
			<-time.After(5 * time.Second)
			if a.Share(gateway.Now()) != 1 {
				t.Error("it still starts slowly")
			}
			f()
		})
	}
}

// TestOwnAccounts makes sure that the health of a tenant's own account counts for it, and for nobody else.
func TestOwnAccounts(t *testing.T) {
	d, at := stall(gateway.LeastLatency, "a/m", "b/m")
	own := health.New(health.Options{}).Target(health.ID{Provider: "a", Key: "tenant acme", Model: "*"}, health.Settings{})
	acme := &gateway.Tenant{ID: "acme", Own: map[string]*gateway.Own{"a": {Health: own}}}
	for name, first := range map[string]time.Duration{"a/m": time.Second, "b/m": 2 * time.Second} {
		at[name].Health.Report(gateway.Now(), health.Outcome{Verdict: health.OK, First: first, Whole: true})
	}
	own.Of("m").Report(gateway.Now(), health.Outcome{Verdict: health.OK, First: 3 * time.Second, Whole: true})
	f := func(tenant *gateway.Tenant, want string) {
		t.Helper()
		if got := names(planned(t, gatewaytest.Request{Directory: d, Body: body("m"), Caller: gateway.Caller{Tenant: tenant}})); got != want {
			t.Errorf("%s gets %s, want %s", tenant.ID, got, want)
		}
	}
	f(&gateway.Tenant{ID: "other"}, "a/m b/m")
	f(acme, "b/m a/m")
}

// price is a model that costs so much for a token of the prompt and of the answer.
func price(in, out, window int64) *catalog.Model {
	m := &catalog.Model{Context: window, Tariffs: []catalog.Tariff{{}}}
	m.Tariffs[0].Rates[catalog.Input] = catalog.Rate{Picodollars: in, Known: true}
	m.Tariffs[0].Rates[catalog.Output] = catalog.Rate{Picodollars: out, Known: true}
	return m
}

func TestLeastCost(t *testing.T) {
	d, at := stall(gateway.LeastCost, "unknown/m", "answers/m", "prompts/m", "dear/m")
	at["answers/m"].Known, at["prompts/m"].Known, at["dear/m"].Known = price(10, 1, 0), price(1, 10, 0), price(20, 20, 0)
	f := func(endpoint, fields, want string) {
		t.Helper()
		x := planned(t, gatewaytest.Request{Directory: d, Endpoint: gatewaytest.Endpoint(endpoint, ""), Body: `{"model":"m",` + fields + `}`})
		if got := strings.ReplaceAll(names(x), "/m", ""); got != want {
			t.Errorf("%s with %.50s: %s, want %s", endpoint, fields, got, want)
		}
	}
	long := `"messages":[{"role":"user","content":"` + strings.Repeat("word ", 4000) + `"}]`
	f("chat.completions", `"messages":[]`, "answers prompts dear unknown") // 500 tokens of an answer are expected
	f("chat.completions", `"messages":[],"max_tokens":1`, "prompts answers dear unknown")
	f("chat.completions", long, "prompts answers dear unknown")
	f("chat.completions", long+`,"max_tokens":50000`, "answers prompts dear unknown")
	f("responses.create", `"input":"hi","max_output_tokens":1`, "prompts answers dear unknown")
	f("embeddings", `"input":"hi"`, "prompts answers dear unknown") // nothing is generated
	at["answers/m"].Known.Output, at["prompts/m"].Known.Output = 0, 1
	f("chat.completions", `"messages":[]`, "prompts answers dear unknown") // it cannot say more

	// By the service tier that is asked for: the others have no price for it.
	flex := price(100, 100, 0).Tariffs[0]
	flex.Tier = "flex"
	at["dear/m"].Known.Tariffs = append(at["dear/m"].Known.Tariffs, flex)
	x := planned(t, gatewaytest.Request{Directory: d, Body: `{"model":"m","service_tier":"flex"}`})
	if x.Plan.Targets[0] != at["dear/m"] || len(x.Plan.Targets) != 4 {
		t.Errorf("flex goes to %s", names(x))
	}

	// What costs the same is drawn by weight, and what must not be asked comes last.
	d, at = stall(gateway.LeastCost, "a/m", "b/m", "c/m")
	at["a/m"].Known, at["b/m"].Known, at["c/m"].Known = price(5, 5, 0), price(5, 5, 0), price(1, 1, 0)
	at["a/m"].Weight = 3
	at["c/m"].Health.Report(gateway.Now(), health.Outcome{Verdict: health.Limited, After: time.Hour, Reason: "test"})
	if s := firsts(t, d, gatewaytest.Request{}); !near(s[at["a/m"]], 0.75) || !near(s[at["b/m"]], 0.25) {
		t.Errorf("%.3f, %.3f", s[at["a/m"]], s[at["b/m"]])
	}
}

// TestWindows makes sure that a prompt which is too long for a model goes to a larger one first.
func TestWindows(t *testing.T) {
	d, at := stall(gateway.Ordered, "small/m", "medium/m", "unknown/m", "large/m")
	at["small/m"].Known, at["medium/m"].Known, at["large/m"].Known = price(1, 1, 8000), price(1, 1, 32000), price(1, 1, 128000)
	f := func(endpoint string, tokens int, more, want string) {
		t.Helper()
		content := strings.Repeat("abc ", tokens)
		x := planned(t, gatewaytest.Request{
			Directory: d, Endpoint: gatewaytest.Endpoint(endpoint, ""),
			Body: `{"model":"m","input":"` + content + `","messages":[{"role":"user","content":"` + content + `"}]` + more + `}`,
		})
		if got := strings.ReplaceAll(names(x), "/m", ""); got != want {
			t.Errorf("%d tokens at %s%s: %s, want %s", 2*tokens, endpoint, more, got, want)
		}
	}
	m, _, _ := d.Model("m")
	const asConfigured = "small medium unknown large"
	f("chat.completions", 1000, "", asConfigured)
	f("chat.completions", 3500, "", asConfigured)
	f("chat.completions", 5000, "", "medium unknown large small")
	f("chat.completions", 1000, `,"max_tokens":7000`, "medium unknown large small")
	f("responses.create", 1000, `,"max_output_tokens":7000`, "medium unknown large small")
	f("messages", 1000, `,"max_tokens":7000`, "medium unknown large small")
	f("chat.completions", 20000, "", "unknown large medium small")
	f("chat.completions", 100000, "", "unknown large medium small") // too long for all that are known
	f("embeddings", 20000, "", asConfigured)                        // each of its inputs has the window
	if !slices.Equal(m.Fixed(), []*gateway.Target{at["small/m"], at["medium/m"], at["unknown/m"], at["large/m"]}) {
		t.Error("a plan changed the model's list")
	}
	picture := `data:image/png;base64,` + strings.Repeat("iVBORw0KGgoAAAANSUhEUgAA", 10000)
	f("chat.completions", 1000, `,"x":"`+picture+`"`, asConfigured) // a picture is no long text

	// A fallback may be larger, too; and what a wildcard stands for is looked up.
	large := &gateway.Model{Name: "l", Steps: ordered("p/l")}
	small := &gateway.Model{Name: "s*", Steps: ordered("p/"), Fallback: []*gateway.Model{large}}
	d = gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{small, large}, Known: func(_, model string) *catalog.Model {
		return map[string]*catalog.Model{"s1": price(1, 1, 4096), "l": price(1, 1, 100000)}[model]
	}})
	x := planned(t, gatewaytest.Request{Directory: d, Body: `{"model":"s1","messages":[],"max_tokens":5000}`})
	if names(x) != "p/l p/s1" {
		t.Error(names(x))
	}
}

func TestStrategyOfFallbacks(t *testing.T) {
	cheap := &gateway.Model{Name: "cheap", Strategy: gateway.LeastCost, Steps: ordered("c/2", "c/1")}
	cheap.Steps[0][0].Known, cheap.Steps[1][0].Known = price(2, 2, 0), price(1, 1, 0)
	m := &gateway.Model{Name: "m", Steps: ordered("a/2", "a/1"), Fallback: []*gateway.Model{cheap}}
	m.Steps[0][0].Known, m.Steps[1][0].Known = price(2, 2, 0), price(1, 1, 0)
	d := gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{m, cheap}})
	if got := names(planned(t, gatewaytest.Request{Directory: d, Body: body("m")})); got != "a/2 a/1 c/1 c/2" {
		t.Error(got)
	}
	hedge := &gateway.Hedge{After: time.Second}
	m.Hedge = hedge
	if got := planned(t, gatewaytest.Request{Directory: d, Body: body("m")}).Plan.Hedge; got != hedge {
		t.Errorf("%+v", got)
	}
	if got := planned(t, gatewaytest.Request{Directory: d, Body: body("cheap")}).Plan.Hedge; got != nil {
		t.Errorf("%+v", got)
	}
}
