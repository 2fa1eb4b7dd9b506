// Package verify estimates how likely it is that one answer serves two questions.
package verify

import "github.com/sluice-ai/sluice/plugins/cache/text"

// Score returns the calibrated probability that one answer serves both questions. It is symmetric. The cosine is that
// of the questions' vectors.
func Score(a, b *text.Text, cosine float32) float64 {
	return min(max(float64(cosine), 0), 1) * overlap(a, b)
}

func overlap(a, b *text.Text) float64 {
	var shared float32
	for i := range a.Tokens {
		for j := range b.Tokens {
			if a.Tokens[i].Lemma == b.Tokens[j].Lemma {
				shared += a.Tokens[i].Weight + b.Tokens[j].Weight
				break
			}
		}
	}
	if a.Mass+b.Mass == 0 {
		return 0
	}
	return float64(shared / (a.Mass + b.Mass))
}
