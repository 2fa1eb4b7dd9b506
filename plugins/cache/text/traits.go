package text

import "strings"

// fresh words say that the answer is soon out of date.
var fresh = set(`
today tonight now currently current latest recent recently yesterday tomorrow weather forecast news stock stocks
price prices trending live score breaking upcoming
`)

// pointing words refer to something said before.
var pointing = set(`it its this that these those they them their he him his she her ones same above former latter previous`)

var marks = map[string]string{
	"der": "de", "die": "de", "das": "de", "und": "de", "ist": "de", "wie": "de", "ich": "de", "nicht": "de", "ein": "de",
	"eine": "de", "für": "de", "fur": "de", "mit": "de", "kann": "de", "warum": "de",
	"le": "fr", "la": "fr", "les": "fr", "des": "fr", "est": "fr", "et": "fr", "une": "fr", "je": "fr", "comment": "fr",
	"pour": "fr", "que": "fr", "quelle": "fr", "quel": "fr", "pourquoi": "fr", "dans": "fr",
	"el": "es", "los": "es", "las": "es", "es": "es", "una": "es", "como": "es", "para": "es", "por": "es", "cual": "es",
	"cuanto": "es", "donde": "es", "puedo": "es",
	"il": "it", "che": "it", "di": "it", "sono": "it", "perche": "it", "posso": "it", "gli": "it",
	"o": "pt", "os": "pt", "uma": "pt", "qual": "pt", "voce": "pt", "nao": "pt", "não": "pt", "fazer": "pt",
	"het": "nl", "een": "nl", "hoe": "nl", "ik": "nl", "niet": "nl", "wat": "nl", "van": "nl",
	"the": "en", "is": "en", "what": "en", "how": "en", "of": "en", "to": "en", "and": "en", "are": "en", "why": "en",
	"i": "en", "do": "en", "does": "en", "can": "en", "for": "en", "with": "en", "my": "en", "in": "en", "a": "en",
	"which": "en", "who": "en", "when": "en", "where": "en", "should": "en", "you": "en",
}

// language guesses from common words. A language other than English needs two of them, and more than any other has.
func language(in []piece, script Script) string {
	switch script {
	case Cyrillic:
		return "ru"
	case Greek:
		return "el"
	case Hebrew:
		return "he"
	case Devanagari:
		return "hi"
	case Thai:
		return "th"
	case Kana:
		return "ja"
	case Han:
		return "zh"
	case Hangul:
		return "ko"
	case Arabic:
		return "ar"
	}
	var tally [8]struct {
		code string
		n    int
	}
	for i := range in {
		code, ok := marks[in[i].s]
		if !ok {
			continue
		}
		for k := range tally {
			if tally[k].code == "" || tally[k].code == code {
				tally[k].code = code
				tally[k].n++
				break
			}
		}
	}
	best, english := 0, 0
	for k := range tally {
		if tally[k].n > tally[best].n {
			best = k
		}
		if tally[k].code == "en" {
			english = tally[k].n
		}
	}
	if tally[best].code == "en" || tally[best].n > english+1 {
		return tally[best].code
	}
	return ""
}

// traits fills in what the whole text says.
func (t *Text) traits(in []piece) {
	t.Question = question(in)
	content := 0
	for i := range in {
		if fresh[in[i].s] {
			t.Fresh = true
		}
	}
	for i := range t.Tokens {
		if t.Tokens[i].Kind != Function {
			content++
		}
	}
	t.SelfContained = content >= 2 && !t.points(in)
}

// points says that a pronoun refers to something outside the text: it stands where no noun can have named it before.
func (t *Text) points(in []piece) bool {
	if len(in) > 0 {
		switch in[0].s {
		case "and", "but", "also", "then", "so":
			return true
		}
	}
	for i := range in {
		p := &in[i]
		if _, isFunction := function[p.s]; !isFunction && Part(words().lemma(p.s)) != Verb {
			return false // from here on a pronoun has something to point to
		}
		if pointing[p.s] && !p.frame && (i+1 == len(in) || p.s != "it" || !impersonal(in[i+1].s)) {
			return true
		}
	}
	return false
}

// impersonal says that "it" before the word points nowhere: "is it possible to".
func impersonal(next string) bool {
	switch next {
	case "possible", "safe", "true", "legal", "take", "cost", "normal", "worth":
		return true
	}
	return false
}

var orders = set(`convert write explain translate summarize summarise list describe create generate make compare calculate
give show tell define find solve draft rewrite compose build design derive prove fix debug implement suggest recommend
name outline classify extract plan add remove provide help`)

// money words make an amount one of money.
var money = set(`cost costs costing price pay pays paid charge charged spend earn earning make money worth salary fee`)

// question finds the kind of answer: by the first question word, which need not be the first word.
func question(in []piece) Question {
	for i := range in {
		switch in[i].s {
		case "howto":
			return How
		case "why":
			return Why
		case "who", "whom", "whose":
			return Who
		case "when":
			if i == 0 || in[i].first {
				return When
			}
		case "where":
			return Where
		case "howmuch":
			for k := i + 1; k < len(in); k++ {
				if money[in[k].s] {
					return HowMuch
				}
			}
			return HowMany
		case "howlong", "howold", "howoften":
			return HowLong
		case "what", "which", "difference":
			return What
		case "how":
			return How
		}
	}
	if len(in) == 0 {
		return Other
	}
	switch s := in[0].s; {
	case s == "should" || s == "isit" || s == "need" || s == "arethere" || s == "haveyou" || s == "is" || s == "are" || s == "ought" || s == "do" || s == "does" || s == "did" || s == "was" || s == "were" ||
		s == "can" || s == "could" || s == "will" || s == "would" || s == "has" || s == "have" || s == "may":
		return YesNo
	case orders[s]:
		return Order
	}
	return Other
}

var own = set(`order orders account invoice subscription payment refund password balance booking reservation ticket package
delivery bill card salary appointment policy claim ssn address transaction statement mortgage loan`)

// personal looks for data of a person, and for the caller's own affairs.
func (t *Text) personal(in []piece) {
	for i := range in {
		p := &in[i]
		switch {
		case p.literal && strings.IndexByte(p.s, '@') > 0 && strings.IndexByte(p.s[strings.IndexByte(p.s, '@'):], '.') > 0:
			t.Personal = true
		case p.s == "my" && i+1 < len(in) && own[in[i+1].s] && !asksHow(in):
			t.Personal = true
		case p.s == "my" && i+2 < len(in) && own[in[i+2].s] && !asksHow(in):
			t.Personal = true
		}
	}
	if digitsOfPerson(t.Raw) {
		t.Personal = true
	}
}

// asksHow says that the text asks how something is done, which is the same for all: "how do I reset my password".
func asksHow(in []piece) bool {
	for i := range in {
		if in[i].s == "how" {
			return i+1 < len(in) && in[i+1].s != "much" && in[i+1].s != "many" && in[i+1].s != "long"
		}
	}
	return false
}

// digitsOfPerson finds phone numbers (nine digits and more with separators, or a plus before them) and payment cards
// (13 to 19 digits with a valid check digit, ISO/IEC 7812).
func digitsOfPerson(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		var r run
		j := i
		for j < len(s) && r.take(s[j]) {
			j++
		}
		if r.card() || r.phone(i > 0 && s[i-1] == '+') {
			return true
		}
		i = j
	}
	return false
}

// run is a row of digits with separators.
type run struct {
	digits     [20]byte
	n          int // digits, of which the first 20 are kept
	separators int
	group      int  // digits since the last separator
	uneven     bool // a group is not of four digits, as years are
}

// take adds a character, or returns false if it ends the row.
func (r *run) take(c byte) bool {
	switch c {
	case ' ', '-', '.', '(', ')':
		r.separators++
		r.uneven = r.uneven || r.group != 4 && r.group > 0
		r.group = 0
		return true
	}
	if c < '0' || c > '9' {
		return false
	}
	if r.n < len(r.digits) {
		r.digits[r.n] = c - '0'
	}
	r.n++
	r.group++
	return true
}

func (r *run) card() bool { return r.n >= 13 && r.n <= 19 && luhn(r.digits[:r.n]) }

func (r *run) phone(plus bool) bool {
	return r.n >= 9 && r.n <= 15 && (plus || r.uneven && r.separators > 1 && r.separators < 6)
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i])
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}

func persons(in []piece) Persons {
	var p Persons
	for i := range in {
		switch in[i].s {
		case "me", "us", "myself", "ourselves":
			if !in[i].capital || in[i].first {
				p |= Me
			}
		case "my", "our":
			p |= Mine
		case "your", "yourself":
			p |= Yours
		case "him", "her", "them", "his", "their", "himself", "herself", "themselves":
			p |= Third
		}
	}
	return p
}
