package form

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// head reads the head of a part (RFC 7578, section 4).
func (s *Scanner) head(b []byte) int {
	n := bytes.Index(b, headEnd)
	if n < 0 && len(b) < MaxHead && !bytes.HasPrefix(b, crlf) {
		return 0
	}
	switch {
	case n > MaxHead || n < 0 && len(b) >= MaxHead:
		return s.fail(0, peek.Limit, "the head of a part is longer than 4096 bytes")
	case bytes.HasPrefix(b, crlf):
		return s.fail(0, peek.Syntax, "a part has no Content-Disposition")
	case bytes.Contains(b[:n], s.dash):
		return s.fail(0, peek.Syntax, "the boundary stands inside of a head")
	}
	var p part
	for line := range bytes.SplitSeq(b[:n], crlf) {
		if kind, reason := p.line(string(line)); reason != "" {
			return s.fail(0, kind, reason)
		}
	}
	if !p.disposed {
		return s.fail(0, peek.Syntax, "a part has no Content-Disposition")
	}
	if !s.begin(&p) {
		return 0
	}
	s.state, s.at = inValue, s.base+n+len(headEnd)
	return n + len(headEnd)
}

// begin finds out what a part is for.
func (s *Scanner) begin(p *part) bool {
	switch name := p.params["name"]; {
	case strings.EqualFold(name, names[model]):
		s.part = model
	case strings.EqualFold(name, names[stream]):
		s.part = stream
	default:
		return true
	}
	switch {
	case p.params["name"] != names[s.part]:
		s.fail(0, peek.Spelling, "must be written in lower case")
	case s.part == model && s.fields.ModelEnd > 0, s.part == stream && s.streamed:
		s.fail(0, peek.Duplicate, "stands twice in one form")
	case p.file:
		s.fail(0, peek.Type, "must be a plain field, not a file")
	case p.foreign:
		s.fail(0, peek.Type, "must be in UTF-8")
	}
	return s.err == nil
}

// part is what the head of one says.
type part struct {
	params   map[string]string // of its Content-Disposition
	disposed bool
	file     bool // it has a file's name
	foreign  bool // it is in another charset than UTF-8
}

// line reads one line of a head.
func (p *part) line(line string) (peek.Kind, string) {
	name, value, found := strings.Cut(line, ":")
	if !found || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !token(r) }) {
		return peek.Syntax, "a line in the head of a part is not a field"
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return peek.Syntax, "the head of a part contains a control character"
	}
	switch value = strings.Trim(value, " \t"); strings.ToLower(name) {
	case "content-disposition":
		if p.disposed {
			return peek.Duplicate, "a part has two Content-Dispositions"
		}
		p.disposed = true
		if reason := p.disposition(value); reason != "" {
			return peek.Syntax, reason
		}
	case "content-transfer-encoding": // deprecated by RFC 7578, section 4.7; some decode it, most do not
		if !strings.EqualFold(value, "binary") && !strings.EqualFold(value, "8bit") && !strings.EqualFold(value, "7bit") {
			return peek.Syntax, "a part is encoded, which forms do not allow"
		}
	case "content-type":
		if _, params, err := mime.ParseMediaType(value); err == nil {
			c := params["charset"]
			p.foreign = p.foreign || c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii")
		}
	}
	return 0, ""
}

// disposition reads form-data; name="…"; filename="…". It gives what is wrong, or "".
func (p *part) disposition(v string) string {
	kind, rest, _ := strings.Cut(v, ";")
	if !strings.EqualFold(strings.Trim(kind, " \t"), "form-data") {
		return "a part's Content-Disposition is not form-data"
	}
	p.params = map[string]string{}
	for more := len(kind) < len(v); more; {
		key, value, left, ok := parameter(rest)
		switch _, twice := p.params[key]; {
		case !ok:
			return "a part's Content-Disposition has a malformed parameter"
		case twice:
			return "a part's Content-Disposition has a parameter twice"
		case key == "name*": // RFC 7578, section 4.2
			return "a part's name is encoded"
		}
		p.params[key] = value
		p.file = p.file || key == "filename" || key == "filename*"
		rest, more = strings.CutPrefix(left, ";")
		if !more && left != "" {
			return "a part's Content-Disposition has a malformed parameter"
		}
	}
	if p.params["name"] == "" {
		return "a part has no name"
	}
	return ""
}

// parameter reads one parameter and the blanks around it; key is in lower case. Some read a backslash in quotes as an
// escape, others as itself: values that mean something else then are refused.
func parameter(s string) (key, value, rest string, ok bool) {
	key, rest, ok = strings.Cut(strings.TrimLeft(s, " \t"), "=")
	if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return !token(r) }) {
		return "", "", "", false
	}
	key = strings.ToLower(key)
	if !strings.HasPrefix(rest, `"`) {
		end := strings.IndexFunc(rest, func(r rune) bool { return !token(r) })
		if end < 0 {
			end = len(rest)
		}
		return key, rest[:end], strings.TrimLeft(rest[end:], " \t"), end > 0
	}
	end, escaped := 1, false
	for ; end < len(rest) && rest[end] != '"'; end++ {
		if rest[end] == '\\' {
			end++
			escaped = escaped || end < len(rest) && rest[end] == '"'
		}
	}
	if end >= len(rest) {
		return "", "", "", false
	}
	value = rest[1:end]
	if escaped && strings.ContainsRune(value, ';') || key == "name" && strings.ContainsRune(value, '\\') {
		return "", "", "", false
	}
	return key, value, strings.TrimLeft(rest[end+1:], " \t"), true
}

// token says whether a character may stand in a token (RFC 9110, section 5.6.2).
func token(r rune) bool {
	return letter(r) || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// take reads the value of a part that steers, which ends at the form's byte end.
func (s *Scanner) take(end int) bool {
	v := string(s.value)
	switch s.part {
	case model:
		control := func(r rune) bool { return r < ' ' || r == 0x7f }
		switch {
		case v == "":
			s.fail(0, peek.Type, "must not be empty")
		case !utf8.ValidString(v) || strings.ContainsFunc(v, control) || strings.TrimSpace(v) != v:
			s.fail(0, peek.Type, "must be a name in UTF-8, without line breaks and without blanks around it")
		default:
			s.fields.Model, s.fields.ModelAt, s.fields.ModelEnd = v, s.at, end
		}
	case stream:
		switch {
		case v != "true" && v != "false":
			s.fail(0, peek.Type, `must be "true" or "false"`)
		case v == "true" && s.sealed:
			s.fail(0, peek.Type, "must come before large files")
		}
		s.streamed, s.fields.Stream = true, v == "true"
	case other:
	}
	return s.err == nil
}

// Edits appends to e what must change in the form so that it names the model, if that is not "". The positions lie in what
// was written to the scanner by the time when the model was found.
func (s *Scanner) Edits(e []peek.Edit, name string) []peek.Edit {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	switch {
	case name == "" || name == s.fields.Model:
		return e
	case s.fields.ModelEnd > 0:
		return append(e, peek.Edit{At: s.fields.ModelAt, End: s.fields.ModelEnd, Text: name})
	}
	return append(e, peek.Edit{
		Text: string(s.dash) + "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + name + "\r\n",
	})
}
