package gateway

import (
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
}

// Header is a borrowed, read-only view of the request's header fields. It is valid while handlers run: a stream or an
// OnEnd function that needs a field copies it before.
type Header interface {
	// Get is the value of the first field with that name in any case, or nil.
	Get(name string) []byte
}

// Body is the request body as a transport gives it.
type Body interface {
	// Load reads all of it under the transport's limits. Called at most once. The bytes stay the transport's; the error is
	// an *Error, or the cause of the cancellation.
	Load() ([]byte, error)
	// Free takes the bytes back. Called exactly once, whether or not Load was called.
	Free()
}

// Request is what the caller sent. Endpoint and Header are known at once, and so is Param for endpoints that have one;
// model, stream and the body only after Open.
type Request struct {
	Endpoint *Endpoint
	Header   Header
	Param    string // what stands behind the endpoint's path: the id of GET /v1/models/{id}
	NoStream *Error // why the transport cannot carry a stream; nil if it can

	body   Body
	raw    []byte
	fields peek.Fields
	opened bool
	err    error
}

// Open reads and scans the body, once, under the transport's limits. It is lazy so that authentication and limits
// refuse from the headers alone. Every plugin behind auth may call it. The error is an *Error, or the cause of the
// cancellation if the client has left.
func (r *Request) Open() error {
	if r.opened || r.body == nil {
		return r.err
	}
	r.opened = true
	if r.raw, r.err = r.body.Load(); r.err != nil {
		return r.err
	}
	if r.fields, r.err = peek.Scan(r.raw); r.err != nil {
		r.err = badBody(r.err)
	} else if r.fields.Stream && r.NoStream != nil {
		r.err = r.NoStream
	}
	return r.err
}

// Body is the bytes as they came: nil before Open and after the last release.
func (r *Request) Body() []byte { return r.raw }

// Fields are what steers, with its positions in Body; zero before Open.
func (r *Request) Fields() *peek.Fields { return &r.fields }

// Model is the name that the caller wrote, "" before Open.
func (r *Request) Model() string { return r.fields.Model }

// Stream says whether the caller asked for events, false before Open.
func (r *Request) Stream() bool { return r.fields.Stream }

func (r *Request) free() {
	r.raw = nil
	if b := r.body; b != nil {
		b.Free()
	}
}
