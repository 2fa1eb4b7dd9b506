// Package verify estimates how likely it is that one answer serves two questions.
//
// Two texts are put together word by word, and what fits and what does not is put into some forty numbers: weight that
// is matched on either side, names, numbers, order, what stands in place of what. A sum of small trees turns them into
// log odds. The trees obey what is known beforehand: more that matches never speaks against one answer. To these, each
// difference adds what its words have meant for other pairs.
//
// The weights are made by the program in the folder train from the pairs of questions in plugins/cache/pairs.
package verify

import (
	_ "embed"
	"hash/fnv"
	"strconv"
	"sync"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

//go:generate go run ./train -o weights.bin

//go:embed weights.bin
var weights []byte

var model = sync.OnceValues(func() (*Model, error) { //nolint:gochecknoglobals // read once
	m := new(Model)
	return m, m.UnmarshalBinary(weights)
})

// Default returns the model that Score uses. The error says that the weights were made for other features, which a
// test rules out.
func Default() (*Model, error) { return model() }

// rules changes whenever Extract may answer differently than before.
const rules = 2

// Version names the model that Score uses.
func Version() string {
	h := fnv.New64a()
	_, _ = h.Write(weights) // never fails
	return strconv.Itoa(rules) + "-" + strconv.FormatUint(h.Sum64(), 36)
}

// Score returns the calibrated probability that one answer serves both questions. It is symmetric. The cosine is that
// of the questions' vectors.
func Score(a, b *text.Text, cosine float32) float64 {
	m, err := model()
	if err != nil {
		return 0 // serve nothing
	}
	e := Extract(a, b, cosine)
	return m.Probability(&e)
}
