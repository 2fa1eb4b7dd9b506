package runtime_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings of the plugin that the tests watch.
type settings struct {
	N    int
	Fail bool
}

// life counts what became of the plugins that were built.
type life struct{ built, closed, stopped atomic.Int64 }

// plugin identifies a caller and gives the only target of the model that was asked for.
type plugin struct {
	l *life
	n int
}

func (p *plugin) Close() error { p.l.closed.Add(1); return nil }

func (p *plugin) Wrap(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Caller.Tenant = x.Directory.Tenant("acme")
		m, canonical, matched := x.Directory.Model(x.Request.Model())
		x.Plan = gateway.Plan{Model: canonical, Matched: matched, Targets: m.Fixed()}
		for _, f := range m.Fallback {
			x.Plan.Targets = append(slices.Clip(x.Plan.Targets), f.Fixed()...)
		}
		return next.Serve(x)
	})
}

func (l *life) spec() gateway.Spec {
	return gateway.Define("watched", settings{}, func(h gateway.Host, s settings) (gateway.Plugin, error) {
		h.Metrics().MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "watched", Help: "For the test."}))
		h.Go(func(ctx context.Context) { <-ctx.Done(); l.stopped.Add(1) })
		l.built.Add(1)
		if s.Fail {
			return nil, errors.New("on purpose")
		}
		return &plugin{l, s.N}, nil
	})
}

func provider(name, url string) config.Provider {
	var p config.Provider
	p.SetDefaults()
	p.Name, p.Type, p.BaseURL = name, config.OpenAICompatible, url
	return p
}

func model(name string, targets ...config.Target) config.Model {
	return config.Model{Name: name, Strategy: config.Ordered, Targets: targets}
}

func base(url string) *config.Config {
	c := &config.Config{}
	c.SetDefaults()
	c.Chain = []string{"watched"}
	c.Plugins = map[string]any{"watched": &settings{}}
	c.Providers = []config.Provider{provider("p", url)}
	c.Models = []config.Model{model("m", config.Target{Provider: "p", Weight: 1})}
	c.Tenants.List = []*config.Tenant{{ID: "acme"}}
	return c
}

func nop() *zap.Logger { return zap.NewNop() }

func newRuntime(t *testing.T, l *life) *runtime.Runtime {
	t.Helper()
	return runtime.New(runtime.Options{Plugins: []gateway.Spec{l.spec()}, Log: nop()})
}

// ask sends one exchange through the present generation.
func ask(t *testing.T, r *runtime.Runtime, name string) gatewaytest.Answer {
	t.Helper()
	g := r.Acquire()
	defer g.Release()
	x := gatewaytest.New(t, gatewaytest.Request{Endpoint: gatewaytest.Chat(), Body: `{"model":"` + name + `"}`, Directory: g.Directory()})
	return gatewaytest.Serve(x, g)
}

// upstream answers with the model that it was asked for and the key that it was called with.
func upstream(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(string(body), `"broken"`) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"message":"no such model"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"asked":`+string(body)+`,"key":"`+r.Header.Get("Authorization")+`"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func apply(t *testing.T, r *runtime.Runtime, c *config.Config) {
	t.Helper()
	if err := r.Apply(c); err != nil {
		t.Fatal(err)
	}
}

func TestCarriedOver(t *testing.T) {
	up := upstream(t)
	l := &life{}
	r := newRuntime(t, l)
	apply(t, r, base(up.URL))
	if a := ask(t, r, "m"); !strings.Contains(a.Body(), `"model":"m"`) {
		t.Errorf("%s", a.Body())
	}
	counts := func(what string, built, closed, stopped int64) {
		t.Helper()
		if l.built.Load() != built || l.closed.Load() != closed || l.stopped.Load() != stopped {
			t.Errorf("%s: %d built, %d closed, %d stopped; want %d %d %d", what, l.built.Load(), l.closed.Load(), l.stopped.Load(), built, closed, stopped)
		}
	}
	counts("first", 1, 0, 0)
	next := base(up.URL)
	next.Tenants.List = append(next.Tenants.List, &config.Tenant{ID: "other"})
	apply(t, r, next)
	counts("an edit of a tenant", 1, 0, 0)
	changed := base(up.URL)
	changed.Plugins["watched"] = &settings{N: 1}
	apply(t, r, changed)
	counts("changed settings", 2, 1, 1)
	families, err := r.Gather()
	watched := func(f *dto.MetricFamily) bool { return f.GetName() == "watched" && len(f.GetMetric()) == 1 }
	if err != nil || !slices.ContainsFunc(families, watched) {
		t.Errorf("metrics %v, %v", families, err)
	}
	if r.Number() != 3 {
		t.Errorf("generation %d", r.Number())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	counts("closed", 2, 2, 2)
}

// A generation in use is not closed under its exchanges.
func TestDrainOfTheOld(t *testing.T) {
	l := &life{}
	r := newRuntime(t, l)
	apply(t, r, base("http://127.0.0.1:1"))
	held := r.Acquire()
	changed := base("http://127.0.0.1:1")
	changed.Plugins["watched"] = &settings{N: 1}
	apply(t, r, changed)
	if l.closed.Load() != 0 {
		t.Error("closed while in use")
	}
	if r.Acquire() == held {
		t.Error("the old generation is still given out")
	} else {
		r.Acquire().Release()
	}
	held.Release()
	if l.closed.Load() != 1 {
		t.Error("not closed after its last use")
	}
	fresh := r.Acquire()
	fresh.Release()
	fresh.Release() // the one taken above
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// If anything of a configuration cannot be built, all of the old one stays.
func TestRollback(t *testing.T) {
	up := upstream(t)
	l := &life{}
	r := newRuntime(t, l)
	apply(t, r, base(up.URL))
	refuse := func(want string, change func(*config.Config)) {
		t.Helper()
		c := base(up.URL)
		change(c)
		if err := r.Apply(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if a := ask(t, r, "m"); a.Err != nil || r.Number() != 1 {
			t.Errorf("the old generation does not serve: %v", a.Err)
		}
	}
	refuse("on purpose", func(c *config.Config) { c.Plugins["watched"] = &settings{Fail: true} })
	refuse("no plugin of that name", func(c *config.Config) { c.Chain = []string{"watched", "nonsense"} })
	refuse("scheme", func(c *config.Config) { c.Providers = append(c.Providers, provider("q", "ftp://x")) })
	refuse("digest", func(c *config.Config) {
		c.Tenants.List[0] = &config.Tenant{ID: "acme", Keys: []config.TenantKey{{Name: "k", Digest: "md5:x"}}}
	})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if l.stopped.Load() != l.built.Load() {
		t.Errorf("%d of %d plugins were stopped", l.stopped.Load(), l.built.Load())
	}
}

func TestModelNames(t *testing.T) {
	up := upstream(t)
	r := newRuntime(t, &life{})
	c := base(up.URL)
	p := func(model string) config.Target { return config.Target{Provider: "p", Model: model, Weight: 1} }
	c.Models = []config.Model{
		model("plain", p("")), model("named", p("real-name")), model("any-*", p("")), model("meta/*", p("llama-*")),
		{Name: "first", Aliases: []string{"alias"}, Strategy: config.Ordered, Targets: []config.Target{p("broken")}, Fallback: []string{"plain"}},
		{Name: "second", Strategy: config.Ordered, Targets: []config.Target{p("broken")}, Fallback: []string{"meta/3"}},
	}
	apply(t, r, c)
	asked := func(name, want string) {
		t.Helper()
		if a := ask(t, r, name); !strings.Contains(a.Body(), `"model":"`+want+`"`) {
			t.Errorf("%s: %s %v", name, a.Body(), a.Err)
		}
	}
	asked("plain", "plain")
	asked("named", "real-name")
	asked("any-thing", "any-thing")
	asked("meta/70b", "llama-70b")
	asked("first", "plain") // the fallback's own name
	asked("alias", "plain")
	asked("second", "llama-3") // a fallback that a wildcard matches
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A tenant's own key is used with the provider, and its own URL may not lead inwards.
func TestTenantCredentials(t *testing.T) {
	up := upstream(t)
	r := newRuntime(t, &life{})
	c := base(up.URL)
	c.Providers[0].Keys = []config.Key{{Name: "main", Key: config.NewSecret("operator-key"), Weight: 1}}
	apply(t, r, c)
	if a := ask(t, r, "m"); !strings.Contains(a.Body(), "Bearer operator-key") {
		t.Errorf("%s", a.Body())
	}
	own := *c
	own.Tenants.List = []*config.Tenant{{ID: "acme", Credentials: []config.Credential{{Provider: "p", Key: config.NewSecret("tenant-key")}}}}
	apply(t, r, &own)
	if a := ask(t, r, "m"); !strings.Contains(a.Body(), "Bearer tenant-key") {
		t.Errorf("%s", a.Body())
	}
	gone := *c // the provider was renamed, the tenant's file stayed as it was
	gone.Providers = []config.Provider{provider("q", up.URL)}
	gone.Models = []config.Model{model("m", config.Target{Provider: "q", Weight: 1})}
	gone.Tenants.List = own.Tenants.List
	apply(t, r, &gone)
	if a := ask(t, r, "m"); a.Err != nil {
		t.Error(a.Err)
	}
	inward := *c
	inward.Tenants.List = []*config.Tenant{{ID: "acme", Credentials: []config.Credential{{Provider: "p", Key: config.NewSecret("tenant-key"), BaseURL: up.URL}}}}
	for range 2 { // the second time it is carried over
		apply(t, r, &inward)
		if a := ask(t, r, "m"); a.Err == nil || !strings.Contains(a.Err.Error(), "not a public address") {
			t.Errorf("%s %v", a.Body(), a.Err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// What a disabled tenant has in an account is not for the only other one to list.
func TestSharedWithTheDisabled(t *testing.T) {
	r := newRuntime(t, &life{})
	check := func(tenants []*config.Tenant, want bool) {
		t.Helper()
		c := base("http://localhost")
		c.Tenants.List = tenants
		apply(t, r, c)
		g := r.Acquire()
		defer g.Release()
		if g.Directory().Shared() != want {
			t.Errorf("%d tenants: %v", len(tenants), !want)
		}
	}
	check([]*config.Tenant{{ID: "acme"}}, false)
	check([]*config.Tenant{{ID: "acme"}, {ID: "other"}}, true)
	check([]*config.Tenant{{ID: "acme"}, {ID: "other", Disabled: true}}, true)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
