package config

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// position is a place in a file: line and column count from 1, the column in characters.
type position struct{ line, column int }

// source is one file while it is read: its text, its nodes, and which of them may be shown.
type source struct {
	name string // as messages print it
	text []byte
	root *yaml.Node

	at       map[string]position     // path -> where its value is
	bad      map[string]bool         // paths that have a problem already
	safe     map[*yaml.Node]struct{} // scalars that hold no secret
	refs     *references             // what stands for other text in this file
	problems Problems
	warnings Problems

	split []string     // the lines, once needed
	order []*yaml.Node // all nodes in the order of the text, once needed
}

func newSource(name string, text []byte, refs *references) *source {
	return &source{
		name: name, text: text, refs: refs,
		at: map[string]position{}, bad: map[string]bool{}, safe: map[*yaml.Node]struct{}{},
	}
}

// parse reads the text into root. It reports false if that failed, or if there is nothing to decode.
func (s *source) parse() bool {
	if at, ok := unreadable(s.text); ok {
		s.fail(s.place(at), "", "the file holds a character that is not UTF-8 text", "save it as UTF-8")
		return false
	}
	loader, err := yaml.NewLoader(strings.NewReader(string(s.text)))
	if err != nil {
		s.fail(position{1, 1}, "", "the file cannot be read as YAML: "+err.Error(), "")
		return false
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		s.fail(position{1, 1}, "", "the file is empty", `begin it with "version: 1"`)
		return false
	} else if err != nil {
		s.syntax(err)
		return false
	}
	if err := loader.Load(&second); err == nil {
		s.fail(s.start(&second), "", "a second YAML document begins here", "keep one document in each file")
		return false
	} else if !errors.Is(err, io.EOF) {
		s.syntax(err)
		return false
	}
	s.root = &first
	if first.Kind == yaml.DocumentNode && len(first.Content) > 0 {
		s.root = first.Content[0]
	}
	s.at[""] = s.start(s.root)
	return true
}

// syntax reports what the YAML parser found.
func (s *source) syntax(err error) {
	at, message, hint := position{1, 1}, err.Error(), ""
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		message = load.Message
		if load.Mark.Line > 0 {
			at = position{load.Mark.Line, load.Mark.Column}
		}
	}
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		// The parser's message has the name, which is a piece of a secret if that begins with *.
		message, hint = "an alias refers to an anchor that does not exist", "put text that begins with * in quotes"
	case strings.Contains(message, "cannot start any token"):
		hint = "put text that begins with @, `, % or a tab in quotes, and indent with spaces"
	case strings.Contains(message, "mapping values are not allowed"):
		hint = `check the indentation, and put text that contains ": " in quotes`
	}
	s.fail(at, "", "this is not YAML: "+message, hint)
}

// fail reports a problem at a position.
func (s *source) fail(at position, path, message, hint string) {
	s.bad[path] = true
	s.problems = append(s.problems, Problem{
		File: s.name, Line: at.line, Column: at.column, Path: path, Message: message, Hint: hint,
	})
}

// warn is fail for what is allowed.
func (s *source) warn(at position, path, message, hint string) {
	s.warnings = append(s.warnings, Problem{
		File: s.name, Line: at.line, Column: at.column, Path: path, Message: message, Hint: hint,
	})
}

// finish returns the problems and the warnings with their source lines, which cannot be shown before all is decoded:
// until then it is not known what is harmless.
func (s *source) finish() (problems, warnings Problems) {
	for _, list := range []Problems{s.problems, s.warnings} {
		for i := range list {
			p := &list[i]
			p.Message, p.Hint = s.refs.conceal(p.Message), s.refs.conceal(p.Hint)
			if p.File != s.name || p.Source != "" || len(s.text) == 0 && p.Line == 0 {
				continue
			}
			p.Line = min(max(p.Line, 1), len(s.lines()))
			p.Column = min(max(p.Column, 1), utf8.RuneCountInString(s.lines()[p.Line-1])+1)
			p.Source, p.caret = s.snippet(p.Line, p.Column)
		}
	}
	return s.problems, s.warnings
}

// foreign reports whether the file, which says that it is of a version, is of another than this program reads. Then that
// is its only mistake: what else seems wrong may be right there.
func (s *source) foreign(version int) bool {
	if version == 0 || version == 1 { // 0: it does not say
		return false
	}
	s.problems = slices.DeleteFunc(s.problems, func(p Problem) bool { return p.Path != "version" })
	return true
}

// where returns the position of a path's value, or of the nearest thing around it that is in the file.
func (s *source) where(path string) position {
	for {
		if at, ok := s.at[path]; ok {
			return at
		}
		if path == "" {
			return position{}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// has reports whether the file holds a value at the path.
func (s *source) has(path string) bool {
	_, ok := s.at[path]
	return ok
}

func (s *source) start(n *yaml.Node) position { return position{n.Line, n.Column} }

// place returns the position of the byte at offset.
func (s *source) place(offset int) position {
	lines := splitLines(string(s.text[:offset]))
	return position{len(lines), utf8.RuneCountInString(lines[len(lines)-1]) + 1}
}

func (s *source) lines() []string {
	if s.split == nil {
		s.split = splitLines(string(s.text))
	}
	return s.split
}

// splitLines splits at what YAML's scanner counts as the end of a line.
func splitLines(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").
		Replace(strings.TrimPrefix(text, "\ufeff")), "\n")
}

// unreadable returns the offset of the first byte that YAML does not allow (YAML 1.2, section 5.1).
func unreadable(text []byte) (int, bool) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1,
			r < ' ' && r != '\t' && r != '\n' && r != '\r',
			r >= 0x7f && r < 0xa0 && r != 0x85,
			r == 0xfffe, r == 0xffff,
			r == 0xfeff && i > 0:
			return i, true
		}
		i += size
	}
	return 0, false
}

// Only what is known to be harmless is shown: names, scalars that were decoded into a field other than a Secret, and
// whole references. Values of unknown fields, values of the wrong shape and comments may hold a secret that is misplaced.

var (
	reference  = regexp.MustCompile(`^\$\{(env|file):[^:}]*\}$`)
	userinfo   = regexp.MustCompile(`://[^\s"']*@`) // a password may hold / and @, wrongly
	secretName = regexp.MustCompile(`(?i)(key|secret|token|password|value|credential)["']?\s*:`)
	longWord   = regexp.MustCompile(`[^\s:,{}\[\]"'./]{12,}`)
	wholeRef   = regexp.MustCompile(`\$\{(env|file):[^:}]*\}`)
)

const widest = 160

// snippet returns the line with everything masked that may be secret, and where the column is in it.
func (s *source) snippet(line, column int) (string, int) {
	raw := []rune(s.lines()[line-1])
	var shown []rune
	if s.root == nil {
		shown = []rune(maskUnparsed(s.lines(), line-1))
		column = min(column, len(shown)+1)
	} else {
		shown, column = s.mask(raw, line, column)
	}
	if len(shown) > widest {
		from := min(max(0, column-widest/2), len(shown)-widest)
		shown, column = shown[from:from+widest], max(1, min(column-from, widest))
	}
	if strings.TrimSpace(string(shown)) == "" {
		return "", 0
	}
	return string(shown), column
}

// span is a part of a line, in characters from 0.
type span struct{ from, to int }

// mask rewrites one line of a file that was parsed, and moves the column with it.
func (s *source) mask(raw []rune, line, column int) ([]rune, int) {
	hidden, end := s.hidden(raw, line)
	if comment := slices.Index(raw[end:], '#'); comment >= 0 {
		raw = raw[:end+comment]
	}
	var out []rune
	at, done := column-1, 0
	caret := at
	for _, h := range hidden {
		out = append(append(out, raw[done:h.from]...), []rune(masked)...)
		done = h.to
		switch {
		case at >= h.to:
			caret += len(masked) - (h.to - h.from)
		case at > h.from:
			caret -= at - h.from
		}
	}
	text := userinfo.ReplaceAllString(string(append(out, raw[done:]...)), "://"+masked+"@")
	out = []rune(strings.TrimRight(text, " \t"))
	return out, min(caret, len(out)) + 1
}

// hidden returns the parts of a line that must not be shown, and where the line's last scalar ends.
func (s *source) hidden(raw []rune, line int) (hidden []span, end int) {
	nodes := s.nodes()
	// The node before the line's first may reach into the line.
	first := max(0, sort.Search(len(nodes), func(i int) bool { return nodes[i].Line >= line })-1)
	for i := first; i < len(nodes) && nodes[i].Line <= line; i++ {
		n := nodes[i]
		if n.Kind != yaml.ScalarNode {
			continue
		}
		next := len(raw)
		if i+1 < len(nodes) && nodes[i+1].Line == line {
			next = min(next, nodes[i+1].Column-1)
		}
		part := span{0, next}
		if n.Line == line {
			part = span{min(n.Column-1, next), extent(n, raw, next)}
		} else if strings.Trim(string(raw[:next]), " \t-?{}[],:") == "" {
			continue // it does not reach into the line
		}
		if part.from < end {
			continue
		}
		if !s.harmless(n) {
			hidden = append(hidden, part)
		}
		end = part.to
	}
	return hidden, end
}

// harmless reports whether a scalar may be shown.
func (s *source) harmless(n *yaml.Node) bool {
	_, safe := s.safe[n]
	return safe || reference.MatchString(n.Value) && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// extent returns the column (from 0) at which a scalar that begins on this line ends, at the latest the next node.
func extent(n *yaml.Node, raw []rune, next int) int {
	begin := min(n.Column-1, next)
	rest := string(raw[begin:])
	if rest != "" && (rest[0] == '|' || rest[0] == '>') {
		return min(begin+1, next)
	}
	if n.Style == 0 && strings.HasPrefix(rest, n.Value) {
		return min(begin+utf8.RuneCountInString(n.Value), next)
	}
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		quote := rune(rest[0])
		for i := begin + 1; i < min(next, len(raw)); i++ {
			if raw[i] == '\\' && quote == '"' {
				i++
			} else if raw[i] == quote {
				return i + 1
			}
		}
	}
	return next
}

// nodes returns all nodes in the order of the text.
func (s *source) nodes() []*yaml.Node {
	if s.order == nil {
		var walk func(n *yaml.Node)
		walk = func(n *yaml.Node) {
			s.order = append(s.order, n)
			for i, c := range n.Content {
				if n.Kind == yaml.MappingNode && i%2 == 0 && n.Content[i+1].Tag != "!!null" {
					s.safe[c] = struct{}{} // a name; {sk-…} is a mapping too, of the secret to nothing
				}
				walk(c)
			}
		}
		walk(s.root)
	}
	return s.order
}

// maskUnparsed masks a line of a file that is not YAML: all that follows the name of a secret, on this line or on one
// that this line continues, and every long word.
func maskUnparsed(lines []string, i int) string {
	line := lines[i]
	indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " \t-")) }
	for above := i - 1; above >= 0; above-- {
		if indent(lines[above]) >= indent(line) || strings.TrimSpace(lines[above]) == "" {
			continue
		}
		if secretName.MatchString(lines[above]) {
			return line[:indent(line)] + masked
		}
		break
	}
	if at := secretName.FindStringIndex(line); at != nil {
		value := strings.TrimSpace(line[at[1]:])
		if strings.Trim(wholeRef.ReplaceAllString(value, ""), ` "'{}[],`) != "" {
			line = line[:at[1]] + " " + masked
		}
	}
	line, _, _ = strings.Cut(line, " #")
	line = userinfo.ReplaceAllString(line, "://"+masked+"@")
	return longWord.ReplaceAllStringFunc(line, func(word string) string {
		if strings.ContainsAny(word, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			return masked
		}
		return word
	})
}
