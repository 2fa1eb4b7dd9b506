package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A piece is a word, number or sign of the raw text, before it is understood.
type piece struct {
	s          string // lower case, without accents
	start, end int    // in the raw text
	capital    bool   // begins with a capital letter
	first      bool   // begins a sentence
	glued      bool   // no space before it
	literal    bool   // an address, path or identifier: not to be taken apart
	digits     bool   // has a digit
	frame      bool   // was put there by a phrase
}

// scanner cuts a text into pieces.
type scanner struct {
	raw      string
	low      []byte // letters of all pieces, folded
	pieces   []piece
	ends     []int // of each piece, where it ends in low
	literals []string
	scripts  [OtherScript + 1]int
	first    bool
}

// maxBytes is how much of a text is looked at. Nothing longer is a question that is asked twice; the raw text is kept
// whole.
const maxBytes = 16 << 10

func (c *scanner) scan() {
	c.first = true
	s := c.raw[:min(len(c.raw), maxBytes)]
	c.quotes(s)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case unicode.IsSpace(r):
			i += n
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			i = c.chunk(s, i)
		case r == '$' || r == '%' || r == '€' || r == '£' || r == '₹' || r == '¥' || r == '°':
			c.add(i, i+n, false)
			i += n
		default:
			if r == '.' || r == '?' || r == '!' || r == ':' || r == '\n' {
				c.first = true
			}
			i = c.sign(s, i, n)
		}
	}
	all := string(c.low)
	at := 0
	for i := range c.pieces {
		c.pieces[i].s = all[at:c.ends[i]]
		at = c.ends[i]
	}
}

// sign takes operators such as "===" and paths; other punctuation is skipped.
func (c *scanner) sign(s string, i, n int) int {
	if end := i + strings.IndexFunc(s[i:]+" ", unicode.IsSpace); (s[i] == '/' || s[i] == '~') && end > i+2 && strings.Count(s[i:end], "/") > 1 {
		c.literal(i, trimEnd(s, i, end))
		return end
	}
	if flag := i + strings.IndexFunc(s[i:]+" ", unicode.IsSpace); s[i] == '-' && i > 0 && s[i-1] == ' ' && flag > i+1 && s[i+1] != '>' {
		c.literal(i, trimEnd(s, i, flag)) // an option: -r
		return flag
	}
	if strings.HasPrefix(s[i:], "->") {
		c.add(i, i+2, false)
		return i + 2
	}
	end := i
	for end < len(s) && strings.IndexByte("=<>&|*^+-", s[end]) >= 0 {
		end++
	}
	if end == i+1 && strings.IndexByte("+*^-", s[i]) >= 0 && operator(s, i) {
		c.literal(i, end)
		return end
	}
	if end > i+1 && s[i] != '-' && s[i] != '*' || end == i+1 && (s[i] == '<' || s[i] == '>') && operator(s, i) {
		c.literal(i, end)
		return end
	}
	return i + n
}

// operator says that the sign at i calculates: a digit follows, and it is not part of a word or range before it.
func operator(s string, i int) bool {
	after := strings.TrimLeft(s[i+1:], " ")
	before := strings.TrimRight(s[:i], " ")
	if after == "" || before == "" || after[0] < '0' || after[0] > '9' {
		return false
	}
	spaced := len(before) < i
	return spaced && s[i+1] == ' ' || s[i] != '-' && isWord(before[len(before)-1])
}

// chunk takes what stands from i to the next space: an address as a whole, or else the words in it.
func (c *scanner) chunk(s string, i int) int {
	end := i
	plain := true // letters and digits only
	for end < len(s) {
		r, n := utf8.DecodeRuneInString(s[end:])
		if unicode.IsSpace(r) {
			break
		}
		if r < utf8.RuneSelf && !isWord(s[end]) {
			plain = false
		}
		end += n
	}
	if !plain {
		if w := s[i:end]; strings.Contains(w, "://") || strings.Contains(w, "_") || strings.HasPrefix(w, "www.") ||
			strings.IndexByte(w, '@') > 0 || strings.Contains(w, ":\\") || strings.Contains(w, "()") ||
			strings.Count(w, ".") > 1 && w[0] >= '0' && w[0] <= '9' {
			stop := trimEnd(s, i, end)
			c.literal(i, stop)
			return max(stop, i+1)
		}
	}
	return c.word(s, i, end)
}

// trimEnd leaves out the punctuation that ends s[i:end].
func trimEnd(s string, i, end int) int {
	return i + len(strings.TrimRight(s[i:end], ".,;:!?)]}>\"'`"))
}

func isWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// word takes one word or number, and returns where it ends.
func (c *scanner) word(s string, i, end int) int {
	if s[i] >= '0' && s[i] <= '9' {
		return c.number(s, i, end)
	}
	j := i
	for j < end {
		r, n := utf8.DecodeRuneInString(s[j:])
		switch {
		case unspaced(r):
			if j == i {
				j += n
			}
			c.add(i, j, false)
			return j
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
		case (r == '\'' || r == '’') && letterAt(s, j+n):
		case r == '.' && letterAt(s, j+n) && abbreviation(s, i, j):
		case (r == '+' || r == '#') && j == i+1: // C++, C#
			j += len(s[j:end]) - len(strings.TrimLeft(s[j:end], "+#"))
			c.add(i, j, false)
			return j
		default:
			c.add(i, j, false)
			return j
		}
		j += n
	}
	c.add(i, j, false)
	return j
}

// unspaced says that a letter is of a script without spaces: each letter is a word.
func unspaced(r rune) bool {
	k := scriptOf(r)
	return k == Han || k == Kana || k == Thai
}

// number takes digits with what separates them: "1,000", "3.5", "10:30".
func (c *scanner) number(s string, i, end int) int {
	j := i
	for j < end {
		r, n := utf8.DecodeRuneInString(s[j:])
		switch {
		case r >= '0' && r <= '9':
		case (r == '.' || r == ',' || r == ':') && j+1 < end && s[j+1] >= '0' && s[j+1] <= '9':
		case unicode.IsLetter(r):
			return c.afterNumber(s, i, j, end)
		default:
			c.add(i, j, false)
			return j
		}
		j += n
	}
	c.add(i, j, false)
	return j
}

// afterNumber takes letters that are glued to a number: a unit is a word of its own ("400F"), otherwise number and
// letters are one name ("3d", "1st").
func (c *scanner) afterNumber(s string, i, j, end int) int {
	stop := j
	for stop < end {
		r, n := utf8.DecodeRuneInString(s[stop:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		stop += n
	}
	if isUnit(strings.ToLower(s[j:stop])) {
		c.add(i, j, false)
		c.add(j, stop, true)
		return stop
	}
	c.add(i, stop, false)
	return stop
}

func letterAt(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[min(i, len(s)):])
	return unicode.IsLetter(r)
}

// abbreviation says that the dot at j belongs to the word from i: "U.S", "node.js", but not "end.Next".
func abbreviation(s string, i, j int) bool {
	return j-i == 1 || j-i > 1 && s[j-2] == '.' || j+2 < len(s) && s[j+1] >= 'a' && s[j+1] <= 'z'
}

func (c *scanner) literal(i, end int) {
	if end <= i {
		return
	}
	c.add(i, end, false)
	c.pieces[len(c.pieces)-1].literal = true
	c.literals = append(c.literals, c.raw[i:end])
}

func (c *scanner) add(i, end int, glued bool) {
	p := piece{start: i, end: end, first: c.first, glued: glued}
	for k, r := range c.raw[i:end] {
		if k == 0 && unicode.IsUpper(r) {
			p.capital = true
		}
		if r >= '0' && r <= '9' {
			p.digits = true
		}
		c.low = fold(c.low, r)
		if r >= utf8.RuneSelf || r >= 'A' {
			c.scripts[scriptOf(r)]++
		}
	}
	if c.raw[i:end] == "US" {
		c.low = append(c.low, 'a') // not the pronoun
	}
	c.first = false
	c.pieces = append(c.pieces, p)
	c.ends = append(c.ends, len(c.low))
}

// quotes notes what stands in quotation marks or backticks; the words in them are read like any others.
func (c *scanner) quotes(s string) {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		closing := ""
		switch r {
		case '"':
			closing = "\""
		case '`':
			closing = "`"
			if strings.HasPrefix(s[i:], "```") {
				closing, n = "```", 3
			}
		case '“':
			closing = "”"
		case '«':
			closing = "»"
		}
		i += n
		if closing == "" {
			continue
		}
		if k := strings.Index(s[i:], closing); k > 0 {
			c.literals = append(c.literals, strings.TrimSpace(s[i:i+k]))
			i += k + len(closing)
		}
	}
}

// fold appends a letter in lower case, without accents, and with straight apostrophes.
func fold(b []byte, r rune) []byte {
	switch {
	case r < utf8.RuneSelf:
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(b, byte(r)) //nolint:gosec // ASCII
	case r == '’' || r == '‘' || r == 'ʼ':
		return append(b, '\'')
	case unicode.IsMark(r):
		if r < 0x370 {
			return b // an accent of its own
		}
	case r >= 0xFF01 && r <= 0xFF5E:
		return fold(b, r-0xFEE0) // full width
	}
	r = unicode.ToLower(r)
	if r >= 0xC0 && r < 0x180 {
		if plain := unaccented[r-0xC0]; plain != '-' {
			return append(b, plain)
		}
	}
	switch r {
	case 'ß':
		return append(b, "ss"...)
	case 'æ':
		return append(b, "ae"...)
	case 'œ':
		return append(b, "oe"...)
	}
	return utf8.AppendRune(b, r)
}

// unaccented has the letters from U+00C0 to U+017F without accents; a - has none.
const unaccented = "aaaaaa-ceeeeiiiidnooooo-ouuuuy--aaaaaa-ceeeeiiiidnooooo-ouuuuy-yaaaaaaccccccccddddeeeeeeeeeegggg" +
	"gggghhhhiiiiiiiiii--jjkkkllllllllllnnnnnnnnnoooooo--rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"

func scriptOf(r rune) Script {
	switch {
	case r < 0x80:
		if r|0x20 >= 'a' && r|0x20 <= 'z' {
			return Latin
		}
		return NoScript
	case !unicode.IsLetter(r):
		return NoScript
	case r < 0x250 || r >= 0x1E00 && r < 0x1F00 || r >= 0xFF21 && r < 0xFF5B:
		return Latin
	case r >= 0x370 && r < 0x400:
		return Greek
	case r >= 0x400 && r < 0x530:
		return Cyrillic
	case r >= 0x590 && r < 0x600:
		return Hebrew
	case r >= 0x600 && r < 0x780:
		return Arabic
	case r >= 0x900 && r < 0x980:
		return Devanagari
	case r >= 0xE00 && r < 0xE80:
		return Thai
	case r >= 0x3040 && r < 0x3100:
		return Kana
	case r >= 0x3400 && r < 0xA000 || r >= 0x20000:
		return Han
	case r >= 0xAC00 && r < 0xD7B0 || r >= 0x1100 && r < 0x1200:
		return Hangul
	}
	return OtherScript
}
