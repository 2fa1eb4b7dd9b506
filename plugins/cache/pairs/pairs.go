// Package pairs is a corpus of labelled pairs of questions, written for this project: does one answer serve both? The
// verifier of the semantic cache is trained and tested on it.
//
// A file holds one topic, as groups with a blank line between them:
//
//	# a comment
//	= How do I boil an egg?
//	+ whats the best way to boil eggs
//	- How do I fry an egg?
//
// The first line of a group is its head. The answer to the head serves a line with + as well, and does not serve a
// line with -. The rule for a label: would a careful person who asks the second question be content with the stored
// answer to the first? Who asks does not matter ("I", "one", "people"), nor does good against best where advice is
// sought; a place, a year, a product, a narrower audience or the language asked in does, unless the other question
// implies it. Both kinds of lines are written as people type: style must not tell the label.
package pairs

import (
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Files holds the corpus, a file per topic.
//
//go:embed *.txt
var Files embed.FS

// A Pair is two questions and whether one answer serves both.
type Pair struct {
	A, B string
	Same bool

	// Group is the head of the group that the pair is from. Pairs of a group share sentences: keep them on one side
	// of any split.
	Group string

	// Topic is the name of the file that the pair is from, without its ending.
	Topic string
}

// The parts of Split.
const (
	Train = "train"
	Dev   = "dev"
	Test  = "test"
)

// Split says which part of the corpus a group belongs to: 70 % are Train, 15 % Dev and 15 % Test. It depends on the
// name of the group alone, so groups stay where they are as others are added.
func Split(group string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(group)) // never fails
	// The low bits of FNV differ by little between similar names: mix before taking a remainder.
	x := h.Sum64()
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	switch p := x % 100; {
	case p < 70:
		return Train
	case p < 85:
		return Dev
	}
	return Test
}

// Load reads all files *.txt at the top of f and expands their groups to pairs: the head with every other line, every
// + with every -, and every + with the + lines after it. Order follows the files' names and lines. Mistakes are
// reported all at once, each as file:line.
func Load(f fs.FS) ([]Pair, error) {
	names, err := fs.Glob(f, "*.txt")
	if err != nil {
		return nil, fmt.Errorf("list pairs: %w", err)
	}
	l := loader{heads: make(map[string]string)}
	for _, name := range names {
		text, err := fs.ReadFile(f, name)
		if err != nil {
			return nil, fmt.Errorf("read pairs: %w", err)
		}
		l.file(name, string(text))
	}
	if l.errs != nil {
		return nil, errors.Join(l.errs...)
	}
	return l.pairs, nil
}

type loader struct {
	pairs []Pair
	errs  []error
	heads map[string]string // plain form of a head to its file:line
	group group
}

type group struct {
	at        string // file:line of the head
	head      string
	same      []string
	different []string
	seen      map[string]bool // exact lines
	plain     map[string]byte // plain form of a line to its mark
}

func (l *loader) file(name, text string) {
	topic := strings.TrimSuffix(path.Base(name), ".txt")
	n := 0
	for line := range strings.Lines(text) {
		n++
		l.line(topic, fmt.Sprintf("%s:%d", name, n), strings.TrimSuffix(line, "\n"))
	}
	l.flush(topic)
}

func (l *loader) line(topic, at, line string) {
	switch {
	case line == "":
		l.flush(topic)
		return
	case strings.HasPrefix(line, "#"):
		return
	case !utf8.ValidString(line):
		l.fail(at, "not UTF-8")
		return
	}
	mark, text, ok := strings.Cut(line, " ")
	if !ok || mark != "=" && mark != "+" && mark != "-" {
		l.fail(at, "want a line that starts with '= ', '+ ', '- ' or '#', or an empty one")
		return
	}
	if text == "" || text != strings.TrimSpace(text) {
		l.fail(at, "want one space after the mark, none at the end")
		return
	}
	l.add(topic, at, mark[0], text)
}

func (l *loader) add(topic, at string, mark byte, text string) {
	g := &l.group
	p := plain(text)
	switch {
	case mark == '=':
		if g.head != "" {
			l.fail(at, "want an empty line before a group")
			l.flush(topic)
		}
		if before, ok := l.heads[p]; ok {
			l.fail(at, "the same head as in "+before)
		}
		l.heads[p] = at
		*g = group{at: at, head: text, seen: map[string]bool{text: true}, plain: map[string]byte{p: '+'}}
		return
	case g.head == "":
		l.fail(at, "want the head of a group first")
		return
	case g.seen[text]:
		l.fail(at, "twice in its group")
		return
	case g.plain[p] != 0 && g.plain[p] != mark:
		l.fail(at, "both + and - in its group")
		return
	}
	g.seen[text] = true
	g.plain[p] = mark
	if mark == '+' {
		g.same = append(g.same, text)
	} else {
		g.different = append(g.different, text)
	}
}

// flush ends a group.
func (l *loader) flush(topic string) {
	g := l.group
	l.group = group{}
	if g.head == "" {
		return
	}
	if len(g.same) == 0 || len(g.different) == 0 {
		l.fail(g.at, "want at least one + and one - in a group")
		return
	}
	pair := func(a, b string, same bool) {
		l.pairs = append(l.pairs, Pair{A: a, B: b, Same: same, Group: g.head, Topic: topic})
	}
	for _, s := range g.same {
		pair(g.head, s, true)
	}
	for _, d := range g.different {
		pair(g.head, d, false)
	}
	for i, s := range g.same {
		for _, other := range g.same[i+1:] {
			pair(s, other, true)
		}
		for _, d := range g.different {
			pair(s, d, false)
		}
	}
}

func (l *loader) fail(at, msg string) {
	l.errs = append(l.errs, fmt.Errorf("%s: %s", at, msg))
}

// plain is a sentence without the space and punctuation of prose and in lower case. Symbols that tell questions apart,
// such as those of C++ and C#, stay.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("?!.,;:'\"’", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
