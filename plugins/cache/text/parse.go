package text

import (
	"strconv"
	"strings"
	"unicode"
)

// Parse reads a text. It accepts any string; what is not UTF-8 counts as a letter of no script.
func Parse(s string) *Text {
	t := &Text{Raw: s, Script: Latin, SelfContained: true}
	start := -1
	for i, r := range s + " " {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			t.word(start, i)
		}
		start = -1
	}
	return t
}

func (t *Text) word(start, end int) {
	w := strings.ToLower(t.Raw[start:end])
	k := Token{Surface: w, Lemma: w, Weight: 1, Start: start, End: end}
	if v, err := strconv.ParseFloat(w, 64); err == nil {
		k.Kind = Number
		t.Quantities = append(t.Quantities, Quantity{Value: v, Token: len(t.Tokens)})
	}
	t.Tokens = append(t.Tokens, k)
	t.Mass += k.Weight
}
