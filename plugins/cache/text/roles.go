package text

// Inverted says that two words have changed places: one has lost a preposition that gives direction ("from", "to",
// "than", "by"…) to the other, or the words around a verb are the other way round. links are those of a.
func Inverted(a, b []Token, links *[MaxTokens]Link) bool {
	a, b = a[:min(len(a), MaxTokens)], b[:min(len(b), MaxTokens)]
	return swappedRoles(a, b, links) || swappedSides(a, b, links) || swappedNumbers(a, b, links)
}

// governed returns the preposition right before token i, or "".
func governed(tokens []Token, i int) string {
	if i > 0 && tokens[i-1].Kind == Function {
		if i > 1 && tokens[i-2].Lemma == "not" {
			return "not" // works on my phone but not on my laptop
		}
		switch p := tokens[i-1].Lemma; p {
		case "to", "into", "onto", "from", "than", "over", "under", "by", "before", "after", "against", "for", "of", "via",
			"without", "in", "on", "with", "at", "instead":
			return p
		}
	}
	return ""
}

// Redirected says that a word stands behind the contrary of the preposition that it has in the other text: for and against the death
// penalty, to and from Paris. links are those of a.
func Redirected(a, b []Token, links *[MaxTokens]Link) bool {
	a, b = a[:min(len(a), MaxTokens)], b[:min(len(b), MaxTokens)]
	for i := range a {
		j := int(links[i].To)
		if j < 0 || a[i].Kind == Function {
			continue
		}
		switch r, s := direction(a, i), direction(b, j); {
		case r == "for" && s == "against", r == "against" && s == "for":
			if !protects(a) && !protects(b) {
				return true
			}
		case r == "to" && s == "from", r == "from" && s == "to":
			if !verbal(&a[i]) && !verbal(&b[j]) && !mutual(a) && !mutual(b) {
				return true
			}
		}
	}
	return false
}

// direction is governed, past an article or whose it is.
func direction(tokens []Token, i int) string {
	for i > 0 && tokens[i-1].Kind == Function && determines(tokens[i-1].Lemma) {
		i--
	}
	return governed(tokens, i)
}

func determines(lemma string) bool {
	switch lemma {
	case "the", "a", "an", "my", "your", "his", "her", "its", "our", "their", "this", "that":
		return true
	}
	return false
}

// protects says that a text is about what is for something by being against it: a vaccine.
func protects(tokens []Token) bool {
	for i := range tokens {
		switch tokens[i].Lemma {
		case "vaccine", "vaccination", "protect", "protection", "insurance", "insure", "medicine", "medication", "remedy", "cure", "treatment", "drug", "immunity":
			return true
		}
	}
	return false
}

// mutual says that a text is about two things of which either may come first: the distance to the sun, or from it.
func mutual(tokens []Token) bool {
	to, from := false, false
	for i := range tokens {
		switch tokens[i].Lemma {
		case "far", "distance", "away", "near", "close", "differ", "difference", "different":
			return true
		case "to":
			to = true
		case "from":
			from = true
		}
	}
	return to && from
}

// swappedRoles looks for two words that have exchanged their prepositions, of which one may be none.
func swappedRoles(a, b []Token, links *[MaxTokens]Link) bool {
	for i := range a {
		j := int(links[i].To)
		if j < 0 || a[i].Kind == Function {
			continue
		}
		r := governed(a, i)
		other := governed(b, j)
		if r == "" || other == r {
			continue
		}
		for p := range a {
			q := int(links[p].To)
			if p != i && q >= 0 && a[p].Kind != Function && governed(b, q) == r && alikeRoles(governed(a, p), other) && (other != "" || crossed(i, j, p, q)) {
				return true
			}
		}
	}
	return false
}

// alikeRoles says that two roles are the same; "from" is often left out: "EUR to USD".
func alikeRoles(r, s string) bool {
	return r == s || r == "from" && s == "" || r == "" && s == "from"
}

// crossed says that of two words the one that came first comes last.
func crossed(i, j, p, q int) bool { return (i < p) != (j < q) }

// swappedNumbers looks for two numbers that have exchanged what they count.
func swappedNumbers(a, b []Token, links *[MaxTokens]Link) bool {
	for i := range a {
		j := int(links[i].To)
		if j < 0 || a[i].Kind != Number || i+1 >= len(a) || j+1 >= len(b) {
			continue
		}
		if a[i+1].Kind == Function || b[j+1].Kind == Function || int(links[i+1].To) == j+1 || links[i+1].To < 0 {
			continue
		}
		for p := range i {
			if a[p].Kind == Number && int(links[p].To) > j && int(links[p].To)+1 == int(links[i+1].To) {
				return true
			}
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
