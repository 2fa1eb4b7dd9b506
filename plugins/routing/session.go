package routing

import (
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// session is a number for the session that an exchange belongs to, by the first of some names that its request has a value
// for; false if it has none.
func session(x *gateway.Exchange, by []string) (uint64, bool) {
	for _, name := range by {
		value := ""
		switch name {
		case "prompt_cache_key":
			value = x.Request.Member(`"prompt_cache_key"`)
		case "user":
			value = x.Request.User()
		default:
			if header, ok := strings.CutPrefix(name, "header:"); ok && x.Request.Header != nil {
				value = string(x.Request.Header.Get(header))
			}
		}
		if value != "" {
			return hash(string(x.Caller.Tenant.ID), value), true
		}
	}
	return 0, false
}

// hash is a number for some texts in a row (FNV-1a, 64 bits). It is the same in all replicas and after a restart.
func hash(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, text := range texts {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // in no text: UTF-8 does not have it
	}
	return h
}

// uniform mixes a number (the finalizer of SplitMix64) and maps it to between 0 and 1, both excluded.
func uniform(h uint64) float64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	h ^= h >> 31
	return (float64(h>>11) + 0.5) / (1 << 53)
}
