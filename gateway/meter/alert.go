package meter

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Alert says that a threshold of a budget was passed. It is told once for each window in the whole fleet.
type Alert struct {
	Tenant tenant.ID
	Scope  tenant.Scope
	Per    tenant.Period
	Window time.Time // its beginning; zero for tenant.Total
	At     int       // the threshold, in parts of ten thousand of Amount
	Amount tenant.USD
	Spent  tenant.USD // by all nodes, as far as known
}

// alert is which thresholds of an account were passed in this window.
type alert struct {
	amount int64
	marks  []int // rising
	passed int   // of marks
	next   int64 // spending at which the next is passed; math.MaxInt64: none is left
}

// watch follows the budget, which may have been edited. What is passed of the new thresholds is told again only if the pool's
// lease on it is free.
func (w *alert) watch(amount int64, marks []int) {
	if w.amount == amount && slices.Equal(w.marks, marks) {
		return
	}
	w.amount, w.marks = amount, marks
	w.begin()
}

// begin is the start of a window: nothing is passed.
func (w *alert) begin() { w.pass(0) }

func (w *alert) pass(n int) {
	if w.passed = n; n < len(w.marks) {
		w.next, _ = mulDiv(w.amount, int64(w.marks[n]), 0, 10_000)
		return
	}
	w.next = math.MaxInt64
}

// skip passes over what was told before this node began.
func (w *alert) skip(spent int64) {
	for spent > 0 && spent >= w.next && w.passed < len(w.marks) {
		w.pass(w.passed + 1)
	}
}

// warn notes the thresholds that are passed, for the heart to tell.
func (t *Tenant) warn(a *account) {
	spent := plus(a.spent, a.others)
	for spent >= a.alert.next && a.alert.passed < len(a.alert.marks) {
		told := Alert{
			Tenant: t.id, Scope: a.id.Scope, Per: a.id.Per, At: a.alert.marks[a.alert.passed],
			Amount: tenant.USD(a.limit), Spent: tenant.USD(spent),
		}
		if a.id.Window != 0 {
			told.Window = time.Unix(a.id.Window, 0).UTC()
		}
		a.alert.pass(a.alert.passed + 1)
		t.meters.mu.Lock()
		if len(t.meters.untold) < maxUntold {
			t.meters.untold = append(t.meters.untold, told)
		}
		t.meters.mu.Unlock()
	}
}

// maxUntold is how many alerts are kept for a reader who does not read, or a pool that cannot be asked.
const maxUntold = 4096

// Alerts are thresholds that were passed. Somebody should read them.
func (m *Meters) Alerts() <-chan Alert { return m.alerts }

// tell sends the alerts that no other node has sent.
func (m *Meters) tell(ctx context.Context) {
	for len(m.alerts) < cap(m.alerts) {
		m.mu.Lock()
		if len(m.untold) == 0 {
			m.mu.Unlock()
			return
		}
		a := m.untold[0]
		m.mu.Unlock()
		first, err := m.lease(ctx, &a)
		if err != nil {
			return // later
		}
		if first {
			m.alerts <- a // nobody else sends
		}
		m.mu.Lock()
		m.untold = m.untold[1:]
		m.mu.Unlock()
	}
}

// leaseTime is how long no other node tells an alert: longer than a window lasts, but for that of tenant.Total. Nodes that count
// then know by the pool what was spent, and those that begin to count pass over what was told.
const leaseTime = 32 * 24 * time.Hour

// lease asks whether an alert is this node's to tell.
func (m *Meters) lease(ctx context.Context, a *Alert) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, m.o.Wait)
	defer cancel()
	name := fmt.Sprintf("alert/%s/%s/%s/%d/%d/%d", a.Tenant, a.Scope, a.Per, a.Window.Unix(), a.Amount, a.At)
	return m.o.Pool.Lease(ctx, name, leaseTime)
}
