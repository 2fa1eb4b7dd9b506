package runtime

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// idleUpstream is how long a connection to a provider is kept without use: shorter than the 60 s after which many load
// balancers drop theirs without a word.
const idleUpstream = 55 * time.Second

// mergedInputs is how many inputs for embeddings are sent together at most: fewer than any provider's limit.
const mergedInputs = 256

// provider is one entry of the configuration, built. Generations share it as long as its entry does not change.
type provider struct {
	shared
	config config.Provider
	beat   time.Duration
	key    func(value string) gateway.Sender
	serves map[string]bool // names of endpoints
	probe  func(ctx context.Context, path, key string) health.Outcome
}

// carryProvider carries the old generation's over, or builds a new one.
func (r *Runtime) carryProvider(c *config.Provider, all *config.Config, old *Generation) (*provider, error) {
	if old != nil {
		if p := old.providers[c.Name]; p != nil && same(p.config, *c) && p.beat == all.Server.Heartbeat {
			p.retain()
			return p, nil
		}
	}
	p := &provider{config: *c, beat: all.Server.Heartbeat}
	p.users = 1
	if c.Type == config.Simulated {
		s := sim.New(c.Name, sim.Options{
			FirstToken: c.Sim.FirstToken, TokensPerSecond: c.Sim.TokensPerSecond, Jitter: float64(c.Sim.Jitter),
			ErrorRate: float64(c.Sim.ErrorRate), Seed: c.Sim.Seed, Beat: p.beat,
			Kept: func(whose, id string) { r.stored.Note(tenant.ID(whose), id, p.config.Name) },
		})
		p.key, p.serves = func(string) gateway.Sender { return s }, sim.Serves()
		return p, nil
	}
	u, err := r.newUpstream(c, p.beat, c.BaseURL, nil)
	if err != nil {
		return nil, err
	}
	k := kind(c)
	p.key, p.serves, p.probe, p.closer = u.WithKey, k.Serves(), u.Probe, u.Close
	return p, nil
}

// newUpstream connects to a provider at a URL; guard is set for URLs that a tenant gave.
func (r *Runtime) newUpstream(c *config.Provider, beat time.Duration, base string, guard upstream.Guard) (*upstream.Provider, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	proxy, err := proxyFor(c.Proxy)
	if err != nil {
		return nil, err
	}
	var headers []gateway.Field
	add := func(name, value string) {
		if value != "" {
			headers = append(headers, gateway.Field{Name: name, Value: value})
		}
	}
	add("OpenAI-Organization", c.Organization)
	add("OpenAI-Project", c.Project)
	for _, h := range c.Headers {
		add(h.Name, h.Value.Reveal())
	}
	t := c.Timeouts
	return upstream.New(upstream.Config{
		Name: c.Name, BaseURL: u, Kind: kind(c), Query: query(c), Headers: headers, Endpoints: serve.Endpoints(), Beat: beat,
		Stored: r.stored, Merge: upstream.Merge{Window: c.MergeEmbeddings, Inputs: mergedInputs},
		Timeouts: upstream.Timeouts{
			Connect: t.Connect, Headers: t.Headers, FirstEvent: t.FirstEvent, Idle: t.Idle, Answer: t.Answer, Total: t.Total,
		},
		MaxIdle: c.MaxIdleConnections, IdleTimeout: idleUpstream, MaxBody: int(c.MaxResponse), MaxEvent: int(c.MaxEvent),
		Budget: r.budget, AskUsage: c.AskUsage, Refuse: !c.DropParams, Proxy: proxy, Guard: guard, Watch: r.watch, UserAgent: r.o.UserAgent,
	})
}

// kind is the provider's row of the table, with what the configuration changes in it.
func kind(c *config.Provider) upstream.Kind {
	name := c.Type
	if c.Classic() {
		name = "azure-classic"
	}
	k, _ := upstream.KindOf(name) // the configuration knows the same names; a test compares them
	if c.Endpoints != nil {
		k.Native = c.Endpoints
	}
	return k
}

func query(c *config.Provider) string {
	if c.APIVersion == "" {
		return ""
	}
	return "api-version=" + url.QueryEscape(c.APIVersion)
}

func proxyFor(setting string) (func(*url.URL) (*url.URL, error), error) {
	switch setting {
	case "none":
		return nil, nil
	case "env", "":
		return func(u *url.URL) (*url.URL, error) { return http.ProxyFromEnvironment(&http.Request{URL: u}) }, nil
	}
	u, err := url.Parse(setting)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return func(*url.URL) (*url.URL, error) { return u, nil }, nil
}
