package socket

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

const (
	firstRead = 1 << 10  // bytes lent for a message before any of it has come
	slowest   = 32 << 10 // bytes a second at which a message may come without running out of time
)

// message is what a client said. Its bytes count among those of all requests until free.
type message struct {
	server *serve.Server
	text   *[]byte // lent
	held   int64
}

// receive reads a message. The error is an *Error if the gateway had no room for it: the rest of it was skipped. Otherwise the
// connection is of no use any more.
func (s *socket) receive(r io.Reader) (*message, error) {
	m := &message{server: s.hub.server}
	err := m.read(r, s.hub.o.ReadTimeout)
	if err == nil {
		return m, nil
	}
	m.free()
	if _, ok := errors.AsType[*gateway.Error](err); ok {
		if _, e := io.Copy(io.Discard, r); e != nil {
			return nil, e
		}
	}
	return nil, err
}

var errDribbles = errors.New("socket: a message did not arrive in time")

func (m *message) read(r io.Reader, within time.Duration) error {
	begin := gateway.Now()
	if err := m.lend(firstRead); err != nil {
		return err
	}
	for {
		b := *m.text
		if len(b) == cap(b) {
			if err := m.lend(4 * cap(b)); err != nil {
				return err
			}
			b = *m.text
		}
		n, err := r.Read(b[len(b):cap(b)])
		*m.text = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case gateway.Since(begin) > within+time.Duration(len(*m.text))*time.Second/slowest:
			return errDribbles
		}
	}
}

func (m *message) lend(size int) error {
	if m.text == nil {
		m.text = buf.Get(size)
	} else {
		m.text = buf.Grow(m.text, size)
	}
	more := int64(cap(*m.text)) - m.held
	if err := m.server.Take(more); err != nil {
		return err
	}
	m.held += more
	return nil
}

func (m *message) free() {
	if m.text != nil {
		m.server.Give(m.held)
		buf.Put(m.text)
		m.text, m.held = nil, 0
	}
}

func (m *message) isText() bool { return utf8.Valid(*m.text) }

// replace makes the message what edit appends to an empty buffer with room for n bytes. The error is an *Error.
func (m *message) replace(n int, edit func(b []byte) []byte) error {
	other := message{server: m.server}
	if err := other.lend(n); err != nil {
		other.free()
		return err
	}
	*other.text = edit(*other.text)
	m.free()
	*m = other
	return nil
}

// members are the ones of a message that we look at; the values are borrowed from it.
type members struct {
	kind, id, token string
	after           int64
	request         []byte
}

// parse reads a message of chat. What it does not know it leaves alone. The error is an *Error; the members that were read until
// then are there.
func parse(text []byte) (m members, err error) {
	seen := map[string]bool{}
	read := func(key string, is bool) {
		if err == nil && (!is || seen[key]) {
			err = badMember(key)
		}
		seen[key] = true
	}
	ok := peek.Each(text, func(key, value []byte) bool {
		var is bool
		switch key := string(key); key {
		case "type":
			m.kind, is = peek.String(value)
			read(key, is)
		case "id":
			m.id, is = peek.String(value)
			read(key, is && isName(m.id))
		case "token":
			m.token, is = peek.String(value)
			read(key, is && isToken(m.token))
		case "after":
			m.after, is = peek.Int(value)
			read(key, is && m.after >= 0)
		case "request":
			m.request = value
			read(key, len(value) > 0 && value[0] == '{')
		}
		return true
	})
	if !ok {
		return members{}, errNoMessage
	}
	if !isName(m.id) {
		m.id = "" // it is repeated in the error
	}
	if err == nil && m.kind == "" {
		err = badMember("type")
	}
	return m, err
}

const longestName = 128

// isName says whether a client may call an exchange, or a lane, by that id: it stands in messages as it is.
func isName(id string) bool {
	return id != "" && len(id) <= longestName && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && r != '_' && r != '-' && r != '.' && r != ':'
	})
}

// isToken says whether a text can stand in a header.
func isToken(t string) bool {
	return t != "" && len(t) <= 16<<10 && !strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' })
}

// appendErrorMessage adds the event that tells of an error: of an exchange with that id, or of none if it is "".
func appendErrorMessage(b []byte, id string, seq int64, e *gateway.Error, exchange string) []byte {
	b = append(b, `{"type":"error"`...)
	if id != "" {
		b = append(append(append(b, `,"id":"`...), id...), '"')
	}
	if seq > 0 {
		b = strconv.AppendInt(append(b, `,"seq":`...), seq, 10)
	}
	if e.Status > 0 {
		b = strconv.AppendInt(append(b, `,"status":`...), int64(e.Status), 10)
	}
	if exchange != "" {
		b = append(append(append(b, `,"request_id":"`...), exchange...), '"')
	}
	if e.RetryAfter > 0 {
		b = strconv.AppendInt(append(b, `,"retry_after_ms":`...), e.RetryAfter.Milliseconds(), 10)
	}
	return append(appendErrorMember(append(b, ','), e, exchange), '}')
}

// appendErrorMember adds "error" and its value, as OpenAI's bodies of errors have them.
func appendErrorMember(b []byte, e *gateway.Error, exchange string) []byte {
	at := len(b)
	b = openai.AppendError(b, serve.Said(e, exchange))
	return append(b[:at], b[at+1:len(b)-1]...) // without the braces
}

func badMember(param string) *gateway.Error {
	return &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "invalid_value", Param: param, Origin: gateway.OriginClient, NoRetry: true,
		Message: "The message's \"" + param + "\" is missing, stands there twice, or is not what it must be.",
	}
}

func invalid(code, text string) *gateway.Error {
	return &gateway.Error{Status: 400, Type: gateway.TypeInvalidRequest, Code: code, Origin: gateway.OriginClient, NoRetry: true, Message: text}
}

var errNoMessage = invalid("invalid_json", "A message is one JSON object.")

// bucket bounds the messages of one client: a minute's worth may come at once.
type bucket struct {
	perMinute, left float64
	at              gateway.Instant
}

func (b *bucket) init(perMinute int) {
	b.perMinute, b.left, b.at = float64(perMinute), float64(perMinute), gateway.Now()
}

// take takes one; if there is none, it says when there will be.
func (b *bucket) take() (wait time.Duration) {
	if b.perMinute == 0 {
		return 0
	}
	now := gateway.Now()
	b.left, b.at = min(b.perMinute, b.left+now.Sub(b.at).Minutes()*b.perMinute), now
	if b.left < 1 {
		return time.Duration((1 - b.left) / b.perMinute * float64(time.Minute))
	}
	b.left--
	return 0
}

func tooManyMessages(wait time.Duration) *gateway.Error {
	return &gateway.Error{
		Status: 429, Type: gateway.TypeRateLimit, Code: "rate_limit_exceeded", Origin: gateway.OriginClient, RetryAfter: wait,
		Message: "There were too many messages on this connection. Wait for " + (wait + time.Millisecond).Truncate(time.Millisecond).String() + ".",
	}
}
