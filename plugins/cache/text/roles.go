package text

// Inverted says that two words have changed places: one has lost a preposition that gives direction ("from", "to",
// "than", "by"…) to the other, or the words around a verb are the other way round. links are those of a.
func Inverted(a, b []Token, links *[MaxTokens]Link) bool {
	a, b = a[:min(len(a), MaxTokens)], b[:min(len(b), MaxTokens)]
	return swappedRoles(a, b, links) || swappedSides(a, b, links)
}

// directs says that a preposition gives direction.
func directs(s string) bool {
	switch s {
	case "to", "into", "onto", "from", "than", "over", "under", "by", "before", "after", "against", "for", "of", "via", "without":
		return true
	}
	return false
}

// role returns the preposition that governs token i: the nearest one before it with nothing but words with meaning in
// between, at most two.
func role(tokens []Token, i int) string {
	for k := i - 1; k >= 0 && k >= i-2; k-- {
		if tokens[k].Kind == Function {
			if directs(tokens[k].Lemma) {
				return tokens[k].Lemma
			}
			return ""
		}
	}
	return ""
}

// governed is like role, but only for the word right after the preposition.
func governed(tokens []Token, i int) string {
	if i > 0 && tokens[i-1].Kind == Function && directs(tokens[i-1].Lemma) {
		return tokens[i-1].Lemma
	}
	return ""
}

func swappedRoles(a, b []Token, links *[MaxTokens]Link) bool {
	for i := range a {
		j := int(links[i].To)
		if j < 0 || a[i].Kind == Function {
			continue
		}
		r := governed(a, i)
		if r == "" || role(b, j) == r {
			continue
		}
		// The word has lost the preposition. Which word has it now?
		for p := range a {
			q := int(links[p].To)
			if p == i || q < 0 || a[p].Kind == Function || governed(b, q) != r || role(a, p) == r {
				continue
			}
			return true
		}
	}
	return false
}

// swappedSides looks for a verb whose neighbours on both sides are the other way round in b.
func swappedSides(a, b []Token, links *[MaxTokens]Link) bool {
	for v := range a {
		w := int(links[v].To)
		if w < 0 || a[v].Kind != Content || links[v].How != Equal || !verbal(&a[v]) {
			continue
		}
		x, y := beside(a, v, -1), beside(a, v, 1)
		p, q := beside(b, w, -1), beside(b, w, 1)
		if x < 0 || y < 0 || p < 0 || q < 0 {
			continue
		}
		if int(links[x].To) == q && int(links[y].To) == p && links[x].How == Equal && links[y].How == Equal {
			return true
		}
	}
	return false
}

// verbal says that a word may stand between two others and give them direction.
func verbal(k *Token) bool { return Part(k.Word) == Verb }

// beside finds the nearest word with meaning before or after i, or -1. A conjunction ends the search.
func beside(tokens []Token, i, step int) int {
	for k := i + step; k >= 0 && k < len(tokens); k += step {
		if tokens[k].Kind != Function {
			return k
		}
		if tokens[k].Weight < .13 || tokens[k].Lemma == "or" {
			return -1 // a preposition says more of the roles than the order does
		}
	}
	return -1
}
