package gateway

// Fork is an exchange beside another, for one of several attempts at the same request that run at the same time, each on a
// goroutine of its own. It has a context of its own, so that it can be cancelled alone; it is cancelled with the other one,
// too. Everything else it has from there as it was when the fork was made, the request's bytes among them: whoever forks does
// not commit before all attempts have returned. Nobody plans, commits or ends a fork, and its attempt is recorded in the
// exchange that it was made of.
type Fork struct {
	Exchange
	of *Exchange
}

var _ Interrupter = (*Fork)(nil)

// Fork makes a fork of the exchange. There may be two at a time; each needs Close, or Join.
func (x *Exchange) Fork() *Fork {
	f := &Fork{of: x}
	f.ID, f.Start, f.Client, f.Directory, f.Caller, f.Plan, f.Trace = x.ID, x.Start, x.Client, x.Directory, x.Caller, x.Plan, x.Trace
	f.Request = x.Request
	f.ctx.deadline = x.ctx.deadline
	if !x.Attach(f) {
		f.Cancel(x.Cause())
	}
	return f
}

// Interrupt implements Interrupter: the exchange was cancelled, which holds the lock of its context for so long.
func (f *Fork) Interrupt() { f.Cancel(f.of.ctx.cause) }

// Close ends a fork whose reply, if there is one, was closed.
func (f *Fork) Close() {
	f.of.Detach(f)
	f.ctx.end()
}

// Join makes the reply to a fork one to the exchange, and ends the fork with it. The fork's request has no bytes any more: the
// exchange, which holds them, may commit now.
func (f *Fork) Join(r *Reply) *Reply {
	f.Request.raw, f.Request.chat, f.Request.chatErr = nil, nil, nil
	f.of.Usage = f.Usage
	r.Stream = &joined{r.Stream, f}
	return r
}

// joined is the stream of a fork, pulled on the exchange's goroutine.
type joined struct {
	Stream
	f *Fork
}

// Next implements Stream.
func (j *joined) Next() (Event, error) {
	j.f.Idle = j.f.of.Idle
	return j.Stream.Next()
}

// Close implements Stream.
func (j *joined) Close() error {
	err := j.Stream.Close()
	j.f.of.Usage = j.f.Usage
	j.f.Close()
	return err
}
