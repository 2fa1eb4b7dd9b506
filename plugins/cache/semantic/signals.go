package semantic

import (
	"math"

	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

const (
	sharpness = 8   // of a vote: a wording whose cosine is 0.1 lower counts less than half
	silence   = 0.3 // votes that every answer has, so that a lead over nobody is finite
)

// signalsOf is what the wordings that were found say about an answer to q.
func signalsOf(q *text.Text, found []index.Match, answer uint64, verified float64) policy.Signals {
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
	return s
}

// strange weighs the words of q that no wording has that was found and leads to answer: as a share of all words, and the
// heaviest of them.
func strange(q *text.Text, found []index.Match, answer uint64) (share, heaviest float64) {
	var sum, unknown, most float32
	for i := range q.Tokens {
		k := &q.Tokens[i]
		sum += k.Weight
		if !said(hashWord(k.Lemma), found, answer) {
			unknown += k.Weight
			most = max(most, k.Weight)
		}
	}
	if sum == 0 {
		return 0, 0
	}
	return float64(unknown / sum), float64(most)
}

func said(word uint32, found []index.Match, answer uint64) bool {
	for i := range found {
		if found[i].Answer != answer {
			continue
		}
		for _, w := range found[i].Words {
			if w == word {
				return true
			}
		}
	}
	return false
}

// wordsOf are the hashes of the words of a wording.
func wordsOf(t *text.Text) []uint32 {
	words := make([]uint32, len(t.Tokens))
	for i := range t.Tokens {
		words[i] = hashWord(t.Tokens[i].Lemma)
	}
	return words
}

// hashWord is FNV-1a.
func hashWord(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
