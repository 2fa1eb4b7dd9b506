package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

// printable reports whether a name can stand in a header: ASCII without spaces (RFC 9110, section 5.5).
func printable(name string) bool {
	return len(name) <= 256 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// notInIDs has a meaning in ids, in URLs or in JSON.
const notInIDs = `~/%?#"\`

const nameHint = "use printable ASCII without spaces, up to 256 characters"

func (c *checker) providers() {
	first := map[string]int{}
	for i := range c.cfg.Providers {
		p, at := &c.cfg.Providers[i], fmt.Sprintf("providers[%d]", i)
		if before, twice := first[p.Name]; twice && p.Name != "" {
			c.fail(at+".name", "", "provider %q is defined twice; the first is providers[%d]", p.Name, before)
		} else {
			first[p.Name] = i
		}
		if strings.ContainsAny(p.Name, notInIDs) {
			c.fail(at+".name", "the name stands in the ids of files and batches: leave out ~ / % ? # \" and \\", "%s.name: %q does not fit into a URL", at, p.Name)
		}
		if !printable(p.Name) {
			c.fail(at+".name", nameHint, "%s.name: %q is not a name", at, p.Name)
		}
		c.provider(at, p)
	}
}

func (c *checker) provider(at string, p *Provider) {
	c.providerType(at, p)
	checkBaseURL(at+".base_url", p.BaseURL, c.fail)
	if p.Type != Simulated {
		c.proxy(at+".proxy", p.Proxy)
	}
	c.keys(at+".keys", p.Keys)
	c.headers(at, p)
	for name, value := range map[string]string{"organization": p.Organization, "project": p.Project} {
		if !sendable(value) {
			c.fail(at+"."+name, "", "%s.%s holds a line break or another control character", at, name)
		}
	}
	t := p.Timeouts
	for name, d := range map[string]time.Duration{
		"connect": t.Connect, "headers": t.Headers, "first_event": t.FirstEvent, "idle": t.Idle, "answer": t.Answer, "total": t.Total,
	} {
		c.positive(at+".timeouts."+name, int64(d))
	}
	if d := p.MergeEmbeddings; d < 0 || d > time.Second {
		c.fail(at+".merge_embeddings", "a few milliseconds are enough", "%s.merge_embeddings: %s is not between 0s and 1s", at, d)
	}
	c.health(at, p)
	c.concurrency(at, p)
	for name, n := range map[string]Bytes{"max_response": p.MaxResponse, "max_event": p.MaxEvent} {
		c.positive(at+"."+name, int64(n))
		if all := c.cfg.Server.MaxInFlightResponse; n > all {
			c.fail(at+"."+name, "", "%s.%s (%s) is more than server.max_in_flight_response (%s)", at, name, n, all)
		}
	}
}

// endpoints reports names of endpoints that do not exist.
func (c *checker) endpoints(known []string) {
	for i := range c.cfg.Providers {
		for j, name := range c.cfg.Providers[i].Endpoints {
			if name != "" && !slices.Contains(known, name) {
				path := fmt.Sprintf("providers[%d].endpoints[%d]", i, j)
				c.fail(path, nearest(name, known), "%s: there is no endpoint %q", path, name)
			}
		}
	}
}

// nearest is the hint for an endpoint that does not exist: which one was meant, or those of the same group.
func nearest(name string, known []string) string {
	if hint := didYouMean(name, known, ""); hint != "" {
		return hint
	}
	group, _, _ := strings.Cut(name, ".")
	var near []string
	for _, k := range known {
		if of, _, _ := strings.Cut(k, "."); of == group || strings.Contains(k, name) {
			near = append(near, k)
		}
	}
	return didYouMean(name, near, "endpoints like it")
}

// providerType reports what a provider's type needs and does not have, or has and cannot use.
func (c *checker) providerType(at string, p *Provider) {
	useless := func(why, hint string, names ...string) {
		for _, name := range names {
			if c.src.has(at + "." + name) {
				c.fail(at+"."+name, hint, "%s.%s has no meaning for type %s%s", at, name, p.Type, why)
			}
		}
	}
	if p.Type != Simulated {
		useless("", "", "sim")
	}
	if p.Type != Azure {
		useless("", "", "api_version")
	}
	if p.Type != OpenAI {
		useless("", "use headers", "organization", "project")
	}
	if p.Type == Simulated {
		useless(", which uses no network", "", "base_url", "keys", "headers", "proxy", "endpoints")
		return
	}
	k, known := kindOf(p.Type)
	switch {
	case !known: // reported by the schema
	case p.BaseURL == "":
		c.fail(at+".base_url", "write where the API begins, such as "+exampleURL(p.Type), "%s.base_url is missing", at)
	case len(p.Keys) == 0 && !k.keyless:
		c.fail(at+".keys", "", "%s.keys is missing: type %s needs a key", at, p.Type)
	}
}

func exampleURL(kind string) string {
	if kind == Azure {
		return "https://my-resource.openai.azure.com"
	}
	return "http://" + kind + ":8000/v1"
}

// checkBaseURL reports what is not the URL of an API; "" is none and all right.
func checkBaseURL(path, text string, fail func(path, hint, format string, args ...any)) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		fail(path, "write http:// or https://, a host and a path", "%s is not a URL", path)
	case u.User != nil:
		fail(path, "use keys or headers", "%s holds a user name or a password", path)
	case u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "#"):
		fail(path, "", "%s holds a query or a fragment", path)
	}
}

func (c *checker) proxy(path, text string) {
	if text == "env" || text == "none" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		c.fail(path, `write "env", "none", or a URL that begins with http:// or https://`, "%s is not a proxy", path)
	}
}

func (c *checker) keys(path string, list []Key) {
	first, total, enabled := map[string]int{}, 0, false
	for i, k := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if before, twice := first[k.Name]; twice && k.Name != "" {
			c.fail(at+".name", "", "key %q is defined twice; the first is %s[%d]", k.Name, path, before)
		} else {
			first[k.Name] = i
		}
		if !sendable(k.Key.Reveal()) {
			c.fail(at+".key", "a key is one line", "%s.key holds a line break or another control character", at)
		}
		if !k.Disabled {
			total, enabled = total+k.Weight, true
		}
	}
	switch {
	case len(list) > 0 && !enabled:
		c.fail(path, "disable the targets that name the provider, or leave it out", "all of %s are disabled", path)
	case len(list) > 0 && total == 0:
		c.fail(path, "", "the weights of %s sum up to 0", path)
	}
}

// sendable reports whether text can be the value of a header (RFC 9110, section 5.5).
func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// The gateway or the connection sets these itself.
var reserved = []string{
	"connection", "content-length", "content-type", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
}

func (c *checker) headers(at string, p *Provider) {
	first := map[string]int{}
	for i, h := range p.Headers {
		path, name := fmt.Sprintf("%s.headers[%d]", at, i), strings.ToLower(h.Name)
		switch before, twice := first[name]; {
		case name == "":
			continue // reported while decoding
		case !token(name):
			c.fail(path+".name", "", "%s.name: %q is not a header's name", path, h.Name)
		case slices.Contains(reserved, name):
			c.fail(path+".name", "", "%s.name: header %s is set by the gateway", path, h.Name)
		case name == "authorization" && len(p.Keys) > 0:
			c.fail(path+".name", "take away the keys or the header", "%s.name: header %s is set from the keys", path, h.Name)
		case twice:
			c.fail(path+".name", "", "header %s is defined twice; the first is %s.headers[%d]", h.Name, at, before)
		}
		first[name] = i
		if !sendable(h.Value.Reveal()) {
			c.fail(path+".value", "", "%s.value holds a line break or another control character", path)
		}
	}
}

func (c *checker) models() {
	names := map[string]string{} // name or alias -> path
	taken := func(path, name string) {
		if name == "" {
			return
		}
		if !printable(name) {
			c.fail(path, nameHint, "%s: %q is not a name", path, name)
		}
		if before, twice := names[name]; twice {
			c.fail(path, "", "the name %q is taken by %s", name, before)
			return
		}
		names[name] = path
	}
	for i := range c.cfg.Models {
		m, at := &c.cfg.Models[i], fmt.Sprintf("models[%d]", i)
		taken(at+".name", m.Name)
		if strings.Count(m.Name, "*") > 1 {
			c.fail(at+".name", "", "%s.name: %q has more than one *", at, m.Name)
		}
		c.targets(at, m)
		c.choice(at, m)
	}
	for i := range c.cfg.Models { // after all names: the alias is at fault, wherever it stands
		for j, alias := range c.cfg.Models[i].Aliases {
			path := fmt.Sprintf("models[%d].aliases[%d]", i, j)
			taken(path, alias)
			switch {
			case strings.Contains(alias, "*"):
				c.fail(path, "", "%s: an alias cannot have a *", path)
			case strings.Contains(c.cfg.Models[i].Name, "*"):
				c.fail(path, "", "%s: a model whose name has a * cannot have an alias", path)
			}
		}
	}
	c.fallbacks()
}

func (c *checker) targets(at string, m *Model) {
	var providers []string
	for i := range c.cfg.Providers {
		providers = append(providers, c.cfg.Providers[i].Name)
	}
	total, enabled := 0, false
	for i, t := range m.Targets {
		path := fmt.Sprintf("%s.targets[%d]", at, i)
		if t.Provider != "" && len(providers) > 0 && !slices.Contains(providers, t.Provider) {
			c.fail(path+".provider", didYouMean(t.Provider, providers, "providers"), "%s.provider: %q is not defined", path, t.Provider)
		}
		if stars := strings.Count(t.Model, "*"); stars > 1 || stars == 1 && !strings.Contains(m.Name, "*") {
			c.fail(path+".model", "", "%s.model: %q needs exactly one * in the model's name too", path, t.Model)
		}
		if !printable(t.Model) {
			c.fail(path+".model", nameHint, "%s.model: %q is not a name", path, t.Model)
		}
		if m.Strategy == Ordered && c.src.has(path+".weight") {
			c.src.warn(c.src.where(path+".weight"), path+".weight", path+".weight does nothing with strategy ordered", "write strategy: weighted")
		}
		if !t.Disabled {
			total, enabled = total+t.Weight, true
		}
	}
	switch {
	case len(m.Targets) > 0 && !enabled:
		c.fail(at+".targets", "leave the model out", "all of %s.targets are disabled", at)
	case m.Strategy != Ordered && len(m.Targets) > 0 && total == 0:
		c.fail(at+".targets", "", "the weights of %s.targets sum up to 0", at)
	}
}

// lookup returns the model that answers to a name: exactly, by alias, or by the longest pattern; or -1.
func (c *checker) lookup(name string) int {
	best, longest := -1, -1
	for i := range c.cfg.Models {
		m := &c.cfg.Models[i]
		if m.Name == name || slices.Contains(m.Aliases, name) {
			return i
		}
		if p := tenant.Pattern(m.Name); p.Wild() && len(p) > longest && p.Match(name) {
			best, longest = i, len(m.Name)
		}
	}
	return best
}

// fallbacks reports fallbacks to models that do not exist, and loops.
func (c *checker) fallbacks() {
	models := c.cfg.Models
	var all []string
	for i := range models {
		all = append(all, models[i].Name)
	}
	next := make([][]int, len(models))
	for i := range models {
		for j, name := range models[i].Fallback {
			to := c.lookup(name)
			if to < 0 && name != "" {
				path := fmt.Sprintf("models[%d].fallback[%d]", i, j)
				c.fail(path, didYouMean(name, all, "models"), "%s: %q is not defined", path, name)
			}
			next[i] = append(next[i], to)
		}
	}
	done := make([]bool, len(models))
	for i := range models {
		c.loops(next, i, nil, done)
	}
}

// loops reports the loops that can be reached from model i; way leads there.
func (c *checker) loops(next [][]int, i int, way []int, done []bool) {
	if done[i] {
		return
	}
	way = append(way, i)
	for j, to := range next[i] {
		if to < 0 {
			continue
		}
		back := slices.Index(way, to)
		if back < 0 {
			c.loops(next, to, way, done)
			continue
		}
		var loop []string
		for _, k := range append(slices.Clone(way[back:]), to) {
			loop = append(loop, c.cfg.Models[k].Name)
		}
		c.fail(fmt.Sprintf("models[%d].fallback[%d]", i, j), "", "fallback loop: %s", strings.Join(loop, " -> "))
	}
	done[i] = true
}
