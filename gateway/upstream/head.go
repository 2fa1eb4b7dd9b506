package upstream

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

var (
	headEnd     = []byte("\r\n\r\n")
	errHead     = errors.New("upstream: the reply's head is malformed")
	errEncoding = errors.New("upstream: the reply is compressed though nobody asked for it")
)

const maxInterim = 8 // informational replies before the real one

// expectHead begins the time that the reply's head and the first event may take: the request is on its way.
func (st *stream) expectHead() {
	t := &st.p.c.Timeouts
	now := gateway.Now()
	st.headWithin = within(now, t.Headers, errHeaders)
	if !st.x.Request.Stream() {
		st.headWithin = within(now, t.Answer, errAnswer)
	}
	st.firstEvent = within(now, t.FirstEvent, errFirstEvent)
}

// readHead waits for the reply's head and reads it.
func (st *stream) readHead() error {
	if st.headWithin.err == nil {
		st.expectHead()
	}
	for interim := 0; ; {
		n, err := st.findHead(st.headWithin)
		if err != nil {
			return err
		}
		b := *st.c.buf
		if err := st.head(b[:n+2]); err != nil {
			return err
		}
		if st.reply.Status >= 200 {
			st.start, st.end, st.next = n+4, n+4, n+4
			return nil
		}
		if interim++; interim > maxInterim || st.reply.Status == 101 {
			return errHead
		}
		*st.c.buf = append(b[:0], b[n+4:]...)
	}
}

// findHead reads until a head is complete, and gives where its last line ends.
func (st *stream) findHead(l limit) (int, error) {
	c := st.c
	for {
		if c.buf != nil {
			b := *c.buf
			if i := bytes.Index(b, headEnd); i >= 0 {
				return i, nil
			}
			if len(b) >= maxHead {
				return 0, errHead
			}
			if len(b) == cap(b) {
				if err := c.grow(maxHead); err != nil {
					return 0, err
				}
			}
		}
		if err := c.fill(l, st.total, nil); err != nil {
			return 0, err
		}
	}
}

// head reads a status line and headers, each line ended by CRLF (RFC 9112). Strict, because two readings of one head
// are how answers are smuggled: no folding, no control characters, one Content-Length, none beside Transfer-Encoding.
func (st *stream) head(h []byte) error {
	text := string(h) // one allocation that all kept values share
	at := strings.IndexByte(text, '\n') + 1
	if at < 2 || text[at-2] != '\r' {
		return errHead
	}
	status, ok := statusLine(text[:at-2])
	if !ok {
		return errHead
	}
	st.reply = gateway.Reply{Status: status, Header: st.fields[:0], Stream: st}
	st.requestID = ""
	f := framing{keep: h[7] == '1', length: -1}
	for at < len(h) {
		n := bytes.IndexByte(h[at:], '\n')
		if n < 1 || h[at+n-1] != '\r' {
			return errHead
		}
		name, value, ok := splitField(text[at : at+n-1])
		at += n + 1
		if !ok || !st.field(&f, name, value) {
			return errHead
		}
	}
	if f.encoded {
		return errEncoding
	}
	if f.told.some {
		now := gateway.Now()
		st.attempt.Limits(now, f.told.limits(now))
	}
	return st.frame(f)
}

// statusLine reads "HTTP/1.1 200 OK"; the reason may be missing, and the space before it, too.
func statusLine(line string) (status int, ok bool) {
	if len(line) < 12 || line[:7] != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return 0, false
	}
	for _, d := range []byte(line[9:12]) {
		if d < '0' || d > '9' {
			return 0, false
		}
		status = status*10 + int(d-'0')
	}
	return status, status >= 100 && (len(line) == 12 || line[12] == ' ') && clean(line[12:])
}

// framing is what a head says of the body behind it.
type framing struct {
	keep    bool
	chunked bool
	length  int64
	encoded bool
	told    told
}

// splitField reads "Name: value"; the name must be a token directly before the colon.
func splitField(line string) (name, value string, ok bool) {
	k := 0
	for k < len(line) && token[line[k]] {
		k++
	}
	if k == 0 || k == len(line) || line[k] != ':' || !clean(line[k+1:]) {
		return "", "", false
	}
	return line[:k], trim(line[k+1:]), true
}

// clean says whether text has no control characters but tabs.
func clean(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// token are the characters of a field's name (RFC 9110, section 5.6.2).
var token = func() (t [256]bool) {
	for c := range t {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		t[c] = letter || c >= '0' && c <= '9' || c > 0 && c < 0x7f && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return t
}()

// trim takes spaces and tabs off both ends; strings.Trim takes a tenth of the time that a head needs.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// field takes what matters of one header line; false if it makes the framing ambiguous. What passes to the caller is a
// list of what may, never of what may not.
func (st *stream) field(f *framing, name, value string) bool {
	is := func(known string) bool { return len(name) == len(known) && strings.EqualFold(name, known) }
	switch {
	case is("content-length"):
		return f.setLength(value)
	case is("transfer-encoding"):
		if f.chunked || !strings.EqualFold(value, "chunked") {
			return false
		}
		f.chunked = true
	case is("connection"):
		f.keep = f.keep && !hasClose(value)
	case is("content-encoding"):
		f.encoded = value != "" && !strings.EqualFold(value, "identity")
	case is("content-type"):
		st.reply.ContentType = value
	case is("x-request-id"), is("request-id"):
		st.requestID = value
	case is("content-disposition"):
		if st.x.Request.Endpoint.Bytes {
			st.pass("content-disposition", value)
		}
	case is("retry-after"):
		st.pass("retry-after", value)
	case is("retry-after-ms"):
		st.pass("retry-after-ms", value)
	case is("openai-processing-ms"), f.told.take(name, value):
		if st.r.native { // in another dialect they mean nothing
			st.pass(name, value)
		}
	}
	return true
}

func hasPrefix(name, prefix string) bool {
	return len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// hasClose looks for "close" in a list of connection options.
func hasClose(list string) bool {
	for option := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(trim(option), "close") {
			return true
		}
	}
	return false
}

// setLength takes a Content-Length; false unless it is a plain number and the only one.
func (f *framing) setLength(value string) bool {
	n, err := strconv.ParseUint(value, 10, 63) // without a sign, unlike ParseInt
	if err != nil || f.length >= 0 && f.length != int64(n) {
		return false
	}
	f.length = int64(n)
	return true
}

func (st *stream) pass(name, value string) {
	st.reply.Header = append(st.reply.Header, gateway.Field{Name: name, Value: value})
}

// frame decides how the body is read.
func (st *stream) frame(f framing) error {
	switch status := st.reply.Status; {
	case status < 200 || status == 204 || status == 304:
		st.state = bodyOver
	case f.chunked && f.length >= 0:
		return errHead
	case f.chunked:
		st.state = chunkSize
	case f.length > int64(st.p.c.MaxBody) && !st.isBytes():
		return errTooLarge
	case f.length > 0:
		st.state, st.left = bodyFixed, f.length
	case f.length == 0:
		st.state = bodyOver
	default:
		st.state, f.keep = bodyToEOF, false
	}
	st.keep = f.keep
	switch {
	case st.reply.Status >= 300:
	case st.isBytes():
		st.reply.Kind = gateway.Bytes
	case is(st.reply.ContentType, "text/event-stream"):
		st.reply.Kind = gateway.Events
	}
	return nil
}

// isBytes says whether the body is a file, a recording or a text, which passes as it comes. A file may be of any type; what
// else may be bytes is none of the dialect's own types, and no page of a proxy's.
func (st *stream) isBytes() bool {
	t := st.reply.ContentType
	return st.r.native && st.x.Request.Endpoint.Bytes && st.reply.Status < 300 &&
		(st.r.file || !is(t, "application/json") && !is(t, "text/event-stream") && !is(t, "text/html"))
}

// is says whether a content type is of a media type, whatever its parameters are.
func is(contentType, want string) bool {
	return len(contentType) >= len(want) && strings.EqualFold(contentType[:len(want)], want)
}
