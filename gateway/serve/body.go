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
	"github.com/sluice-ai/sluice/gateway/internal/buf"
)

const (
	firstRead = 16 << 10 // bytes lent for a body before any of it has arrived, whatever length was declared
	slowest   = 32 << 10 // bytes a second at which a body may come without running out of time
)

// Load implements gateway.Body: it reads the body under the limits, growing as bytes arrive and never by what was
// declared.
func (k *call) Load() ([]byte, error) {
	if k.c.background != nil {
		defer k.c.background.start()
	}
	declared := k.ctx.Request.Header.ContentLength()
	if int64(declared) > k.s.o.MaxBody {
		return nil, k.s.tooLarge()
	}
	if v := k.ctx.Request.Header.Peek("Content-Encoding"); len(v) > 0 && string(v) != "identity" {
		return nil, errEncoded
	}
	r := k.ctx.RequestBodyStream()
	if r == nil {
		return nil, nil
	}
	if err := k.lend(min(max(declared+1, buf.Min), firstRead)); err != nil {
		return nil, err
	}
	for {
		b := *k.body
		if len(b) == cap(b) {
			more := 4 * cap(b)
			if declared > 0 {
				more = min(more, declared+1)
			}
			if err := k.lend(min(more, int(k.s.o.MaxBody)+1)); err != nil {
				return nil, err
			}
			b = *k.body
		}
		n, err := r.Read(b[len(b):cap(b)])
		*k.body = b[:len(b)+n]
		size := len(*k.body)
		switch {
		case int64(size) > k.s.o.MaxBody:
			return nil, k.s.tooLarge()
		case errors.Is(err, io.EOF) && (declared < 0 || size == declared):
			k.complete = true
			return *k.body, nil
		case err != nil:
			return nil, k.shortBody(err)
		}
		_ = k.c.SetReadDeadline(k.Start.Time().Add(k.s.o.ReadTimeout + time.Duration(size)*time.Second/slowest))
	}
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

func (s *Server) tooLarge() *gateway.Error {
	return &gateway.Error{
		Status: 413, Type: gateway.TypeInvalidRequest, Code: "request_too_large", Origin: gateway.OriginClient,
		Message: "The request body is larger than the limit of " + strconv.FormatInt(s.o.MaxBody, 10) + " bytes.",
	}
}
