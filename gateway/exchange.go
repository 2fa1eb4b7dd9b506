package gateway

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Exchange is one request and its reply. It is owned by one call chain and never pooled; a transport embeds it in its
// own struct, so one allocation holds everything. Fields are set by whoever the comment names and read-only to others.
type Exchange struct {
	ID        string     // minted by the transport, returned as x-request-id
	Start     Instant    // when the request's headers were complete
	Request   Request    // set by the transport
	Client    netip.Addr // where the connection comes from; a proxy's address if there is one in between
	Directory *Directory // tenants and models of the generation that serves this exchange; set by the transport
	Caller    Caller     // set by auth; there is no usable zero value
	Plan      Plan       // set by routing
	Usage     chat.Usage // of the delivered attempt, filled as events pass
	Reply     *Reply     // set by the innermost handler, or by a plugin that answers itself
	Replay    *Replay    // set with Reply by a plugin that answers with what was answered before
	Rates     Rates      // what is left of the caller's limits, for the headers of the reply; set by quota
	Instead   string     // model that is asked instead of the one that the request names; set by quota
	Steps     []Step     // when which plugin's turn came, for who looks on; nil: nobody does
	Inside    bool       // the gateway itself asks, for Caller, which is set; see Host.Ask
	Lenient   bool       // who leaves before the first event pays nothing; set by ledger
	Trace     Trace      // set by telemetry

	// Idle is set by the transport. A Stream whose Next blocks calls it at each beat, on the pulling goroutine, so
	// that heartbeats fall between events by construction. Nil before the reply has begun.
	Idle func() error

	ctx       exchangeContext
	witnesses []Witness
	seats     [2]Witness
	heard     heard // the reply, for who listens
	ends      []func(error)
	endSlots  [4]func(error)
	attempts  []*Attempt
	slots     [3]*Attempt
	first     Attempt      // most exchanges have one
	holds     atomic.Int32 // who still needs the request's bytes: 1 until the commit, +1 for each Retain
	committed bool
	ended     bool
	complete  bool // it ended with all of the reply
}

// Init prepares an exchange for its one use; for transports.
func (x *Exchange) Init(id string, e *Endpoint, h Header, body Body) {
	x.ID, x.Start = id, Now()
	x.Request = Request{Endpoint: e, Header: h, body: body}
	x.ends, x.attempts, x.witnesses = x.endSlots[:0], x.slots[:0], x.seats[:0]
	x.holds.Store(1)
}

// Context may be used from any goroutine, and so may Err, Cause, Cancel, Attach and Detach; everything else is for the one
// that the exchange runs on. It ends when the client leaves, the deadline passes or the drain ends; context.Cause says which.
func (x *Exchange) Context() context.Context { return &x.ctx }

// Err is the context's error, without the context: nil while the exchange may go on.
func (x *Exchange) Err() error { return x.ctx.Err() }

// Cause says why the exchange was cancelled: ErrGone, ErrDrain or ErrDeadline; nil while it may go on.
func (x *Exchange) Cause() error { return x.ctx.Cause() }

// Cancel ends the exchange from any goroutine; the first cause stays.
func (x *Exchange) Cancel(cause error) { x.ctx.cancel(cause) }

// Shield has stays asked when the client leaves: if it is true the exchange goes on without its client, because others wait for
// the same answer. Who sets it cancels the exchange when they have left, too. stays is called under the lock of the context, so
// it must not block, nor call the exchange. Nil takes the shield away.
func (x *Exchange) Shield(stays func() bool) {
	x.ctx.mu.Lock()
	defer x.ctx.mu.Unlock()
	x.ctx.shield = stays
}

// SetDeadline brings the deadline forward; a later one than the present is ignored. Call it before the exchange is
// shared with other goroutines.
func (x *Exchange) SetDeadline(i Instant) {
	if d := x.ctx.deadline; i != 0 && (d == 0 || i < d) {
		x.ctx.deadline = i
	}
}

// Deadline is when the exchange must have ended; 0 if it need not.
func (x *Exchange) Deadline() Instant { return x.ctx.deadline }

// Attach registers what a cancellation must interrupt at once; false if the exchange is cancelled already, or if two are
// attached.
func (x *Exchange) Attach(i Interrupter) bool { return x.ctx.attach(i) }

// Detach takes it back; once it has returned, no interrupt of this exchange will come any more.
func (x *Exchange) Detach(i Interrupter) { x.ctx.detach(i) }

// Commit says that the reply has begun and nothing will be sent again. The request's bytes go back to the pool now,
// because a stream may last for minutes, unless somebody retained them. Called by forward, or by whoever answers
// instead.
func (x *Exchange) Commit() {
	if !x.committed {
		x.committed = true
		x.count()
		x.Release()
	}
}

// Retain keeps the request's bytes beyond the commit: for a guard that compares, a cache that stores, a hedge that is
// still writing. Call it before next; each Retain needs one Release.
func (x *Exchange) Retain() { x.holds.Add(1) }

// Release ends one Retain. After the last the body is nil, so late readers get nothing rather than another
// exchange's bytes.
func (x *Exchange) Release() {
	if x.holds.Add(-1) == 0 {
		x.Request.free()
	}
}

// OnEnd is like defer for the end of the reply: f runs exactly once, last in first out, after the last byte is flushed
// or given up, on every path. It gets the error that ended the exchange, nil after a complete reply.
func (x *Exchange) OnEnd(f func(error)) { x.ends = append(x.ends, f) }

// End is for transports: the last byte is written or given up. Only the first call counts. It returns the panics of
// OnEnd functions as errors, for the log: one plugin's panic must not cost another its end.
func (x *Exchange) End(err error) (panics []error) {
	if x.ended {
		return nil
	}
	x.ended, x.complete = true, err == nil
	for _, a := range x.attempts {
		x.Over(a)
	}
	x.Cost()
	panics = x.close(err)
	for _, f := range slices.Backward(x.ends) {
		if p := caught(func() { f(err) }); p != nil {
			panics = append(panics, p)
		}
	}
	x.Commit()
	x.ctx.end()
	return panics
}

// Ended says whether End has run.
func (x *Exchange) Ended() bool { return x.ended }

// Asked is the model that is asked for: the request's, or the one instead of it.
func (x *Exchange) Asked() string {
	if x.Instead != "" {
		return x.Instead
	}
	return x.Request.Model()
}

// Rates are what is left of a caller's limits for a minute. The zero value says nothing.
type Rates struct{ Requests, Tokens Rate }

// Rate is one limit: how much it is, how much is left, and when all of it will be left again.
type Rate struct {
	Limit, Remaining int64
	Reset            time.Duration
}
