package ledger_test

import (
	"math"
	"testing"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
)

// Amounts that are too large are the largest, or not known, and no others.
func TestTooMuchSaid(t *testing.T) {
	f := func(e ledger.Each, said, charge int64, cost catalog.Cost) {
		t.Helper()
		dir, m, r := t.TempDir(), &memory{}, row()
		j, _ := open(t, dir, small())
		if err := j.Intend(&r, e); err != nil {
			t.Fatal(err)
		}
		j.Said(r.ID, said)
		shut(t, j)
		j, _ = open(t, dir, small())
		flush(t, j, m)
		if got := m.rows[r.ID]; got.Charge != charge || got.Cost != cost {
			t.Errorf("%+v", got)
		}
	}
	outOfRange := catalog.Cost{Why: catalog.OutOfRange}
	f(ledger.Each{Cost: math.MaxInt64, Charge: math.MaxInt64}, 2, math.MaxInt64, outOfRange)
	f(ledger.Each{Cost: math.MaxInt64, Charge: math.MaxInt64}, 1, math.MaxInt64, outOfRange)
	f(ledger.Each{Cost: 1, Charge: 1}, math.MaxInt64, 1_000+math.MaxUint32, catalog.Cost{Picodollars: 900 + math.MaxUint32, Known: true})
	f(ledger.Each{Cost: 1, Charge: 1}, -5, 1_000, catalog.Cost{Picodollars: 900, Known: true})
}
