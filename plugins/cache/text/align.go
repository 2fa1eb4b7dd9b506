package text

import (
	"math"
	"strings"
)

// MaxTokens is how many tokens of a text Align compares.
const MaxTokens = 64

// maxLoose is up to how many words without an equal on either side Align looks for similar ones. Texts with more have
// too little in common.
const maxLoose = 14

// Match says why two tokens were put together.
type Match uint8

// The reasons, from sure to vague.
const (
	Unmatched Match = iota
	Equal           // the same lemma, literal or number
	Joined          // "ice cream" and "icecream"
	Spelled         // one is a typo of the other
	Meant           // synonyms, also by hand
	Formed          // derived from one another
	Close           // near in a thesaurus, or by their vectors
)

// A Link says which token of the other text a token was put together with.
type Link struct {
	To   int8    // index in the other's Tokens, or -1
	How  Match   // why
	Like float32 // how alike they are, from 0 to 1
}

// An Alignment puts the tokens of two texts together, each with one at most.
type Alignment struct {
	A, B [MaxTokens]Link

	// Opposed says that a word without an equal in one text is the opposite of one in the other.
	Opposed bool
}

// Align puts together what means the same: first what is equal, in order, then what is most alike. It does not
// allocate, and treats a and b the same.
func (m *Alignment) Align(a, b *Text) {
	m.Opposed = false
	at, bt := a.Tokens[:min(len(a.Tokens), MaxTokens)], b.Tokens[:min(len(b.Tokens), MaxTokens)]
	for i := range at {
		m.A[i] = Link{To: -1}
	}
	for j := range bt {
		m.B[j] = Link{To: -1}
	}
	m.equal(a, b, at, bt)
	m.Opposed = m.contrary(at, bt)
	m.joined(at, bt, &m.A, &m.B)
	m.joined(bt, at, &m.B, &m.A)
	m.alike(at, bt)
}

// contrary says that a preposition without an equal is the contrary of one: "before" and "after".
func (m *Alignment) contrary(at, bt []Token) bool {
	for i := range at {
		if m.A[i].To >= 0 || at[i].Kind != Function {
			continue
		}
		for j := range bt {
			if m.B[j].To < 0 && bt[j].Kind == Function {
				if contraries(at[i].Lemma, bt[j].Lemma) || contraries(bt[j].Lemma, at[i].Lemma) {
					return true
				}
			}
		}
	}
	return false
}

// contraries says that one preposition excludes another.
func contraries(x, y string) bool {
	switch x {
	case "after":
		return y == "before" || y == "during" || y == "within"
	case "before":
		return y == "during" || y == "since"
	case "until":
		return y == "since"
	case "over":
		return y == "under" || y == "below"
	case "above":
		return y == "under" || y == "below"
	case "up":
		return y == "down"
	case "out":
		return y == "back" || y == "in"
	}
	return false
}

// equal puts equal tokens together. Of several, the one with an equal neighbour is taken, or else the first.
func (m *Alignment) equal(a, b *Text, at, bt []Token) {
	for _, beside := range [...]bool{true, false} {
		for i := range at {
			if m.A[i].To >= 0 {
				continue
			}
			for j := range bt {
				if m.B[j].To < 0 && same(a, b, i, j) && (!beside || neighbours(a, b, i, j)) {
					m.put(i, j, Equal, 1)
					break
				}
			}
		}
	}
}

// neighbours says that the tokens before i and j are equal, or those after them.
func neighbours(a, b *Text, i, j int) bool {
	return i > 0 && j > 0 && same(a, b, i-1, j-1) || i+1 < len(a.Tokens) && j+1 < len(b.Tokens) && same(a, b, i+1, j+1)
}

func (m *Alignment) put(i, j int, how Match, like float32) {
	m.A[i] = Link{To: int8(j), How: how, Like: like} //nolint:gosec // below MaxTokens
	m.B[j] = Link{To: int8(i), How: how, Like: like} //nolint:gosec // below MaxTokens
}

func same(a, b *Text, i, j int) bool {
	x, y := &a.Tokens[i], &b.Tokens[j]
	if x.Kind == Number || y.Kind == Number {
		return x.Kind == y.Kind && sameNumber(a, b, i, j)
	}
	return x.Word == y.Word && (x.Word != 0 || x.Lemma == y.Lemma)
}

func sameNumber(a, b *Text, i, j int) bool {
	for _, q := range a.Quantities {
		if q.Token != i {
			continue
		}
		for _, r := range b.Quantities {
			if r.Token == j {
				return q.Equal(r)
			}
		}
	}
	return false
}

// Equal says that two quantities are the same: 14 days and two weeks, 20 °C and 68 °F.
func (q Quantity) Equal(r Quantity) bool {
	switch {
	case q.Unit == r.Unit:
		return near(q.Value, r.Value, 1e-4)
	case q.Unit == "mo" && r.Unit == "s":
		return near(q.Value*month, r.Value, .02) // 30 days are a month
	case q.Unit == "s" && r.Unit == "mo":
		return near(q.Value, r.Value*month, .02)
	}
	return q.Count == r.Count && (q.Unit == "" || r.Unit == "") // 2016 may be a year, and 10 ten years
}

// month is the length of a month in seconds.
const month = 365.25 / 12 * 86400

func near(x, y, tolerance float64) bool { return math.Abs(x-y) <= tolerance*math.Abs(x) }

// joined finds two tokens of one text that are one in the other.
func (m *Alignment) joined(at, bt []Token, al, bl *[MaxTokens]Link) {
	for i := range at {
		if al[i].To >= 0 || at[i].Kind == Number || len(at[i].Surface) < 4 {
			continue
		}
		for j := 0; j+1 < len(bt); j++ {
			if bl[j].To < 0 && bl[j+1].To < 0 && isJoined(&at[i], &bt[j], &bt[j+1]) {
				al[i] = Link{To: int8(j), How: Joined, Like: 1}
				bl[j] = Link{To: int8(i), How: Joined, Like: 1}
				bl[j+1] = Link{To: int8(i), How: Joined, Like: 1}
				break
			}
		}
	}
}

func isJoined(whole, x, y *Token) bool {
	return joins(whole.Surface, x.Surface, y.Surface) || joins(whole.Lemma, x.Surface, y.Lemma) || initials(whole, x, y)
}

func joins(whole, x, y string) bool {
	return len(whole) == len(x)+len(y) && strings.HasPrefix(whole, x) && whole[len(x):] == y
}

// initials says that a short name is made of first letters: "ML" and "machine learning".
func initials(whole, x, y *Token) bool {
	return len(whole.Surface) == 2 && whole.Kind == Name && whole.Surface[0] == x.Surface[0] && whole.Surface[1] == y.Surface[0]
}

// alike puts the most alike of the rest together, best first.
func (m *Alignment) alike(at, bt []Token) {
	var restA, restB [maxLoose]int
	na, ok1 := loose(at, &m.A, &restA)
	nb, ok2 := loose(bt, &m.B, &restB)
	if !ok1 || !ok2 {
		return
	}
	var like [maxLoose][maxLoose]float32
	var how [maxLoose][maxLoose]Match
	for x, i := range restA[:na] {
		for y, j := range restB[:nb] {
			var opposed bool
			like[x][y], how[x][y], opposed = likeness(&at[i], &bt[j])
			m.Opposed = m.Opposed || opposed
		}
	}
	for {
		best, p, q := float32(.3), -1, -1
		for x := range na {
			for y := range nb {
				if like[x][y] > best {
					best, p, q = like[x][y], x, y
				}
			}
		}
		if p < 0 {
			return
		}
		m.put(restA[p], restB[q], how[p][q], best)
		for x := range na {
			like[x][q] = 0
		}
		like[p] = [maxLoose]float32{}
	}
}

// loose lists the tokens with meaning that have no equal; false if there are too many.
func loose(tokens []Token, links *[MaxTokens]Link, rest *[maxLoose]int) (int, bool) {
	n := 0
	for i := range tokens {
		if links[i].To >= 0 || tokens[i].Kind == Function || tokens[i].Kind == Number || tokens[i].Kind == Literal {
			continue
		}
		if n == len(rest) {
			return 0, false
		}
		rest[n] = i
		n++
	}
	return n, true
}

// likeness says how alike two words are that are not equal, and whether they are opposites.
func likeness(x, y *Token) (like float32, how Match, opposed bool) {
	kind, s := Relate(x.Word, y.Word)
	if s > 0 {
		switch kind {
		case Opposite, Antonym:
			return 0, Unmatched, true
		case Alike:
			return .97, Meant, false
		case Synonym:
			like, how = .5+.45*s, Meant
		case Derived:
			like, how = .7+.2*s, Formed
		case Related:
			like, how = .3+.4*s, Close
		case Broader:
			like, how = .25+.25*s, Close
		}
	}
	if prefixed(x.Lemma, y.Lemma) || prefixed(y.Lemma, x.Lemma) {
		return 0, Unmatched, true
	}
	if typo(x, y) {
		return max(like, .88), Spelled, false
	}
	if stem(x.Lemma, y.Lemma) && like < .75 {
		like, how = .75, Formed
	}
	if n := .95*Near(x.Word, y.Word) - .3; n > like {
		like, how = n, Close
	}
	if x.Kind == Name && y.Kind == Name && how == Close {
		return 0, Unmatched, false // names that are near are others: Java and Python
	}
	return like, how, false
}

// prefixed says that y is x with a prefix that makes it the opposite.
func prefixed(x, y string) bool {
	n := len(y) - len(x)
	if n < 2 || n > 4 || len(x) < 4 || y[n:] != x {
		return false
	}
	switch y[:n] {
	case "un", "dis", "non", "in", "im", "ir", "il", "de", "anti", "mis":
		return true
	}
	return false
}

// stem says that two words begin with the same five letters and more than two thirds of both: forms of one word that
// the vocabulary does not have.
func stem(a, b string) bool {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n >= 5 && n*10 >= max(len(a), len(b))*6
}

// typo says that one word is a misspelling of the other: one of them is unknown, they are long enough, and one or two
// letters differ, but no digits.
func typo(x, y *Token) bool {
	if x.Word != 0 && y.Word != 0 {
		return false
	}
	a, b := x.Surface, y.Surface
	if len(a) > len(b) {
		a, b = b, a
	}
	limit := 1
	switch {
	case len(a) < 4 || len(b) > 30:
		return false
	case len(a) >= 7:
		limit = 2
	}
	if x.Word == 0 && y.Word == 0 && x.Kind == Name && y.Kind == Name && len(a) < 6 || strings.ContainsAny(a, "0123456789") || strings.ContainsAny(b, "0123456789") {
		return false
	}
	return len(b)-len(a) <= limit && (a[0] == b[0] || a[1] == b[0] && a[0] == b[1]) && distance(a, b) <= limit
}

// distance is how many letters must be added, removed, changed or swapped with their neighbour to make b of a. Both
// are at most 30 bytes.
func distance(a, b string) int {
	var before, last, next [32]int8
	for j := range len(b) + 1 {
		last[j] = int8(j) //nolint:gosec // at most 30
	}
	for i := 1; i <= len(a); i++ {
		next[0] = int8(i)
		for j := 1; j <= len(b); j++ {
			cost := int8(1)
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1) //nolint:gosec // j is above 1
			}
		}
		before, last = last, next
	}
	return int(last[len(b)])
}
