package runtime_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

const patience = 20 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// probed is a provider that answers with a status that changes, and counts who asked for what.
type probed struct {
	*httptest.Server
	status atomic.Int64
	after  atomic.Pointer[string] // Retry-After
	broken atomic.Bool            // whatever is no question answers 500
	mu     sync.Mutex
	asked  map[string]int // by key and path
	body   string         // the last
}

func newProbed(t *testing.T) *probed {
	t.Helper()
	p := &probed{asked: map[string]int{}}
	p.status.Store(200)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.asked[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+" "+r.URL.Path]++
		p.body = string(body)
		p.mu.Unlock()
		status := int(p.status.Load())
		if status == 200 && r.Method == http.MethodPost {
			w.Header().Set("Content-Type", "text/event-stream")
			if !strings.Contains(string(body), `"stream":true`) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`)
				return
			}
			_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"p"},"finish_reason":"length"}]}`+"\n\ndata: [DONE]\n\n")
			return
		}
		if p.broken.Load() {
			status = 500
		}
		if after := p.after.Load(); after != nil {
			w.Header().Set("Retry-After", *after)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"data":[]}`)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *probed) count(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[what]
}

// more waits until it was asked a few times more.
func (p *probed) more(t *testing.T, what string) {
	t.Helper()
	before := p.count(what)
	until(t, "there are probes: "+what, func() bool { return p.count(what) >= before+3 })
}

// file has a provider with two keys that is probed often.
func file(p *probed, probe config.Probe) *config.Config {
	c := base(p.URL + "/v1")
	probe.Every, probe.Timeout = 10*time.Millisecond, 5*time.Second
	c.Providers[0].Health.Probe = &probe
	c.Providers[0].Keys = []config.Key{{Name: "a", Key: config.NewSecret("1"), Weight: 1}, {Name: "b", Key: config.NewSecret("2"), Weight: 1}}
	c.Models = []config.Model{model("m", config.Target{Provider: "p", Weight: 1}), model("n-*", config.Target{Provider: "p", Weight: 1})}
	return c
}

func is(r *runtime.Runtime, id health.ID, s health.State) func() bool {
	return func() bool { return r.Targets().Find(id).State(clock.Now()) == s }
}

func TestProbesOfAPath(t *testing.T) {
	p := newProbed(t)
	r := newRuntime(t, &life{})
	c := file(p, config.Probe{Path: "/health"})
	c.Providers[0].Health.OpenFor = time.Hour
	c.Providers[0].Health.MaxOpen = time.Hour
	c.Tenants.List = []*config.Tenant{{ID: "acme", Credentials: []config.Credential{{Provider: "p", Key: config.NewSecret("theirs")}}}}
	apply(t, r, c)
	p.more(t, "1 /health")
	p.more(t, "2 /health")
	p.status.Store(500)
	for _, target := range []health.ID{id("a", "m"), id("a", "n-*"), id("b", "m"), id("b", "account")} {
		until(t, "it opens", is(r, target, health.Open))
	}
	p.status.Store(200)
	until(t, "a caller may try it", func() bool {
		one := r.Targets().Find(id("a", "m"))
		return one.State(clock.Now()) == health.Open && one.Wait(clock.Now()) == 0
	})
	if p.count("theirs /health") != 0 {
		t.Error("a tenant's key is used for probes")
	}

	// An operator's word ends probes, a cool-down too; each key for itself.
	for _, s := range r.Targets().All(clock.Now()) {
		if s.Key == "a" {
			r.Targets().Find(s.ID).Disable(clock.Now(), "")
		}
	}
	p.more(t, "2 /health") // the last with the other key may still have been under way
	before := p.count("1 /health")
	p.more(t, "2 /health")
	p.more(t, "2 /health")
	if n := p.count("1 /health") - before; n > 1 {
		t.Errorf("%d probes of what is disabled", n)
	}

	// A key that is refused is not asked with again before its time.
	p.status.Store(401)
	until(t, "the key is disabled", is(r, id("b", "m"), health.Disabled))
	before = p.count("2 /health")
	r.Targets().Find(id("a", "m")).Enable(clock.Now(), "")
	until(t, "the other key is refused, too", is(r, id("a", "m"), health.Disabled))
	if n := p.count("2 /health") - before; n > 1 {
		t.Errorf("%d probes with a key that was refused", n)
	}

	// A new secret forgives; without the setting there are no probes.
	p.status.Store(200)
	next := *c
	next.Providers = slices.Clone(c.Providers)
	next.Providers[0].Keys = []config.Key{{Name: "a", Key: config.NewSecret("3"), Weight: 1}}
	apply(t, r, &next)
	p.more(t, "3 /health")
	if got := metrics(t, r, "sluice_probes_total"); !strings.Contains(got, "p failed ") || !strings.Contains(got, "p ok ") || !strings.Contains(got, "p refused ") {
		t.Errorf("%s", got)
	}
	none := next
	none.Providers = slices.Clone(next.Providers)
	none.Providers[0].Health.Probe = nil
	apply(t, r, &none)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	before = p.count("3 /health")
	if p.Server.Close(); p.count("3 /health") > before+1 {
		t.Error("probes after they were switched off")
	}
}

func TestProbesOfAModel(t *testing.T) {
	p := newProbed(t)
	r := newRuntime(t, &life{})
	c := file(p, config.Probe{Model: "n-1"})
	c.Providers[0].Health.OpenFor = 20 * time.Millisecond
	apply(t, r, c)
	const path = " /v1/chat/completions"
	p.more(t, "1"+path)
	p.mu.Lock()
	body := p.body
	p.mu.Unlock()
	if !strings.Contains(body, `"model":"n-1"`) || !strings.Contains(body, `"max_completion_tokens":1`) {
		t.Errorf("asked %s", body)
	}
	p.status.Store(500)
	until(t, "the model opens", is(r, id("a", "n-1"), health.Open))
	if got := r.Targets().Find(id("a", "m")).State(clock.Now()); got != health.Healthy {
		t.Errorf("another model is %v", got)
	}
	p.status.Store(200)
	until(t, "the model is well, without a caller's request", is(r, id("a", "n-1"), health.Healthy))
	p.status.Store(404)
	until(t, "the model is not there", is(r, id("b", "n-1"), health.Disabled))
	if got := r.Targets().Find(id("b", "m")).State(clock.Now()); got != health.Healthy {
		t.Errorf("another model is %v", got)
	}
	p.CloseClientConnections()
	p.Server.Close()
	for _, key := range []string{"a", "b"} { // no connection: no model of the provider can be asked
		r.Targets().Find(id(key, "n-1")).Enable(clock.Now(), "")
		until(t, "all models are open", is(r, id(key, "m"), health.Open))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// The simulated provider can be asked, too.
func TestProbesOfTheSimulator(t *testing.T) {
	r := newRuntime(t, &life{})
	c := base("http://127.0.0.1:1")
	c.Providers = []config.Provider{provider("p", "")}
	c.Providers[0].Type = config.Simulated
	c.Providers[0].Sim = &config.Sim{TokensPerSecond: 1000}
	c.Providers[0].Health.Probe = &config.Probe{Model: "m", Every: 5 * time.Millisecond, Timeout: time.Second}
	apply(t, r, c)
	until(t, "it probes", func() bool {
		return strings.HasPrefix(metrics(t, r, "sluice_probes_total"), "sluice_probes_total p ok ")
	})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A list of models may be broken where answers are not: no caller notices.
func TestProbesThatAreWrong(t *testing.T) {
	p := newProbed(t)
	p.broken.Store(true)
	r := newRuntime(t, &life{})
	c := base(p.URL + "/v1")
	c.Providers[0].Health.Probe = &config.Probe{Path: "/v1/models", Every: 5 * time.Millisecond, Timeout: 5 * time.Second}
	apply(t, r, c)
	opened := func() bool { return r.Targets().Find(id("", "account")).State(clock.Now()) == health.Open }
	until(t, "what nobody asks for opens", opened)
	target(t, r, id("", "m")).Enable(clock.Now(), "")
	for range 10 {
		if a := ask(t, r, "m"); a.Err != nil {
			t.Fatal(a.Err)
		}
		p.more(t, " /v1/models")
		p.more(t, " /v1/models")
		p.more(t, " /v1/models")
	}
	is := target(t, r, id("", "m")).Snapshot(clock.Now())
	if is.State != health.Healthy || is.Window.Requests != 10 {
		t.Errorf("%+v", is)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A key that is refused is not asked with before its time, drained or not.
func TestProbesOfWhatIsDrainedAndRefused(t *testing.T) {
	p := newProbed(t)
	p.status.Store(401)
	r := newRuntime(t, &life{})
	apply(t, r, file(p, config.Probe{Path: "/health"}))
	for _, key := range []string{"a", "b"} {
		until(t, "the key is refused", is(r, id(key, "m"), health.Disabled))
	}
	key := "a"
	r.Targets().Order(clock.Now(), health.Order{Provider: "p", Key: &key, Word: health.Drain})
	before := p.count("1 /health")
	r.Targets().Find(id("b", "m")).Enable(clock.Now(), "")
	p.status.Store(200)
	for range 5 {
		p.more(t, "2 /health") // at the pace of the other
	}
	if n := p.count("1 /health") - before; n > 1 {
		t.Errorf("%d probes with a key that was refused", n)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
