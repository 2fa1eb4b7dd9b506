package serve

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/internal/buf"
)

const (
	firstRead = 16 << 10  // bytes lent for a body before any of it has arrived, whatever length was declared
	slowest   = 32 << 10  // bytes a second at which a body may come without running out of time
	heldForm  = 256 << 10 // bytes of a form that are held at least, if its model comes early
)

// Load implements gateway.Body.
func (k *call) Load() ([]byte, error) {
	most := k.s.o.MaxBody
	if k.Request.Endpoint.Body == gateway.Params {
		most = min(most, gateway.MaxParams)
	}
	return k.load(most, nil)
}

// LoadUntil implements gateway.Streamed.
func (k *call) LoadUntil(enough func([]byte) bool) ([]byte, error) {
	return k.load(k.s.maxForm(), enough)
}

// load reads the body under the limits, growing as bytes arrive and never by what was declared. most is what it may have,
// MaxBody what is held of it.
func (k *call) load(most int64, enough func([]byte) bool) ([]byte, error) {
	if k.c.background != nil {
		defer k.watchAgain()
	}
	if err := k.s.Allow(k.Caller.Tenant); err != nil {
		return nil, err
	}
	declared := k.ctx.Request.Header.ContentLength()
	if int64(declared) > most {
		return nil, tooLarge(most)
	}
	if v := k.ctx.Request.Header.Peek("Content-Encoding"); len(v) > 0 && string(v) != "identity" {
		return nil, errEncoded
	}
	r := k.ctx.RequestBodyStream()
	if r == nil {
		k.complete = true
		return nil, nil
	}
	if err := k.lend(min(max(declared+1, buf.Min), firstRead)); err != nil {
		return nil, err
	}
	for {
		if err := k.room(declared); err != nil {
			return nil, err
		}
		b := *k.body
		n, err := r.Read(b[len(b):min(cap(b), int(k.s.o.MaxBody)+1)])
		*k.body = b[:len(b)+n]
		size := len(*k.body)
		switch {
		case int64(size) > most:
			return nil, tooLarge(most)
		case errors.Is(err, io.EOF) && (declared < 0 || size == declared):
			k.complete = true
		case err != nil:
			return nil, k.shortBody(err)
		}
		switch known := enough != nil && enough(*k.body); {
		case !known && int64(size) > k.s.o.MaxBody:
			return nil, errLateModel
		case known || k.complete:
			return *k.body, nil
		}
		_ = k.c.SetReadDeadline(k.Start.Time().Add(k.s.o.ReadTimeout + time.Duration(size)*time.Second/slowest))
	}
}

// room makes room for more of the body, but not for more than one byte too many, which tells that it is too large.
func (k *call) room(declared int) error {
	size := cap(*k.body)
	if len(*k.body) < size {
		return nil
	}
	more := 4 * size
	if declared > 0 {
		more = min(more, declared+1)
	}
	return k.lend(min(more, int(k.s.o.MaxBody)+1))
}

// watchAgain lets the client's hang-up be noticed again, once nobody needs to read from it any more.
func (k *call) watchAgain() {
	if k.complete || k.Request.Endpoint.Body != gateway.Form {
		k.c.background.start()
	}
}

// Size implements gateway.Streamed.
func (k *call) Size() int64 { return max(int64(k.ctx.Request.Header.ContentLength()), -1) }

// Rest implements gateway.Streamed.
func (k *call) Rest() io.Reader {
	if k.complete {
		return nil
	}
	return &rest{k: k, size: len(*k.body), waited: gateway.Since(k.Start)}
}

// rest is what of a body was left on the wire. While the provider takes its time, the client may, too: only what is spent
// waiting for the client counts against it.
type rest struct {
	k      *call
	size   int // of all that has come
	waited time.Duration
}

// Read implements io.Reader under the limits of a body.
func (r *rest) Read(p []byte) (int, error) {
	k := r.k
	switch {
	case k.ctx == nil || k.body == nil:
		return 0, io.ErrClosedPipe
	case k.complete:
		return 0, io.EOF
	case k.Err() != nil:
		return 0, k.Cause()
	}
	begin := gateway.Now()
	_ = k.c.SetReadDeadline(begin.Add(k.s.o.ReadTimeout + time.Duration(r.size)*time.Second/slowest - r.waited).Time())
	n, err := k.ctx.RequestBodyStream().Read(p)
	r.waited += gateway.Since(begin)
	r.size += n
	declared := k.ctx.Request.Header.ContentLength()
	switch {
	case int64(r.size) > k.s.maxForm():
		return 0, tooLarge(k.s.maxForm())
	case errors.Is(err, io.EOF) && (declared < 0 || r.size == declared):
		k.complete = true
		if k.c.background != nil {
			k.c.background.start()
		}
		return n, io.EOF
	case err != nil:
		return 0, k.shortBody(err)
	}
	return n, nil
}

// lend gets a buffer, or a larger one with the same contents, if the budget of all bodies together allows it.
func (k *call) lend(size int) error {
	if k.body == nil {
		k.body = buf.Get(size)
	} else {
		k.body = buf.Grow(k.body, size)
	}
	more := int64(cap(*k.body)) - k.held
	k.held += more
	if k.s.inFlight.Add(more) > k.s.o.MaxInFlight {
		return errBusy
	}
	return nil
}

// Take implements gateway.Counted.
func (k *call) Take(n int64) error { return k.s.Take(n) }

// Give implements gateway.Counted.
func (k *call) Give(n int64) { k.s.Give(n) }

// Take counts n bytes among those of all requests' bodies; each needs a Give. The error, an *Error, says that there would be too
// many: then they are not counted.
func (s *Server) Take(n int64) error {
	if s.inFlight.Add(n) > s.o.MaxInFlight {
		s.inFlight.Add(-n)
		return errBusy
	}
	return nil
}

// Give takes back what Take has counted.
func (s *Server) Give(n int64) { s.inFlight.Add(-n) }

// Allow refuses the body of a tenant's request while memory is short; nobody's is like a tenant's of normal priority. The
// error is an *Error.
func (s *Server) Allow(t *gateway.Tenant) error {
	p := admission.Normal
	if t != nil {
		p = t.Priority
	}
	if !s.o.Guard.Allow(p) {
		return errShort
	}
	return nil
}

// unreadBody says whether the client may still be sending: fasthttp then closes the connection.
func (k *call) unreadBody() bool { return hasBody(&k.ctx.Request.Header) && !k.complete }

// hasBody says whether a head announces a body: of a length, or chunked (-1 in fasthttp; -2 is none).
func hasBody(h *fasthttp.RequestHeader) bool { return h.ContentLength() > 0 || h.ContentLength() == -1 }

// shortBody is the error of a body that did not arrive whole.
func (k *call) shortBody(err error) error {
	if k.Err() != nil {
		return k.Cause()
	}
	e := &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "incomplete_body", Origin: gateway.OriginClient, Err: err,
		Message: "The request body ended before all of it had arrived.",
	}
	var timeout net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		e.Status, e.Code, e.Message = 408, "request_timeout", "The request body did not arrive in time."
	}
	return e
}

// Free implements gateway.Body.
func (k *call) Free() {
	if k.body != nil {
		k.s.inFlight.Add(-k.held)
		buf.Put(k.body)
		k.body, k.held = nil, 0
	}
}

func tooLarge(most int64) *gateway.Error {
	return &gateway.Error{
		Status: 413, Type: gateway.TypeInvalidRequest, Code: "request_too_large", Origin: gateway.OriginClient,
		Message: "The request body is larger than the limit of " + strconv.FormatInt(most, 10) + " bytes.",
	}
}

func (s *Server) maxForm() int64 { return max(s.o.MaxForm, s.o.MaxBody) }
