package sim

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLetters = 6 // of one token: makes about four bytes a token of English text
	maxDigits  = 3
	maxMarks   = 3
)

// class is what kind of characters a token is made of.
type class uint8

const (
	letters class = iota
	digits
	marks
	blanks
	ideograph // or any other character that is a token of its own
)

func classOf(r rune) (c class, most int) {
	switch {
	case unicode.IsSpace(r):
		return blanks, 8
	case r >= 0x2e80:
		return ideograph, 1
	case unicode.IsLetter(r) || unicode.Is(unicode.Mn, r):
		return letters, maxLetters
	case unicode.IsDigit(r):
		return digits, maxDigits
	default:
		return marks, maxMarks
	}
}

// piece is how many bytes the first token of s takes: some characters of one class, with the space before them. It never
// parts a character.
func piece(s string) int {
	i := 0
	if len(s) > 1 && s[0] == ' ' && s[1] != ' ' && s[1] != '\n' {
		i = 1
	}
	first, size := utf8.DecodeRuneInString(s[i:])
	kind, most := classOf(first)
	i += size
	for n := 1; n < most && i < len(s); n++ {
		r, size := utf8.DecodeRuneInString(s[i:])
		if c, _ := classOf(r); c != kind {
			break
		}
		if kind == blanks && r == ' ' && i+1 < len(s) && s[i+1] > ' ' {
			break // it belongs to the word behind it
		}
		i += size
	}
	return i
}

// tokens counts the tokens of s.
func tokens(s string) int {
	n := 0
	for ; s != ""; n++ {
		s = s[piece(s):]
	}
	return n
}

// keep is the first n tokens of s.
func keep(s string, n int) string {
	end := 0
	for ; n > 0 && end < len(s); n-- {
		end += piece(s[end:])
	}
	return s[:end]
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	for i := range s {
		if n == 0 {
			return strings.TrimSpace(s[:i]) + "…"
		}
		n--
	}
	return s
}
