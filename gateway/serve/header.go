package serve

import (
	"slices"

	"github.com/sluice-ai/sluice/gateway"
)

var (
	_ gateway.Begins = header{}
	_ gateway.Joins  = header{}
)

// Join implements gateway.Joins. Only what there is several times of is copied.
func (h header) Join(name string) (all []byte) {
	n := 0
	for key, value := range h.h.All() {
		if len(key) != len(name) || !asciiFold(key, name) {
			continue
		}
		if n++; n == 1 {
			all = value
		} else {
			all = append(append(slices.Clip(all), ", "...), value...)
		}
	}
	return all
}

// Begins implements gateway.Begins.
func (h header) Begins(prefix string) bool {
	for key := range h.h.All() {
		if len(key) >= len(prefix) && asciiFold(key[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}
