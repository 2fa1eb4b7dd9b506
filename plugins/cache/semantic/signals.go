package semantic

import (
	"math"
	"slices"
	"unicode"

	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

const (
	sharpness = 8   // of a vote: a wording whose cosine is 0.1 lower counts less than half
	silence   = 0.3 // votes that every answer has, so that a lead over nobody is finite
)

// signalsOf is what the wordings that were found say about an answer to q, of which words are the hashes.
func signalsOf(q *text.Text, words []uint32, found []index.Match, answer uint64, verified float64) policy.Signals {
	s := policy.Signals{Verified: verified}
	var votes [searched]float64 // of the answer of each match, at its first
	var all, mine, rival float64
	var nearest, other float32
	for i := range found {
		m := &found[i]
		vote := math.Exp(sharpness * float64(m.Cosine-found[0].Cosine))
		all += vote
		if m.Answer == answer {
			mine += vote
			s.Backers++
			nearest = max(nearest, m.Cosine)
			continue
		}
		other = max(other, m.Cosine)
		first := 0
		for found[first].Answer != m.Answer {
			first++
		}
		votes[first] += vote
		rival = max(rival, votes[first])
	}
	s.Cosine = float64(nearest)
	s.Margin = float64(nearest - other)
	s.Support = mine / all
	s.Lead = math.Log((mine + silence) / (rival + silence))
	s.Strange, s.Oddest = strange(q, found, answer)
	s.Unsaid, s.Unheard, s.Missing = literal(words, found, answer)
	return s
}

// strange weighs the words of q that no wording has that was found and leads to answer: as a share of all words, and the
// heaviest of them.
func strange(q *text.Text, found []index.Match, answer uint64) (share, heaviest float64) {
	var sum, unknown, most float32
	for i := range q.Tokens {
		k := &q.Tokens[i]
		sum += k.Weight
		if !said(hashLemma(k.Lemma), found, answer) {
			unknown += k.Weight
			most = max(most, k.Weight)
		}
	}
	if sum == 0 {
		return 0, 0
	}
	return float64(unknown / sum), float64(most)
}

// literal compares words as they were written, small ones too: "my name" is not "your name". It returns the share of the
// question's words that no wording has that was found and leads to answer, the same of its pairs of neighbours, and the
// share of the nearest wording's words that the question does not have.
func literal(question []uint32, found []index.Match, answer uint64) (unsaid, unheard, lost float64) {
	var words, pairs, newWords, newPairs float64
	for _, w := range question {
		switch w & kinds {
		case isWord:
			words++
			if !said(w, found, answer) {
				newWords++
			}
		case isPair:
			pairs++
			if !said(w, found, answer) {
				newPairs++
			}
		}
	}
	return newWords / max(words, 1), newPairs / max(pairs, 1), missing(question, found, answer)
}

// missing is the share of the words of the nearest wording that leads to answer that the question does not have.
func missing(question []uint32, found []index.Match, answer uint64) float64 {
	var theirs, lost float64
	nearest := slices.IndexFunc(found, func(m index.Match) bool { return m.Answer == answer })
	for _, w := range found[nearest].Words {
		if w&kinds == isWord {
			theirs++
			if !slices.Contains(question, w) {
				lost++
			}
		}
	}
	return lost / max(theirs, 1)
}

func said(word uint32, found []index.Match, answer uint64) bool {
	for i := range found {
		if found[i].Answer == answer && slices.Contains(found[i].Words, word) {
			return true
		}
	}
	return false
}

// What a hash is of, in its lowest bits.
const (
	isLemma = iota
	isWord
	isPair
	kinds = 3
)

// wordsOf are the hashes of a wording's lemmas, of its words as they were written, and of each with the one before it.
func wordsOf(t *text.Text) []uint32 {
	all := make([]uint32, 0, len(t.Tokens)+len(t.Raw)/2)
	for i := range t.Tokens {
		all = append(all, hashLemma(t.Tokens[i].Lemma))
	}
	last, h := uint32(0), uint32(basis)
	for _, r := range t.Raw {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			h = (h ^ uint32(unicode.ToLower(r))) * prime //nolint:gosec // not negative
		case r == '\'' || r == '’': // "what's" is a word
		case h != basis:
			all = append(all, h&^kinds|isWord, (last*31^h)&^kinds|isPair)
			last, h = h, basis
		}
	}
	if h != basis {
		all = append(all, h&^kinds|isWord, (last*31^h)&^kinds|isPair)
	}
	return slices.Clip(all)
}

// FNV-1a.
const (
	basis = 2166136261
	prime = 16777619
)

func hashLemma(s string) uint32 {
	h := uint32(basis)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * prime
	}
	return h &^ kinds // with isLemma, which is 0
}
