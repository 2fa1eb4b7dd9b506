package gateway

import (
	"errors"
	"io"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/form"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Streamed is a Body whose end need not be held: that of a form with a large file in it.
type Streamed interface {
	Body
	// LoadUntil is used instead of Load. It stops before the end once enough says so, which is asked each time when more has
	// come, with all that has come so far.
	LoadUntil(enough func(b []byte) bool) ([]byte, error)
	// Rest reads, under the transport's limits, what LoadUntil left; nil if that was nothing. It is read before Free, while
	// handlers run, and by one goroutine at a time.
	Rest() io.Reader
	// Size is the declared length of all of it in bytes; -1 if none was declared.
	Size() int64
}

// leastForm is how many bytes of a form are loaded at least, if it has so many: a form that is all there can be sent to
// another provider if the first one fails.
const leastForm = 256 << 10

// formBody is what a Request has more if its body is a form.
type formBody struct {
	scan        *form.Scanner
	contentType string
	size        int64
	rest        io.Reader // behind what is loaded; nil: nothing
	spent       bool      // some of rest was read
}

// openForm loads a form until it is known where it goes, or all of it.
func (r *Request) openForm(contentType string) error {
	boundary, err := form.Boundary(contentType)
	if err != nil {
		return &Error{
			Status: 400, Type: TypeInvalidRequest, Code: "invalid_content_type", Origin: OriginClient,
			Message: "The Content-Type of the form is malformed: " + err.Error() + ".",
		}
	}
	f := &formBody{scan: form.New(boundary), contentType: form.ContentType(boundary)}
	r.form = f
	var malformed error
	if s, ok := r.body.(Streamed); ok {
		read := 0
		r.raw, err = s.LoadUntil(func(b []byte) bool {
			_, malformed = f.scan.Write(b[read:])
			read = len(b)
			known := r.Endpoint.Model == NoModel || f.scan.Fields().Model != ""
			return malformed != nil || read >= leastForm && known && !f.scan.Ended()
		})
		if err == nil {
			f.size, f.rest = s.Size(), s.Rest()
		}
	} else if r.raw, err = r.body.Load(); err == nil {
		_, malformed = f.scan.Write(r.raw)
	}
	switch {
	case err != nil:
		return err
	case f.rest == nil:
		f.size = int64(len(r.raw))
		malformed = f.scan.Close()
	case r.Endpoint.Model != NoModel:
		f.scan.Seal()
	}
	if malformed != nil {
		return badForm(malformed)
	}
	if r.fields.Model, r.fields.Stream = f.scan.Fields().Model, f.scan.Fields().Stream; r.fields.Model == "" && r.Endpoint.Model == NeedsModel {
		return badBody(&peek.Error{Field: "model", Kind: peek.Missing})
	}
	return nil
}

// Read implements what Request.Rest promises.
func (f *formBody) Read(p []byte) (int, error) {
	if f.rest == nil {
		return 0, io.ErrClosedPipe // the request's bytes were given back
	}
	f.spent = true
	n, err := f.rest.Read(p)
	if _, malformed := f.scan.Write(p[:n]); malformed != nil {
		return 0, badForm(malformed)
	}
	if err == io.EOF { // bare: the error of a body that was cut contains one
		if malformed := f.scan.Close(); malformed != nil {
			return 0, badForm(malformed)
		}
	}
	return n, err
}

// Rest reads what of the request is not in Body: the end of a form with a large file in it. It is nil if Body is
// everything. It may be read until the last release, and before the handlers return, by one goroutine at a time. What it
// gives was looked through: a form that turns out to be malformed never ends with io.EOF. The error is an *Error, or the
// cause of the cancellation.
func (r *Request) Rest() io.Reader {
	if r.form == nil || r.form.rest == nil {
		return nil
	}
	return r.form
}

// Spent says whether some of Rest was read, so that the request cannot be sent again.
func (r *Request) Spent() bool { return r.form != nil && r.form.spent }

// Size is the length in bytes of the whole request body: of Body and of Rest. It is -1 if there is a Rest of which the
// caller declared no length.
func (r *Request) Size() int64 {
	if r.form != nil {
		return r.form.size
	}
	return int64(len(r.raw))
}

// ContentType is that of a form, spelled in one way whatever the caller wrote; "" for bodies that are JSON, and before Open.
func (r *Request) ContentType() string {
	if r.form == nil {
		return ""
	}
	return r.form.contentType
}

func isJSON(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(t, " \t"), "application/json")
}

var errNoForm = &Error{
	Status: 415, Type: TypeInvalidRequest, Code: "unsupported_media_type", Origin: OriginClient,
	Message: "This endpoint takes a form. Send it as multipart/form-data.",
}

// badForm turns what the scanner says of a form into a 400 that names the field.
func badForm(err error) error {
	e := &Error{Status: 400, Type: TypeInvalidRequest, Code: "invalid_form", Origin: OriginClient, Err: err, Message: err.Error()}
	if p, ok := errors.AsType[*peek.Error](err); ok && p.Field != "" {
		e.Code, e.Param = "invalid_value", p.Field
	}
	return e
}
