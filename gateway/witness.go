package gateway

import (
	"fmt"
	"slices"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Witness hears what an exchange costs while it comes to cost it: of each attempt before it is sent, once nothing more will be
// known of it, and of the end. The one that began to watch last hears first, so that who reserves comes before who writes
// down what was reserved. All calls are on the exchange's own goroutine, also for attempts that run beside each other.
type Witness interface {
	// Begin hears of an attempt that is sent next. Its target, Prompt and ID are set; the witness may set MaxTokens, Reserved
	// and Capped. An error, an *Error, prevents the attempt, which then is in no list; witnesses that had agreed to it
	// hear that it is settled, with that error. The exchange ends with it, unless it is [Error.Elsewhere] and there is another
	// target.
	Begin(x *Exchange, a *Attempt) error
	// Settle hears of an attempt whose usage, Cost, Charge and Err do not change any more: exactly once for each Begin that
	// returned nil, and before End.
	Settle(x *Exchange, a *Attempt)
	// End hears that the last byte is written or given up, with the error that ended the exchange.
	End(x *Exchange, err error)
}

// Replay says that an answer is one that was given before, to whoever answers without an attempt: a cache.
type Replay struct {
	ID             ledger.ID    // of this answer
	How            ledger.Kind  // it was found
	Of             ledger.ID    // the attempt that was paid for; zero if that is not known
	Provider, Name string       // of the provider and its model that answered then
	Usage          chat.Usage   // of the answer then
	Saved          catalog.Cost // what it would cost now
}

// Watch adds a witness. There is room for two without an allocation.
func (x *Exchange) Watch(w Witness) { x.witnesses = append(x.witnesses, w) }

// Listener hears how a reply comes: whoever keeps count beyond the life of the process.
type Listener interface {
	// Heard hears that the reply's next event was given to whoever pulls it, on their goroutine: [Attempt.Said] of the last
	// attempt has grown.
	Heard(x *Exchange)
}

// Listen has somebody hear of each event of the reply, which there is. There is room for one without an allocation.
func (x *Exchange) Listen(l Listener) {
	h := &x.heard
	if h.Stream != nil {
		h = new(heard)
	}
	*h = heard{x.Reply.Stream, x, l}
	x.Reply.Stream = h
}

// heard is a stream that somebody listens to.
type heard struct {
	Stream
	x *Exchange
	l Listener
}

// Next implements Stream.
func (h *heard) Next() (Event, error) {
	ev, err := h.Stream.Next()
	if err == nil {
		h.l.Heard(h.x)
	}
	return ev, err
}

// Begin asks the witnesses whether an attempt may be sent, and tells them of it. If not, what was taken for the attempt is given
// back, and it is as if it had not been. For forward, directly before the attempt is sent.
func (x *Exchange) Begin(a *Attempt) error {
	if len(x.witnesses) == 0 {
		return nil
	}
	for _, before := range x.attempts {
		if !before.hold.held && before != a && !before.Lost { // it is over
			x.settle(before)
		}
	}
	a.ID = ledger.NewID(a.Start.Time())
	for i, w := range slices.Backward(x.witnesses) {
		err := w.Begin(x, a)
		if err == nil {
			continue
		}
		a.Err, a.Refused = err, true
		for _, told := range slices.Backward(x.witnesses[i+1:]) {
			told.Settle(x, a)
		}
		x.drop(a)
		return err
	}
	a.begun = true
	return nil
}

// drop takes an attempt out that was not made.
func (x *Exchange) drop(a *Attempt) {
	a.Release()
	x.attempts = slices.DeleteFunc(x.attempts, func(b *Attempt) bool { return a == b })
	if a == &x.first {
		*a = Attempt{}
	}
}

// settle works out what an attempt cost and what is charged for it, and tells the witnesses, once: of a failed one before
// another is made, of the others at the end. What the one that lost cost is known only when the one that won has ended.
func (x *Exchange) settle(a *Attempt) {
	if a.settled {
		return
	}
	a.settled = true
	if !a.Cost.Known {
		a.Cost = x.charge(a)
	}
	a.Used = x.used(a)
	a.Charge = x.chargeFor(a)
	if !a.begun {
		return
	}
	for _, w := range slices.Backward(x.witnesses) {
		w.Settle(x, a)
	}
}

// close settles what is left, and tells the witnesses of the end. One's panic costs no other its turn.
func (x *Exchange) close(err error) (panics []error) {
	if len(x.witnesses) == 0 {
		return nil
	}
	for _, a := range x.attempts {
		if p := caught(func() { x.settle(a) }); p != nil {
			panics = append(panics, p)
		}
	}
	for _, w := range slices.Backward(x.witnesses) {
		if p := caught(func() { w.End(x, err) }); p != nil {
			panics = append(panics, p)
		}
	}
	return panics
}

func caught(f func()) (panicked error) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Errorf("panic at the end of an exchange: %v", r)
		}
	}()
	f()
	return nil
}
