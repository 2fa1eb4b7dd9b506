package serve

import "github.com/sluice-ai/sluice/gateway"

var _ gateway.Begins = header{}

// Begins implements gateway.Begins.
func (h header) Begins(prefix string) bool {
	for key := range h.h.All() {
		if len(key) >= len(prefix) && asciiFold(key[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}
