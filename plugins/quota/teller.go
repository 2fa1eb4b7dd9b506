package quota

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/meter"
)

// mostDeliveries is how many alerts wait for a receiver at a time, who may be away for minutes.
const mostDeliveries = 64

var errBusyReceiver = errors.New("too many alerts wait for the receiver already")

// teller tells of the marks that budgets pass: in the log and in a metric at once, and to a receiver as soon as it takes it.
type teller struct {
	log      *zap.Logger
	marks    prometheus.Counter
	untold   prometheus.Counter
	receiver *hook // nil: none
	now      func() time.Time
}

func (t *teller) run(ctx context.Context, alerts <-chan meter.Alert) {
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	free := make(chan struct{}, mostDeliveries)
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-alerts:
			t.tell(&a)
			if t.receiver == nil {
				continue
			}
			e := t.event(&a)
			select {
			case free <- struct{}{}:
				deliveries.Go(func() {
					defer func() { <-free }()
					t.delivered(&e, t.receiver.deliver(ctx, &e))
				})
			default:
				t.delivered(&e, errBusyReceiver)
			}
		}
	}
}

func (t *teller) tell(a *meter.Alert) {
	t.marks.Inc()
	t.log.Warn("a budget has passed a mark", zap.String("tenant", string(a.Tenant)), zap.Stringer("of", a.Scope), zap.Stringer("per", a.Per),
		zap.Float64("share", shareOf(a)), zap.Stringer("budget_usd", a.Amount), zap.Stringer("spent_usd", a.Spent))
}

func shareOf(a *meter.Alert) float64 { return float64(a.At) / 10_000 }

// event is what the receiver is told.
func (t *teller) event(a *meter.Alert) event {
	now := t.now().UTC()
	_, until := a.Per.Window(now)
	return event{Type: "budget.threshold", Timestamp: now, Data: passed{
		Tenant: string(a.Tenant), Of: a.Scope.String(), Per: a.Per.String(), From: a.Window, Until: until,
		Threshold: shareOf(a), Budget: a.Amount.String(), Spent: a.Spent.String(),
	}}
}

func (t *teller) delivered(e *event, err error) {
	if err != nil {
		t.untold.Inc()
		t.log.Error("nobody could be told that a budget has passed a mark", zap.String("tenant", e.Data.Tenant), zap.Error(err))
	}
}
