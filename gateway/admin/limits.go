package admin

import (
	"cmp"
	"net/http"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// LimitsNow are a tenant's limits, and how what they count stands.
type LimitsNow struct {
	Limits TenantLimits `json:"limits"`
	Now    []LimitNow   `json:"now"` // those that this node has met since it began
}

// LimitNow is how one limit stands.
type LimitNow struct {
	Of        string `json:"of"`        // tenant, key:NAME, user:NAME, model:NAME
	What      string `json:"what"`      // requests, tokens (both a minute) or concurrent
	Limit     int64  `json:"limit"`     //
	Remaining int64  `json:"remaining"` // of all nodes, as far as known
	Reserved  int64  `json:"reserved"`  // taken on this node
	Held      int64  `json:"held"`      // what this node may use without asking the others
	Shared    bool   `json:"shared"`    // what counts for all nodes answers
}

// BudgetsNow are a tenant's budgets, and what is spent of them.
type BudgetsNow struct {
	Budgets []Budget    `json:"budgets"`
	Now     []BudgetNow `json:"now"`
}

// BudgetNow is how one budget stands in its present window.
type BudgetNow struct {
	Of        string     `json:"of"`
	Per       string     `json:"per"`
	From      *time.Time `json:"from,omitempty"` // the window; left out for per: total
	Until     *time.Time `json:"until,omitempty"`
	USD       string     `json:"usd"`
	Spent     string     `json:"spent_usd"`
	Reserved  string     `json:"reserved_usd"` // for what runs on this node
	Held      string     `json:"held_usd"`     // what this node may spend without asking the others
	Remaining string     `json:"remaining_usd"`
	Warns     bool       `json:"warns,omitempty"` // it only tells
	Source    string     `json:"source"`          // meter, or ledger where this node has met none of it: without what is reserved
	Shared    bool       `json:"shared"`          // what counts for all nodes answers
}

func (c *call) standing() []meter.Status {
	if c.s.o.Meters == nil {
		return nil
	}
	return c.s.o.Meters.Status(c.tenant())
}

func (c *call) showLimits() error {
	t, _, err := c.found()
	if err != nil {
		return err
	}
	a := LimitsNow{Limits: specOf(t.Spec).Limits, Now: []LimitNow{}}
	for _, s := range c.standing() {
		if s.Account.Kind == meter.Money {
			continue
		}
		a.Now = append(a.Now, LimitNow{
			Of: s.Account.Scope.String(), What: s.Account.Kind.String(), Limit: s.Limit, Remaining: s.Remaining, Reserved: s.Reserved, Held: s.Held, Shared: s.Up,
		})
	}
	return c.json(http.StatusOK, Answer[LimitsNow]{Data: a})
}

func (c *call) showBudgets() error {
	t, _, err := c.found()
	if err != nil {
		return err
	}
	a := BudgetsNow{Budgets: append([]Budget{}, specOf(t.Spec).Budgets...), Now: []BudgetNow{}}
	met := map[string]bool{}
	for _, s := range c.standing() {
		if s.Account.Kind != meter.Money {
			continue
		}
		b := BudgetNow{
			Of: s.Account.Scope.String(), Per: s.Account.Per.String(), Until: moment(s.Until), USD: usd(s.Limit), Spent: usd(s.Spent),
			Reserved: usd(s.Reserved), Held: usd(s.Held), Remaining: usd(s.Remaining), Warns: s.Warns, Source: "meter", Shared: s.Up,
		}
		if s.Account.Window != 0 {
			b.From = moment(time.Unix(s.Account.Window, 0))
		}
		met[b.Of+" "+b.Per] = true
		a.Now = append(a.Now, b)
	}
	for i := range a.Budgets {
		if err := c.fromLedger(&a, &a.Budgets[i], met); err != nil {
			return err
		}
	}
	return c.json(http.StatusOK, Answer[BudgetsNow]{Data: a})
}

// fromLedger adds what the ledger knows of a budget that this node has not met since it began. One that is for each key or user
// has no sum.
func (c *call) fromLedger(a *BudgetsNow, b *Budget, met map[string]bool) error {
	scope, err := tenant.ParseScope(b.Of)
	if err != nil || scope.Name == tenant.Each || met[scope.String()+" "+b.Per] || c.s.o.Store == nil {
		return nil //nolint:nilerr // it is not a budget
	}
	per, perErr := tenant.ParsePeriod(b.Per)
	limit, usdErr := tenant.ParseUSD(string(b.USD))
	if perErr != nil || usdErr != nil {
		return nil //nolint:nilerr // the same
	}
	met[scope.String()+" "+b.Per] = true
	from, to := per.Window(time.Now())
	s, err := c.store()
	if err != nil {
		return err
	}
	sums, err := s.Spent(c.ctx, c.tenant(), []store.Window{{Scope: scope, From: from, To: to}})
	if err != nil {
		return err
	}
	var spent tenant.USD
	for _, n := range sums[0] {
		spent = spent.Plus(n)
	}
	a.Now = append(a.Now, BudgetNow{
		Of: scope.String(), Per: b.Per, From: moment(from), Until: moment(to), USD: limit.String(), Spent: spent.String(), Reserved: usd(0), Held: usd(0),
		Remaining: max(limit-spent, 0).String(), Warns: cmp.Or(b.Mode, tenant.Metered.String()) == tenant.Warn.String(), Source: "ledger",
	})
	return nil
}

// usd is money as answers have it.
func usd(picodollars int64) string { return tenant.USD(picodollars).String() }
