package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pos is a part of speech as WordNet's files have it; an adjective satellite is an adjective.
type pos byte

const (
	noun pos = 'n'
	verb pos = 'v'
	adj  pos = 'a'
	adv  pos = 'r'
)

var parts = []struct {
	pos  pos
	name string
}{{noun, "noun"}, {verb, "verb"}, {adj, "adj"}, {adv, "adv"}}

// id names a synset.
type id struct {
	pos    pos
	offset int
}

type pointer struct {
	symbol   string
	to       id
	from, at int // which word of the synset to which word of the other; 0 is all
}

type synset struct {
	words    []string // lower case, with spaces
	proper   []bool   // which of them are written with a capital
	pointers []pointer
	gloss    string
}

// sense is one meaning of a lemma, with its share among the lemma's meanings of all parts of speech.
type sense struct {
	id    id
	rank  int // 1 is the most frequent one of its part of speech
	count float64
	share float64
}

type net struct {
	synsets    map[id]*synset
	order      []id
	senses     map[string][]sense // by lemma
	exceptions map[pos]map[string][]string
}

func readNet(dir string) (*net, error) {
	n := &net{
		synsets:    make(map[id]*synset),
		senses:     make(map[string][]sense),
		exceptions: make(map[pos]map[string][]string),
	}
	counts, err := readCounts(filepath.Join(dir, "cntlist.rev"))
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		err := errors.Join(
			eachLine(filepath.Join(dir, "data."+p.name), func(s string) error { return n.data(p.pos, s) }),
			eachLine(filepath.Join(dir, "index."+p.name), func(s string) error { return n.index(p.pos, s, counts) }),
			eachLine(filepath.Join(dir, p.name+".exc"), func(s string) error { return n.exception(p.pos, s) }),
		)
		if err != nil {
			return nil, err
		}
	}
	for _, ss := range n.senses {
		var sum float64
		for _, s := range ss {
			sum += s.count
		}
		for i := range ss {
			ss[i].share = ss[i].count / sum
		}
	}
	return n, nil
}

type countKey struct {
	lemma string
	pos   pos
	rank  int
}

// readCounts reads how often each sense stands in the tagged texts.
func readCounts(file string) (map[countKey]float64, error) {
	counts := make(map[countKey]float64)
	kinds := map[string]pos{"1": noun, "2": verb, "3": adj, "4": adv, "5": adj}
	err := eachLine(file, func(s string) error {
		f := strings.Fields(s)
		if len(f) != 3 {
			return fmt.Errorf("%q: want three fields", s)
		}
		lemma, rest, _ := strings.Cut(f[0], "%")
		kind, _, _ := strings.Cut(rest, ":")
		rank, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		counts[countKey{spaced(lemma), kinds[kind], rank}] = float64(count)
		return errors.Join(err1, err2)
	})
	return counts, err
}

// data reads a line "offset file kind count word id... count pointer... | gloss" (wndb(5)).
func (n *net) data(p pos, line string) error {
	if strings.HasPrefix(line, "  ") {
		return nil // the licence
	}
	head, gloss, _ := strings.Cut(line, " | ")
	f := strings.Fields(head)
	offset, err := strconv.Atoi(f[0])
	if err != nil {
		return err
	}
	words, err := strconv.ParseInt(f[3], 16, 32)
	if err != nil {
		return err
	}
	s := &synset{gloss: gloss}
	at := 4
	for range words {
		w := f[at]
		if i := strings.IndexByte(w, '('); i > 0 {
			w = w[:i] // a marker of syntax: "galore(ip)"
		}
		s.words = append(s.words, spaced(w))
		s.proper = append(s.proper, w[0] >= 'A' && w[0] <= 'Z')
		at += 2
	}
	links, err := strconv.Atoi(f[at])
	if err != nil {
		return err
	}
	at++
	for range links {
		to, err1 := strconv.Atoi(f[at+1])
		ends, err2 := strconv.ParseInt(f[at+3], 16, 32)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		s.pointers = append(s.pointers, pointer{f[at], id{pos(f[at+2][0]), to}, int(ends >> 8), int(ends & 255)})
		at += 4
	}
	n.synsets[id{p, offset}] = s
	n.order = append(n.order, id{p, offset})
	return nil
}

// index reads a line "lemma pos synsets pointers symbol... senses tagged offset..." (wndb(5)).
func (n *net) index(p pos, line string, counts map[countKey]float64) error {
	if strings.HasPrefix(line, "  ") {
		return nil
	}
	f := strings.Fields(line)
	lemma := spaced(f[0])
	count, err := strconv.Atoi(f[2])
	if err != nil {
		return err
	}
	for i, s := range f[len(f)-count:] {
		offset, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		// A sense without a count is rarer the later it stands.
		c := counts[countKey{lemma, p, i + 1}] + 1/float64(i+1)
		n.senses[lemma] = append(n.senses[lemma], sense{id: id{p, offset}, rank: i + 1, count: c})
	}
	return nil
}

func (n *net) exception(p pos, line string) error {
	f := strings.Fields(line)
	if n.exceptions[p] == nil {
		n.exceptions[p] = make(map[string][]string)
	}
	n.exceptions[p][f[0]] = f[1:]
	return nil
}

func spaced(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", " ")) }

// readMoby reads lines of a word and what means about the same.
func readMoby(file string) (map[string][]string, error) {
	entries := make(map[string][]string)
	err := eachLine(file, func(s string) error {
		f := strings.Split(strings.ToLower(s), ",")
		entries[f[0]] = f[1:]
		return nil
	})
	return entries, err
}

func eachLine(file string, do func(string) error) error {
	f, err := os.Open(file) //nolint:gosec // named by who runs the program
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if err := do(strings.TrimSuffix(s.Text(), "\r")); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return s.Err()
}
