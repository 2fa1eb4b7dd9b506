package gateway

import (
	"mime"
	"net/url"
)

// Params is a [BodyKind]: parameters in the form application/x-www-form-urlencoded, at most [MaxParams] bytes of them. They are
// read by [Request.Params], and not by Open.
const Params = NoBody + 1

// MaxParams is how many bytes such a body may have: a credential or two.
const MaxParams = 16 << 10

// Params reads the parameters of the body, once, under the transport's limits. None stands there twice, and none is empty: by
// RFC 6749, section 3.2, the one is an error, and the other as if it were left out. The error is an *Error with the code
// invalid_request, or the cause of the cancellation if the client has left.
func (r *Request) Params() (url.Values, error) {
	if r.opened || r.body == nil {
		return nil, badParams(400, "The request has no parameters in its body.")
	}
	r.opened = true
	if kind, _, err := mime.ParseMediaType(string(r.Header.Get("Content-Type"))); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badParams(415, "The parameters must be sent as application/x-www-form-urlencoded.")
	}
	if r.raw, r.err = r.body.Load(); r.err != nil {
		return nil, r.err
	}
	p, err := url.ParseQuery(string(r.raw))
	if err != nil {
		return nil, badParams(400, "The parameters in the body are malformed.")
	}
	for name, values := range p {
		switch {
		case len(values) > 1:
			return nil, badParams(400, "A parameter stands in the body twice.")
		case values[0] == "":
			delete(p, name)
		}
	}
	return p, nil
}

func badParams(status int, message string) error {
	return &Error{Status: status, Type: TypeInvalidRequest, Code: "invalid_request", Message: message, Origin: OriginClient, NoRetry: true}
}
