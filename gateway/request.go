package gateway

import (
	"errors"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/form"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Policy says who may use an endpoint. A route without a policy does not exist: the table is deny by default.
type Policy uint8

// Policies.
const (
	Closed  Policy = iota // nobody; what a forgotten policy means
	Callers               // a caller that a plugin has identified
	Public                // anybody
)

// Endpoint is one thing that can be asked: a row of the transport's table.
type Endpoint struct {
	Name    string // "chat.completions"; bounded, so it serves as a metrics label
	Method  string
	Path    string // as callers write it, without parameters: "/v1/chat/completions"
	Forward string // below a provider's base URL: "/chat/completions"; "" if the gateway answers itself
	Dialect string // in which requests, replies and errors are written: "openai"
	Policy  Policy

	Body    BodyKind
	Model   ModelUse
	Default string // the model that a request means which names none; for OptionalModel
	Bytes   bool   // answers may be bytes without a meaning of their own: audio, files
	Free    bool   // no provider charges for it: nothing is generated

	// Counts is what a request is charged by if the provider reports no usage, Images or Characters. Zero: nothing is known.
	Counts catalog.Class

	// Decode reads the body of a conversation, so that a provider of another dialect can serve it; nil for endpoints that
	// are none. The error is a *chat.Error.
	Decode func(body []byte) (*chat.Request, error)
}

// Generates says whether answers are generated piece by piece and charged by their length.
func (e *Endpoint) Generates() bool { return e.Decode != nil || e.Name == "completions" }

// BodyKind says what a POST carries; other methods carry nothing.
type BodyKind uint8

// Kinds of body.
const (
	JSON   BodyKind = iota // one object
	Form                   // multipart/form-data; JSON too, where the content type says so
	NoBody                 // nothing, or what nobody reads
)

// ModelUse says how an endpoint finds who serves it.
type ModelUse uint8

// Uses of a model.
const (
	NeedsModel    ModelUse = iota // by the model that the body names
	OptionalModel                 // likewise; without one by Endpoint.Default, or if that is "" as with NoModel
	NoModel                       // by the provider: of an id in the path or the body, or the first that can
)

// Header is a borrowed, read-only view of the request's header fields. It is valid while handlers run: a stream or an
// OnEnd function that needs a field copies it before.
type Header interface {
	// Get is the value of the first field with that name in any case, or nil.
	Get(name string) []byte
}

// Body is the request body as a transport gives it.
type Body interface {
	// Load reads all of it under the transport's limits. Called at most once. The bytes stay the transport's, and may be
	// changed until Free; the error is an *Error, or the cause of the cancellation.
	Load() ([]byte, error)
	// Free takes the bytes back. Called exactly once, whether or not Load was called.
	Free()
}

// Request is what the caller sent. Endpoint and Header are known at once, and so is Param for endpoints that have one;
// model, stream and the body only after Open.
type Request struct {
	Endpoint *Endpoint
	Header   Header
	Param    string // the {id} of the endpoint's path, decoded; if the endpoint is forwarded, it can stand in a path as it is
	Query    string // of the request target, as it came and without "?"; nothing but what a URL may contain
	NoStream *Error // why the transport cannot carry a stream; nil if it can

	body   Body
	raw    []byte
	begun  []byte
	fields peek.Fields
	refs   []Reference
	form   *formBody // nil if the body is none
	opened bool
	err    error

	chat    *chat.Request // decoded
	chatErr error
}

// Open reads and scans the body, once, under the transport's limits. It is lazy so that authentication and limits
// refuse from the headers alone. Every plugin behind auth may call it. The error is an *Error, or the cause of the
// cancellation if the client has left.
func (r *Request) Open() error {
	if r.opened || r.body == nil {
		return r.err
	}
	r.opened = true
	if r.Endpoint.Body == Form {
		r.err = r.openByType(string(r.Header.Get("Content-Type")))
	} else {
		r.err = r.openJSON()
	}
	if r.err == nil && r.fields.Stream && r.NoStream != nil {
		r.err = r.NoStream
	}
	return r.err
}

func (r *Request) openByType(contentType string) error {
	switch {
	case form.Is(contentType):
		return r.openForm(contentType)
	case isJSON(contentType):
		return r.openJSON()
	}
	return errNoForm
}

func (r *Request) openJSON() (err error) {
	if r.raw, err = r.body.Load(); err != nil {
		return err
	}
	if err := r.scan(); err != nil || r.Endpoint.Forward == "" {
		return err
	}
	if r.raw, r.refs = references(r.raw); r.refs != nil {
		return r.scan() // positions have changed
	}
	return nil
}

func (r *Request) scan() (err error) {
	if r.fields, err = peek.Scan(r.raw); err != nil && !r.mayLackModel(err) {
		return badBody(err)
	}
	return nil
}

// mayLackModel says whether all that is wrong with a body is that it names no model, and that is allowed.
func (r *Request) mayLackModel(err error) bool {
	p, ok := errors.AsType[*peek.Error](err)
	return ok && p.Kind == peek.Missing && r.Endpoint.Model != NeedsModel
}

// Chat is the conversation in the neutral form, decoded once; Open has succeeded. It is shared: nobody changes it. It is
// nil for endpoints that are no conversation, and after the last release. The error is an *Error that names the field.
func (r *Request) Chat() (*chat.Request, error) {
	if r.chat == nil && r.chatErr == nil && r.Endpoint.Decode != nil && r.raw != nil {
		if r.chat, r.chatErr = r.Endpoint.Decode(r.raw); r.chatErr != nil {
			r.chatErr = BadRequest(r.chatErr)
		} else {
			r.chat.Dialect = r.Endpoint.Dialect
		}
	}
	return r.chat, r.chatErr
}

// Edits appends to e what must change in Body so that it names a model, if that is not "", and, unless it is a form, so that
// a stream's usage is asked for.
func (r *Request) Edits(e []peek.Edit, model string, askUsage bool) []peek.Edit {
	if r.form != nil {
		return r.form.scan.Edits(e, model)
	}
	return r.fields.Edits(e, model, askUsage)
}

// Body is the bytes as they came, but for those that Rest gives and the holders of References: nil before Open and after the
// last release.
func (r *Request) Body() []byte { return r.raw }

// Member is the string in the body's own member of that key, which is given with its quotes; "" if there is none, before Open
// and for forms.
func (r *Request) Member(quotedKey string) string {
	if r.form != nil {
		return ""
	}
	s, _ := peek.String(peek.Find(r.raw, []byte(quotedKey)))
	return s
}

// References are the things that the body names by ids of [HeldID], one for each holder; most have none, and so have forms.
// Whoever plans leads the request there. In Body those ids are the provider's own.
func (r *Request) References() []Reference { return r.refs }

// Fields are what steers, with its positions in Body; zero before Open. Of a form they are model and stream, without
// positions.
func (r *Request) Fields() *peek.Fields { return &r.fields }

// Model is the name that the caller wrote, "" before Open.
func (r *Request) Model() string { return r.fields.Model }

// Stream says whether the caller asked for events, false before Open.
func (r *Request) Stream() bool { return r.fields.Stream }

func (r *Request) free() {
	r.raw, r.chat = nil, nil
	if r.form != nil {
		r.form.rest = nil
	}
	if b := r.body; b != nil {
		b.Free()
	}
}
