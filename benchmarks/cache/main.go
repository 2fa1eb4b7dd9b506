// Command cache measures what the semantic cache serves and how often it is wrong.
//
//	go run ./benchmarks/cache --data DIR
//
// The data sets are not part of the project. DIR has a folder for each, and one that is missing is left out:
//
//	clinc/data_full.json            CLINC150, github.com/clinc/oos-eval, CC BY 3.0
//	banking77/train.csv, test.csv   BANKING77, github.com/PolyAI-LDN/task-specific-datasets, CC BY 4.0
//	kmemo/near-miss-corpus.json     near misses, github.com/NaCode-Studios/Kmemo, Apache-2.0
//	qqp/*.tsv, qqp/*.csv            any labelled pairs of questions, see --pairs
//
// Without --data, the project's own pairs and the generated workloads are measured. Thresholds are fixed on the
// development part of these pairs before anything else is opened. Everything is drawn by seeds: the same input gives the
// same figures, but for time and memory.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/plugins/cache/pairs"
)

// options are the flags.
type options struct {
	data   string
	pairs  string
	out    string
	tests  string
	seeds  int
	memory int
}

// results is the file that is written.
type results struct {
	Time      time.Time   `json:"time"`
	Go        string      `json:"go"`
	CPU       string      `json:"cpu"`
	Pairs     []served    `json:"pairs,omitempty"`
	Guards    []guarded   `json:"guards,omitempty"`
	Streams   []streamRow `json:"streams,omitempty"`
	Workloads []workload  `json:"workloads,omitempty"`
	Speed     []speed     `json:"speed,omitempty"`
	Memory    []memory    `json:"memory,omitempty"`
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.data, "data", "", "folder of the data sets")
	flag.StringVar(&o.pairs, "pairs", "", "comma-separated files of labelled pairs, .csv or .tsv with a header")
	flag.StringVar(&o.out, "out", "benchmarks/results", "folder to write <date>-cache.json to; empty writes none")
	flag.StringVar(&o.tests, "tests", "pairs,guards,streams,workloads,speed,memory", "what to measure")
	flag.IntVar(&o.seeds, "seeds", 5, "orders in which each stream is asked")
	flag.IntVar(&o.memory, "memory", 1_000_000, "entries of the memory test")
	calibrate := flag.Bool("calibrate", false, "print the offline calibration of the policy and do nothing else")
	flag.Parse()
	if *calibrate {
		if err := printCalibration(os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := measure(o); err != nil {
		log.Fatal(err)
	}
}

// measure runs the tests in their order and writes the results.
func measure(o options) error {
	r := results{Time: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPU: cpu()}
	for _, t := range []struct {
		name string
		run  func(options, *results) error
	}{
		{"pairs", runPairs},
		{"guards", runGuards},
		{"streams", runStreams},
		{"workloads", runWorkloads},
		{"speed", runSpeed},
		{"memory", runMemory},
	} {
		if !slices.Contains(strings.Split(o.tests, ","), t.name) {
			continue
		}
		if err := t.run(o, &r); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if o.out == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	name := filepath.Join(o.out, r.Time.Format(time.DateOnly)+"-cache.json")
	return os.WriteFile(name, append(data, '\n'), 0o644) //nolint:gosec // figures are for everybody
}

// runPairs says which share of the pairs that are the same is served.
func runPairs(o options, r *results) error {
	sets, err := pairSets(o)
	if err != nil {
		return err
	}
	if r.Pairs, err = measurePairs(sets); err != nil {
		return err
	}
	printPairs(os.Stdout, r.Pairs)
	return nil
}

// runGuards says what is caught of near misses.
func runGuards(o options, r *results) error {
	sets, err := pairSets(o)
	if err != nil {
		return err
	}
	r.Guards = measureGuards(sets)
	printGuards(os.Stdout, r.Guards)
	return nil
}

// pairSets are the test part of the corpus and all sets of pairs that the user has.
func pairSets(o options) (map[string][]pair, error) {
	own, err := part(pairs.Test)
	if err != nil {
		return nil, err
	}
	sets := map[string][]pair{"own corpus, test part": own}
	if o.data != "" {
		near, err := kmemo(o.data)
		switch {
		case err == nil:
			sets["kmemo"] = near
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	files := strings.FieldsFunc(o.pairs, func(r rune) bool { return r == ',' })
	for _, ending := range []string{"*.csv", "*.tsv"} {
		more, err := filepath.Glob(filepath.Join(o.data, "qqp", ending))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	for _, f := range files {
		if sets[filepath.Base(f)], err = pairFile(f); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// runStreams asks the streams of every contender.
func runStreams(o options, r *results) error {
	if o.data == "" {
		return nil
	}
	for _, set := range []struct {
		name string
		load func(string) ([]query, error)
	}{{"CLINC150", clinc}, {"BANKING77", banking}} {
		queries, err := set.load(o.data)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		rows, err := measureStream(set.name, queries, o.seeds)
		if err != nil {
			return err
		}
		r.Streams = append(r.Streams, rows...)
	}
	printStreams(os.Stdout, r.Streams)
	return nil
}

// runWorkloads asks the generated workloads.
func runWorkloads(_ options, r *results) error {
	for _, w := range []struct {
		name    string
		n       int
		queries func(int, *rand.Rand) ([]query, error)
	}{
		{"500 queries, 30 % repeats", 500, repeats},
		{"2,000 queries, repeats and rewordings", 2000, heavy},
	} {
		draw := rand.New(rand.NewPCG(1, 80)) //nolint:gosec // an experiment, to be repeated
		queries, err := w.queries(w.n, draw)
		if err != nil {
			return err
		}
		row, err := measureWorkload(w.name, queries, 0.01, draw)
		if err != nil {
			return err
		}
		r.Workloads = append(r.Workloads, row)
	}
	printWorkloads(os.Stdout, r.Workloads)
	return nil
}

// runSpeed looks up in partitions of three sizes.
func runSpeed(_ options, r *results) error {
	texts, err := questions()
	if err != nil {
		return err
	}
	for _, n := range []int{1000, 10_000, 100_000} {
		row, err := measureSpeed(texts, n)
		if err != nil {
			return err
		}
		r.Speed = append(r.Speed, row)
	}
	printSpeed(os.Stdout, r.Speed)
	return nil
}

// runMemory fills an index with a million entries.
func runMemory(o options, r *results) error {
	texts, err := questions()
	if err != nil {
		return err
	}
	row, err := measureMemory(texts, o.memory, max(o.memory/100, 1))
	if err != nil {
		return err
	}
	r.Memory = append(r.Memory, row)
	printMemory(os.Stdout, r.Memory)
	return nil
}

// questions are all heads of the corpus.
func questions() ([]string, error) {
	corpus, err := pairs.Load(pairs.Files)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, p := range corpus {
		if len(all) == 0 || all[len(all)-1] != p.Group {
			all = append(all, p.Group)
		}
	}
	return all, nil
}

func cpu() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
