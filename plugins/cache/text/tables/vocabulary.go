package main

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"
)

// A word is an entry of the vocabulary.
type word struct {
	text string
	freq float64 // how often it stands in glosses and tagged texts, as any form
	pos  byte    // 16 times the part of speech it is most often (1 noun, 2 verb, 4 adjective, 8 adverb), 1 for a name
	base int     // the entry of its base form, or its own
	over [2]int  // what its most frequent meanings are a kind of: numbers of synsets, 0 for none
}

type vocabulary struct {
	words   []word
	number  map[string]int
	vectors int // how many of the words, the most frequent ones first, have a vector
}

// maxVectors is how many words have a vector. More cost a megabyte for every 20,000, and are hardly ever asked about.
const maxVectors = 24000

// newVocabulary takes single words: all that are a lemma of WordNet, or an irregular form of one. They stand in
// order of frequency.
func newVocabulary(n *net, moby map[string][]string) *vocabulary {
	freq := frequencies(n)
	v := &vocabulary{number: make(map[string]int)}
	seen := make(map[string]bool)
	add := func(s string) {
		if !seen[s] && plain(s) {
			seen[s] = true
			v.words = append(v.words, word{text: s, freq: freq[s]})
		}
	}
	for s := range n.senses {
		if freq[s] > 0 || moby[s] != nil {
			add(s)
		}
	}
	for _, p := range parts {
		for form, bases := range n.exceptions[p.pos] {
			if plain(bases[0]) && n.senses[bases[0]] != nil {
				add(bases[0])
				add(form)
			}
		}
	}
	slices.SortFunc(v.words, func(a, b word) int {
		return cmp.Or(cmp.Compare(b.freq, a.freq), cmp.Compare(a.text, b.text))
	})
	for i, w := range v.words {
		v.number[w.text] = i
	}
	v.vectors = min(maxVectors, len(v.words))
	numbers := make(map[id]int, len(n.order))
	for i, o := range n.order {
		numbers[o] = i + 1
	}
	for i := range v.words {
		v.describe(n, i, numbers)
	}
	return v
}

// plain says that s is one word as people write it.
func plain(s string) bool {
	letters := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			letters++
		case c != '-' || i == 0 || i == len(s)-1:
			return false
		}
	}
	return letters > 1 && len(s) < 24
}

// describe fills in part of speech, base form and what it is a kind of.
func (v *vocabulary) describe(n *net, i int, numbers map[id]int) {
	w := &v.words[i]
	w.base = v.base(n, i)
	ss := slices.Clone(n.senses[w.text])
	sort.SliceStable(ss, func(i, j int) bool { return ss[i].count > ss[j].count })
	var sum [4]float64
	var proper float64
	for _, s := range ss {
		sum[strings.IndexByte("nvar", byte(s.id.pos))] += s.count
		set := n.synsets[s.id]
		if k := slices.Index(set.words, w.text); k >= 0 && set.proper[k] {
			proper += s.share
		}
	}
	most := 0
	for k := range sum {
		if sum[k] > sum[most] {
			most = k
		}
	}
	if len(ss) > 0 {
		w.pos = 1 << (4 + most)
	}
	if proper > .6 {
		w.pos |= 1
	}
	at := 0
	for _, s := range ss[:min(2, len(ss))] {
		for _, p := range n.synsets[s.id].pointers {
			if (p.symbol == "@" || p.symbol == "@i") && at < 2 {
				w.over[at] = numbers[p.to]
				at++
				break
			}
		}
	}
}

// base finds the form that stands for all others. A form that is also a word of its own ("building", "left") keeps to
// itself unless the other is much more frequent.
func (v *vocabulary) base(n *net, i int) int {
	form := v.words[i].text
	least := weight(n, form, 0)
	if !strings.HasSuffix(form, "s") {
		least *= 4
	}
	best, at := least, i
	for _, p := range parts {
		for _, b := range bases(n, p.pos, form) {
			if j, ok := v.number[b]; ok && b != form {
				if c := weight(n, b, p.pos); c > best {
					best, at = c, j
				}
			}
		}
	}
	return at
}

// weight is how often s has been tagged, as any part of speech if p is 0.
func weight(n *net, s string, p pos) float64 {
	var sum float64
	for _, x := range n.senses[s] {
		if p == 0 || x.id.pos == p {
			sum += x.count
		}
	}
	return sum
}

// bases lists what form may be a form of: the exceptions, or else the rules of morphy(7).
func bases(n *net, p pos, form string) []string {
	if b := n.exceptions[p][form]; b != nil {
		return b
	}
	rules := map[pos][]string{
		noun: {"s", "", "ses", "s", "xes", "x", "zes", "z", "ches", "ch", "shes", "sh", "men", "man", "ies", "y"},
		verb: {"s", "", "ies", "y", "es", "e", "es", "", "ed", "e", "ed", "", "ing", "e", "ing", ""},
		adj:  {"er", "", "est", "", "er", "e", "est", "e"},
	}[p]
	var out []string
	for i := 0; i < len(rules); i += 2 {
		if stem, ok := strings.CutSuffix(form, rules[i]); ok && len(stem) > 1 {
			if b := stem + rules[i+1]; weight(n, b, p) > 0 {
				out = append(out, b)
			}
		}
	}
	return out
}

// frequencies counts the words of all glosses with their examples, as base forms, and adds the counts of the tagged
// texts.
func frequencies(n *net) map[string]float64 {
	freq := make(map[string]float64)
	for _, o := range n.order {
		for _, w := range letters(n.synsets[o].gloss) {
			freq[w]++
		}
	}
	// A form lends its count to its base, which is the rarer one in glosses for some verbs.
	forms := make([]string, 0, len(freq))
	for f := range freq {
		forms = append(forms, f)
	}
	slices.Sort(forms)
	lent := make(map[string]float64)
	for _, f := range forms {
		for _, p := range parts {
			for _, b := range bases(n, p.pos, f) {
				if b != f {
					lent[b] += freq[f] / 2
				}
			}
		}
	}
	for b, c := range lent {
		freq[b] += c
	}
	for s, ss := range n.senses {
		for _, x := range ss {
			freq[s] += math.Floor(x.count)
		}
	}
	return freq
}

// letters splits s into words in lower case.
func letters(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && r != '-'
	})
}
