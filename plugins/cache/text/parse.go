package text

import "strings"

// Parse reads a text. It accepts any string; of a very long one it reads the beginning.
func Parse(s string) *Text {
	c := scanner{raw: s, pieces: make([]piece, 0, 24), ends: make([]int, 0, 24), low: make([]byte, 0, min(len(s), maxBytes)+8)}
	c.scan()
	t := &Text{Raw: s, Literals: c.literals, Script: c.script()}
	in := respell(c.pieces)
	t.Language = language(in, t.Script)
	t.personal(in)
	in = phrases().apply(in)
	t.Persons = persons(in)
	t.build(in, titled(c.pieces))
	t.traits(in)
	return t
}

func (c *scanner) script() Script {
	best := NoScript
	for k := Latin; k <= OtherScript; k++ {
		if c.scripts[k] > 0 && (best == NoScript || c.scripts[k] > c.scripts[best]) {
			best = k
		}
	}
	return best
}

// respell writes contractions out and undoes known typos.
func respell(in []piece) []piece {
	table := spelling()
	change := false
	for i := range in {
		if _, ok := table[in[i].s]; ok {
			change = true
			break
		}
	}
	if !change {
		return possessives(in)
	}
	out := make([]piece, 0, len(in)+6)
	for _, p := range in {
		right, ok := table[p.s]
		if !ok || p.literal || len(p.s) == 1 && p.capital {
			out = append(out, p)
			continue
		}
		for w := range strings.FieldsSeq(right) {
			p.s = w
			out = append(out, p)
			p.capital, p.first = false, false
		}
	}
	return possessives(out)
}

func possessives(in []piece) []piece {
	for i := range in {
		if w, ok := strings.CutSuffix(in[i].s, "'s"); ok {
			in[i].s = w
		} else if strings.HasSuffix(in[i].s, "'") {
			in[i].s = strings.TrimRight(in[i].s, "'")
		}
	}
	return in
}

// titled says that capitals mean nothing, because most words have one, or all letters are.
func titled(in []piece) bool {
	capitals, all := 0, 0
	for i := range in {
		if len(in[i].s) > 3 && !in[i].first && !in[i].digits {
			all++
			if in[i].capital {
				capitals++
			}
		}
	}
	return all > 2 && capitals*10 > all*8
}

// build makes tokens of pieces. titled says that capitals mean nothing.
func (t *Text) build(in []piece, titled bool) {
	t.Tokens = make([]Token, 0, len(in))
	for i := 0; i < len(in); i++ {
		p := &in[i]
		if isNegation(p.s) {
			t.Negations++
		}
		if n := t.count(in, i); n > 0 {
			i += n - 1
			continue
		}
		k := Token{Surface: p.s, Lemma: p.s, Start: p.start, End: p.end}
		switch w, isFunction := function[p.s]; {
		case p.literal:
			k.Kind, k.Weight = Literal, 1
		case isFunction && w < 0:
			continue
		case isFunction:
			k.Kind, k.Weight = Function, w
		default:
			k.lookUp(p)
			if !p.frame && (p.capital && !p.first && !titled || p.digits || proper(k.Word) || names[k.Lemma]) {
				k.Kind = Name
				k.Weight = max(k.Weight, .8)
			}
		}
		t.add(k)
	}
}

// count reads a number or date at i and returns how many pieces it takes.
func (t *Text) count(in []piece, i int) int {
	q, n, ok := quantity(in, i)
	if ok {
		q.Token = len(t.Tokens)
		t.Quantities = append(t.Quantities, q)
		t.add(Token{Surface: in[i].s, Lemma: in[i].s, Weight: numberWeight, Kind: Number, Start: in[i].start, End: in[i+n-1].end})
		return n
	}
	if one(in[i].s) && i+1 < len(in) {
		if _, ok := period(in, i+1); ok {
			return 1 // the unit stands for both
		}
	}
	if q, ok := period(in, i); ok {
		q.Token = len(t.Tokens)
		t.Quantities = append(t.Quantities, q)
	}
	return 0
}

// lookUp finds a word in the vocabulary. The plural of a word that it does not have loses its s.
func (k *Token) lookUp(p *piece) {
	v := words()
	if !names[p.s] {
		k.Word = v.lemma(p.s)
	}
	if k.Word == 0 {
		k.Weight = .95
		if s := strings.TrimSuffix(p.s, "s"); len(s) > 3 && s[len(s)-1] != 's' && !names[p.s] {
			k.Lemma = s
		}
		return
	}
	k.Lemma = v.text(k.Word)
	k.Weight = v.weight[k.Word-1]
	if w, ok := weights[k.Lemma]; ok {
		k.Weight = w
	}
}

// numberWeight is the weight of any number: it is worth as much as a rare word.
const numberWeight = .8

func (t *Text) add(k Token) {
	t.Tokens = append(t.Tokens, k)
	t.Mass += k.Weight
}
