package forward

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// outcome is how an attempt ended, and what that means for the next and for the target.
type outcome struct {
	reply   *gateway.Reply // nil if none came
	said    *chat.Error    // what an error reply says, if it says so in its dialect
	err     error          // why there is no reply, or why an error reply could not be read
	cause   Causes         // 0: another attempt would end the same
	final   bool           // this target will not answer differently: do not ask it again
	stays   bool           // the caller's own retry would end the same
	tooLong bool           // the prompt is, for this model
	after   time.Duration  // the provider asked to be left alone for so long
	verdict health.Verdict
	busy    bool // the provider has too much to do
}

// good says whether it is an answer.
func (o *outcome) good() bool { return o.reply != nil && o.reply.Status < 300 }

// judgeError says what an attempt without a reply means.
func judgeError(x *gateway.Exchange, err error) outcome {
	o := outcome{err: err}
	var e *gateway.Error
	if !errors.As(err, &e) || e.Origin != gateway.OriginUpstream {
		o.final = e != nil && e.Code == gateway.CodeUnsupported // another target's dialect may have it
		return o                                                // the client left, or the gateway itself failed: another target would not help
	}
	o.after, o.verdict = e.RetryAfter, health.Failed
	switch e.Code {
	case gateway.CodeUnreachable:
		o.cause = OnConnect
	case gateway.CodeTimeout: // it may still be at work: the same request again would be paid twice, and last as long
		o.cause, o.final = OnTimeout, e.Sent
	case gateway.CodeBadResponse: // likewise paid for, and likely to come again
		o.cause, o.final = OnCut, true
		if errors.Is(err, gateway.ErrTooLarge) {
			o.verdict = health.Neutral
		}
	case gateway.CodeCut:
		o.cause = OnCut
	default:
		o.judgeInBand(e)
	}
	if x.Late() { // it was the caller who allowed no more time
		o.verdict = health.Neutral
		if e.Code == gateway.CodeTimeout {
			o.err = gateway.ErrDeadline
		}
	}
	return o
}

// judgeInBand says what an error inside a 200 means.
func (o *outcome) judgeInBand(e *gateway.Error) {
	said := chat.Error{Message: e.Message, Type: e.Type, Code: e.Code}
	status := statusOf(e.Status, &said)
	o.cause = On5xx
	o.rate(status, &said, "")
	o.tooLong = status < 500 && tooLong(&said)
	switch {
	case status == http.StatusTooManyRequests:
		o.cause = OnRateLimit
		o.final = o.verdict == health.Spent
	case status < 500 || o.verdict == health.Spent:
		o.final = true
	}
}

// judgeReply says what a reply means. 4xx are the caller's and every target would say the same, with exceptions: what
// concerns our key or this provider's knowledge of the model is worth another target, but not another try; and so is a
// prompt that is too long for this model. A conflict is one of the moment where something is generated (OpenAI: a lock that
// was not got in time), else of what the request is about: a batch that is over cannot be cancelled later either. Of an error
// all is read, and its connection given back.
func judgeReply(e *gateway.Endpoint, model string, r *gateway.Reply) outcome {
	o := outcome{reply: r, verdict: health.OK}
	if r.Status < 300 {
		return o
	}
	o.said, o.err = readError(wire.ByName(e.Dialect), r)
	said := o.said
	if said == nil {
		said = &chat.Error{}
	}
	o.rate(r.Status, said, model)
	switch s := r.Status; {
	case s < 400, s == 401, s == 402, s == 403, s == 404:
		o.final = true
	case s == http.StatusTooManyRequests:
		o.cause, o.after = OnRateLimit, retryAfter(r)
		o.final = o.verdict == health.Spent
	case s == http.StatusConflict && e.Model == gateway.NoModel:
		o.stays = true
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooEarly, s >= 500:
		o.cause, o.after = On5xx, retryAfter(r)
		o.final = s == http.StatusNotImplemented // nor will it be soon
	case said.Code == "previous_response_not_found": // another may keep it
		o.final = true
	case tooLong(said):
		o.final, o.tooLong = true, true
	default:
		o.final = o.verdict != health.Neutral // it says 400, and means the account
	}
	return o
}

// rate says what a status, with what was said beside it, means for the target.
func (o *outcome) rate(status int, said *chat.Error, model string) {
	o.verdict = health.Neutral
	switch {
	case isSpent(status, said):
		o.verdict = health.Spent
	case status == 429, status == statusOverloaded, status == 503 && isBusy(said):
		o.verdict, o.busy = health.Limited, true
	case status == 408, status >= 500 && status != http.StatusNotImplemented, status < 400:
		o.verdict = health.Failed
	case status == 401, status == 403, status == 400 && isKey(said):
		o.verdict = refusal(status, said, model)
	case status == 404 && lacksModel(said, model):
		o.verdict = health.Denied
	}
}

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

// report tells the target how the attempt went, and the provider's limiter what it has shown of the load.
func (w *walk) report(p *place, a *gateway.Attempt, o *outcome) {
	out := health.Outcome{Verdict: o.verdict, Whole: !w.x.Request.Stream(), After: o.after, Reason: a.Why()}
	if o.good() && a.First > 0 {
		out.First = a.First
		a.Report(a.Start.Add(a.First), out, admission.Signal{First: streamed(&out)})
		return
	}
	now := gateway.Now()
	signal := admission.Signal{Overloaded: o.busy, Rated: o.busy && o.cause == OnRateLimit && tellsLimits(p.health)}
	switch waited := now.Sub(a.Start); {
	case o.good():
	case a.Lost: // it takes longer than that
		out.First = waited
		signal.First = streamed(&out)
	case a.Joined, o.verdict == health.Denied && strings.Contains(p.health.ID().Model, "*"):
		out.Verdict, signal = health.Neutral, admission.Signal{}
	case o.busy, o.cause == OnTimeout && !out.Whole:
		signal.First = waited
	case o.reply == nil && w.x.Err() != nil && !out.Whole && waited > p.health.First(now, false):
		signal.First = waited // the caller left, but not at once
	}
	a.Report(now, out, signal)
}

// tellsLimits says whether a target tells its rate limits in the heads of its replies. Then that is what its 429s are about: what
// one key may use in a minute, and not how many requests the provider bears at once.
func tellsLimits(t *health.Target) bool { return t.Limits() != health.Limits{} }

// streamed is the time to the first event of a stream; 0 for a whole reply, which takes as long as it is.
func streamed(o *health.Outcome) time.Duration {
	if o.Whole {
		return 0
	}
	return o.First
}

// readError reads what the provider says is wrong; nil if it does not say so in its dialect. The stream is closed, and the
// reply gets a copy.
func readError(d *wire.Dialect, r *gateway.Reply) (*chat.Error, error) {
	ev, err := r.Stream.Next()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	var data []byte
	if len(ev.Data) <= longestError {
		data = bytes.Clone(ev.Data)
	}
	_ = r.Stream.Close()
	r.Stream = gateway.Once(data)
	if said, ok := d.DecodeError(data); ok {
		return &said, nil
	}
	return nil, err
}

// longestError is how long an error may be, in bytes, to be passed on.
const longestError = 64 << 10

// retryAfter is how long the provider wants to be left alone; 0 if it does not say.
func retryAfter(r *gateway.Reply) time.Duration {
	return health.RetryAfter(func(name string) string {
		for _, f := range r.Header {
			if strings.EqualFold(f.Name, name) {
				return f.Value
			}
		}
		return ""
	})
}
