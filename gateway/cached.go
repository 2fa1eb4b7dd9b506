package gateway

// CacheScope says who shares the answers that are kept.
type CacheScope uint8

// Scopes of a cache. Nobody shares any with another tenant.
const (
	CacheTenant CacheScope = iota // all of a tenant's callers
	CacheUser                     // nobody: each end user has answers of its own
	CacheOff                      // none are kept
)

// CacheRules are what a tenant wants of the cache.
type CacheRules struct {
	Scope CacheScope
	Exact bool // only what was asked in the same words is answered
}

// ParseCacheScope reads a scope as configuration writes it; false if it is none.
func ParseCacheScope(word string) (CacheScope, bool) {
	switch word {
	case "", "tenant":
		return CacheTenant, true
	case "user":
		return CacheUser, true
	case "off":
		return CacheOff, true
	}
	return CacheOff, false
}
