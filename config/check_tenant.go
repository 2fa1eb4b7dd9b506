package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// tenantChecker finds the mistakes of a tenant file that need more than one value to be seen.
type tenantChecker struct {
	src    *source
	tenant *Tenant
	stored string // the id of one that is for the store; "": it is of a file
}

func (c *tenantChecker) fail(path, hint, format string, args ...any) {
	if !c.src.bad[path] {
		c.src.fail(c.src.where(path), path, fmt.Sprintf(format, args...), hint)
	}
}

func (c *tenantChecker) all() {
	c.id()
	c.foreign()
	c.keys()
	c.patterns("models.allow", c.tenant.Models.Allow)
	c.patterns("models.deny", c.tenant.Models.Deny)
	c.credentials()
	c.limits()
	c.jwt()
	checkOrigins("cors", c.tenant.CORS, c.fail)
}

func (c *tenantChecker) id() {
	id, file := c.tenant.ID, filepath.Base(c.src.name)
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	switch {
	case id == Deny:
		c.fail("id", "", "the id %q is taken: tenants.anonymous has a meaning for it", Deny)
	case c.stored != "" && id != c.stored:
		c.fail("id", "leave it out", "the id %q is not that of the tenant, %q", id, c.stored)
	case c.stored == "" && id != "" && id != stem:
		c.fail("id", "rename one of them", "the id %q is not the file's name, %q", id, stem)
	}
}

// foreign refuses what a tenant of the store cannot have.
func (c *tenantChecker) foreign() {
	if c.stored == "" {
		return
	}
	if c.src.has("keys") {
		c.fail("keys", "take them out, and make keys with sluice keys create", "keys have no place here: the store has them apart")
	}
	if c.src.has("credentials") {
		c.fail("credentials", "make the tenant a file", "credentials have no place here: the store keeps no providers' keys")
	}
}

func (c *tenantChecker) keys() {
	first := map[string]int{}
	for i, k := range c.tenant.Keys {
		if before, twice := first[k.Name]; twice && k.Name != "" {
			c.fail(fmt.Sprintf("keys[%d].name", i), "", "key %q is defined twice; the first is keys[%d]", k.Name, before)
			continue
		}
		first[k.Name] = i
		if strings.HasPrefix(k.Name, "(") {
			c.fail(fmt.Sprintf("keys[%d].name", i), "take the parentheses out", "key %q: names in parentheses are for callers without a key", k.Name)
		}
		c.patterns(fmt.Sprintf("keys[%d].models", i), k.Models)
	}
}

// jwt checks an identity provider's addresses. Whether it is the only one of its name, the tenantSet tells.
func (c *tenantChecker) jwt() {
	j := c.tenant.JWT
	if j == nil {
		return
	}
	if u, err := url.Parse(j.JWKSURL); j.JWKSURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		c.fail("jwt.jwks_url", "write https://HOST/PATH", "jwt.jwks_url: %q is not the address of a server that speaks HTTPS", j.JWKSURL)
	}
	for i, a := range j.Audience {
		if path := fmt.Sprintf("jwt.audience[%d]", i); a == "" {
			c.fail(path, "", "%s is empty", path)
		}
	}
}

func (c *tenantChecker) patterns(list string, patterns []string) {
	for i, pattern := range patterns {
		if path := fmt.Sprintf("%s[%d]", list, i); pattern == "" || !printable(pattern) {
			c.fail(path, nameHint, "%s: %q is not the pattern of a name", path, pattern)
		}
	}
}

// credentials leaves to the tenantSet whether the providers exist.
func (c *tenantChecker) credentials() {
	first := map[string]int{}
	for i, cr := range c.tenant.Credentials {
		path := fmt.Sprintf("credentials[%d]", i)
		if before, twice := first[cr.Provider]; twice && cr.Provider != "" {
			c.fail(path+".provider", "", "provider %q has a credential already: credentials[%d]", cr.Provider, before)
		} else {
			first[cr.Provider] = i
		}
		if !sendable(cr.Key.Reveal()) {
			c.fail(path+".key", "a key is one line", "%s.key holds a line break or another control character", path)
		}
		checkBaseURL(path+".base_url", cr.BaseURL, c.fail)
	}
}
