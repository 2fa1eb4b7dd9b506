package forward

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// judgeError says what an attempt without a reply means for the next.
func judgeError(err error) outcome {
	o := outcome{err: err}
	var e *gateway.Error
	if !errors.As(err, &e) || e.Origin != gateway.OriginUpstream {
		o.final = e != nil && e.Code == gateway.CodeUnsupported // another target's dialect may have it
		return o                                                // the client left, or the gateway itself failed: another target would not help
	}
	o.after = e.RetryAfter
	switch e.Code {
	case gateway.CodeUnreachable:
		o.cause = OnConnect
	case gateway.CodeTimeout: // it may still be at work: the same request again would be paid twice, and last as long
		o.cause, o.final = OnTimeout, e.Sent
	case gateway.CodeBadResponse: // likewise paid for, and likely to come again
		o.cause, o.final = OnCut, true
	case gateway.CodeCut:
		o.cause = OnCut
	default: // an error inside a 200: its code is the provider's
		o.cause = On5xx
		if e.Status == http.StatusTooManyRequests {
			o.cause = OnRateLimit
		}
		o.final = spent(e.Code)
	}
	return o
}

// judgeReply says what a reply means. 4xx are the caller's and every target would say the same, with exceptions: what
// concerns our key or this provider's knowledge of the model is worth another target, but not another try.
func judgeReply(d *wire.Dialect, r *gateway.Reply) outcome {
	o := outcome{reply: r}
	if r.Status < 300 {
		return o
	}
	o.said, o.err = errorBody(d, r)
	switch s := r.Status; {
	case s < 400, s == 401, s == 402, s == 403, s == 404:
		o.final = true
	case s == http.StatusTooManyRequests:
		o.cause, o.after = OnRateLimit, retryAfter(r)
		o.final = o.said != nil && spent(o.said.Code)
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooEarly, s >= 500:
		o.cause, o.after = On5xx, retryAfter(r)
	}
	return o
}

// errorBody reads what the provider says is wrong; nil if it does not say so in its dialect. The body can be read
// again afterwards.
func errorBody(d *wire.Dialect, r *gateway.Reply) (*chat.Error, error) {
	ev, err := r.Stream.Next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	r.Stream = &replayed{Stream: r.Stream, event: ev}
	if said, ok := d.DecodeError(ev.Data); ok {
		return &said, nil
	}
	return nil, nil
}

// replayed gives an event that was looked at once more.
type replayed struct {
	gateway.Stream
	event gateway.Event
	given bool
}

// Next implements gateway.Stream.
func (a *replayed) Next() (gateway.Event, error) {
	if !a.given {
		a.given = true
		return a.event, nil
	}
	return a.Stream.Next()
}

// Ready implements gateway.Stream.
func (a *replayed) Ready() bool { return !a.given || a.Stream.Ready() }

// spent says whether a code means that the account has no money or quota left: waiting does not help.
func spent(code string) bool {
	switch code {
	case "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
		"402": // OpenRouter, inside a 200
		return true
	default:
		return false
	}
}

// retryAfter is how long the provider wants to be left alone: retry-after-ms, else Retry-After as seconds or as a date
// (RFC 9110, section 10.2.3); 0 if it does not say.
func retryAfter(r *gateway.Reply) time.Duration {
	var d time.Duration
	for _, f := range r.Header {
		v := strings.TrimSpace(f.Value)
		switch strings.ToLower(f.Name) {
		case "retry-after-ms":
			if ms, err := strconv.ParseFloat(v, 64); err == nil && ms > 0 {
				return clampAfter(ms / 1000)
			}
		case "retry-after":
			if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
				d = clampAfter(s)
			} else if t, err := http.ParseTime(v); err == nil {
				d = clampAfter(time.Until(t).Seconds())
			}
		}
	}
	return d
}

func clampAfter(seconds float64) time.Duration {
	const most = 24 * time.Hour
	return time.Duration(min(max(seconds, 0), most.Seconds()) * float64(time.Second))
}
