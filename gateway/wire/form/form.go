// Package form reads what steers a request in multipart/form-data (RFC 7578) while the form goes by, so that a file in it
// need not be held.
//
// What two parsers could read differently it refuses, because the gateway checks rights and prices by what it reads while
// the upstream acts on what it reads: text before or behind the parts, the boundary inside of a value, line ends other
// than CRLF, a field that steers twice or as a file, parts whose values are encoded, parameters that depend on how a
// backslash is read. Clients make none of these.
package form

import (
	"bytes"
	"errors"
	"mime"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Bounds of a form.
const (
	MaxParts = 512     // fields and files
	MaxHead  = 4 << 10 // bytes of the head of one part
	MaxName  = 512     // bytes of the model's name
)

const (
	mediaType   = "multipart/form-data"
	maxBoundary = 70       // RFC 2046, section 5.1.1
	most        = 32 << 10 // bytes scanned at once
)

var errBoundary = errors.New("its boundary is not 1 to 70 characters of those that RFC 2046 allows")

// Is says whether a Content-Type is that of a form.
func Is(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(t, " \t"), mediaType)
}

// Boundary is what parts the fields of a form, from its Content-Type. The error says what is wrong with that.
func Boundary(contentType string) (string, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", err
	}
	b := params["boundary"]
	if b == "" || len(b) > maxBoundary || b[len(b)-1] == ' ' {
		return "", errBoundary
	}
	if strings.ContainsFunc(b, func(r rune) bool { return !letter(r) && !strings.ContainsRune("'()+_,-./:=? ", r) }) {
		return "", errBoundary
	}
	return b, nil
}

func letter(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// ContentType is the Content-Type of a form with that boundary, in the one spelling that everybody reads alike.
func ContentType(boundary string) string {
	return mime.FormatMediaType(mediaType, map[string]string{"boundary": boundary})
}

// Fields are what steers. Positions are byte offsets into the form.
type Fields struct {
	Model             string // the value of the field "model", or ""
	ModelAt, ModelEnd int    // both 0 if absent
	Stream            bool   // the field "stream" says "true"
}

// Scanner reads one form, piece by piece.
type Scanner struct {
	fields   Fields
	dash     []byte // "--" and the boundary
	window   []byte // what has come and is not read yet
	base     int    // where the window begins in the form
	state    state
	parts    int
	part     role   // of the part that is being read
	at       int    // where its value begins in the form
	value    []byte // what came of it, if it steers
	streamed bool   // the field "stream" has come
	sealed   bool
	err      error
}

type state uint8

const (
	atStart  state = iota // before the first boundary
	atTail                // behind a boundary: another part, or the end
	inHead                // of a part
	inValue               // of a part
	atEnd                 // behind the last boundary
	finished              // and behind its line end
)

// role says what a part is for.
type role uint8

const (
	other role = iota
	model
	stream
)

var names = [...]string{other: "", model: "model", stream: "stream"}

// New makes a scanner for a form with a boundary, as Boundary gives it.
func New(boundary string) *Scanner {
	return &Scanner{dash: []byte("--" + boundary)}
}

// Fields are what has been found so far. Of those that have not come, nobody knows.
func (s *Scanner) Fields() *Fields { return &s.fields }

// Ended says whether the last boundary has come: all of the form is there, or something is wrong with the rest.
func (s *Scanner) Ended() bool { return s.state >= atEnd }

// Seal says that from now on it is too late to ask for a stream: what has come is on its way.
func (s *Scanner) Seal() { s.sealed = true }

// Write reads on. The error is a *peek.Error whose Offset counts from the beginning of the form; it stays.
func (s *Scanner) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		if s.err != nil {
			return n, s.err
		}
		piece := p[n:min(n+most, len(p))]
		s.window = append(s.window, piece...)
		n += len(piece)
		used := 0
		for s.err == nil {
			step := s.step(s.window[used:])
			if step == 0 {
				break
			}
			used += step
			s.base += step
		}
		s.window = s.window[:copy(s.window, s.window[used:])]
	}
	return len(p), s.err
}

// Close says that the form ended here. The error is a *peek.Error if it is not complete.
func (s *Scanner) Close() error {
	if s.err == nil && (s.state < atEnd || len(s.window) > 0) {
		s.base, s.part = s.base+len(s.window), other
		s.fail(0, peek.Syntax, "it ends in the middle")
	}
	return s.err
}

// fail keeps what is wrong at b[i], the form's byte at base+i.
func (s *Scanner) fail(i int, kind peek.Kind, reason string) int {
	e := &peek.Error{Offset: s.base + i, Kind: kind, Field: names[s.part], Reason: "invalid form: " + reason}
	if e.Field != "" {
		e.Reason = `"` + e.Field + `" ` + reason
	}
	s.err = e
	return 0
}

var (
	crlf    = []byte("\r\n")
	headEnd = []byte("\r\n\r\n")
	dashes  = []byte("--")
)

// step reads what b, the unread bytes, begins with, and gives how much of it that was; 0 if it needs more, or has failed.
func (s *Scanner) step(b []byte) int {
	switch s.state {
	case atStart:
		n := min(len(b), len(s.dash))
		if !bytes.Equal(b[:n], s.dash[:n]) {
			return s.fail(0, peek.Syntax, "it must begin with the boundary that its content type names")
		}
		if n < len(s.dash) {
			return 0
		}
		s.state = atTail
		return n
	case atTail:
		return s.tail(b)
	case inHead:
		return s.head(b)
	case inValue:
		return s.body(b)
	case atEnd:
		if len(b) < len(crlf) && bytes.HasPrefix(crlf, b) {
			return 0
		}
		s.state = finished
		if bytes.HasPrefix(b, crlf) {
			return len(crlf)
		}
	case finished:
	}
	if len(b) > 0 {
		return s.fail(0, peek.Syntax, "there is more behind its end")
	}
	return 0
}

// tail reads what stands behind a boundary.
func (s *Scanner) tail(b []byte) int {
	switch {
	case len(b) == 0, len(b) == 1 && (b[0] == '\r' || b[0] == '-'):
		return 0
	case bytes.HasPrefix(b, crlf):
		if s.parts++; s.parts > MaxParts {
			return s.fail(0, peek.Limit, "it has more than 512 parts")
		}
		s.state = inHead
	case bytes.HasPrefix(b, dashes):
		s.state = atEnd
	default:
		return s.fail(0, peek.Syntax, "a boundary must end its line, or the form with two hyphens")
	}
	return 2
}

// body reads a part's value up to the next boundary.
func (s *Scanner) body(b []byte) int {
	i := bytes.Index(b, s.dash)
	if i < 0 {
		n := len(b) - len(s.dash) - 1 // a boundary may have begun in what is left, with the line end before it
		if n <= 0 {
			return 0
		}
		return s.keep(b[:n], n)
	}
	if i < 2 || b[i-2] != '\r' || b[i-1] != '\n' {
		return s.fail(i, peek.Syntax, "the boundary stands inside of a value")
	}
	if s.keep(b[:i-2], i) == 0 || !s.take(s.base+i-2) {
		return 0
	}
	s.state, s.part, s.value = atTail, other, s.value[:0]
	return i + len(s.dash)
}

// keep remembers a piece of a value that steers; it gives n, or 0 if the value is too long.
func (s *Scanner) keep(piece []byte, n int) int {
	if s.part == other {
		return n
	}
	if len(s.value)+len(piece) > MaxName {
		return s.fail(0, peek.Type, "is longer than 512 bytes")
	}
	s.value = append(s.value, piece...)
	return n
}
