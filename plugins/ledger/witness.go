package ledger

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
)

// witness writes the rows of a generation's exchanges. It keeps nothing of an exchange: what it needs is in there.
type witness struct {
	*Plugin
	prices prices
}

var (
	_ gateway.Witness  = (*witness)(nil)
	_ gateway.Listener = (*witness)(nil)
)

// Begin implements gateway.Witness: what is not written down is not sent, unless nobody charges for it.
func (w *witness) Begin(x *gateway.Exchange, a *gateway.Attempt) error {
	if x.Caller.Tenant == nil || x.Caller.Tenant.ID == "" {
		return errNobody
	}
	var r rows.Row
	describe(&r, x, a)
	r.Price = w.version(a.Known)
	each := prospect(&r, x, a)
	err := w.journal.Intend(&r, each)
	switch {
	case err == nil:
		return nil
	case x.Request.Endpoint.Free:
		w.metrics.unrecorded.Inc()
		return nil
	}
	w.metrics.refused.Inc()
	if errors.Is(err, rows.ErrFull) {
		return errFull
	}
	unwritten := *errFull
	unwritten.Code, unwritten.Err = "ledger_unavailable", err
	return &unwritten
}

// Settle implements gateway.Witness. How the last attempt ended is known with the end of the exchange.
func (w *witness) Settle(x *gateway.Exchange, a *gateway.Attempt) {
	switch {
	case a.Refused:
		w.journal.Void(a.ID)
	case !x.Ended() || a != last(x):
		w.seal(x, a, nil)
	}
}

// End implements gateway.Witness.
func (w *witness) End(x *gateway.Exchange, err error) {
	if a := last(x); a != nil {
		w.seal(x, a, err)
	}
	if x.Replay == nil || x.Caller.Tenant == nil || x.Caller.Tenant.ID == "" {
		return
	}
	var r rows.Row
	replayed(&r, x, err)
	if err := w.journal.Put(&r); err != nil {
		w.metrics.unrecorded.Inc()
		w.log.Warn("an answer from the cache is not in the ledger", zap.String("id", x.ID), zap.Error(err))
		return
	}
	w.metrics.count(r.Outcome)
}

// seal writes down how an attempt ended. Of one that is sealed already the journal takes no notice.
func (w *witness) seal(x *gateway.Exchange, a *gateway.Attempt, err error) {
	var r rows.Row
	describe(&r, x, a)
	r.Price = w.version(a.Known)
	conclude(&r, x, a, err)
	if w.journal.Seal(&r) {
		w.metrics.count(r.Outcome)
	}
}

// last is the attempt that decided; nil if there was none.
func last(x *gateway.Exchange) *gateway.Attempt {
	if all := x.Attempts(); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// step is after how many tokens of an answer the journal is told again. So much of a stream may be missing in what a crash leaves.
const step = 64

// Heard implements gateway.Listener.
func (w *witness) Heard(x *gateway.Exchange) {
	if a := last(x); a != nil && a.Said >= a.Noted+step {
		a.Noted = a.Said
		w.journal.Said(a.ID, a.Said)
	}
}

var (
	errFull = &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: "ledger_full", RetryAfter: 5 * time.Second,
		Message: "The gateway has no room to write down what this request costs, so it does not make it. Send it again later.",
	}
	errNobody = &gateway.Error{
		Status: 500, Type: gateway.TypeServer, Code: "internal_error",
		Message: "The gateway failed. The request id leads to the cause in its log.", Err: errors.New("ledger: an attempt for nobody"),
	}
)
