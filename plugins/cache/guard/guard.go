// Package guard refuses pairs of questions that one answer cannot serve, whatever their vectors or a model say.
package guard

import "github.com/sluice-ai/sluice/plugins/cache/text"

// Check returns the name of the guard that refuses to answer one question with the answer to the other, or "". It is
// symmetric.
func Check(a, b *text.Text) string {
	if len(a.Quantities) != len(b.Quantities) {
		return "numbers"
	}
	for i, q := range a.Quantities {
		if q.Value != b.Quantities[i].Value {
			return "numbers"
		}
	}
	return ""
}
