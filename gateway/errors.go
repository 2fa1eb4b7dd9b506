package gateway

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Origin says whose fault an error is.
type Origin uint8

// Origins.
const (
	OriginGateway Origin = iota
	OriginClient
	OriginUpstream
)

// String is the word used in logs and metrics.
func (o Origin) String() string {
	switch o {
	case OriginClient:
		return "client"
	case OriginUpstream:
		return "upstream"
	default:
		return "gateway"
	}
}

// Error is a failure that a caller may see. It is rendered in one place, in the caller's dialect. Package-level values
// are read-only: copy before changing.
type Error struct {
	Status     int
	Type, Code string // the dialect's own words: invalid_request_error, rate_limit_exceeded, …
	Param      string // the field that is wrong, or ""
	Message    string // safe to show to the caller; says what to do about it
	Err        error  // for the log only
	Origin     Origin
	RetryAfter time.Duration
	NoRetry    bool // the gateway has retried already, or a retry cannot help: clients should not
	Sent       bool // the upstream may have begun work: a retry may bill twice
	Elsewhere  bool // a witness's, see [Witness]: it is about this target, and another of the plan may do
	Ends       bool // it came as an event that ends a stream in the caller's dialect: the stream is whole, and tells of it
}

// Error is for the log: it contains the inner error, which the caller never sees.
func (e *Error) Error() string {
	s := strconv.Itoa(e.Status) + " " + e.Code + ": " + e.Message
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	return s
}

// Unwrap gives the inner error.
func (e *Error) Unwrap() error { return e.Err }

// The types of errors in the OpenAI dialect, which is also the gateway's own.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypePermission     = "permission_error"
	TypeRateLimit      = "rate_limit_error"
	TypeServer         = "server_error"
)

// StatusClientGone is what logs and metrics show for a caller that left (nginx's 499); it is never sent.
const StatusClientGone = 499

// AsError makes an *Error of any error: a cancelled exchange has its own codes, and what nobody foresaw is a 500 that
// tells the caller nothing about the inside.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrGone), errors.Is(err, context.Canceled):
		return &Error{
			Status: StatusClientGone, Type: TypeInvalidRequest, Code: "client_closed_request",
			Message: "The client left before the reply was complete.", Err: err, Origin: OriginClient,
		}
	case errors.Is(err, ErrDrain):
		return &Error{
			Status: 503, Type: TypeServer, Code: "shutting_down",
			Message: "The gateway is shutting down. Send the request again.", Err: err, RetryAfter: time.Second,
		}
	case errors.Is(err, ErrDeadline), errors.Is(err, context.DeadlineExceeded):
		return &Error{
			Status: 504, Type: TypeServer, Code: "deadline_exceeded",
			Message: "The request took longer than the gateway allows.", Err: err,
		}
	default:
		return &Error{
			Status: 500, Type: TypeServer, Code: "internal_error",
			Message: "The gateway failed. The request id leads to the cause in its log.", Err: err,
		}
	}
}

// badBody turns what peek says of a body into a 400 that names the field.
func badBody(err error) error {
	e := &Error{
		Status: 400, Type: TypeInvalidRequest, Code: "invalid_json", Origin: OriginClient, Err: err,
		Message: "The request body is not acceptable JSON.",
	}
	if p, ok := errors.AsType[*peek.Error](err); ok {
		e.Message, e.Param = p.Error(), p.Field
		if p.Field != "" {
			e.Code = "invalid_value"
		}
		if p.Kind == peek.Missing {
			e.Code, e.Message = "missing_required_parameter", "The request has no \""+p.Field+"\". Name the model that should answer."
		}
	}
	return e
}

// BadRequest is the 400 for a request that has not the shape which its dialect prescribes.
func BadRequest(err error) error {
	e := &Error{Status: 400, Type: TypeInvalidRequest, Code: "invalid_value", Origin: OriginClient, Message: err.Error()}
	if c, ok := errors.AsType[*chat.Error](err); ok {
		e.Message, e.Param = c.Message, c.Param
		if c.Code != "" {
			e.Code = c.Code
		}
	}
	return e
}

// Codes of errors between the gateway and a provider. Retries are decided by them, and metrics count by them.
const (
	CodeUnreachable = "upstream_unreachable"  // no connection: nothing was sent
	CodeTimeout     = "upstream_timeout"      // a deadline of the attempt passed
	CodeCut         = "upstream_cut"          // the connection ended before the answer did
	CodeBadResponse = "upstream_bad_response" // framing, content type or JSON is not valid
	CodeInBand      = "upstream_error"        // the provider reported an error inside a 200
	CodeBroken      = "upstream_stream_error" // what a caller is told inside a stream that broke off
	CodeUnsupported = "unsupported_value"     // the target cannot do what the request asks for; another may
	CodeCredentials = "upstream_credentials"  // the provider refuses the gateway's key, or its account cannot pay
	CodeUnavailable = "upstream_unavailable"  // no target may be asked: they fail, cool down, or are switched off
	CodeOverloaded  = "upstream_overloaded"   // all targets have as many requests as they bear, and too many wait
	CodeBusy        = "gateway_busy"          // the gateway holds as many bytes of requests or of replies as it may
)
