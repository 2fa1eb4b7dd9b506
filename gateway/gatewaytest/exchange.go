package gatewaytest

import (
	"bytes"
	"errors"
	"net/textproto"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

// Request is what a test asks. Its zero value is a chat completion by nobody.
type Request struct {
	Endpoint  *gateway.Endpoint  // nil: Chat
	Header    Header             // may be nil
	Param     string             // what stands behind the endpoint's path
	Body      string             // of a POST; "" asks the model "demo"
	Caller    gateway.Caller     // for plugins behind auth
	Directory *gateway.Directory // nil: an empty one
}

// DefaultBody is the body of a Request that says nothing of it.
const DefaultBody = `{"model":"demo","messages":[{"role":"user","content":"hi"}]}`

// Chat is the endpoint of chat completions.
func Chat() *gateway.Endpoint {
	return &gateway.Endpoint{
		Name: "chat.completions", Method: "POST", Path: "/v1/chat/completions", Forward: "/chat/completions",
		Dialect: "openai", Policy: gateway.Callers,
	}
}

// ModelsList is the endpoint that lists models.
func ModelsList() *gateway.Endpoint {
	return &gateway.Endpoint{Name: "models.list", Method: "GET", Path: "/v1/models", Dialect: "openai", Policy: gateway.Callers}
}

// ModelsRetrieve is the endpoint that shows one model, whose id is the request's Param.
func ModelsRetrieve() *gateway.Endpoint {
	return &gateway.Endpoint{
		Name: "models.retrieve", Method: "GET", Path: "/v1/models/{id}", Dialect: "openai", Policy: gateway.Callers,
	}
}

// Endpoint is the transport's own endpoint of that name, in a dialect or, if that is "", in the first that it is in; nil if
// there is none.
func Endpoint(name, dialect string) *gateway.Endpoint {
	for _, e := range serve.Endpoints() {
		if e.Name == name && (dialect == "" || e.Dialect == dialect) {
			return &e
		}
	}
	return nil
}

// Header are request headers in memory, by canonical name.
type Header map[string][]byte

var _ gateway.Header = Header(nil)

// Fields makes headers of names and values in turn.
func Fields(pairs ...string) Header {
	h := Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h[textproto.CanonicalMIMEHeaderKey(pairs[i])] = []byte(pairs[i+1])
	}
	return h
}

// Get implements gateway.Header.
func (h Header) Get(name string) []byte { return h[textproto.CanonicalMIMEHeaderKey(name)] }

// New makes an exchange whose body is in memory. A plugin that treats the body against the contract fails the test.
func New(t testing.TB, r Request) *gateway.Exchange {
	t.Helper()
	return newExchange(r, func(err error) { t.Error(err) })
}

func newExchange(r Request, fault func(error)) *gateway.Exchange {
	e := r.Endpoint
	if e == nil {
		e = Chat()
	}
	var b gateway.Body
	if e.Method == "POST" {
		text := r.Body
		if text == "" {
			text = DefaultBody
		}
		b = &body{data: []byte(text), fault: fault}
	}
	x := &gateway.Exchange{Directory: r.Directory, Caller: r.Caller}
	if x.Directory == nil {
		x.Directory = gateway.NewDirectory(gateway.Entries{})
	}
	x.Init("req_test", e, r.Header, b)
	x.Request.Param = r.Param
	return x
}

// body is a request body that notices a second Load or Free, and spoils its bytes once they are given back.
type body struct {
	data          []byte
	fault         func(error)
	loaded, freed bool
}

var (
	errLoadedTwice = errors.New("the request's body was loaded twice")
	errFreedTwice  = errors.New("the request's body was freed twice")
)

// Load implements gateway.Body.
func (b *body) Load() ([]byte, error) {
	if b.loaded {
		b.fault(errLoadedTwice)
	}
	b.loaded = true
	return b.data, nil
}

// Free implements gateway.Body.
func (b *body) Free() {
	if b.freed {
		b.fault(errFreedTwice)
	}
	b.freed = true
	copy(b.data, bytes.Repeat([]byte{spoilt}, len(b.data)))
}

const spoilt = 0xff // in no JSON text and no UTF-8
