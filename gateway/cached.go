package gateway

import (
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

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
	Fresh bool // nothing that is past its time is
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

// Cache is what a plugin that keeps answers does for operators. None of it is known of another tenant's.
type Cache interface {
	// Explain says what was decided about an exchange; false if nothing is known of it any more. Hits of requests whose very bytes came
	// before are not written down.
	Explain(t tenant.ID, exchange string) (CacheDecision, bool)
	// Reject takes a user's word that the answer which an exchange got is wrong: it is not given to that question again. False if
	// nothing is known of the exchange any more, or if its answer was not from the cache.
	Reject(t tenant.ID, exchange string) bool
	// Purge takes answers out, and says how many they were.
	Purge(CachePurge) int
	// Warm keeps an answer to an exchange's request as if a provider had given it just now. The exchange is not served. The error says
	// why it may not be kept.
	Warm(x *Exchange, r *chat.Reply) error
}

// CacheWarm is a request of a tenant whose answer is to be in the cache before anybody asks.
type CacheWarm struct {
	Endpoint string // of conversations: chat.completions
	Request  []byte // its body
	Answer   []byte // JSON: what is said, or a whole reply as the endpoint gives it; empty: a provider is asked, at the tenant's cost
	User     string // end user whose alone it is, where a tenant's users share nothing
	Tags     string // as in x-sluice-cache-tags
}

// What comes of a [CacheWarm].
const (
	WarmKept  = "kept"  // the answer that was given
	WarmAsked = "asked" // there is one now, of a provider
	WarmHeld  = "held"  // there was one
)

// CachePurge is which answers a purge takes out: those that fit all that is said.
type CachePurge struct {
	Tenant tenant.ID // whose; not empty
	Model  string    // canonical name; "": any
	Tag    string    // that callers gave it; "": any
	ID     string    // of one answer; "": any
}

// CacheDecision is what a cache has decided about an exchange, and why.
type CacheDecision struct {
	Exchange   string           `json:"exchange"`
	At         time.Time        `json:"at"`
	Result     string           `json:"result"`              // as in x-sluice-cache
	Reason     string           `json:"reason,omitempty"`    // why not: of a bypass, or of a question that was compared to others
	Answer     string           `json:"answer,omitempty"`    // id of the one that was given
	Score      float64          `json:"score,omitempty"`     // of the best: the probability that it is right
	Threshold  float64          `json:"threshold,omitempty"` // that it had to reach; above 1 if nothing was known that would allow any
	Candidates []CacheCandidate `json:"candidates,omitempty"`
}

// CacheCandidate is an answer that was considered.
type CacheCandidate struct {
	Answer   string  `json:"answer"`
	Cosine   float64 `json:"cosine"`
	Refused  string  `json:"refused,omitempty"`  // why it was left out: pinned, or guard: and its name
	Verified float64 `json:"verified,omitempty"` // what the verifier says: the probability that one answer serves both
	Score    float64 `json:"score,omitempty"`
}
