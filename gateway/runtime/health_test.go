package runtime_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

func id(key, model string) health.ID { return health.ID{Provider: "p", Key: key, Model: model} }

func target(t *testing.T, r *runtime.Runtime, id health.ID) *health.Target {
	t.Helper()
	found := r.Targets().Find(id)
	if found == nil {
		t.Fatalf("there is no target %+v", id)
	}
	return found
}

// names are the targets that are known, as key/model.
func names(r *runtime.Runtime) (all []string) {
	for _, s := range r.Targets().All(clock.Now()) {
		all = append(all, s.Key+"/"+s.Model)
	}
	return all
}

func limited(t *health.Target) {
	now := clock.Now()
	t.Report(now, health.Outcome{Verdict: health.Limited, Began: now, After: time.Hour})
}

func cools(t *health.Target) bool { return t.Wait(clock.Now()) > 59*time.Minute }

func TestReloadKeepsWhatIsKnown(t *testing.T) {
	var events atomic.Int64
	l := &life{}
	r := runtime.New(runtime.Options{Plugins: []gateway.Spec{l.spec()}, Log: nop(), Changed: func(health.Event) { events.Add(1) }})
	c := base("http://127.0.0.1:1")
	c.Providers[0].Keys = []config.Key{{Name: "a", Key: config.NewSecret("1"), Weight: 1}, {Name: "b", Key: config.NewSecret("2"), Weight: 1}}
	apply(t, r, c)
	if got, want := names(r), []string{"a/account", "a/m", "b/account", "b/m"}; !slices.Equal(got, want) {
		t.Fatalf("targets %v, want %v", got, want)
	}
	limited(target(t, r, id("a", "m")))
	if events.Load() != 1 {
		t.Errorf("%d events", events.Load())
	}
	one := target(t, r, id("b", "m"))
	limiter := r.Limiters()["p"]

	next := *c
	next.Providers = slices.Clone(c.Providers)
	next.Providers[0].Health.Consecutive = 1
	next.Providers[0].Concurrency.Max = 7
	next.Providers[0].Timeouts.Headers = time.Second // another generation's provider, the same targets
	apply(t, r, &next)
	if !cools(target(t, r, id("a", "m"))) || target(t, r, id("b", "m")) != one || r.Limiters()["p"] != limiter {
		t.Error("a reload has forgotten what is known")
	}
	if one.Report(clock.Now(), health.Outcome{Verdict: health.Failed}); one.State(clock.Now()) != health.Open {
		t.Error("new settings of health do not apply")
	}
	if limiter.Snapshot().Limit != 7 {
		t.Error("new settings of the limiter do not apply")
	}

	secret := next
	secret.Providers = slices.Clone(next.Providers)
	secret.Providers[0].Keys = []config.Key{next.Providers[0].Keys[0], {Name: "b", Key: config.NewSecret("3"), Weight: 1}}
	apply(t, r, &secret)
	if one.State(clock.Now()) != health.Healthy || !cools(target(t, r, id("a", "m"))) {
		t.Error("a new secret forgives its own key, and no other")
	}

	gone := next
	gone.Providers = slices.Clone(next.Providers)
	gone.Providers[0].Keys = next.Providers[0].Keys[1:]
	gone.Models = []config.Model{model("n", config.Target{Provider: "p", Weight: 1})}
	apply(t, r, &gone)
	if got, want := names(r), []string{"b/account", "b/n"}; !slices.Equal(got, want) {
		t.Errorf("targets %v, want %v", got, want)
	}
	apply(t, r, c)
	if cools(target(t, r, id("a", "m"))) {
		t.Error("what was gone is remembered")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A configuration that cannot be built changes nothing of what is known.
func TestRollbackKeepsWhatIsKnown(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	apply(t, r, c)
	limited(target(t, r, id("", "m")))
	broken := base("http://127.0.0.1:1")
	broken.Plugins["watched"] = &settings{Fail: true}
	broken.Providers = []config.Provider{provider("q", "http://127.0.0.1:2"), provider("p", "http://127.0.0.1:3")}
	broken.Providers[1].Concurrency.Max = 3
	broken.Models = []config.Model{model("other", config.Target{Provider: "q", Weight: 1}), model("m", config.Target{Provider: "p", Weight: 1})}
	if err := r.Apply(broken); err == nil {
		t.Fatal("it was built")
	}
	if got, want := names(r), []string{"/account", "/m"}; !slices.Equal(got, want) {
		t.Errorf("targets %v, want %v", got, want)
	}
	if !cools(target(t, r, id("", "m"))) {
		t.Error("a new address forgives, though it does not apply")
	}
	if all := r.Limiters(); len(all) != 1 || all["p"].Snapshot().Limit != 0 {
		t.Errorf("limiters %v", all)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A failed reload with a new secret, and a new model at the same key, does not forgive; the one that succeeds does.
func TestRollbackForgivesNothing(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	c.Providers[0].Keys = []config.Key{{Name: "a", Key: config.NewSecret("1"), Weight: 1}}
	apply(t, r, c)
	one := target(t, r, id("a", "m"))
	refuse := func() { one.Report(clock.Now(), health.Outcome{Verdict: health.Refused, Reason: "http 401"}) }
	refuse()
	next := *c
	next.Plugins = map[string]any{"watched": &settings{Fail: true}}
	next.Providers = slices.Clone(c.Providers)
	next.Providers[0].Keys = []config.Key{{Name: "a", Key: config.NewSecret("2"), Weight: 1}}
	next.Models = append(slices.Clone(c.Models), model("n", config.Target{Provider: "p", Weight: 1}))
	if r.Apply(&next) == nil {
		t.Fatal("it was built")
	}
	if got := one.State(clock.Now()); got != health.Disabled {
		t.Errorf("after a reload that failed it is %v", got)
	}
	refuse()
	next.Plugins = c.Plugins
	apply(t, r, &next)
	if got := one.State(clock.Now()); got != health.Healthy {
		t.Errorf("with a new secret it is %v", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// What a trouble may come from forgives when it changes; what else changes does not.
func TestWhatForgives(t *testing.T) {
	f := func(what string, want health.State, change func(p *config.Provider)) {
		t.Helper()
		r := newRuntime(t, &life{})
		c := base("http://127.0.0.1:1")
		c.Providers[0].Headers = []config.Header{{Name: "api-key", Value: config.NewSecret("wrong")}}
		apply(t, r, c)
		one := target(t, r, id("", "m"))
		one.Report(clock.Now(), health.Outcome{Verdict: health.Refused, Reason: "http 401"})
		next := *c
		next.Providers = slices.Clone(c.Providers)
		change(&next.Providers[0])
		apply(t, r, &next)
		if got := one.State(clock.Now()); got != want {
			t.Errorf("after %s it is %v", what, got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	f("a new header", health.Healthy, func(p *config.Provider) {
		p.Headers = []config.Header{{Name: "api-key", Value: config.NewSecret("right")}}
	})
	f("a header's new name", health.Healthy, func(p *config.Provider) {
		p.Headers = []config.Header{{Name: "x-api-key", Value: config.NewSecret("wrong")}}
	})
	f("a longer timeout", health.Disabled, func(p *config.Provider) { p.Timeouts.Headers += time.Second })
	f("another address", health.Healthy, func(p *config.Provider) { p.BaseURL = "http://127.0.0.1:2" })
	f("more connections", health.Disabled, func(p *config.Provider) { p.MaxIdleConnections++ })
}

// An operator's word holds for what a reload brings.
func TestAnOrderOutlastsReloads(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	apply(t, r, c)
	r.Targets().Order(clock.Now(), health.Order{Provider: "p", Word: health.Drain, Reason: "until noon"})
	drained := func() {
		t.Helper()
		for _, s := range r.Targets().All(clock.Now()) {
			if s.Operator != "drain" {
				t.Errorf("%s/%s is %v", s.Key, s.Model, s.State)
			}
		}
	}
	next := *c
	next.Providers = slices.Clone(c.Providers)
	next.Providers[0].Keys = []config.Key{{Name: "new", Key: config.NewSecret("1"), Weight: 1}}
	next.Models = append(slices.Clone(c.Models), model("n", config.Target{Provider: "p", Weight: 1}))
	next.Tenants.List = []*config.Tenant{{ID: "acme", Credentials: []config.Credential{{Provider: "p", Key: config.NewSecret("theirs")}}}}
	apply(t, r, &next)
	target(t, r, id("tenant acme", "*")).Of("x")
	drained()
	gone := next
	gone.Models = next.Models[1:]
	apply(t, r, &gone)
	apply(t, r, &next)
	drained()
	if len(r.Targets().All(clock.Now())) < 5 {
		t.Error("there are too few targets to prove anything")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A quota that is spent, or a rate limit, is a warning that says so.
func TestCoolDownsAreWarnings(t *testing.T) {
	core, seen := observer.New(zap.InfoLevel)
	l := &life{}
	r := runtime.New(runtime.Options{Plugins: []gateway.Spec{l.spec()}, Log: zap.New(core)})
	apply(t, r, base("http://127.0.0.1:1"))
	one := target(t, r, id("", "m"))
	one.Report(clock.Now(), health.Outcome{Verdict: health.Spent, Reason: "no credit"})
	one.Report(clock.Now(), health.Outcome{Verdict: health.Refused, Reason: "http 401"})
	one.Enable(clock.Now(), "")
	var lines []string
	for _, e := range seen.FilterMessageSnippet("target ").All() {
		lines = append(lines, e.Level.String()+" "+e.Message)
	}
	want := []string{"warn target cools down", "warn target changed", "info target changed", "info target changed"}
	if len(lines) < 3 || !slices.Equal(lines, want[:len(lines)]) {
		t.Errorf("%q", lines)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// What is no longer configured is counted no longer.
func TestMetricsOfWhatIsGone(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	p := config.Target{Provider: "p", Weight: 1}
	c.Models = []config.Model{model("m", p), model("n", p)}
	apply(t, r, c)
	for _, name := range []string{"m", "n"} {
		limited(target(t, r, id("", name)))
		target(t, r, id("", name)).Drain(clock.Now(), "")
	}
	counted := func() string {
		return metrics(t, r, "sluice_target_changes_total", "sluice_target_cooldowns_total", "sluice_model_targets_usable", "sluice_target_disabled")
	}
	const before = `sluice_model_targets_usable m 0
sluice_model_targets_usable n 0
sluice_target_changes_total  m p disabled 1
sluice_target_changes_total  n p disabled 1
sluice_target_cooldowns_total  m p 1
sluice_target_cooldowns_total  n p 1
sluice_target_disabled  m p operator 1
sluice_target_disabled  n p operator 1
`
	if got := counted(); got != before {
		t.Errorf("%s", got)
	}
	c.Models = c.Models[:1]
	apply(t, r, c)
	const after = `sluice_model_targets_usable m 0
sluice_target_changes_total  m p disabled 1
sluice_target_cooldowns_total  m p 1
sluice_target_disabled  m p operator 1
`
	if got := counted(); got != after {
		t.Errorf("%s", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Tenants' own accounts are known apart, for each model that they ask for.
func TestTenantsOwnTargets(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	c.Tenants.List = []*config.Tenant{{ID: "acme", Credentials: []config.Credential{{Provider: "p", Key: config.NewSecret("tenant-key")}}}}
	apply(t, r, c)
	g := r.Acquire()
	own := g.Directory().Tenant("acme").Own["p"]
	g.Release()
	if own.Health != target(t, r, id("tenant acme", "*")) || own.Limiter != r.Limiters()["tenant acme p"] || own.Limiter == nil {
		t.Error("a tenant's own account is not known")
	}
	limited(own.Health.Of("gpt-5"))
	apply(t, r, c)
	if !cools(target(t, r, id("tenant acme", "gpt-5"))) || cools(target(t, r, id("", "m"))) {
		t.Error("a tenant's own account shares what it should not, or is forgotten")
	}
	c.Tenants.List = []*config.Tenant{{ID: "acme"}}
	apply(t, r, c)
	if got, want := names(r), []string{"/account", "/m"}; !slices.Equal(got, want) || len(r.Limiters()) != 1 {
		t.Errorf("targets %v, want %v", got, want)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A fallback that a wildcard matches is the same target as for those who ask for it by name, also after many other names.
func TestFallbackOfAWildcard(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	p := config.Target{Provider: "p", Weight: 1}
	c.Models = []config.Model{model("gpt-*", p), {Name: "m", Strategy: config.Ordered, Targets: []config.Target{p}, Fallback: []string{"gpt-5"}}}
	apply(t, r, c)
	fallback := func() *health.Target {
		g := r.Acquire()
		defer g.Release()
		m, _, _ := g.Directory().Model("m")
		return m.Fallback[0].Steps[0][0].Health
	}
	wild := target(t, r, id("", "gpt-*"))
	limited(fallback())
	if fallback() != wild.Of("gpt-5") || fallback().ID() != id("", "gpt-5") {
		t.Errorf("the fallback is %+v", fallback().ID())
	}
	apply(t, r, c)
	if fallback() != wild.Of("gpt-5") || !cools(fallback()) {
		t.Error("a reload has made another target of it")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Under load, reloads lose no cool-down and no verdict, and nobody meets a target that is gone.
func TestReloadUnderLoad(t *testing.T) {
	up := upstream(t)
	r := newRuntime(t, &life{})
	c := base(up.URL)
	c.Models = append(c.Models, model("cold", config.Target{Provider: "p", Weight: 1}))
	apply(t, r, c)
	cold := target(t, r, id("", "cold"))
	limited(cold)
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				g := r.Acquire()
				x := gatewaytest.New(t, gatewaytest.Request{Endpoint: gatewaytest.Chat(), Body: `{"model":"m"}`, Directory: g.Directory()})
				if a := gatewaytest.Serve(x, g); a.Err != nil {
					t.Error(a.Err)
				}
				g.Release()
			}
		})
	}
	for i := range 30 {
		next := *c
		next.Providers = slices.Clone(c.Providers)
		next.Providers[0].Health.Consecutive = 5 + i%3
		next.Providers[0].MaxIdleConnections = 10 + i
		apply(t, r, &next)
		if !cools(cold) || target(t, r, id("", "cold")) != cold {
			t.Fatal("a cool-down was lost")
		}
	}
	close(stop)
	work.Wait()
	if s := target(t, r, id("", "m")).Snapshot(clock.Now()); s.Outstanding != 0 {
		t.Errorf("%d attempts are left", s.Outstanding)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// What is disabled in the file is not there, and nothing else changes its name: ids of files lead to where they did.
func TestDisabled(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	c.Providers[0].Keys = []config.Key{{Name: "a", Key: config.NewSecret("1"), Weight: 1}, {Name: "b", Key: config.NewSecret("2"), Weight: 1}}
	c.Models = []config.Model{model("m", config.Target{Provider: "p", Model: "one", Weight: 1}, config.Target{Provider: "p", Model: "two", Weight: 1})}
	apply(t, r, c)
	targets := func() (all []string) {
		g := r.Acquire()
		defer g.Release()
		m, _, _ := g.Directory().Model("m")
		for _, step := range m.Steps {
			for _, t := range step {
				all = append(all, t.Holder+" "+t.Model+" "+strconv.Itoa(t.Weight))
			}
		}
		return all
	}
	a, b := gateway.Holder("p", "a"), gateway.Holder("p", "b")
	if got, want := targets(), []string{a + " one 500", b + " one 500", a + " two 500", b + " two 500"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	next := *c
	next.Providers = slices.Clone(c.Providers)
	next.Providers[0].Keys = slices.Clone(c.Providers[0].Keys)
	next.Providers[0].Keys[0].Disabled = true
	next.Models = []config.Model{model("m", c.Models[0].Targets...)}
	next.Models[0].Targets = slices.Clone(next.Models[0].Targets)
	next.Models[0].Targets[1].Disabled = true
	apply(t, r, &next)
	if got, want := targets(), []string{b + " one 1000"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got, want := names(r), []string{"b/account", "b/one"}; !slices.Equal(got, want) {
		t.Errorf("targets %v, want %v", got, want)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Who never streams has a 95th percentile, too.
func TestMetricsOfTimes(t *testing.T) {
	r := newRuntime(t, &life{})
	apply(t, r, base("http://127.0.0.1:1"))
	for range 20 {
		target(t, r, id("", "m")).Report(clock.Now(), health.Outcome{Verdict: health.OK, First: time.Second, Whole: true})
	}
	got := metrics(t, r, "sluice_target_first_event_p95_seconds", "sluice_target_whole_p95_seconds")
	if !strings.HasPrefix(got, "sluice_target_whole_p95_seconds  m p 1.0") && !strings.HasPrefix(got, "sluice_target_whole_p95_seconds  m p 0.9") || strings.Count(got, "\n") != 1 {
		t.Errorf("%s", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Labels are names of the configuration, whatever callers and tenants there are.
func TestMetricsOfTargets(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	p := config.Target{Provider: "p", Weight: 1}
	c.Models = []config.Model{model("gpt-*", p), model("gpt-5-*", p), model("m", p)}
	c.Providers[0].Concurrency.Max = 9
	for _, id := range []string{"acme", "other"} {
		c.Tenants.List = append(c.Tenants.List, &config.Tenant{ID: id + "-2", Credentials: []config.Credential{{Provider: "p", Key: config.NewSecret("k")}}})
	}
	apply(t, r, c)
	wild := target(t, r, id("", "gpt-*"))
	for _, name := range []string{"gpt-4", "gpt-junk-1", "gpt-junk-2"} {
		wild.Of(name).Report(clock.Now(), health.Outcome{Verdict: health.Denied, Reason: "http 404"})
	}
	target(t, r, id("", "gpt-5-*")).Of("gpt-5-mini").Disable(clock.Now(), "")
	target(t, r, id("", "gpt-5-*")).Disable(clock.Now(), "")
	limited(target(t, r, id("", "m")))
	now := clock.Now()
	target(t, r, id("", "m")).Report(now, health.Outcome{Verdict: health.Refused, Began: now})
	target(t, r, id("", "m")).Enable(clock.Now(), "")
	target(t, r, id("tenant acme-2", "*")).Of("x").Report(now, health.Outcome{Verdict: health.Denied})
	want := `sluice_admission_limit p max 9
sluice_model_targets_usable gpt-* 1
sluice_model_targets_usable gpt-5-* 0
sluice_model_targets_usable m 1
sluice_target_changes_total   p disabled 1
sluice_target_changes_total   p healthy 1
sluice_target_changes_total  gpt-* p disabled 3
sluice_target_changes_total  gpt-5-* p disabled 2
sluice_target_changes_total  m p healthy 1
sluice_target_changes_total tenant  p disabled 1
sluice_target_cooldowns_total  m p 1
sluice_target_disabled  gpt-* p model 3
sluice_target_disabled  gpt-5-* p operator 2
sluice_target_disabled tenant  p model 1
sluice_target_state  account p 0
sluice_target_state  gpt-* p 0
sluice_target_state  gpt-5-* p 4
sluice_target_state  m p 0
sluice_target_state tenant  p 0
`
	if got := metrics(t, r, "sluice_target_state", "sluice_target_changes_total", "sluice_admission_limit", "sluice_target_cooldowns_total", "sluice_model_targets_usable", "sluice_target_disabled"); got != want {
		t.Errorf("%s", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// metrics are lines of a metric's name, the values of its labels in the order of their names, and its value.
func metrics(t *testing.T, r *runtime.Runtime, names ...string) string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if !slices.Contains(names, f.GetName()) {
			continue
		}
		for _, m := range f.GetMetric() {
			b.WriteString(f.GetName())
			for _, l := range m.GetLabel() {
				b.WriteString(" " + l.GetValue())
			}
			b.WriteString(" " + strconv.FormatFloat(m.GetGauge().GetValue()+m.GetCounter().GetValue(), 'g', -1, 64) + "\n")
		}
	}
	return b.String()
}
