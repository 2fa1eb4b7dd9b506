package text

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed phrases.txt
var phrasesFile string

//go:embed spelling.txt
var spellingFile string

// rewrites are the phrases of phrases.txt.
type rewrites struct {
	symbols  map[string]uint16   // the words of all phrases, from 1
	patterns []pattern           // in the order of the file
	begin    map[uint16][]uint16 // by the symbol of a first word, which patterns may match
}

type pattern struct {
	items  []item
	result []string
}

// An item is a place in a pattern: the set of words that fit it.
type item struct {
	set   []uint64 // bits by symbol
	maybe bool
}

func (t *item) has(sym uint16) bool {
	return int(sym>>6) < len(t.set) && t.set[sym>>6]>>(sym&63)&1 != 0
}

var phrases = sync.OnceValue(func() *rewrites { return readPhrases(phrasesFile) }) //nolint:gochecknoglobals // read once

// spelling maps contractions and frequent typos to what was meant.
var spelling = sync.OnceValue(func() map[string]string { //nolint:gochecknoglobals // read once
	m := make(map[string]string, 1024)
	for line := range strings.Lines(spellingFile) {
		line = strings.TrimSpace(line)
		if wrong, right, ok := strings.Cut(line, " ="); ok && line[0] != '#' {
			for w := range strings.FieldsSeq(wrong) {
				m[w] = strings.TrimSpace(right)
			}
		}
	}
	return m
})

// readPhrases reads lines "words = replacement". In words, a|b is either, a? may be missing and $NAME stands for what
// a line "$NAME = a|b" says. The replacement may be empty.
func readPhrases(s string) *rewrites {
	p := &rewrites{symbols: make(map[string]uint16), begin: make(map[uint16][]uint16)}
	macros := make(map[string]string)
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words, result, _ := strings.Cut(line, " =")
		if words[0] == '$' && !strings.Contains(words, " ") {
			macros[words] = strings.TrimSpace(result)
			continue
		}
		x := pattern{result: strings.Fields(result)}
		for w := range strings.FieldsSeq(words) {
			x.items = append(x.items, p.item(w, macros))
		}
		p.patterns = append(p.patterns, x)
	}
	for i := range p.patterns {
		p.index(uint16(i))
	}
	return p
}

func (p *rewrites) item(s string, macros map[string]string) item {
	s, maybe := strings.CutSuffix(s, "?")
	t := item{maybe: maybe}
	for alt := range strings.SplitSeq(s, "|") {
		if m, ok := macros[alt]; ok {
			alt = m
		}
		for w := range strings.SplitSeq(alt, "|") {
			sym, ok := p.symbols[w]
			if !ok {
				sym = uint16(len(p.symbols) + 1) //nolint:gosec // few
				p.symbols[w] = sym
			}
			for len(t.set) <= int(sym>>6) {
				t.set = append(t.set, 0)
			}
			t.set[sym>>6] |= 1 << (sym & 63)
		}
	}
	return t
}

// index notes by which words a pattern may begin.
func (p *rewrites) index(i uint16) {
	seen := make(map[uint16]bool)
	for _, t := range p.patterns[i].items {
		for sym := uint16(1); int(sym) <= len(p.symbols); sym++ {
			if t.has(sym) && !seen[sym] {
				seen[sym] = true
				p.begin[sym] = append(p.begin[sym], i)
			}
		}
		if !t.maybe {
			return
		}
	}
}

// apply replaces the longest phrase at each place, from left to right; of equally long ones the first in the file.
func (p *rewrites) apply(in []piece) []piece {
	symbols := make([]uint16, len(in))
	for i := range in {
		if !in[i].literal {
			symbols[i] = p.symbols[in[i].s]
		}
	}
	out := make([]piece, 0, len(in)+4)
	for i := 0; i < len(in); {
		end := i + 1
		for end < len(in) && !in[end].first {
			end++
		}
		n, result := p.longest(symbols[i:end])
		if n == 0 {
			out = append(out, in[i])
			i++
			continue
		}
		for _, w := range result {
			k := in[i]
			k.s, k.end, k.frame = w, in[i+n-1].end, true
			k.capital, k.digits, k.literal = false, false, false
			out = append(out, k)
		}
		i += n
	}
	return out
}

func (p *rewrites) longest(in []uint16) (n int, result []string) {
	for _, i := range p.begin[in[0]] {
		x := &p.patterns[i]
		if len(x.items) > n || n == 0 {
			if k := match(x.items, in, 0); k > n {
				n, result = k, x.result
			}
		}
	}
	return n, result
}

// match returns how many words the items take at most, or -1.
func match(items []item, in []uint16, at int) int {
	for i := range items {
		t := &items[i]
		fits := at < len(in) && t.has(in[at])
		if t.maybe {
			best := match(items[i+1:], in, at)
			if fits {
				best = max(best, match(items[i+1:], in, at+1))
			}
			return best
		}
		if !fits {
			return -1
		}
		at++
	}
	return at
}
