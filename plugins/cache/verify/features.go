package verify

import "github.com/sluice-ai/sluice/plugins/cache/text"

// The features of a pair. Those of two sides come as the larger and the smaller one, so that the order of the texts
// does not matter. Each is said to speak for one answer (+), against it (-), or neither (0): the model obeys.
const (
	fCosine     = iota // + cosine of the embedder's vectors
	fCoverMin          // + weight that is matched of all weight, of the side where it is less
	fCoverMax          // + and where it is more
	fExactMin          // + the same with equal words only
	fExactMax          // +
	fRestMax           // - weight that is not matched
	fRestMin           // -
	fWorstMax          // - the heaviest word that is not matched
	fWorstMin          // -
	fLooseMax          // - how many words are not matched
	fLooseMin          // -
	fNameMax           // - how many names are not matched
	fNameMin           // -
	fNumber            // - how many numbers are not matched
	fNegation          // - one has an odd number of negations and the other has not
	fOpposed           // - an antonym
	fOrder             // + share of pairs of matched words that stand in the same order
	fRole              // - two words have changed their prepositions
	fPlace             // - words with another preposition before them
	fQuestion          // - how far the kinds of question are apart
	fModal             // - weight of function words that are in one only
	fSwap              // - words that stand for another word between matched ones, weighted by unlikeness
	fSwapNoun          // - the same, nouns and names only
	fQualifier         // - words that are not matched after a preposition at the end
	fVague             // - how much of the matched weight is only close
	fWeakest           // + the least alike match
	fBigrams           // + shared pairs of neighbours
	fTrigrams          // + shared groups of three letters
	fVector            // + cosine of the sums of the words' vectors
	fRestVector        // + the same for the words that are not equal
	fLength            // + ratio of lengths
	fWords             // 0 words with meaning in the shorter one
	fLastWord          // + the last word with meaning of each is matched
	fFirstWord         // + the first word with meaning of each is matched
	fVerb              // + verbs are matched: the smaller share
	fNoun              // + nouns are matched: the smaller share
	fAdjective         // - weight of adjectives and adverbs that are not matched
	fFresh             // - one asks for the newest and the other does not
	fKeywords          // 0 one has no question word
	fAsked             // 0 kind of question, if both have the same
	fYesNo             // - only one asks whether
	fHow               // - only one asks how to do something
	fWhy               // - only one asks why
	fDefinite          // - only one asks for a person, place, time or amount
	fPersons           // - pronouns of one only: "me", "my", "your", "them"
	fWorstNoun         // - the heaviest noun or name that is not matched
	fWorstVerb         // - the heaviest verb that is not matched
	fBothLoose         // - the heavier words that are not matched in both: one word stands for another
	fSurface           // + shared groups of three letters of the texts as they were written
	featureCount
)

// signs has the direction of each feature: 1 speaks for one answer, -1 against it.
var signs = [featureCount]int8{
	fCosine: 1, fCoverMin: 1, fCoverMax: 1, fExactMin: 1, fExactMax: 1, fRestMax: -1, fRestMin: -1, fWorstMax: -1,
	fWorstMin: -1, fLooseMax: -1, fLooseMin: -1, fNameMax: -1, fNameMin: -1, fNumber: -1, fNegation: -1, fOpposed: -1,
	fOrder: 1, fRole: -1, fPlace: -1, fQuestion: -1, fModal: -1, fSwap: -1, fSwapNoun: -1, fQualifier: -1, fVague: -1,
	fWeakest: 1, fBigrams: 1, fTrigrams: 1, fVector: 1, fRestVector: 1, fLength: 1, fLastWord: 1, fFirstWord: 1, fVerb: 1,
	fNoun: 1, fAdjective: -1, fFresh: -1, fYesNo: -1, fHow: -1, fWhy: -1, fDefinite: -1, fPersons: -1, fWorstNoun: -1, fWorstVerb: -1, fBothLoose: -1, fSurface: 1,
}

// Features are the numbers that the model's trees ask for.
type Features [featureCount]float32

// Evidence is all that the model knows of a pair.
type Evidence struct {
	Features    Features
	Differences Differences
}

// side sums up one text of a pair.
type side struct {
	tokens           []text.Token
	links            *[text.MaxTokens]text.Link
	mass, soft, hard float32
	worst            float32
	worstNoun        float32
	worstVerb        float32
	loose, names     float32
	numbers          float32
	verbs, verbsHit  float32
	nouns, nounsHit  float32
	adjectives       float32
	modal            float32
	vague            float32
	weakest          float32
	words            float32
	first, last      float32
	qualifier        float32
}

// Extract compares two texts. It does not allocate.
func Extract(a, b *text.Text, cosine float32) (e Evidence) {
	if a.Raw > b.Raw {
		a, b = b, a // as in guard.Check
	}
	var m text.Alignment
	m.Align(a, b)
	x := summarise(a, &m.A)
	y := summarise(b, &m.B)
	f := &e.Features
	f[fCosine] = cosine
	f[fCoverMin], f[fCoverMax] = order(share(x.soft, x.mass), share(y.soft, y.mass))
	f[fExactMin], f[fExactMax] = order(share(x.hard, x.mass), share(y.hard, y.mass))
	f[fRestMin], f[fRestMax] = order(x.mass-x.soft, y.mass-y.soft)
	f[fWorstMin], f[fWorstMax] = order(x.worst, y.worst)
	f[fLooseMin], f[fLooseMax] = order(x.loose, y.loose)
	f[fNameMin], f[fNameMax] = order(x.names, y.names)
	f[fNumber] = max(x.numbers, y.numbers)
	f[fNegation] = flag(a.Negations%2 != b.Negations%2)
	f[fOpposed] = flag(m.Opposed)
	f[fModal] = x.modal + y.modal
	f[fVague] = max(x.vague, y.vague)
	f[fWeakest] = min(x.weakest, y.weakest)
	f[fLength], _ = order(share(x.words, y.words), share(y.words, x.words))
	f[fWords], _ = order(x.words, y.words)
	f[fLastWord] = (x.last + y.last) / 2
	f[fFirstWord] = (x.first + y.first) / 2
	f[fVerb], _ = order(hit(x.verbsHit, x.verbs), hit(y.verbsHit, y.verbs))
	f[fNoun], _ = order(hit(x.nounsHit, x.nouns), hit(y.nounsHit, y.nouns))
	f[fAdjective] = max(x.adjectives, y.adjectives)
	f[fWorstNoun] = max(x.worstNoun, y.worstNoun)
	f[fWorstVerb] = max(x.worstVerb, y.worstVerb)
	f[fBothLoose] = min(x.worst, y.worst) * min(x.loose, y.loose)
	f[fQualifier] = max(x.qualifier, y.qualifier)
	f[fFresh] = flag(a.Fresh != b.Fresh)
	f[fQuestion] = apart(a.Question, b.Question)
	f[fPersons] = persons(a.Persons, b.Persons)
	f[fYesNo] = only(a, b, text.YesNo)
	f[fHow] = only(a, b, text.How)
	f[fWhy] = only(a, b, text.Why)
	f[fDefinite] = flag(definite(a.Question) != definite(b.Question))
	f[fKeywords] = flag(a.Question == text.Other) + flag(b.Question == text.Other)
	if a.Question == b.Question {
		f[fAsked] = float32(a.Question)
	}
	arrange(f, &x, &y)
	f[fBigrams] = bigrams(&x, &y)
	f[fTrigrams] = trigrams(a, b)
	f[fSurface] = surface(a.Raw, b.Raw)
	f[fVector], f[fRestVector] = vectors(&x, &y)
	differences(&e.Differences, a, b, &x, &y)
	return e
}

func flag(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// persons weighs the pronouns that only one text has. To say "my" is often left out.
func persons(a, b text.Persons) float32 {
	d := a ^ b
	sum := flag(d&text.Me != 0) + flag(d&text.Third != 0) + .3*flag(d&text.Mine != 0) + .3*flag(d&text.Yours != 0)
	if d&(text.Mine|text.Yours) == text.Mine|text.Yours && (a&text.Mine != 0) != (a&text.Yours != 0) {
		sum++
	}
	return sum
}

// only says that one of the texts asks a question of a kind, and the other one of another kind.
func only(a, b *text.Text, q text.Question) float32 {
	return flag((a.Question == q) != (b.Question == q) && a.Question != text.Other && b.Question != text.Other)
}

func definite(q text.Question) bool {
	switch q {
	case text.Who, text.Where, text.When, text.HowMany, text.HowMuch, text.HowLong:
		return true
	}
	return false
}

func order(x, y float32) (least, most float32) { return min(x, y), max(x, y) }

func share(part, whole float32) float32 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

// hit is a share, and 1 where there is nothing to be matched.
func hit(part, whole float32) float32 {
	if whole <= 0 {
		return 1
	}
	return part / whole
}

func summarise(t *text.Text, links *[text.MaxTokens]text.Link) side {
	s := side{tokens: t.Tokens[:min(len(t.Tokens), text.MaxTokens)], links: links, weakest: 1, first: -1}
	matched := -1 // the last token that is matched
	for i := range s.tokens {
		k, l := &s.tokens[i], &links[i]
		if k.Kind == text.Function {
			if l.To < 0 && k.Weight > .1 {
				s.modal += k.Weight
			}
			continue
		}
		if s.first < 0 {
			s.first = l.Like
		}
		s.last = l.Like
		s.word(i)
		s.part(k, l)
		if l.To >= 0 {
			matched = i
		}
	}
	s.first = max(s.first, 0)
	s.trailing(matched)
	return s
}

// word adds token i, a word with meaning.
func (s *side) word(i int) {
	k, l := &s.tokens[i], &s.links[i]
	s.words++
	s.mass += k.Weight
	s.soft += k.Weight * l.Like
	s.worst = max(s.worst, k.Weight*(1-l.Like))
	if l.To >= 0 {
		s.weakest = min(s.weakest, l.Like)
	}
	switch l.How {
	case text.Equal, text.Joined, text.Spelled:
		s.hard += k.Weight
	case text.Close:
		s.vague += k.Weight * (1 - l.Like)
	case text.Unmatched:
		s.loose++
		if k.Kind == text.Name && !s.spanned(i) {
			s.names++
		}
		if k.Kind == text.Number {
			s.numbers++
		}
	}
}

// part adds a token to what its part of speech has.
func (s *side) part(k *text.Token, l *text.Link) {
	switch text.Part(k.Word) {
	case text.Verb:
		s.verbs += k.Weight
		s.verbsHit += k.Weight * l.Like
		s.worstVerb = max(s.worstVerb, k.Weight*(1-l.Like))
	case text.Adjective, text.Adverb:
		s.adjectives += k.Weight * (1 - l.Like)
	default:
		s.nouns += k.Weight
		s.nounsHit += k.Weight * l.Like
		s.worstNoun = max(s.worstNoun, k.Weight*(1-l.Like))
	}
}

// spanned says that a name stands beside another one that is matched: "Donald Trump" and "Trump".
func (s *side) spanned(i int) bool {
	for _, j := range [...]int{i - 1, i + 1} {
		if j >= 0 && j < len(s.tokens) && s.tokens[j].Kind == text.Name && s.links[j].To >= 0 {
			return true
		}
	}
	return false
}

// trailing weighs the words after the last matched one if a preposition begins them: "on Heroku".
func (s *side) trailing(matched int) {
	preposition := false
	for i := matched + 1; i < len(s.tokens); i++ {
		k := &s.tokens[i]
		if k.Kind == text.Function {
			preposition = preposition || k.Weight > 0
			continue
		}
		if preposition && s.links[i].To < 0 {
			s.qualifier += k.Weight
		}
	}
}

// apart says how different the answers to two kinds of questions are.
func apart(a, b text.Question) float32 {
	if a == b {
		return 0
	}
	if a > b {
		a, b = b, a
	}
	switch {
	case a == text.Other:
		return .2
	case b == text.Order && (a == text.What || a == text.How):
		return .2
	case a == text.What && b == text.How:
		return .4
	case a == text.What:
		return .6
	case b == text.YesNo:
		return .8
	}
	return 1
}

// arrange compares the order of words, their prepositions, and what stands in place of what.
func arrange(f *Features, x, y *side) {
	var at [text.MaxTokens]int8
	n := 0
	for i := range x.tokens {
		if l := x.links[i]; l.To >= 0 && x.tokens[i].Kind != text.Function {
			at[n] = l.To
			n++
		}
	}
	same, pairs := 0, 0
	for i := range n {
		for j := i + 1; j < n; j++ {
			pairs++
			if at[i] < at[j] {
				same++
			}
		}
	}
	f[fOrder] = hit(float32(same), float32(pairs))
	f[fPlace] = places(x, y)
	f[fRole] = flag(text.Inverted(x.tokens, y.tokens, x.links))
	swaps(f, x, y)
}

// places counts matched words with prepositions before them that differ.
func places(x, y *side) float32 {
	var sum float32
	for i := 1; i < len(x.tokens); i++ {
		j := int(x.links[i].To)
		if j < 1 || x.tokens[i].Kind == text.Function {
			continue
		}
		p, q := &x.tokens[i-1], &y.tokens[j-1]
		if p.Kind == text.Function && q.Kind == text.Function && p.Lemma != q.Lemma {
			sum += max(p.Weight, q.Weight)
		}
	}
	return sum
}

// swaps looks for a word of each text that is not matched well, between neighbours that are matched with each other.
func swaps(f *Features, x, y *side) {
	for i := range x.tokens {
		k := &x.tokens[i]
		if k.Kind == text.Function || x.links[i].How == text.Equal {
			continue
		}
		for j := range y.tokens {
			o := &y.tokens[j]
			if o.Kind == text.Function || y.links[j].How == text.Equal || !between(x, y, i, j) {
				continue
			}
			like := float32(0)
			if int(x.links[i].To) == j {
				like = x.links[i].Like
			}
			w := min(k.Weight, o.Weight) * (1 - like)
			f[fSwap] = max(f[fSwap], w)
			if k.Kind == text.Name || o.Kind == text.Name || text.Part(k.Word) == text.Noun && text.Part(o.Word) == text.Noun {
				f[fSwapNoun] = max(f[fSwapNoun], w)
			}
		}
	}
}

// between says that the token before i is matched with the one before j, or that after i with that after j, where an
// end of the text is matched with another end.
func between(x, y *side, i, j int) bool {
	before := i == 0 && j == 0 || i > 0 && j > 0 && int(x.links[i-1].To) == j-1
	endX, endY := i+1 == len(x.tokens), j+1 == len(y.tokens)
	after := endX && endY || !endX && !endY && int(x.links[i+1].To) == j+1
	return before && after || (before || after) && len(x.tokens) == len(y.tokens)
}

// bigrams is the share of neighbouring words with meaning that are neighbours in the other text as well.
func bigrams(x, y *side) float32 {
	var shared, all float32
	last := -1
	for i := range x.tokens {
		if x.tokens[i].Kind == text.Function {
			continue
		}
		if last >= 0 {
			all++
			if p, q := x.links[last].To, x.links[i].To; p >= 0 && q > p && q-p <= 3 {
				shared++
			}
		}
		last = i
	}
	other := float32(-1)
	for j := range y.tokens {
		if y.tokens[j].Kind != text.Function {
			other++
		}
	}
	if all+other <= 0 {
		return x.links[0].Like
	}
	return min(2*shared/(all+max(other, 0)), 1)
}

// trigrams is the Dice coefficient of the hashed groups of three letters of both texts' lemmas.
func trigrams(a, b *text.Text) float32 {
	var x, y [16]uint64 // 1,024 bits
	n, m := grams(a, &x), grams(b, &y)
	if n+m == 0 {
		return 0
	}
	both := 0
	for i := range x {
		both += ones(x[i] & y[i])
	}
	return float32(2*both) / float32(n+m)
}

func grams(t *text.Text, set *[16]uint64) int {
	for i := range t.Tokens {
		k := &t.Tokens[i]
		if k.Kind == text.Function {
			continue
		}
		s := k.Lemma
		h := uint32(' ')
		for j := range len(s) + 1 {
			c := uint32(' ')
			if j < len(s) {
				c = uint32(s[j])
			}
			h = (h<<8 | c) & 0xffffff
			if j > 0 {
				g := h * 2654435761 >> 22
				set[g>>6] |= 1 << (g & 63)
			}
		}
	}
	n := 0
	for _, w := range set {
		n += ones(w)
	}
	return n
}

// surface is the Dice coefficient of the groups of three letters in the first 512 bytes of both texts, whatever their
// case and punctuation.
func surface(a, b string) float32 {
	var x, y [16]uint64
	n, m := written(a, &x), written(b, &y)
	if n+m == 0 {
		return 0
	}
	both := 0
	for i := range x {
		both += ones(x[i] & y[i])
	}
	return float32(2*both) / float32(n+m)
}

func written(s string, set *[16]uint64) int {
	h := uint32(' ')
	for i := range min(len(s), 512) {
		c := uint32(s[i])
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c < '0' || c > '9' && c < 'a' || c > 'z' && c < 0x80:
			c = ' '
		}
		if c == ' ' && h&0xff == ' ' {
			continue
		}
		h = (h<<8 | c) & 0xffffff
		g := h * 2654435761 >> 22
		set[g>>6] |= 1 << (g & 63)
	}
	n := 0
	for _, w := range set {
		n += ones(w)
	}
	return n
}
