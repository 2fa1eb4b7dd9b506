// Package guard refuses pairs of questions that one answer cannot serve, whatever their vectors or a model say.
//
// A guard looks at the raw texts for one thing that must not differ. It has a name, which metrics and explanations
// show. Guards do not say that two questions are the same; that is the verifier's part.
package guard

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// Version changes whenever Check may answer differently than before.
const Version = "2"

// The names of the guards.
const (
	Empty    = "empty"    // nothing that could be compared
	Length   = "length"   // too long to compare word by word
	Language = "language" // another script or language
	Literals = "literals" // another quote, address, path, identifier or operator
	Numbers  = "numbers"  // another number or unit
	Dates    = "dates"    // another year, month, weekday or time of day
	Times    = "times"    // today and tomorrow, the next and the last
	Negation = "negation" // one is negated
	Antonyms = "antonyms" // opposite words
	Names    = "names"    // another name in the same place
	Order    = "order"    // the same words with changed roles
	Question = "question" // another kind of answer
	Residue  = "residue"  // too much in one text that the other does not have
)

// All lists the guards in the order in which they are asked.
func All() []string {
	return []string{Empty, Length, Language, Literals, Numbers, Dates, Negation, Question, Antonyms, Times, Names, Order, Residue}
}

// Check returns the name of the guard that refuses to answer one question with the answer to the other, or "". It is
// symmetric and does not allocate.
func Check(a, b *text.Text) string {
	if a.Raw > b.Raw {
		a, b = b, a // words are put together from left to right: begin with the same text whichever is asked first
	}
	switch {
	case a.Raw == b.Raw:
		return ""
	case len(a.Tokens) == 0 || len(b.Tokens) == 0:
		return Empty
	case len(a.Tokens) > text.MaxTokens || len(b.Tokens) > text.MaxTokens:
		return Length
	case a.Script != b.Script && a.Script != text.NoScript && b.Script != text.NoScript || a.Language != b.Language && a.Language != "" && b.Language != "":
		return Language
	case !literals(a, b) || !literals(b, a):
		return Literals
	}
	if g := quantities(a, b); g != "" {
		return g
	}
	if conflict(a.Question, b.Question) {
		return Question
	}
	var m text.Alignment
	m.Align(a, b)
	switch {
	case negated(a, b, &m):
		return Negation
	case m.Opposed:
		return Antonyms
	case times(a, &m.A) != times(b, &m.B):
		return Times
	case substituted(a, b, &m):
		return Names
	case text.Inverted(a.Tokens, b.Tokens, &m.A), text.Inverted(b.Tokens, a.Tokens, &m.B), text.Redirected(a.Tokens, b.Tokens, &m.A),
		turned(a, b, &m.A), turned(b, a, &m.B):
		return Order
	case apart(residue(a, &m.A), residue(b, &m.B)):
		return Residue
	}
	return ""
}

// literals says that each literal of a stands in b as well, byte for byte and as a whole.
func literals(a, b *text.Text) bool {
	for _, l := range a.Literals {
		if !slices.Contains(b.Literals, l) && !contains(b.Raw, l) && !(prose(l) && len(b.Literals) == 0) {
			return false
		}
	}
	return true
}

// prose says that a quote is a sentence, which others write without quotation marks and in other words.
func prose(l string) bool {
	return strings.Count(l, " ") > 2 && !strings.ContainsAny(l, "{}()[]<>=;/\\_")
}

// contains says that s stands in raw with no letter or digit beside it.
func contains(raw, s string) bool {
	for i := 0; ; {
		k := strings.Index(raw[i:], s)
		if k < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(raw[:i+k])
		after, _ := utf8.DecodeRuneInString(raw[i+k+len(s):])
		first, _ := utf8.DecodeRuneInString(s)
		last, _ := utf8.DecodeLastRuneInString(s)
		if joint(before, first) && joint(last, after) {
			return true
		}
		i += k + 1
	}
}

// joint says that a word may end between two runes: they are not of the same kind.
func joint(x, y rune) bool { return kind(x) != kind(y) || kind(x) == 0 }

func kind(r rune) int {
	switch {
	case r == utf8.RuneError || r == ' ' || r == '\n' || r == '\t' || r == '"' || r == '`' || r == '.' || r == ',' || r == '?' || r == '!':
		return 0
	case r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80:
		return 1
	}
	return 2
}

// quantities compares the numbers of both texts, whatever their order.
func quantities(a, b *text.Text) string {
	if g := missing(a, b); g != "" {
		return g
	}
	return missing(b, a)
}

func missing(a, b *text.Text) string {
	for i, q := range a.Quantities {
		if count(a.Quantities[:i+1], q) > count(b.Quantities, q) && !(q.Loose && len(b.Quantities) < len(a.Quantities)) {
			switch q.Unit {
			case "year", "month", "weekday", "clock":
				return Dates
			}
			return Numbers
		}
	}
	return ""
}

func count(qs []text.Quantity, q text.Quantity) int {
	n := 0
	for _, r := range qs {
		if q.Equal(r) {
			n++
		}
	}
	return n
}

// conflict says that no answer is of both kinds.
func conflict(a, b text.Question) bool {
	x, y := definite(a), definite(b)
	return x != 0 && y != 0 && x != y
}

// definite numbers the kinds of questions that have one kind of answer; 0 is any.
func definite(q text.Question) int {
	switch q {
	case text.Who:
		return 1
	case text.When:
		return 2
	case text.Where:
		return 3
	case text.Why:
		return 4
	case text.HowMuch:
		return 5
	case text.HowLong:
		return 6
	}
	return 0
}

// times finds a word that says when, which the other text has not. Words that mean the same are the same number.
func times(t *text.Text, links *[text.MaxTokens]text.Link) int {
	found := 0
	for i := range t.Tokens {
		if n := moment(t.Tokens[i].Surface); n != 0 && links[i].To < 0 {
			found |= 1 << n
		}
	}
	return found
}

func moment(s string) int {
	switch s {
	case "today", "tonight":
		return 1
	case "tomorrow":
		return 2
	case "yesterday":
		return 3
	case "next", "upcoming":
		return 4
	case "previous", "former", "ex":
		return 5
	}
	return 0
}

// substituted says that both texts have a name that the other has not.
func substituted(a, b *text.Text, m *text.Alignment) bool {
	return stranger(a, &m.A) && stranger(b, &m.B)
}

func stranger(t *text.Text, links *[text.MaxTokens]text.Link) bool {
	for i := range t.Tokens {
		if t.Tokens[i].Kind == text.Name && links[i].To < 0 {
			return true
		}
	}
	return false
}

// turned says that a asks to whom something is done and b who does it: "who did Brazil beat" and "who beat Brazil". links are a's.
func turned(a, b *text.Text, links *[text.MaxTokens]text.Link) bool {
	first, second := opening(a.Raw)
	other, next := opening(b.Raw)
	if !asks(first) || !asks(other) || !helps(second) || helps(next) {
		return false
	}
	verb := slices.IndexFunc(b.Tokens, func(k text.Token) bool { return k.Kind != text.Function })
	for x := range a.Tokens {
		if a.Tokens[x].Kind == text.Function || links[x].How != text.Equal || int(links[x].To) <= verb {
			continue
		}
		for v := x + 1; v < len(a.Tokens); v++ {
			if int(links[v].To) == verb && text.Part(a.Tokens[v].Word) == text.Verb {
				return true
			}
		}
	}
	return false
}

// opening is the first two words.
func opening(raw string) (first, second string) {
	first, rest, _ := strings.Cut(raw, " ")
	second, _, _ = strings.Cut(rest, " ")
	return first, second
}

func asks(word string) bool {
	return strings.EqualFold(word, "who") || strings.EqualFold(word, "whom") || strings.EqualFold(word, "what")
}

// helps says that a word is a verb that another one follows.
func helps(word string) bool {
	switch strings.ToLower(word) {
	case "did", "does", "do", "is", "are", "was", "were", "am", "be", "has", "have", "had", "can", "could", "will", "would", "shall",
		"should", "may", "might", "must":
		return true
	}
	return false
}

// The share of a text's weight that may have no counterpart at all in the other: of any text, and of one that has all
// of the other and goes on.
const (
	mostResidue = .7
	mostAdded   = .5
)

func apart(x, y float32) bool {
	return max(x, y) > mostResidue || max(x, y) > mostAdded && min(x, y) < .2
}

// residue is the share of a text's weight that has nothing in the other that it could mean. A suffix that is crafted to
// move a vector is of such words.
func residue(t *text.Text, links *[text.MaxTokens]text.Link) float32 {
	var rest, all float32
	for i := range t.Tokens {
		k := &t.Tokens[i]
		if k.Kind == text.Function {
			continue
		}
		all += k.Weight
		if links[i].To < 0 && !(k.Kind == text.Name && spanned(t, links, i)) {
			rest += k.Weight
		}
	}
	if all == 0 {
		return 0
	}
	return rest / all
}

// spanned says that a name is part of one that is matched: "Donald" in "Donald Trump", where the other has "Trump".
func spanned(t *text.Text, links *[text.MaxTokens]text.Link, i int) bool {
	for _, j := range [...]int{i - 1, i + 1} {
		if j >= 0 && j < len(t.Tokens) && t.Tokens[j].Kind == text.Name && links[j].To >= 0 {
			return true
		}
	}
	return false
}

// negated says that one text denies what the other says. "Stop", "avoid" and the like deny as well, so a text without
// "not" that has one of them, which the other has not, may mean the same. Where the texts have little in common, what
// is denied is not the same, and the verifier decides.
func negated(a, b *text.Text, m *text.Alignment) bool {
	if a.Negations%2 == b.Negations%2 || residue(a, &m.A) > .5 || residue(b, &m.B) > .5 {
		return false
	}
	if a.Negations%2 == 0 {
		return !denies(a, &m.A)
	}
	return !denies(b, &m.B)
}

func denies(t *text.Text, links *[text.MaxTokens]text.Link) bool {
	for i := range t.Tokens {
		if links[i].How == text.Equal {
			continue
		}
		switch t.Tokens[i].Lemma {
		case "stop", "avoid", "prevent", "quit", "fail", "refuse", "reject", "lack", "free", "decline", "break", "miss",
			"wrong", "hate", "dislike", "deny", "less", "naturally", "natural", "instead", "cancel", "missing", "failure", "hard":
			return true
		}
	}
	return false
}
