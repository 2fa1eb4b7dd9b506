// Command train makes the weights of package verify from the pairs of questions in plugins/cache/pairs.
//
//	go run ./plugins/cache/verify/train -o plugins/cache/verify/weights.bin
//
// It learns from the training part and calibrates on the development part. The figures of the test part are printed
// with -test only: look rarely. With -eval, a file of lines "label, tab, question, tab, question" is measured too; it
// is never learnt from. The same input makes the same weights.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/guard"
	"github.com/sluice-ai/sluice/plugins/cache/pairs"
	"github.com/sluice-ai/sluice/plugins/cache/text"
	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

// A sample is a pair as the model sees it.
type sample struct {
	pair    pairs.Pair
	e       verify.Evidence
	refused string // the guard that refuses it
	weight  float64
}

// options are the command line.
type options struct {
	out, corpus, evals  string
	trees, folds, shown int
	test                bool
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.out, "o", "", "file to write; none is written without it")
	flag.StringVar(&o.corpus, "pairs", "", "folder with pairs, instead of those of the project")
	flag.StringVar(&o.evals, "eval", "", "comma-separated files to measure on")
	flag.IntVar(&o.trees, "trees", 320, "number of trees")
	flag.IntVar(&o.folds, "folds", 0, "measure by cross-validation over groups, with that many parts, and do nothing else")
	flag.IntVar(&o.shown, "show", 0, "print that many mistakes of each kind")
	flag.BoolVar(&o.test, "test", false, "measure on the test part too")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal("train: ", err)
	}
}

func run(o options) error {
	var corpus fs.FS = pairs.Files
	if o.corpus != "" {
		corpus = os.DirFS(o.corpus)
	}
	all, err := pairs.Load(corpus)
	if err != nil {
		return err
	}
	parts := make(map[string][]pairs.Pair)
	for _, p := range all {
		part := pairs.Split(p.Group)
		parts[part] = append(parts[part], p)
	}
	if o.folds > 1 {
		crossValidate(slices.Concat(parts[pairs.Train], parts[pairs.Dev]), o.folds, o.trees)
		return nil
	}
	m := learn(parts[pairs.Train], o.trees)
	dev := prepare(parts[pairs.Dev])
	calibrate(m, dev)
	report("dev", m, dev)
	mistakes(m, dev, o.shown)
	report("mixed", m, slices.Concat(dev, prepare(strangers(parts[pairs.Dev], 6))))
	if o.test {
		report("test", m, prepare(parts[pairs.Test]))
	}
	if err := evaluate(m, o); err != nil || o.out == "" {
		return err
	}
	b, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, b, 0o644) //nolint:gosec // weights that are committed
}

// learn grows a model from pairs, and from what can be made of them.
func learn(ps []pairs.Pair, trees int) *verify.Model {
	s := prepare(slices.Concat(ps, edits(ps), strangers(ps, 4)))
	balance(s)
	m := boost(s, trees)
	weigh(m, s, apart(s, trees))
	return m
}

// evaluate measures on files that nothing is learnt from.
func evaluate(m *verify.Model, o options) error {
	for file := range strings.SplitSeq(o.evals, ",") {
		if file == "" {
			continue
		}
		ps, err := read(file)
		if err != nil {
			return err
		}
		s := prepare(ps)
		report(file, m, s)
		mistakes(m, s, o.shown)
	}
	return nil
}

// crossValidate learns from all groups but those of one part, for each part in turn, and reports on the parts that were
// left out, together with strangers.
func crossValidate(ps []pairs.Pair, folds, trees int) {
	parts := make([][]pairs.Pair, folds)
	for _, p := range ps {
		k := fold(p.Group+"/left out", folds) // other parts than those of apart
		parts[k] = append(parts[k], p)
	}
	var own, mixed outcome
	for k := range parts {
		m := learn(slices.Concat(slices.Concat(parts[:k]...), slices.Concat(parts[k+1:]...)), trees)
		own.add(m, prepare(parts[k]))
		mixed.add(m, prepare(slices.Concat(parts[k], strangers(parts[k], 6))))
	}
	own.print("left out")
	mixed.print("mixed")
}

// prepare computes what the model sees.
func prepare(ps []pairs.Pair) []sample {
	e := embed.Builtin{}
	out := make([]sample, len(ps))
	x, y := make([]float32, embed.BuiltinDim), make([]float32, embed.BuiltinDim)
	for i, p := range ps {
		a, b := text.Parse(p.A), text.Parse(p.B)
		e.EmbedText(a, x)
		e.EmbedText(b, y)
		out[i] = sample{pair: p, e: verify.Extract(a, b, dot(x, y)), refused: guard.Check(a, b), weight: 1}
	}
	return out
}

// balance gives every group the same weight, whatever number of pairs it has, and both labels half of it.
func balance(s []sample) {
	type key struct {
		group string
		same  bool
	}
	n := make(map[key]float64)
	for i := range s {
		n[key{s[i].pair.Group, s[i].pair.Same}]++
	}
	var sum float64
	for i := range s {
		k := n[key{s[i].pair.Group, s[i].pair.Same}]
		s[i].weight = 1 / (2 + k)
		sum += s[i].weight
	}
	for i := range s {
		s[i].weight *= float64(len(s)) / sum
	}
}

func read(file string) ([]pairs.Pair, error) {
	f, err := os.Open(file) //nolint:gosec // named by who runs the program
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	var out []pairs.Pair
	s := bufio.NewScanner(f)
	for s.Scan() {
		c := strings.Split(s.Text(), "\t")
		if len(c) < 3 {
			return nil, fmt.Errorf("%s: %q: want three columns", file, s.Text())
		}
		out = append(out, pairs.Pair{A: c[1], B: c[2], Same: c[0] == "1", Group: c[1]})
	}
	return out, s.Err()
}
