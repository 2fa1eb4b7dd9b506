package gateway

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Attempt is the record of one try of one target.
type Attempt struct {
	Provider, Key, Model string
	Status               int           // HTTP status that the provider answered; 0 if none came
	Start                Instant       // when it began
	Waited               time.Duration // before that, until the target could be asked
	First                time.Duration // from Start to the first event (for a whole body: to its last byte); 0 if none came
	Total                time.Duration // from Start to the end; 0 while it runs
	Usage                chat.Usage
	Known                *catalog.Model // what the catalogue knows of the model; nil if nothing
	Cost                 catalog.Cost   // known at the exchange's end, see [Exchange.Cost]
	units                int64          // asked for, of [Endpoint.Counts]; 0 if that is not known
	RequestID            string         // the provider's own id, if it gave one
	Reused               bool           // answered on a connection that was open already
	Resent               bool           // sent a second time, because the open connection that it was sent on first was closed
	Joined               bool           // sent as a part of another exchange's request, which tells how it went
	Hedged               bool           // made because the first event of the attempt before it was late
	Lost                 bool           // given up, because the other of two that ran was quicker; its usage is an estimate
	Err                  error          // why it failed; nil if it did not
	Kind                 string         // of provider: openai, anthropic and so on; "" if that is not known
	Span                 SpanID         // zero: the gateway makes no spans

	// What follows is for whoever counts the money, see [Witness].
	ID        ledger.ID // of its row; zero if nobody watches
	Prompt    int64     // tokens of the prompt, by an estimate
	Said      int64     // tokens of the answer that have passed so far, by an estimate
	Noted     int64     // of them, those that outlast the process; set by ledger
	MaxTokens int64     // what the answer is limited to; 0: as the caller asked
	Reserved  int64     // picodollars that were reserved for it
	Capped    bool      // no more than that is charged
	Own       bool      // it goes to the tenant's own account at the provider
	Sent      bool      // its request may have reached the provider
	Delivered bool      // something of its answer went to the caller
	Refused   bool      // a witness prevented it

	begun, settled bool

	Used   chat.Usage // what is known of its usage in the end: Usage, or an estimate where the provider reported nothing
	Charge int64      // picodollars that the tenant pays, not negative; known once it is settled
	hold   hold
}

// hold is what an attempt has taken and must give back.
type hold struct {
	health  *health.Target
	limiter *admission.Limiter
	tokens  int64
	held    bool
	awaits  bool             // the limiter waits to hear of its first event
	judged  bool             // the target was told how it went
	signal  admission.Signal // for the limiter, when it is left
}

// Attempts are the tries made so far, oldest first; but the one that is delivered is the last.
func (x *Exchange) Attempts() []*Attempt { return x.attempts }

// Attempting adds the record of a new attempt; whoever makes the attempt fills it.
func (x *Exchange) Attempting(t *Target) *Attempt {
	a := &x.first
	if len(x.attempts) > 0 {
		a = new(Attempt)
	}
	a.Provider, a.Kind, a.Key, a.Model, a.Start = t.Provider, t.Kind, t.Key, x.ModelFor(t), Now()
	if !x.Trace.Span.IsZero() {
		a.Span = NewSpanID()
	}
	if a.Known = t.Known; a.Known == nil {
		a.Known = x.Directory.Known(a.Provider, a.Model)
	}
	x.attempts = append(x.attempts, a)
	return a
}

// Answered says which of two attempts that ran at the same time is delivered.
func (x *Exchange) Answered(a *Attempt) {
	if i := slices.Index(x.attempts, a); i >= 0 {
		x.attempts = append(slices.Delete(x.attempts, i, i+1), a)
	}
}

// Hold notes what was taken for the attempt: a successful [health.Target.Begin] with so many tokens, and a successful
// [admission.Limiter.Enter]. Both are given back by Release, at the latest when the exchange ends. first says that the
// limiter is to learn when the first event comes.
func (a *Attempt) Hold(t *health.Target, l *admission.Limiter, tokens int64, first bool) {
	a.hold = hold{health: t, limiter: l, tokens: tokens, held: true, awaits: first}
	if first {
		l.Await(a.Start)
	}
}

// Tells says which target the rate limits are of that the reply tells, where nothing was taken for the attempt: it is a probe.
func (a *Attempt) Tells(t *health.Target) { a.hold.health = t }

// Limits tells the target what the rate limit headers of the reply say.
func (a *Attempt) Limits(now Instant, l health.Limits) { a.hold.health.Limited(now, l) }

// Report says how the attempt went: when the reply has begun, or the attempt has failed. Only the first call counts; what becomes
// of a stream that has begun [Exchange.Over] tells.
func (a *Attempt) Report(now Instant, o health.Outcome, s admission.Signal) {
	if !a.hold.held || a.hold.judged {
		return
	}
	a.hold.judged = true
	o.Began = a.Start
	a.hold.health.Report(now, o)
	s.At = now
	if a.hold.awaits {
		a.hold.limiter.Observe(s)
	} else {
		a.hold.signal = s
	}
}

// Release gives back what the attempt has taken. Only the first call counts; what was not reported until then had no verdict.
func (a *Attempt) Release() {
	if !a.hold.held {
		return
	}
	if !a.hold.judged {
		a.Report(Now(), health.Outcome{Verdict: health.Neutral}, admission.Signal{})
	}
	a.hold.held = false
	a.hold.limiter.Leave(a.hold.signal)
	a.hold.health.End(a.hold.tokens)
}

// Over says that the stream of an attempt was closed, and releases what was taken for it. Its target is told if the provider broke
// it off, or if the exchange has ended with all of it. It may be called again, and is called for all attempts when the
// exchange ends.
func (x *Exchange) Over(a *Attempt) {
	switch {
	case !a.hold.held || !a.hold.judged:
	case a.Err == nil && x.complete:
		a.hold.health.Ended()
	case a.Err != nil && x.brokenOff(a.Err):
		a.hold.health.Report(Now(), health.Outcome{Verdict: health.Broken, Began: a.Start, Reason: a.Why()})
	}
	a.Release()
}

// brokenOff says whether it was the provider that ended a stream before its end: not the caller, the gateway or the time that
// the caller allowed.
func (x *Exchange) brokenOff(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok && e.Origin != OriginUpstream {
		return false
	}
	return x.Cause() == nil && !x.Late() && !errors.Is(err, ErrGone) && !errors.Is(err, ErrTooLarge)
}

// Late says whether the deadline has passed, whether or not anybody was interrupted by that.
func (x *Exchange) Late() bool {
	d := x.Deadline()
	return d != 0 && Now() >= d
}

// ErrTooLarge is wrapped by the error of an attempt whose answer was larger than the gateway holds. That is not the
// provider's fault.
var ErrTooLarge = errors.New("the answer is larger than allowed")

// Why says in a few words for operators why the attempt failed: "http 503", "connection refused", "timeout: the reply's
// head", "cut". There is nothing of a prompt or an answer in it. It is "" if it did not fail.
func (a *Attempt) Why() string {
	if a.Err == nil {
		if a.Status >= 300 {
			return "http " + strconv.Itoa(a.Status)
		}
		return ""
	}
	if phase, ok := late(a.Err); ok {
		return "timeout: " + phase
	}
	e, ok := errors.AsType[*Error](a.Err)
	if !ok {
		return "cut"
	}
	switch e.Code {
	case CodeUnreachable:
		return unreachable(e.Err)
	case CodeCut:
		return "cut"
	case CodeBadResponse:
		return "bad response"
	case CodeTimeout:
		return "timeout"
	}
	if e.Origin == OriginUpstream {
		return "error inside a " + strconv.Itoa(max(a.Status, 200)) + ": " + word(e.Code)
	}
	return word(e.Code)
}

// late says which phase of an attempt took too long, if one did.
func late(err error) (phase string, ok bool) {
	var of interface{ Phase() string }
	if errors.As(err, &of) {
		return of.Phase(), true
	}
	return "", false
}

// unreachable says why there is no connection.
func unreachable(err error) string {
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it"
	case errors.As(err, &name):
		return "its name is not found"
	default:
		return "no connection"
	}
}

// word is a code as others wrote it, if it looks like one.
func word(code string) string {
	if len(code) > 64 {
		return "?"
	}
	for _, c := range []byte(code) {
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z'; !letter && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return "?"
		}
	}
	return code
}
