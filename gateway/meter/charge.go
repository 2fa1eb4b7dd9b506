package meter

import (
	"slices"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Whose says whom the charges of an exchange are for besides the tenant. An empty name is nobody's.
type Whose struct{ Key, User, Model string }

// Charged counts what is charged for an exchange that began at some moment and has no Purse, in picodollars: in budgets that
// other exchanges have, because it began before they did, or will have again, because they were taken away only for a while.
func (t *Tenant) Charged(w *Whose, began clock.Instant, pd int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.charge(w, began, nil, pd)
}

// charge counts a charge in all accounts of money that it is for, but those of the pockets.
func (t *Tenant) charge(w *Whose, began clock.Instant, pockets []pocket, pd int64) {
	if pd <= 0 || t.purses <= len(pockets) { // mostly there are no others
		return
	}
	for _, of := range [...]tenant.Scope{{}, {Kind: tenant.OfKey, Name: w.Key}, {Kind: tenant.OfUser, Name: w.User}, {Kind: tenant.OfModel, Name: w.Model}} {
		if s := t.scopes[of]; s != nil && (of.Name != "" || of.Kind == tenant.OfTenant) {
			t.chargeScope(s, began, pockets, pd)
		}
	}
	for _, s := range t.wild {
		if w.Model != s.is.Name && w.Model != "" && tenant.Pattern(s.is.Name).Match(w.Model) {
			t.chargeScope(s, began, pockets, pd)
		}
	}
}

func (t *Tenant) chargeScope(s *scope, began clock.Instant, pockets []pocket, pd int64) {
	for _, a := range s.money {
		if a == nil || slices.ContainsFunc(pockets, func(k pocket) bool { return k.account == a }) {
			continue
		}
		if a.over(clock.Now()) {
			a.turn()
		}
		if a.from != 0 && began < a.from {
			continue
		}
		t.spend(a, pd, pd)
	}
}

// spend counts what is charged for good, and corrects what was used.
func (t *Tenant) spend(a *account, pd, by int64) {
	a.spent = plus(a.spent, pd)
	t.correct(a, by)
	if plus(a.spent, a.others) >= a.alert.next {
		t.warn(a)
	}
}
