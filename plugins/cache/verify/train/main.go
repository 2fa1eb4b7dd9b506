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
	f       verify.Features
	refused string // the guard that refuses it
	weight  float64
}

func main() {
	log.SetFlags(0)
	out := flag.String("o", "", "file to write; none is written without it")
	test := flag.Bool("test", false, "measure on the test part too")
	evals := flag.String("eval", "", "comma-separated files to measure on")
	trees := flag.Int("trees", 320, "number of trees")
	show := flag.Int("show", 0, "print that many mistakes of the development part")
	skip := flag.String("skip", "", "comma-separated topics to leave out of training and measure on")
	flag.Parse()
	if err := run(*out, *test, *evals, *trees, *show, *skip); err != nil {
		log.Fatal("train: ", err)
	}
}

func run(out string, test bool, evals string, trees, show int, skip string) error {
	all, err := pairs.Load(pairs.Files)
	if err != nil {
		return err
	}
	left := make(map[string]bool)
	for t := range strings.SplitSeq(skip, ",") {
		left[t] = true
	}
	parts := make(map[string][]pairs.Pair)
	for _, p := range all {
		part := pairs.Split(p.Group)
		if left[p.Topic] && skip != "" {
			part = "skipped"
		}
		parts[part] = append(parts[part], p)
	}
	own := parts[pairs.Train]
	train := prepare(slices.Concat(own, edits(own), strangers(own, 4)))
	balance(train)
	dev := prepare(parts[pairs.Dev])
	m := boost(train, trees)
	calibrate(m, dev)
	report("train", m, train)
	report("dev", m, dev)
	report("mixed", m, slices.Concat(dev, prepare(strangers(parts[pairs.Dev], 6))))
	mistakes(m, dev, show)
	if os.Getenv("SHOWTRAIN") != "" {
		mistakes(m, train, show*4)
	}
	if skip != "" {
		report("skipped", m, prepare(parts["skipped"]))
	}
	if test {
		report("test", m, prepare(parts[pairs.Test]))
	}
	if evals != "" {
		for file := range strings.SplitSeq(evals, ",") {
			ps, err := read(file)
			if err != nil {
				return err
			}
			s := prepare(ps)
			report(file, m, s)
			mistakes(m, s, show)
		}
	}
	if out == "" {
		return nil
	}
	b, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644) //nolint:gosec // weights that are committed
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
		var cosine float32
		for k := range x {
			cosine += x[k] * y[k]
		}
		out[i] = sample{pair: p, f: verify.Extract(a, b, cosine), refused: guard.Check(a, b), weight: 1}
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
	defer f.Close()
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
