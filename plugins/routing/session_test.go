package routing_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/routing"
)

func spec() gateway.Spec { return routing.Spec() }

// hall is a stall whose sessions are told by prompt_cache_key, and a plan for each of many sessions.
type hall struct {
	*gateway.Directory
	model *gateway.Model
	at    map[string]*gateway.Target
}

func newHall(strategy gateway.Strategy, steps ...string) *hall {
	d, at := stall(strategy, steps...)
	m, _, _ := d.Model("m")
	m.Affinity = []string{"prompt_cache_key"}
	return &hall{d, m, at}
}

const sessions = 3000

// plans are the targets of each session, in order.
func (h *hall) plans(t *testing.T, who tenant.ID) [][]*gateway.Target {
	t.Helper()
	p, _ := gatewaytest.Build(t, spec(), nil)
	plan := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
	all := make([][]*gateway.Target, sessions)
	for i := range all {
		x := gatewaytest.New(t, gatewaytest.Request{
			Directory: h.Directory, Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: who}}, Body: fmt.Sprintf(`{"model":"m","prompt_cache_key":"session %d"}`, i),
		})
		if err := plan.Serve(x); err != nil {
			t.Fatal(err)
		}
		all[i] = x.Plan.Targets
	}
	return all
}

// share is how many of the sessions begin at a target.
func share(plans [][]*gateway.Target, t *gateway.Target) float64 {
	n := 0.0
	for _, p := range plans {
		if p[0] == t {
			n++
		}
	}
	return n / float64(len(plans))
}

// about says whether a share of the sessions is what it should be: five standard deviations.
func about(got, want float64) bool {
	return math.Abs(got-want) <= 5*math.Sqrt(want*(1-want)/sessions)
}

// TestAffinity makes sure that a session stays where it is, that sessions are spread by weight, and that a target which is
// lost, or comes back, moves only its own.
func TestAffinity(t *testing.T) {
	for _, strategy := range []gateway.Strategy{gateway.Weighted, gateway.LeastLatency, gateway.LeastCost} {
		h := newHall(strategy, "a:1/m a:2/m", "b/m", "c/m", "d/m")
		h.at["b/m"].Weight, h.at["d/m"].Weight = 4, 0
		before := h.plans(t, "acme")
		for name, want := range map[string]float64{"a:1/m": 1.0 / 7, "a:2/m": 1.0 / 7, "b/m": 4.0 / 7, "c/m": 1.0 / 7, "d/m": 0} {
			if got := share(before, h.at[name]); !about(got, want) {
				t.Errorf("%s: %s has %.3f of the sessions, not %.3f", strategy, name, got, want)
			}
		}
		again := h.plans(t, "acme")
		moved := 0
		for i := range before {
			if !slices.Equal(before[i], again[i]) {
				t.Fatalf("%s: session %d moves from %v to %v", strategy, i, before[i][0], again[i][0])
			}
			if before[i][len(before[i])-1] != h.at["d/m"] {
				t.Errorf("%s: session %d has what has no weight elsewhere than at the end", strategy, i)
			}
		}
		// Another tenant's session of that name is another one.
		for i, p := range h.plans(t, "other") {
			if p[0] != before[i][0] {
				moved++
			}
		}
		if got := float64(moved) / sessions; got < 0.4 || got > 0.8 {
			t.Errorf("%s: %.2f of the sessions of another tenant are elsewhere", strategy, got)
		}
		// It is lost because it is ill.
		h.at["b/m"].Health.Report(gateway.Now(), health.Outcome{Verdict: health.Limited, After: time.Hour, Reason: "test"})
		for i, p := range h.plans(t, "acme") {
			want := slices.DeleteFunc(slices.Clone(before[i]), func(t *gateway.Target) bool { return t == h.at["b/m"] })
			if got := p[:len(p)-1]; !slices.Equal(got, want) || p[len(p)-1] != h.at["b/m"] {
				t.Fatalf("%s: session %d has another order", strategy, i)
			}
		}
		// It is lost because it is no longer configured.
		h.model.Steps = slices.DeleteFunc(h.model.Steps, func(step []*gateway.Target) bool { return step[0].Provider == "b" })
		for i, p := range h.plans(t, "acme") {
			if before[i][0] != h.at["b/m"] && before[i][0] != p[0] {
				t.Fatalf("%s: session %d moves though its target is there", strategy, i)
			}
		}
	}
}

// TestAffinityWithoutLimits makes sure that what is left of the rate limits of keys moves no session: it changes with each reply,
// and only the replica that saw the reply knows it. A key that has nothing left is barred.
func TestAffinityWithoutLimits(t *testing.T) {
	for _, strategy := range []gateway.Strategy{gateway.Ordered, gateway.Weighted, gateway.LeastLatency, gateway.LeastCost} {
		h := newHall(strategy, "a:1/m a:2/m")
		left := func(name string, n int64) {
			now := gateway.Now()
			h.at[name].Health.Limited(now, health.Limits{Requests: health.Limit{Max: 100, Remaining: n, Reset: now.Add(time.Minute)}})
		}
		before := h.plans(t, "acme")
		for _, l := range [][2]int64{{90, 80}, {60, 40}, {100, 20}, {20, 100}, {50, 1}} {
			left("a:1/m", l[0])
			left("a:2/m", l[1])
			for i, p := range h.plans(t, "acme") {
				if p[0] != before[i][0] {
					t.Fatalf("%s: %v left: session %d moves", strategy, l, i)
				}
			}
		}
		left("a:2/m", 0)
		if plans := h.plans(t, "acme"); share(plans, h.at["a:1/m"]) != 1 {
			t.Errorf("%s: sessions stay at a key that has nothing left", strategy)
		}
	}
}

// TestAffinityAfterAnIllness makes sure that sessions come back little by little, and each but once.
func TestAffinityAfterAnIllness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(gateway.Weighted, "a/m", "b/m")
		before, a := h.plans(t, "acme"), h.at["a/m"]
		for range 5 {
			a.Health.Report(gateway.Now(), health.Outcome{Verdict: health.Failed, Reason: "test"})
		}
		<-time.After(a.Health.Wait(gateway.Now()))
		a.Health.Begin(gateway.Now(), 0)
		a.Health.Report(gateway.Now(), health.Outcome{Verdict: health.OK})
		a.Health.End(0)
		last, grew := make([]bool, sessions), 0
		for range 11 {
			some := false
			for i, p := range h.plans(t, "acme") {
				switch {
				case last[i] && p[0] != a:
					t.Fatalf("session %d leaves again", i)
				case p[0] == a && !last[i]:
					last[i], some = true, true
				}
			}
			if some {
				grew++
			}
			<-time.After(time.Second)
		}
		for i := range last {
			if last[i] != (before[i][0] == a) {
				t.Fatalf("session %d is elsewhere in the end", i)
			}
		}
		if grew < 8 {
			t.Errorf("all sessions came back in %d steps", grew)
		}
	})
}

// TestAffinityOfKeys makes sure that with the strategy ordered a session has its key, and the order stays.
func TestAffinityOfKeys(t *testing.T) {
	h := newHall(gateway.Ordered, "a:1/m a:2/m", "b:1/m b:2/m")
	plans := h.plans(t, "acme")
	if got := share(plans, h.at["a:1/m"]); !about(got, 0.5) {
		t.Errorf("a key has %.3f of the sessions", got)
	}
	for i, p := range h.plans(t, "acme") {
		if !slices.Equal(p, plans[i]) || p[0].Provider+p[1].Provider != "aa" {
			t.Fatalf("session %d: %v", i, p)
		}
	}
}

// TestSessionNames makes sure that all words of the configuration find their values, and the first one that has one counts.
func TestSessionNames(t *testing.T) {
	steps := make([]string, 50)
	for i := range steps {
		steps[i] = "p" + strconv.Itoa(i) + "/m"
	}
	d, _ := stall(gateway.Weighted, steps...)
	m, _, _ := d.Model("m")
	of := func(endpoint, fields, header string, by ...string) string {
		t.Helper()
		m.Affinity = by
		return names(planned(t, gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint(endpoint, ""), Directory: d, Body: `{"model":"m"` + fields + `}`, Header: gatewaytest.Fields("X-Session-Id", header),
		}))
	}
	want := of("chat.completions", `,"prompt_cache_key":"x"`, "", "prompt_cache_key")
	same := func(endpoint, fields, header string, by ...string) {
		t.Helper()
		if of(endpoint, fields, header, by...) != want {
			t.Errorf("%s with %s and %q by %v is another session", endpoint, fields, header, by)
		}
	}
	same("chat.completions", `,"user":"x"`, "", "user")
	same("responses.create", `,"user":"x"`, "", "prompt_cache_key", "user")
	same("messages", `,"metadata":{"user_id":"x"}`, "", "user")
	same("embeddings", `,"user":"x"`, "", "user")
	same("chat.completions", ``, "x", "header:x-session-id")
	same("chat.completions", `,"user":"y","prompt_cache_key":"x"`, "z", "prompt_cache_key", "user", "header:x-session-id")
	same("chat.completions", `,"user":"","prompt_cache_key":null`, "x", "prompt_cache_key", "user", "header:X-Session-Id")
	if of("chat.completions", `,"user":"y"`, "", "user") == want {
		t.Error("two users are one session")
	}
	// Who has no session is served like anybody.
	if a, b := of("chat.completions", ``, "", "user"), of("chat.completions", ``, "", "user"); a == b {
		t.Error("of 50 targets the same order came twice")
	}
}

// TestAffinityIsForAll holds the order of one session: all replicas must agree on it, also those of another version.
func TestAffinityIsForAll(t *testing.T) {
	h := newHall(gateway.Weighted, "a/m", "b/m", "c/m", "d/m")
	got := ""
	for _, p := range h.plans(t, "acme")[:12] {
		got += p[0].Provider
	}
	if got != "cbaddccacdcd" {
		t.Error(got)
	}
}
