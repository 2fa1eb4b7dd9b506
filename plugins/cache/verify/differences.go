package verify

import "github.com/sluice-ai/sluice/plugins/cache/text"

// maxDifferences is how many differences of a pair are looked at. Texts that have more have nothing in common.
const maxDifferences = 384

// differenceKinds is how many differences are told apart; others fall together.
const differenceKinds = 1 << 16

// Differences are what stands in one text only or for something else in the other, each as a number: the word, in which
// place, after which preposition, what it is a kind of. What a word that is left over does to a question is learnt from
// the pairs: "free" changes the answer, "exactly" does not.
type Differences struct {
	at [maxDifferences]uint16
	n  int
}

// All returns the numbers of the differences.
func (d *Differences) All() []uint16 { return d.at[:d.n] }

// A difference is the hash of its description, which begins with a letter for what it is about.
type difference uint32

func about(kind byte) difference { return difference(2166136261).num(int(kind)) }

func (h difference) num(x int) difference {
	return (h ^ difference(uint32(x))) * 16777619 //nolint:gosec // a hash
}

func (h difference) word(s string) difference {
	for i := range len(s) {
		h = (h ^ difference(s[i])) * 16777619
	}
	return h.num(' ')
}

func (d *Differences) add(h difference) {
	if d.n == len(d.at) {
		return
	}
	x := uint32(h)
	d.at[d.n] = uint16((x ^ x>>15) * 2654435761 >> 16)
	d.n++
}

// differences lists how two texts differ.
func differences(d *Differences, a, b *text.Text, x, y *side) {
	alone := 1 // words that are left over are in one text only
	if x.loose > 0 && y.loose > 0 {
		alone = 0
	}
	d.leftOver(x, alone, b.Question)
	d.leftOver(y, alone, a.Question)
	d.replaced(x, y)
	d.frames(a, b)
	d.add(about('p').num(int(a.Persons ^ b.Persons)))
	d.add(about('P').num(int(min(a.Persons, b.Persons))).num(int(max(a.Persons, b.Persons))))
	d.add(about('q').num(int(min(a.Question, b.Question))).num(int(max(a.Question, b.Question))))
}

// leftOver adds the words of one text that are matched with none of the other, which asks a question of kind other.
func (d *Differences) leftOver(s *side, alone int, other text.Question) {
	for i := range s.tokens {
		k := &s.tokens[i]
		switch {
		case s.links[i].To >= 0:
		case k.Kind == text.Number:
			d.add(about('n').num(alone))
		case k.Kind == text.Function:
			d.add(about('f').word(k.Lemma))
			d.add(about('F').num(alone).word(k.Lemma))
			if i+1 < len(s.tokens) {
				d.add(about('m').num(int(flag(s.links[i+1].To >= 0))).word(k.Lemma))
			}
		default:
			d.add(about('w').word(k.Lemma))
			d.add(about('W').num(alone).word(k.Lemma))
			d.add(about('o').num(int(other)).word(k.Lemma))
			d.add(about('k').num(alone).num(int(k.Kind)))
			d.add(about('g').num(int(text.Genus(k.Word))))
			d.neighbours(s.tokens, i, alone)
		}
	}
}

// neighbours adds what stands around word i, which is left over.
func (d *Differences) neighbours(tokens []text.Token, i, alone int) {
	before, after, preposition, place := "^", "$", "", 0
	if i > 0 {
		before = tokens[i-1].Lemma
		if tokens[i-1].Kind == text.Function {
			preposition = before
		}
	} else {
		place = 1
	}
	if i+1 < len(tokens) {
		after = tokens[i+1].Lemma
	} else if i > 0 {
		place = 2
	}
	d.add(about('<').word(before).word(tokens[i].Lemma))
	d.add(about('>').word(tokens[i].Lemma).word(after))
	d.add(about('r').num(alone).word(preposition))
	d.add(about('l').num(alone).num(place).num(text.Part(tokens[i].Word)))
}

// replaced adds words that are matched with another one.
func (d *Differences) replaced(x, y *side) {
	for i := range x.tokens {
		l := &x.links[i]
		if l.To < 0 || l.How == text.Equal {
			continue
		}
		k, o := &x.tokens[i], &y.tokens[l.To]
		d.add(about('s').word(min(k.Lemma, o.Lemma)).word(max(k.Lemma, o.Lemma)))
		d.add(about('S').word(k.Lemma))
		d.add(about('S').word(o.Lemma))
		p, q := int(text.Genus(k.Word)), int(text.Genus(o.Word))
		d.add(about('G').num(min(p, q)).num(max(p, q)))
		d.add(about('h').num(int(l.How)))
		d.add(about('H').num(int(l.How)).num(text.Part(k.Word)))
	}
}

// frames adds how the texts begin, if not alike: by their first word, and by the first two.
func (d *Differences) frames(a, b *text.Text) {
	p, q := about('b'), about('b')
	for n := range 2 {
		if n < len(a.Tokens) {
			p = p.word(a.Tokens[n].Lemma)
		}
		if n < len(b.Tokens) {
			q = q.word(b.Tokens[n].Lemma)
		}
		if p != q {
			d.add(about('B').num(n).num(int(min(p, q))).num(int(max(p, q))))
		}
	}
}
