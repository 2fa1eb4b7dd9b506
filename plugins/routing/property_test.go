package routing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
)

// world is a directory made at random, and what a tenant of it may be sent to.
type world struct {
	r        *rand.Rand
	registry *health.Registry
	models   []*gateway.Model
	tenant   *gateway.Tenant
}

func newWorld(seed uint64) *world {
	w := &world{r: rand.New(rand.NewPCG(seed, 1)), registry: health.New(health.Options{})}
	for i := range 1 + w.r.IntN(6) {
		m := &gateway.Model{Name: gateway.Pattern(fmt.Sprintf("m%d", i)), Strategy: gateway.Strategy(w.r.IntN(4))}
		if w.r.IntN(3) == 0 {
			m.Affinity = []string{"user"}
		}
		for range 1 + w.r.IntN(3) {
			m.Steps = append(m.Steps, w.step(string(m.Name)))
		}
		for _, f := range w.models {
			if w.r.IntN(2) == 0 {
				m.Fallback = append(m.Fallback, f)
			}
		}
		w.models = append(w.models, m)
	}
	w.tenant = &gateway.Tenant{ID: "t", Overrides: everything}
	for _, m := range w.models {
		if w.r.IntN(4) == 0 {
			w.tenant.Deny = append(w.tenant.Deny, m.Name)
		}
	}
	return w
}

// step is what one entry of a model's list becomes. Its targets tell which model they are of.
func (w *world) step(model string) (step []*gateway.Target) {
	provider := string(rune('a' + w.r.IntN(5)))
	for key := range 1 + w.r.IntN(3) {
		t := &gateway.Target{Provider: provider, Key: fmt.Sprint(key), Model: model, Weight: w.r.IntN(4)}
		t.Health = w.registry.Target(health.ID{Provider: provider, Key: t.Key, Model: model}, health.Settings{})
		for range w.r.IntN(8) {
			o := health.Outcome{Verdict: health.Verdict(w.r.IntN(8)), First: time.Duration(w.r.Int64N(1e9)), Whole: w.r.IntN(2) == 0, Reason: "test"}
			t.Health.Report(gateway.Now(), o)
		}
		if w.r.IntN(3) == 0 {
			t.Known = price(w.r.Int64N(100), w.r.Int64N(100), w.r.Int64N(20000))
		}
		if w.r.IntN(6) == 0 {
			t.Serves = map[string]bool{"embeddings": true}
		}
		step = append(step, t)
	}
	return step
}

// may is where an exchange may go: the targets of the model, and of those of its fallbacks that the tenant may use.
func (w *world) may(m *gateway.Model, provider string, alone bool, seen []*gateway.Model) (targets []*gateway.Target) {
	var walk func(m *gateway.Model)
	walk = func(m *gateway.Model) {
		seen = append(seen, m)
		for _, t := range slices.Concat(m.Steps...) {
			same := func(u *gateway.Target) bool { return u.Provider == t.Provider && u.Key == t.Key && u.Model == t.Model }
			if t.Serves == nil && (provider == "" || t.Provider == provider) && !slices.ContainsFunc(targets, same) {
				targets = append(targets, t)
			}
		}
		for _, f := range m.Fallback {
			if !alone && !slices.Contains(seen, f) && w.tenant.Allows(string(f.Name)) {
				walk(f)
			}
		}
	}
	walk(m)
	return targets
}

// TestPlansArePermutations makes sure, of many worlds and requests made at random, that a plan has all targets that the
// tenant may be sent to, each once, and nothing else, in the order in which models follow each other unless a prompt is too
// long for them.
func TestPlansArePermutations(t *testing.T) {
	plans, refused := 0, 0
	for seed := range uint64(500) {
		w := newWorld(seed)
		d := gateway.NewDirectory(gateway.Entries{Models: w.models, Known: func(string, string) *catalog.Model { return nil }})
		for range 4 {
			m := w.models[w.r.IntN(len(w.models))]
			provider, headers, alone := "", []string{}, w.r.IntN(4) == 0
			if w.r.IntN(4) == 0 {
				provider = string(rune('a' + w.r.IntN(5)))
				headers = append(headers, "x-sluice-provider", provider)
			}
			if alone {
				headers = append(headers, "x-sluice-fallback", "off")
			}
			if w.r.IntN(3) == 0 {
				headers = append(headers, "x-sluice-strategy", gateway.Strategy(w.r.IntN(4)).String())
			}
			x, e := ask(t, gatewaytest.Request{
				Directory: d, Caller: gateway.Caller{Tenant: w.tenant}, Header: gatewaytest.Fields(headers...),
				Body: fmt.Sprintf(`{"model":%q,"user":"u%d","messages":[{"role":"user","content":%q}]}`, m.Name, w.r.IntN(3), strings.Repeat("abc ", w.r.IntN(10000))),
			})
			if !w.tenant.Allows(string(m.Name)) {
				if e == nil || e.Status != 403 || len(x.Plan.Targets) > 0 {
					t.Fatalf("seed %d: a forbidden model is planned: %v, %s", seed, e, names(x))
				}
				refused++
				continue
			}
			want := w.may(m, provider, alone, nil)
			if len(want) == 0 {
				if e == nil || e.Status != 400 {
					t.Fatalf("seed %d: nothing can do it, and that is %v, %s", seed, e, names(x))
				}
				refused++
				continue
			}
			plans++
			if e != nil || !slices.Equal(list(x.Plan.Targets), list(want)) {
				t.Fatalf("seed %d: %s with %v: %v\ngot  %s\nwant %s", seed, m.Name, headers, e, list(x.Plan.Targets), list(want))
			}
		}
	}
	if plans < 400 || refused < 100 {
		t.Errorf("%d plans, %d refused", plans, refused)
	}
}

// list is the attempts of a plan, in any order.
func list(targets []*gateway.Target) []string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Provider+":"+t.Key+"/"+t.Model)
	}
	slices.Sort(out)
	return out
}
