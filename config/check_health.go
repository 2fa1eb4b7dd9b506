package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of health.window: less holds too few attempts, more remembers what is long over.
const (
	minWindow = time.Second
	maxWindow = 10 * time.Minute
)

// minEvery keeps all keys and replicas together from being a load.
const minEvery = time.Second

func (c *checker) health(at string, p *Provider) {
	h, at := &p.Health, at+".health"
	if h.Window < minWindow || h.Window > maxWindow {
		c.fail(at+".window", "", "%s.window: %s is not between %s and %s", at, durationText(h.Window), durationText(minWindow), durationText(maxWindow))
	}
	c.positive(at+".open_for", int64(h.OpenFor))
	if h.MaxOpen < h.OpenFor {
		c.fail(at+".max_open", "", "%s.max_open (%s) is less than %s.open_for (%s)", at, durationText(h.MaxOpen), at, durationText(h.OpenFor))
	}
	if h.Probe != nil {
		c.probe(at+".probe", p)
	}
}

func (c *checker) probe(at string, p *Provider) {
	probe := p.Health.Probe
	switch {
	case (probe.Path == "") == (probe.Model == ""):
		c.fail(at, "write path: /v1/models, or the model that is asked for one token", "%s needs either a path or a model", at)
	case probe.Path != "" && p.Type == Simulated:
		c.fail(at+".path", "write a model", "%s.path has no meaning for type %s, which uses no network", at, p.Type)
	case probe.Path != "" && !requestable(probe.Path):
		c.fail(at+".path", "write a path as in a URL, such as /v1/models", "%s.path: %q is not a path", at, probe.Path)
	case !printable(probe.Model):
		c.fail(at+".model", nameHint, "%s.model: %q is not a name", at, probe.Model)
	}
	if probe.Every < minEvery {
		c.fail(at+".every", "", "%s.every: %s is less than %s", at, durationText(probe.Every), durationText(minEvery))
	}
	c.positive(at+".timeout", int64(probe.Timeout))
	if probe.Timeout > probe.Every {
		c.fail(at+".timeout", "", "%s.timeout (%s) is more than %s.every (%s)", at, durationText(probe.Timeout), at, durationText(probe.Every))
	}
}

// requestable reports whether text is a path, perhaps with a query, that can stand in a request as it is.
func requestable(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "" && u.Host == "" && u.Fragment == "" && !strings.HasSuffix(text, "#") &&
		strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (c *checker) concurrency(at string, p *Provider) {
	n, at := &p.Concurrency, at+".concurrency"
	if n.Max > 0 && n.Min > n.Max {
		c.fail(at+".min", "", "%s.min (%d) is more than %s.max (%d)", at, n.Min, at, n.Max)
	}
	if n.Queue > 0 {
		c.positive(at+".wait", int64(n.Wait))
	}
}

// choice reports what is wrong with how a model chooses among its targets.
func (c *checker) choice(at string, m *Model) {
	for i, by := range m.Affinity {
		path := fmt.Sprintf("%s.affinity[%d]", at, i)
		header, isHeader := strings.CutPrefix(by, ByHeader)
		switch {
		case isHeader && (header == "" || !token(header)):
			c.fail(path, "write header: and its name, such as header:x-session-id", "%s: %q is not a header's name", path, header)
		case !isHeader && by != ByCacheKey && by != ByUser:
			known := []string{ByCacheKey, ByUser, ByHeader + "NAME"}
			hint := didYouMean(by, known[:2], "")
			if hint == "" {
				hint = "write one of " + strings.Join(known, ", ")
			}
			c.fail(path, hint, "%s: %q names nothing that sessions can be told by", path, by)
		}
	}
	if len(m.Affinity) > 0 && m.Strategy == Ordered && !slices.ContainsFunc(m.Targets, c.severalKeys) {
		c.warn(at+".affinity", "write strategy: weighted", at+".affinity does nothing with strategy ordered and one key at each provider")
	}
	if h := m.Hedge; h != nil {
		if !h.After.P95 {
			c.positive(at+".hedge.after", int64(h.After.Time))
		}
		if h.Budget <= 0 {
			c.fail(at+".hedge.budget", "leave hedge out for no second attempts", "%s.hedge.budget must be more than 0", at)
		}
		if h.MaxCost.String() == "unknown" {
			c.fail(at+".hedge.max_cost", "leave it out for no bound", "%s.hedge.max_cost: %q is no bound", at, h.MaxCost)
		}
	}
}

// severalKeys says whether there is a choice among the keys of a target's provider.
func (c *checker) severalKeys(t Target) bool {
	return slices.ContainsFunc(c.cfg.Providers, func(p Provider) bool { return p.Name == t.Provider && len(p.Keys) > 1 })
}

// token reports whether text can be a header's name (RFC 9110, section 5.6.2).
func token(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
}
