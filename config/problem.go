package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Problem is one mistake, or one warning. It marshals to JSON for machines; String and Problems.Text are for people.
type Problem struct {
	// File is the file's path, or what else holds the value: "environment variable SLUICE_SERVER_LISTEN", "flag --listen".
	File string `json:"file"`
	// Line counts from 1. 0: the problem has no place in a file.
	Line int `json:"line,omitempty"`
	// Column counts characters from 1.
	Column int `json:"column,omitempty"`
	// Path of the field, such as providers[0].timeouts. Empty: the file as a whole.
	Path string `json:"path,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Hint says what to do about it, if that is known.
	Hint string `json:"hint,omitempty"`
	// Source is the line with the mistake. Secrets in it, and its comment, are masked.
	Source string `json:"source,omitempty"`

	caret int // where Column is in Source: masking moves it
}

// String returns the problem in one line: file:line:column: message; hint.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column))
	}
	b.WriteString(": " + p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Text returns the problem in one line, and below it the source line with a caret under the mistake.
func (p Problem) Text() string {
	if p.Source == "" {
		return p.String() + "\n"
	}
	number := strconv.Itoa(p.Line)
	margin := strings.Repeat(" ", len(number)) + "  | "
	// Tabs stay tabs, so that the caret stands right however wide they are shown.
	blank := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string([]rune(p.Source)[:p.caret-1]))
	return p.String() + "\n " + number + " | " + p.Source + "\n" + margin + blank + "^\n"
}

// Problems are all mistakes of one load, by file, line and column. As an error it prints one line each.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Text returns all problems with their source lines, as a terminal shows them.
func (p Problems) Text() string {
	var b strings.Builder
	for i := range p {
		b.WriteString(p[i].Text())
	}
	return b.String()
}

// sorted orders the problems and drops those that say the same of the same place, which aliases bring about.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(p, func(a, b Problem) bool {
		return a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}

// didYouMean returns the hint for a word that is none of the known ones: the nearest at no more than two edits, or all
// of them under the heading, if there is one.
func didYouMean(word string, known []string, heading string) string {
	best, least := "", 3
	for _, k := range known {
		if max(len(word), len(k))-min(len(word), len(k)) >= least {
			continue
		}
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(k)); d < least && d < len(word) {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + strconv.Quote(best) + "?"
	}
	if heading == "" || len(known) == 0 || len(known) > 24 {
		return ""
	}
	return heading + ": " + strings.Join(known, ", ")
}
