package socket

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

const chatEndpoint = "chat.completions"

// chatDialog is our own protocol, for browsers. Clients say
//
//	{"type":"chat.create","id":"…","request":{…}}     the body of POST /v1/chat/completions, without "stream"
//	{"type":"chat.cancel","id":"…"}
//	{"type":"chat.resume","id":"…","after":17}        go on behind event 17, here; 0: from the beginning
//	{"type":"auth","token":"…"}                       a new token of the same caller's, in the place of the old one
//
// and we
//
//	{"type":"chat.chunk","id":"…","seq":18,"chunk":{…}}
//	{"type":"chat.done","id":"…","seq":19,"request_id":…,"usage":…,"cost":…,"provider":…,"model":…,"cache":…}
//	{"type":"error","id":"…","seq":19,"status":…,"request_id":…,"error":{…}}   without "seq": the message was refused
//	{"type":"auth.ok","expires_at":…}                                          Unix seconds; null: never
//
// seq counts the events of one exchange from 1 on. The last is chat.done or an error.
type chatDialog struct{}

func (*chatDialog) protocol() string    { return "chat" }
func (*chatDialog) life() time.Duration { return 0 }
func (*chatDialog) outlived() []byte    { return nil }
func (*chatDialog) hungUp()             {}

func (*chatDialog) refused(e *gateway.Error) []byte { return appendErrorMessage(nil, "", 0, e, "") }

func (d *chatDialog) message(s *socket, m *message) {
	asked, err := parse(*m.text)
	kind := asked.kind
	switch kind {
	case "chat.create", "chat.cancel", "chat.resume", "auth":
	default:
		kind = "other"
	}
	s.hub.metrics.messages.WithLabelValues(d.protocol(), kind).Inc()
	if wait := s.bucket.take(); wait > 0 {
		err = tooManyMessages(wait)
	}
	if err == nil && asked.id == "" && kind != "auth" {
		err = badMember("id")
	}
	if err == nil && kind == "chat.create" {
		if err = d.create(s, m, &asked); err == nil {
			return // the exchange has the message
		}
	}
	if err == nil {
		err = d.other(s, kind, &asked)
	}
	m.free()
	if err != nil {
		s.say(appendErrorMessage(nil, asked.id, 0, gateway.AsError(err), ""))
	}
}

// other does what needs no exchange. The error is an *Error.
func (d *chatDialog) other(s *socket, kind string, asked *members) error {
	switch kind {
	case "chat.cancel":
		if x := s.find(asked.id); x != nil {
			x.cancel()
			return nil
		}
		return errUnknown
	case "chat.resume":
		return s.resume(asked.id, asked.after)
	case "auth":
		return s.renew(asked.token)
	}
	return errKind
}

var errKind = invalid("unknown_type", "The gateway knows messages of the types chat.create, chat.cancel, chat.resume and auth.")

// create begins an exchange. The error is an *Error, and the message is still the caller's.
func (d *chatDialog) create(s *socket, m *message, asked *members) error {
	switch {
	case s.hub.drains():
		return gateway.AsError(gateway.ErrDrain)
	case s.count() >= s.hub.o.AtOnce:
		return errBusySocket
	case asked.request == nil:
		return badMember("request")
	}
	text, e := streaming(asked.request)
	if e != nil {
		return e
	}
	err := m.replace(len(asked.request)+len(streams), func(b []byte) []byte {
		return append(append(append(b, asked.request[:text.at]...), text.insert...), asked.request[text.at:]...)
	})
	if err != nil {
		return err
	}
	if e := s.begin(m, chatSpeech{}, name{s.owner, asked.id}); e != nil {
		return e
	}
	return nil
}

const streams = `"stream":true,`

// insertion is what must be put into a request, and where.
type insertion struct {
	at     int
	insert string
}

// streaming makes a request one for a stream. The error is an *Error. What is no JSON is left to who reads it.
func streaming(request []byte) (i insertion, e *gateway.Error) {
	switch v := peek.Find(request, []byte(`"stream"`)); {
	case v == nil:
		i = insertion{at: 1, insert: streams}
		if rest := bytes.TrimLeft(request[1:], " \t\r\n"); len(rest) > 0 && rest[0] == '}' {
			i.insert = strings.TrimSuffix(streams, ",")
		}
		return i, nil
	case string(v) == "true":
		return insertion{}, nil
	}
	return i, badMember("stream")
}

// find is an exchange of the caller's; nil if there is none of that name.
func (s *socket) find(id string) *exchange {
	if x, ok := s.hub.exchanges.Load(name{s.owner, id}); ok {
		return x.(*exchange) //nolint:forcetypeassert // nothing else is there
	}
	return nil
}

// resume goes on with an exchange here, if its caller is still one. The error is an *Error.
func (s *socket) resume(id string, after int64) error {
	if _, e := s.present(s.fields.Load()); e != nil {
		return e
	}
	x := s.find(id)
	switch {
	case x == nil:
		return errUnknown
	case s.count() >= s.hub.o.AtOnce:
		return errBusySocket
	}
	if e := x.attach(s, after); e != nil {
		return e
	}
	s.hub.metrics.resumed.Inc()
	return nil
}

// present is who the socket's caller is now. The error is an *Error: he is none any more, or another one.
func (s *socket) present(f *fields) (gateway.Caller, *gateway.Error) {
	g := s.hub.generations.Acquire()
	defer g.Release()
	c, e := s.admit(g, f)
	if e == nil && ownerOf(&c, s.client) != s.owner {
		e = errAnother
	}
	return c, e
}

var errAnother = &gateway.Error{
	Status: 403, Type: gateway.TypePermission, Code: "another_caller", Param: "token", Origin: gateway.OriginClient, NoRetry: true,
	Message: "The token is not of the caller who opened this connection. Open another one.",
}

// renew takes another credential of the same caller. The error is an *Error: the old one stays.
func (s *socket) renew(token string) error {
	if token == "" {
		return badMember("token")
	}
	f := s.fields.Load().renewed(token)
	c, e := s.present(f)
	switch {
	case e != nil:
		return e
	case longLived(&c):
		return errLongLived
	}
	s.fields.Store(f)
	s.expires.Store(expiry(&c))
	b := append([]byte(nil), `{"type":"auth.ok","expires_at":`...)
	if c.Expires.IsZero() {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, c.Expires.Unix(), 10)
	}
	s.say(append(b, '}'))
	return nil
}

// chatSpeech puts exchanges into chat's words.
type chatSpeech struct{}

var terminal = []byte("[DONE]")

func (chatSpeech) event(b []byte, x *exchange, seq int64, ev gateway.Event) ([]byte, bool) {
	if bytes.Equal(ev.Data, terminal) {
		return b, false
	}
	b = append(append(append(b, `{"type":"chat.chunk","id":"`...), x.name.id...), `","seq":`...)
	b = append(strconv.AppendInt(b, seq, 10), `,"chunk":`...)
	return append(append(b, ev.Data...), '}'), true
}

func (chatSpeech) done(b []byte, x *exchange, seq int64) ([]byte, bool) {
	b = append(append(append(b, `{"type":"chat.done","id":"`...), x.name.id...), `","seq":`...)
	b = append(append(strconv.AppendInt(b, seq, 10), `,"request_id":"`...), x.ID...)
	usage, provider, model := x.Usage, "", ""
	if n := len(x.Attempts()); n > 0 {
		provider, model = x.Attempts()[n-1].Provider, x.Attempts()[n-1].Model
	} else if r := x.Replay; r != nil {
		usage, provider, model = r.Usage, r.Provider, r.Name
	}
	b = append(b, `","usage":`...)
	if usage.Provenance == chat.Unknown {
		b = append(b, "null"...)
	} else {
		b = openai.AppendUsage(b, usage)
	}
	b = append(b, `,"cost":`...)
	if c := x.Cost(); c.Known {
		b = c.AppendUSD(b)
	} else {
		b = append(b, "null"...)
	}
	b = appendText(append(b, `,"provider":`...), provider)
	b = appendText(append(b, `,"model":`...), model)
	return append(appendText(append(b, `,"cache":`...), cached(x.Reply)), '}'), true
}

func (chatSpeech) failed(b []byte, x *exchange, seq int64, e *gateway.Error) []byte {
	return appendErrorMessage(b, x.name.id, seq, e, x.ID)
}

func (chatSpeech) ended(*exchange) {}

// cached is what the cache says of a reply; "" if there is none in the chain.
func cached(r *gateway.Reply) string {
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, "x-sluice-cache") {
			return f.Value
		}
	}
	return ""
}

// appendText adds a string; null if it is empty.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return shape.AppendString(b, s)
}

var (
	_ dialog = (*chatDialog)(nil)
	_ speech = chatSpeech{}
)
