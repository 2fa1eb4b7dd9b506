package telemetry

import (
	"errors"
	"net"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// record is one exchange, from the moment it entered the chain.
type record struct {
	p *Plugin
	x *gateway.Exchange

	kept      bool  // to be remembered, however it ends
	returned  bool  // the chain has returned, and not panicked
	failed    error // what it returned
	streaming bool  // counted in streams_active
	said      *said // what was said, if the tenant has it traced

	// Known at the end.
	err     *gateway.Error // nil after a complete reply
	status  int            // what the caller saw, or StatusClientGone
	aborted bool           // the reply had begun, and something other than the caller cut it short
	total   time.Duration
	traced  string        // why its spans are sent; "" if they are not
	first   time.Duration // from the start to the first event of the attempt that answered; 0 if there was none

	plain plain // for the encoder
}

// end is the exchange's OnEnd.
func (r *record) end(err error) {
	m := r.p.metrics
	m.exchanges.Dec()
	if r.streaming {
		m.streams.Dec()
	}
	r.total = gateway.Since(r.x.Start)
	if a := r.last(); a != nil && a.First > 0 {
		r.first = a.Start.Sub(r.x.Start) + a.First
	}
	r.conclude(err)
	r.traced = r.p.tracer.keeps(r)
	m.observe(r)
	r.write()
	if r.traced != "" {
		r.p.tracer.send(r)
	}
	if r.kept || r.err != nil {
		r.p.recent.add(r)
	}
}

// last is the attempt that decided; nil if there was none.
func (r *record) last() *gateway.Attempt {
	if all := r.x.Attempts(); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// conclude finds out what the caller saw. The chain's own error comes first: when the caller leaves while an error is
// written to him, the error is what happened.
func (r *record) conclude(err error) {
	reply := r.x.Reply
	switch {
	case r.failed != nil:
		err = r.failed
	case err == nil && reply != nil:
		r.status = reply.Status
		return
	case err == nil:
		err = errNothing
	}
	r.err = gateway.AsError(err)
	r.status = r.err.Status
	if r.failed != nil || !r.returned || reply == nil {
		return
	}
	if r.left(err) {
		r.err, r.status = gateway.AsError(gateway.ErrGone), gateway.StatusClientGone
		return
	}
	if reply.Kind == gateway.Whole { // nothing of it was written yet: the caller got the error instead
		return
	}
	r.status, r.aborted = reply.Status, true
	if known := (*gateway.Error)(nil); !errors.As(err, &known) && r.x.Cause() == nil && r.broken() {
		r.err = &gateway.Error{Code: gateway.CodeBroken, Err: err, Origin: gateway.OriginUpstream}
	}
}

var errNothing = errors.New("the exchange ended without a reply and without an error")

// warns says whether the exchange failed by the gateway's or a provider's fault.
func (r *record) warns() bool { return r.status >= 500 || r.aborted }

// failovers is how many attempts went to another target than the one before.
func (r *record) failovers() (n int) {
	all := r.x.Attempts()
	for i, a := range all {
		if i > 0 && !a.Hedged && !all[i-1].Hedged && (a.Provider != all[i-1].Provider || a.Key != all[i-1].Key || a.Model != all[i-1].Model) {
			n++
		}
	}
	return n
}

// left says whether the caller went away in the middle of a reply: because the transport noticed it, or because writing
// failed. A network error that is not the provider's is from writing.
func (r *record) left(err error) bool {
	if errors.Is(err, gateway.ErrGone) || errors.Is(r.x.Cause(), gateway.ErrGone) {
		return true
	}
	var network *net.OpError
	return errors.As(err, &network) && !r.broken()
}

// broken says whether it was the provider's stream that broke off.
func (r *record) broken() bool {
	a := r.last()
	return a != nil && a.Err != nil
}

// attempting is the time that went into attempts. One that lost counts until the other began: then both ran.
func (r *record) attempting() time.Duration {
	var sum time.Duration
	for _, a := range r.x.Attempts() {
		switch {
		case a.Lost:
			sum += max(r.last().Start.Sub(a.Start), 0)
		case a.Total > 0:
			sum += a.Total
		default:
			sum += gateway.Since(a.Start)
		}
	}
	return sum
}

// outcome is how an attempt ended, in one of a dozen words.
func (r *record) outcome(a *gateway.Attempt) string {
	if a.Lost {
		return "lost"
	}
	if r.err != nil && r.x.Cause() != nil && a == r.last() {
		return "canceled"
	}
	if a.Err == nil {
		return class(a.Status)
	}
	if e, ok := errors.AsType[*gateway.Error](a.Err); ok {
		return word(e)
	}
	return "cut" // a stream that broke off after its first event
}

// class is the outcome of an attempt that got a reply.
func class(status int) string {
	switch {
	case status < 400:
		return "ok"
	case status == 429:
		return "429"
	case status < 500:
		return "4xx"
	default:
		return "5xx"
	}
}

// word is the outcome of an attempt that got none. Some are not the provider's fault: there was no room in the gateway, the
// request cannot be sent there, the gateway itself failed.
func word(e *gateway.Error) string {
	switch {
	case e.Code == gateway.CodeBusy:
		return "busy"
	case e.Origin == gateway.OriginClient:
		return "refused"
	case e.Origin == gateway.OriginGateway:
		return "failed"
	}
	switch e.Code {
	case gateway.CodeUnreachable:
		return "unreachable"
	case gateway.CodeTimeout:
		return "timeout"
	case gateway.CodeCut:
		return "cut"
	case gateway.CodeBadResponse:
		return "bad_response"
	case gateway.CodeCredentials:
		return "credentials"
	default:
		return "error" // reported inside a 200
	}
}
