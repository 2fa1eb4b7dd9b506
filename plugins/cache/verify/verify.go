// Package verify estimates how likely it is that one answer serves two questions.
//
// Two texts are put together word by word, and what fits and what does not is put into some forty numbers: weight that
// is matched on either side, names, numbers, order, what stands in place of what. A sum of small trees turns them into
// a probability. The trees obey what is known beforehand: more that matches never speaks against one answer.
//
// The weights are made by the program in the folder train from the pairs of questions in plugins/cache/pairs.
package verify

import (
	_ "embed"
	"sync"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

//go:generate go run ./train -o weights.bin

//go:embed weights.bin
var weights []byte

var model = sync.OnceValue(func() *Model {
	m := new(Model)
	if err := m.UnmarshalBinary(weights); err != nil {
		panic(err) // cannot happen: a test reads them
	}
	return m
})

// Score returns the calibrated probability that one answer serves both questions. It is symmetric. The cosine is that
// of the questions' vectors.
func Score(a, b *text.Text, cosine float32) float64 {
	f := Extract(a, b, cosine)
	return model().Probability(&f)
}
